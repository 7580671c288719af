"""`t[key]` as graph ops: slices and integers at once, then one `take` for all arrays together.

Several arrays become one: their axes are brought together and flattened, and their places are
counted in row-major order. Next: `at.py`, which changes what a key names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kedja.front import arithmetic, index_key
from kedja.front import tensor as front
from kedja.front.index_key import Places, Plan, plan_of
from kedja.ground.dtypes import bool_, int64, is_integer
from kedja.ground.errors import ShapeError, UsageError
from kedja.ir.graph import locating
from kedja.ops.types import broadcast_shapes, normal_axis

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor


def get(x: Tensor, key: Any) -> Tensor:
    """x[key] as NumPy would read it."""
    with locating():
        plan = plan_of(x.shape, key)
        kept = arithmetic.reshape(sliced(x, plan), plan.shape)
        if not plan.arrays:
            return kept
        lines = lines_of(plan)
        return arithmetic.call("take", lines.flat(kept), lines.places, axis=lines.axis)


def sliced(x: Tensor, plan: Plan) -> Tensor:
    """What the slices and integers of a key keep, with an axis of 1 for each integer."""
    if not is_whole(plan, x.shape):
        starts, stops, steps = zip(*plan.ranges, strict=True)
        x = arithmetic.call("slice", x, starts=starts, stops=stops, steps=steps)
    return arithmetic.call("flip", x, axes=plan.flips) if plan.flips else x


def is_whole(plan: Plan, shape: Sequence[int]) -> bool:
    """Whether the slices and integers of a key keep every element."""
    return all(kept == (0, n, 1) for kept, n in zip(plan.ranges, shape, strict=True))


# ------------------------------------------------------------------------------------ arrays


class Lines(NamedTuple):
    """All arrays of a key as one index along one axis."""

    shape: tuple[int, ...]  # what is indexed: `Plan.shape`
    order: tuple[int, ...]  # its axes, those of the arrays together
    axis: int  # where they are
    flat_shape: tuple[int, ...]  # with these flattened into one
    places: Tensor

    def flat(self, x: Tensor) -> Tensor:
        """The array with the arrays' axes as one."""
        return arithmetic.reshape(arithmetic.transpose(x, self.order), self.flat_shape)

    def back(self, x: Tensor) -> Tensor:
        """What `flat` has made, as it was."""
        apart = arithmetic.reshape(x, [self.shape[axis] for axis in self.order])
        return arithmetic.transpose(apart, np.argsort(self.order).tolist())


def lines_of(plan: Plan) -> Lines:
    """The arrays of a key brought together."""
    chosen = [axis for axis, _ in plan.arrays]
    others = [axis for axis in range(len(plan.shape)) if axis not in chosen]
    place = 0 if plan.in_front else chosen[0]
    extents = [plan.shape[axis] for axis in chosen]
    rest = [plan.shape[axis] for axis in others]
    return Lines(
        plan.shape,
        (*others[:place], *chosen, *others[place:]),
        place,
        (*rest[:place], math.prod(extents), *rest[place:]),
        _together([index for _, index in plan.arrays], extents),
    )


def _together(indices: Sequence[Places], extents: Sequence[int]) -> Tensor:
    """Indices of several axes, broadcast, as places in row-major order."""
    if len(indices) == 1:
        return _as_tensor(indices[0])
    shape = broadcast_shapes("the arrays of an index", *(each.shape for each in indices))
    if all(isinstance(each, np.ndarray) for each in indices):
        places = np.zeros(shape, np.int64)
        for each, extent in zip(indices, extents, strict=True):
            places = places * extent + each
        return front.from_value(places)
    total = None
    for each, extent in zip(indices, extents, strict=True):
        wide = arithmetic.broadcast(arithmetic.cast(_as_tensor(each), int64), shape)
        total = wide if total is None else total * extent + wide
    assert total is not None
    return total


def _as_tensor(places: Places) -> Tensor:
    return places if isinstance(places, front.Tensor) else front.from_value(places)


# ------------------------------------------------------------------------- for the functions


def take(x: Any, index: Any, axis: int) -> Tensor:
    """Elements of an axis by their places; negative ones count from the end."""
    x = front.as_tensor(x)
    with locating():
        axis = normal_axis("take", axis, x.ndim)
        place = from_front(as_index(index), x.shape[axis], axis)
        return arithmetic.call("take", x, place, axis=axis)


def as_index(given: Any) -> Tensor:
    """A tensor of integers; UsageError for any other."""
    index = front.as_tensor(given)
    if isinstance(given, (list, tuple)) and index.size == 0:
        return front.from_value(np.zeros(index.shape, np.int64))
    if index.dtype == bool_ or not is_integer(index.dtype):
        raise UsageError(f"an index array of {index.dtype.name}", fix="indices are whole numbers")
    return index


def from_front(index: Tensor, extent: int, axis: int) -> Tensor:
    """Negative indices replaced; those with a value are checked at once."""
    if index.is_known and index.dtype.kind == "u":
        index_key.from_front(index, extent, f"axis {axis}")
        return index
    return _as_tensor(index_key.from_front(index, extent, f"axis {axis}"))


def require_fit(what: str, shape: Sequence[int], target: Sequence[int]) -> None:
    """Raise ShapeError unless a shape broadcasts to another."""
    tail = target[len(target) - len(shape) :] if len(shape) <= len(target) else None
    if tail is None or any(n not in (1, m) for n, m in zip(shape, tail, strict=True)):
        raise ShapeError(
            f"{what} of shape {list(shape)} for elements of shape {list(target)}",
            fix="aligned at the last axis, extents must be equal or 1",
        )
