"""What a key says: the `key` of `t[key]` read as NumPy reads it, for an array of one shape.

A key has integers, slices, `...`, None, arrays of integers and of bools. Arrays are broadcast
together, with the integers beside them; their axes come where the first of them stands, or in
front where something stands between them. Not here: what is done with it (`index.py`, `at.py`).
Next: `index.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kedja.front import arithmetic
from kedja.front import tensor as front
from kedja.ground.dtypes import bool_, is_integer
from kedja.ground.errors import OutOfRangeError, ShapeError, TracingError, UsageError

KINDS = "integers, slices, ..., None, and arrays of integers or bools"
Range = tuple[int, int, int]  # start, stop, step > 0
Places = Any  # an array of int64 from 0 on, or a tensor without a value


class Plan(NamedTuple):
    """A key, once its slices are applied and its arrays are checked."""

    ranges: tuple[Range, ...]  # what each axis keeps; one element for an integer
    flips: tuple[int, ...]  # the axes that run backwards
    shape: tuple[int, ...]  # after that: without the integers' axes, with new ones
    arrays: tuple[tuple[int, Places], ...]  # axes of `shape`, and the elements chosen there
    in_front: bool  # whether the arrays' axes come first

    @property
    def region(self) -> tuple[int, ...]:
        """The shape of what the ranges keep."""
        return tuple(len(range(*each)) for each in self.ranges)


class _Part(NamedTuple):
    """One entry of a key: `new`, `truth`, `integer`, `slice`, `array` or `dots`."""

    kind: str
    value: Any = None
    extent: int | None = None  # that of a mask, which must be the axis's own


NEW, DOTS, ALL = _Part("new"), _Part("dots"), _Part("slice", slice(None))
FANCY = ("integer", "array", "truth")


def plan_of(shape: tuple[int, ...], key: Any) -> Plan:
    """What a key says of an array of that shape.

    Raises UsageError, OutOfRangeError or ShapeError where it does not fit, TracingError for a mask
    that has no value.
    """
    given = key if isinstance(key, tuple) else (key,)
    parts = [part for each in given for part in _parts(each)]
    ranges, out, flips, arrays = [], [], [], []
    axis = 0
    for part in _filled(parts, len(shape)):
        if part.kind == "new":
            out.append(1)
            continue
        if part.kind == "truth":
            arrays.append((len(out), part.value))
            out.append(1)
            continue
        kept, turned = _range(part, shape[axis], axis)
        ranges.append(kept)
        if turned:
            flips.append(axis)
        if part.kind == "array":
            arrays.append((len(out), _checked(part, shape[axis], axis)))
        if part.kind != "integer":
            out.append(len(range(*kept)))
        axis += 1
    return Plan(tuple(ranges), tuple(flips), tuple(out), tuple(arrays), _is_apart(parts))


def _is_apart(parts: Sequence[_Part]) -> bool:
    """Whether something stands between the arrays and the integers beside them."""
    places = [i for i, part in enumerate(parts) if part.kind in FANCY]
    return bool(places) and places[-1] - places[0] != len(places) - 1


def _filled(parts: Sequence[_Part], rank: int) -> list[_Part]:
    """The parts with one for each axis; `...` replaced by full slices."""
    used = sum(part.kind in ("integer", "slice", "array") for part in parts)
    if used > rank:
        raise OutOfRangeError(
            f"{used} indices for an array with {rank} axes",
            fix="give at most one for each axis; ... stands for those left out",
        )
    dots = [i for i, part in enumerate(parts) if part.kind == "dots"]
    if len(dots) > 1:
        raise UsageError("two ... in one index", fix="use one")
    place = dots[0] if dots else len(parts)
    return [*parts[:place], *[ALL] * (rank - used), *parts[place + 1 :]]


# ---------------------------------------------------------------------------------- entries


def _parts(given: Any) -> list[_Part]:
    """An entry of the key; a mask of several axes becomes one part for each."""
    if given is None:
        return [NEW]
    if given is Ellipsis:
        return [DOTS]
    if isinstance(given, slice):
        return [_Part("slice", given)]
    if isinstance(given, (bool, np.bool_)):
        return [_Part("truth", np.zeros(int(given), np.int64))]
    if isinstance(given, (int, np.integer)):
        return [_Part("integer", given)]
    if isinstance(given, (front.Tensor, np.ndarray, list, tuple)) or hasattr(given, "__array__"):
        return _array_parts(given)
    raise UsageError(f"an index of type {type(given).__name__}", fix=f"an index takes {KINDS}")


def _array_parts(given: Any) -> list[_Part]:
    index = front.as_tensor(given)
    if isinstance(given, (list, tuple)) and index.size == 0:
        return [_Part("array", np.zeros(index.shape, np.int64))]
    if index.dtype == bool_:
        return _mask_parts(index)
    if not is_integer(index.dtype):
        raise UsageError(f"an index array of {index.dtype.name}", fix=f"an index takes {KINDS}")
    if not index.is_known:
        return [_Part("array", index)]
    if index.ndim == 0:
        return [_Part("integer", index.item())]
    return [_Part("array", index.numpy())]


def _mask_parts(mask: Any) -> list[_Part]:
    """A mask as the places where it is true, one array for each of its axes."""
    value = known_mask(mask)
    if value.ndim == 0:
        return _parts(bool(value))
    pairs = zip(np.nonzero(value), value.shape, strict=True)
    return [_Part("array", places, extent) for places, extent in pairs]


def known_mask(mask: Any) -> np.ndarray:
    """The value of a mask; TracingError where it has none."""
    if mask.is_known:
        value: np.ndarray = mask.numpy()
        return value
    raise TracingError(
        f"an index by a mask, {mask.node.type}, that has no value while it is traced: the shape of "
        "the result would depend on it",
        fix="kj.where(mask, x, 0) keeps the shape; x.at[mask].set(v) works with a scalar v; or "
        "take this line out of the jit",
    )


# ------------------------------------------------------------------------------- each axis


def _range(part: _Part, extent: int, axis: int) -> tuple[Range, bool]:
    """start, stop and step (positive) of what a part keeps, and whether it runs backwards."""
    if part.kind == "array":
        return (0, extent, 1), False
    if part.kind == "integer":
        place = operator.index(part.value)
        if not -extent <= place < extent:
            raise OutOfRangeError(
                f"index {place} is outside axis {axis} of {extent} elements",
                fix=f"{-extent} to {extent - 1}" if extent else "the axis has no elements",
            )
        return (place % extent, place % extent + 1, 1), False
    whole = range(*part.value.indices(extent))
    if len(whole) == 0:
        return (0, 0, 1), False
    if whole.step > 0:
        return (whole[0], whole[-1] + 1, whole.step), False
    return (whole[-1], whole[0] + 1, -whole.step), True


def _checked(part: _Part, extent: int, axis: int) -> Places:
    """The places from 0 on; an error where they, or the extent of a mask, do not fit the axis."""
    if part.extent is not None and part.extent != extent:
        raise ShapeError(
            f"a mask with {part.extent} elements along axis {axis} of {extent}",
            fix="a mask has the extents of the axes that it stands for",
        )
    return from_front(part.value, extent, f"axis {axis}")


def from_front(index: Any, extent: int, where: str) -> Places:
    """An index array with negative numbers, which count from the end, replaced.

    A tensor without a value stays one; all else becomes an array of int64, checked.
    """
    if isinstance(index, front.Tensor):
        if not index.is_known:
            return _traced_from_front(index, extent)
        index = index.numpy()
    if index.size == 0:
        return index.astype(np.int64)
    low, high = int(index.min()), int(index.max())
    if low < -extent or high >= extent:
        wrong = low if low < -extent else high
        raise OutOfRangeError(
            f"index {wrong} is outside {where} of {extent} elements",
            fix=f"indices from {-extent} to {extent - 1}" if extent else "there are none",
        )
    wide: np.ndarray = index.astype(np.int64, copy=False)
    return np.where(wide < 0, wide + extent, wide) if low < 0 else wide


def _traced_from_front(index: Any, extent: int) -> Any:
    if index.dtype.kind == "u":
        return index
    if index.dtype.itemsize < 4:
        index = index.astype("int32")  # so that it holds any extent
    return arithmetic.where(index < 0, index + extent, index)
