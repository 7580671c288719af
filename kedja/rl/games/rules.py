"""Games in which two players put stones on a board and want a line: rules as pure functions.

    tic-tac-toe    3 × 3, a line of 3
    Connect Four   7 × 6, a line of 4, stones fall to the bottom of their column

and any other m,n,k game of at most 64 bits. A side's stones are the bits of one number: column by
column from the left, in each from the bottom, one bit above each column always 0, so that no shift
leads from one column into the next. The same functions take Python's numbers, of one board, and
NumPy's arrays of uint64, of many boards at once. Not here: who plays (`players.py`), boards as text
(`showing.py`). Next: `minimax.py`.
Dimensions: N boards, R rows, C columns, A moves (columns with gravity, else cells).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean

Array = np.ndarray[Any, np.dtype[Any]]
Bits = Any  # a Python int, or an array of uint64


class Position(NamedTuple):
    """The stones of the side to move and those of the other one, of one board or of N."""

    mine: Bits
    theirs: Bits


class Symmetries(NamedTuple):
    """S ways to look at a board that change nothing: `new[i] = old[places[i]]`.

    `cells` (S, R·C) are places of cells counted by rows from the bottom, `moves` (S, A) of moves.
    """

    cells: Array
    moves: Array


@dataclass(frozen=True)
class Game:
    """An m,n,k game: who first has `line` stones in a row, column or diagonal wins.

    With `gravity` a move names a column, and the stone falls; else it names a cell, counted by
    rows from the bottom left. Raises UsageError for a board that has no room for a line, or for
    which 64 bits are too few.

    >>> board = played(CONNECT_FOUR, [3, 3, 3])
    >>> stones = CONNECT_FOUR.cells(board)
    >>> stones[:3, 3].tolist(), CONNECT_FOUR.moves(board)
    ([-1, 1, -1], [0, 1, 2, 3, 4, 5, 6])
    """

    name: str
    rows: int
    columns: int
    line: int
    gravity: bool = False

    def __post_init__(self) -> None:
        most, least = max(self.rows, self.columns), min(self.rows, self.columns)
        if least < 1 or not 2 <= self.line <= most:
            what = f"no line of {self.line} fits on {self.rows} × {self.columns} cells"
            raise UsageError(what, fix=f"a line from 2 to {most}")
        if (self.rows + 1) * self.columns > 64:
            what = f"{self.rows} × {self.columns} cells are too many for 64 bits"
            raise UsageError(what, fix="(rows + 1) × columns may be 64, as of 7 × 8 cells")

    # ---------------------------------------------------------------------------- tables

    @property
    def actions(self) -> int:
        """How many moves there are on an empty board, A."""
        return self.columns if self.gravity else self.rows * self.columns

    @cached_property
    def shifts(self) -> Array:
        """The number of each cell's bit, (R, C)."""
        row, column = np.indices((self.rows, self.columns))
        return (column * (self.rows + 1) + row).astype(np.uint64)

    @cached_property
    def full(self) -> int:
        """All cells."""
        return sum(1 << int(shift) for shift in self.shifts.ravel())

    @cached_property
    def _gates(self) -> tuple[int, ...]:
        """The cell that must be empty for each move: the highest of a column, or the cell."""
        cells = self.shifts[-1] if self.gravity else self.shifts.ravel()
        return tuple(1 << int(shift) for shift in cells)

    @cached_property
    def _feet(self) -> tuple[int, ...]:
        """The lowest cell of each move's column, or the cell."""
        cells = self.shifts[0] if self.gravity else self.shifts.ravel()
        return tuple(1 << int(shift) for shift in cells)

    @cached_property
    def _tables(self) -> tuple[Array, Array]:
        return np.array(self._gates, np.uint64), np.array(self._feet, np.uint64)

    @cached_property
    def windows(self) -> tuple[int, ...]:
        """All places where a line can be."""
        found = []
        for right, up in ((0, 1), (1, 0), (1, 1), (1, -1)):
            steps = np.arange(self.line)
            for row, column in np.ndindex(self.rows, self.columns):
                rows, columns = row + up * steps, column + right * steps
                if 0 <= rows[-1] < self.rows and columns[-1] < self.columns:
                    found.append(sum(1 << int(each) for each in self.shifts[rows, columns]))
        return tuple(found)

    # ----------------------------------------------------------------------------- rules

    def start(self, count: int | None = None) -> Position:
        """The empty board; N of them where a count is given."""
        if count is None:
            return Position(0, 0)
        return Position(np.zeros(count, np.uint64), np.zeros(count, np.uint64))

    def moves(self, board: Position) -> list[int]:
        """The legal moves of one board, whether or not the game is over."""
        taken = board.mine | board.theirs
        return [move for move, gate in enumerate(self._gates) if not taken & gate]

    def legal(self, boards: Position) -> Array:
        """Which moves are legal on each of N boards, (N, A)."""
        taken = boards.mine | boards.theirs
        free: Array = taken[..., None] & self._tables[0] == 0
        return free

    def after(self, board: Position, move: Any) -> Position:
        """The board after a legal move, seen by the other side; N of them after N moves."""
        foot = self._tables[1][move] if isinstance(move, np.ndarray) else self._feet[move]
        stone = foot
        if self.gravity:  # what is added at the foot is carried to the first empty cell
            taken = board.mine | board.theirs
            stone = (taken + foot) & ~taken
        return Position(board.theirs, board.mine | stone)

    def lines(self, stones: Bits) -> Bits:
        """The first cell of each line that these stones make; 0 where there is none."""
        found = stones ^ stones
        height = self.rows + 1
        for step in (1, height, height + 1, height - 1):
            both = stones
            for place in range(1, self.line):
                both = both & (stones >> (step * place))
            found = found | both
        return found

    def lost(self, board: Position) -> Any:
        """Whether the other side has a line, so that the side to move has lost."""
        return self.lines(board.theirs) != 0

    def over(self, board: Position) -> Any:
        """Whether the game has ended: by a line, or because no cell is free."""
        return self.lost(board) | ((board.mine | board.theirs) == self.full)

    def winning(self, boards: Position) -> Array:
        """Which legal moves win at once on each of N boards, (N, A)."""
        moves = np.arange(self.actions)
        after = self.after(Position(boards.mine[:, None], boards.theirs[:, None]), moves)
        found: Array = self.lost(after) & self.legal(boards)
        return found

    # --------------------------------------------------------------------- boards as arrays

    def cells(self, boards: Position) -> Array:
        """1 for each stone of the side to move, −1 for the other's, 0: (…, R, C), bottom first."""
        mine, theirs = (self._spread(each) for each in boards)
        return mine.astype(np.int8) - theirs.astype(np.int8)

    def _spread(self, stones: Bits) -> Array:
        spread: Array = (np.asarray(stones, np.uint64)[..., None, None] >> self.shifts) & np.uint64(
            1
        )
        return spread

    def planes(self, boards: Position) -> Array:
        """What a network is shown, float32 (N, 3, R, C).

        The stones of the side to move, those of the other one, and where a stone can be put.
        """
        taken = boards.mine | boards.theirs
        free = ~taken & self.full
        if self.gravity:
            free = free & (taken + sum(self._feet))
        both = [self._spread(each) for each in (boards.mine, boards.theirs, free)]
        return np.stack(both, axis=1).astype(np.float32)

    @cached_property
    def symmetries(self) -> Symmetries:
        """All S: with gravity the mirror, else turns and mirrors. The first changes none."""
        cells = np.arange(self.rows * self.columns).reshape(self.rows, self.columns)
        turns = 1 if self.gravity else 4
        seen = [np.rot90(each, turn) for each in (cells, cells[:, ::-1]) for turn in range(turns)]
        fitting = np.stack([each.ravel() for each in seen if each.shape == cells.shape])
        moves = fitting[:, : self.columns] if self.gravity else fitting
        return Symmetries(fitting, moves)


