"""Elementwise ops: y[i] = f(x0[i], x1[i] …), one entry each.

Inputs have one shape; broadcasting is an op of its own (`movement.py`), which the front inserts.
Not here: relu's and sigmoid's many relatives, which `kedja/nn/functional.py` builds from these.
Next: `reduce.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kedja.ground.dtypes import ALL, FLOATS, INTEGERS, NUMBERS, bool_, convert, is_float
from kedja.ir.graph import Node, apply, full, zeros_like
from kedja.ir.op import (
    Case,
    Derivative,
    Leading,
    Linear,
    NoDerivative,
    Op,
    Partials,
    Pointwise,
    Rule,
    Type,
    register,
)
from kedja.ops import xla_rules
from kedja.ops.samples import Sampler, booleans, integers, uniform
from kedja.ops.types import elementwise, require_dtype, require_same_shape

LOGICAL = NoDerivative("its values are true or false")
WHOLE = NoDerivative("its values are whole numbers")
STEPS = Partials((None, None))  # piecewise constant: the derivative is zero almost everywhere

GATES = {  # the op on the way back, in one phrase
    "relu": "max routes: to x where x > 0, else to nobody",
    "add": "add distributes: each input gets the whole gradient",
    "subtract": "subtract distributes, with the sign turned for the second",
    "multiply": "multiply swaps: each input gets the gradient times the other",
    "divide": "multiplies by the local derivatives 1/b and -a/b^2",
    "pow": "multiplies by the local derivatives",
    "maximum": "max routes: the gradient goes to the larger input, half to each where they tie",
    "minimum": "min routes: the gradient goes to the smaller input, half to each where they tie",
}


def same_name(name: str) -> Pointwise:
    """Emission by the emitter's method of the op's own name."""
    return Pointwise(lambda e, *xs, **attrs: getattr(e, name)(*xs))


def unary(
    name: str,
    numpy: Callable[..., Any],
    partial: Rule | None,
    sample: Sampler,
    *,
    formula: str = "",
    dtypes: Sequence[np.dtype] = FLOATS,
    flops: float = 1,
    precedence: int = 9,
    xla: Rule | None = None,
) -> Op:
    """An op y = f(x) whose output has the input's dtype; `partial(y, x)` is dy/dx."""
    return Op(
        name,
        type=elementwise(name, dtypes),
        numpy=numpy,
        derivative=Partials((partial,)),
        lowering=same_name(name),
        batch=Leading(),
        xla=xla or xla_rules.same_in_jax(name),
        formula=formula or name + "({0})",
        sample=sample,
        dtypes=tuple(dtypes),
        precedence=precedence,
        flops=flops,
        gate=GATES.get(name, "multiplies by the local derivative"),
    )


def binary(
    name: str,
    numpy: Callable[..., Any],
    derivative: Derivative,
    formula: str,
    sample: Sampler,
    *,
    dtypes: Sequence[np.dtype] = NUMBERS,
    result: np.dtype | None = None,
    flops: float = 1,
    precedence: int = 9,
    xla: Rule | None = None,
) -> Op:
    """An op y = f(a, b) on two inputs of one dtype."""
    return Op(
        name,
        type=elementwise(name, dtypes, result),
        numpy=numpy,
        derivative=derivative,
        lowering=same_name(name),
        batch=Leading(),
        xla=xla or xla_rules.same_in_jax(name),
        formula=formula,
        sample=sample,
        dtypes=tuple(dtypes),
        precedence=precedence,
        flops=flops,
        gate=GATES.get(name, ""),
    )


def f(name: str) -> Callable[..., Node]:
    """An op by its name, for the derivative rules below."""
    return lambda *xs, **attrs: apply(name, *xs, **attrs)


exp, log, sin, cos, sinh, cosh, sqrt = map(f, ("exp", "log", "sin", "cos", "sinh", "cosh", "sqrt"))
sign, floor, sigmoid, greater = map(f, ("sign", "floor", "sigmoid", "greater"))
equal, where, cast = map(f, ("equal", "where", "cast"))
power = f("pow")


