"""The exponential and what is made of it: exp, exp2, expm1, sinh, cosh, tanh, sigmoid.

All go one way: x = n·ln 2 + r with an integer n, a polynomial in the small r, and 2ⁿ made by
placing n in the exponent bits. Coefficients are weighted minimax fits (Remez exchange in 45 digits,
then rounded one at a time with the others refitted); the bound beside each is that of the
polynomial alone, in units in the last place (ulp) of the result. Softplus stands with the logs.
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
    intrinsic,
    polynomial,
    where,
)


@dataclass(frozen=True)
class _Range:
    """What depends on the width alone: ln 2 in two parts, and where results leave the floats."""

    ln2: tuple[float, float]
    top: float  # the largest x whose eˣ is finite
    bottom: float  # the smallest x whose eˣ is a normal number
    zero: float  # below `bottom`, and n + bias = 0
    wide: float  # ½·exp(wide) is infinite, and n is at most the largest exponent plus two


_RANGE = {
    32: _Range((0.6931471824645996, -1.9046542121259336e-09),
               88.72283172607422, -87.33654022216797, -87.9, 89.5),
    64: _Range((0.6931471805599453, 2.3190468138462996e-17),
               709.782712893384, -708.3964185322641, -708.9, 710.6),
}  # fmt: skip

# (eʳ − 1 − r) / r² on [−½ ln 2, ½ ln 2], relative to eʳ − 1          32: 0.24 ulp, 64: 0.22 ulp
_EXPM1 = {
    32: (0.4999999701976776, 0.16666539013385773, 0.04166775196790695, 0.008367103524506092,
         0.0013836834114044905),
    64: (0.5, 0.16666666666666602, 0.04166666666661992, 0.008333333333388319,
         0.0013888888920541608, 0.00019841269709630757, 2.480151629867673e-05,
         2.755742466230434e-06, 2.762224977414832e-07, 2.5046087451103575e-08),
}  # fmt: skip

# (2^r − 1) / r on [0, 1]                                             32: 0.04 ulp, 64: 0.03 ulp
_EXP2 = {
    32: (0.6931470632553101, 0.24022908508777618, 0.05548618361353874,
         0.009673775173723698, 0.001248228712938726, 0.0002156599803129211),
    64: (0.693147180559946, 0.24022650695906198, 0.05550410866562732,
         0.009618129099319065, 0.0013333558641759327, 0.00015403511915997994,
         1.5253183123995334e-05, 1.3208261983174922e-06, 1.0254059811204485e-07,
         6.5556986923038975e-09, 6.270906562746667e-10),
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
    limits = _RANGE[x.bits]
    # n is added to the exponent of eʳ: unlike 2ⁿ itself the sum exists where 2ⁿ is too large.
    shifter = x.format.shifter - x.format.bias
    r, shifted = reduced(x, shifter)
    moved = bits_of(exp_polynomial(r)) + (bits_of(shifted) << x.format.mantissa)
    answer = float_of(where(x >= limits.bottom, moved, 0))
    return where(x <= limits.top, answer, x + math.inf)


def exp_of_negative(x: Lanes) -> Lanes:
    """eˣ for x ≤ 0 to 0.7 ulp: there only the lower end needs care."""
    r, shifted = reduced(at_least(x, _RANGE[x.bits].zero), x.format.shifter)
    return (_expm1_polynomial(r) + 1.0) * power_of_two(shifted)


def exp2(x: Lanes) -> Lanes:
    """2ˣ, exact for integers; limits as for `exp`."""
    bias = float(x.format.bias)
    return exp2_inside(at_least(at_most(x, bias + 1), -bias))


def exp2_inside(x: Lanes) -> Lanes:
    """2ˣ for −bias ≤ x ≤ bias + 1."""
    n = intrinsic("floor", x)
    r = x - n
    return fma(r, polynomial(r, _EXP2[x.bits]), 1.0) * power_of_two(n + x.format.shifter)


def expm1(x: Lanes) -> Lanes:
    """eˣ − 1 = 2ⁿ·(eʳ − 1) + (2ⁿ − 1); tiny x, −0 among them, are their own answer."""
    r, scale = _halved_scale(at_least(at_most(x, _RANGE[x.bits].top + 0.1), -60.0))
    half = fma(scale, _expm1_polynomial(r), scale - 0.5)
    return where(absolute(x) < 2.0**-60, x, half + half)


def tanh(x: Lanes) -> Lanes:
    """tanh |x| = −h / (h + 1) with h = ½·expm1(−2|x|); h and h + 1 are rounded apart, once each."""
    r, scale = _halved_scale(at_least(absolute(x) * -2.0, -42.0))
    q = _expm1_polynomial(r)
    return copysign(fma(scale, q, scale - 0.5) / fma(scale, q, scale + 0.5), x)


def sigmoid(x: Lanes) -> Lanes:
    """1 / (1 + e⁻ˣ), the sum rounded once; 0 where it would be no normal number."""
    limits = _RANGE[x.bits]
    r, shifted = reduced(at_least(-x, limits.zero), x.format.shifter)
    scale = power_of_two(shifted)
    answer = 1.0 / (fma(scale, _expm1_polynomial(r), 1.0) + scale)
    return where(x < limits.bottom, 0.0, answer)


def sinh(x: Lanes) -> Lanes:
    """sinh x = sinh(n ln 2)·cosh r + cosh(n ln 2)·sinh r, without cancellation near 0."""
    grow, shrink, s, c = _hyperbolic_parts(x)
    a, b = grow - shrink, grow + shrink
    half = fma(a, c, b * s) + a
    answer = copysign(half + half, x)
    return where(absolute(x) < 2.0**-60, x, answer)


def cosh(x: Lanes) -> Lanes:
    """cosh x = cosh(n ln 2)·cosh r + sinh(n ln 2)·sinh r."""
    grow, shrink, s, c = _hyperbolic_parts(x)
    a, b = grow - shrink, grow + shrink
    half = (fma(a, s, b * c) + shrink) + grow
    return half + half


def power_of_two(shifted: Lanes) -> Lanes:
    """2ⁿ from n + shifter: n + bias moves from the low bits to the exponent's place."""
    return float_of(bits_of(shifted) << shifted.format.mantissa)


