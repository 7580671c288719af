"""Elementwise ops on the representation of floats, or whose plain formula would overflow.

signbit, copysign, nextafter, hypot, logaddexp, and powers of integers. Their loops are built from
the emitter's own methods, as formulas are. Next: `reduce.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kedja.ground.dtypes import FLOATS, INTEGERS, float32, float64
from kedja.ir.graph import Node, apply, full, zeros_like
from kedja.ir.op import (
    Case,
    Derivative,
    Leading,
    Op,
    Partials,
    Pointwise,
    Rule,
    register,
)
from kedja.ops import xla_rules
from kedja.ops.elementwise import WHOLE, indicator, predicate, quiet
from kedja.ops.samples import Sampler, uniform
from kedja.ops.types import elementwise

PAIR = uniform(-3, 3, arity=2)
LARGEST_POWER = 63  # of integers: beyond, all results overflow but those of 0, 1 and −1

# ---------------------------------------------------------------------------- derivatives


def copysign_slope(y: Node, a: Node, b: Node) -> Node:
    """1 where both have one sign, −1 where not, 0 at a = 0 (as abs)."""
    minus = indicator(apply("signbit", b), a)
    return apply("sign", a) * (1 - 2 * minus)


def hypot_slope(y: Node, side: Node) -> Node:
    """side/y, taken as 0 at the corner where y is 0."""
    zero = zeros_like(y)
    safe = apply("where", apply("equal", y, zero), full(1, y.shape, y.dtype), y)
    return side / safe


def logaddexp_share(mine: Node, other: Node) -> Node:
    """e^mine/(e^mine + e^other) = sigmoid(mine − other); ½ where both are the same infinity."""
    apart = mine - other
    undefined = apply("isnan", apart)
    return apply("sigmoid", apply("where", undefined, zeros_like(apart), apart))


# ------------------------------------------------------------------------------- emission


def emit_copysign(e: Any, a: Any, b: Any) -> Any:
    """|a| or −|a|."""
    size = e.abs(a)
    return e.where(e.signbit(b), e.negative(size), size)


def emit_hypot(e: Any, a: Any, b: Any) -> Any:
    """m·√(1 + (n/m)²) with m the larger side, so that nothing overflows on the way."""
    a, b = e.abs(a), e.abs(b)
    larger, smaller = e.maximum(a, b), e.minimum(a, b)
    one, infinity = e.constant(1, a), e.constant(np.inf, a)
    endless = e.bitwise_or(e.equal(a, infinity), e.equal(b, infinity))
    plain = e.bitwise_or(endless, e.equal(larger, e.constant(0, a)))
    ratio = e.divide(smaller, e.where(plain, one, larger))
    length = e.multiply(larger, e.sqrt(e.add(one, e.multiply(ratio, ratio))))
    return e.where(endless, infinity, e.where(plain, larger, length))


def emit_logaddexp(e: Any, a: Any, b: Any) -> Any:
    """m + log(1 + e^−|a − b|), with m the larger one."""
    same = e.equal(a, b)  # also where both are infinite, so that a − b is not looked at
    apart = e.where(same, e.constant(0, a), e.abs(e.subtract(a, b)))
    return e.add(e.maximum(a, b), e.log1p(e.exp(e.negative(apart))))


def emit_integer_pow(e: Any, a: Any, b: Any) -> Any:
    """By squaring, bit by bit of the exponent."""
    zero, one, minus = e.constant(0, a), e.constant(1, a), e.negative(e.constant(1, a))
    odd = e.not_equal(e.bitwise_and(b, one), zero)
    held = e.where(odd, e.constant(LARGEST_POWER, b), e.constant(LARGEST_POWER - 1, b))
    exponent = e.where(e.greater(b, e.constant(LARGEST_POWER, b)), held, b)
    result, square = one, a
    for bit in range(LARGEST_POWER.bit_length()):
        takes = e.not_equal(e.bitwise_and(exponent, e.constant(1 << bit, b)), zero)
        result = e.where(takes, e.multiply(result, square), result)
        square = e.multiply(square, square)
    turned = e.where(odd, minus, one)  # (−1)^b
    inverse = e.where(e.equal(a, one), one, e.where(e.equal(a, minus), turned, zero))
    return e.where(e.less(b, zero), inverse, result)


# ------------------------------------------------------------------------- NumPy and XLA


def integer_pow(namespace: Any, a: Any, b: Any) -> Any:
    """a^b with the arithmetic of NumPy or jax.numpy; as emitted above."""
    xp = namespace
    odd = (b & 1) == 1
    largest = xp.where(odd, LARGEST_POWER, LARGEST_POWER - 1).astype(b.dtype)
    exponent = xp.where(b > LARGEST_POWER, largest, b)
    result = xp.power(a, xp.where(b < 0, 0, exponent).astype(b.dtype))
    turned = xp.where(odd, -1, 1).astype(a.dtype)
    ones = xp.ones_like(a)
    zeros = xp.zeros_like(a)
    inverse = xp.where(a == 1, ones, xp.where(a == -ones, turned, zeros))
    return xp.where(b < 0, inverse, result)


def numpy_integer_pow(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a^b, wrapping; 0 for a negative power unless a is 1 or −1."""
    return np.asarray(integer_pow(np, a, b), dtype=a.dtype)


