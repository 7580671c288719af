"""Games of a network against itself, and the examples that they leave.

Not here: learning from them (`learning.py`). Next: `learning.py`.
Dimensions: N games, E examples, A moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from kedja.rl.games.matches import opened_boards
from kedja.rl.games.rules import Array, Game, Position, picked, put
from kedja.rl.games.search import Judged, Noise, search
from kedja.rl.games.settings import Settings


class Examples(NamedTuple):
    """Boards, and what the search and the end of the game say of them.

    `boards` of E, `policy` (E, A) the share of visits, `outcome` (E,) what the side to move got,
    `value` (E,) what the search expected it to get.
    """

    boards: Position
    policy: Array
    outcome: Array
    value: Array


class Played(NamedTuple):
    """Finished games: their examples, the mean length, and the share that the first side got."""

    examples: Examples
    length: float
    first: float


class _Moment(NamedTuple):
    """One move of the games that are going on."""

    games: Array
    boards: Position
    policy: Array
    value: Array


def played_games(
    game: Game,
    judge: Judged,
    settings: Settings,
    generator: np.random.Generator,
    tell: Callable[[str], None] = lambda what: None,
) -> Played:
    """Play `settings.games` games to their ends, all of them move by move together.

    `tell` is told after each move how many are going on.
    """
    count = settings.games
    opened = generator.integers(0, settings.openings + 1, count)
    boards = opened_boards(game, opened, generator)
    going, moments = np.arange(count), []
    ended = np.zeros(count)
    noise = Noise(settings.alpha, generator)
    for number in range(game.rows * game.columns):
        if not len(going):
            break
        now = picked(boards, going)
        found = search(game, judge, now, settings.simulations, noise=noise)
        policy = found.visits / found.visits.sum(axis=-1, keepdims=True)
        moments.append(_Moment(going, now, policy, found.value))
        after = game.after(now, _moves(policy, number < settings.varied, generator))
        put(boards, going, after)
        ended[going] = np.where(game.lost(after), -1, 0)
        going = going[~game.over(after)]
        tell(f"{len(going):,} of {count:,} games going on after {number + 1} moves")
    return _gathered(count, moments, ended, boards)


def _moves(policy: Array, varied: bool, generator: np.random.Generator) -> Array:
    """The moves visited most, or drawn by their visits."""
    if not varied:
        best: Array = policy.argmax(axis=-1)
        return best
    drawn = generator.random((len(policy), 1))
    ends = policy.cumsum(axis=-1)
    found: Array = (ends > drawn * ends[:, -1:]).argmax(axis=-1)
    return found


def _gathered(count: int, moments: list[_Moment], ended: Array, boards: Position) -> Played:
    """The examples of all moments; `ended` is what the side to move got at the end of each game."""
    lengths = np.zeros(count, np.int64)
    for moment in moments:
        lengths[moment.games] += 1
    outcomes = []
    for number, moment in enumerate(moments):
        left = lengths[moment.games] - number
        outcomes.append(np.where(left % 2 == 1, -1, 1) * ended[moment.games])
    mine, theirs = (np.concatenate([m.boards[side] for m in moments]) for side in (0, 1))
    examples = Examples(
        Position(mine, theirs),
        np.concatenate([moment.policy for moment in moments]).astype(np.float32),
        np.concatenate(outcomes).astype(np.float32),
        np.concatenate([moment.value for moment in moments]).astype(np.float32),
    )
    stones = np.bitwise_count(boards.mine | boards.theirs)
    first = np.where(stones % 2 == 1, -ended, ended)  # after an odd number the second is to move
    return Played(examples, float(stones.mean()), float((first.mean() + 1) / 2))


def joined(pieces: Sequence[Examples]) -> Examples:
    """The examples of several iterations as one."""
    mine, theirs = (np.concatenate([each.boards[side] for each in pieces]) for side in (0, 1))
    others = (np.concatenate([each[place] for each in pieces]) for place in (1, 2, 3))
    return Examples(Position(mine, theirs), *others)
