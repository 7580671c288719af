"""The array object of the standard: operators, scalars, 0-d arrays, products, indices."""

from __future__ import annotations

import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

import kedja as kj
from kedja.ground.errors import ShapeError, UsageError
from tests.array_api.oracle import (
    ALL,
    FILLED,
    FLOATS,
    INTEGERS,
    NUMBERS,
    arrays,
    both,
    numbers,
    same,
    strict,
)

OPERATORS = {
    **dict.fromkeys(("add", "sub", "mul", "lt", "le", "gt", "ge"), NUMBERS),
    **dict.fromkeys(("eq", "ne"), ALL),
    **dict.fromkeys(("and_", "or_", "xor"), ("bool", *INTEGERS)),
    **dict.fromkeys(("lshift", "rshift"), INTEGERS),
    **dict.fromkeys(("floordiv", "mod"), NUMBERS),
    "truediv": FLOATS,
    "pow": NUMBERS,
}
UPDATES = ("iadd", "isub", "imul", "ifloordiv", "imod", "ipow", "itruediv")
BITS = ("iand", "ior", "ixor", "ilshift", "irshift")
PAIRS = [((), ()), ((3,), ()), ((2, 3), (3,)), ((2, 1), (1, 3)), ((0,), (1,))]


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name):
    function = getattr(operator, name)
    for dtype in OPERATORS[name]:
        for seed, shapes in enumerate(PAIRS):
            a, b = numbers(dtype, shapes[0], seed), numbers(dtype, shapes[1], seed + 1, 1, 4)
            (x, y), (u, v) = both(a), both(b)
            with np.errstate(all="ignore"):
                expected = function(y, v)
            same(function(x, u), expected, exact=name != "pow", what=f"{name} {a} {b}")


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_with_scalars_on_either_side(name):
    function = getattr(operator, name)
    for seed, dtype in enumerate(OPERATORS[name]):
        x, y = both(numbers(dtype, (4,), seed, 1, 4))
        scalar = numbers(dtype, (), seed, 1, 3).item()
        exact = name != "pow"
        same(function(x, scalar), function(y, scalar), exact=exact, what=f"{name} {dtype}")
        same(function(scalar, x), function(scalar, y), exact=exact, what=f"{name} {dtype}")


@pytest.mark.parametrize("name", ["neg", "pos", "abs", "invert"])
def test_unary_operators(name):
    function = getattr(operator, name)
    for seed, dtype in enumerate(("bool", *INTEGERS) if name == "invert" else NUMBERS):
        x, y = both(numbers(dtype, (2, 3), seed))
        same(function(x), function(y), what=f"{name} {dtype}")


@pytest.mark.parametrize("name", [*UPDATES, *BITS])
def test_updates_in_place(name):
    function = getattr(operator, name)
    dtypes = INTEGERS if name in BITS else FLOATS if name == "itruediv" else NUMBERS
    for seed, dtype in enumerate(dtypes):
        a, b = numbers(dtype, (2, 3), seed, 1, 4), numbers(dtype, (3,), seed + 1, 1, 3)
        (x, y), (u, v) = both(a), both(b)
        same(function(x, u), function(y, v), exact=name != "ipow", what=f"{name} {dtype}")


@pytest.mark.parametrize("dtype", ALL)
def test_scalars_of_python(dtype):
    for value in (0, 1):
        x, y = both(np.asarray(value, dtype))
        assert bool(x) == bool(y)
        assert int(x) == int(y)
        assert float(x) == float(y)
        assert complex(x) == complex(y)
        assert x.shape == ()
        assert x.ndim == 0
        assert x.size == 1
    if dtype in INTEGERS:
        assert operator.index(x) == operator.index(y)


# -------------------------------------------------------------------------------- products


