"""Games between two players, many at once, and a player against everything that can be played.

Not here: who plays (`players.py`). Next: `self_play.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kedja.ground.errors import UsageError
from kedja.inspection.intervals import Interval, wilson
from kedja.rl.games.players import Chance, Player
from kedja.rl.games.rules import Array, Game, Position, picked, put

EVERY = "every reply"  # the opponent that plays all there is


@dataclass(frozen=True)
class Score:
    """How some games ended for a player."""

    wins: int
    draws: int
    losses: int

    @property
    def games(self) -> int:
        """How many games they were."""
        return self.wins + self.draws + self.losses

    @property
    def points(self) -> float:
        """The share of points, half a point for a draw."""
        return (self.wins + self.draws / 2) / max(self.games, 1)

    @property
    def won(self) -> Interval:
        """Where the share of games that are won lies, at 95 % confidence (Wilson's interval)."""
        return wilson(self.wins, self.games)

    def __add__(self, other: Score) -> Score:
        return Score(self.wins + other.wins, self.draws + other.draws, self.losses + other.losses)


@dataclass(frozen=True)
class Match:
    """How a player did where it began, and where the other side did."""

    player: str
    opponent: str
    first: Score
    second: Score

    @property
    def both(self) -> Score:
        """All games."""
        return self.first + self.second


def match(
    game: Game,
    player: Player,
    opponent: Player,
    games: int = 100,
    *,
    openings: int = 0,
    seed: int = 0,
) -> Match:
    """Play games in pairs: in both the same first `openings` moves at random, colours exchanged.

    Raises UsageError for less than two games. The same seed plays the same games.

    >>> from kedja.rl.games.players import player_of
    >>> from kedja.rl.games.rules import TIC_TAC_TOE
    >>> perfect, random = (player_of(name, TIC_TAC_TOE) for name in ("perfect", "random"))
    >>> found = match(TIC_TAC_TOE, perfect, random, 50)
    >>> found.both.losses, found.first.wins > found.second.wins
    (0, True)
    """
    if games < 2:
        raise UsageError(f"{games} games", fix="2 or more, one for each colour")
    generator = np.random.default_rng((seed, games))
    opened = opened_boards(game, np.full(games // 2, openings), generator)
    boards = Position(*(np.concatenate([each, each]) for each in opened))
    first = np.arange(len(boards.mine)) < games // 2  # there the player begins
    ended = _played_out(game, boards, first, (player, opponent), generator)
    return Match(player.name, opponent.name, _score(ended[first]), _score(ended[~first]))


def opened_boards(game: Game, counts: Array, generator: np.random.Generator) -> Position:
    """Boards after so many random moves each, on none of which the game is over.

    A move that would end the game is not made: then a game is opened by fewer.
    """
    boards, chance = game.start(len(counts)), Chance(game)
    for number in range(int(counts.max(initial=0))):
        after = game.after(boards, chance(boards, generator))
        going = np.flatnonzero((counts > number) & ~game.over(after))
        put(boards, going, picked(after, going))
    return boards


def _played_out(
    game: Game,
    boards: Position,
    turn: Array,
    players: tuple[Player, Player],
    generator: np.random.Generator,
) -> Array:
    """Play until all games are over: 1, 0 or −1 for the first of the players, (N,).

    `turn` says where it is the first one's turn.
    """
    ended = np.zeros(len(turn), np.int64)
    turn, going = turn.copy(), np.arange(len(turn))
    while len(going):
        for whose, player in zip((True, False), players, strict=True):
            now = going[turn[going] == whose]
            if len(now):
                moves = player(picked(boards, now), generator)
                put(boards, now, game.after(picked(boards, now), moves))
        turn[going] = ~turn[going]
        left = picked(boards, going)
        over, lost = game.over(left), game.lost(left)
        ended[going[lost]] = np.where(turn[going[lost]], -1, 1)
        going = going[~over]
    return ended


def _score(ended: Array) -> Score:
    wins, draws, losses = (int((ended == each).sum()) for each in (1, 0, -1))
    return Score(wins, draws, losses)


# ------------------------------------------------------------------------ everything at once


def against_all(game: Game, player: Player) -> Match:
    """A player against every line of play that the other side has, in both colours: a proof.

    The scores count lines of play; positions that are reached in several ways are asked once. The
    player must play the same move on the same board, as `Learned` does. For small games.
    """
    first, second = (_walked(game, player, begins) for begins in (True, False))
    return Match(player.name, EVERY, first, second)


def _walked(game: Game, player: Player, mine: bool) -> Score:
    boards, ways = game.start(1), np.ones(1, np.int64)
    generator = np.random.default_rng(0)
    score = Score(0, 0, 0)
    while len(ways):
        if mine:
            sources, moves = np.arange(len(ways)), player(boards, generator)
        else:
            sources, moves = np.nonzero(game.legal(boards))
        boards = game.after(picked(boards, sources), moves)
        boards, ways = _merged(boards, ways[sources])
        lost, over = game.lost(boards), game.over(boards)
        decided, drawn = int(ways[lost].sum()), int(ways[over & ~lost].sum())
        score += Score(decided, drawn, 0) if mine else Score(0, drawn, decided)
        boards, ways = picked(boards, ~over), ways[~over]
        mine = not mine
    return score


def _merged(boards: Position, ways: Array) -> tuple[Position, Array]:
    """Equal boards as one, with all the ways that lead to it."""
    rows, places = np.unique(np.stack(boards, axis=-1), axis=0, return_inverse=True)
    together = np.zeros(len(rows), np.int64)
    np.add.at(together, places.ravel(), ways)
    return Position(rows[:, 0].copy(), rows[:, 1].copy()), together