def sample_powers(rng: np.random.Generator) -> Sequence[Case]:
    """Small bases, exponents of either sign."""
    return [Case((rng.integers(-4, 5, (4, 7)), rng.integers(-3, 9, (4, 7))))]


def sample_neighbours(rng: np.random.Generator) -> Sequence[Case]:
    """Numbers on both sides of each other, and equal ones."""
    a, b = rng.uniform(-3, 3, (3, 5)), rng.uniform(-3, 3, (3, 5))
    b[0] = a[0]
    return [Case((a, b))]


SINGLE_AND_DOUBLE = (float32, float64)  # a half's neighbour is not that of its float32


def of_two(
    name: str,
    numpy: Callable[..., Any],
    derivative: Derivative,
    emit: Rule,
    sample: Sampler = PAIR,
    *,
    dtypes: Sequence[np.dtype] = FLOATS,
    formula: str = "",
    flops: float = 8,
    precedence: int = 9,
    xla: Rule | None = None,
) -> Op:
    """One entry of the table below."""
    return Op(
        name,
        type=elementwise(name, dtypes),
        numpy=numpy,
        derivative=derivative,
        lowering=Pointwise(emit),
        batch=Leading(),
        xla=xla or xla_rules.same_in_jax(name),
        formula=formula or name + "({0}, {1})",
        sample=sample,
        dtypes=tuple(dtypes),
        precedence=precedence,
        flops=flops,
        gate="multiplies by the local derivatives",
    )


COPYSIGN = Partials((copysign_slope, None))
HYPOT = Partials((lambda y, a, b: hypot_slope(y, a), lambda y, a, b: hypot_slope(y, b)))
LOGADDEXP = Partials((lambda y, a, b: logaddexp_share(a, b), lambda y, a, b: logaddexp_share(b, a)))
STEPPED = Partials((lambda y, a, b: full(1, a.shape, a.dtype), None))  # a moved by next to nothing

# fmt: off
register(
    (
        predicate("signbit", np.signbit, "signbit({0})"),
        #      name           NumPy                 derivative  loops
        of_two("copysign",    np.copysign,          COPYSIGN,   emit_copysign),
        of_two("hypot",       quiet(np.hypot),      HYPOT,      emit_hypot),
        of_two("logaddexp",   quiet(np.logaddexp),  LOGADDEXP,  emit_logaddexp, flops=30),
        of_two("nextafter",   quiet(np.nextafter),  STEPPED,    lambda e, a, b: e.nextafter(a, b),
               sample_neighbours, dtypes=SINGLE_AND_DOUBLE),
        of_two("integer_pow", numpy_integer_pow,    WHOLE,      emit_integer_pow,
               sample_powers, dtypes=INTEGERS, formula="{0} ** {1}", precedence=7,
               xla=lambda x, a, b: integer_pow(x.np, a, b)),
    ),
    "numeric",
)
# fmt: on
