"""Transcendental functions as vector code: `VectorMath` appends them to a loop's LLVM IR.

A value is a scalar or a vector of float32 or float64; both widths and all lane counts go through
the same formulas, so a scalar tail gives the same bits as a vector body. No libm is called and no
table gathered: the instructions used exist on AVX-512, AVX2 (with FMA) and NEON alike. This file
is the list of functions; each family's formulas stand in a file of its own.

What holds for every function:
- NaN gives NaN, ±inf, ±0 and saturation are exact: tanh(20) = 1, sigmoid(−1000) = 0, log(0) = −inf.
- Results that would be denormal may be 0, and denormal operands may count as 0: compiled programs
  run with both flushed. Outside that mode they stay within the smallest normal number of the truth.
- Odd functions keep the sign of 0.

Largest errors found, in units in the last place of the result. For float32 every float was tried
where the function is not yet flat and one in thirteen elsewhere, with twelve million pairs of two
operands; for float64 a million numbers of all magnitudes:

    function  float32  float64     function  float32  float64     function  float32  float64
    exp         0.92     0.90      log         0.94     0.83      sin         1.88     1.87
    exp2        1.24     1.29      log2        1.60     0.96      cos         1.86     1.87
    expm1       1.55     2.22      log10       1.44     0.88      tan         2.74     2.41
    sinh        1.82     2.18      log1p       1.17     0.86      asin        1.68     1.65
    cosh        1.26     1.18      asinh       1.78     1.60      acos        1.14     1.22
    tanh        1.93     2.07      acosh       1.82     1.73      atan        1.39     2.47
    sigmoid     2.00     1.99      atanh       1.77     1.46      atan2       1.57     1.61
    erf         1.13     1.01      softplus    2.00     1.61      pow         0.53     1.00
    remainder   exact    exact

The errors of sin, cos and tan hold for every finite angle: above 2¹⁷ (float32) and 2⁴² (float64) a
slower reduction with all bits of π takes over, behind a branch.
`sin`, `cos`, `tan` and `remainder` leave the builder in another basic block than they found it in:
take `builder.block` after the call, not before, for a phi's incoming edge.
Next: `kedja/compiler/llvm_math_lanes.py`, then `kedja/compiler/llvm_math_exp.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from kedja.compiler import llvm_ir as ir
from kedja.compiler import (
    llvm_math_arc,
    llvm_math_erf,
    llvm_math_exp,
    llvm_math_log,
    llvm_math_power,
    llvm_math_remainder,
    llvm_math_trig,
)
from kedja.compiler.llvm_math_lanes import Lanes


class VectorMath:
    """Emits mathematical functions at the builder's place; each takes and gives IR values."""

    def __init__(self, builder: ir.IRBuilder) -> None:
        self.builder = builder

    def _emit(self, function: Callable[..., Lanes], *operands: ir.Value) -> ir.Value:
        return function(*(Lanes(self.builder, operand) for operand in operands)).value

    def exp(self, x: ir.Value) -> ir.Value:
        """eˣ."""
        return self._emit(llvm_math_exp.exp, x)

    def exp2(self, x: ir.Value) -> ir.Value:
        """2ˣ, exact for integers."""
        return self._emit(llvm_math_exp.exp2, x)

    def expm1(self, x: ir.Value) -> ir.Value:
        """eˣ − 1, without cancellation near 0."""
        return self._emit(llvm_math_exp.expm1, x)

    def sinh(self, x: ir.Value) -> ir.Value:
        """½·(eˣ − e⁻ˣ)."""
        return self._emit(llvm_math_exp.sinh, x)

    def cosh(self, x: ir.Value) -> ir.Value:
        """½·(eˣ + e⁻ˣ)."""
        return self._emit(llvm_math_exp.cosh, x)

    def tanh(self, x: ir.Value) -> ir.Value:
        """sinh x / cosh x."""
        return self._emit(llvm_math_exp.tanh, x)

    def sigmoid(self, x: ir.Value) -> ir.Value:
        """1 / (1 + e⁻ˣ)."""
        return self._emit(llvm_math_exp.sigmoid, x)

    def log(self, x: ir.Value) -> ir.Value:
        """The natural logarithm; −inf at 0, NaN below."""
        return self._emit(llvm_math_log.log, x)

    def log2(self, x: ir.Value) -> ir.Value:
        """The logarithm to base 2, exact at powers of 2."""
        return self._emit(llvm_math_log.log2, x)

    def log10(self, x: ir.Value) -> ir.Value:
        """The logarithm to base 10."""
        return self._emit(llvm_math_log.log10, x)

    def log1p(self, x: ir.Value) -> ir.Value:
        """log(1 + x), without cancellation near 0; −inf at −1, NaN below."""
        return self._emit(llvm_math_log.log1p, x)

    def asinh(self, x: ir.Value) -> ir.Value:
        """log(x + √(x² + 1))."""
        return self._emit(llvm_math_log.asinh, x)

    def acosh(self, x: ir.Value) -> ir.Value:
        """log(x + √(x² − 1)); NaN below 1."""
        return self._emit(llvm_math_log.acosh, x)

    def atanh(self, x: ir.Value) -> ir.Value:
        """½·log((1 + x) / (1 − x)); ±inf at ±1, NaN beyond."""
        return self._emit(llvm_math_log.atanh, x)

    def softplus(self, x: ir.Value) -> ir.Value:
        """log(1 + eˣ), without overflow."""
        return self._emit(llvm_math_log.softplus, x)

    def sin(self, x: ir.Value) -> ir.Value:
        """The sine; NaN at ±inf. Ends in another basic block."""
        return self._emit(llvm_math_trig.sin, x)

    def cos(self, x: ir.Value) -> ir.Value:
        """The cosine; NaN at ±inf. Ends in another basic block."""
        return self._emit(llvm_math_trig.cos, x)

    def tan(self, x: ir.Value) -> ir.Value:
        """The tangent; NaN at ±inf. Ends in another basic block."""
        return self._emit(llvm_math_trig.tan, x)

    def asin(self, x: ir.Value) -> ir.Value:
        """The angle in [−½π, ½π] whose sine is x; NaN beyond ±1."""
        return self._emit(llvm_math_arc.asin, x)

    def acos(self, x: ir.Value) -> ir.Value:
        """The angle in [0, π] whose cosine is x; NaN beyond ±1."""
        return self._emit(llvm_math_arc.acos, x)

    def atan(self, x: ir.Value) -> ir.Value:
        """The angle in [−½π, ½π] whose tangent is x."""
        return self._emit(llvm_math_arc.atan, x)

    def atan2(self, y: ir.Value, x: ir.Value) -> ir.Value:
        """The angle of the point (x, y) in [−π, π]."""
        return self._emit(llvm_math_arc.atan2, y, x)

    def erf(self, x: ir.Value) -> ir.Value:
        """2/√π · ∫₀ˣ e^(−t²) dt."""
        return self._emit(llvm_math_erf.erf, x)

    def pow(self, x: ir.Value, y: ir.Value) -> ir.Value:
        """x^y with every special case of NumPy's `power`."""
        return self._emit(llvm_math_power.power, x, y)

    def remainder(self, x: ir.Value, y: ir.Value) -> ir.Value:
        """x − ⌊x/y⌋·y exactly as NumPy's `remainder`. Ends in another basic block."""
        return self._emit(llvm_math_remainder.remainder, x, y)
