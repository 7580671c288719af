"""Rules of board games against brute force and known counts; perfect players; matches.

Not here: search and learning (`test_rl_games_learning.py`).
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedja.ground.errors import UsageError
from kedja.rl.games.matches import against_all, match, opened_boards
from kedja.rl.games.minimax import AlphaBeta, Exact, all_positions, single
from kedja.rl.games.players import Thinker, player_of
from kedja.rl.games.rules import (
    CONNECT_FOUR,
    TIC_TAC_TOE,
    Game,
    Position,
    game_of,
    picked,
    played,
    stones,
)
from kedja.rl.games.showing import drawn

SMALL = Game("small", 3, 4, 3, gravity=True)
WIDE = Game("wide", 3, 5, 4)


def has_line(cells, line, side):
    """Whether a side has a line, by looking at each place in each direction."""
    rows, columns = cells.shape
    for row, column, (up, right) in itertools.product(
        range(rows), range(columns), ((0, 1), (1, 0), (1, 1), (1, -1))
    ):
        places = [(row + up * n, column + right * n) for n in range(line)]
        if all(0 <= r < rows and 0 <= c < columns and cells[r, c] == side for r, c in places):
            return True
    return False


# ------------------------------------------------------------------------------ known counts


def test_tic_tac_toe_has_as_many_games_as_is_known():
    """131,184 won by the first, 77,904 by the second, 46,080 drawn: 255,168 in all."""
    game, counts = TIC_TAC_TOE, {1: 0, -1: 0, 0: 0}
    boards, ways = game.start(1), np.ones(1, np.int64)
    for number in range(1, 10):
        places, moves = np.nonzero(game.legal(boards))
        boards, ways = game.after(picked(boards, places), moves), ways[places]
        lost, over = game.lost(boards), game.over(boards)
        counts[1 if number % 2 else -1] += int(ways[lost].sum())
        counts[0] += int(ways[over & ~lost].sum())
        boards, ways = picked(boards, ~over), ways[~over]
    assert counts == {1: 131_184, -1: 77_904, 0: 46_080}


def test_tic_tac_toe_has_as_many_positions_as_is_known():
    boards, _ = all_positions(TIC_TAC_TOE)
    assert len(boards.mine) == 5478
    flat = TIC_TAC_TOE.cells(boards).reshape(-1, 9)
    seen = flat[:, TIC_TAC_TOE.symmetries.cells]  # (5478, 8, 9)
    least = {min(map(tuple, each.tolist())) for each in seen}
    assert len(least) == 765


def test_connect_four_has_as_many_lines_of_play_and_positions_as_is_known():
    """Lines of 1 to 7 moves (OEIS-like perft counts), positions by A212693."""
    game, lines, positions = CONNECT_FOUR, [], []
    boards = game.start(1)
    for _ in range(7):
        boards = picked(boards, ~game.over(boards))
        places, moves = np.nonzero(game.legal(boards))
        boards = game.after(picked(boards, places), moves)
        lines.append(len(boards.mine))
        positions.append(len(np.unique(np.stack(boards), axis=1)[0]))
    assert lines == [7, 49, 343, 2401, 16_807, 117_649, 823_536]
    assert positions == [7, 49, 238, 1120, 4263, 16_422, 54_859]


# ------------------------------------------------------------------------- against brute force


@pytest.mark.parametrize("game", [TIC_TAC_TOE, CONNECT_FOUR, SMALL, WIDE], ids=lambda g: g.name)
@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_random_game_is_what_brute_force_says(game, seed):
    draw = np.random.default_rng(seed)
    board, many = game.start(), game.start(1)
    while not game.over(board):
        moves = game.moves(board)
        assert np.flatnonzero(game.legal(many)[0]).tolist() == moves
        before, move = game.cells(board), int(draw.choice(moves))
        wins = game.winning(many)[0, move]
        board, many = game.after(board, move), game.after(many, np.array([move]))
        assert single(many, 0) == board
        cells = -game.cells(board)
        row, column = (int(each) for each in np.argwhere(cells != before)[0])
        assert cells[row, column] == 1
        assert column == move % game.columns
        assert not game.gravity or row == 0 or cells[row - 1, column] != 0
        assert game.lost(board) == has_line(cells, game.line, 1) == wins
        assert not has_line(cells, game.line, -1)
        assert stones(board) == np.count_nonzero(cells)
        planes = game.planes(many)[0]
        assert (planes[0] - planes[1] == -cells).all()
        assert game.moves(board) == sorted({_move(game, *at) for at in np.argwhere(planes[2])})
    assert game.lost(board) or not game.moves(board)


def _move(game, row, column):
    return int(column) if game.gravity else int(row * game.columns + column)


@pytest.mark.parametrize("game", [TIC_TAC_TOE, CONNECT_FOUR, WIDE], ids=lambda g: g.name)
def test_symmetric_boards_have_symmetric_moves_and_equal_ends(game):
    draw = np.random.default_rng(1)
    boards = opened_boards(game, draw.integers(0, 12, 40), draw)
    cells, legal, winning = game.cells(boards), game.legal(boards), game.winning(boards)
    same = game.symmetries
    assert len(same.cells) == {"tic-tac-toe": 8, "connect-four": 2, "wide": 4}[game.name]
    for places, moves in zip(same.cells, same.moves, strict=True):
        turned = cells.reshape(40, -1)[:, places].reshape(cells.shape)
        others = Position(*(_bits(game, turned == side) for side in (1, -1)))
        assert (game.legal(others) == legal[:, moves]).all()
        assert (game.winning(others) == winning[:, moves]).all()
        assert (game.lost(others) == game.lost(boards)).all()


def _bits(game, cells):
    return (cells.astype(np.uint64) << game.shifts).sum(axis=(1, 2), dtype=np.uint64)


# ------------------------------------------------------------------------------ perfect players


def test_minimax_values_of_known_positions():
    exact = Exact(TIC_TAC_TOE)
    assert exact.value(played(TIC_TAC_TOE, [])) == 0
    assert exact.value(played(TIC_TAC_TOE, [0, 1])) == 1  # an edge beside the corner loses
    assert exact.best(played(TIC_TAC_TOE, [0])) == [4]  # only the centre holds against a corner
    assert exact.value(played(TIC_TAC_TOE, [0, 8, 2])) == -1
    assert Exact(Game("two", 2, 2, 2)).value(Position(0, 0)) == 1


def test_alpha_beta_of_full_depth_finds_what_minimax_finds():
    exact, deep = Exact(TIC_TAC_TOE), AlphaBeta(TIC_TAC_TOE, 9)
    boards, _ = all_positions(TIC_TAC_TOE)
    for place in range(0, len(boards.mine), 101):
        board = single(boards, place)
        if not TIC_TAC_TOE.over(board):
            assert set(deep.best(board)) <= set(exact.best(board))


def test_alpha_beta_prunes_without_changing_the_best_moves():
    """Against plain minimax of the same depth and guess."""
    player = AlphaBeta(CONNECT_FOUR, 3)

    def plain(board, depth):
        if CONNECT_FOUR.over(board) or depth == 0:
            return player._value(board, 0, -(10**9), 10**9)
        nexts = [CONNECT_FOUR.after(board, move) for move in CONNECT_FOUR.moves(board)]
        return max(-plain(each, depth - 1) for each in nexts)

    for moves in ([], [3, 3, 2, 4], [0, 1, 0, 1, 0], [3, 2, 3, 2, 3, 0, 6]):
        board = played(CONNECT_FOUR, moves)
        values = {m: -plain(CONNECT_FOUR.after(board, m), 2) for m in CONNECT_FOUR.moves(board)}
        best = [move for move, value in values.items() if value == max(values.values())]
        assert sorted(player.best(board)) == best


def test_the_perfect_player_never_loses_whatever_is_played():
    exact = Exact(TIC_TAC_TOE)
    first = Thinker("first", lambda board: exact.best(board)[:1])
    found = against_all(TIC_TAC_TOE, first)
    assert found.both.losses == 0
    assert found.first.wins > 0
    worst = against_all(TIC_TAC_TOE, Thinker("least", lambda b: TIC_TAC_TOE.moves(b)[:1]))
    assert worst.both.losses > 0


def test_matches_are_fair_and_the_same_again():
    depth, chance = (player_of(name, CONNECT_FOUR) for name in ("depth-1", "random"))
    found, again = (match(CONNECT_FOUR, depth, chance, 20, openings=4, seed=3) for _ in range(2))
    assert found == again
    assert found.first.games == found.second.games == 10
    assert found.both.points > 0.8
    assert found.both.won.low < found.both.wins / 20 < found.both.won.high
    turned = match(CONNECT_FOUR, chance, depth, 20, openings=4, seed=3)
    assert turned.both.points < 0.2


# ---------------------------------------------------------------------------------- bad input

WRONG = [
    (lambda: game_of("tictactoe"), "did you mean 'tic-tac-toe'"),
    (lambda: Game("big", 9, 9, 5), "too many for 64 bits"),
    (lambda: Game("none", 2, 2, 3), "no line of 3 fits"),
    (lambda: played(TIC_TAC_TOE, [0, 0]), "move 2 is number 1, which is not legal"),
    (lambda: played(CONNECT_FOUR, [0, 1, 0, 1, 0, 1, 0, 1]), "over before move 8"),
    (lambda: player_of("perfect", CONNECT_FOUR), "use depth-4"),
    (lambda: player_of("deep", CONNECT_FOUR), "no player 'deep'"),
    (lambda: player_of("depth-0", CONNECT_FOUR), "a depth from 1"),
    (lambda: match(TIC_TAC_TOE, None, None, 1), "2 or more"),
]


@pytest.mark.parametrize(("call", "message"), WRONG, ids=[message for _, message in WRONG])
def test_bad_input_has_a_clear_message(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def test_boards_are_drawn_as_people_know_them():
    board = played(Game("four", 4, 4, 4), [0, 15])
    lines = drawn(Game("four", 4, 4, 4), board).splitlines()
    assert lines[0] == " 13 | 14 | 15 |  o"
    assert lines[-1] == "  x |  2 |  3 |  4"
    assert drawn(SMALL, played(SMALL, [1])).splitlines() == [
        *(" . . . .", " . . . .", " . x . ."),
        " 1 2 3 4",
    ]
