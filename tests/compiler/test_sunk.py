"""Weights that a loop reads turned: no copy of them is made before the loop."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja.ground.dtypes import float32


def repeated(rows, outputs, inputs, change=lambda w: w.T):
    """x ← tanh(x Wᵀ) V, 5 times, compiled; its arguments."""
    rng = np.random.default_rng(0)
    x, w, v = (
        rng.standard_normal(shape).astype(float32) * 0.05
        for shape in ((rows, inputs), (outputs, inputs), (outputs, inputs))
    )

    def run(x, w, v):
        return kj.scan(lambda x, _: (kj.tanh(x @ change(w)) @ v, None), x, length=5)[0]

    return run, (x, w, v)


def copies(run, given):
    f = kj.jit(run)
    f(*given)
    with kj.profile() as profile:
        f(*given)
    return [each.name for each in profile.kernels if "transpose" in each.name]


@pytest.mark.parametrize(
    ("rows", "outputs", "inputs", "count"),
    [
        (1, 60, 50, 0),
        (3, 60, 50, 0),
        (4, 60, 50, 1),  # the copy pays: it is small, and each step would turn the weight
        (8, 700, 500, 1),
    ],
)
def test_where_a_copy_is_made(rows, outputs, inputs, count):
    run, given = repeated(rows, outputs, inputs)
    assert len(copies(run, given)) == count


def test_the_numbers_are_the_same():
    for rows in (1, 8):
        run, given = repeated(rows, 700, 500)
        given = [each.astype("float64") for each in given]
        with kj.scope(tier="interpret"):
            expected = kj.jit(run)(*given).numpy()
        assert np.allclose(kj.jit(run)(*given).numpy(), expected, rtol=1e-10, atol=1e-12)


def test_a_weight_that_is_read_otherwise_too_is_turned_once():
    run, given = repeated(1, 60, 50, lambda w: kj.exp(w.T))
    f = kj.jit(run)
    with kj.scope(tier="interpret"):
        expected = kj.jit(run)(*given).numpy()
    assert np.allclose(f(*given).numpy(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("rows", "size", "count"), [(1, 40, 0), (4, 40, 1), (8, 600, 0), (9, 600, 1)]
)
def test_in_a_loop_of_unknown_length(rows, size, count):
    """Large weights are not turned for a few steps."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((rows, size)), rng.standard_normal((size, size)) * size**-0.5
    x, w = x.astype(float32), w.astype(float32)

    def run(x, w):
        return kj.while_loop(lambda c: c[0] < 4, lambda c: (c[0] + 1, c[1] @ w.T), (0, x))[1]

    assert len(copies(run, (x, w))) == count
    expected = x.astype("float64") @ np.linalg.matrix_power(w.T.astype("float64"), 4)
    assert np.allclose(kj.jit(run)(x, w).numpy(), expected, rtol=1e-3, atol=1e-4)


def test_gradients_go_through():
    run, given = repeated(2, 30, 20)
    loss = lambda *args: kj.sum(run(*args) ** 2)  # noqa: E731
    with kj.scope(tier="interpret"):
        expected = kj.grad(loss, argnums=1)(*map(kj.tensor, given)).numpy()
    found = kj.jit(lambda *args: kj.grad(loss, argnums=1)(*args))(*given).numpy()
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_a_cache_of_halves_is_written_where_it_stands():
    """A step of a loop writes one place, in the dtype of the cache."""
    x = kj.ones((4, 512, 64), "bfloat16")

    def run(x, y):
        def step(x, i):
            place = kj.reshape(i, (1,))
            return x.at[:, place].set(y), None

        return kj.scan(step, x, kj.arange(20))[0]

    f = kj.jit(run)
    y = kj.full((4, 1, 64), 2.5, "bfloat16")
    found = f(x, y).numpy()
    assert (found[:, :20] == 2.5).all()
    assert (found[:, 20:] == 1).all()
    with kj.profile() as profile:
        f(x, y)
    assert not [each for each in profile.kernels if each.name.startswith("cast")]
