"""What training needs of the loop: shared carries, replaced data, whole steps on Ctrl-C."""

from __future__ import annotations

import numpy as np
import pytest
from train_problems import interpreted, tier

import kedja as kj
from kedja.front.loop import Loop
from kedja.ground.errors import UsageError
from kedja.interpret import stepping

__all__ = ["interpreted", "tier"]


def add(carry, fixed):
    return {"n": carry["n"] + 1, "x": carry["x"] + fixed}


def start():
    return {"n": np.int64(0), "x": np.zeros(3, np.float32)}


def test_a_shared_carry_is_seen_by_both(tier):
    first = Loop(add, start(), np.ones(3, np.float32))
    second = Loop(add, start(), np.full(3, 10, np.float32))
    second.share(first)
    first.run(2)
    second.run(1)
    assert first.carry["x"].tolist() == [12, 12, 12]
    assert int(second.carry["n"]) == 3


def test_live_follows_and_carry_does_not(tier):
    loop = Loop(add, start(), np.ones(3, np.float32))
    live, copy = loop.live, loop.carry
    loop.run(2)
    assert live["x"].numpy().tolist() == [2, 2, 2]
    assert copy["x"].numpy().tolist() == [0, 0, 0]


def test_fixed_arrays_can_be_replaced(tier):
    loop = Loop(add, start(), np.ones(3, np.float32))
    loop.run(1)
    loop.set_fixed(np.full(3, 5, np.float32))
    loop.run(1)
    assert loop.carry["x"].tolist() == [6, 6, 6]


def test_what_does_not_fit_is_refused(interpreted):
    loop = Loop(add, start(), np.ones(3, np.float32))
    with pytest.raises(UsageError, match="other fixed arrays"):
        loop.set_fixed(np.ones(4, np.float32))
    other = Loop(add, start() | {"x": np.zeros((2, 3), np.float32)}, np.ones(3, np.float32))
    with pytest.raises(UsageError, match="cannot share"):
        other.share(loop)


def test_ctrl_c_between_two_arrays_of_the_carry_leaves_a_whole_step(interpreted, monkeypatch):
    loop = Loop(add, start(), np.ones(3, np.float32))
    store, calls = stepping._store, []

    def half(state, found):
        calls.append(0)
        if len(calls) == 2:
            state[0][...] = found[0]
            raise KeyboardInterrupt
        store(state, found)

    monkeypatch.setattr(stepping, "_store", half)
    ran = loop.run(5, cancellable=True)
    assert (ran.steps, ran.status) == (2, "cancelled")
    assert isinstance(ran.interrupt, KeyboardInterrupt)
    assert int(loop.carry["n"]) == 2
    assert loop.carry["x"].tolist() == [2, 2, 2]


def test_runs_that_take_no_time_are_not_watched_over(monkeypatch):
    with kj.scope(tier="compile"):
        loop = Loop(add, start(), np.ones(3, np.float32))
    seen = []
    advance = loop._program.advance

    def recorded(*args, **options):
        seen.append(options["cancellable"])
        return advance(*args, **options)

    monkeypatch.setattr(loop._program, "advance", recorded)
    loop.run(10, cancellable=True)  # how long it takes is not known yet
    loop.run(10, cancellable=True)
    loop.run(10**6, cancellable=True)
    assert seen == [True, False, True]
    assert int(loop.carry["n"]) == 10**6 + 20
