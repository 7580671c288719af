"""Functions of the library under `vmap`: each against a Python loop, values and gradients.

Not here: single ops with every choice of batched inputs (`tests/ops/test_ops_batch.py`), and what
`vmap` does with axes and trees (`test_front_vmap.py`).
"""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.ground.errors import GradientError
from tests.fixtures import TIERS

RNG = np.random.default_rng(0)
X = kj.asarray(RNG.uniform(0.1, 2, (3, 4, 5)))  # three examples of shape (4, 5)
W = kj.asarray(RNG.standard_normal((5, 2)))
T = kj.asarray(RNG.standard_normal((6, 5)))
ROWS = kj.asarray(RNG.standard_normal((3, 5)))

FUNCTIONS = {
    "prod": lambda x: kj.prod(x, axis=0),
    "cumulative": lambda x: kj.var(x, axis=1) + kj.std(x, axis=-1),
    "mean": lambda x: kj.mean(x, axis=(0, 1), keepdims=True),
    "argmax": lambda x: kj.argmax(x, axis=1),
    "logsumexp": lambda x: kj.logsumexp(x, axis=0),
    "softmax": lambda x: kj.softmax(x, axis=-2),
    "matmul": lambda x: x @ W,
    "matmul from the left": lambda x: T @ kj.matrix_transpose(x),
    "matrix by vector": lambda x: T @ x[0],
    "vector by matrix": lambda x: x[1] @ W,
    "product of two": lambda x: x @ x.T,
    "inner": lambda x: x[0] @ x[1],
    "tensordot": lambda x: kj.tensordot(x, W, axes=1),
    "transpose": lambda x: kj.permute_dims(x, (1, 0)),
    "moveaxis": lambda x: kj.moveaxis(x, 0, -1),
    "reshape": lambda x: kj.reshape(x, (2, -1)),
    "broadcast": lambda x: kj.broadcast_to(x[0], (3, 4, 5)),
    "concat": lambda x: kj.concat([x, T], axis=0),
    "stack": lambda x: kj.stack([x, x * 2], axis=1),
    "repeat": lambda x: kj.repeat(x, 2, axis=1),
    "tile": lambda x: kj.tile(x, (2, 1)),
    "roll": lambda x: kj.roll(x, 1, axis=0),
    "flip": lambda x: kj.flip(x, axis=0),
    "pad": lambda x: kj.pad(x, ((1, 0), (0, 2))),
    "tril": kj.tril,
    "diff": lambda x: kj.diff(x, axis=1),
    "slices": lambda x: x[1:3, ::-2] + x[-1, None, 0],
    "an array as index": lambda x: x[[0, 2, 2]],
    "its own argmax": lambda x: kj.take(x, kj.argmax(x[:, 0]), axis=0),
    "take_along_axis": lambda x: kj.take_along_axis(x, kj.argmax(x, axis=1)[:, None], axis=1),
    "one_hot": lambda x: kj.one_hot(kj.argmax(x, axis=1), 7, dtype=kj.float64),
    "where": lambda x: kj.where(x > x[0], x, 0.0),
    "clip": lambda x: kj.clip(x, 0.5, 1.5),
    "pow": lambda x: x**2.5 / (1 + x),
    "cross_entropy": lambda x: kj.cross_entropy_each(x, kj.argmax(T[:4], axis=1)),
    "scatter_add": lambda x: kj.scatter_add(kj.zeros((4, 5), dtype=kj.float64), [1, 1], x[:2]),
    "cast": lambda x: x.astype(kj.float32).astype(kj.float64),
    "stop_gradient": lambda x: kj.stop_gradient(x) * x,
    "meshgrid": lambda x: kj.meshgrid(x[0], x[1])[1],
}


def looped(f, *args):
    """One call after the other, stacked."""
    rows = [f(*(each[i] for each in args)) for i in range(len(args[0]))]
    return np.stack([each.numpy() for each in rows])


