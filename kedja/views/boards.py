"""A board as a picture, with what a network and its search think of the moves.

Not here: boards as text (`kedja/rl/games/showing.py`). Next: `kernel_matrix.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kedja.rl.games.rules import Game, Position
from kedja.rl.games.showing import Opinion, number_of, other, side
from kedja.views.figures import axes

COLOURS = {"x": "tab:red", "o": "gold"}
SHADE = "tab:blue"


def plot_board(game: Game, board: Position, thought: Opinion | None = None, ax: Any = None) -> Any:
    """Draw the stones of both sides, and the moves in the shade of their visits.

    Where nothing was searched, in the shade of their chances; each has its number, chance and
    visits. `thought` is what `kj.rl.games.opinion` gives. Gives the axes.

    >>> from kedja.rl.games.rules import CONNECT_FOUR, played
    >>> ax = plot_board(CONNECT_FOUR, played(CONNECT_FOUR, [3, 3, 2]))
    >>> len(ax.patches), ax.get_title()
    (42, 'o to move')
    """
    ax = axes(ax)
    mine = side(board)
    names = {1: mine, -1: other(mine), 0: ""}
    for (row, column), stone in np.ndenumerate(game.cells(board)):
        _cell(ax, (column, row), names[int(stone)])
    title = f"{mine} to move"
    if thought is not None:
        title += f", worth {thought.value:+.2f}"
        _moves(ax, game, board, thought)
    ax.set(xlim=(-0.5, game.columns - 0.5), ylim=(-0.5, game.rows - 0.5), title=title)
    ax.set(aspect="equal", xticks=[], yticks=[])
    return ax


def _cell(ax: Any, place: tuple[int, int], name: str) -> None:
    from matplotlib.patches import Circle

    colour = COLOURS.get(name, "white")
    ax.add_patch(Circle(place, 0.42, facecolor=colour, edgecolor="grey"))
    if name:
        ax.text(*place, name, ha="center", va="center")


def _moves(ax: Any, game: Game, board: Position, thought: Opinion) -> None:
    """The free cells that can be played, in the shade of how much is thought of them."""
    from matplotlib.patches import Circle

    total = sum(each.visits for each in thought.moves)
    numbers = {each.number: each for each in thought.moves}
    for place, move in _places(game, board).items():
        each = numbers[number_of(move)]
        share = each.visits / total if total else each.policy
        ax.add_patch(Circle(place, 0.42, facecolor=SHADE, alpha=0.05 + 0.75 * share))
        text = f"{each.number}\n{each.policy:.0%}"
        text += f"\n{each.visits}" if total else ""
        ax.text(*place, text, ha="center", va="center", fontsize=7)


def _places(game: Game, board: Position) -> dict[tuple[int, int], int]:
    """The moves by the cells (column, row) into which a stone would come."""
    cells = game.cells(board)
    found = {}
    for move in game.moves(board):
        after = game.cells(game.after(board, move))
        row, column = (int(each) for each in np.argwhere(after != -cells)[0])
        found[column, row] = move
    return found
