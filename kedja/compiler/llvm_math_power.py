"""x to the power y, with every special case of C's `pow` and NumPy's `power`.

|x|^y = exp(y·log |x|) multiplies the error of the logarithm by up to a thousand, so the logarithm
needs more bits than the result has: float32 is computed in float64, float64 with numbers in two
parts (Dekker, 1971). Signs and special cases follow from one table of conditions.
Next: `kedja/compiler/llvm_math_remainder.py`.
"""

from __future__ import annotations

import math

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_math_exp import exp_polynomial, power_of_two, reduced
from kedja.compiler.llvm_math_lanes import (
    Lanes,
    absolute,
    at_least,
    at_most,
    bits_of,
    cast,
    fma,
    intrinsic,
    polynomial,
    where,
)
from kedja.compiler.llvm_math_log import split

Pair = tuple[Lanes, Lanes]  # a number as the unevaluated sum of a high and a low part

# log2((1 + s)/(1 − s)) / s in s², on [−0.172, 0.172], for float32 only              2⁻³⁷ relative
_LOG2 = (
    2.8853900817901406, 0.9617966732841673, 0.5770835944797894, 0.41167221692641615,
    0.34073837648125166,
)  # fmt: skip
# 2^r on [−½, ½], for float32 only                                                   2⁻²⁹ relative
_EXP2 = (
    1.0000000005551386, 0.6931472057660786, 0.24022646885238022, 0.055503287132250105,
    0.009618489334599125, 0.0013399957268574894, 0.00015345766055670424,
)  # fmt: skip
# (log((1 + s)/(1 − s))/s − 2 − ⅔s²) / s⁴ in s², on [−0.172, 0.172]                  2⁻⁶⁶ relative
_TAIL = (
    0.40000000000002256, 0.28571428570099644, 0.22222222519904342, 0.18181784369207557,
    0.1538675721707084, 0.13256820768488006, 0.1319629772166009,
)  # fmt: skip

_TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)
_LN2 = (float.fromhex("0x1.62e42fefa3800p-1"), float.fromhex("0x1.ef35793c76730p-45"))


def power(x: Lanes, y: Lanes) -> Lanes:
    """x^y; NaN for a negative x with a y that is no integer, 1 for y = 0 and for x = 1."""
    a = absolute(x)
    return _with_sign(x, y, _power32(a, y) if x.bits == 32 else _power64(a, y))


def _with_sign(x: Lanes, y: Lanes, magnitude: Lanes) -> Lanes:
    """The magnitude |x|^y with the special cases of 1 and 0, and the sign of an odd power."""
    whole = intrinsic("trunc", y).equals(y)
    half = y * 0.5
    odd = whole & ~intrinsic("trunc", half).equals(half)
    unit = (absolute(x).equals(1.0) & ~y.is_nan()) | x.equals(1.0) | y.equals(0.0)
    magnitude = where(unit, 1.0, magnitude)
    answer = where(odd & (bits_of(x) < 0), -magnitude, magnitude)
    imaginary = (x < 0.0) & (x > -math.inf) & ~whole & ~y.is_nan()
    return where(imaginary, math.nan, answer)


def _power32(a: Lanes, y: Lanes) -> Lanes:
    """2^(y·log2 a) in float64, rounded once."""
    double = ir.DoubleType()
    a, y = (cast(value, double, ir.IRBuilder.fpext) for value in (a, y))
    k, f = split(a)
    s = f / (f + 2.0)
    logarithm = _log_edges(a, fma(s, polynomial(s * s, _LOG2), k))
    exponent = at_least(at_most(y * logarithm, 200.0), -200.0)
    shifted = exponent + a.format.shifter
    r = exponent - (shifted - a.format.shifter)
    answer = polynomial(r, _EXP2) * power_of_two(shifted)
    return cast(answer, ir.FloatType(), ir.IRBuilder.fptrunc)


def _log_edges(a: Lanes, logarithm: Lanes) -> Lanes:
    """The logarithm of a ≥ 0, with −inf at 0, +inf at +inf and NaN at NaN."""
    return where(a < a.format.tiny, -math.inf, where(a < math.inf, logarithm, a))


def _power64(a: Lanes, y: Lanes) -> Lanes:
    """exp(y·log a) with the logarithm and the exponent in two parts."""
    high, low = _log_pair(a)
    high = _log_edges(a, high)
    exponent = y * high
    error = fma(y, high, -exponent) + y * low
    exponent = at_least(at_most(exponent, 750.0), -750.0)
    return _exp_pair(exponent, where(absolute(exponent) < 750.0, error, 0.0))


def _exp_pair(x: Lanes, tail: Lanes) -> Lanes:
    """e^(x + tail) for |x| ≤ 750; 2ⁿ comes in two factors, as it may be no float itself."""
    shifter = x.format.shifter
    r, shifted = reduced(x, shifter)
    n = shifted - shifter
    half = fma(n, 0.5, shifter)
    rest = (n - (half - shifter)) + shifter
    return exp_polynomial(r + tail) * power_of_two(half) * power_of_two(rest)


def _log_pair(a: Lanes) -> Pair:
    """log a to about 2⁻⁶⁵, for normal a = 2ᵏ·(1 + f): k·ln 2 + 2s + ⅔s³ + …, s = f / (2 + f)."""
    k, f = split(a)
    s = _quotient(f)
    z = _product(s, s)
    cubic = _product(_product(s, z), _two_thirds_and_more(z[0]))
    high, low = _fast_sum(s[0] + s[0], cubic[0])
    low = low + (cubic[1] + (s[1] + s[1]))
    top, rest = _fast_sum(k * _LN2[0], high)  # k·_LN2[0] is exact
    return _fast_sum(top, rest + fma(k, _LN2[1], low))


def _two_thirds_and_more(z: Lanes) -> Pair:
    """⅔ + z·(…): only the first term needs more bits than a float has."""
    more = z * polynomial(z, _TAIL)
    high, low = _fast_sum(z.like(_TWO_THIRDS[0]), more)
    return high, low + _TWO_THIRDS[1]


def _quotient(f: Lanes) -> Pair:
    """f / (2 + f) in two parts, by one division and what it leaves over."""
    divisor = f + 2.0
    divisor_low = f - (divisor - 2.0)
    inverse = 1.0 / divisor
    high = f * inverse
    left = fma(-high, divisor_low, fma(-high, divisor, f))
    return high, left * inverse


def _product(a: Pair, b: Pair) -> Pair:
    high = a[0] * b[0]
    error = fma(a[0], b[0], -high)
    return high, error + fma(a[0], b[1], a[1] * b[0])


def _fast_sum(a: Lanes, b: Lanes) -> Pair:
    """a + b and its rounding error, where |a| ≥ |b| or a = 0."""
    total = a + b
    return total, b - (total - a)
