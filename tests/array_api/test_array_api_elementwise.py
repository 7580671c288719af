"""Elementwise functions of the standard: every one, over its dtypes, shapes, scalars."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
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
    numbers,
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
    "floor_divide": (1, 7),
    "remainder": (1, 7),
    "bitwise_left_shift": (0, 7),
    "bitwise_right_shift": (0, 7),
    "pow": (0, 3),
}
NOT_EXACT = {"hypot", "logaddexp", "pow", "atan2"}  # NumPy's own vary from loop to loop

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


def test_every_elementwise_function_is_here():
    inspected = {
        name
        for name in dir(strict)
        if getattr(getattr(strict, name), "__module__", "").endswith("_elementwise_functions")
    }
    assert inspected - {"conj", "imag", "real", "clip"} == set(UNARY) | set(BINARY)


PLACES = [(), (0,), (5,), (2, 1, 4)]
PAIRS = [((), ()), ((2, 3), (3,)), ((4,), ()), ((2, 1), (1, 3)), ((1,), (0,))]


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_array(name):
    for dtype in UNARY[name]:
        for seed, shape in enumerate(PLACES):
            check_one(name, dtype, shape, seed)


def check_one(name, dtype, shape, seed):
    x, y = both(numbers(dtype, shape, seed))
    with np.errstate(all="ignore"):
        expected = getattr(strict, name)(y)
    same(getattr(kj, name)(x), expected, exact=dtype not in FLOATS, what=f"{name} {y}")


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_arrays(name):
    for dtype in BINARY[name]:
        for other in partners(name, dtype):
            for seed, shapes in enumerate(PAIRS):
                check_two(name, dtype, other, shapes, seed)


def partners(name, dtype):
    """The dtypes that the standard lets the second input of a function have."""
    return [each for each in KINDS[dtype] if each in BINARY[name] and met(dtype, each)]


def check_two(name, dtype, other, shapes, seed):
    (x, y) = both(numbers(dtype, shapes[0], seed))
    (u, v) = both(numbers(other, shapes[1], seed + 1, *BOUNDS.get(name, ())))
    with np.errstate(all="ignore"):
        expected = getattr(strict, name)(y, v)
    found = getattr(kj, name)(x, u)
    same(found, expected, exact=name not in NOT_EXACT, what=f"{name} {y} {v}")


@given(st.data(), st.integers(0, 2**32 - 1))
@settings(max_examples=300)
def test_any_function_over_any_shapes(data, seed):
    shapes = data.draw(
        arrays_of.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=4)
    )
    name = data.draw(st.sampled_from([*UNARY, *BINARY]))
    if name in UNARY:
        check_one(name, data.draw(st.sampled_from(UNARY[name])), shapes.input_shapes[0], seed)
        return
    dtype = data.draw(st.sampled_from(BINARY[name]))
    other = data.draw(st.sampled_from(partners(name, dtype)))
    check_two(name, dtype, other, shapes.input_shapes, seed)


@pytest.mark.parametrize("name", sorted(set(BINARY) - {"bitwise_left_shift", "pow"}))
def test_python_scalars_take_the_dtype_of_the_array(name):
    function, oracle = getattr(kj, name), getattr(strict, name)
    low, high = BOUNDS.get(name, (1, 7))
    for seed, dtype in enumerate(BINARY[name]):
        x, y = both(numbers(dtype, (5,), seed, low, high))
        scalar = numbers(dtype, (), seed + 1, low, high).item()
        with np.errstate(all="ignore"):
            same(function(x, scalar), oracle(y, scalar), exact=name not in NOT_EXACT, what=name)
            same(function(scalar, x), oracle(scalar, y), exact=name not in NOT_EXACT, what=name)


@given(arrays(NUMBERS), st.none() | st.integers(0, 3), st.none() | st.integers(0, 9))
def test_clip(array, low, seed):
    x, y = both(array)
    high = None if seed is None else numbers(array.dtype.name, array.shape, seed, 3, 9)
    mine, right = both(high)
    same(kj.clip(x, low, mine), strict.clip(y, low, right))
    same(kj.clip(x, max=5), strict.clip(y, max=5))
    same(kj.clip(x, min=1, max=5), strict.clip(y, min=1, max=5))


@given(st.data(), st.sampled_from(ALL), st.integers(0, 2**32 - 1))
def test_where(data, dtype, seed):
    shapes = data.draw(
        arrays_of.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3)
    )
    other = data.draw(st.sampled_from([each for each in KINDS[dtype] if met(dtype, each)]))
    kinds = ("bool", dtype, other)
    given_arrays = (
        both(numbers(kind, shape, seed + i))
        for i, (kind, shape) in enumerate(zip(kinds, shapes.input_shapes, strict=True))
    )
    (c, d), (x, y), (u, v) = given_arrays
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
