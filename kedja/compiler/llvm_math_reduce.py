"""Angles too large for a few fused steps: x mod ½π with all of x's bits (Payne and Hanek, 1983).

2/π is kept to 1,280 bits. Of the product of x's 53-bit significand with it only a window of 192
bits can matter: what lies above is a multiple of four quarter turns, what lies below is too small.
This is the slow path of sin, cos and tan, a function of its own that the usual path jumps over.
Next: `kedja/compiler/llvm_math_trig.py`, which calls it.
"""

from __future__ import annotations

import math
from functools import cache

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_math_lanes import (
    Lanes,
    absolute,
    bits_of,
    cast,
    copysign,
    float_of,
    fma,
    where,
)

_I32, _I64, _I128 = ir.IntType(32), ir.IntType(64), ir.IntType(128)
_DOUBLE = ir.DoubleType()
_HALF_PI, _HALF_PI_LOW = 1.5707963267948966, 6.123233995736766e-17
_WORDS = 20  # 64-bit words of 2/π; the largest double needs the first 19


def quarter_turns(x: Lanes) -> tuple[Lanes, Lanes]:
    """Integers q (mod 4) and floats r in [−¼π, ¼π] with x = q·½π + r (mod 2π), for |x| ≥ 1.

    NaN and ±inf give r = NaN. r is right to 1.1 ulp for every float.
    """
    builder, function = x.builder, _vector_function(x)
    pair = builder.call(function, [x.value])
    r, q = (Lanes(builder, builder.extract_value(pair, i)) for i in (0, 1))
    return q, r


def _vector_function(x: Lanes) -> ir.Function:
    """`(r, q) = kedja.quarter_turns.<type>(x)`: the scalar function lane by lane."""
    module = x.builder.module
    name = f"kedja.quarter_turns.v{x.count}f{x.bits}"
    if name in module.globals:
        known: ir.Function = module.globals[name]
        return known
    of = x.type
    answer = ir.LiteralStructType([of, bits_of(x).type])
    function = _cold_function(module, name, ir.FunctionType(answer, [of]))
    builder = ir.IRBuilder(function.append_basic_block())
    pair = _each_lane(builder, function.args[0], answer, _scalar_function(module))
    builder.ret(pair)
    return function


def _each_lane(
    builder: ir.IRBuilder, x: ir.Value, answer: ir.LiteralStructType, scalar: ir.Function
) -> ir.Value:
    """A loop over the lanes of x (none for a scalar): extract, widen, call, narrow, insert."""
    if not isinstance(x.type, ir.VectorType):
        return _one_lane(builder, x, scalar, answer)
    start, loop, done = builder.block, *(builder.append_basic_block() for _ in range(2))
    builder.branch(loop)
    builder.position_at_end(loop)
    i, pair = builder.phi(_I32), builder.phi(answer)
    one = ir.LiteralStructType([part.element for part in answer.elements])
    found = _one_lane(builder, builder.extract_element(x, i), scalar, one)
    after: ir.Value = pair
    for part in (0, 1):
        lanes = builder.extract_value(pair, part)
        lanes = builder.insert_element(lanes, builder.extract_value(found, part), i)
        after = builder.insert_value(after, lanes, part)
    i_after = builder.add(i, _I32(1))
    for phi, first, following in ((i, _I32(0), i_after), (pair, answer(None), after)):
        phi.add_incoming(first, start)
        phi.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", i_after, _I32(x.type.count)), loop, done)
    builder.position_at_end(done)
    return after


def _one_lane(
    builder: ir.IRBuilder, x: ir.Value, scalar: ir.Function, answer: ir.LiteralStructType
) -> ir.Value:
    """The scalar function in double precision, its r rounded to x's type."""
    pair = builder.call(scalar, [builder.fpext(x, _DOUBLE)])
    r = builder.fptrunc(builder.extract_value(pair, 0), x.type)
    q = builder.trunc(builder.extract_value(pair, 1), answer.elements[1])
    return builder.insert_value(builder.insert_value(answer(None), r, 0), q, 1)


def _scalar_function(module: ir.Module) -> ir.Function:
    """`(r, q) = kedja.quarter_turns(x)` for one double."""
    name = "kedja.quarter_turns"
    if name in module.globals:
        known: ir.Function = module.globals[name]
        return known
    answer = ir.LiteralStructType([_DOUBLE, _I64])
    function = _cold_function(module, name, ir.FunctionType(answer, [_DOUBLE]))
    builder = ir.IRBuilder(function.append_basic_block())
    r, q = _reduce(Lanes(builder, function.args[0]))
    pair = builder.insert_value(answer(None), r.value, 0)
    builder.ret(builder.insert_value(pair, q.value, 1))
    return function


