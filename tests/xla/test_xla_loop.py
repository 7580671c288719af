"""Many steps inside XLA: whole steps whatever interrupts, the same bits however a run is cut."""

from __future__ import annotations

import _thread
import threading

import numpy as np
import pytest

import kedja as kj
from kedja import nn, optim
from kedja.front.jit import trace
from kedja.front.loop import Loop
from kedja.xla import program

pytest.importorskip("jax")


@pytest.fixture(autouse=True)
def backend():
    """Everything that is compiled here is compiled by XLA."""
    with kj.scope(backend="xla"):
        yield


def chaotic(carry, fixed):
    """A logistic map, in which any other rounding shows at once, beside a count and a half."""
    x = carry["x"]
    return {"half": carry["half"] * 0.5, "n": carry["n"] + 1, "x": fixed * x * (1 - x)}


def start():
    return {
        "half": kj.ones((), "bfloat16"),
        "n": kj.tensor(0),
        "x": kj.tensor(np.linspace(0.1, 0.9, 17), "float32"),
    }


def loop(**options):
    return Loop(chaotic, start(), kj.tensor(3.9), **options)


def bits(run):
    return [leaf.numpy().tobytes() for leaf in kj.tree.leaves(run.carry)]


def test_where_a_run_is_cut_changes_no_bit(monkeypatch):
    whole, cut, watched = loop(), loop(), loop()
    assert whole.run(300) == (300, "done", None)
    for steps in (1, 2, 97, 0, 200):
        assert cut.run(steps) == (steps, "done", None)
    monkeypatch.setattr(program, "CALL_SECONDS", 0.0)  # a call for every step
    told = []
    assert watched.run(300, progress=told.append, cancellable=True).steps == 300
    assert told == list(range(1, 301))
    assert bits(whole) == bits(cut) == bits(watched)
    assert whole.carry["n"].item() == 300
    assert whole.carry["half"].dtype == "bfloat16"


def test_long_calls_follow_short_ones():
    run, told = loop(), []
    assert run.run(200_000, progress=told.append, cancellable=True).status == "done"
    assert told[-1] == 200_000
    assert told == sorted(set(told))
    assert len(told) < 2000


def test_an_error_of_progress_ends_the_run_after_a_whole_step(monkeypatch):
    monkeypatch.setattr(program, "CALL_SECONDS", 0.0)
    run, error = loop(), RuntimeError("enough")

    def stop(done):
        if done == 5:
            raise error

    assert run.run(100, progress=stop, cancellable=True) == (5, "cancelled", error)
    assert run.carry["n"].item() == 5
    same = loop()
    same.run(5)
    assert bits(run) == bits(same)
    with pytest.raises(RuntimeError, match="enough"):
        run._program.advance(run._state, run._fixed, 9, progress=lambda done: stop(5))


def test_ctrl_c_is_heard_between_calls():
    run = loop()
    run.run(10)
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    ran = run.run(10**9, cancellable=True)
    timer.join()
    assert ran.status == "cancelled"
    assert isinstance(ran.interrupt, KeyboardInterrupt)
    assert 0 < ran.steps < 10**9
    assert run.carry["n"].item() == 10 + ran.steps


def test_the_step_that_leaves_the_numbers_is_not_taken():
    def grow(carry, fixed):
        return {"n": carry["n"] + 1, "x": carry["x"] * fixed}

    run = Loop(grow, {"n": kj.tensor(0), "x": kj.ones(())}, kj.tensor(10.0), watch="x")
    assert run.run(1000) == (38, "nonfinite", None)
    assert run.carry["n"].item() == 38
    assert np.isfinite(run.carry["x"].item())
    assert run.run(1000, cancellable=True) == (0, "nonfinite", None)
    run.write("x", 1.0)
    assert run.run(30) == (30, "done", None)


def test_outputs_that_are_not_carried_are_returned():
    from_x = trace(lambda x, y: (x + y, x * y), [kj.ones(3).node.type] * 2, as_arguments)
    run = program.compile(from_x.outputs, from_x.inputs, carry={0: 0})
    x, y = np.arange(3, dtype=np.float32), np.full(3, 2, np.float32)
    (product,) = run(x, y)
    assert product.tolist() == [0, 2, 4]
    assert x.tolist() == [2, 3, 4]


def as_arguments(tensors):
    return tensors, {}


def problem():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, 6)).astype(np.float32)
    return x, (x[:, 0] + x[:, 1] > 0).astype(np.int64)


def trained(backend, **options):
    with kj.scope(backend=backend):
        model = nn.mlp([6, 8, 2], "tanh", key=kj.random.key(0))
        trainer = kj.Trainer(
            model,
            loss=nn.cross_entropy,
            optimizer=optim.Adam(1e-2),
            batch_size=16,
            progress=False,
            **options,
        )
        return trainer.fit(*problem(), epochs=3)


def test_fit_under_the_flag_learns_as_the_compiler_does():
    mine, again, right = trained("xla"), trained("xla"), trained("cpu")
    assert mine.steps == right.steps == 21
    np.testing.assert_allclose(mine.losses, right.losses, rtol=1e-4)
    np.testing.assert_array_equal(mine.losses, again.losses)
    assert mine.losses[-1] < mine.losses[0]