def indicator(condition: Node, like: Node) -> Node:
    """1 where a condition holds and 0 elsewhere, in the dtype of `like`."""
    return cast(condition, dtype=like.dtype)


def routed(y: Node, mine: Node, other: Node) -> Node:
    """The share of a maximum or minimum that goes to one input: 1, 0, or ½ where both tie."""
    return indicator(equal(y, mine), mine) * (1 - 0.5 * indicator(equal(mine, other), mine))


def power_by_base(y: Node, a: Node, b: Node) -> Node:
    """b·a^(b−1), which is 0 where b is 0 (also at a = 0)."""
    zero = zeros_like(b)
    safe = where(equal(b, zero), full(1, b.shape, b.dtype), b - 1)
    return b * power(a, safe)


def power_by_exponent(y: Node, a: Node, b: Node) -> Node:
    """a^b·log a, which is 0 at a = 0."""
    zero = zeros_like(a)
    safe = where(equal(a, zero), full(1, a.shape, a.dtype), a)
    return y * log(safe)


def quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's function without its warnings: NaN and infinity are values like others here."""

    def call(*xs: np.ndarray, **attrs: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*xs, **attrs)

    return call


def numpy_sigmoid(x: np.ndarray) -> np.ndarray:
    """1/(1+e^(−x)) without overflow: e^(−|x|) is at most 1."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1 / (1 + small), small / (1 + small)), dtype=x.dtype)


def numpy_softplus(x: np.ndarray) -> np.ndarray:
    """log(1+e^x) without overflow."""
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


_erf = np.vectorize(math.erf, otypes=[np.float64])


def numpy_erf(x: np.ndarray) -> np.ndarray:
    """The error function by the C library's, in float64."""
    return np.asarray(_erf(x) if x.size else x).astype(x.dtype)


def numpy_relu(x: np.ndarray) -> np.ndarray:
    """max(x, 0); NaN stays NaN."""
    return np.asarray(np.maximum(x, 0), dtype=x.dtype)


SQRT_PI = math.sqrt(math.pi)
LN_2, LN_10 = math.log(2), math.log(10)


def negative_slope(y: Node, x: Node) -> Node:
    """−1 everywhere."""
    return full(-1, x.shape, x.dtype)


def relu_slope(y: Node, x: Node) -> Node:
    """1 where x > 0, else 0."""
    return indicator(greater(x, zeros_like(x)), x)


def erf_slope(y: Node, x: Node) -> Node:
    """2/√π · e^(−x²)."""
    return (2 / SQRT_PI) * exp(-(x * x))


# ---------------------------------------------------------------------------------- the tables

SMALL = uniform(-3, 3)
UNIT = uniform(-0.95, 0.95)
POSITIVE = uniform(0.1, 4)
ABOVE_1 = uniform(1.2, 4)
STEEP = uniform(-1, 1)
PAIR = uniform(-3, 3, arity=2)
RATIO = uniform(0.5, 3, arity=2)
BASES = uniform(0.3, 2, arity=2)
FEW = integers(0, 3, arity=2)
BITS = integers(0, 99, arity=2)
SHIFT = integers(0, 7, arity=2)

