"""From loops to LLVM's language to machine code, eight numbers at a time.

Not here: which loops there are (`loops.py`).
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping, Sequence

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from mini.graph import Node
from mini.loops import Apply, Expr, Fold, Load, Nest, Variable, nests, numbered
from mini.meaning import Array
from mini.simplify import simplify

LANES = 8
I64, PTR, F64 = ir.IntType(64), ir.PointerType(), ir.DoubleType()
Value = ir.Value


def constant(like: ir.Type, value: float) -> ir.Constant:
    """A number, in every lane of a vector."""
    count = like.count if isinstance(like, ir.VectorType) else 0
    return ir.Constant(like, [value] * count if count else value)


def whole(like: ir.Type) -> ir.Type:
    """The integers as wide as some floats."""
    return ir.VectorType(I64, like.count) if isinstance(like, ir.VectorType) else I64


LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
ROUND = 1.5 * 2.0**52 + 1023  # adding it leaves n + 1023, an integer, in the last bits


def exp(b: ir.IRBuilder, x: Value) -> Value:
    """e^x = 2^n e^r with x = n ln 2 + r: a polynomial for e^r, and n set into the exponent."""

    def number(value: float) -> ir.Constant:
        return constant(x.type, value)

    x = b.select(b.fcmp_unordered("<", x, number(710)), x, number(710))
    x = b.select(b.fcmp_unordered(">", x, number(-709)), x, number(-709))
    shifted = b.fadd(b.fmul(x, number(1 / math.log(2))), number(ROUND))
    n = b.fsub(shifted, number(ROUND))
    r = b.fsub(b.fsub(x, b.fmul(n, number(LN2_HIGH))), b.fmul(n, number(LN2_LOW)))
    total = number(1 / math.factorial(13))
    for power in reversed(range(13)):
        total = b.fadd(b.fmul(total, r), number(1 / math.factorial(power)))
    bits = b.shl(b.bitcast(shifted, whole(x.type)), constant(whole(x.type), 52))
    return b.fmul(total, b.bitcast(bits, x.type))


def maximum(b: ir.IRBuilder, x: Value, y: Value) -> Value:
    """The larger; NaN where either is NaN."""
    return b.select(b.or_(b.fcmp_ordered(">", x, y), b.fcmp_unordered("uno", x, x)), x, y)


EMIT: dict[str, Callable[..., Value]] = {
    "add": lambda b, x, y: b.fadd(x, y),
    "subtract": lambda b, x, y: b.fsub(x, y),
    "multiply": lambda b, x, y: b.fmul(x, y),
    "divide": lambda b, x, y: b.fdiv(x, y),
    "negative": lambda b, x: b.fneg(x),
    "exp": exp,
    "maximum": maximum,
    "greater": lambda b, x, y: b.uitofp(b.fcmp_ordered(">", x, y), x.type),
}


def repeat(
    b: ir.IRBuilder,
    bounds: tuple[Value | int, Value | int, int],
    body: Callable[[Value, Value | None], Value | None],
    total: Value | None = None,
) -> Value | None:
    """for index in range(*bounds): total = body(index, total)."""
    first, last, stride = bounds
    before, head = b.block, b.append_basic_block("head")
    inside, after = b.append_basic_block("body"), b.append_basic_block("after")
    b.branch(head)
    b.position_at_end(head)
    index = b.phi(I64)
    sum_ = ...
