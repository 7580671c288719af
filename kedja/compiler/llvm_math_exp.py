"""The exponential and what is made of it: exp, exp2, expm1, sinh, cosh, tanh, sigmoid.

All go one way: x = n·ln 2 + r with an integer n, a polynomial in the small r, and 2ⁿ made by placing
n in the exponent bits. Coefficients are weighted minimax fits (Remez exchange in 45 digits, then
rounded one at a time with the others refitted); the bound beside each is that of the polynomial
alone, in units in the last place (ulp) of the result. The softplus lives with the logarithms.
Next: `kedja/compiler/llvm_math_log.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from kedja.compiler.llvm_math_lanes import (
    Lanes,
    absolute,
    at_least,
    at_most,
    bits_of,
    copysign,
    float_of,
    fma,
    polynomial,
    where,
)

_LOG2_E = 1 / math.log(2)


@dataclass(frozen=True)
class _Range:
    """What depends on the width alone: ln 2 in two parts, and where results leave the floats."""

    ln2: tuple[float, float]
    half: float  # the float below ½: x − half rounds to ⌊x⌋
    top: float  # exp(top) is infinite, and its n is the largest exponent or one more
    bottom: float  # exp(bottom) is below the normal floats, and its n + bias is 0
    wide: float  # ½·exp(wide) is infinite, and its n is the largest exponent plus two


_RANGE = {
    32: _Range((0.6931471824645996, -1.9046542121259336e-09), 0.49999997, 89.0, -87.7, 89.5),
    64: _Range(
        (0.6931471805599453, 2.3190468138462996e-17),
        math.nextafter(0.5, 0), 710.0, -708.7, 710.6,
    ),
}

# exp r on [0, ln 2]: 1 + r + c₂r² + …                                32: 0.05 ulp, 64: 0.04 ulp
_EXP = {
    32: (1.0, 1.0, 0.5000022649765015, 0.16663210093975067, 0.0418543703854084,
         0.00786927342414856, 0.0019120648503303528),
    64: (1.0, 1.0, 0.49999999999997374, 0.16666666666790791, 0.041666666643776974,
         0.008333333557238311, 0.0013888875743075534, 0.00019841761213168523,
         2.4789620347585674e-05, 2.7746061869976243e-06, 2.5709702186041134e-07,
         3.507122357538059e-08),
}  # fmt: skip

# 2^r on [0, 1]: 1 + c₁r + …                                          32: 0.04 ulp, 64: 0.03 ulp
_EXP2 = {
    32: (1.0, 0.6931470632553101, 0.24022908508777618, 0.05548618361353874,
         0.009673775173723698, 0.001248228712938726, 0.0002156599803129211),
    64: (1.0, 0.693147180559946, 0.24022650695906198, 0.05550410866562732,
         0.009618129099319065, 0.0013333558641759327, 0.00015403511915997994,
         1.5253183123995334e-05, 1.3208261983174922e-06, 1.0254059811204485e-07,
         6.5556986923038975e-09, 6.270906562746667e-10),
}  # fmt: skip

# (eʳ − 1 − r) / r² on [−½ ln 2, ½ ln 2]                              32: 0.24 ulp, 64: 0.22 ulp
_EXPM1 = {
    32: (0.4999999701976776, 0.16666539013385773, 0.04166775196790695, 0.008367103524506092,
         0.0013836834114044905),
    64: (0.5, 0.16666666666666602, 0.04166666666661992, 0.008333333333388319,
         0.0013888888920541608, 0.00019841269709630757, 2.480151629867673e-05,
         2.755742466230434e-06, 2.762224977414832e-07, 2.5046087451103575e-08),
}  # fmt: skip

# (sinh r − r) / r³ and (cosh r − 1) / r², in r², on [−½ ln 2, ½ ln 2]   32: 0.3 ulp, 64: 0.03 ulp
_SINH = {
    32: (0.1666666716337204, 0.00833317544311285, 0.00019974088354501873),
    64: (0.16666666666666677, 0.008333333333321376, 0.0001984126988686726,
         2.7557243376244427e-06, 2.5109355162823827e-08),
}  # fmt: skip
_COSH = {
    32: (0.5, 0.041666485369205475, 0.0013933067675679922),
    64: (0.5000000000000012, 0.041666666666519185, 0.0013888888946140966,
         2.480149076189703e-05, 2.7631012233360645e-07),
}  # fmt: skip


def exp(x: Lanes) -> Lanes:
    """eˣ; +inf above the largest float's logarithm, 0 below the smallest normal one's."""
    return exp_of_sum(x, None)


def exp_of_sum(x: Lanes, tail: Lanes | None) -> Lanes:
    """e^(x + tail), where the tail is small and says more of x than a float can."""
    limits = _RANGE[x.bits]
    x = at_least(at_most(x, limits.top), limits.bottom)
    shifted = fma(x, _LOG2_E, -limits.half) + x.format.shifter
    r = less_ln2(x, shifted - x.format.shifter)
    if tail is not None:
        r = r + tail
    return polynomial(r, _EXP[x.bits]) * power_of_two(shifted)


def exp2(x: Lanes) -> Lanes:
    """2ˣ, exact for integers; limits as for `exp`."""
    bias = float(x.format.bias)
    x = at_least(at_most(x, bias + 1), -bias)
    shifted = (x - _RANGE[x.bits].half) + x.format.shifter
    remainder = x - (shifted - x.format.shifter)
    return polynomial(remainder, _EXP2[x.bits]) * power_of_two(shifted)


def expm1(x: Lanes) -> Lanes:
    """eˣ − 1 without cancellation near 0; tiny x, −0 among them, are their own answer."""
    half = _half_expm1(at_most(x, _RANGE[x.bits].top))
    return where(absolute(x) < 2.0**-60, x, half + half)


def tanh(x: Lanes) -> Lanes:
    """tanh |x| = −h / (h + 1) with h = ½·expm1(−2|x|); exactly ±1 where h rounds to −½."""
    h = _half_expm1(absolute(x) * -2.0)
    return copysign(h / (h + 1.0), x)


def sigmoid(x: Lanes) -> Lanes:
    """1 / (1 + e⁻ˣ)."""
    return 1.0 / (exp(-x) + 1.0)


def sinh(x: Lanes) -> Lanes:
    """sinh x = sinh(n ln 2)·cosh r + cosh(n ln 2)·sinh r, without cancellation near 0."""
    a, b, s, c = _hyperbolic_parts(x)
    half = fma(a, c, fma(b, s, a))
    answer = copysign(half + half, x)
    return where(absolute(x) < 2.0**-60, x, answer)


def cosh(x: Lanes) -> Lanes:
    """cosh x = cosh(n ln 2)·cosh r + sinh(n ln 2)·sinh r."""
    a, b, s, c = _hyperbolic_parts(x)
    half = fma(a, s, fma(b, c, b))
    return half + half


def less_ln2(x: Lanes, n: Lanes) -> Lanes:
    """x − n·ln 2, with ln 2 in two parts so that no bit of the difference is lost."""
    high, low = _RANGE[x.bits].ln2
    return fma(n, -low, fma(n, -high, x))


def power_of_two(shifted: Lanes) -> Lanes:
    """2ⁿ from n + shifter: n + bias moves from the low bits to the exponent's place."""
    return float_of(bits_of(shifted) << shifted.format.mantissa)


