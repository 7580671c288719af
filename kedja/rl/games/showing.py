"""Boards as text, and what a network and its search think of one.

Not here: who plays (`players.py`). Next: `kedja/cli/agents/table.py`, where people play.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from kedja.rl.games.players import Learned
from kedja.rl.games.rules import Game, Position, stones

SIDES = "xo"


def side(board: Position) -> str:
    """Whose turn it is: x begins."""
    return SIDES[int(stones(board)) % 2]


def other(name: str) -> str:
    """The other side."""
    return SIDES[1 - SIDES.index(name)]


def number_of(move: int) -> int:
    """The number under which people know a move, from 1."""
    return move + 1


def drawn(game: Game, board: Position) -> str:
    """The board as lines of text; legal moves carry their numbers.

    >>> from kedja.rl.games.rules import CONNECT_FOUR, TIC_TAC_TOE, played
    >>> print(drawn(TIC_TAC_TOE, played(TIC_TAC_TOE, [4, 0])))
     7 | 8 | 9
    ---+---+---
     4 | x | 6
    ---+---+---
     o | 2 | 3
    >>> print(drawn(CONNECT_FOUR, played(CONNECT_FOUR, [3, 3])).splitlines()[-1])
     1 2 3 4 5 6 7
    """
    mine = side(board)
    names = {1: mine, -1: other(mine)}
    cells = game.cells(board)
    if game.gravity:
        return _with_gravity(game, cells, names)
    width = len(str(game.actions))
    rows = []
    for row in range(game.rows - 1, -1, -1):
        numbers = range(row * game.columns + 1, (row + 1) * game.columns + 1)
        shown = [names.get(int(c), str(n)) for c, n in zip(cells[row], numbers, strict=True)]
        rows.append("|".join(f" {each:>{width}} " for each in shown).rstrip())
    between = "+".join(["-" * (width + 2)] * game.columns)
    return f"\n{between}\n".join(rows)


def _with_gravity(game: Game, cells: Any, names: dict[int, str]) -> str:
    width = len(str(game.columns)) + 1
    rows = [[names.get(int(c), ".") for c in row] for row in cells[::-1]]
    numbers = [str(column + 1) for column in range(game.columns)]
    return "\n".join("".join(f"{each:>{width}}" for each in row) for row in [*rows, numbers])


class Considered(NamedTuple):
    """A legal move: its number from 1, the network's chance, the visits, and their mean worth."""

    number: int
    policy: float
    visits: int
    worth: float


@dataclass(frozen=True)
class Opinion:
    """What a player that learned thinks of a board, for the side to move.

    `judged` is the expected outcome by the network alone, `value` that after the search; 1 is a
    win, −1 a loss.
    """

    moves: list[Considered]
    judged: float
    value: float
    simulations: int

    def __str__(self) -> str:
        head = f"value {self.judged:+.2f} by the network"
        if not self.simulations:
            rows = [f"{each.number:>6} {each.policy:>9.1%}" for each in self.moves]
            return "\n".join([head, f"{'move':>6} {'chance':>9}", *rows])
        head += f", {self.value:+.2f} after {self.simulations} simulations"
        names = f"{'move':>6} {'chance':>9} {'visits':>9} {'worth':>9}"
        rows = [
            f"{m.number:>6} {m.policy:>9.1%} {m.visits:>9} "
            + (f"{m.worth:>+9.2f}" if m.visits else f"{'':>8}-")
            for m in self.moves
        ]
        return "\n".join([head, names, *rows])

    def to_json(self) -> dict[str, Any]:
        """All of it by name."""
        moves = [each._asdict() for each in self.moves]
        return {"network_value": self.judged, "search_value": self.value, "moves": moves}


def opinion(player: Learned, board: Position) -> Opinion:
    """What a player that learned thinks of a board on which the game is not over."""
    game = player.game
    boards = Position(*(np.array([each], np.uint64) for each in board))
    legal = game.moves(Position(*(int(each) for each in board)))
    if not player.simulations:
        judged = player.judge(boards)
        value = float(judged.value[0])
        alone = [Considered(number_of(m), float(judged.policy[0, m]), 0, 0.0) for m in legal]
        return Opinion(alone, value, value, 0)
    found = player.look(boards)
    rows = zip(found.policy[0], found.visits[0], found.worth[0], strict=True)
    every = [
        Considered(number_of(m), float(p), int(v), float(w)) for m, (p, v, w) in enumerate(rows)
    ]
    moves = [every[move] for move in legal]
    return Opinion(moves, float(found.judged[0]), float(found.value[0]), player.simulations)
