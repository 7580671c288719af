"""Statistical, utility and searching functions of the standard: axes, keepdims, dtypes."""

from __future__ import annotations

import warnings
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kedja as kj
from kedja.ground.errors import ShapeError, UsageError
from tests.array_api.oracle import (
    ALL,
    FILLED,
    FLOATS,
    INTEGERS,
    NUMBERS,
    SHAPES,
    UNSIGNED,
    arrays,
    both,
    numbers,
    same,
    strict,
)


def axes_of(rank: int) -> list:
    """None, every axis from both ends, every set of axes."""
    several = [each for n in range(rank + 1) for each in combinations(range(rank), n)]
    return [None, *range(-rank, rank), *several]


def some_axes(data, rank: int):
    return data.draw(st.sampled_from(axes_of(rank)))


# name: the dtypes that it takes, and whether the axes may be empty
REDUCTIONS = {
    "sum": (NUMBERS, True),
    "prod": (NUMBERS, True),
    "max": (NUMBERS, False),
    "min": (NUMBERS, False),
    "mean": (FLOATS, True),
    "var": (FLOATS, True),
    "std": (FLOATS, True),
    "any": (ALL, True),
    "all": (ALL, True),
}


@pytest.mark.parametrize("name", REDUCTIONS)
@given(st.data(), st.booleans())
@settings(max_examples=60)
def test_reductions(name, data, keepdims):
    dtypes, empty = REDUCTIONS[name]
    array = data.draw(arrays(dtypes, SHAPES if empty else FILLED, low=-3, high=3))
    axis = some_axes(data, array.ndim)
    x, y = both(array)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        expected = getattr(strict, name)(y, axis=axis, keepdims=keepdims)
    found = getattr(kj, name)(x, axis=axis, keepdims=keepdims)
    same(found, expected, exact=array.dtype.name not in FLOATS, what=f"{name} {axis}")


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_reductions_of_special_values(name, special):
    array = np.array([[1.0, special, 2.0], [0.0, 1.0, 3.0]])
    x, y = both(array)
    with np.errstate(all="ignore"):
        expected = getattr(strict, name)(y, axis=1)
    same(getattr(kj, name)(x, axis=1), expected, exact=False)


@pytest.mark.parametrize("name", ["sum", "prod"])
@pytest.mark.parametrize("source", NUMBERS)
@pytest.mark.parametrize("dtype", NUMBERS)
def test_the_dtype_of_a_sum_is_chosen(name, source, dtype):
    x, y = both(np.ones((2, 3), source) * 2)
    expected = getattr(strict, name)(y, axis=0, dtype=getattr(strict, dtype))
    same(getattr(kj, name)(x, axis=0, dtype=dtype), expected)


@pytest.mark.parametrize("name", ["sum", "prod"])
def test_small_integers_do_not_overflow(name):
    for dtype in INTEGERS:
        x, y = both(np.full(9, 100, dtype))
        found = getattr(kj, name)(x)
        assert found.dtype == ("uint64" if dtype in UNSIGNED else "int64")
        same(found, getattr(strict, name)(y))


@given(st.data(), st.sampled_from(("var", "std")), st.sampled_from((0, 1, 0.5, 2.0)))
def test_corrections(data, name, correction):
    array = data.draw(arrays(FLOATS, (3, 4), low=-5, high=5))
    axis = some_axes(data, 2)
    if axis == ():
        return
    x, y = both(array)
    expected = getattr(strict, name)(y, axis=axis, correction=correction)
    same(getattr(kj, name)(x, axis=axis, correction=correction), expected, exact=False)


# ---------------------------------------------------------------------------------- places


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@given(st.data(), st.booleans())
def test_places_of_extrema(name, data, keepdims):
    array = data.draw(arrays(NUMBERS, FILLED))
    axis = data.draw(st.none() | st.integers(-array.ndim, array.ndim - 1))
    x, y = both(array)
    expected = getattr(strict, name)(y, axis=axis, keepdims=keepdims)
    same(getattr(kj, name)(x, axis=axis, keepdims=keepdims), expected)


def test_the_place_in_a_scalar():
    for name in ("argmax", "argmin"):
        for keepdims in (False, True):
            same(
                getattr(kj, name)(kj.tensor(2.0), keepdims=keepdims),
                getattr(strict, name)(strict.asarray(2.0), keepdims=keepdims),
            )


# ------------------------------------------------------------------------------ differences


@given(st.data(), st.integers(0, 4))
def test_differences(data, n):
    array = data.draw(arrays(NUMBERS, FILLED, low=0, high=9))
    axis = data.draw(st.integers(-array.ndim, array.ndim - 1))
    options, oracle_options = {}, {}
    for name in ("prepend", "append"):
        if data.draw(st.booleans()):
            shape = list(array.shape)
            shape[axis] = data.draw(st.integers(1, 3))
            options[name], oracle_options[name] = both(
                numbers(array.dtype.name, tuple(shape), n, 0, 9)
            )
    x, y = both(array)
    expected = strict.diff(y, axis=axis, n=n, **oracle_options)
    same(kj.diff(x, axis=axis, n=n, **options), expected)


# ----------------------------------------------------------------------------- derivatives


@given(st.data())
@settings(max_examples=40)
def test_the_gradient_of_a_product_is_right_where_factors_are_zero(data):
    array = data.draw(arrays("float64", FILLED, low=-2, high=2))
    axis = some_axes(data, array.ndim)
    found = kj.grad(lambda x: kj.sum(kj.prod(x, axis=axis)))(array).numpy()
    expected = np.empty_like(array)
    for place in np.ndindex(array.shape):
        others = array.copy()
        others[place] = 1
        line = np.prod(others, axis=axis, keepdims=True)
        expected[place] = np.broadcast_to(line, array.shape)[place]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


# ---------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("name", [*REDUCTIONS, "argmax", "argmin"])
def test_axes_that_are_not_there(name):
    function = getattr(kj, name)
    with pytest.raises(UsageError, match="axis 2"):
        function(kj.ones((2, 3)), axis=2)
    if name not in ("argmax", "argmin"):
        with pytest.raises(UsageError, match="twice"):
            function(kj.ones((2, 3)), axis=(0, -2))


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin"])
def test_extrema_of_nothing(name):
    with pytest.raises(ShapeError, match="without elements"):
        getattr(kj, name)(kj.ones((0, 3)), axis=0)
