"""Numbers in LLVM IR that read like numbers: `Lanes` carries operators, so formulas stay formulas.

A `Lanes` is one IR value, a scalar or a vector; each operator appends one instruction that acts on
every lane. Nothing here knows a mathematical function, and nothing allows LLVM to reorder or
contract arithmetic: a multiplication followed by an addition stays two roundings unless it is
written `fma`. That is why a scalar tail gives the same bits as a vector body.
Next: `kedja/compiler/llvm_math_exp.py` for the first family written with it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kedja.compiler import llvm_ir as ir

Number = float | int


@dataclass(frozen=True)
class Format:
    """How IEEE 754 lays out a float of one width.

    `shifter` is 1.5·2^mantissa + bias: adding it to a small x rounds x to an integer n and leaves
    n + bias in the low bits of the sum, one shift away from being the float 2ⁿ.
    """

    mantissa: int  # bits stored after the binary point
    bias: int  # added to the exponent
    tiny: float  # the smallest normal number
    shifter: float


FORMATS = {
    32: Format(mantissa=23, bias=127, tiny=2.0**-126, shifter=1.5 * 2.0**23 + 127),
    64: Format(mantissa=52, bias=1023, tiny=2.0**-1022, shifter=1.5 * 2.0**52 + 1023),
}


class Lanes:
    """An IR value of float, integer or truth type, with the builder that appends to it.

    Operators take another `Lanes` of the same type or a Python number, which becomes a constant in
    every lane. Comparisons of floats are ordered: false where a NaN takes part.
    """

    __hash__ = None  # type: ignore[assignment]
    __slots__ = ("builder", "value")

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder = builder
        self.value = value

    @property
    def type(self) -> ir.Type:
        """The IR type, scalar or vector."""
        return self.value.type

    @property
    def scalar(self) -> ir.Type:
        """The IR type of one lane."""
        return self.type.element if isinstance(self.type, ir.VectorType) else self.type

    @property
    def count(self) -> int:
        """The number of lanes; a scalar has one."""
        return self.type.count if isinstance(self.type, ir.VectorType) else 1

    @property
    def bits(self) -> int:
        """The width of one lane in bits."""
        scalar = self.scalar
        if isinstance(scalar, ir.FloatType):
            return 32
        return 64 if isinstance(scalar, ir.DoubleType) else int(scalar.width)

    @property
    def is_float(self) -> bool:
        """Whether the lanes are float32 or float64."""
        return isinstance(self.scalar, ir.FloatType | ir.DoubleType)

    @property
    def format(self) -> Format:
        """The layout of these floats."""
        return FORMATS[self.bits]

    def like(self, number: Number) -> Lanes:
        """A constant of this type, the same number in every lane."""
        return Lanes(self.builder, ir.Constant(self.type, number))

    def _binary(self, other: Lanes | Number, real: str, whole: str, flip: bool = False) -> Lanes:
        mate = other if isinstance(other, Lanes) else self.like(other)
        left, right = (mate, self) if flip else (self, mate)
        emit = getattr(self.builder, real if self.is_float else whole)
        return Lanes(self.builder, emit(left.value, right.value))

    def _compare(self, sign: str, other: Lanes | Number) -> Lanes:
        mate = other if isinstance(other, Lanes) else self.like(other)
        emit = self.builder.fcmp_ordered if self.is_float else self.builder.icmp_signed
        return Lanes(self.builder, emit(sign, self.value, mate.value))

    def __add__(self, other: Lanes | Number) -> Lanes:
        return self._binary(other, "fadd", "add")

    def __radd__(self, other: Number) -> Lanes:
        return self._binary(other, "fadd", "add", flip=True)

    def __sub__(self, other: Lanes | Number) -> Lanes:
        return self._binary(other, "fsub", "sub")

    def __rsub__(self, other: Number) -> Lanes:
        return self._binary(other, "fsub", "sub", flip=True)

    def __mul__(self, other: Lanes | Number) -> Lanes:
        return self._binary(other, "fmul", "mul")

    def __rmul__(self, other: Number) -> Lanes:
        return self._binary(other, "fmul", "mul", flip=True)

    def __truediv__(self, other: Lanes | Number) -> Lanes:
        return self._binary(other, "fdiv", "sdiv")

    def __rtruediv__(self, other: Number) -> Lanes:
        return self._binary(other, "fdiv", "sdiv", flip=True)

    def __neg__(self) -> Lanes:
        emit = self.builder.fneg if self.is_float else self.builder.neg
        return Lanes(self.builder, emit(self.value))

    def __and__(self, other: Lanes | int) -> Lanes:
        return self._binary(other, "and_", "and_")

    def __or__(self, other: Lanes | int) -> Lanes:
        return self._binary(other, "or_", "or_")

    def __xor__(self, other: Lanes | int) -> Lanes:
        return self._binary(other, "xor", "xor")

    def __invert__(self) -> Lanes:
        return Lanes(self.builder, self.builder.not_(self.value))

    def __lshift__(self, other: Lanes | int) -> Lanes:
        return self._binary(other, "shl", "shl")

    def __rshift__(self, other: Lanes | int) -> Lanes:
        """The logical shift: zeros come in from the left."""
        return self._binary(other, "lshr", "lshr")

    def __lt__(self, other: Lanes | Number) -> Lanes:
        return self._compare("<", other)

    def __le__(self, other: Lanes | Number) -> Lanes:
        return self._compare("<=", other)

    def __gt__(self, other: Lanes | Number) -> Lanes:
        return self._compare(">", other)

    def __ge__(self, other: Lanes | Number) -> Lanes:
        return self._compare(">=", other)

    def equals(self, other: Lanes | Number) -> Lanes:
        """x == y in each lane; −0 equals +0, NaN equals nothing."""
        return self._compare("==", other)

    def differs(self, other: Lanes | Number) -> Lanes:
        """x != y in each lane, for integers."""
        return self._compare("!=", other)

    def is_nan(self) -> Lanes:
        """Which lanes hold NaN."""
        return Lanes(self.builder, self.builder.fcmp_unordered("uno", self.value, self.value))


def lift(*operands: Lanes | Number) -> list[Lanes]:
    """The operands, with Python numbers made constants of the type of the first `Lanes`."""
    first = next(operand for operand in operands if isinstance(operand, Lanes))
    return [operand if isinstance(operand, Lanes) else first.like(operand) for operand in operands]


def intrinsic(name: str, *operands: Lanes | Number) -> Lanes:
    """Call `llvm.<name>` on operands of one type, answering that type."""
    lanes = lift(*operands)
    of, builder = lanes[0].type, lanes[0].builder
    suffix = f"{'f' if lanes[0].is_float else 'i'}{lanes[0].bits}"
    if isinstance(of, ir.VectorType):
        suffix = f"v{of.count}{suffix}"
    function = declared(builder.module, f"llvm.{name}.{suffix}", of, [of] * len(lanes))
    return Lanes(builder, builder.call(function, [one.value for one in lanes]))


def declared(module: ir.Module, name: str, answer: ir.Type, takes: Sequence[ir.Type]) -> Any:
    """The module's function of that name, declared now if it was not yet."""
    known = module.globals.get(name)
    return known or ir.Function(module, ir.FunctionType(answer, takes), name)