# fmt: off
UNARY = (
    #     name        NumPy                  dy/dx                              sample
    unary("negative", np.negative,           negative_slope,                    SMALL,
          formula="-{0}", dtypes=NUMBERS, precedence=6),
    unary("abs",      np.abs,                lambda y, x: sign(x),              SMALL,
          formula="|{0}|", dtypes=NUMBERS),
    unary("sign",     np.sign,               None,                              SMALL,
          dtypes=NUMBERS),
    unary("sqrt",     quiet(np.sqrt),        lambda y, x: 0.5 / y,              POSITIVE, flops=4),
    unary("exp",      quiet(np.exp),         lambda y, x: y,                    SMALL,    flops=12),
    unary("expm1",    quiet(np.expm1),       lambda y, x: y + 1,                SMALL,    flops=16),
    unary("log",      quiet(np.log),         lambda y, x: 1 / x,                POSITIVE, flops=14),
    unary("log1p",    quiet(np.log1p),       lambda y, x: 1 / (1 + x),          POSITIVE, flops=16),
    unary("log2",     quiet(np.log2),        lambda y, x: (1 / LN_2) / x,       POSITIVE, flops=15),
    unary("log10",    quiet(np.log10),       lambda y, x: (1 / LN_10) / x,      POSITIVE, flops=15),
    unary("sin",      quiet(np.sin),         lambda y, x: cos(x),               SMALL,    flops=14),
    unary("cos",      quiet(np.cos),         lambda y, x: -sin(x),              SMALL,    flops=14),
    unary("tan",      quiet(np.tan),         lambda y, x: 1 + y * y,            STEEP,    flops=20),
    unary("asin",     quiet(np.arcsin),      lambda y, x: 1 / sqrt(1 - x * x),  UNIT,     flops=16),
    unary("acos",     quiet(np.arccos),      lambda y, x: -1 / sqrt(1 - x * x), UNIT,     flops=16),
    unary("atan",     quiet(np.arctan),      lambda y, x: 1 / (1 + x * x),      SMALL,    flops=16),
    unary("sinh",     quiet(np.sinh),        lambda y, x: cosh(x),              SMALL,    flops=18,
          xla=xla_rules.sinh),
    unary("cosh",     quiet(np.cosh),        lambda y, x: sinh(x),              SMALL,    flops=18,
          xla=xla_rules.cosh),
    unary("tanh",     quiet(np.tanh),        lambda y, x: 1 - y * y,            SMALL,    flops=14),
    unary("asinh",    quiet(np.arcsinh),     lambda y, x: 1 / sqrt(x * x + 1),  SMALL,    flops=22),
    unary("acosh",    quiet(np.arccosh),     lambda y, x: 1 / sqrt(x * x - 1),  ABOVE_1,  flops=22),
    unary("atanh",    quiet(np.arctanh),     lambda y, x: 1 / (1 - x * x),      UNIT,     flops=22,
          xla=xla_rules.atanh),
    unary("sigmoid",  quiet(numpy_sigmoid),  lambda y, x: y * (1 - y),          SMALL,    flops=14,
          xla=xla_rules.sigmoid),
    unary("softplus", quiet(numpy_softplus), lambda y, x: sigmoid(x),           SMALL,    flops=28,
          xla=xla_rules.softplus),
    unary("erf",      numpy_erf,             erf_slope,                         SMALL,    flops=20,
          xla=xla_rules.erf),
    unary("relu",     numpy_relu,            relu_slope,                        SMALL,
          dtypes=NUMBERS, xla=xla_rules.relu),
    unary("floor",    np.floor,              None,                              SMALL),
    unary("ceil",     np.ceil,               None,                              SMALL),
    unary("round",    np.round,              None,                              SMALL),
    unary("trunc",    np.trunc,              None,                              SMALL),
)

# derivative rules of two inputs that do not fit into the table: (∂y/∂a, ∂y/∂b) or (ā, b̄)
ADD = Linear((lambda g, node: g, lambda g, node: g))
SUBTRACT = Linear((lambda g, node: g, lambda g, node: -g))
MULTIPLY = Partials((lambda y, a, b: b, lambda y, a, b: a))
DIVIDE = Partials((lambda y, a, b: 1 / b, lambda y, a, b: -y / b))
POW = Partials((power_by_base, power_by_exponent))
ROUTED = Partials((lambda y, a, b: routed(y, a, b), lambda y, a, b: routed(y, b, a)))
ANGLE = Partials((lambda y, a, b: b / (a * a + b * b), lambda y, a, b: -a / (a * a + b * b)))
REST = Partials((lambda y, a, b: full(1, a.shape, a.dtype), lambda y, a, b: -floor(a / b)))

