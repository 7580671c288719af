"""The modes of scatter against plain loops, PyTorch and each other; ties, zeros, repeated places.

The walk over the table (`test_table.py`, `test_executors.py`) holds for these ops too.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedja.autodiff.forward import jvp
from kedja.autodiff.reverse import vjp
from kedja.ground.dtypes import ALL, NUMBERS
from kedja.ground.errors import DataError, DtypeError, ShapeError
from kedja.interpret.reference import run
from kedja.ir.graph import apply, constant
from tests.fixtures import needs_compiler, variables
from tests.ops.executors import compiled

MODES = {
    "add": lambda a, b: a + b,
    "set": lambda a, b: b,
    "max": np.maximum,
    "min": np.minimum,
    "multiply": lambda a, b: a * b,
}


def by_hand(mode, x, index, updates, axis):
    """One update after the other, in row-major order of the index."""
    out, function = x.copy(), MODES[mode]
    for place in np.ndindex(index.shape):
        here = (slice(None),) * axis
        into = (*here, index[place])
        out[into] = function(out[into], updates[(*here, *place)])
    return out


def along_by_hand(mode, x, index, updates, axis):
    out, function = x.copy(), MODES[mode]
    for place in np.ndindex(index.shape):
        into = (*place[:axis], index[place], *place[axis + 1 :])
        out[into] = function(out[into], updates[place])
    return out


def scattered(mode, x, index, updates, axis, tail=""):
    xs = variables((x, index, updates))
    return apply(f"scatter_{mode}{tail}", *xs, axis=axis), xs


@st.composite
def calls(draw):
    """An array, an index of one or two axes with repetitions, updates, and the axis."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    axis = draw(st.integers(0, len(shape) - 1))
    index_shape = draw(st.lists(st.integers(0, 4), max_size=2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from([np.float32, np.float64, np.int32, np.int64]))
    index = rng.integers(0, shape[axis], index_shape)
    x = rng.integers(-4, 5, shape).astype(dtype)
    updates = rng.integers(-4, 5, (*shape[:axis], *index_shape, *shape[axis + 1 :])).astype(dtype)
    return x, index, updates, axis


@given(call=calls(), mode=st.sampled_from(list(MODES)))
def test_every_mode_is_a_loop_over_the_updates(call, mode):
    x, index, updates, axis = call
    node, xs = scattered(mode, x, index, updates, axis)
    found = run([node], dict(zip(xs, (x, index, updates), strict=True)))[0]
    np.testing.assert_array_equal(found, by_hand(mode, x, index, updates, axis))
    assert found.dtype == x.dtype


@given(call=calls(), mode=st.sampled_from(list(MODES)), seed=st.integers(0, 99))
def test_every_mode_along_an_axis_is_a_loop(call, mode, seed):
    x, _, updates, axis = call
    count = updates.size // max(1, x.size // x.shape[axis])
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    updates = np.resize(updates, shape) if updates.size else np.zeros(shape, x.dtype)
    index = np.random.default_rng(seed).integers(0, x.shape[axis], shape)
    node, xs = scattered(mode, x, index, updates, axis, "_along_axis")
    found = run([node], dict(zip(xs, (x, index, updates), strict=True)))[0]
    np.testing.assert_array_equal(found, along_by_hand(mode, x, index, updates, axis))


@needs_compiler
@pytest.mark.parametrize("tail", ["", "_along_axis"])
@pytest.mark.parametrize("mode", MODES)
def test_compiled_loops_keep_the_order_of_the_updates(mode, tail):
    """Many updates of few places, cut into several tasks."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((3, 70, 90)).astype(np.float32)
    index = rng.integers(0, 70, (3, 400, 90) if tail else (400,))
    updates = rng.uniform(0.99, 1.01, (3, 400, 90)).astype(np.float32)
    node, xs = scattered(mode, x, index, updates, 1, tail)
    (found,) = compiled([node], xs, [x, index, updates])
    hand = along_by_hand if tail else by_hand
    if tail:
        found, x, index, updates = (each[:, :, :5] for each in (found, x, index, updates))
    np.testing.assert_array_equal(found, hand(mode, x, index, updates, 1))


@pytest.mark.parametrize("dtype", ALL, ids=str)
def test_set_takes_every_dtype(dtype):
    x = np.array([1, 0, 1, 0]).astype(dtype)
    updates = np.array([0, 1, 0]).astype(dtype)
    node, xs = scattered("set", x, np.array([0, 1, 1]), updates, 0)
    found = run([node], dict(zip(xs, (x, np.array([0, 1, 1]), updates), strict=True)))[0]
    np.testing.assert_array_equal(found.astype(float), [0, 0, 1, 0])
    assert found.dtype == dtype


@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
@pytest.mark.parametrize(
    ("mode", "expected"), [("max", [5, 3]), ("min", [1, 2]), ("multiply", [5, 24])]
)
def test_the_other_modes_take_every_number(mode, expected, dtype):
    arrays = (
        np.array([1, 2]).astype(dtype),
        np.array([1, 0, 1]),
        np.array([3, 5, 4]).astype(dtype),
    )
    if mode == "max":
        arrays = (arrays[0], arrays[1], np.array([3, 5, 2]).astype(dtype))
    node, xs = scattered(mode, *arrays, 0)
    found = run([node], dict(zip(xs, arrays, strict=True)))[0]
    np.testing.assert_array_equal(found.astype(float), expected)


def test_nan_wins_and_infinity_counts():
    x = np.array([1.0, np.nan, 3.0, -np.inf])
    index, updates = np.array([0, 1, 2, 3]), np.array([np.nan, 1.0, np.inf, -1.0])
    for mode, expected in (
        ("max", [np.nan, np.nan, np.inf, -1]),
        ("min", [np.nan, np.nan, 3, -np.inf]),
    ):
        node, xs = scattered(mode, x, index, updates, 0)
        found = run([node], dict(zip(xs, (x, index, updates), strict=True)))[0]
        np.testing.assert_array_equal(found, expected)


# ------------------------------------------------------------------------------- gradients


def gradients(mode, x, index, updates, axis, g, tail=""):
    node, xs = scattered(mode, x, index, updates, axis, tail)
    found = vjp([node], [constant(g)], [xs[0], xs[2]])
    return run(found, dict(zip(xs, (x, index, updates), strict=True)))


def test_overwritten_elements_and_updates_get_no_gradient():
    x, g = np.zeros(4), np.array([1.0, 2.0, 3.0, 4.0])
    base, updates = gradients("set", x, np.array([2, 0, 2]), np.ones(3), 0, g)
    np.testing.assert_array_equal(base, [0, 2, 0, 4])
    np.testing.assert_array_equal(updates, [0, 1, 3])  # of the two at place 2 only the last


@pytest.mark.parametrize("mode", ["max", "min"])
def test_ties_share_equally_with_the_base(mode):
    x, g = np.array([5.0, 1.0, 7.0]), np.array([6.0, 1.0, 1.0])
    index, updates = (
        np.array([0, 0, 0, 2]),
        np.array([5.0, 5.0, 0.0 if mode == "max" else 9.0, 7.0]),
    )
    base, found = gradients(mode, x, index, updates, 0, g)
    np.testing.assert_allclose(base, [2, 1, 0.5])
    np.testing.assert_allclose(found, [2, 2, 0, 0.5])


def test_products_with_zeros_have_exact_gradients():
    x, g = np.array([2.0, 0.0, 0.0, 3.0]), np.ones(4)
    index, updates = np.array([0, 0, 1, 1, 2]), np.array([0.0, 5.0, 4.0, 6.0, 0.0])
    base, found = gradients("multiply", x, index, updates, 0, g)
    np.testing.assert_allclose(base, [0, 24, 0, 1])
    np.testing.assert_allclose(found, [10, 0, 0, 0, 0])


def test_the_second_derivative_of_two_zero_factors():
    """y = a·b at a = b = 0: ∂²y/∂a∂b = 1."""
    x, index, updates = np.ones(1), np.array([0, 0]), np.zeros(2)
    node, xs = scattered("multiply", x, index, updates, 0)
    (first,) = jvp([node], {xs[2]: constant(np.array([1.0, 0.0]))})
    (second,) = jvp([first], {xs[2]: constant(np.array([0.0, 1.0]))})
    assert run([second], dict(zip(xs, (x, index, updates), strict=True)))[0] == [1.0]


TORCH = {"add": "sum", "max": "amax", "min": "amin", "multiply": "prod"}


@pytest.mark.parametrize("whole", [False, True], ids=["distinct", "ties"])
@pytest.mark.parametrize("mode", TORCH)
def test_gradients_are_those_of_pytorch(mode, whole):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(8)
    x, updates = rng.standard_normal((3, 5)), rng.standard_normal((3, 9))
    if whole:
        x, updates = np.round(x), np.round(updates)
    index, g = rng.integers(0, 5, (3, 9)), rng.standard_normal((3, 5))
    mine = gradients(mode, x, index, updates, 1, g, "_along_axis")
    a, b = (torch.tensor(each, requires_grad=True) for each in (x, updates))
    y = a.scatter_reduce(1, torch.tensor(index), b, TORCH[mode], include_self=True)
    theirs = torch.autograd.grad(y, (a, b), torch.tensor(g))
    for found, expected in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-12, atol=1e-12)


# ---------------------------------------------------------------------------------- errors


def test_wrong_calls_are_errors():
    x, index, updates = np.zeros((3, 4)), np.zeros(2, np.int64), np.zeros((2, 4))
    with pytest.raises(ShapeError, match="scatter_set of"):
        scattered("set", x, index, updates[:1], 0)
    with pytest.raises(DtypeError, match="updates"):
        scattered("max", x, index, updates.astype(np.float32), 0)
    with pytest.raises(DtypeError, match="bool"):
        scattered("max", x > 0, index, updates > 0, 0)
    with pytest.raises(DtypeError):
        scattered("set", x, index.astype(float), updates, 0)
    with pytest.raises(ShapeError, match="without elements"):
        scattered("set", np.zeros((0, 4)), index, updates, 0)


@pytest.mark.parametrize("mode", MODES)
def test_an_index_outside_is_an_error(mode):
    arrays = (np.zeros(3), np.array([0, 3]), np.ones(2))
    node, xs = scattered(mode, *arrays, 0)
    with pytest.raises(DataError, match="index 3 is outside an axis of 3"):
        run([node], dict(zip(xs, arrays, strict=True)))


@needs_compiler
@settings(max_examples=15)
@given(call=calls(), mode=st.sampled_from(list(MODES)))
def test_compiled_scatters_agree(call, mode):
    x, index, updates, axis = call
    node, xs = scattered(mode, x, index, updates, axis)
    (found,) = compiled([node], xs, [x, index, updates])
    np.testing.assert_array_equal(found, by_hand(mode, x, index, updates, axis))
