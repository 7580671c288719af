"""Type rules that several families share: what may meet what, and the error where it may not.

Next: `samples.py`, then `elementwise.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import SupportsIndex

import numpy as np

from kedja.ground import dtypes
from kedja.ground.errors import DtypeError, ShapeError, UsageError
from kedja.ir.op import Type

TypeRule = Callable[..., Type]


def require_dtype(name: str, dtype: np.dtype, allowed: Sequence[np.dtype]) -> None:
    """Raise DtypeError unless an op takes this dtype."""
    if dtype in allowed:
        return
    names = ", ".join(each.name for each in allowed)
    raise DtypeError(f"{name} does not take {dtype.name}", fix=f"cast to one of {names}")


def elementwise(name: str, allowed: Sequence[np.dtype], result: np.dtype | None = None) -> TypeRule:
    """All inputs of one shape and dtype; the output is of that shape, and dtype `result`."""

    def rule(first: Type, *rest: Type) -> Type:
        for other in rest:
            require_same_shape(name, first, other)
            if other.dtype != first.dtype:
                both = f"{first.dtype.name} and {other.dtype.name}"
                raise DtypeError(f"{name} of {both}", fix="cast one of them with astype")
        require_dtype(name, first.dtype, allowed)
        return Type(first.shape, result or first.dtype)

    return rule


def require_same_shape(name: str, first: Type, other: Type) -> None:
    """Raise ShapeError unless two shapes are equal."""
    if first.shape != other.shape:
        raise ShapeError(
            f"{name} of shapes {list(first.shape)} and {list(other.shape)}",
            fix="broadcast or reshape one of them to the other's shape",
        )


def normal_axis(name: str, axis: SupportsIndex, rank: int) -> int:
    """An axis counted from the front; raises UsageError where there is no such axis."""
    axis = operator.index(axis)
    if not -rank <= axis < rank:
        raise UsageError(
            f"{name}: axis {axis} of an array with {rank} axes",
            fix=f"an axis from {-rank} to {rank - 1}" if rank else "the array has no axes",
        )
    return axis % rank


def normal_axes(
    name: str, axes: SupportsIndex | Sequence[SupportsIndex] | None, rank: int
) -> tuple[int, ...]:
    """Axes counted from the front, sorted; None means all of them."""
    if axes is None:
        return tuple(range(rank))
    given = (axes,) if isinstance(axes, SupportsIndex) else tuple(axes)
    normal = tuple(sorted(normal_axis(name, axis, rank) for axis in given))
    if len(set(normal)) != len(normal):
        raise UsageError(f"{name}: axes {list(given)} name one axis twice")
    return normal


def extents(shape: SupportsIndex | Sequence[SupportsIndex]) -> tuple[int, ...]:
    """A shape from one whole number or several, NumPy's whole numbers included."""
    given = (shape,) if isinstance(shape, SupportsIndex) else shape
    result = tuple(operator.index(n) for n in given)
    if min(result, default=0) < 0:
        raise ShapeError(f"shape {list(result)}", fix="extents are 0 or more")
    return result


def broadcast_shapes(name: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in which several meet, aligned at the last axis; ShapeError where they do not."""
    rank = max((len(shape) for shape in shapes), default=0)
    result = [1] * rank
    for shape in shapes:
        for place, extent in enumerate(shape, start=rank - len(shape)):
            if result[place] == 1:
                result[place] = extent
            elif extent not in (1, result[place]):
                together = " and ".join(str(list(each)) for each in shapes)
                raise ShapeError(
                    f"{name}: shapes {together} do not broadcast: axis {place - rank} is "
                    f"{result[place]} in one and {extent} in another",
                    fix="aligned at the last axis, extents must be equal or 1",
                )
    return tuple(result)


def float_only(dtype: np.dtype) -> bool:
    """Whether a value of this dtype can have a derivative."""
    return dtypes.is_float(dtype)
