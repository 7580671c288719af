"""`kj.rl.self_play`: a network learns a board game from nothing but its rules.

Each iteration plays many games at once, every move searched with the network's help, and then the
network learns to foresee what the search found and how the games ended; with it the next search is
better. Not here: the games (`playing.py`), the lessons (`learning.py`), what is kept of a run
(`kept.py`). Next: `playing.py`.
Source: D. Silver et al.: A general reinforcement learning algorithm that masters chess, shogi and
Go through self-play, Science 362 (2018).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kedja.ground.errors import Interrupted
from kedja.rl.games import kept, telling
from kedja.rl.games.kept import Evaluation, Iteration, State
from kedja.rl.games.learning import Learner
from kedja.rl.games.matches import match
from kedja.rl.games.minimax import CELLS
from kedja.rl.games.network import BoardNet, Judge
from kedja.rl.games.players import SIMULATIONS, Learned, player_of
from kedja.rl.games.playing import joined, played_games
from kedja.rl.games.rules import Game, game_of
from kedja.rl.games.settings import Settings, settings_for
from kedja.rl.telling import Line

SAVE_SECONDS = 20.0
EVALUATIONS = 10  # in a run
GAMES = 40  # of an evaluation


@dataclass(frozen=True)
class SelfPlay:
    """What a run found: the network, the curve of its iterations, and matches on the way."""

    network: BoardNet = field(repr=False)
    game: Game
    settings: Settings = field(repr=False)
    curve: tuple[Iteration, ...] = field(repr=False)
    evaluations: tuple[Evaluation, ...] = field(repr=False)
    seconds: float

    def player(self, simulations: int = SIMULATIONS) -> Learned:
        """The network as a player, with a search of so many simulations, or alone with 0."""
        return Learned(self.network, simulations)


def self_play(
    game: str | Game = "tic-tac-toe",
    *,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = True,
    **settings: Any,
) -> SelfPlay:
    """Learn a board game by self-play (AlphaZero): the same seed learns the same bits.

    `game` is "tic-tac-toe", "connect-four", or a `Game` of other sizes. `settings` are those of
    `Settings`: iterations, games, simulations, steps, channels, blocks, lr …; what is not given
    suits the game.

    With a `checkpoint` folder Ctrl-C raises Interrupted, whose `history` is what was found so far,
    and `resume=True` goes on from there.
    Raises UsageError for a game or setting that there is not, CheckpointError for another run's
    checkpoint.

    >>> found = self_play(iterations=2, games=4, simulations=4, steps=2, channels=4, progress=False)
    >>> len(found.curve), found.player(10).name
    (2, 'search-10')
    """
    rules = game_of(game)
    chosen = settings_for(rules, settings)
    options = {"game": str(rules), "seed": seed, **chosen.to_json()}
    run = _Run(rules, chosen, seed, kept.Kept(checkpoint, options), Line(progress))
    if resume:
        run.load()
    return run.finished()


def rival(game: Game) -> str:
    """Whom the network alone meets on the way: the perfect player of a small game, or depth-2."""
    return "perfect" if game.rows * game.columns <= CELLS else "depth-2"


class _Run:
    """A run: its state, and the next iteration."""

    def __init__(
        self, game: Game, settings: Settings, seed: int, store: kept.Kept, line: Line
    ) -> None:
        self._game, self._settings, self._seed = game, settings, seed
        self._store, self._line = store, line
        self._learner = Learner(game, settings, seed)
        self._now = State(self._learner.network, self._learner.state, (), (), ())
        self._rival = player_of(rival(game), game)
        self._seconds = 0.0

    def load(self) -> None:
        """Go on where the folder's run stands."""
        self._now, self._seconds = self._store.load(self._now)

    def finished(self) -> SelfPlay:
        """Go on until all iterations are done."""
        start, saved = time.perf_counter() - self._seconds, time.perf_counter()
        total = self._settings.iterations
        try:
            while len(self._now.curve) < total:
                self._now = self._next(len(self._now.curve) + 1)
                self._seconds = time.perf_counter() - start
                self._line.show(self._told)
                if time.perf_counter() - saved > SAVE_SECONDS:
                    self._store.save(self._now, self._seconds)
                    saved = time.perf_counter()
        except KeyboardInterrupt:
            self._store.save(self._now, self._seconds)
            self._line.close()
            raise self._interrupted() from None
        self._line.close()
        self._store.save(self._now._replace(pieces=()), self._seconds)
        return self._found()

    def _found(self) -> SelfPlay:
        network, _, _, curve, evaluations = self._now
        return SelfPlay(network, self._game, self._settings, curve, evaluations, self._seconds)

    def _next(self, number: int) -> State:
        """The state after one more iteration."""
        now, settings = self._now, self._settings
        draw = np.random.default_rng((self._seed, number))
        judge = Judge(now.network)
        played = played_games(self._game, judge, settings, draw, tell=self._telling(number))
        pieces = (*now.pieces, played.examples)[-settings.window :]
        network, optimizer, losses = self._learner.learned(
            now.network, now.optimizer, joined(pieces), draw
        )
        count = len(played.examples.outcome)
        row = Iteration(number, count, played.length, played.first, *losses)
        evaluations = now.evaluations + self._evaluated(number, network)
        return State(network, optimizer, pieces, (*now.curve, row), evaluations)

    def _telling(self, number: int) -> Callable[[str], None]:
        head = telling.head(number, self._settings.iterations)
        return lambda what: self._line.show(lambda: f"{head}  {what}")

    def _told(self) -> str:
        rows, iterations = self._now.curve, self._settings.iterations
        return telling.text(rows[-1], iterations, self._now.evaluations)

    def _evaluated(self, number: int, network: BoardNet) -> tuple[Evaluation, ...]:
        total = self._settings.iterations
        if number % max(1, total // EVALUATIONS) and number < total:
            return ()
        openings = 2 * (self._game.rows * self._game.columns // 18)
        alone = Learned(network, 0)
        seed = (self._seed + number) % 2**32
        found = match(self._game, alone, self._rival, GAMES, openings=openings, seed=seed)
        return (Evaluation(number, found),)

    def _interrupted(self) -> Interrupted:
        done = f"after {len(self._now.curve):,} iterations"
        error = Interrupted(done, self._store.folder)
        error.history = self._found()
        return error