def _half_expm1(x: Lanes) -> Lanes:
    """½·(eˣ − 1) = 2ⁿ⁻¹·(eʳ − 1) + (2ⁿ⁻¹ − ½); the half keeps 2ⁿ⁻¹ finite up to the largest x."""
    x = at_least(x, -60.0)
    shifter = x.format.shifter - 1
    shifted = fma(x, _LOG2_E, shifter)
    r = less_ln2(x, shifted - shifter)
    q = fma(r * r, polynomial(r, _EXPM1[x.bits]), r)
    scale = power_of_two(shifted)
    return fma(scale, q, scale - 0.5)


def _hyperbolic_parts(x: Lanes) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """Of |x| = n·ln 2 + r: ½·sinh(n·ln 2), ½·cosh(n·ln 2), sinh r, cosh r − 1."""
    x = at_most(absolute(x), _RANGE[x.bits].wide)
    shifter = x.format.shifter - 2
    shifted = fma(x, _LOG2_E, shifter)
    n = shifted - shifter
    r = less_ln2(x, n)
    grow, shrink = power_of_two(shifted), power_of_two(shifter - at_most(n, 100.0))
    z = r * r
    s = fma(r * z, polynomial(z, _SINH[x.bits]), r)
    c = z * polynomial(z, _COSH[x.bits])
    return grow - shrink, grow + shrink, s, c
