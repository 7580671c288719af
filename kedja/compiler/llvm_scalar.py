"""The emitter that ops are handed: one method for each elementwise op, on scalars and vectors.

`Pointwise.emit(e, *xs)` of an op's record calls these methods. Both kinds of value take the same
path, so a scalar tail has the bits of a vector body. bool values are i1 in registers and bytes in
memory; half dtypes are 16 bits in both, and only moved and cast (`llvm_half.py`). Not here: the
transcendental functions (`llvm_math.py`), loops (`llvm_kernel.py`). Next: `llvm_math.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import F32, F64, I1, I8, I16, declare
from kedja.compiler.llvm_half import from_single, is_nonzero, to_odd, to_single
from kedja.compiler.llvm_math import VectorMath
from kedja.ground.dtypes import bool_, convert, float32, float64, is_float, is_half, uint64

# What stands in the table of `llvm_math.py` under the op's own name.
TRANSCENDENTAL = (
    *("exp", "expm1", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "asin", "acos"),
    *("atan", "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "sigmoid", "softplus"),
    *("erf", "pow"),
)


def register_type(dtype: np.dtype) -> ir.Type:
    """The LLVM type of one value in a register."""
    if dtype == bool_:
        return I1
    if is_half(dtype):
        return I16
    if is_float(dtype):
        return F32 if dtype == float32 else F64
    return ir.IntType(dtype.itemsize * 8)


def memory_type(dtype: np.dtype) -> ir.Type:
    """The LLVM type of one element in memory."""
    return I8 if dtype == bool_ else register_type(dtype)


def number(dtype: np.dtype, value: Any, kind: ir.Type | None = None) -> ir.Constant:
    """A constant in the register type of a dtype (or in lanes of it), rounded as NumPy does."""
    exact = convert(np.asarray(value), dtype)
    exact = exact.view(np.uint16) if is_half(dtype) else exact
    return ir.Constant(register_type(dtype) if kind is None else kind, exact.item())


def widened(scalar: ir.Type, like: ir.Type) -> ir.Type:
    """A scalar type with as many lanes as another type."""
    return ir.VectorType(scalar, like.count) if isinstance(like, ir.VectorType) else scalar


class Scalars:
    """The methods below on values of one input dtype; comparisons and casts change it."""

    def __init__(
        self,
        builder: ir.IRBuilder,
        dtype: np.dtype,
        out: np.dtype,
        like: ir.Value | None = None,
    ) -> None:
        self.b = builder
        self.dtype = dtype
        self.out = out
        self.like = like  # a value with as many lanes as constants are wanted in
        self.floating = is_float(dtype)
        self.signed = dtype.kind == "i"

    def __getattr__(self, name: str) -> Callable[..., ir.Value]:
        if name in TRANSCENDENTAL:
            return getattr(VectorMath(self.b), name)  # type: ignore[no-any-return]
        raise AttributeError(name)

    # --- constants and intrinsics

    def constant(self, value: Any, like: ir.Value | None = None) -> ir.Value:
        """A number of the input dtype, in as many lanes as `like` has."""
        like = self.like if like is None else like
        kind = register_type(self.dtype)
        return number(self.dtype, value, kind if like is None else widened(kind, like.type))

    def _intrinsic(self, name: str, *xs: ir.Value) -> ir.Value:
        kind = xs[0].type
        scalar = kind.element if isinstance(kind, ir.VectorType) else kind
        letter = f"f{self.dtype.itemsize * 8}" if self.floating else f"i{scalar.width}"
        suffix = f"v{kind.count}{letter}" if isinstance(kind, ir.VectorType) else letter
        made = declare(self.b.module, f"llvm.{name}.{suffix}", [x.type for x in xs], kind)
        return self.b.call(made, xs)

    def _compare(self, sign: str, a: ir.Value, b: ir.Value) -> ir.Value:
        if self.floating:
            return self.b.fcmp_ordered(sign, a, b)
        emit = self.b.icmp_signed if self.signed else self.b.icmp_unsigned
        return emit(sign, a, b)

    # --- arithmetic

    def copy(self, x: ir.Value) -> ir.Value:
        """x."""
        return x

    def add(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a + b."""
        return self.b.fadd(a, b) if self.floating else self.b.add(a, b)

    def subtract(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a - b."""
        return self.b.fsub(a, b) if self.floating else self.b.sub(a, b)

    def multiply(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a * b."""
        return self.b.fmul(a, b) if self.floating else self.b.mul(a, b)

    def divide(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a / b for floats."""
        return self.b.fdiv(a, b)

    def negative(self, x: ir.Value) -> ir.Value:
        """-x."""
        return self.b.fneg(x) if self.floating else self.b.neg(x)

    def abs(self, x: ir.Value) -> ir.Value:
        """|x|."""
        if self.floating:
            return self._intrinsic("fabs", x)
        if not self.signed:
            return x
        below = self._compare("<", x, self.constant(0, x))
        return self.b.select(below, self.b.neg(x), x)

    def sign(self, x: ir.Value) -> ir.Value:
        """-1, 0 or 1; NaN stays NaN and zero keeps its sign."""
        zero = self.constant(0, x)
        positive = self._compare(">", x, zero)
        result = self.b.select(positive, self.constant(1, x), x)
        if not (self.floating or self.signed):
            return result
        return self.b.select(self._compare("<", x, zero), self.constant(-1, x), result)

    def sqrt(self, x: ir.Value) -> ir.Value:
        """The square root."""
        return self._intrinsic("sqrt", x)

    def floor(self, x: ir.Value) -> ir.Value:
        """The largest whole number not above x."""
        return self._intrinsic("floor", x)

    def ceil(self, x: ir.Value) -> ir.Value:
        """The smallest whole number not below x."""
        return self._intrinsic("ceil", x)

    def round(self, x: ir.Value) -> ir.Value:
        """The nearest whole number, the even one of two."""
        return self._intrinsic("roundeven", x)

    def trunc(self, x: ir.Value) -> ir.Value:
        """x without its fraction."""
        return self._intrinsic("trunc", x)

    def maximum(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """The larger; NaN where either is."""
        return self._extremum(">", a, b)

    def minimum(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """The smaller; NaN where either is."""
        return self._extremum("<", a, b)

    def _extremum(self, sign: str, a: ir.Value, b: ir.Value) -> ir.Value:
        chosen = self.b.select(self._compare(sign, a, b), a, b)
        return self.b.select(self.isnan(a), a, chosen) if self.floating else chosen

    def relu(self, x: ir.Value) -> ir.Value:
        """max(x, 0); NaN stays NaN."""
        zero = self.constant(0, x)
        if self.floating:
            return self.b.select(self.b.fcmp_unordered(">", x, zero), x, zero)
        return self.b.select(self._compare(">", x, zero), x, zero)

    def remainder(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a - b * floor(a / b); 0 for a whole-number division by 0."""
        if self.floating:
            return VectorMath(self.b).remainder(a, b)
        safe, bad = self._divisor(b)
        rest = self.b.srem(a, safe) if self.signed else self.b.urem(a, safe)
        if self.signed:
            zero = self.constant(0, a)
            apart = self.b.icmp_signed("<", self.b.xor(rest, safe), zero)
            wrong = self.b.and_(apart, self.b.icmp_signed("!=", rest, zero))
            rest = self.b.select(wrong, self.b.add(rest, safe), rest)
        return self.b.select(bad, self.constant(0, a), rest)

    def floor_divide(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """floor(a / b); 0 for a whole-number division by 0."""
        if self.floating:
            return self._floor_divide_floats(a, b)
        safe, bad = self._divisor(b)
        if not self.signed:
            return self.b.select(bad, self.constant(0, a), self.b.udiv(a, safe))
        zero = self.constant(0, a)
        rest = self.b.srem(a, safe)
        apart = self.b.icmp_signed("<", self.b.xor(rest, safe), zero)
        below = self.b.and_(apart, self.b.icmp_signed("!=", rest, zero))
        quotient = self.b.sdiv(a, safe)
        quotient = self.b.select(below, self.b.sub(quotient, self.constant(1, a)), quotient)
        minus = self.b.icmp_signed("==", b, self.constant(-1, b))
        return self.b.select(bad, zero, self.b.select(minus, self.b.neg(a), quotient))

    def _divisor(self, b: ir.Value) -> tuple[ir.Value, ir.Value]:
        """A divisor that cannot trap (1 instead of 0 and -1), and where it was 0."""
        bad = self.b.icmp_signed("==", b, self.constant(0, b))
        trap = bad
        if self.signed:  # the smallest number divided by -1 traps as well
            trap = self.b.or_(bad, self.b.icmp_signed("==", b, self.constant(-1, b)))
        return self.b.select(trap, self.constant(1, b), b), bad

    def _floor_divide_floats(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """As NumPy: from the exact remainder, rounded to the whole number it stands for."""
        nothing, one = self.constant(0, a), self.constant(1, a)
        apart = self.b.xor(self._compare("<", a, nothing), self._compare("<", b, nothing))
        rest = VectorMath(self.b).remainder(a, b)
        turned = self.b.and_(apart, self._compare("!=", rest, nothing))
        short = self.b.select(turned, self.subtract(rest, b), rest)  # of a's sign: no overflow
        quotient = self.divide(self.subtract(a, short), b)
        quotient = self.b.select(turned, self.subtract(quotient, one), quotient)
        whole = self.floor(quotient)
        above = self._compare(">", self.subtract(quotient, whole), self.constant(0.5, a))
        rounded = self.b.select(above, self.add(whole, one), whole)
        plain = self.divide(a, b)
        endless = self.b.and_(self.isinf(b), self.isfinite(a))
        below = self.b.and_(apart, self._compare("!=", a, nothing))
        at_infinity = self.b.select(below, self.constant(-1, a), nothing)
        zero = self._compare("==", b, self.constant(0, b))
        return self.b.select(zero, plain, self.b.select(endless, at_infinity, rounded))

    # --- questions

    def equal(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a == b."""
        return self._compare("==", a, b)

    def not_equal(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a != b, true where either is NaN."""
        if self.floating:
            return self.b.fcmp_unordered("!=", a, b)
        return self._compare("!=", a, b)

    def less(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a < b."""
        return self._compare("<", a, b)

    def less_equal(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a <= b."""
        return self._compare("<=", a, b)

    def greater(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a > b."""
        return self._compare(">", a, b)

    def greater_equal(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a >= b."""
        return self._compare(">=", a, b)

    def isnan(self, x: ir.Value) -> ir.Value:
        """Whether x is NaN."""
        return self.b.fcmp_unordered("uno", x, x)

    def isinf(self, x: ir.Value) -> ir.Value:
        """Whether x is infinite."""
        return self._compare("==", self.abs(x), self.constant(float("inf"), x))

    def isfinite(self, x: ir.Value) -> ir.Value:
        """Whether x is neither NaN nor infinite."""
        return self._compare("<", self.abs(x), self.constant(float("inf"), x))

    def signbit(self, x: ir.Value) -> ir.Value:
        """Whether the sign of a float is minus, that of a zero or a NaN too."""
        bits = self.b.bitcast(x, self._bits_of(x))
        return self.b.icmp_signed("<", bits, ir.Constant(bits.type, 0))

    def nextafter(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """The float beside a on the way to b: one more or one less as a whole number."""
        kind = self._bits_of(a)
        bits = self.b.bitcast(a, kind)
        zero = self.constant(0, a)
        away = self.b.xor(self._compare("<", a, b), self._compare("<", a, zero))
        one = ir.Constant(kind, 1)
        moved = self.b.select(away, self.b.add(bits, one), self.b.sub(bits, one))
        tiny = self.b.select(self._compare("<", b, zero), self._least(kind, 1), one)
        moved = self.b.select(self._compare("==", a, zero), tiny, moved)
        result = self.b.select(self._compare("==", a, b), b, self.b.bitcast(moved, a.type))
        unknown = self.b.or_(self.isnan(a), self.isnan(b))
        return self.b.select(unknown, self.add(a, b), result)

    def _bits_of(self, x: ir.Value) -> ir.Type:
        return widened(ir.IntType(self.dtype.itemsize * 8), x.type)

    def _least(self, kind: ir.Type, more: int) -> ir.Constant:
        """The smallest whole number, which is the bits of −0, and so many more."""
        return ir.Constant(kind, more - (1 << (self.dtype.itemsize * 8 - 1)))

    def where(self, condition: ir.Value, yes: ir.Value, no: ir.Value) -> ir.Value:
        """yes where the condition holds, else no."""
        return self.b.select(condition, yes, no)

    # --- bits

    def logical_not(self, x: ir.Value) -> ir.Value:
        """not x."""
        return self.b.not_(x)

    def invert(self, x: ir.Value) -> ir.Value:
        """All bits turned."""
        return self.b.not_(x)

    def bitwise_and(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a & b."""
        return self.b.and_(a, b)

    def bitwise_or(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a | b."""
        return self.b.or_(a, b)

    def bitwise_xor(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a ^ b."""
        return self.b.xor(a, b)

    def left_shift(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a << b; 0 from the word's width on."""
        inside = self.b.icmp_unsigned("<", b, self.constant(self.dtype.itemsize * 8, b))
        shifted = self.b.shl(a, self.b.select(inside, b, self.constant(0, b)))
        return self.b.select(inside, shifted, self.constant(0, a))

    def right_shift(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a >> b; 0 (or -1 for negative a) from the word's width on."""
        width = self.dtype.itemsize * 8
        inside = self.b.icmp_unsigned("<", b, self.constant(width, b))
        if self.signed:
            return self.b.ashr(a, self.b.select(inside, b, self.constant(width - 1, b)))
        shifted = self.b.lshr(a, self.b.select(inside, b, self.constant(0, b)))
        return self.b.select(inside, shifted, self.constant(0, a))

    def rotate_left(self, x: ir.Value, bits: int) -> ir.Value:
        """The bits of x turned round to the left."""
        width = self.dtype.itemsize * 8
        high = self.b.shl(x, self.constant(bits, x))
        return self.b.or_(high, self.b.lshr(x, self.constant(width - bits, x)))

    # --- casts

    def cast(self, x: ir.Value) -> ir.Value:
        """x in the output's dtype."""
        if self.out == self.dtype:
            return x
        if is_half(self.dtype):
            return self._from_half(x)
        if is_half(self.out):
            return self._to_half(x)
        if self.out == bool_:
            return self.not_equal(x, self.constant(0, x))
        target = widened(register_type(self.out), x.type)
        if self.floating:
            return self._from_float(x, target)
        if is_float(self.out):
            return self.b.sitofp(x, target) if self.signed else self.b.uitofp(x, target)
        return self._resize(x, self.signed, target)

    def _from_half(self, x: ir.Value) -> ir.Value:
        if self.out == bool_:
            return is_nonzero(self.b, x)
        return Scalars(self.b, float32, self.out).cast(to_single(self.b, x, self.dtype))

    def _to_half(self, x: ir.Value) -> ir.Value:
        """By way of float32; float64 is rounded once all the same."""
        if self.dtype == float64:
            single = to_odd(self.b, x)
        else:
            single = Scalars(self.b, self.dtype, float32).cast(x)
        return from_single(self.b, single, self.out)

    def _from_float(self, x: ir.Value, target: ir.Type) -> ir.Value:
        if is_float(self.out):
            narrower = self.out.itemsize < self.dtype.itemsize
            return self.b.fptrunc(x, target) if narrower else self.b.fpext(x, target)
        if self.out == uint64:
            return self._to_uint64(x, target)
        wide = widened(ir.IntType(32 if self.out.itemsize < 4 else 64), x.type)
        return self._resize(self._saturating(x, wide), True, target)

    def _to_uint64(self, x: ir.Value, kind: ir.Type) -> ir.Value:
        """The upper half of the range by way of the lower; negative numbers wrap."""
        middle = self.constant(2.0**63, x)
        upper = self._compare(">=", x, middle)
        held = self.b.select(upper, self.b.fsub(x, middle), x)
        bits = self._saturating(held, kind)
        return self.b.select(upper, self.b.xor(bits, ir.Constant(kind, 1 << 63)), bits)

    def _saturating(self, x: ir.Value, kind: ir.Type) -> ir.Value:
        """A whole number held inside its range; plain conversion is undefined outside."""
        vector = isinstance(kind, ir.VectorType)
        lanes = f"v{kind.count}" if vector else ""
        bits = kind.element.width if vector else kind.width
        name = f"llvm.fptosi.sat.{lanes}i{bits}.{lanes}f{self.dtype.itemsize * 8}"
        return self.b.call(declare(self.b.module, name, [x.type], kind), [x])

    def _resize(self, x: ir.Value, signed: bool, target: ir.Type) -> ir.Value:
        def width(kind: ir.Type) -> int:
            return int((kind.element if isinstance(kind, ir.VectorType) else kind).width)

        if width(target) < width(x.type):
            return self.b.trunc(x, target)
        if width(target) == width(x.type):
            return x
        return self.b.sext(x, target) if signed else self.b.zext(x, target)
