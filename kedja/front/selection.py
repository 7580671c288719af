"""Elements chosen by places: take, take_along_axis, scatter_add, one_hot.

Not here: `t[key]` (`index.py`), `t.at[key]` (`at.py`), sorting. Next: `products.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kedja.front import arithmetic, index
from kedja.front import tensor as front
from kedja.front.arithmetic import call
from kedja.ground.dtypes import as_dtype, float32
from kedja.ground.errors import ShapeError, UsageError
from kedja.ir.graph import locating
from kedja.ops.types import extents, normal_axis

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor


def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Elements of an axis by their places; the axis may be left out where there is only one."""
    x = front.as_tensor(x)
    with locating():
        if axis is None and x.ndim != 1:
            raise UsageError(
                f"take from {x.ndim} axes without `axis`", fix="say along which axis: axis=0"
            )
    return index.take(x, indices, 0 if axis is None else axis)


def take_along_axis(x: Any, indices: Any, axis: int = -1) -> Tensor:
    """y[i, j] = x[i, indices[i, j]] (for axis 1); all other axes are broadcast together.

    >>> take_along_axis([[1, 2, 3], [4, 5, 6]], [[2, 0]], axis=1).tolist()
    [[3, 1], [6, 4]]
    """
    x, place = front.as_tensor(x), index.as_index(indices)
    with locating():
        axis = normal_axis("take_along_axis", axis, x.ndim)
        place = index.from_front(place, x.shape[axis], axis)
        return call("take_along_axis", *_beside(x, place, axis), axis=axis)


def _beside(x: Tensor, place: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Both with the same extents but for one axis."""
    pairs = list(zip(x.shape, place.shape, strict=False))
    apart = [i for i, (m, n) in enumerate(pairs) if i != axis and m != n and 1 not in (m, n)]
    if x.ndim != place.ndim or apart:
        raise ShapeError(
            f"take_along_axis of {list(x.shape)} by {list(place.shape)} along axis {axis}",
            fix="as many axes in both; all but that one of equal extents, or 1",
        )
    common = [m if n == 1 else n for m, n in pairs]
    first, second = (
        arithmetic.broadcast(each, [*common[:axis], each.shape[axis], *common[axis + 1 :]])
        for each in (x, place)
    )
    return first, second


def scatter_add(x: Any, indices: Any, updates: Any, axis: int = 0) -> Tensor:
    """x with `updates` added at the places of an axis, repeated places adding up."""
    x, place = front.as_tensor(x), index.as_index(indices)
    with locating():
        axis = normal_axis("scatter_add", axis, x.ndim)
        place = index.from_front(place, x.shape[axis], axis)
        return call("scatter_add", x, place, front.as_tensor(updates, x), axis=axis)


def one_hot(indices: Any, count: int, dtype: Any = float32) -> Tensor:
    """1 at the class along a new last axis of `count` classes, 0 elsewhere."""
    place = front.as_tensor(indices)
    with locating():
        (extent,) = extents(count)
        return call("one_hot", place, count=extent, dtype=as_dtype(dtype))
