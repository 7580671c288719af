"""Manipulation by name: reshape, concat, roll, repeat … the same elements at other places.

Names follow the Python Array API standard 2024.12; swapaxes, split and pad are NumPy's, flatten
is PyTorch's. Not here: elements chosen by an index (`selection.py`, `index.py`).
Next: `selection.py`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kedja.front import arithmetic, index
from kedja.front import tensor as front
from kedja.front.arithmetic import call
from kedja.ground.errors import ShapeError, TracingError, UsageError
from kedja.ir.graph import Scalar, locating
from kedja.ops.types import broadcast_shapes as shapes_together
from kedja.ops.types import extents, normal_axes, normal_axis

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor

Axes = int | Sequence[int]


def reshape(x: Any, shape: Axes, *, copy: bool | None = None) -> Tensor:
    """The same elements under another shape; one extent may be −1.

    A tensor cannot be written to, so `copy` changes nothing.
    """
    return arithmetic.reshape(x, (shape,) if isinstance(shape, int) else shape)


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The axes from `start_dim` to `end_dim` (both included) as one."""
    x = front.as_tensor(x)
    if x.ndim == 0:
        return arithmetic.reshape(x, (1,))
    with locating():
        first, last = (normal_axis("flatten", each, x.ndim) for each in (start_dim, end_dim))
        if first > last:
            raise UsageError(f"flatten of axes {start_dim} to {end_dim}", fix="first before last")
    middle = math.prod(x.shape[first : last + 1])
    return arithmetic.reshape(x, (*x.shape[:first], middle, *x.shape[last + 1 :]))


# ------------------------------------------------------------------------------------ axes


def permute_dims(x: Any, axes: Sequence[int]) -> Tensor:
    """The axes in another order."""
    return arithmetic.transpose(x, axes)


def matrix_transpose(x: Any) -> Tensor:
    """The last two axes exchanged."""
    return arithmetic.swap_last_axes(front.as_tensor(x))


def moveaxis(x: Any, source: Axes, destination: Axes) -> Tensor:
    """Some axes at other places; the others keep their order."""
    x = front.as_tensor(x)
    with locating():
        old, new = (_axes_in_order("moveaxis", each, x.ndim) for each in (source, destination))
        if len(old) != len(new):
            raise UsageError(
                f"moveaxis of {len(old)} axes to {len(new)} places", fix="give as many of both"
            )
    order = [axis for axis in range(x.ndim) if axis not in old]
    for place, axis in sorted(zip(new, old, strict=True)):
        order.insert(place, axis)
    return arithmetic.transpose(x, order)


def _axes_in_order(name: str, axes: Axes, rank: int) -> list[int]:
    given = [axes] if isinstance(axes, int) else list(axes)
    normal_axes(name, given, rank)  # raises where one is named twice
    return [normal_axis(name, axis, rank) for axis in given]


