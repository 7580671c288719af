"""The error function erf x = 2/√π · ∫₀ˣ e^(−t²) dt.

Coefficients are weighted minimax fits, made and rounded as those of the exponential; the rational
one by Remez exchange on numerator and denominator together.
Next: `kedja/compiler/llvm_math_power.py`.
"""

from __future__ import annotations

from kedja.compiler.llvm_math_exp import exp
from kedja.compiler.llvm_math_lanes import (
    Lanes,
    absolute,
    at_most,
    copysign,
    fma,
    polynomial,
    where,
)

# 32: erf t / t = P(t²) / Q(t²) on [0, 3.92]; erf rounds to 1 above 3.8325              0.05 ulp
_TOP = 3.92
_P = (
    1.1283791680483444, 0.1852337639915917, 0.05427007597845511, 0.0038443619875715165,
    0.0003774289696795454, 4.6251358962997164e-06, -1.289190475145869e-08,
)  # fmt: skip
_Q = (
    1.0, 0.49749253527328186, 0.11392603399235383, 0.015443747888031632,
    0.0013035948943437685, 6.254857652851483e-05,
)  # fmt: skip

# 64: erf t / t in t², on [0, 1]                                                        0.12 ulp
_NEAR = (
    1.1283791670955126, -0.37612638903183343, 0.11283791670936955, -0.026866170641960535,
    0.0052239775967536884, -0.0008548325486170519, 0.00012055280541374458,
    -1.492446668934793e-05, 1.6444165834709827e-06, -1.6184125419183467e-07,
    1.3617352596485915e-08, -7.609161899038845e-10,
)  # fmt: skip
# 64: log(1 − erf t) on [1, 5.95], weighted by what it does to erf                      0.07 ulp
_FAR = (
    -5.028369003609442e-07, -1.1283740896067722, -0.6366436274767524, -0.10270344126907913,
    0.01899018228332996, 0.0004106230552811823, -0.0019159382491540015,
    0.0007706391671407149, -0.0001350479057313724, -2.0267826020296465e-05,
    2.28229334819478e-05, -8.667288059578996e-06, 2.135704579734042e-06,
    -3.7330724425945075e-07, 4.6423379141421656e-08, -3.934296618813157e-09,
    2.0449792551984078e-10, -4.9286557531125616e-12,
)  # fmt: skip


def erf(x: Lanes) -> Lanes:
    """The error function: odd, exactly ±1 where it rounds to that."""
    a = absolute(x)
    return copysign(_erf32(a) if x.bits == 32 else _erf64(a), x)


def _erf32(a: Lanes) -> Lanes:
    """One rational function, held at 1 from where its value reaches it."""
    t = at_most(a, _TOP)
    z = t * t
    return at_most(t * polynomial(z, _P) / polynomial(z, _Q), 1.0)


def _erf64(a: Lanes) -> Lanes:
    """A polynomial up to 1, beyond it 1 − exp(a polynomial), whose error erf hardly feels."""
    t = at_most(a, 5.95)
    far = 1.0 - exp(polynomial(t, _FAR))
    return where(a < 1.0, a * polynomial(a * a, _NEAR), far)