TIC_TAC_TOE = Game("tic-tac-toe", 3, 3, 3)
CONNECT_FOUR = Game("connect-four", 6, 7, 4, gravity=True)
GAMES = {game.name: game for game in (TIC_TAC_TOE, CONNECT_FOUR)}


def game_of(name: str | Game) -> Game:
    """A game by its name; UsageError where there is none of that name.

    >>> game_of("connect-four").actions
    7
    """
    if isinstance(name, Game):
        return name
    if name not in GAMES:
        raise UsageError(f"there is no game {name!r}", fix=did_you_mean(name, GAMES))
    return GAMES[name]


def played(game: Game, moves: Sequence[int]) -> Position:
    """The board after these moves; UsageError for one that is not legal, or after the end."""
    board = game.start()
    for number, move in enumerate(moves, 1):
        if game.over(board):
            raise UsageError(f"the game is over before move {number}")
        if move not in game.moves(board):
            legal = ", ".join(str(each + 1) for each in game.moves(board))
            what = f"move {number} is number {move + 1}, which is not legal"
            raise UsageError(what, fix=f"counted from 1: {legal}")
        board = game.after(board, move)
    return board


def picked(boards: Position, places: Any) -> Position:
    """The boards at some places of N."""
    return Position(boards.mine[places], boards.theirs[places])


def put(boards: Position, places: Any, others: Position) -> None:
    """Write boards over those at some places of N."""
    boards.mine[places], boards.theirs[places] = others


def stones(boards: Position) -> Any:
    """How many stones lie on each board."""
    taken = boards.mine | boards.theirs
    return taken.bit_count() if isinstance(taken, int) else np.bitwise_count(taken)
