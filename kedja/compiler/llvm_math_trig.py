"""sin, cos and tan of any angle.

x less its nearest multiple of π (of ½π for tan) is taken in three fused steps, with π in three
parts (Cody and Waite); that is exact enough up to a limit. Where some lane is above it, a branch
that is hardly ever taken reduces those lanes with all bits, so no argument gives garbage. The three
functions therefore leave the builder in another basic block than they found it in.
Next: `kedja/compiler/llvm_math_arc.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from kedja.compiler.llvm_math_lanes import (
    Lanes,
    absolute,
    bits_of,
    float_of,
    fma,
    polynomial,
    rarely,
    where,
)
from kedja.compiler.llvm_math_reduce import quarter_turns

# Up to here n·π loses no bit that matters, and rounding n moves |r| by less than 0.01.
_LIMIT = {32: 2.0**17, 64: 2.0**42}

# π in parts of one float each, and ½π in two
_PI = {
    32: (3.141592502593994, 1.5099578831723193e-07, 1.078060505991553e-14),
    64: (3.141592653589793, 1.224646799147353e-16, 2.1657133478438278e-32),
}
HALF_PI = {
    32: (1.5707963705062866, -4.371138828673793e-08),
    64: (1.5707963267948966, 6.123233995736766e-17),
}

# (sin r − r) / r³ in r², on [−½π, ½π]                                 32: 0.2 ulp, 64: 0.3 ulp
# The last coefficient of 64 is raised by 6e-6 of itself, so that cos 0 is 1.
_SIN = {
    32: (-0.16666659712791443, 0.008333064615726471, -0.00019809216610156,
         2.604505880299257e-06),
    64: (-0.16666666666666666, 0.008333333333333201, -0.0001984126984120946,
         2.7557319210919e-06, -2.5052106835884312e-08, 1.6058937206774595e-10,
         -7.642913259657818e-13, 2.720254715e-15),
}  # fmt: skip

# (tan r − r) / r³ in r², on [−¼π, ¼π]                                 32: 0.03 ulp, 64: 0.3 ulp
_TAN = {
    32: (0.3333335518836975, 0.1333247274160385, 0.054081887006759644, 0.021167006343603134,
         0.011138367466628551, -0.00029847800033167005, 0.004569605458527803),
    64: (0.33333333333332427, 0.13333333333462388, 0.05396825390420012, 0.021869490139262135,
         0.008863211807973712, 0.0035923544515893504, 0.0014543666702922647,
         0.0005966875802018256, 0.00021766013295030723, 0.00014612132509240477,
         -3.974230547860057e-05, 0.00010157719288680799, -5.134328127240871e-05,
         2.239999803037431e-05),
}  # fmt: skip


def sin(x: Lanes) -> Lanes:
    """sin x = (−1)ⁿ·sin r with x = n·π + r."""
    shifted = fma(x, 1 / math.pi, x.format.shifter - 1)
    n = shifted - (x.format.shifter - 1)
    usual = _odd_turns_negate(_less_multiple(x, n, 1.0), shifted)
    (r,) = rarely(_large(x), [usual], lambda: [_half_turn(x, 0)])
    return where(x.equals(0.0), x, _sin_polynomial(r))


def cos(x: Lanes) -> Lanes:
    """cos x = (−1)ⁿ⁺¹·sin r with x = (n + ½)·π + r."""
    shifted = fma(x, 1 / math.pi, -0.5) + x.format.shifter
    n = shifted - x.format.shifter
    usual = _odd_turns_negate(_less_multiple(x, n + 0.5, 1.0), shifted)
    (r,) = rarely(_large(x), [usual], lambda: [_half_turn(x, 1)])
    return _sin_polynomial(r)


def tan(x: Lanes) -> Lanes:
    """tan x = tan r with x = n·½π + r, and −1 / tan r where n is odd."""
    shifter = x.format.shifter - 1
    shifted = fma(x, 2 / math.pi, shifter)
    n = shifted - shifter
    *most, last = _PI[x.bits]
    r, rest = _less_multiple(x, n, 0.5, most), n * (-0.5 * last)
    parity = float_of(bits_of(shifted) << (x.bits - 1))
    r, rest, parity = rarely(_large(x), [r, rest, parity], lambda: _quarter_turn(x))
    z = r * r
    t = fma(r * z, polynomial(z, _TAN[x.bits]), rest) + r
    return where(x.equals(0.0), x, where(bits_of(parity) < 0, -1.0 / t, t))


def _sin_polynomial(r: Lanes) -> Lanes:
    z = r * r
    return fma(r * z, polynomial(z, _SIN[r.bits]), r)


def _less_multiple(x: Lanes, n: Lanes, unit: float, parts: Sequence[float] | None = None) -> Lanes:
    """x − n·unit·π in fused steps, one a part of π; the first is exact, the others round once."""
    for part in parts or _PI[x.bits]:
        x = fma(n, -unit * part, x)
    return x


def _odd_turns_negate(r: Lanes, shifted: Lanes) -> Lanes:
    """−r where the lowest bit of `shifted` is set, else r."""
    return float_of(bits_of(r) ^ (bits_of(shifted) << (r.bits - 1)))


def _half_turn(x: Lanes, quarters: int) -> Lanes:
    """r with sin(x + quarters·½π) = sin r and |r| ≤ ½π, from the reduction with all bits."""
    q, r = quarter_turns(x)
    q = q + quarters
    high, low = HALF_PI[x.bits]
    folded = where((q & 1).equals(1), high - (absolute(r) - low), r)
    return _odd_turns_negate(folded, q >> 1)


def _quarter_turn(x: Lanes) -> list[Lanes]:
    """r with x = q·½π + r, nothing that is left over, and the parity of q as a sign bit."""
    q, r = quarter_turns(x)
    return [r, r.like(0.0), float_of(q << (x.bits - 1))]


def _large(x: Lanes) -> Lanes:
    return absolute(x) > _LIMIT[x.bits]