def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged."""
    x = front.as_tensor(x)
    with locating():
        first, second = (normal_axis("swapaxes", each, x.ndim) for each in (axis1, axis2))
    order = list(range(x.ndim))
    order[first], order[second] = second, first
    return arithmetic.transpose(x, order)


def expand_dims(x: Any, axis: int = 0) -> Tensor:
    """A new axis of extent 1."""
    x = front.as_tensor(x)
    with locating():
        place = normal_axis("expand_dims", axis, x.ndim + 1)
    return arithmetic.reshape(x, (*x.shape[:place], 1, *x.shape[place:]))


def squeeze(x: Any, axis: Any = None) -> Tensor:
    """Axes of extent 1 dropped; all of them unless `axis` names some."""
    x = front.as_tensor(x)
    with locating():
        ones = [each for each, n in enumerate(x.shape) if n == 1]
        axes = normal_axes("squeeze", ones if axis is None else axis, x.ndim)
        wrong = [each for each in axes if x.shape[each] != 1]
        if wrong:
            raise ShapeError(f"squeeze of axis {wrong[0]} of {list(x.shape)}", fix="extent 1 only")
    return arithmetic.reshape(x, [n for each, n in enumerate(x.shape) if each not in axes])


# ------------------------------------------------------------------------------- repetition


def broadcast_to(x: Any, shape: Axes) -> Tensor:
    """x repeated to a shape."""
    with locating():
        return arithmetic.broadcast(front.as_tensor(x), extents(shape))


def broadcast_arrays(*arrays: Any) -> list[Tensor]:
    """All arrays repeated to the one shape in which they meet."""
    tensors = [front.as_tensor(each) for each in arrays]
    with locating():
        shape = shapes_together("broadcast_arrays", *(each.shape for each in tensors))
        return [arithmetic.broadcast(each, shape) for each in tensors]


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape in which several meet.

    >>> broadcast_shapes((3, 1), (4,))
    (3, 4)
    """
    with locating():
        return shapes_together("broadcast_shapes", *(extents(each) for each in shapes))


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Each element several times in a row; without an axis, of the flattened array.

    `repeats` is a number, or one number for each element of the axis, known outside of `jit`.

    >>> repeat([1, 2], 2).tolist(), repeat([1, 2], [3, 1]).tolist()
    ([1, 1, 2, 2], [1, 1, 1, 2])
    """
    x = front.as_tensor(x)
    line, along = (flatten(x), 0) if axis is None else (x, axis)
    with locating():
        along = normal_axis("repeat", along, line.ndim)
        counts = _counts(repeats, line.shape[along])
        if isinstance(counts, int):
            return _each(line, counts, along)
        places = np.repeat(np.arange(line.shape[along]), counts)
        return index.take(line, places, along)


def _counts(repeats: Any, extent: int) -> int | np.ndarray:
    """One number of repetitions for all elements, or one for each."""
    given = front.as_tensor(repeats)
    if not given.is_known:
        raise TracingError(
            "repeat by a tensor that has no value while it is traced: the shape would depend on it",
            fix="give a Python number, or take this line out of the jit",
        )
    counts = np.asarray(extents(given.numpy().reshape(-1).tolist()), np.int64)
    if counts.size == 1:
        return int(counts[0])
    if given.ndim != 1 or counts.size != extent:
        raise ShapeError(
            f"repeat of an axis of {extent} by {counts.size} numbers", fix="one for each element"
        )
    return counts


def _each(x: Tensor, count: int, axis: int) -> Tensor:
    """Every element of an axis `count` times: a broadcast, which costs nothing when compiled."""
    before, n, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    apart = arithmetic.reshape(x, (*before, n, 1, *after))
    wide = arithmetic.broadcast(apart, (*before, n, count, *after))
    return arithmetic.reshape(wide, (*before, n * count, *after))


def tile(x: Any, repetitions: Axes) -> Tensor:
    """The whole array several times along each axis."""
    x = front.as_tensor(x)
    with locating():
        times = extents(repetitions)
    rank = max(len(times), x.ndim)
    times = (1,) * (rank - len(times)) + times
    shape = (1,) * (rank - x.ndim) + x.shape
    apart = [n for extent in shape for n in (1, extent)]
    wide = [n for pair in zip(times, shape, strict=True) for n in pair]
    repeated = arithmetic.broadcast(arithmetic.reshape(x, apart), wide)
    return arithmetic.reshape(repeated, [a * b for a, b in zip(times, shape, strict=True)])


# -------------------------------------------------------------------------- order, borders


def flip(x: Any, axis: Any = None) -> Tensor:
    """Some axes (or all) turned round."""
    x = front.as_tensor(x)
    with locating():
        return call("flip", x, axes=normal_axes("flip", axis, x.ndim))


def roll(x: Any, shift: Axes, axis: Axes | None = None) -> Tensor:
    """Elements moved on along some axes, those that leave at the end coming back in front.

    >>> roll([1, 2, 3, 4], 1).tolist()
    [4, 1, 2, 3]
    """
    result = front.as_tensor(x)
    if axis is None:
        return arithmetic.reshape(roll(flatten(result), shift, 0), result.shape)
    shifts = [shift] if isinstance(shift, int) else [operator.index(each) for each in shift]
    with locating():
        axes = [axis] if isinstance(axis, int) else list(axis)
        if len(shifts) == 1:
            shifts = shifts * len(axes)
        if len(shifts) != len(axes):
            raise UsageError(
                f"roll of {len(axes)} axes by {len(shifts)} shifts", fix="one for each axis"
            )
        for each, by in zip(axes, shifts, strict=True):
            result = _rolled(result, by, normal_axis("roll", each, result.ndim))
    return result


def _rolled(x: Tensor, by: int, axis: int) -> Tensor:
    extent = x.shape[axis]
    cut = (extent - by % extent) if extent else 0
    if cut in (0, extent):
        return x
    before = (slice(None),) * axis
    return arithmetic.concatenate([x[(*before, slice(cut, None))], x[(*before, slice(cut))]], axis)


def pad(x: Any, widths: Sequence[tuple[int, int]], value: Scalar = 0) -> Tensor:
    """`widths[i] = (before, after)` fill values along axis i."""
    x = front.as_tensor(x)
    low = tuple(operator.index(before) for before, _ in widths)
    high = tuple(operator.index(after) for _, after in widths)
    with locating():
        if len(low) != x.ndim:
            raise ShapeError(
                f"pad of {list(x.shape)} by {len(low)} widths", fix="one pair for each axis"
            )
        return call("pad", x, low=low, high=high, interior=(0,) * x.ndim, value=value)


# -------------------------------------------------------------------- several arrays, parts


def concat(arrays: Sequence[Any], axis: int | None = 0) -> Tensor:
    """Arrays one after the other along an axis; None flattens each first."""
    if axis is None:
        return arithmetic.concatenate([flatten(each) for each in arrays], 0)
    return arithmetic.concatenate(arrays, axis)


def stack(arrays: Sequence[Any], axis: int = 0) -> Tensor:
    """Arrays of one shape side by side along a new axis."""
    return arithmetic.concatenate([expand_dims(each, axis) for each in arrays], axis)


def unstack(x: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices of an array along an axis, which each of them is without."""
    x = front.as_tensor(x)
    with locating():
        before = (slice(None),) * normal_axis("unstack", axis, x.ndim)
        return tuple(x[(*before, i)] for i in range(x.shape[len(before)]))


def split(x: Any, parts: Axes, axis: int = 0) -> list[Tensor]:
    """An axis cut into `parts` equal parts, or before each of the places in `parts`.

    >>> [each.tolist() for each in split([1, 2, 3, 4], [1, 3])]
    [[1], [2, 3], [4]]
    """
    x = front.as_tensor(x)
    with locating():
        axis = normal_axis("split", axis, x.ndim)
        cuts = _cuts(parts, x.shape[axis])
    before = (slice(None),) * axis
    ends = zip((None, *cuts), (*cuts, None), strict=True)
    return [x[(*before, slice(first, last))] for first, last in ends]


def _cuts(parts: Axes, extent: int) -> list[int]:
    if not isinstance(parts, int):
        return [operator.index(each) for each in parts]
    if parts <= 0 or extent % parts:
        raise ShapeError(f"split of an axis of {extent} into {parts} parts", fix="equal parts")
    return [i * (extent // parts) for i in range(1, parts)]
