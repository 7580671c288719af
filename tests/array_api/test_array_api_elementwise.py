"""Elementwise functions of the standard: every one, over its dtypes, shapes, scalars."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

import kedja as kj
from tests.array_api.oracle import (
    ALL,
    FLOATS,
    INTEGERS,
    NUMBERS,
    SIGNED,
    UNSIGNED,
    arrays,
    both,
    elements,
    same,
    strict,
)

# name: the dtypes of its inputs; values differ by rounding where NOT_EXACT
UNARY = {
    **dict.fromkeys(
        ("acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "exp", "expm1", "log"),
        FLOATS,
    ),
    **dict.fromkeys(
        ("log1p", "log2", "log10", "sin", "sinh", "sqrt", "tan", "tanh", "signbit", "reciprocal"),
        FLOATS,
    ),
    **dict.fromkeys(("abs", "negative", "positive", "sign", "square"), NUMBERS),
    **dict.fromkeys(("ceil", "floor", "round", "trunc", "isfinite", "isinf", "isnan"), NUMBERS),
    "bitwise_invert": ("bool", *INTEGERS),
    "logical_not": ("bool",),
}
BINARY = {
    **dict.fromkeys(("add", "multiply", "subtract", "maximum", "minimum"), NUMBERS),
    **dict.fromkeys(("less", "less_equal", "greater", "greater_equal"), NUMBERS),
    **dict.fromkeys(("equal", "not_equal"), ALL),
    **dict.fromkeys(("divide", "atan2", "hypot", "logaddexp", "copysign", "nextafter"), FLOATS),
    **dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor"), ("bool", *INTEGERS)),
    **dict.fromkeys(("logical_and", "logical_or", "logical_xor"), ("bool",)),
    **dict.fromkeys(("floor_divide", "remainder"), NUMBERS),  # by anything but 0
    **dict.fromkeys(("bitwise_left_shift", "bitwise_right_shift"), INTEGERS),
    "pow": NUMBERS,
}
BOUNDS = {  # of the second input
    "floor_divide": {"low": 1, "high": 7},
    "remainder": {"low": 1, "high": 7},
    "bitwise_left_shift": {"low": 0, "high": 7},
    "bitwise_right_shift": {"low": 0, "high": 7},
    "pow": {"low": 0, "high": 3},
}
NOT_EXACT = {"hypot", "logaddexp", "pow", "atan2"}  # NumPy's own vary from loop to loop

UNARY_CASES = [(name, dtype) for name, dtypes in UNARY.items() for dtype in dtypes]
KINDS = {
    **dict.fromkeys(FLOATS, FLOATS),
    **dict.fromkeys(SIGNED, INTEGERS[:7]),
    **dict.fromkeys(UNSIGNED, (*UNSIGNED, "int64")),
    "bool": ("bool",),
}


def met(dtype: str, other: str) -> bool:
    """Whether the standard says in which dtype two meet."""
    return {dtype, other} != {"uint64", "int64"} and not (
        "uint64" in (dtype, other) and (dtype in SIGNED or other in SIGNED)
    )


BINARY_CASES = [
    (name, dtype, other)
    for name, dtypes in BINARY.items()
    for dtype in dtypes
    for other in KINDS[dtype]
    if other in dtypes and met(dtype, other)
]


def test_every_elementwise_function_is_here():
    inspected = {
        name
        for name in dir(strict)
        if getattr(getattr(strict, name), "__module__", "").endswith("_elementwise_functions")
    }
    assert inspected - {"conj", "imag", "real", "clip"} == set(UNARY) | set(BINARY)


@pytest.mark.parametrize(("name", "dtype"), UNARY_CASES)
@given(st.data())
def test_functions_of_one_array(name, dtype, data):
    x, y = both(data.draw(arrays(dtype)))
    with np.errstate(all="ignore"):
        same(getattr(kj, name)(x), getattr(strict, name)(y), exact=dtype not in FLOATS, what=name)


@pytest.mark.parametrize(("name", "dtype", "other"), BINARY_CASES)
@given(st.data())
def test_functions_of_two_arrays(name, dtype, other, data):
    shapes = data.draw(arrays_of.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3))
    first, second = shapes.input_shapes
    a = data.draw(arrays(dtype, first))
    b = data.draw(arrays(other, second, **BOUNDS.get(name, {})))
    (x, y), (u, v) = both(a), both(b)
    with np.errstate(all="ignore"):
        expected = getattr(strict, name)(y, v)
    same(getattr(kj, name)(x, u), expected, exact=name not in NOT_EXACT, what=f"{name} {a} {b}")


@pytest.mark.parametrize("name", sorted(set(BINARY) - {"bitwise_left_shift", "pow"}))
@given(st.data())
def test_python_scalars_take_the_dtype_of_the_array(name, data):
    dtype = data.draw(st.sampled_from(BINARY[name]))
    low = BOUNDS.get(name, {"low": 1})["low"]
    a = data.draw(arrays(dtype, low=low, high=7))
    x, y = both(a)
    scalar = data.draw(elements(dtype, low=low, high=7))
    scalar = bool(scalar) if dtype == "bool" else scalar
    function, oracle = getattr(kj, name), getattr(strict, name)
    with np.errstate(all="ignore"):
        same(function(x, scalar), oracle(y, scalar), exact=name not in NOT_EXACT, what=name)
        same(function(scalar, x), oracle(scalar, y), exact=name not in NOT_EXACT, what=name)


@pytest.mark.parametrize("dtype", NUMBERS)
@given(st.data())
def test_clip(dtype, data):
    x, y = both(data.draw(arrays(dtype)))
    low = data.draw(st.none() | elements(dtype, low=0, high=3))
    high = data.draw(st.none() | arrays(dtype, x.shape, low=3, high=9))
    mine, right = (None, None) if high is None else both(high)
    same(kj.clip(x, low, mine), strict.clip(y, low, right))
    same(kj.clip(x, max=5), strict.clip(y, max=5))
    same(kj.clip(x, min=1, max=5), strict.clip(y, min=1, max=5))


@pytest.mark.parametrize("dtype", ALL)
@given(st.data())
def test_where(dtype, data):
    shapes = data.draw(arrays_of.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3))
    first, second, third = shapes.input_shapes
    other = data.draw(st.sampled_from([each for each in KINDS[dtype] if met(dtype, each)]))
    (c, d) = both(data.draw(arrays("bool", first)))
    (x, y), (u, v) = both(data.draw(arrays(dtype, second))), both(data.draw(arrays(other, third)))
    same(kj.where(c, x, u), strict.where(d, y, v))
    scalar = False if dtype == "bool" else 3
    same(kj.where(c, x, scalar), strict.where(d, y, scalar))
    same(kj.where(c, scalar, x), strict.where(d, scalar, y))


SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 5e-324, 1.7e308, -2.5])


@pytest.mark.parametrize("name", ["hypot", "logaddexp", "copysign", "nextafter", "atan2", "divide"])
def test_special_values_meet_as_in_numpy(name):
    a, b = (each.reshape(-1).copy() for each in np.meshgrid(SPECIAL, SPECIAL))
    with np.errstate(all="ignore"):
        expected = np.asarray(getattr(strict, name)(strict.asarray(a), strict.asarray(b)))
    found = getattr(kj, name)(kj.asarray(a), kj.asarray(b)).numpy()
    np.testing.assert_array_equal(found, expected)
    known = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found)[known], np.signbit(expected)[known])