def fma(a: Lanes | Number, b: Lanes | Number, c: Lanes | Number) -> Lanes:
    """a·b + c with one rounding."""
    return intrinsic("fma", a, b, c)


def sqrt(x: Lanes) -> Lanes:
    """The square root, correctly rounded."""
    return intrinsic("sqrt", x)


def absolute(x: Lanes) -> Lanes:
    """|x|: the sign bit cleared."""
    return intrinsic("fabs", x)


def copysign(x: Lanes, sign: Lanes | Number) -> Lanes:
    """|x| with the sign bit of `sign`."""
    return intrinsic("copysign", x, sign)


def where(condition: Lanes, yes: Lanes | Number, no: Lanes | Number) -> Lanes:
    """`yes` in the lanes where the condition holds, `no` in the others."""
    one, two = lift(yes, no)
    return Lanes(one.builder, one.builder.select(condition.value, one.value, two.value))


def at_most(x: Lanes, limit: Lanes | Number) -> Lanes:
    """min(x, limit), with NaN in x kept; one instruction on x86."""
    bound, x = lift(limit, x)
    return where(bound < x, bound, x)


def at_least(x: Lanes, limit: Lanes | Number) -> Lanes:
    """max(x, limit), with NaN in x kept; one instruction on x86."""
    bound, x = lift(limit, x)
    return where(bound > x, bound, x)


