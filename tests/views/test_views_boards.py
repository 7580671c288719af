"""A board as a picture shows its stones, and every legal move as it is thought of."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")

from kedja.rl.games.rules import CONNECT_FOUR, TIC_TAC_TOE, played
from kedja.rl.games.showing import Considered, Opinion
from kedja.views import plot_board


@pytest.mark.parametrize("searched", [True, False])
def test_each_move_is_drawn_where_its_stone_would_come(searched):
    board = played(CONNECT_FOUR, [3, 3, 3, 3, 3, 3, 2])
    moves = [0, 1, 2, 4, 5, 6]  # the fourth column is full
    rows = [Considered(m + 1, 1 / 6, 10 * searched, 0.0) for m in moves]
    ax = plot_board(CONNECT_FOUR, board, Opinion(rows, 0.1, 0.25, 60 * searched))
    texts = {each.get_position(): each.get_text() for each in ax.texts}
    ends = "\n10" if searched else ""
    assert texts[2, 1] == f"3\n17%{ends}"
    assert texts[3, 0] == "x"
    assert texts[3, 1] == "o"
    assert len(texts) == 7 + 6
    assert ax.get_title() == "o to move, worth +0.25"


def test_cells_are_numbered_as_they_are_in_text():
    board = played(TIC_TAC_TOE, [4])
    rows = [Considered(m + 1, 1 / 8, 0, 0.0) for m in TIC_TAC_TOE.moves(board)]
    ax = plot_board(TIC_TAC_TOE, board, Opinion(rows, 0.0, 0.0, 0))
    texts = {each.get_position(): each.get_text() for each in ax.texts}
    assert texts[0, 2].startswith("7\n")
    assert texts[1, 1] == "x"
