"""Sums of products over axes: vecdot and tensordot. `matmul` stands in `arithmetic.py`.

Not here: `einsum.py`, and the linear-algebra extension (`linalg.py`). Next: `einsum.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kedja.front import arithmetic
from kedja.front import tensor as front
from kedja.ground.dtypes import promote
from kedja.ground.errors import ShapeError, UsageError
from kedja.ir.graph import locating
from kedja.ops.types import normal_axis

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor


def vecdot(x1: Any, x2: Any, axis: int = -1) -> Tensor:
    """Σ x1·x2 along an axis, which is counted in both before they are broadcast."""
    a, b = front.as_tensor(x1), front.as_tensor(x2)
    with locating():
        first, second = (normal_axis("vecdot", axis, each.ndim) for each in (a, b))
        if a.shape[first] != b.shape[second]:
            raise ShapeError(
                f"vecdot of shapes {list(a.shape)} and {list(b.shape)} along axis {axis}",
                fix="the axis must have one extent in both",
            )
        rows = arithmetic.binary("multiply", _axis_last(a, first), _axis_last(b, second))
        return arithmetic.call("sum", rows, axes=(rows.ndim - 1,))


def _axis_last(x: Tensor, axis: int) -> Tensor:
    order = (*(each for each in range(x.ndim) if each != axis), axis)
    return x if axis == x.ndim - 1 else arithmetic.transpose(x, order)


Axes = int | tuple[Sequence[int], Sequence[int]]


def tensordot(x1: Any, x2: Any, axes: Axes = 2) -> Tensor:
    """Products summed over several axes at once.

    `axes` is a number n (the last n of x1 meet the first n of x2), or the axes of each. The result
    has the other axes of x1, then those of x2.
    """
    a, b = front.as_tensor(x1), front.as_tensor(x2)
    with locating():
        summed_a, summed_b = _summed(axes, a, b)
        _require_equal(a, b, summed_a, summed_b)
        kept_a = [each for each in range(a.ndim) if each not in summed_a]
        kept_b = [each for each in range(b.ndim) if each not in summed_b]
        dtype = promote(a.dtype, b.dtype)
        count = math.prod(a.shape[each] for each in summed_a)
        left = arithmetic.transpose(arithmetic.cast(a, dtype), [*kept_a, *summed_a])
        right = arithmetic.transpose(arithmetic.cast(b, dtype), [*summed_b, *kept_b])
        rows, columns = [a.shape[each] for each in kept_a], [b.shape[each] for each in kept_b]
        left = arithmetic.reshape(left, (math.prod(rows), count))
        right = arithmetic.reshape(right, (count, math.prod(columns)))
        return arithmetic.reshape(arithmetic.matmul(left, right), (*rows, *columns))


def _summed(axes: Axes, a: Tensor, b: Tensor) -> tuple[list[int], list[int]]:
    if not isinstance(axes, int):
        first, second = ([each] if isinstance(each, int) else list(each) for each in axes)
        if len(first) != len(second):
            raise UsageError(
                f"tensordot over {len(first)} axes of one array and {len(second)} of the other",
                fix="give as many of both",
            )
        return (
            [normal_axis("tensordot", each, a.ndim) for each in first],
            [normal_axis("tensordot", each, b.ndim) for each in second],
        )
    if not 0 <= axes <= min(a.ndim, b.ndim):
        raise UsageError(
            f"tensordot over {axes} axes of arrays with {a.ndim} and {b.ndim}",
            fix="at most as many as both have",
        )
    return list(range(a.ndim - axes, a.ndim)), list(range(axes))


def _require_equal(a: Tensor, b: Tensor, first: Sequence[int], second: Sequence[int]) -> None:
    for i, j in zip(first, second, strict=True):
        if a.shape[i] != b.shape[j]:
            raise ShapeError(
                f"tensordot of shapes {list(a.shape)} and {list(b.shape)}: axis {i} of the first "
                f"has {a.shape[i]} elements, axis {j} of the second {b.shape[j]}",
                fix="axes that are summed over together must be equal",
            )
