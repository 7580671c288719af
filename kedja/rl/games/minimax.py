"""Players by thinking alone: the exact values of a small game, and alpha-beta of some depth.

Not here: players that learn (`players.py`). Next: `players.py`.
Sources: C. Shannon: Programming a computer for playing chess (1950); D. Knuth, R. Moore: An
analysis of alpha-beta pruning (1975).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from kedja.ground.errors import UsageError
from kedja.rl.games.rules import Array, Game, Position, stones

WON = 1_000_000  # less one for each stone, so that quick wins are better
CELLS = 12  # a game of more has too many positions to look at them all


class Exact:
    """What each position is worth when both sides play best: minimax, every position kept.

    >>> from kedja.rl.games.rules import TIC_TAC_TOE, played
    >>> exact = Exact(TIC_TAC_TOE)
    >>> exact.value(played(TIC_TAC_TOE, [])), exact.best(played(TIC_TAC_TOE, [0, 4, 8]))
    (0, [1, 3, 5, 7])
    """

    def __init__(self, game: Game) -> None:
        if game.rows * game.columns > CELLS:
            what = f"{game.name} has too many positions to look at them all"
            raise UsageError(what, fix="use depth-4, or another depth")
        self.game = game
        self._known: dict[Position, int] = {}

    def value(self, board: Position) -> int:
        """1 where the side to move wins, 0 for a draw, −1 where it loses."""
        found = self._known.get(board)
        if found is None:
            found = self._known[board] = self._looked(board)
        return found

    def _looked(self, board: Position) -> int:
        game = self.game
        if game.lost(board):
            return -1
        values = [-self.value(game.after(board, move)) for move in game.moves(board)]
        return max(values, default=0)

    def best(self, board: Position) -> list[int]:
        """All moves that keep the value."""
        values = {
            move: -self.value(self.game.after(board, move)) for move in self.game.moves(board)
        }
        most = max(values.values())
        return [move for move, value in values.items() if value == most]


class AlphaBeta:
    """The best moves by a search of some depth with alpha-beta pruning.

    Beyond it a board is worth, for each place where a line can still be, the square of the stones
    there: those of the side to move less those of the other.
    """

    def __init__(self, game: Game, depth: int) -> None:
        if depth < 1:
            raise UsageError(f"depth {depth}", fix="a depth from 1")
        self.game, self.depth = game, depth

    @cached_property
    def _order(self) -> list[int]:
        """Moves from the middle outwards, where the good ones are."""
        game = self.game
        row, column = np.divmod(np.arange(game.actions), game.columns)
        far = np.abs(2 * column - game.columns + 1)
        if not game.gravity:
            far = far + np.abs(2 * row - game.rows + 1)
        return [int(move) for move in np.argsort(far, kind="stable")]

    def best(self, board: Position) -> list[int]:
        """All moves of the best value that a search of this depth finds."""
        most, found = -2 * WON, [0]
        legal = set(self.game.moves(board))
        for move in (each for each in self._order if each in legal):
            after = self.game.after(board, move)
            value = -self._value(after, self.depth - 1, -2 * WON, 1 - most)
            if value > most:
                most, found = value, [move]
            elif value == most:
                found.append(move)
        return found

    def _value(self, board: Position, depth: int, low: int, high: int) -> int:
        """The board's value for the side to move where it lies between `low` and `high`."""
        game = self.game
        if game.lost(board):
            return int(stones(board)) - WON
        taken = board.mine | board.theirs
        if taken == game.full:
            return 0
        if depth == 0:
            return self._guess(board)
        legal = game.moves(board)
        best = -2 * WON
        for move in (each for each in self._order if each in legal):
            best = max(best, -self._value(game.after(board, move), depth - 1, -high, -low))
            low = max(low, best)
            if low >= high:
                break
        return best

    def _guess(self, board: Position) -> int:
        mine, theirs = board
        total = 0
        for window in self.game.windows:
            if not theirs & window:
                total += (mine & window).bit_count() ** 2
            elif not mine & window:
                total -= (theirs & window).bit_count() ** 2
        return total


def single(boards: Position, place: int) -> Position:
    """One board of N, in Python's numbers."""
    return Position(int(boards.mine[place]), int(boards.theirs[place]))


def all_positions(game: Game) -> tuple[Position, Array]:
    """Every position that can be reached, those after the end too, and its number of stones."""
    seen: set[Position] = set()
    level = {game.start()}
    while level:
        seen |= level
        going = [board for board in level if not game.over(board)]
        level = {game.after(board, move) for board in going for move in game.moves(board)}
    rows = np.array(sorted(seen), dtype=np.uint64)
    found = Position(rows[:, 0], rows[:, 1])
    return found, stones(found)
