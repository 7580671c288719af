"""Elementwise functions and sums that NumPy or PyTorch have beside the standard's.

Each is a line or two of others, with a derivative that is right where a part of it is not finite.
Not here: other names of the same functions (`kedja/__init__.py`). Next: `arrangement.py`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from kedja.front import arithmetic, sorting
from kedja.front import tensor as front
from kedja.front.arithmetic import binary, power, unary, where
from kedja.front.elementwise import (
    abs,
    clip,
    copysign,
    isfinite,
    isnan,
    log,
    log1p,
    sign,
    sin,
    sqrt,
    trunc,
)
from kedja.front.matrix_products import diagonal
from kedja.front.movement import flatten
from kedja.front.reductions import all as all_of
from kedja.front.reductions import floating
from kedja.front.reductions import mean as mean_of
from kedja.front.reductions import sum as total
from kedja.ground.dtypes import is_float, promote
from kedja.ground.errors import ShapeError
from kedja.ground.limits import float_limits
from kedja.ir.graph import locating
from kedja.ops.types import normal_axis

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor

# --------------------------------------------------------------------------- of one array


def rsqrt(x: Any) -> Tensor:
    """1/√x."""
    return binary("divide", 1, sqrt(x))


def exp2(x: Any) -> Tensor:
    """2^x."""
    return power(2.0, floating(x))


def frac(x: Any) -> Tensor:
    """x without its whole part, of the sign of x."""
    x = front.as_tensor(x)
    return binary("subtract", x, trunc(x))


def sinc(x: Any) -> Tensor:
    """sin(πx)/(πx), 1 at 0; close to 0 by its series, so that higher derivatives are right too."""
    turned = binary("multiply", floating(x), math.pi)
    near = abs(turned) < 1e-2
    square = where(near, turned * turned, 0.0)
    series = 1 - square / 6 * (1 - square / 20)
    safe = where(near, 1.0, turned)
    return where(near, series, binary("divide", sin(safe), safe))


def logit(x: Any, eps: float | None = None) -> Tensor:
    """log(x/(1 − x)), the inverse of sigmoid; `eps` holds x between eps and 1 − eps first."""
    x = floating(x)
    held = x if eps is None else clip(x, eps, 1 - eps)
    return binary("subtract", log(held), log1p(-held))


def deg2rad(x: Any) -> Tensor:
    """Degrees as radians."""
    return binary("multiply", floating(x), math.pi / 180)


def rad2deg(x: Any) -> Tensor:
    """Radians as degrees."""
    return binary("multiply", floating(x), 180 / math.pi)


def isposinf(x: Any) -> Tensor:
    """Whether x is +∞."""
    return binary("equal", floating(x), math.inf)


def isneginf(x: Any) -> Tensor:
    """Whether x is −∞."""
    return binary("equal", floating(x), -math.inf)


def nan_to_num(
    x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """x with numbers for NaN and ±∞: 0 and the largest and smallest float unless others are given.

    >>> nan_to_num([1.0, math.nan]).tolist()
    [1.0, 0.0]
    """
    result = front.as_tensor(x)
    if not is_float(result.dtype):
        return result
    limits = float_limits(result.dtype)
    result = where(isposinf(result), limits.max if posinf is None else posinf, result)
    result = where(isneginf(result), limits.min if neginf is None else neginf, result)
    return where(isnan(result), nan, result)


# -------------------------------------------------------------------------- of two arrays


def fmod(a: Any, b: Any) -> Tensor:
    """The remainder of a/b with the sign of a, as in C."""
    with locating():
        a, b = arithmetic.together("remainder", a, b)
        rest = binary("remainder", abs(a), abs(b))
        if is_float(a.dtype):
            return copysign(rest, a)
        return binary("multiply", rest, sign(a))


def fmax(a: Any, b: Any) -> Tensor:
    """The larger of both (the first of two equal ones); a number where the other is NaN."""
    return _preferred(binary("greater_equal", a, b), a, b)


def fmin(a: Any, b: Any) -> Tensor:
    """The smaller of both (the first of two equal ones); a number where the other is NaN."""
    return _preferred(binary("less_equal", a, b), a, b)


def _preferred(first: Tensor, a: Any, b: Any) -> Tensor:
    return where(first | isnan(b), a, b)


def xlogy(x: Any, y: Any) -> Tensor:
    """x·log y, 0 where x is 0 (but where y is NaN)."""
    with locating():
        x, y = (floating(each) for each in arithmetic.together("divide", x, y))
        nothing = (x == 0) & ((y <= 0) | isposinf(y))  # where log y is not finite
        return where(nothing, 0, binary("multiply", x, log(where(nothing, 1, y))))


def heaviside(x: Any, values: Any) -> Tensor:
    """0 below 0, 1 above, `values` at 0."""
    with locating():
        x, values = arithmetic.together("add", x, values)
    return where(x == 0, values, arithmetic.cast(x > 0, x.dtype))


def lerp(start: Any, end: Any, weight: Any) -> Tensor:
    """start + weight·(end − start)."""
    return binary("add", start, binary("multiply", weight, binary("subtract", end, start)))


def isclose(
    a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Whether |a − b| ≤ atol + rtol·|b|; infinities are close to themselves, NaN to nothing.

    `equal_nan` makes NaN close to NaN.
    """
    a, b = (floating(each) for each in (a, b))
    same = binary("equal", a, b)
    apart = abs(binary("subtract", a, b))
    near = (apart <= atol + rtol * abs(b)) & isfinite(a) & isfinite(b)
    close = same | near
    return close | (isnan(a) & isnan(b)) if equal_nan else close


