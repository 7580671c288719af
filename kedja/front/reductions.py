"""Reductions by name: sum, mean, max, any, argmax … over one axis, several, or all.

Names follow the Python Array API standard 2024.12. Not here: cumulative sums. Next: `movement.py`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from kedja.front import arithmetic
from kedja.front import tensor as front
from kedja.front.elementwise import sqrt, subtract
from kedja.front.movement import concat, flatten
from kedja.ground.dtypes import as_dtype, bool_, float32, is_float, is_half
from kedja.ground.errors import UsageError
from kedja.ir.graph import locating
from kedja.ops.reduce import kept_shape
from kedja.ops.types import normal_axes, normal_axis

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor


def floating(x: Any) -> Tensor:
    """x itself where it is of floats, else in float32."""
    x = front.as_tensor(x)
    return x if is_float(x.dtype) else arithmetic.cast(x, float32)


def sum(x: Any, axis: Any = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
    """Σ over some axes or all, in `dtype`.

    Without it floats keep their dtype; integers narrower than 64 bits are summed in int64 or
    uint64, bools in int64.
    """
    return _accumulated("sum", x, axis, keepdims, dtype)


def prod(x: Any, axis: Any = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
    """The product over some axes or all; dtypes as in `sum`."""
    return _accumulated("prod", x, axis, keepdims, dtype)


def _accumulated(name: str, x: Any, axis: Any, keepdims: bool, dtype: Any) -> Tensor:
    x = front.as_tensor(x)
    if dtype is None:
        return arithmetic.reduce(name, x, axis, keepdims)
    with locating():
        kind = as_dtype(dtype)
    return arithmetic.cast(arithmetic.reduce(name, arithmetic.cast(x, kind), axis, keepdims), kind)


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The mean over some axes or all; integers become float32.

    Shapes: `axis=1` takes (N, C) to (N,), or with `keepdims` to (N, 1); None gives one number.
    """
    return arithmetic.mean(x, axis, keepdims)


def max(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The largest element over some axes or all; NaN where there is one."""
    return arithmetic.reduce("max", x, axis, keepdims)


def min(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The smallest element over some axes or all; NaN where there is one."""
    return arithmetic.reduce("min", x, axis, keepdims)


def any(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether any element is true (anything but 0)."""
    return arithmetic.reduce("any", x, axis, keepdims)


def all(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether all elements are true (anything but 0)."""
    return arithmetic.reduce("all", x, axis, keepdims)


def var(x: Any, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """Σ(x − mean)²/(n − correction): 0 for a whole population, 1 for a sample of one."""
    values = floating(x)
    if is_half(values.dtype):  # squares may overflow where the result does not
        single = arithmetic.cast(values, float32)
        return arithmetic.cast(var(single, axis, correction, keepdims), values.dtype)
    with locating():
        axes = normal_axes("var", axis, values.ndim)
    apart = subtract(values, arithmetic.mean(values, axes, keepdims=True))
    count = math.prod(values.shape[each] for each in axes)
    total = arithmetic.reduce("sum", arithmetic.binary("multiply", apart, apart), axes, keepdims)
    return arithmetic.binary("divide", total, count - correction)


def std(x: Any, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """The square root of `var`."""
    values = floating(x)
    if is_half(values.dtype):
        single = arithmetic.cast(values, float32)
        return arithmetic.cast(std(single, axis, correction, keepdims), values.dtype)
    return sqrt(var(values, axis, correction, keepdims))


# ---------------------------------------------------------------------------------- places


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The place of the largest element (the first of several; a NaN counts as largest).

    Without an axis the place in row-major order.
    """
    return _place("argmax", x, axis, keepdims)


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The place of the smallest element (the first of several; a NaN counts as smallest).

    Without an axis the place in row-major order.
    """
    return _place("argmin", x, axis, keepdims)


def _place(name: str, x: Any, axis: int | None, keepdims: bool) -> Tensor:
    x = front.as_tensor(x)
    line, along = (flatten(x), 0) if axis is None else (x, axis)
    with locating():
        along = normal_axis(name, along, line.ndim)
        axes = tuple(range(x.ndim)) if axis is None else (along,)
        found = arithmetic.call(name, line, axis=along)
    return arithmetic.reshape(found, kept_shape(x.shape, axes)) if keepdims else found


# ------------------------------------------------------------------------------ differences


def diff(x: Any, axis: int = -1, n: int = 1, *, prepend: Any = None, append: Any = None) -> Tensor:
    """x[i + 1] − x[i] along an axis, n times; `prepend` and `append` lengthen the axis first.

    >>> diff([1, 4, 9, 16]).tolist()
    [3, 5, 7]
    """
    result = front.as_tensor(x)
    with locating():
        axis = normal_axis("diff", axis, result.ndim)
        if n < 0:
            raise UsageError(f"diff with n={n}", fix="n is 0 or more")
    if n == 0:
        return result
    parts = [each for each in (prepend, result, append) if each is not None]
    result = concat(parts, axis) if len(parts) > 1 else result
    for _ in range(n):
        result = _step(result, axis)
    return result


def _step(x: Tensor, axis: int) -> Tensor:
    before = (slice(None),) * axis
    later, earlier = x[(*before, slice(1, None))], x[(*before, slice(None, -1))]
    name = "not_equal" if x.dtype == bool_ else "subtract"
    return arithmetic.binary(name, later, earlier)
