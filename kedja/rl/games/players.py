"""Who plays: at random, perfectly, by alpha-beta, or what a network has learned.

A player is a function of N boards and a random generator that gives N moves. Not here: games
between two of them (`matches.py`), a human (`kedja play`). Next: `matches.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

import numpy as np

from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.rl.games import search as searching
from kedja.rl.games.minimax import AlphaBeta, Exact, single
from kedja.rl.games.network import BoardNet, Judge
from kedja.rl.games.rules import Array, Game, Position

DEPTH = re.compile(r"depth-(\d{1,2})")
SIMULATIONS = 100


class Player(Protocol):
    """What plays: its name, and a legal move for each of N boards."""

    name: str

    def __call__(self, boards: Position, generator: np.random.Generator) -> Array:
        """A move for each board's side to move, (N,)."""


class Chance:
    """Any legal move, all alike."""

    name = "random"

    def __init__(self, game: Game) -> None:
        self._game = game

    def __call__(self, boards: Position, generator: np.random.Generator) -> Array:
        """See `Player`."""
        legal = self._game.legal(boards)
        drawn = np.where(legal, generator.random(legal.shape), -1)
        found: Array = drawn.argmax(axis=-1)
        return found


class Thinker:
    """One of the best moves that thinking finds, drawn from all that are as good."""

    def __init__(self, name: str, best: Callable[[Position], list[int]]) -> None:
        self.name, self._best = name, best

    def __call__(self, boards: Position, generator: np.random.Generator) -> Array:
        """See `Player`."""
        lists = [self._best(single(boards, place)) for place in range(len(boards.mine))]
        drawn = generator.random(len(lists))
        pairs = zip(lists, drawn, strict=True)
        return np.array([moves[int(x * len(moves))] for moves, x in pairs], np.int64)


class Learned:
    """A network: the likeliest move alone (`simulations=0`), or what its search visits most.

    It plays the same move on the same board: no chance is in it.
    """

    def __init__(self, network: BoardNet, simulations: int = SIMULATIONS) -> None:
        if simulations < 0:
            raise UsageError(f"{simulations} simulations", fix="0 for the network alone, or more")
        self.network, self.simulations = network, simulations
        self.game = network.config.rules
        self.judge = Judge(network)
        self.name = f"search-{simulations}" if simulations else "network"

    def __call__(self, boards: Position, generator: np.random.Generator | None = None) -> Array:
        """See `Player`."""
        if not self.simulations:
            alone: Array = self.judge(boards).policy.argmax(axis=-1)
            return alone
        found: Array = self.look(boards).visits.argmax(axis=-1)
        return found

    def look(self, boards: Position) -> searching.Found:
        """What the search finds of N boards: visits and worth of the moves, and the value."""
        return searching.search(self.game, self.judge, boards, self.simulations)


def player_of(name: str, game: Game) -> Player:
    """`random`, `perfect` or `depth-4` as a player of a game.

    Raises UsageError for other names, and for `perfect` where a game is too large for it.

    >>> from kedja.rl.games.rules import TIC_TAC_TOE, Position
    >>> board = Position(np.array([0b0011], np.uint64), np.array([0b110000], np.uint64))
    >>> player_of("depth-2", TIC_TAC_TOE)(board, np.random.default_rng(0)).tolist()
    [6]
    """
    depth = DEPTH.fullmatch(name)
    if depth is not None:
        return Thinker(name, AlphaBeta(game, int(depth[1])).best)
    if name == "random":
        return Chance(game)
    if name == "perfect":
        return Thinker(name, Exact(game).best)
    fix = did_you_mean(name, ["random", "perfect", "depth-4"])
    raise UsageError(f"there is no player {name!r}", fix=fix)
