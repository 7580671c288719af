"""float16 and bfloat16 in registers: sixteen bits, which are only moved, widened and rounded.

Arithmetic on them is float32's (`widen.py`). Widening is exact; rounding goes to the nearest, to
the even one of two, and NaN stays a quiet NaN. float64 is first cut off to float32 with its last
bit set where bits were lost ("round to odd"), so that the second rounding gives what one alone
would: S. Boldo, G. Melquiond: When double rounding is odd (IMACS 2005).

float16 takes the processor's instructions where there are some, else integer arithmetic; bfloat16,
the upper half of float32, takes the latter but for results of arithmetic. Denormal float16 are
normal float32 and survive; those of bfloat16 are denormal in float32 too, and are taken for 0 where
they are computed with.
Next: `llvm_scalar.py`, whose casts these are.
"""

from __future__ import annotations

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import F32, F64, I16, I32
from kedja.compiler.llvm_math_lanes import Lanes, absolute, bits_of, cast, float_of, where
from kedja.compiler.llvm_module import converts_half, rounds_to_brain
from kedja.ground.dtypes import DType, bfloat16

HALF = ir.HalfType()
BRAIN = ir.Type("bfloat")  # LLVM's type for bfloat16
BRAIN_LANES = (8, 16)  # whole vectors of 256 and 512 bits
B = ir.IRBuilder

# Bits of float32: 13 more of fraction than float16 has, and 112 more of the exponent's bias.
INFINITE = 0x7F800000
FIRST_TOO_LARGE = (127 + 16) << 23  # 2¹⁶
FIRST_NORMAL = (127 - 14) << 23  # 2⁻¹⁴, the smallest normal float16
REBIAS = (127 - 15) << 23
LAST_PLACE = (127 - 15 + 23 - 10 + 1) << 23  # ½: its last bit is that of float16's denormals


def to_single(builder: ir.IRBuilder, x: ir.Value, dtype: DType) -> ir.Value:
    """The bits of a half dtype as float32, exactly."""
    half = Lanes(builder, x)
    if dtype == bfloat16:
        return float_of(cast(half, I32, B.zext) << 16).value
    if converts_half(builder.module):
        return cast(cast(half, HALF, B.bitcast), F32, B.fpext).value
    return _widen_float16(cast(half, I32, B.zext)).value


def from_single(builder: ir.IRBuilder, x: ir.Value, dtype: DType) -> ir.Value:
    """float32 rounded to the bits of a half dtype."""
    single = Lanes(builder, x)
    if dtype == bfloat16:
        return cast(_round_to_bfloat16(bits_of(single)), I16, B.trunc).value
    if converts_half(builder.module):
        return cast(cast(single, HALF, B.fptrunc), I16, B.bitcast).value
    return cast(_round_to_float16(bits_of(single)), I16, B.trunc).value


def from_arithmetic(builder: ir.IRBuilder, x: ir.Value, dtype: DType) -> ir.Value:
    """`from_single` for a result of arithmetic, which is never denormal: those are flushed.

    The processor's instruction for bfloat16 takes denormal numbers for 0, where a cast keeps them.
    """
    vector = isinstance(x.type, ir.VectorType) and x.type.count in BRAIN_LANES
    if dtype != bfloat16 or not vector or not rounds_to_brain(builder.module):
        return from_single(builder, x, dtype)
    rounded = builder.fptrunc(x, ir.VectorType(BRAIN, x.type.count))
    return builder.bitcast(rounded, ir.VectorType(I16, x.type.count))


def to_odd(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """float64 as float32, cut off, with the last bit set where bits were lost."""
    wide = Lanes(builder, x)
    near = cast(wide, F32, B.fptrunc)
    back = cast(near, F64, B.fpext)
    above = cast(absolute(back) > absolute(wide), I32, B.zext)
    differs = Lanes(builder, builder.fcmp_unordered("!=", back.value, wide.value))
    return float_of((bits_of(near) - above) | cast(differs, I32, B.zext)).value


def is_nonzero(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """Whether the bits of a half dtype stand for anything but +0 and −0."""
    return (Lanes(builder, x) & 0x7FFF).differs(0).value


# --------------------------------------------------------------------------- integer arithmetic


def _round_to_bfloat16(bits: Lanes) -> Lanes:
    """The upper 16 of 32 bits, after adding just below half of their last place, or just half."""
    odd = (bits >> 16) & 1
    rounded = (bits + 0x7FFF + odd) >> 16
    nan = (bits & 0x7FFFFFFF) > INFINITE
    return where(nan, (bits >> 16) | 0x40, rounded)


def _widen_float16(bits: Lanes) -> Lanes:
    """Normal numbers by a new bias, denormal ones by a subtraction that shifts them up."""
    size = (bits & 0x7FFF) << 13
    normal = size + REBIAS
    normal = where(size >= (31 << 23), normal + REBIAS, normal)  # infinity and NaN
    shifted = float_of(size + FIRST_NORMAL) - float_of(size.like(FIRST_NORMAL))
    size = where(size < (1 << 23), bits_of(shifted), normal)
    return float_of(size | ((bits & 0x8000) << 16))


def _round_to_float16(bits: Lanes) -> Lanes:
    """As for bfloat16; the addition of a power of two rounds what becomes denormal."""
    size = bits & 0x7FFFFFFF
    odd = (size >> 13) & 1
    normal = (size - REBIAS + 0xFFF + odd) >> 13
    magic = float_of(size.like(LAST_PLACE))
    denormal = bits_of(float_of(size) + magic) - LAST_PLACE
    special = where(size > INFINITE, size.like(0x7E00), 0x7C00)
    finite = where(size < FIRST_NORMAL, denormal, normal)
    rounded = where(size >= FIRST_TOO_LARGE, special, finite)
    return rounded | ((bits >> 16) & 0x8000)
