"""Creation functions of the standard: values, dtypes, `device`, `copy`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kedja as kj
from kedja.ground.errors import DtypeError, ShapeError, UsageError
from tests.array_api.oracle import (
    ALL,
    FLOATS,
    INTEGERS,
    NUMBERS,
    SHAPES,
    arrays,
    both,
    same,
    strict,
)


def of(dtype: str):
    """The oracle's dtype of that name."""
    return getattr(strict, dtype)


@given(st.sampled_from(ALL), SHAPES)
def test_one_scalar_everywhere(dtype, shape):
    for name in ("zeros", "ones"):
        mine, right = getattr(kj, name), getattr(strict, name)
        same(mine(shape, dtype=dtype, device="cpu"), right(shape, dtype=of(dtype)))
    same(kj.full(shape, 1, dtype=dtype), strict.full(shape, 1, dtype=of(dtype)))
    assert kj.empty(shape, dtype=dtype).shape == shape
    like, oracle = kj.zeros(shape, "uint8"), strict.zeros(shape, dtype=strict.uint8)
    for name in ("zeros_like", "ones_like"):
        mine, right = getattr(kj, name), getattr(strict, name)
        same(mine(like, dtype=dtype), right(oracle, dtype=of(dtype)))
        same(mine(like), right(oracle))
    same(kj.full_like(like, 1, dtype=dtype), strict.full_like(oracle, 1, dtype=of(dtype)))
    assert kj.empty_like(like, dtype=dtype).dtype == dtype


def test_the_default_dtypes():
    assert [kj.full(2, value).dtype for value in (True, 3, 2.5)] == ["bool", "int64", "float32"]
    for made in (kj.zeros(2), kj.ones(2), kj.empty(2), kj.eye(2), kj.linspace(0, 1, 2)):
        assert made.dtype == "float32"
    assert kj.arange(3).dtype == "int64"
    assert kj.arange(3.0).dtype == kj.arange(0, 3, 0.5).dtype == "float32"


@given(st.sampled_from(NUMBERS), st.integers(0, 9), st.integers(0, 30), st.integers(1, 5))
def test_ranges_of_whole_numbers(dtype, start, stop, step):
    same(
        kj.arange(start, stop, step, dtype=dtype), strict.arange(start, stop, step, dtype=of(dtype))
    )
    same(kj.arange(stop, dtype=dtype), strict.arange(stop, dtype=of(dtype)))


@given(
    st.sampled_from(FLOATS),
    st.floats(-50, 50),
    st.floats(-50, 50),
    st.floats(0.25, 9) | st.floats(-9, -0.25),
)
def test_ranges_of_floats(dtype, start, stop, step):
    expected = strict.arange(start, stop, step, dtype=of(dtype))
    found = kj.arange(start, stop, step, dtype=dtype)
    assert found.shape == expected.shape
    exact = start + step * np.arange(expected.size)  # the oracle errs more than we do
    np.testing.assert_allclose(found.numpy(), exact.astype(dtype), rtol=1e-15)


def test_ranges_downwards_and_of_nothing():
    for given_range in ((5, 0, -2), (0, 5, -1), (3, 3), (-3, 3, 2), (10, 0, -3)):
        same(kj.arange(*given_range), strict.arange(*given_range))
    assert kj.arange(2**63, 2**63 + 4, 2, dtype="uint64").tolist() == [2**63, 2**63 + 2]
    assert kj.arange(3, 0, -1, dtype="uint8").tolist() == [3, 2, 1]
    assert kj.arange(kj.tensor(3)).tolist() == [0, 1, 2]
    with pytest.raises(UsageError, match="step of 0"):
        kj.arange(0, 3, 0)


@given(
    st.sampled_from(FLOATS),
    st.floats(-50, 50),
    st.floats(-50, 50),
    st.integers(0, 9),
    st.booleans(),
)
def test_linspace(dtype, start, stop, num, endpoint):
    expected = strict.linspace(start, stop, num, dtype=of(dtype), endpoint=endpoint)
    same(kj.linspace(start, stop, num, dtype=dtype, endpoint=endpoint), expected, exact=False)


@given(st.sampled_from(ALL), st.integers(0, 4), st.none() | st.integers(0, 4), st.integers(-4, 4))
def test_eye(dtype, rows, columns, k):
    expected = strict.eye(rows, columns, k=k, dtype=of(dtype))
    same(kj.eye(rows, columns, k=k, dtype=dtype), expected)


MATRICES = st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 4))


@pytest.mark.parametrize("name", ["tril", "triu"])
@given(arrays(ALL, MATRICES), st.integers(-4, 4))
def test_triangles(name, array, k):
    x, y = both(array)
    same(getattr(kj, name)(x, k=k), getattr(strict, name)(y, k=k))
    with pytest.raises(ShapeError, match="at least two axes"):
        getattr(kj, name)(kj.ones(3))


@pytest.mark.parametrize("indexing", ["xy", "ij"])
@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.sampled_from(NUMBERS))
def test_meshgrid(indexing, extents, dtype):
    lines = [np.arange(n).astype(dtype) for n in extents]
    found = kj.meshgrid(*map(kj.asarray, lines), indexing=indexing)
    assert isinstance(found, list)
    same(found, strict.meshgrid(*map(strict.asarray, lines), indexing=indexing))


def test_meshgrid_refuses_what_it_cannot_read():
    with pytest.raises(UsageError, match="indexing='yx'"):
        kj.meshgrid([1, 2], indexing="yx")
    with pytest.raises(ShapeError, match="give vectors"):
        kj.meshgrid([[1, 2]])


# --------------------------------------------------------------------------------- asarray


@given(arrays(ALL))
def test_arrays_become_tensors(x):
    same(kj.asarray(x), strict.asarray(x))
    t = kj.asarray(x)
    assert kj.asarray(t) is t
    assert kj.asarray(t, copy=False) is t
    twin = kj.asarray(t, copy=True)
    assert twin is not t
    same(twin, strict.asarray(x))


@pytest.mark.parametrize("dtype", ALL)
def test_nested_lists_become_tensors(dtype):
    for given_list in (True, 1, [], [[1, 0], [0, 1]], [[[1]], [[0]]], ((1, 0), (1, 1))):
        same(kj.asarray(given_list, dtype=dtype), strict.asarray(given_list, dtype=of(dtype)))


def test_lists_of_tensors_become_tensors():
    t = kj.asarray([kj.ones(2), kj.zeros(2)])
    assert t.tolist() == [[1, 1], [0, 0]]


def test_numbers_beyond_every_dtype_are_refused():
    with pytest.raises(DtypeError):
        kj.asarray(2**70)
    for dtype in INTEGERS:
        limits = kj.iinfo(dtype)
        assert kj.asarray(limits.max, dtype=dtype).item() == limits.max
        with pytest.raises(DtypeError, match=f"{dtype} does not hold"):
            kj.asarray(limits.max + 1, dtype=dtype)
