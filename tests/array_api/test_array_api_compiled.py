"""The functions in compiled programs, our own and XLA's: the same as at the prompt.

All of them in one program, with their gradients in another. Single ops over their dtypes and sizes:
`tests/ops/test_executors.py`.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest

import kedja as kj
from tests.array_api.oracle import FLOATS
from tests.array_api.test_array_api_elementwise import BINARY, UNARY

RNG = np.random.default_rng(0)
X = RNG.uniform(0.1, 0.9, (4, 6))
Y = RNG.uniform(0.2, 0.8, (6,))
MASK = X[:, 0] > 0.5

ELEMENTWISE = {
    **{name: partial(lambda f, x, y: f(x), getattr(kj, name)) for name in UNARY},
    **{name: partial(lambda f, x, y: f(x, y), getattr(kj, name)) for name in BINARY},
}
SMOOTH = {
    name: f
    for name, f in ELEMENTWISE.items()
    if "float64" in {**UNARY, **BINARY}[name] and name not in ("acosh", "nextafter")
}
OTHERS = {
    **{
        name: partial(lambda f, x, y: f(x, axis=0) * 2, getattr(kj, name))
        for name in ("sum", "prod", "max", "min", "mean", "var", "std")
    },
    "argmax": lambda x, y: kj.argmax(x, axis=1, keepdims=True),
    "all": lambda x, y: kj.all(x > 0.3, axis=0),
    "diff": lambda x, y: kj.diff(x, n=2, axis=0, prepend=x[:1]),
    "vecdot": lambda x, y: kj.vecdot(x, y),
    "tensordot": lambda x, y: kj.tensordot(x, x, axes=((0,), (0,))),
    "matmul": lambda x, y: x @ y,
    "einsum": lambda x, y: kj.einsum("ij,kj,j->ik", x, x, y),
    "einsum diagonal": lambda x, y: kj.einsum("ii->i", x[:, :4]),
    "roll": lambda x, y: kj.roll(x, (1, -2), axis=(0, 1)),
    "repeat": lambda x, y: kj.repeat(x, [1, 0, 2, 3], axis=0),
    "tile": lambda x, y: kj.tile(x, (2, 1, 2)),
    "moveaxis": lambda x, y: kj.moveaxis(x, 0, -1),
    "flip": lambda x, y: kj.flip(x, axis=1),
    "tril": lambda x, y: kj.tril(x, k=1) + kj.triu(x, k=-1),
    "meshgrid": lambda x, y: kj.meshgrid(x[0], y)[0],
    "unstack": lambda x, y: kj.stack(kj.unstack(x), axis=-1),
    "concat": lambda x, y: kj.concat([x, y], axis=None),
    "split": lambda x, y: kj.split(x, 3, axis=1)[1],
    "clip": lambda x, y: kj.clip(x, 0.3, y),
    "where": lambda x, y: kj.where(x > y, x, 0.0),
    "take": lambda x, y: kj.take(x, [2, 0, 2], axis=1),
    "keys": lambda x, y: x[[0, 2], ..., [[1], [3]]] + x[1, None, ::-5],
    "mask": lambda x, y: x[MASK, 1:],
    "at add": lambda x, y: x.at[[0, 0, 2]].add(y),
    "at multiply": lambda x, y: x.at[1:3, ::2].multiply(y[:3]),
    "at mask": lambda x, y: x.at[x > 0.5].apply(kj.log),
    "at set": lambda x, y: x.at[:, [0, 0]].set(y[:2]),
    "arange": lambda x, y: kj.arange(0, 2, 0.5, dtype="float64") * y[:4],
    "eye": lambda x, y: kj.eye(4, 6, k=1, dtype="float64") * x,
    "power": lambda x, y: x**3 + y**0.5,
    "integer power": lambda x, y: kj.astype(x * 9, "int32") ** kj.astype(y * 5, "int32"),
    "logical": lambda x, y: kj.logical_xor(x > y, x > 0.5),
}


def all_of(functions, x, y):
    """The results of functions that the two arrays suit (bits and shifts get whole numbers)."""
    found = {}
    for name, f in functions.items():
        dtypes = {**UNARY, **BINARY}.get(name, FLOATS)
        kind = "float64" if "float64" in dtypes else dtypes[0]
        more = name == "acosh"
        found[name] = f(*(cast(each, kind, more) for each in (x, y)))
    return found


def cast(x, kind, more):
    if kind == "float64":
        return x + 1 if more else x
    return x > 0.5 if kind == "bool" else (x * 6).astype(kind)


def slopes(functions, x, y):
    """The gradients of the sums of functions' results."""
    return {
        name: kj.grad(lambda x, y, f=f: kj.sum(f(x, y)), (0, 1))(x, y)
        for name, f in functions.items()
    }


def floating(functions):
    kept = all_of(functions, kj.asarray(X), kj.asarray(Y))
    return {name: f for name, f in functions.items() if kept[name].dtype == "float64"}


BACKENDS = [
    pytest.param({}, id="own"),
    pytest.param(
        {"backend": "xla"},
        id="xla",
        marks=pytest.mark.skipif(find_spec("jax") is None, reason="needs jax"),
    ),
]


@pytest.mark.parametrize("options", BACKENDS)
@pytest.mark.parametrize("functions", [ELEMENTWISE, OTHERS], ids=["elementwise", "others"])
def test_values(functions, options):
    run = partial(all_of, functions)
    agree(run(kj.asarray(X), kj.asarray(Y)), kj.jit(run, **options)(X, Y))


@pytest.mark.parametrize("options", BACKENDS)
@pytest.mark.parametrize("functions", [SMOOTH, OTHERS], ids=["elementwise", "others"])
def test_gradients(functions, options):
    run = partial(slopes, floating(functions))
    expected, found = run(kj.asarray(X), kj.asarray(Y)), kj.jit(run, **options)(X, Y)
    for name in expected:
        for right, mine in zip(expected[name], found[name], strict=True):
            agree({name: right}, {name: mine})


def agree(expected, found):
    assert set(expected) == set(found)
    for name, right in expected.items():
        mine = found[name]
        assert (mine.dtype, mine.shape) == (right.dtype, right.shape), name
        np.testing.assert_allclose(mine.numpy(), right.numpy(), 1e-10, 1e-12, err_msg=name)
