"""`t[key]` reads as NumPy reads it; take, scatter and their relatives beside it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

import kedja as kj
from kedja.ground.errors import (
    DataError,
    DtypeError,
    ImmutableError,
    OutOfRangeError,
    ShapeError,
    UsageError,
)

SHAPES = arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


def counting(shape) -> np.ndarray:
    """Every element another number."""
    return np.arange(np.prod(shape, dtype=int)).reshape(shape)


def require_same(x: np.ndarray, key) -> None:
    expected = x[key]
    found = kj.tensor(x)[key].numpy()
    assert found.shape == expected.shape, key
    np.testing.assert_array_equal(found, expected, err_msg=str(key))


@given(st.data())
def test_basic_indices_read_as_numpys(data):
    shape = data.draw(SHAPES)
    key = data.draw(
        arrays_of.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True, max_dims=6)
    )
    require_same(counting(shape), key)


@given(st.data())
def test_an_array_among_slices_reads_as_numpys(data):
    """One integer array, of any shape, among slices, new axes and an ellipsis."""
    shape = data.draw(arrays_of.array_shapes(min_dims=1, max_dims=4, max_side=4))
    axis = data.draw(st.integers(0, len(shape) - 1))
    extent = shape[axis]
    index = data.draw(
        arrays_of.arrays(
            st.sampled_from((np.int64, np.int32)),
            arrays_of.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=4),
            elements=st.integers(-extent, extent - 1),
        )
    )
    before = [data.draw(st.slices(n)) for n in shape[:axis]]
    after = [data.draw(st.slices(n)) for n in shape[axis + 1 :]]
    front = [None] if data.draw(st.booleans()) else []
    back = [...] if data.draw(st.booleans()) else after
    require_same(counting(shape), (*front, *before, index, *back))


def test_lists_and_tensors_are_indices_too():
    x = counting((4, 5))
    require_same(x, [0, -1, 0])
    require_same(x, (slice(None), [1, 1]))
    np.testing.assert_array_equal(kj.tensor(x)[kj.tensor([0, -1])].numpy(), x[[0, -1]])
    np.testing.assert_array_equal(
        kj.tensor(x)[:, kj.tensor(np.uint8([3, 0]))].numpy(), x[:, [3, 0]]
    )


@pytest.mark.parametrize(
    "key",
    [(0, [1, 2]), ([1, 2], 0), (slice(None), 1, [0, 2]), (slice(None), [0, 2], 1), (0, 1, [2])],
)
def test_an_integer_beside_an_array_reads_as_numpys(key):
    require_same(counting((3, 4, 5)), key)


APART = [
    (0, slice(None), [1, 2]),
    ([1, 2], slice(None), 0),
    (0, None, [1, 2]),
    (slice(None), [0], ..., [1]),
    ([1], slice(None), [[0], [2]]),
]


@pytest.mark.parametrize("key", APART, ids=str)
def test_where_something_stands_between_arrays_their_axes_come_first(key):
    require_same(counting((3, 4, 5)), key)


@given(st.data())
def test_gradients_of_indices_add_up_at_their_places(data):
    shape = data.draw(arrays_of.array_shapes(min_dims=1, max_dims=3, max_side=5))
    key = data.draw(arrays_of.basic_indices(shape, allow_ellipsis=True))
    x = kj.tensor(counting(shape).astype(np.float64), requires_grad=True)
    kj.sum(x[key] * 2).backward()
    expected = np.zeros(shape)
    expected[key] += 2
    np.testing.assert_array_equal(x.grad.numpy(), expected)


BAD = [
    ((7,), UsageError, "outside axis 0 of 4"),
    ((-5,), UsageError, "outside axis 0 of 4"),
    ((slice(None), 5), IndexError, "outside axis 1 of 5"),
    (([0, 4],), OutOfRangeError, "index 4 is outside axis 0 of 4"),
    ((0, [0, -6]), IndexError, "index -6 is outside axis 1 of 5"),
    ((0, 0, 0), OutOfRangeError, "3 indices for an array with 2 axes"),
    ((..., ...), UsageError, "two"),
    (("a",), UsageError, "type str"),
    ((1.5,), UsageError, "type float"),
    (([0.5],), UsageError, "float"),
    (([0, 1], [0, 1, 2]), ShapeError, "do not broadcast"),
    ((np.array([True, False, True]),), ShapeError, "3 elements along axis 0 of 4"),
    ((slice(None), np.ones((4, 5), bool)), OutOfRangeError, "3 indices"),
    ((np.ones((4, 4), bool),), ShapeError, "4 elements along axis 1 of 5"),
]


@pytest.mark.parametrize(("key", "error", "message"), BAD, ids=lambda value: str(value)[:30])
def test_bad_indices_are_refused_with_the_line(key, error, message):
    x = kj.tensor(counting((4, 5)))
    with pytest.raises(error, match=message) as caught:
        x[key]
    assert __file__ in str(caught.value)


def test_an_index_without_a_value_outside_the_axis_is_refused_where_it_runs():
    x = kj.tensor(counting((4, 5)))
    with kj.scope(tier="interpret"):  # compiled code holds indices inside the axis instead
        with pytest.raises(DataError, match="index 4 is outside an axis of 4") as caught:
            kj.jit(lambda i: x[i])(np.array([0, 4]))
        assert __file__ in str(caught.value)


def test_a_tensor_cannot_be_assigned_to():
    x = kj.tensor([1, 2])
    with pytest.raises(ImmutableError, match=r"t = t\.at\[key\]\.set") as caught:
        x[0] = 3
    assert isinstance(caught.value, TypeError)
    assert __file__ in str(caught.value)


# --------------------------------------------------------------------------- by function


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_take_and_take_along_axis(axis):
    x = counting((3, 4))
    index = np.array([[2, 0], [1, -1], [0, 0], [2, 2]])[: x.shape[0] if axis else 4]
    index = index if axis else np.resize(index, (2, 4))
    np.testing.assert_array_equal(
        kj.take(x, [0, -1, 1], axis).numpy(), np.take(x, [0, -1, 1], axis)
    )
    found = kj.take_along_axis(x, index, axis).numpy()
    np.testing.assert_array_equal(found, np.take_along_axis(x, index % x.shape[axis], axis))


def test_scatter_add_adds_repeated_places():
    x = kj.zeros((4, 2))
    found = kj.scatter_add(x, [1, 1, -1], np.float32([[1, 2], [3, 4], [5, 6]]))
    np.testing.assert_array_equal(found.numpy(), [[0, 0], [4, 6], [0, 0], [5, 6]])


def test_one_hot_of_every_integer_type():
    for dtype in ("uint8", "int32", "int64", "uint32"):
        found = kj.one_hot(kj.tensor([0, 2], dtype), 3)
        np.testing.assert_array_equal(found.numpy(), [[1, 0, 0], [0, 0, 1]])
    with pytest.raises(DtypeError, match="float32"):
        kj.one_hot([0.5], 3)


def test_mismatched_updates_are_refused():
    with pytest.raises(ShapeError, match=r"scatter_add"):
        kj.scatter_add(kj.zeros((4, 2)), [0, 1], np.zeros((3, 2), np.float32))
    with pytest.raises(DtypeError, match="int64"):
        kj.scatter_add(kj.zeros((4, 2)), [0, 1], np.zeros((2, 2), np.int64))