BINARY = (
    #      name             NumPy                   derivative  formula           sample
    binary("add",           np.add,                 ADD,        "{0} + {1}",      PAIR,
           precedence=4),
    binary("subtract",      np.subtract,            SUBTRACT,   "{0} - {1}",      PAIR,
           precedence=4),
    binary("multiply",      quiet(np.multiply),     MULTIPLY,   "{0} * {1}",      PAIR,
           precedence=5),
    binary("divide",        quiet(np.divide),       DIVIDE,     "{0} / {1}",      RATIO,
           dtypes=FLOATS, precedence=5, flops=4),
    binary("pow",           quiet(np.power),        POW,        "{0} ** {1}",     BASES,
           dtypes=FLOATS, precedence=7, flops=40),
    binary("maximum",       quiet(np.maximum),      ROUTED,     "max({0}, {1})",  PAIR),
    binary("minimum",       quiet(np.minimum),      ROUTED,     "min({0}, {1})",  PAIR),
    binary("atan2",         quiet(np.arctan2),      ANGLE,      "atan2({0}, {1})", PAIR,
           dtypes=FLOATS, flops=24),
    binary("remainder",     quiet(np.remainder),    REST,       "{0} % {1}",      RATIO,
           precedence=5, flops=8, xla=xla_rules.remainder),
    binary("floor_divide",  quiet(np.floor_divide), STEPS,      "{0} // {1}",     RATIO,
           precedence=5, flops=8, xla=xla_rules.floor_divide),
    binary("equal",         np.equal,               LOGICAL,    "{0} == {1}",     FEW,
           dtypes=ALL, result=bool_, precedence=3),
    binary("not_equal",     np.not_equal,           LOGICAL,    "{0} != {1}",     FEW,
           dtypes=ALL, result=bool_, precedence=3),
    binary("less",          np.less,                LOGICAL,    "{0} < {1}",      PAIR,
           result=bool_, precedence=3),
    binary("less_equal",    np.less_equal,          LOGICAL,    "{0} <= {1}",     PAIR,
           result=bool_, precedence=3),
    binary("greater",       np.greater,             LOGICAL,    "{0} > {1}",      PAIR,
           result=bool_, precedence=3),
    binary("greater_equal", np.greater_equal,       LOGICAL,    "{0} >= {1}",     PAIR,
           result=bool_, precedence=3),
    binary("bitwise_and",   np.bitwise_and,         WHOLE,      "{0} & {1}",      BITS,
           dtypes=(bool_, *INTEGERS), precedence=2),
    binary("bitwise_or",    np.bitwise_or,          WHOLE,      "{0} | {1}",      BITS,
           dtypes=(bool_, *INTEGERS), precedence=2),
    binary("bitwise_xor",   np.bitwise_xor,         WHOLE,      "{0} ^ {1}",      BITS,
           dtypes=(bool_, *INTEGERS), precedence=2),
    binary("left_shift",    np.left_shift,          WHOLE,      "{0} << {1}",     SHIFT,
           dtypes=INTEGERS, precedence=3),
    binary("right_shift",   np.right_shift,         WHOLE,      "{0} >> {1}",     SHIFT,
           dtypes=INTEGERS, precedence=3),
)
# fmt: on


def predicate(name: str, numpy: Callable[..., Any], formula: str) -> Op:
    """A question about each element, answered by true or false."""
    return Op(
        name,
        type=elementwise(name, FLOATS, bool_),
        numpy=numpy,
        derivative=LOGICAL,
        lowering=same_name(name),
        batch=Leading(),
        xla=xla_rules.same_in_jax(name),
        formula=formula,
        sample=SMALL,
        dtypes=FLOATS,
    )