def any_of(condition: Lanes) -> Lanes:
    """Whether the condition holds in any lane, as a scalar."""
    if not isinstance(condition.type, ir.VectorType):
        return condition
    mask = condition.builder.bitcast(condition.value, ir.IntType(condition.count))
    return Lanes(condition.builder, mask).differs(0)


def rarely(
    special: Lanes, usual: Sequence[Lanes], compute: Callable[[], Sequence[Lanes]]
) -> list[Lanes]:
    """The usual values, replaced in the special lanes by what `compute` emits.

    That code stands behind a branch which is taken only if some lane is special, and the builder
    ends up in the block after it. Lanes that are not special keep their usual bits either way.
    """
    builder = special.builder
    before = builder.block
    with builder.if_then(any_of(special).value, likely=False):
        pairs = zip(compute(), usual, strict=True)
        found = [where(special, new, old) for new, old in pairs]
        after = builder.block
    return [_merge(old, before, new, after) for old, new in zip(usual, found, strict=True)]


def _merge(one: Lanes, block: ir.Block, other: Lanes, other_block: ir.Block) -> Lanes:
    """The value that comes from whichever of two blocks was left last."""
    phi = one.builder.phi(one.type)
    phi.add_incoming(one.value, block)
    phi.add_incoming(other.value, other_block)
    return Lanes(one.builder, phi)


def bits_of(x: Lanes) -> Lanes:
    """The same bits read as integers."""
    return cast(x, ir.IntType(x.bits), ir.IRBuilder.bitcast)


def float_of(bits: Lanes) -> Lanes:
    """Integers read as the bits of floats of the same width."""
    return cast(bits, ir.FloatType() if bits.bits == 32 else ir.DoubleType(), ir.IRBuilder.bitcast)


def cast(x: Lanes, scalar: ir.Type, how: Callable[..., ir.Value]) -> Lanes:
    """x converted to another lane type by one of the builder's casts."""
    of = ir.VectorType(scalar, x.type.count) if isinstance(x.type, ir.VectorType) else scalar
    return Lanes(x.builder, how(x.builder, x.value, of))


def polynomial(x: Lanes, coefficients: Sequence[float]) -> Lanes:
    """c₀ + c₁·x + c₂·x² + …, one fma a coefficient.

    Long ones run as two chains, of the even and the odd powers, which a processor works on side by
    side; that costs one multiplication and up to half an ulp, so the largest terms are added
    outside where the last bit counts.
    """
    if len(coefficients) < 10:
        return _horner(x, coefficients)
    square = x * x
    even, odd = (_horner(square, coefficients[first::2]) for first in (0, 1))
    return fma(odd, x, even)


def _horner(x: Lanes, coefficients: Sequence[float]) -> Lanes:
    answer = x.like(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        answer = fma(answer, x, coefficient)
    return answer


def bit_pattern(number: float, bits: int) -> int:
    """The bits of a float constant, as a signed integer."""
    real, whole = ("<f", "<i") if bits == 32 else ("<d", "<q")
    return int(struct.unpack(whole, struct.pack(real, number))[0])
