"""Manipulation functions of the standard, and elements chosen by places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

import kedja as kj
from kedja.ground.errors import ShapeError, TracingError, UsageError
from tests.array_api.oracle import ALL, FILLED, SHAPES, arrays, both, numbers, same, strict

ANY = arrays(ALL)
SOME = arrays(ALL, FILLED)


def axis_of(data, rank: int) -> int:
    return data.draw(st.integers(-rank, rank - 1))


@given(st.data(), ANY)
def test_reshape(data, array):
    shape = data.draw(st.permutations([*array.shape, 1]))
    x, y = both(array)
    same(kj.reshape(x, tuple(shape)), strict.reshape(y, tuple(shape)))
    same(kj.reshape(x, (-1,)) if array.size else x, strict.reshape(y, (-1,)) if array.size else y)
    same(kj.reshape(x, array.shape, copy=True), y)


@given(st.data(), SOME)
def test_orders_of_axes(data, array):
    x, y = both(array)
    axes = tuple(data.draw(st.permutations(range(array.ndim))))
    same(kj.permute_dims(x, axes), strict.permute_dims(y, axes))
    count = data.draw(st.integers(1, array.ndim))
    source = tuple(data.draw(st.permutations(range(array.ndim)))[:count])
    target = tuple(data.draw(st.permutations(range(array.ndim)))[:count])
    same(kj.moveaxis(x, source, target), strict.moveaxis(y, source, target))
    same(kj.moveaxis(x, -1, 0), strict.moveaxis(y, -1, 0))
    if array.ndim > 1:
        same(kj.matrix_transpose(x), strict.matrix_transpose(y))
        same(x.mT, y.mT)
    if array.ndim == 2:
        same(x.T, y.T)


@given(st.data(), ANY)
def test_axes_of_one(data, array):
    x, y = both(array)
    place = data.draw(st.integers(-array.ndim - 1, array.ndim))
    same(kj.expand_dims(x, axis=place), strict.expand_dims(y, axis=place))
    wide, oracle = kj.expand_dims(x, axis=place), strict.expand_dims(y, axis=place)
    same(kj.squeeze(wide, axis=place), strict.squeeze(oracle, axis=place))
    ones = tuple(axis for axis, n in enumerate(oracle.shape) if n == 1)
    same(kj.squeeze(wide, axis=ones), strict.squeeze(oracle, axis=ones))
    same(kj.squeeze(wide), strict.squeeze(oracle, axis=ones))


@given(st.data(), ANY)
def test_flip_and_roll(data, array):
    x, y = both(array)
    axis = data.draw(st.none() | st.integers(-array.ndim, array.ndim - 1)) if array.ndim else None
    same(kj.flip(x, axis=axis), strict.flip(y, axis=axis))
    shift = data.draw(st.integers(-9, 9))
    same(kj.roll(x, shift, axis=axis), strict.roll(y, shift, axis=axis))
    if array.ndim > 1:
        axes, shifts = (0, -1), (shift, -2)
        same(kj.roll(x, shifts, axis=axes), strict.roll(y, shifts, axis=axes))
        same(kj.flip(x, axis=axes), strict.flip(y, axis=axes))
        np.testing.assert_array_equal(kj.roll(x, 2, axis=axes).numpy(), np.roll(array, 2, axes))


@given(st.data(), st.sampled_from(ALL))
def test_broadcasts(data, dtype):
    shapes = data.draw(
        arrays_of.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3)
    )
    given_arrays = [numbers(dtype, shape, i) for i, shape in enumerate(shapes.input_shapes)]
    pairs = [both(each) for each in given_arrays]
    found = kj.broadcast_arrays(*(x for x, _ in pairs))
    assert isinstance(found, list)
    same(found, strict.broadcast_arrays(*(y for _, y in pairs)))
    assert kj.broadcast_shapes(*shapes.input_shapes) == shapes.result_shape
    x, y = pairs[0]
    same(kj.broadcast_to(x, shapes.result_shape), strict.broadcast_to(y, shapes.result_shape))


@given(st.data(), SOME)
def test_repeat_and_tile(data, array):
    x, y = both(array)
    axis = data.draw(st.none() | st.integers(-array.ndim, array.ndim - 1))
    extent = array.size if axis is None else array.shape[axis]
    count = data.draw(st.integers(0, 3))
    same(kj.repeat(x, count, axis=axis), strict.repeat(y, count, axis=axis))
    counts = data.draw(arrays("int64", (extent,), low=0, high=3))
    mine, right = both(counts)
    same(kj.repeat(x, mine, axis=axis), strict.repeat(y, right, axis=axis))
    times = tuple(data.draw(st.lists(st.integers(0, 2), max_size=4)))
    same(kj.tile(x, times), strict.tile(y, times))


@given(st.data(), st.sampled_from(("float32", "int8", "bool")))
def test_joining(data, dtype):
    shape = data.draw(FILLED)
    axis = axis_of(data, len(shape))
    extents = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    shapes = [(*shape[: axis % len(shape)], n, *shape[axis % len(shape) + 1 :]) for n in extents]
    pairs = [both(numbers(dtype, each, i)) for i, each in enumerate(shapes)]
    same(
        kj.concat([x for x, _ in pairs], axis=axis), strict.concat([y for _, y in pairs], axis=axis)
    )
    same(
        kj.concat([x for x, _ in pairs], axis=None), strict.concat([y for _, y in pairs], axis=None)
    )


@given(st.data(), SOME)
def test_stacking(data, array):
    pairs = [both(array), both(array[::-1].copy())]
    axis = data.draw(st.integers(-array.ndim - 1, array.ndim))
    stacked = kj.stack([x for x, _ in pairs], axis=axis)
    oracle = strict.stack([y for _, y in pairs], axis=axis)
    same(stacked, oracle)
    found = kj.unstack(stacked, axis=axis)
    assert isinstance(found, tuple)
    same(found, strict.unstack(oracle, axis=axis))


def test_dtypes_meet_where_arrays_are_joined():
    parts = [kj.ones(2, "int8"), kj.ones(2, "uint8")]
    assert kj.concat(parts).dtype == kj.stack(parts).dtype == "int16"


# ------------------------------------------------------------------------------- by place


@given(st.data(), SOME)
def test_take(data, array):
    x, y = both(array)
    axis = axis_of(data, array.ndim)
    extent = array.shape[axis]
    index = np.asarray(data.draw(st.lists(st.integers(0, extent - 1), max_size=5)), np.int64)
    mine, right = both(index)
    same(kj.take(x, mine, axis=axis), strict.take(y, right, axis=axis))
    line = array.reshape(-1)
    first, second = both(line)
    same(kj.take(first, mine), strict.take(second, right))
    wide = data.draw(arrays("int32", (*array.shape[:-1], 3), low=0, high=array.shape[-1] - 1))
    mine, right = both(wide.astype(np.int64))
    same(kj.take_along_axis(x, mine), strict.take_along_axis(y, right))


@given(ANY)
def test_split_cuts_as_numpys(array):
    x = kj.asarray(array)
    for axis in range(array.ndim):
        for parts in (1, [1], [0, 2], []):
            found = kj.split(x, parts, axis)
            for mine, right in zip(found, np.split(array, parts, axis), strict=True):
                np.testing.assert_array_equal(mine.numpy(), right)


@given(SHAPES)
def test_flatten_joins_axes_as_pytorch(shape):
    x = kj.zeros(shape)
    assert kj.flatten(x).shape == (int(np.prod(shape)),)
    if len(shape) == 3:
        assert kj.flatten(x, 1).shape == (shape[0], shape[1] * shape[2])
        assert kj.flatten(x, 0, 1).shape == (shape[0] * shape[1], shape[2])


# ---------------------------------------------------------------------------------- errors


X = kj.ones((2, 3))
WRONG = [
    (lambda: kj.moveaxis(X, (0, 1), (0,)), UsageError, "as many of both"),
    (lambda: kj.moveaxis(X, (0, 0), (0, 1)), UsageError, "twice"),
    (lambda: kj.roll(X, (1, 2, 3), axis=(0, 1)), UsageError, "3 shifts"),
    (lambda: kj.repeat(X, [1, 2], axis=1), ShapeError, "axis of 3 by 2 numbers"),
    (lambda: kj.repeat(X, -1), ShapeError, "0 or more"),
    (lambda: kj.tile(X, (2, -1)), ShapeError, "0 or more"),
    (lambda: kj.take(X, [0]), UsageError, "without `axis`"),
    (lambda: kj.take(X, [2], axis=0), IndexError, "index 2 is outside axis 0 of 2"),
    (lambda: kj.take_along_axis(X, [[3]] * 2, axis=1), IndexError, "axis 1 of 3"),
    (lambda: kj.split(X, 2, 1), ShapeError, "axis of 3 into 2 parts"),
    (lambda: kj.flatten(X, 1, 0), UsageError, "first before last"),
    (lambda: kj.unstack(X, axis=2), UsageError, "axis 2"),
    (lambda: kj.broadcast_arrays(X, kj.ones(2)), ShapeError, "do not broadcast"),
    (lambda: kj.swapaxes(X, 0, 5), UsageError, "axis 5"),
    (lambda: kj.pad(X, [(1, 1)]), ShapeError, "one pair for each axis"),
    (lambda: kj.diff(X, n=-1), UsageError, "n is 0 or more"),
    (lambda: kj.jit(lambda n: kj.repeat(X, n))(2), TracingError, "shape would depend on it"),
]


@pytest.mark.parametrize(("call", "kind", "message"), WRONG, ids=lambda value: "")
def test_what_does_not_fit_is_refused_with_the_line(call, kind, message):
    with pytest.raises(kind, match=message) as caught:
        call()
    assert f"{__file__}:{call.__code__.co_firstlineno}" in str(caught.value)