def allclose(
    a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether all elements are close, as True or False; see `isclose`."""
    return bool(all_of(isclose(a, b, rtol, atol, equal_nan)))


def isin(x: Any, values: Any, *, invert: bool = False) -> Tensor:
    """Whether each element of x is among the values (not among them if `invert`).

    >>> isin([1, 2, 3], [3, 1]).tolist()
    [True, False, True]
    """
    x, known = front.as_tensor(x), flatten(values)
    with locating():
        common = promote(x.dtype, known.dtype)
        x, known = (arithmetic.cast(each, common) for each in (x, known))
    if known.size == 0:
        found = arithmetic.broadcast(front.Tensor(False), x.shape)
    else:
        ordered = sorting.sort(known)
        place = sorting.searchsorted(ordered, flatten(x))
        nearest = ordered[binary("minimum", place, known.size - 1)]
        found = arithmetic.reshape(nearest, x.shape) == x
    return unary("logical_not", found) if invert else found


# ------------------------------------------------------------------------------- reductions


def nansum(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Σ over some axes or all, NaN counting as 0."""
    x = front.as_tensor(x)
    return total(where(isnan(x), 0, x) if is_float(x.dtype) else x, axis, keepdims)


def nanmean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The mean of what is not NaN, over some axes or all; NaN where there is nothing else."""
    x = front.as_tensor(x)
    if not is_float(x.dtype):
        return mean_of(x, axis, keepdims)
    count = total(arithmetic.cast(~isnan(x), x.dtype), axis, keepdims)
    return binary("divide", nansum(x, axis, keepdims), count)


def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Tensor:
    """∫ y dx along an axis by the trapezoidal rule, at the places x, or at distances dx.

    >>> trapezoid([1.0, 2.0, 3.0]).item()
    4.0
    """
    rows = _axis_last(front.as_tensor(y), axis)
    heights = (rows[..., 1:] + rows[..., :-1]) * 0.5
    if x is None:
        return total(heights * dx, axis=-1)
    places = front.as_tensor(x)
    places = places if places.ndim == 1 else _axis_last(places, axis)
    return total(heights * (places[..., 1:] - places[..., :-1]), axis=-1)


def _axis_last(x: Tensor, axis: int) -> Tensor:
    with locating():
        last = normal_axis("trapezoid", axis, x.ndim)
    order = [each for each in range(x.ndim) if each != last]
    return arithmetic.transpose(x, [*order, last])


def cov(x: Any, correction: float = 1, fweights: Any = None, aweights: Any = None) -> Tensor:
    """The covariances of variables (the rows) over their observations (the columns).

    Σ w (x − m)(y − n)/(Σw − correction·Σ(w·aweights)/Σw) with the weighted means m and n and
    w = fweights·aweights: how often an observation was made, and how much it counts.

    >>> cov([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    x = floating(x)
    rows = arithmetic.reshape(x, (1, -1)) if x.ndim < 2 else x
    often, much = (_weight(each, rows) for each in (fweights, aweights))
    weight = often * much
    whole = total(weight)
    apart = rows - total(rows * weight, axis=1, keepdims=True) / whole
    count = whole - correction * total(weight * much) / whole
    found = arithmetic.matmul(apart * weight, apart.T) / count
    return arithmetic.reshape(found, ()) if rows.shape[0] == 1 else found


def _weight(given: Any, rows: Tensor) -> Tensor:
    """One number for each observation, 1 unless they are given."""
    numbers = front.as_tensor(1.0 if given is None else given)
    with locating():
        if numbers.shape not in ((), rows.shape[1:]):
            raise ShapeError(
                f"{list(numbers.shape)} weights of {rows.shape[1]} observations", fix="one for each"
            )
        return arithmetic.broadcast(arithmetic.cast(numbers, rows.dtype), rows.shape[1:])


def corrcoef(x: Any) -> Tensor:
    """The correlations of variables (the rows) over their observations, in −1 … 1."""
    found = cov(x)
    if found.ndim == 0:
        return binary("divide", found, found)
    deviations = sqrt(diagonal(found))
    return found / arithmetic.reshape(deviations, (-1, 1)) / deviations