@given(st.data(), st.sampled_from(NUMBERS))
@settings(max_examples=60)
def test_matmul(data, dtype):
    shapes = data.draw(arrays_of.mutually_broadcastable_shapes(signature="(m?,n),(n,p?)->(m?,p?)"))
    a, b = (numbers(dtype, shape, i, -3, 3) for i, shape in enumerate(shapes.input_shapes))
    (x, y), (u, v) = both(a), both(b)
    exact = dtype not in FLOATS
    same(kj.matmul(x, u), strict.matmul(y, v), exact=exact)
    same(x @ u, y @ v, exact=exact)


@given(st.data(), st.sampled_from(NUMBERS))
@settings(max_examples=60)
def test_vecdot(data, dtype):
    shapes = data.draw(arrays_of.mutually_broadcastable_shapes(signature="(i),(i)->()"))
    a, b = (numbers(dtype, shape, i, -3, 3) for i, shape in enumerate(shapes.input_shapes))
    (x, y), (u, v) = both(a), both(b)
    same(kj.vecdot(x, u), strict.vecdot(y, v), exact=dtype not in FLOATS)
    axis = data.draw(st.integers(-min(a.ndim, b.ndim), -1))
    if a.shape[axis] == b.shape[axis]:
        expected = np.sum(np.moveaxis(a, axis, -1) * np.moveaxis(b, axis, -1), -1, dtype=dtype)
        found = kj.vecdot(x, u, axis=axis)
        assert found.dtype == dtype
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-5)


@given(st.data(), st.sampled_from(NUMBERS))
@settings(max_examples=60)
def test_tensordot(data, dtype):
    shared = data.draw(arrays_of.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    first, second = (
        data.draw(arrays_of.array_shapes(min_dims=0, max_dims=2, max_side=3)) for _ in "ab"
    )
    a = numbers(dtype, (*first, *shared), 0, -3, 3)
    b = numbers(dtype, (*shared, *second), 1, -3, 3)
    (x, y), (u, v) = both(a), both(b)
    exact, count = dtype not in FLOATS, len(shared)
    same(kj.tensordot(x, u, axes=count), strict.tensordot(y, v, axes=count), exact=exact)
    axes = (tuple(range(-count, 0)), tuple(range(count)))
    same(kj.tensordot(x, u, axes=axes), strict.tensordot(y, v, axes=axes), exact=exact)


def test_products_that_do_not_fit():
    x, y = kj.ones((2, 3)), kj.ones((4, 3))
    with pytest.raises(ShapeError, match="along axis 0"):
        kj.vecdot(x, y, axis=0)
    with pytest.raises(ShapeError, match="axis 1 of the first has 3 elements, axis 0 of the sec"):
        kj.tensordot(x, y, axes=1)
    with pytest.raises(UsageError, match="at most as many"):
        kj.tensordot(x, y, axes=3)
    with pytest.raises(UsageError, match="as many of both"):
        kj.tensordot(x, y, axes=((0,), (0, 1)))


# --------------------------------------------------------------------------------- indices


@given(st.data(), arrays(ALL, FILLED))
def test_the_standards_indices(data, array):
    key = data.draw(arrays_of.basic_indices(array.shape, allow_newaxis=True, allow_ellipsis=True))
    if isinstance(key, tuple) and Ellipsis not in key:
        key = (*key, ...)
    x, y = both(array)
    try:
        expected = y[key]
    except IndexError:  # slices that leave the array, which the standard does not define
        return
    same(x[key], expected)


@given(st.data(), arrays(ALL, FILLED))
def test_the_standards_masks(data, array):
    x, y = both(array)
    mine, right = both(data.draw(arrays("bool", array.shape)))
    same(x[mine], y[right])


def test_integer_arrays_beside_integers():
    x, y = both(np.arange(60).reshape(3, 4, 5))
    for key in (([0, 2], 1, 4), (2, [0, 1, 1], 0), ([0, 1], [1, 2], [0, 0]), (1, [[3], [0]], [4])):
        mine = tuple(kj.asarray(part) if isinstance(part, list) else part for part in key)
        right = tuple(strict.asarray(part) if isinstance(part, list) else part for part in key)
        same(x[mine], y[right])
