"""The error function erf x = 2/√π · ∫₀ˣ e^(−t²) dt.

Coefficients are weighted minimax fits, made and rounded as those of the exponential.
Next: `kedja/compiler/llvm_math_power.py`.
"""

from __future__ import annotations

from kedja.compiler.llvm_math_exp import exp2_inside
from kedja.compiler.llvm_math_lanes import (
    Lanes,
    absolute,
    at_most,
    copysign,
    fma,
    polynomial,
    where,
)

# erf t / t − 1 in t², on [0, 1]                                       32: 0.03 ulp, 64: 0.12 ulp
_NEAR = {
    32: (0.12837916612625122, -0.3761262595653534, 0.11283578723669052, -0.026853347197175026,
         0.005187162198126316, -0.0007997853099368513, 7.806903158780187e-05),
    64: (0.12837916709551256, -0.37612638903183343, 0.11283791670936955, -0.026866170641960535,
         0.0052239775967536884, -0.0008548325486170519, 0.00012055280541374458,
         -1.492446668934793e-05, 1.6444165834709827e-06, -1.6184125419183467e-07,
         1.3617352596485915e-08, -7.609161899038845e-10),
}  # fmt: skip

# log2(1 − erf t) on [1, top], weighted by what it does to erf         32: 0.02 ulp, 64: 0.07 ulp
_FAR = {
    32: (-0.0004927498521283269, -1.626045823097229, -0.9206486940383911, -0.14875128865242004,
         0.031505487859249115, -0.004252519458532333, 0.0002688821987248957),
    64: (-7.254250866156803e-07, -1.6278997034828193, -0.9184826036057351, -0.14816974673571995,
         0.027397043722781792, 0.000592402332672383, -0.0027641145900311427,
         0.0011117989080107317, -0.00019483524949100785, -2.9238345744985058e-05,
         3.292538638107973e-05, -1.2503758883528524e-05, 3.08101231768581e-06,
         -5.385313857860731e-07, 6.696854530226941e-08, -5.67528145383296e-09,
         2.949792506931026e-10, -7.109002703398601e-12),
}  # fmt: skip

_TOP = {32: 4.1, 64: 6.0}  # where erf has long rounded to 1


def erf(x: Lanes) -> Lanes:
    """t + t·P(t²) for t = |x| < 1, else 1 − 2^Q(t), whose last term's error erf hardly feels."""
    a = absolute(x)
    near = fma(a, polynomial(a * a, _NEAR[x.bits]), a)
    far = 1.0 - exp2_inside(polynomial(at_most(a, _TOP[x.bits]), _FAR[x.bits]))
    return copysign(where(a < 1.0, near, far), x)
