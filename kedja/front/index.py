"""`t[key]`: integers, slices, `...`, None, and integer arrays on one axis, as graph ops.

Next: `evaluate.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kedja.front import arithmetic
from kedja.front import tensor as front
from kedja.ground.dtypes import bool_, is_integer
from kedja.ground.errors import UsageError
from kedja.ir.graph import locating
from kedja.ops.types import normal_axis

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor

KINDS = "integers, slices, ..., None and one array of integers"


def get(x: Tensor, key: Any) -> Tensor:
    """x[key] as NumPy would read it."""
    with locating():
        given = key if isinstance(key, tuple) else (key,)
        _require_together(given)
        parts = _filled(given, x.ndim)
        sliced, shape, arrays = _basic(x, parts)
        result = arithmetic.reshape(sliced, shape)
        for axis, index in arrays:
            result = take(result, index, axis)
        return result


def _require_together(key: Sequence[Any]) -> None:
    """NumPy moves an array's axes to the front where an integer stands apart from it."""
    places = [i for i, part in enumerate(key) if _is_integer(part) or _is_array(part)]
    together = not places or places[-1] - places[0] == len(places) - 1
    if not together and any(_is_array(part) and np.ndim(part) for part in key):
        raise UsageError(
            "an integer and an array apart from each other in one index",
            fix="index in two steps, first by the integer, then by the array",
        )


def _filled(key: Sequence[Any], rank: int) -> list[Any]:
    """The key with one entry for each axis; `...` replaced by full slices."""
    used = sum(1 for each in key if each is not None and each is not Ellipsis)
    if used > rank:
        raise UsageError(f"{used} indices for an array with {rank} axes")
    dots = [place for place, each in enumerate(key) if each is Ellipsis]
    if len(dots) > 1:
        raise UsageError("two ... in one index", fix="use one")
    place = dots[0] if dots else len(key)
    rest = key[place + 1 :] if dots else ()
    return [*key[:place], *[slice(None)] * (rank - used), *rest]


def _basic(
    x: Tensor, parts: Sequence[Any]
) -> tuple[Tensor, tuple[int, ...], list[tuple[int, Tensor]]]:
    """Slices applied at once; the shape after dropping axes; the arrays still to be taken."""
    ranges, shape, flips, arrays = [], [], [], []
    axis = 0
    for part in parts:
        if part is None:
            shape.append(1)
            continue
        extent = x.shape[axis]
        kept, turned = _range(part, extent, axis)
        ranges.append(kept)
        if turned:
            flips.append(axis)
        if _is_array(part):
            arrays.append((len(shape), _as_index(part)))
        if not _is_integer(part):
            shape.append(len(range(*kept)))
        axis += 1
    if len(arrays) > 1:
        raise UsageError("several arrays in one index", fix=f"an index takes {KINDS}")
    return _sliced(x, ranges, flips), tuple(shape), arrays


def _range(part: Any, extent: int, axis: int) -> tuple[tuple[int, int, int], bool]:
    """start, stop, step (positive) of what one part keeps, and whether it runs backwards."""
    if isinstance(part, slice):
        whole = range(*part.indices(extent))
        if len(whole) == 0:
            return (0, 0, 1), False
        if whole.step > 0:
            return (whole[0], whole[-1] + 1, whole.step), False
        return (whole[-1], whole[0] + 1, -whole.step), True
    if _is_integer(part):
        place = operator.index(part)
        if not -extent <= place < extent:
            raise UsageError(f"index {place} is outside axis {axis} of {extent} elements")
        return (place % extent, place % extent + 1, 1), False
    if _is_array(part):
        return (0, extent, 1), False
    raise UsageError(f"an index of type {type(part).__name__}", fix=f"an index takes {KINDS}")


def _sliced(x: Tensor, ranges: Sequence[tuple[int, int, int]], flips: Sequence[int]) -> Tensor:
    whole = all(kept == (0, n, 1) for kept, n in zip(ranges, x.shape, strict=True))
    if not whole:
        starts, stops, steps = zip(*ranges, strict=True)
        x = arithmetic.call("slice", x, starts=starts, stops=stops, steps=steps)
    return arithmetic.call("flip", x, axes=tuple(flips)) if flips else x


def _is_integer(part: Any) -> bool:
    return isinstance(part, (int, np.integer)) and not isinstance(part, bool)


def _is_array(part: Any) -> bool:
    return isinstance(part, (front.Tensor, np.ndarray, list))


def _as_index(part: Any) -> Tensor:
    index = front.as_tensor(part)
    if index.dtype == bool_ or not is_integer(index.dtype):
        raise UsageError(f"an index array of {index.dtype.name}", fix=f"an index takes {KINDS}")
    return index


def take(x: Any, index: Any, axis: int) -> Tensor:
    """Elements of an axis by their places; negative ones count from the end."""
    x = front.as_tensor(x)
    with locating():
        place, axis = _as_index(index), normal_axis("take", axis, x.ndim)
        return arithmetic.call("take", x, from_front(place, x.shape[axis]), axis=axis)


def from_front(index: Tensor, extent: int) -> Tensor:
    """Negative indices turned into those that count from the front."""
    if index.dtype.kind == "u":
        return index
    if index.is_known and (index.size == 0 or index.numpy().min() >= 0):
        return index
    return arithmetic.where(index < 0, index + extent, index)
