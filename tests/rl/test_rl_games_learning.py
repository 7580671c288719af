"""Search, self-play and what is kept of it. Not here: rules (`test_rl_games_rules.py`)."""

from __future__ import annotations

import numpy as np
import pytest

from kedja import rl
from kedja.front.tensor import as_tensor
from kedja.ground.errors import CheckpointError, Interrupted, UsageError
from kedja.models import folder as folders
from kedja.rl import keeping
from kedja.rl.games.matches import against_all, opened_boards
from kedja.rl.games.minimax import Exact, single
from kedja.rl.games.network import BoardNet, Judge, Judgement, config_for
from kedja.rl.games.players import Learned
from kedja.rl.games.playing import played_games
from kedja.rl.games.rules import CONNECT_FOUR, TIC_TAC_TOE, Game, Position, picked, played
from kedja.rl.games.search import Noise, search
from kedja.rl.games.self_play import _Run
from kedja.rl.games.settings import Settings
from kedja.rl.games.showing import opinion

TINY = {"games": 6, "simulations": 6, "steps": 3, "batch": 32, "channels": 4, "blocks": 1}
TINY |= {"hidden": 8, "iterations": 3, "progress": False, "seed": 3}


def exactly(game):
    """A judge that knows the true value, and nothing about moves."""
    exact = Exact(game)

    def judge(boards):
        legal = game.legal(boards)
        values = [exact.value(single(boards, place)) for place in range(len(legal))]
        return Judgement(legal / legal.sum(-1, keepdims=True), np.array(values, np.float32))

    return judge


def blank(game):
    """A judge that knows nothing."""

    def judge(boards):
        legal = game.legal(boards)
        return Judgement(legal / legal.sum(-1, keepdims=True), np.zeros(len(legal), np.float32))

    return judge


def array(*boards):
    return Position(*(np.array(each, np.uint64) for each in zip(*boards, strict=True)))


# ------------------------------------------------------------------------------------- search


def test_visits_add_up_and_illegal_moves_have_none():
    draw = np.random.default_rng(0)
    boards = opened_boards(CONNECT_FOUR, draw.integers(0, 30, 20), draw)
    found = search(CONNECT_FOUR, blank(CONNECT_FOUR), boards, 25, noise=Noise(0.5, draw))
    assert (found.visits.sum(axis=-1) == 25).all()
    assert (found.visits[~CONNECT_FOUR.legal(boards)] == 0).all()
    assert (np.abs(found.worth) <= 1).all()
    assert (np.abs(found.value) <= 1).all()


def test_a_search_of_many_boards_is_that_of_each():
    draw = np.random.default_rng(1)
    boards = opened_boards(TIC_TAC_TOE, np.full(8, 2), draw)
    judge = blank(TIC_TAC_TOE)
    together = search(TIC_TAC_TOE, judge, boards, 30)
    for place in range(8):
        alone = search(TIC_TAC_TOE, judge, picked(boards, slice(place, place + 1)), 30)
        assert (alone.visits[0] == together.visits[place]).all()
        assert (alone.worth[0] == together.worth[place]).all()


def test_search_with_a_perfect_value_plays_perfectly():
    judge = exactly(TIC_TAC_TOE)

    class Searcher:
        name = "search"

        def __call__(self, boards, generator):
            return search(TIC_TAC_TOE, judge, boards, 40).visits.argmax(axis=-1)

    assert against_all(TIC_TAC_TOE, Searcher()).both.losses == 0


def test_search_takes_a_win_and_sees_a_threat_that_the_network_does_not():
    won = played(CONNECT_FOUR, [3, 0, 3, 0, 3, 1])
    lost = played(CONNECT_FOUR, [3, 0, 3, 0, 3])
    found = search(CONNECT_FOUR, blank(CONNECT_FOUR), array(won, lost), 40)
    assert found.visits[0, 3] == 40
    assert found.worth[0, 3] == 1
    assert found.visits[1].argmax() == 3
    assert (found.worth[1, [0, 1, 2, 4, 5, 6]] == -1).all()


def test_values_turn_with_the_side_that_moves():
    """A judge that says +0.5 of every position: good for whom it is asked about."""
    judge = blank(TIC_TAC_TOE)

    def glad(boards):
        return judge(boards)._replace(value=np.full(len(boards.mine), 0.5, np.float32))

    found = search(TIC_TAC_TOE, glad, TIC_TAC_TOE.start(1), 9)
    assert (found.worth[0][found.visits[0] == 1] == -0.5).all()


# ---------------------------------------------------------------------------------- self-play