def where_type(condition: Type, yes: Type, no: Type) -> Type:
    """The condition is bool; both answers have its shape and one dtype."""
    require_dtype("where", condition.dtype, (bool_,))
    require_same_shape("where", condition, yes)
    return elementwise("where", ALL)(yes, no)


def cast_type(x: Type, *, dtype: np.dtype) -> Type:
    """Any dtype to any other."""
    return Type(x.shape, dtype)


def numpy_cast(x: np.ndarray, *, dtype: np.dtype) -> np.ndarray:
    """NumPy's cast; floats beyond an integer's range give an unspecified integer."""
    return convert(x, dtype)


def back_cast(g: Node, node: Node) -> Node | None:
    """The cotangent in the input's own dtype; None where that is not a float."""
    source = node.inputs[0].dtype
    return cast(g, dtype=source) if is_float(source) else None


OTHERS = (
    predicate("isnan", np.isnan, "isnan({0})"),
    predicate("isinf", np.isinf, "isinf({0})"),
    predicate("isfinite", np.isfinite, "isfinite({0})"),
    Op(
        "logical_not",
        type=elementwise("logical_not", (bool_,)),
        numpy=np.logical_not,
        derivative=LOGICAL,
        lowering=same_name("logical_not"),
        batch=Leading(),
        xla=xla_rules.same_in_jax("logical_not"),
        formula="not {0}",
        sample=booleans(),
        dtypes=(bool_,),
        precedence=6,
    ),
    Op(
        "invert",
        type=elementwise("invert", INTEGERS),
        numpy=np.invert,
        derivative=WHOLE,
        lowering=same_name("invert"),
        batch=Leading(),
        xla=xla_rules.same_in_jax("invert"),
        formula="~{0}",
        sample=integers(0, 99),
        dtypes=INTEGERS,
        precedence=6,
    ),
    Op(
        "where",
        type=where_type,
        numpy=np.where,
        derivative=Linear(
            (
                None,
                lambda g, node: where(node.inputs[0], g, zeros_like(g)),
                lambda g, node: where(node.inputs[0], zeros_like(g), g),
            )
        ),
        lowering=same_name("where"),
        batch=Leading(),
        xla=xla_rules.same_in_jax("where"),
        formula="where({0}, {1}, {2})",
        sample=lambda rng: [
            Case((rng.integers(0, 2, (3, 5)).astype(bool), *case.inputs)) for case in PAIR(rng)
        ],
        dtypes=(bool_,),
        gate="where routes: the gradient goes to the branch that was taken",
    ),
    Op(
        "cast",
        type=cast_type,
        numpy=numpy_cast,
        derivative=Linear((back_cast,)),
        lowering=same_name("cast"),
        batch=Leading(),
        xla=xla_rules.cast,
        formula="{dtype}({0})",
        sample=lambda rng: [
            Case(case.inputs, {"dtype": dtype}) for dtype in ALL for case in uniform(0, 9)(rng)
        ],
        dtypes=ALL,
        gate="passes the gradient on in the input's dtype",
    ),
    Op(
        "copy",
        type=elementwise("copy", ALL),
        numpy=lambda x: x,
        derivative=Linear((lambda g, node: g,)),
        lowering=same_name("copy"),
        batch=Leading(),
        xla=xla_rules.the_value,
        formula="{0}",
        sample=SMALL,
        dtypes=ALL,
        gate="copy adds: the gradients of all its users are added",
    ),
    Op(
        "stop_gradient",
        type=elementwise("stop_gradient", ALL),
        numpy=lambda x: x,
        derivative=NoDerivative("it is there to stop the gradient"),
        lowering=same_name("copy"),
        batch=Leading(),
        xla=xla_rules.the_value,
        formula="stop_gradient({0})",
        sample=SMALL,
        dtypes=ALL,
        gate="stops the gradient",
    ),
)

register(UNARY + BINARY + OTHERS, "elementwise")
