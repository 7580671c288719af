"""The logarithm and what is made of it: log, log2, log10, log1p, asinh, acosh, atanh, softplus.

All go one way: x = 2ᵏ·(1 + f) with 1 + f near 1, then log x = k·ln 2 + f + (log(1 + f) − f), where
only the last bracket is approximated. Denormal numbers count as 0. Coefficients are weighted
minimax fits, made and rounded as those of the exponential.
Next: `kedja/compiler/llvm_math_trig.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from kedja.compiler.llvm_math_exp import exp_of_negative
from kedja.compiler.llvm_math_lanes import (
    Lanes,
    absolute,
    at_least,
    bit_pattern,
    bits_of,
    copysign,
    float_of,
    fma,
    polynomial,
    sqrt,
    where,
)

_HUGE = 2.0**60  # above it x ± 1 and x² ± 1 round to x and x² in both widths


@dataclass(frozen=True)
class _Base:
    """log_b x = k·per_octave + f·scale + …: both constants in two parts, high and low."""

    per_octave: tuple[float, float]
    scale: tuple[float, float]


_NATURAL = {
    32: _Base((0.6931471824645996, -1.9046542121259336e-09), (1.0, 0.0)),
    64: _Base((0.6931471805599453, 2.3190468138462996e-17), (1.0, 0.0)),
}
_BINARY = {
    32: _Base((1.0, 0.0), (1.4426950216293335, 1.925963033500011e-08)),
    64: _Base((1.0, 0.0), (1.4426950408889634, 2.0355273740931033e-17)),
}
_DECIMAL = {
    32: _Base((0.3010300099849701, -1.432098883924482e-08),
              (0.4342944920063019, -1.0103049952192578e-08)),
    64: _Base((0.3010299956639812, -2.8037281277851704e-18),
              (0.4342944819032518, 1.098319650216765e-17)),
}  # fmt: skip

# 1 + f lies in [low, 2·low): near the middle of the octave on each side of 1
_LOW = {32: 2 / 3, 64: math.sqrt(0.5)}

# 32: (log(1 + f) − f + f²/2) / f³, on [−1/3, 1/3]                                     0.1 ulp
_CUBIC = (
    0.3333321511745453, -0.24999797344207764, 0.20010405778884888, -0.16680489480495453,
    0.140058696269989, -0.12184228003025055, 0.13984432816505432, -0.12891824543476105,
)  # fmt: skip
# 64: (log(1 + f)/s − 2) / s² with s = f/(2 + f), in s², on [√½ − 1, √2 − 1]            0.02 ulp
_ATANH = (
    0.6666666666666734, 0.39999999999416647, 0.28571428742026656, 0.22222198605216043,
    0.18183562843184897, 0.1531408503416145, 0.1479563160166252,
)  # fmt: skip


def log(x: Lanes) -> Lanes:
    """The natural logarithm; −inf at 0, NaN below, +inf at +inf."""
    return _log_to(x, _NATURAL[x.bits])


def log2(x: Lanes) -> Lanes:
    """The logarithm to base 2, exact at powers of 2; edges as for `log`."""
    return _log_to(x, _BINARY[x.bits])


def log10(x: Lanes) -> Lanes:
    """The logarithm to base 10; edges as for `log`."""
    return _log_to(x, _DECIMAL[x.bits])


def log1p(x: Lanes) -> Lanes:
    """log(1 + x) without cancellation near 0; −inf at −1, NaN below; keeps the sign of ±0."""
    answer = where(x < math.inf, _log1p_inside(x), x)
    edge = where(x.equals(-1.0), -math.inf, x.like(math.nan))
    return where(x > -1.0, copysign(answer, x), edge)


def asinh(x: Lanes) -> Lanes:
    """asinh |x| = log1p(|x| + x² / (1 + √(x² + 1))), and log(2|x|) where x is huge."""
    a = absolute(x)
    huge = a > _HUGE
    square = a * a
    y = a + square / (sqrt(fma(a, a, 1.0)) + 1.0)
    return copysign(_log1p_or_log2x(where(huge, a, y), huge), x)


def acosh(x: Lanes) -> Lanes:
    """acosh x = log1p(t + √(2t + t²)) with t = x − 1, and log(2x) where x is huge; NaN below 1."""
    t = x - 1.0
    huge = x > _HUGE
    root = sqrt(fma(t, t, t + t))
    y = root + t
    rest = where(huge, 0.0, t - (y - root))
    answer = _log1p_or_log2x(where(huge, x, y), huge, rest)
    return where(x >= 1.0, answer, math.nan)


def atanh(x: Lanes) -> Lanes:
    """atanh |x| = ½·log1p(2|x| + 2|x|·|x| / (1 − |x|)); ±inf at ±1, NaN beyond."""
    a = absolute(x)
    y = fma(a + a, a / (1.0 - a), a + a)
    return where(a <= 1.0, copysign(log1p(y) * 0.5, x), math.nan)


def softplus(x: Lanes) -> Lanes:
    """log(1 + eˣ) = max(x, 0) + log1p(e) with e = e^−|x|, which needs at most one halving."""
    e = exp_of_negative(-absolute(x))
    halve = e > 2 * _LOW[x.bits] - 1
    f = where(halve, fma(e, 0.5, -0.5), e)
    ln2, ln2_low = _NATURAL[x.bits].per_octave
    small = f + (log1p_tail(f) + where(halve, x.like(ln2_low), 0.0))
    return at_least(x, 0.0) + (where(halve, x.like(ln2), 0.0) + small)


def log1p_tail(f: Lanes) -> Lanes:
    """log(1 + f) − f for 1 + f in [low, 2·low)."""
    if f.bits == 32:
        return f * f * fma(f, polynomial(f, _CUBIC), -0.5)
    half_square = f * f * 0.5
    s = f / (f + 2.0)
    z = s * s
    return s * fma(z, polynomial(z, _ATANH), half_square) - half_square


def split(x: Lanes) -> tuple[Lanes, Lanes]:
    """The integer float k and the float f with x = 2ᵏ·(1 + f), for positive normal x."""
    k, bits = _octave(x)
    return k, float_of(bits) - 1.0


def _octave(x: Lanes) -> tuple[Lanes, Lanes]:
    """k as a float and the bits of 1 + f, for positive normal x = 2ᵏ·(1 + f)."""
    form = x.format
    low = bit_pattern(_LOW[x.bits], x.bits)
    above = bits_of(x) - (low - (form.bias << form.mantissa))
    fraction = (above & ((1 << form.mantissa) - 1)) + low
    base = 2.0**form.mantissa  # its low mantissa bits are free to hold k + bias
    biased = float_of((above >> form.mantissa) | bit_pattern(base, x.bits))
    return biased - (base + form.bias), fraction


def _log_to(x: Lanes, base: _Base) -> Lanes:
    k, f = split(x)
    answer = _combine(k, f, log1p_tail(f), base)
    below = where(x < 0.0, x.like(math.nan), -math.inf)
    return where(x < x.format.tiny, below, where(x < math.inf, answer, x))


def _combine(k: Lanes, f: Lanes, tail: Lanes, base: _Base) -> Lanes:
    """k·per_octave + (f + tail)·scale, the small parts added first."""
    (octave, octave_low), (scale, scale_low) = base.per_octave, base.scale
    if scale == 1.0:
        return fma(k, octave, f + fma(k, octave_low, tail))
    small = fma(tail, scale, fma(f, scale_low, k * octave_low))
    return fma(k, octave, fma(f, scale, small))


def _log1p_inside(x: Lanes, more: Lanes | None = None, rest: Lanes | None = None) -> Lanes:
    """log(1 + x + rest) + more·ln 2 for x > −1 finite, where rest is what rounding took from x.

    1 + x chooses k, but f is made from x itself.
    """
    u = x + 1.0
    k, fraction = _octave(u)
    exponent = bits_of(u) - fraction  # k in the exponent's place
    scale = float_of(at_least(bit_pattern(1.0, x.bits) - exponent, 0))  # 2⁻ᵏ
    part = float_of(bits_of(x) - exponent)  # 2⁻ᵏ·x
    shift = scale - 1.0
    f = part + shift
    lost = part - (f - shift)
    lost = lost if rest is None else fma(rest, scale, lost)
    k = k if more is None else k + more
    return _combine(k, f, log1p_tail(f) + lost, _NATURAL[x.bits])


def _log1p_or_log2x(y: Lanes, huge: Lanes, rest: Lanes | None = None) -> Lanes:
    """log1p(y + rest), with ln 2 more where y is huge (there log(1 + y) = log y)."""
    answer = _log1p_inside(y, where(huge, y.like(1.0), 0.0), rest)
    return where(y < math.inf, answer, y)
