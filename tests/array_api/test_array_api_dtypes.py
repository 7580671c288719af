"""Functions of dtypes: promotion, casts, kinds, limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kedja as kj
from kedja.ground.dtypes import ALL as DTYPES
from kedja.ground.errors import DtypeError, UsageError
from tests.array_api.oracle import ALL, FLOATS, INTEGERS, NUMBERS, arrays, both, same, strict

PAIRS = [(a, b) for a in ALL for b in ALL]


def of(name: str):
    return getattr(strict, name)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_where_the_standard_says_what_two_dtypes_make_so_do_we(a, b):
    try:
        expected = strict.result_type(of(a), of(b))
    except TypeError:
        return
    assert kj.result_type(a, b) == str(expected).rpartition(".")[2]
    assert kj.result_type(kj.ones(2, a), kj.ones(3, b)) == kj.result_type(a, b)


@pytest.mark.parametrize("dtype", NUMBERS)
def test_scalars_are_weak(dtype):
    scalars = (1, True) if dtype in INTEGERS else (1, 2.5, True)
    for scalar in scalars:
        assert kj.result_type(kj.ones(2, dtype), scalar) == dtype
        assert kj.result_type(scalar, dtype) == dtype


def test_beyond_the_standard_integers_become_the_float_that_they_meet():
    for integer in INTEGERS:
        for name in ("float16", "bfloat16", *FLOATS):
            assert kj.result_type(integer, name) == name
    assert kj.result_type("bool", "int8") == "int8"
    assert kj.result_type("float16", "bfloat16") == "float32"
    assert kj.result_type(2, 2.5) == "float32"
    assert kj.result_type("int32", 2.5) == "float32"
    with pytest.raises(DtypeError, match="meet in no integer dtype"):
        kj.result_type("uint64", "int8")
    with pytest.raises(UsageError, match="at least one"):
        kj.result_type()


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_casts_that_promotion_makes(a, b):
    try:
        expected = strict.result_type(of(a), of(b)) == of(b)
    except TypeError:
        return
    assert kj.can_cast(a, b) == expected
    assert kj.can_cast(kj.ones(2, a), b) == expected


def test_casts_between_kinds():
    assert kj.can_cast("int64", "float32")
    assert not kj.can_cast("float32", "int64")
    assert not kj.can_cast("uint64", "int64")


@given(arrays(ALL), st.sampled_from(ALL))
def test_astype(array, dtype):
    if array.dtype.name in FLOATS and dtype in INTEGERS:
        array = np.asarray(np.nan_to_num(array, nan=0, posinf=5, neginf=3))
        array = np.asarray(np.abs(array)) if dtype.startswith("u") else array
    x, y = both(array)
    expected = strict.astype(y, of(dtype))
    same(kj.astype(x, dtype), expected)
    same(kj.astype(x, dtype, copy=False, device="cpu"), expected)
    same(x.astype(dtype), expected)


KINDS = [
    *("bool", "signed integer", "unsigned integer", "integral", "real floating"),
    *("complex floating", "numeric", ("bool", "integral"), ("real floating", "bool")),
]


@pytest.mark.parametrize("dtype", ALL)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_kinds_of_dtypes(dtype, kind):
    assert kj.isdtype(getattr(kj, dtype), kind) == strict.isdtype(of(dtype), kind)


def test_kinds_of_halves_and_dtypes_as_kinds():
    for half in (kj.float16, kj.bfloat16):
        assert kj.isdtype(half, "real floating")
        assert kj.isdtype(half, ("bool", half))
        assert not kj.isdtype(half, "integral")
    assert kj.isdtype(kj.int8, kj.int8)
    assert not kj.isdtype(kj.int8, (kj.int16, "bool"))
    with pytest.raises(UsageError, match="did you mean 'real floating'"):
        kj.isdtype(kj.int8, "real floatin")


@pytest.mark.parametrize("dtype", FLOATS)
def test_limits_of_floats(dtype):
    found, expected = kj.finfo(dtype), strict.finfo(of(dtype))
    for name in ("bits", "eps", "max", "min", "smallest_normal"):
        assert getattr(found, name) == getattr(expected, name)
        assert isinstance(getattr(found, name), (int, float))
    assert found.dtype == dtype
    assert kj.finfo(kj.ones(2, dtype)) == found


def test_limits_of_halves():
    assert kj.finfo("float16").max == 65504
    assert kj.finfo("bfloat16").eps == 2**-7
    assert kj.finfo("bfloat16").smallest_normal == 2**-126


@pytest.mark.parametrize("dtype", INTEGERS)
def test_limits_of_integers(dtype):
    found, expected = kj.iinfo(kj.ones(2, dtype)), strict.iinfo(of(dtype))
    assert (found.bits, found.max, found.min) == (expected.bits, expected.max, expected.min)
    assert found.dtype == dtype


def test_limits_of_the_wrong_kind():
    with pytest.raises(DtypeError, match="iinfo is for integers"):
        kj.finfo("int8")
    with pytest.raises(DtypeError, match="finfo is for floats"):
        kj.iinfo("bool")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes_are_attributes_of_the_namespace(dtype):
    assert getattr(kj, dtype.name) == dtype
    assert kj.ones(2, getattr(kj, dtype.name)).dtype == dtype