def test_played_games_leave_what_their_ends_say():
    settings = Settings(games=20, simulations=12, openings=2)
    found = played_games(TIC_TAC_TOE, blank(TIC_TAC_TOE), settings, np.random.default_rng(0))
    examples, exact = found.examples, Exact(TIC_TAC_TOE)
    assert np.allclose(examples.policy.sum(axis=-1), 1)
    assert not examples.policy[~TIC_TAC_TOE.legal(examples.boards)].any()
    assert set(np.unique(examples.outcome)) == {-1.0, 0.0, 1.0}
    last = np.bitwise_count(examples.boards.mine | examples.boards.theirs) == 8
    for place in np.flatnonzero(last):  # one cell is free: the outcome is the exact value
        assert examples.outcome[place] == exact.value(single(examples.boards, place))
    winning = TIC_TAC_TOE.winning(examples.boards).any(axis=-1)
    assert (examples.outcome[winning] == 1).all()  # the search never leaves a win


def test_a_run_that_goes_on_has_the_bits_of_one_that_was_not_interrupted(tmp_path, monkeypatch):
    whole = rl.self_play("connect-four", **TINY)
    lives = _Run._next

    def interrupted(self, number):
        if number == 3:
            raise KeyboardInterrupt
        return lives(self, number)

    monkeypatch.setattr(_Run, "_next", interrupted)
    with pytest.raises(Interrupted, match="after 2 iterations"):
        rl.self_play("connect-four", checkpoint=tmp_path, **TINY)
    monkeypatch.setattr(_Run, "_next", lives)
    cut = rl.self_play("connect-four", checkpoint=tmp_path, resume=True, **TINY)
    assert cut.curve == whole.curve
    assert cut.evaluations == whole.evaluations
    mine, theirs = (each.network.state_dict() for each in (cut, whole))
    assert all((as_tensor(mine[n]).numpy() == as_tensor(theirs[n]).numpy()).all() for n in mine)
    with pytest.raises(CheckpointError, match="steps is 4"):
        rl.self_play("connect-four", checkpoint=tmp_path, resume=True, **{**TINY, "steps": 4})


def test_the_network_learns_and_is_kept(tmp_path):
    found = rl.self_play(
        Game("three", 2, 3, 2),
        iterations=4,
        games=24,
        simulations=16,
        steps=30,
        channels=8,
        blocks=1,
        progress=False,
    )
    losses = [each.policy_loss + each.value_loss for each in found.curve]
    assert losses[-1] < losses[0] - 0.1
    first = found.player(16)(array(Position(0, 0)))
    assert Exact(found.game).value(found.game.after(Position(0, 0), int(first[0]))) == -1
    folders.save(tmp_path, found.network)
    again = Learned(folders.load(tmp_path).model, 0)
    boards = opened_boards(found.game, np.arange(3), np.random.default_rng(0))
    assert (again.judge(boards).policy == found.player(0).judge(boards).policy).all()


def test_judging_does_not_depend_on_rows_that_fill_the_batch():
    judge = Judge(BoardNet(config_for(TIC_TAC_TOE, channels=4, blocks=1, hidden=8)))
    draw = np.random.default_rng(0)
    boards = opened_boards(TIC_TAC_TOE, draw.integers(0, 6, 11), draw)
    together = judge(boards)
    for place in range(11):
        alone = judge(picked(boards, slice(place, place + 1)))
        assert np.allclose(alone.policy[0], together.policy[place], atol=1e-6)
        assert np.allclose(alone.value[0], together.value[place], atol=1e-6)
    assert np.allclose(together.policy.sum(axis=-1), 1)
    assert not together.policy[~TIC_TAC_TOE.legal(boards)].any()


def test_an_opinion_holds_every_legal_move():
    network = BoardNet(config_for(CONNECT_FOUR, channels=4, blocks=1, hidden=8))
    board = played(CONNECT_FOUR, [0, 0, 0, 0, 0, 0, 3])
    found = opinion(Learned(network, 20), board)
    assert [each.number for each in found.moves] == [2, 3, 4, 5, 6, 7]
    assert sum(each.visits for each in found.moves) == 20
    assert "after 20 simulations" in str(found)
    alone = opinion(Learned(network, 0), board)
    assert sum(each.policy for each in alone.moves) == pytest.approx(1, abs=1e-6)
    assert alone.to_json()["network_value"] == alone.value


WRONG = [
    ({"game": "chess"}, "no game 'chess'"),
    ({"simulation": 3}, "did you mean 'simulations'"),
    ({"games": 0}, "games is 0"),
    ({"lr": 0.0}, "numbers above 0"),
    ({"mix": 2.0}, "a share from 0 to 1"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[message for _, message in WRONG])
def test_bad_settings_have_a_clear_message(options, message):
    with pytest.raises(UsageError, match=message):
        rl.self_play(**options)


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / keeping.FILE).write_bytes(b"nothing")
    with pytest.raises(CheckpointError):
        rl.self_play("tic-tac-toe", checkpoint=tmp_path, resume=True, **TINY)