def _reduce(x: Lanes) -> tuple[Lanes, Lanes]:
    """Payne and Hanek for one double: |x| = m·2ᵉ, turns = m·(window of 2/π from 2^(1−e) down)."""
    bits = bits_of(absolute(x))
    e = (bits >> 52) - 1075
    m = (bits & ((1 << 52) - 1)) | (1 << 52)
    high, middle, low = _window(e + 62)
    product = (_wide(m * high) << 64) + _wide(m) * _wide(middle)
    product = product + ((_wide(m) * _wide(low)) >> 64)  # unit 2^−126 quarter turns, mod 4
    q = _narrow((product + (1 << 125)) >> 126)
    fraction = _fraction(product << 2)
    r = fma(fraction, _HALF_PI, fraction * _HALF_PI_LOW)
    negative = x < 0.0
    r = where(absolute(x) < math.inf, where(negative, -r, r), math.nan)
    return r, where(negative, -q, q) & 3


def _window(position: Lanes) -> tuple[Lanes, Lanes, Lanes]:
    """192 bits of 2/π from a bit position, counted where 64 zero bits stand before the point."""
    builder = position.builder
    position = where(position < 0, 0, position)  # lanes that are not far need no window
    table = _table(builder.module)
    word, shift = position >> 6, position & 63
    places = [builder.gep(table, [(word + i).value], source_etype=_I64) for i in range(4)]
    words = [Lanes(builder, builder.load(place, _I64)) for place in places]
    first, second, third = (_funnel(words[i], words[i + 1], shift) for i in range(3))
    return first, second, third


def _funnel(left: Lanes, right: Lanes, shift: Lanes) -> Lanes:
    """The upper 64 bits of (left, right) << shift."""
    joined = (_wide(left) << 64) | _wide(right)
    return _narrow((joined << _wide(shift)) >> 64)


def _fraction(bits: Lanes) -> Lanes:
    """A signed 128-bit fraction (unit 2^−128) as a double, from its 64 leading bits."""
    builder = bits.builder
    negative = bits < 0
    magnitude = where(negative, -bits, bits)
    zeros = Lanes(builder, builder.ctlz(magnitude.value, ir.Constant(ir.IntType(1), 0)))
    top = _narrow((magnitude << (zeros & 127)) >> 64)
    real = cast(top, _DOUBLE, ir.IRBuilder.uitofp)
    scale = float_of((1023 - 64 - _narrow(zeros)) << 52)
    value = real * scale
    return copysign(value, where(negative, value.like(-1.0), 1.0))


def _wide(x: Lanes) -> Lanes:
    """64 bits as the lower half of 128."""
    return cast(x, _I128, ir.IRBuilder.zext)


def _narrow(x: Lanes) -> Lanes:
    """The lower 64 bits."""
    return cast(x, _I64, ir.IRBuilder.trunc)


def _cold_function(module: ir.Module, name: str, of: ir.FunctionType) -> ir.Function:
    function = ir.Function(module, of, name)
    function.linkage = "internal"
    for attribute in ("cold", "noinline", "nounwind"):
        function.attributes.add(attribute)
    return function


def _table(module: ir.Module) -> ir.GlobalVariable:
    """The words of 2/π as a constant of the module, 64 zero bits before them."""
    name = "kedja.two_over_pi"
    if name in module.globals:
        known: ir.GlobalVariable = module.globals[name]
        return known
    of = ir.ArrayType(_I64, _WORDS + 1)
    table = ir.GlobalVariable(module, of, name)
    table.linkage = "internal"
    table.global_constant = True
    table.initializer = ir.Constant(of, [_I64(word) for word in (0, *two_over_pi_words())])
    return table


@cache
def two_over_pi_words() -> tuple[int, ...]:
    """The first bits of 2/π in 64-bit words, from Machin's π = 16·atan(1/5) − 4·atan(1/239)."""
    guard = 64
    one = 1 << (64 * _WORDS + guard)
    pi = 16 * _arctan_of_inverse(5, one) - 4 * _arctan_of_inverse(239, one)
    digits = (2 * one * one // pi) >> guard
    return tuple((digits >> (64 * i)) & (2**64 - 1) for i in reversed(range(_WORDS)))


def _arctan_of_inverse(n: int, one: int) -> int:
    """atan(1/n) = 1/n − 1/(3n³) + 1/(5n⁵) − … in fixed point."""
    total, power, odd = 0, one // n, 1
    while power:
        total += power // odd if odd % 4 == 1 else -(power // odd)
        power //= n * n
        odd += 2
    return total
