"""Elementwise functions made of a few others: exp2, rsqrt, logit, sinc, fmod, lerp, xlogy …

Names and meanings are those that NumPy, SciPy and PyTorch share. Halves are computed as a whole in
float32, integers become float32. Not here: comparisons and NaNs (`nans.py`). Next: `nans.py`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from kedja.front import arithmetic
from kedja.front import tensor as front
from kedja.front.arithmetic import where
from kedja.front.elementwise import (
    abs,
    copysign,
    log,
    log1p,
    logaddexp,
    maximum,
    minimum,
    remainder,
    sin,
    sqrt,
    trunc,
)
from kedja.front.wide import narrow, wide, wide_together
from kedja.ir.graph import locating

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor

LN2 = math.log(2)

# --------------------------------------------------------------------------- of one array


def exp2(x: Any) -> Tensor:
    """2^x.

    >>> exp2([0.0, 3.0]).tolist()
    [1.0, 8.0]
    """
    with locating():
        x, kind = wide(x)
        return narrow(arithmetic.power(2, x), kind)


def rsqrt(x: Any) -> Tensor:
    """1/√x; ∞ at 0, NaN below.

    >>> rsqrt([4.0]).tolist()
    [0.5]
    """
    with locating():
        x, kind = wide(x)
        return narrow(1 / sqrt(x), kind)


def logit(x: Any, eps: float | None = None) -> Tensor:
    """log(x/(1 − x)), the inverse of sigmoid; x is held between eps and 1 − eps where eps is given.

    >>> logit([0.5]).tolist()
    [0.0]
    """
    with locating():
        x, kind = wide(x)
        if eps is not None:
            x = minimum(maximum(x, eps), 1 - eps)
        return narrow(log(x) - log1p(-x), kind)


def sinc(x: Any) -> Tensor:
    """sin(πx)/(πx), 1 at 0.

    Near 0 by its series, so that derivatives of all orders up to the fourth are right there too.

    >>> sinc([0.0, 0.5]).tolist()[0]
    1.0
    """
    with locating():
        x, kind = wide(x)
        angle = math.pi * x
        near = abs(angle) < 1e-2
        safe = where(near, 1.0, angle)
        square = where(near, angle * angle, 0.0)
        series = 1 - square / 6 * (1 - square / 20)
        return narrow(where(near, series, sin(safe) / safe), kind)


def frac(x: Any) -> Tensor:
    """x − trunc(x), of x's sign.

    >>> frac([1.25, -1.25]).tolist()
    [0.25, -0.25]
    """
    with locating():
        x, kind = wide(x)
        return narrow(x - trunc(x), kind)


def deg2rad(x: Any) -> Tensor:
    """Degrees in radians: x·π/180."""
    with locating():
        x, kind = wide(x)
        return narrow(x * (math.pi / 180), kind)


def rad2deg(x: Any) -> Tensor:
    """Radians in degrees: x·180/π."""
    with locating():
        x, kind = wide(x)
        return narrow(x * (180 / math.pi), kind)


# -------------------------------------------------------------------------- of two arrays


def fmod(a: Any, b: Any) -> Tensor:
    """a − b·trunc(a/b), of a's sign (`remainder` is of b's).

    >>> fmod([-3.0, 3.0], 2.0).tolist()
    [-1.0, 1.0]
    """
    with locating():
        a, b = arithmetic.together("remainder", a, b)
        rest = remainder(abs(a), abs(b))
        return copysign(rest, a) if _signed_zero(rest) else where(a < 0, -rest, rest)


def _signed_zero(x: Tensor) -> bool:
    return front.is_float(x.dtype)


def heaviside(x: Any, at_zero: Any) -> Tensor:
    """0 below 0, 1 above, `at_zero` at 0; NaN stays.

    >>> heaviside([-2.0, 0.0, 2.0], 0.5).tolist()
    [0.0, 0.5, 1.0]
    """
    with locating():
        x, at_zero, kind = wide_together(x, at_zero)
        step = where(x > 0, 1.0, where(x < 0, 0.0, x))
        return narrow(where(x == 0, at_zero, step), kind)


def xlogy(x: Any, y: Any) -> Tensor:
    """x·log y, 0 where x is 0 (unless y is NaN): entropies without 0·∞.

    >>> xlogy([0.0, 2.0], [0.0, 1.0]).tolist()
    [0.0, 0.0]
    """
    with locating():
        x, y, kind = wide_together(x, y)
        endless = (x == 0) & ((y <= 0) | (y == math.inf))
        return narrow(x * log(where(endless, 1.0, y)), kind)


def logaddexp2(a: Any, b: Any) -> Tensor:
    """log₂(2^a + 2^b), without overflow.

    >>> logaddexp2([1.0], [1.0]).tolist()
    [2.0]
    """
    with locating():
        a, b, kind = wide_together(a, b)
        return narrow(logaddexp(a * LN2, b * LN2) / LN2, kind)


def ldexp(x: Any, exponent: Any) -> Tensor:
    """x·2^exponent.

    >>> ldexp([3.0], [2]).tolist()
    [12.0]
    """
    with locating():
        x, exponent, kind = wide_together(x, exponent)
        return narrow(x * arithmetic.power(2, exponent), kind)


def lerp(start: Any, end: Any, weight: Any) -> Tensor:
    """start + weight·(end − start): `start` at weight 0, `end` at weight 1.

    >>> lerp([0.0], [10.0], 0.25).tolist()
    [2.5]
    """
    with locating():
        start, end, kind = wide_together(start, end)
        return narrow(start + weight * (end - start), kind)
