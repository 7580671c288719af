"""The inverse circular functions: asin, acos, atan, atan2.

Each is a polynomial on a small interval; the rest of the domain is folded onto it by one identity.
Coefficients are weighted minimax fits, made and rounded as those of the exponential.
Next: `kedja/compiler/llvm_math_erf.py`.
"""

from __future__ import annotations

from kedja.compiler.llvm_math_lanes import (
    Lanes,
    absolute,
    bits_of,
    copysign,
    fma,
    polynomial,
    sqrt,
    where,
)
from kedja.compiler.llvm_math_trig import HALF_PI

# (asin t − t) / t³ in t², on [0, ½]                                   32: 0.1 ulp, 64: 0.14 ulp
_ASIN = {
    32: (0.16666752099990845, 0.074953094124794, 0.04546914994716644, 0.024184782058000565,
         0.04215829074382782),
    64: (0.16666666666665408, 0.07500000000337137, 0.044642856828222596, 0.030381959141529465,
         0.022371757936684965, 0.01735970653566408, 0.013885217470576522,
         0.012169332662361166, 0.006527440363648763, 0.01952975909609574,
         -0.016226642707434128, 0.03191393856585575),
}  # fmt: skip

# (atan t − t) / t³ in t², on [0, 1]                                   32: 0.05 ulp, 64: 0.1 ulp
_ATAN = {
    32: (-0.33333298563957214, 0.1999852955341339, -0.1426401436328888, 0.10950861126184464,
         -0.08399207890033722, 0.05787887051701546, -0.0310935340821743,
         0.010866272263228893, -0.0017821451183408499),
    64: (-0.3333333333333307, 0.19999999999951762, -0.142857142825881, 0.11111111007302074,
         -0.0909090700628605, 0.07692279862850915, -0.06666404159521895,
         0.05880528054176798, -0.052535185735971594, 0.047223198893313494,
         -0.0421916718669293, 0.03664152218726098, -0.029902891071044636,
         0.021983033286393235, -0.013898023423605837, 0.007193946596088161,
         -0.002883114963535063, 0.0008304787640530249, -0.00015192641633477637,
         1.3195722236295107e-05),
}  # fmt: skip


def asin(x: Lanes) -> Lanes:
    """asin |x|, and ½π − 2·asin √(½(1 − |x|)) above ½; NaN beyond ±1."""
    large, t, more = _asin_folded(x)
    high, low = HALF_PI[x.bits]
    folded = high - fma(t, 2.0, fma(more, 2.0, -low))
    return copysign(where(large, folded, t + more), x)


def acos(x: Lanes) -> Lanes:
    """½π − asin x, and 2·asin √(½(1 − |x|)) (from π where x < 0) beyond ±½; NaN beyond ±1."""
    large, t, more = _asin_folded(x)
    y = t + more
    high, low = HALF_PI[x.bits]
    small = high - (copysign(y, x) - low)
    double = y + y
    beyond = where(x < 0.0, 2 * high - (double - 2 * low), double)
    return where(large, beyond, small)


def atan(x: Lanes) -> Lanes:
    """atan |x|, and ½π − atan(1/|x|) above 1."""
    a = absolute(x)
    steep = a > 1.0
    y = _atan_polynomial(where(steep, 1.0 / a, a))
    return copysign(_from_half_pi(y, steep), x)


def atan2(y: Lanes, x: Lanes) -> Lanes:
    """The angle of the point (x, y) in [−π, π], with the signs of zeros and the infinities."""
    high, low = HALF_PI[x.bits]
    a, b = absolute(y), absolute(x)
    steep = a > b
    smaller, larger = where(steep, b, a), where(steep, a, b)
    ratio = smaller / larger
    ratio = where(smaller.equals(larger), 1.0, ratio)  # ∞/∞ among them
    ratio = where(larger.equals(0.0), smaller, ratio)
    angle = _from_half_pi(_atan_polynomial(ratio), steep)
    left = bits_of(x) < 0
    angle = where(left, 2 * high - (angle - 2 * low), angle)
    return copysign(angle, y)


def _asin_folded(x: Lanes) -> tuple[Lanes, Lanes, Lanes]:
    """Whether |x| > ½; t = |x| or, there, √(½(1 − |x|)); and asin t − t. NaN beyond ±1."""
    a = absolute(x)
    large = a > 0.5
    z = where(large, fma(a, -0.5, 0.5), a * a)
    t = where(large, sqrt(z), a)
    return large, t, t * z * polynomial(z, _ASIN[x.bits])


def _atan_polynomial(t: Lanes) -> Lanes:
    z = t * t
    return fma(t * z, polynomial(z, _ATAN[t.bits]), t)


def _from_half_pi(y: Lanes, complement: Lanes) -> Lanes:
    high, low = HALF_PI[y.bits]
    return where(complement, high - (y - low), y)