def same(found, expected):
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_gradients(name):
    f = FUNCTIONS[name]
    same(kj.vmap(f)(X), looped(f, X))
    if kj.isdtype(f(X[0]).dtype, "real floating"):
        slope = kj.grad(lambda x: kj.sum(kj.sin(f(x))))
        same(kj.vmap(slope)(X), looped(slope, X))
        whole = kj.grad(lambda x: kj.sum(kj.sin(kj.vmap(f)(x))))
        same(whole(X), looped(slope, X))


# ----------------------------------------------------------------- functions with functions inside


def recurrence(start, xs):
    return kj.scan(lambda h, x: (kj.tanh(h + x @ W @ W.T), h), start, xs)[0]


def chosen(x, other):
    return kj.cond(kj.sum(x) > 5, lambda a, b: a * b, lambda a, b: a + b, x, other)


def grown(x):
    return kj.while_loop(lambda y: kj.sum(y) < 50, lambda y: y * 1.5, x)


@kj.custom_vjp
def clipped(x):
    return x * 2


clipped.defvjp(lambda x: (x * 2, x), lambda x, g: (kj.clip(g, -0.5, 0.5) * x,))

INSIDE = {
    "scan": (lambda x: recurrence(kj.zeros(5, dtype=kj.float64), x)),
    "scan from the example": (lambda x: recurrence(x[0], T)),
    "cond": lambda x: chosen(x[0], x[1]),
    "cond of what is shared": lambda x: chosen(T[0], x[1]),
    "checkpoint": lambda x: kj.checkpoint(lambda y: kj.exp(-y @ W))(x),
    "custom derivative": lambda x: clipped(kj.sin(x)),
    "fori_loop": lambda x: kj.fori_loop(0, 3, lambda i, y: y * x[0] + i, x[1]),
}


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("name", INSIDE)
def test_functions_inside(name, tier):
    f = INSIDE[name]

    def slope(x):
        return kj.grad(lambda y: kj.sum(f(y) ** 2))(x)

    expected, slopes = looped(f, X), looped(slope, X)
    with kj.scope(tier=tier):
        same(kj.vmap(f)(X), expected)
        same(kj.vmap(slope)(X), slopes)
        same(kj.grad(lambda x: kj.sum(kj.vmap(f)(x) ** 2))(X), slopes)
        same(kj.jit(kj.vmap(slope))(X), slopes)


def test_loops_end_when_the_last_example_has_ended():
    same(kj.vmap(grown)(X), looped(grown, X))
    pushed = kj.vmap(lambda x, t: kj.jvp(grown, (x,), (t,))[1])(X, X)
    same(pushed, looped(lambda x: kj.jvp(grown, (x,), (x,))[1], X))
    with pytest.raises(GradientError, match="while_loop"):
        kj.vmap(kj.grad(lambda x: kj.sum(grown(x))))(X)


def test_a_scan_of_batched_steps_is_a_batch_of_scans():
    steps = kj.permute_dims(X, (1, 0, 2))
    start = ROWS

    def step(h, x):
        return kj.tanh(h + x), h

    inside = kj.scan(kj.vmap(step), start, steps)
    outside = kj.vmap(lambda h, xs: kj.scan(step, h, xs), out_axes=(0, 1))(start, X)
    for mine, theirs in zip(inside, outside, strict=True):
        same(mine, theirs.numpy())


# ------------------------------------------------------------------------------------- layers


def test_layers_take_one_example():
    model = nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.Linear(8, 3)).astype(kj.float64)
    same(kj.vmap(model)(X), looped(model, X))
    same(kj.vmap(model)(ROWS), model(ROWS).numpy())


def test_a_loss_of_each_example():
    labels = kj.arange(3)
    same(kj.vmap(kj.cross_entropy_each)(ROWS, labels), kj.cross_entropy_each(ROWS, labels).numpy())
