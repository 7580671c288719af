"""Norms of vectors and matrices, and the numbers that follow from singular values: rank, condition.

Next: `linalg.py`, under whose name all of these are public.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from kedja.front import arithmetic
from kedja.front import tensor as front
from kedja.front.arithmetic import binary, call, cast, where
from kedja.front.movement import moveaxis
from kedja.front.wide import narrow, wide
from kedja.ground.dtypes import bool_
from kedja.ground.errors import ShapeError, UsageError
from kedja.ground.limits import float_limits
from kedja.ir.graph import locating
from kedja.ops.reduce import kept_shape
from kedja.ops.types import normal_axes, normal_axis

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor

Ord = float | str | None
MATRIX_ORDS = ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)


def vector_norm(x: Any, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Tensor:
    """(Σ|x|^ord)^(1/ord) over some axes or all of them as one vector.

    `ord` may be any number: 0 counts the elements that are not zero, ∞ takes the largest size and
    −∞ the smallest. The gradient where the norm is 0 is 0.

    >>> vector_norm([3.0, 4.0]).item()
    5.0
    """
    values, kind = wide(x)
    with locating():
        if isinstance(ord, str):
            raise UsageError(f"vector_norm of order {ord!r}", fix="a number; matrices take 'fro'")
        axes = normal_axes("vector_norm", axis, values.ndim)
        return narrow(_vector_norm(values, axes, keepdims, ord), kind)


def _vector_norm(x: Tensor, axes: tuple[int, ...], keepdims: bool, ord: float) -> Tensor:
    if ord == 0:
        counted = cast(cast(x, bool_), x.dtype)
        return arithmetic.reduce("sum", counted, axes, keepdims)
    if math.isinf(ord):
        size = call("abs", x)
        return arithmetic.reduce("max" if ord > 0 else "min", size, axes, keepdims)
    if ord == 2:
        total = arithmetic.reduce("sum", binary("multiply", x, x), axes, keepdims)
        return _root(total, 2)
    size = call("abs", x)
    if ord == 1:
        return arithmetic.reduce("sum", size, axes, keepdims)
    return _root(arithmetic.reduce("sum", _power(size, ord), axes, keepdims), ord)


def _power(size: Tensor, ord: float) -> Tensor:
    """|x|^ord, whose derivative at 0 is taken as 0 where it would be infinite."""
    if ord >= 1:
        return arithmetic.power(size, float(ord))
    zero = size == 0
    return where(zero, 0.0 if ord > 0 else math.inf, where(zero, 1.0, size) ** float(ord))


def _root(total: Tensor, ord: float) -> Tensor:
    """total^(1/ord), with the derivative 0 at 0."""
    zero = total == 0
    safe = where(zero, 1.0, total)
    root = call("sqrt", safe) if ord == 2 else arithmetic.power(safe, 1 / ord)
    return where(zero, 0.0 if ord > 0 else math.inf, root)


def matrix_norm(x: Any, *, keepdims: bool = False, ord: Ord = "fro") -> Tensor:
    """A norm of each matrix (the last two axes).

    "fro": the root of the sum of squares; "nuc": the sum of the singular values; 1 and −1: the
    largest and smallest sum of sizes in a column; ∞ and −∞: in a row; 2 and −2: the largest and
    smallest singular value.

    >>> matrix_norm([[3.0, 0.0], [0.0, -4.0]], ord=2).item()
    4.0
    """
    values, kind = wide(x)
    with locating():
        if values.ndim < 2:
            raise ShapeError(f"matrix_norm of shape {list(values.shape)}", fix="two axes at least")
        if ord not in MATRIX_ORDS:
            orders = ", ".join(map(repr, MATRIX_ORDS))
            raise UsageError(f"matrix_norm of order {ord!r}", fix=f"one of {orders}")
        axes = (values.ndim - 2, values.ndim - 1)
        found = _matrix_norm(values, axes, ord)
        if keepdims:
            found = arithmetic.reshape(found, kept_shape(values.shape, axes))
        return narrow(found, kind)


def _matrix_norm(x: Tensor, axes: tuple[int, int], ord: Ord) -> Tensor:
    if ord == "fro":
        return _vector_norm(x, axes, False, 2)
    if ord == "nuc":
        return arithmetic.reduce("sum", call("svdvals", x), -1, False)
    if ord in (2, -2):
        return arithmetic.reduce("max" if ord == 2 else "min", call("svdvals", x), -1, False)
    assert isinstance(ord, (int, float))
    rows, columns = axes
    sums = arithmetic.reduce("sum", call("abs", x), columns if math.isinf(ord) else rows, False)
    return arithmetic.reduce("max" if ord > 0 else "min", sums, -1, False)


def norm(x: Any, ord: Ord = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """NumPy's norm: of vectors over one axis, of matrices over two.

    Without `ord`, the root of the sum of squares over the axes (or all). With it and without an
    axis, an array of one axis is a vector, one of two a matrix.
    """
    values, kind = wide(x)
    with locating():
        if ord is None:
            axes = normal_axes("norm", axis, values.ndim)
            return narrow(_vector_norm(values, axes, keepdims, 2), kind)
        if axis is None and values.ndim > 2:
            raise ShapeError(
                f"norm of order {ord!r} of shape {list(values.shape)}",
                fix="name one axis for vectors or two for matrices",
            )
        over = range(values.ndim) if axis is None else axis
        axes = (over,) if isinstance(over, int) else tuple(over)
        if len(axes) == 2:
            return narrow(_over_two(values, axes, ord, keepdims), kind)
        return narrow(vector_norm(values, axis=axes, keepdims=keepdims, ord=ord), kind)


def _over_two(x: Tensor, axes: tuple[int, ...], ord: Ord, keepdims: bool) -> Tensor:
    places = [normal_axis("norm", axis, x.ndim) for axis in axes]
    found = matrix_norm(moveaxis(x, places, (-2, -1)), ord=ord)
    return arithmetic.reshape(found, kept_shape(x.shape, tuple(places))) if keepdims else found


# ------------------------------------------------------------------------- rank and condition


def default_rtol(x: Tensor) -> float:
    """max(m, n)·ε: singular values below this part of the largest count as 0."""
    return max(x.shape[-2:]) * float_limits(x.dtype).eps


def tolerance(rtol: Any, x: Tensor) -> Tensor:
    """The relative tolerance for each matrix, in its dtype."""
    batch = x.shape[:-2]
    given = front.Tensor(default_rtol(x), x.dtype) if rtol is None else front.as_tensor(rtol)
    return arithmetic.broadcast(cast(given, x.dtype), batch)


def matrix_rank(x: Any, *, rtol: Any = None) -> Tensor:
    """How many singular values are above rtol times the largest, as int64.

    `rtol` is a number, or one for each matrix; the default is max(m, n)·ε of the dtype.

    >>> matrix_rank([[1.0, 2.0], [2.0, 4.0]]).item()
    1
    """
    values, _ = wide(x)
    with locating():
        require_matrices("matrix_rank", values)
        found = call("svdvals", values)
        if found.shape[-1] == 0:
            return front.from_value(np.zeros(values.shape[:-2], np.int64))
        largest = arithmetic.reduce("max", found, -1, True)
        bound = largest * arithmetic.reshape(tolerance(rtol, values), largest.shape)
        return arithmetic.reduce("sum", found > bound, -1, False)


def require_matrices(name: str, x: Tensor) -> None:
    """ShapeError unless x has at least two axes."""
    if x.ndim < 2:
        raise ShapeError(f"{name} of shape {list(x.shape)}", fix="matrices have two axes")


def cond(x: Any, p: Ord = None) -> Tensor:
    """‖A‖·‖A⁻¹‖ in a norm of `matrix_norm`; without one the largest by the smallest singular value.

    It is ∞ for singular matrices by singular values (None, 2, −2); other norms need the inverse.
    """
    values, kind = wide(x)
    with locating():
        require_matrices("cond", values)
        if p in (None, 2, -2):
            found = call("svdvals", values)
            largest, smallest = (
                arithmetic.reduce(name, found, -1, False) for name in ("max", "min")
            )
            ratio = smallest / largest if p == -2 else largest / smallest
            return narrow(ratio, kind)
    inverse = call("inv", values)
    return narrow(matrix_norm(values, ord=p) * matrix_norm(inverse, ord=p), kind)