def reduced(x: Lanes, shifter: float) -> tuple[Lanes, Lanes]:
    """r = x − n·ln 2 with |r| ≤ ½ ln 2, and n + shifter; ln 2 in two parts keeps r's last bit."""
    high, low = _RANGE[x.bits].ln2
    shifted = fma(x, 1 / math.log(2), shifter)
    n = shifted - shifter
    return fma(n, -low, fma(n, -high, x)), shifted


def exp_polynomial(r: Lanes) -> Lanes:
    """eʳ for |r| ≤ ½ ln 2."""
    return fma(r, fma(r, polynomial(r, _EXPM1[r.bits]), 1.0), 1.0)


def _expm1_polynomial(r: Lanes) -> Lanes:
    """eʳ − 1 for |r| ≤ ½ ln 2."""
    return fma(r * r, polynomial(r, _EXPM1[r.bits]), r)


def _halved_scale(x: Lanes) -> tuple[Lanes, Lanes]:
    """r and 2ⁿ⁻¹ of x = n·ln 2 + r; the power is halved to stay finite up to the largest x."""
    r, shifted = reduced(x, x.format.shifter - 1)
    return r, power_of_two(shifted)


def _hyperbolic_parts(x: Lanes) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """2ⁿ⁻², 2⁻ⁿ⁻², sinh r and cosh r − 1 for |x| = n·ln 2 + r."""
    shifter = x.format.shifter - 2
    r, shifted = reduced(at_most(absolute(x), _RANGE[x.bits].wide), shifter)
    n = at_most(shifted - shifter, 100.0)  # beyond it 2⁻ⁿ no longer matters
    grow, shrink = power_of_two(shifted), power_of_two(shifter - n)
    z = r * r
    s = fma(r * z, polynomial(z, _SINH[x.bits]), r)
    c = z * polynomial(z, _COSH[x.bits])
    return grow, shrink, s, c
