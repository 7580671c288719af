"""What elementwise ops, constants and casts become. Next: `movement.py`."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from kedja.ground.dtypes import float32, float64, is_float, is_integer
from kedja.io.onnx import elements
from kedja.io.onnx.writing.extents import wrong
from kedja.io.onnx.writing.operands import formula, loose, nodes, operator
from kedja.io.onnx.writing.selection import Choice, Context, Name, Rule, same
from kedja.ir.graph import Node, apply, full

# ------------------------------------------------------------------------------------ leaves


def constant(context: Context, node: Node) -> Choice:
    """A weight, under its name."""
    value = node.attrs["value"]
    return Choice((), lambda c: c.writer.root.array(value, c.labels[node]))


def filled(context: Context, node: Node) -> Choice:
    """One number everywhere, which may follow the batch size itself."""
    extents = context.alignment.shape(node)

    def emit(c: Context) -> Name:
        number = _number(c, node)
        return (
            number if node.shape == () else c.writer.add("Expand", [number, c.writer.ints(extents)])
        )

    return Choice((), emit)


def _number(c: Context, node: Node) -> Name:
    value = c.scalar(node)
    if value is not None:
        return c.writer.constant(value, node.dtype)
    twins = c.alignment.twins(node)
    if any(int(twin.attrs["value"]) != twin.attrs["value"] for twin in twins):
        raise wrong(node, "a number follows the batch size", "compute it with kedja's functions")
    (line,) = c.alignment.each(node, lambda twin: (int(twin.attrs["value"]),))
    whole = c.writer.add("Squeeze", [c.writer.ints([line])])
    return c.writer.add("Cast", [whole], to=elements.CODE_OF[node.dtype])


def counted(context: Context, node: Node) -> Choice:
    """0, 1, 2 … along an axis whose extent follows the batch."""
    extents, axis = context.alignment.shape(node), node.attrs["axis"]
    column = [-1 if each == axis else 1 for each in range(len(extents))]

    def emit(c: Context) -> Name:
        zero, one = (c.writer.constant(number, np.int64) for number in (0, 1))
        end = c.writer.add("Squeeze", [c.writer.ints([extents[axis]])])
        line = c.writer.add("Range", [zero, end, one])
        line = c.writer.add("Reshape", [line, c.writer.ints(column)])
        line = c.writer.add("Expand", [line, c.writer.ints(extents)])
        return c.writer.add("Cast", [line], to=elements.CODE_OF[node.dtype])

    return Choice((), emit)


def converted(context: Context, node: Node) -> Choice:
    """Another dtype."""
    code = elements.CODE_OF[node.dtype]
    return Choice(node.inputs, lambda c, name: c.writer.add("Cast", [name], to=code))


def passed(context: Context, node: Node) -> Choice:
    """The first input as it is."""
    return same(node.inputs[0])


# -------------------------------------------------------------------------- by kind of dtype


def of_kind(floats: Rule, integers: Rule, bools: Rule | None = None) -> Rule:
    """Rules for floats, for integers and for bools."""

    def rule(context: Context, node: Node) -> Choice:
        dtype = node.inputs[0].dtype
        if is_float(dtype):
            return floats(context, node)
        if is_integer(dtype):
            return integers(context, node)
        return (bools or integers)(context, node)

    return rule


def shifted(direction: str, of_signed: Rule) -> Rule:
    """Bits moved: ONNX moves those of unsigned integers alone."""

    def rule(context: Context, node: Node) -> Choice:
        if node.dtype.kind != "u":
            return of_signed(context, node)

        def emit(c: Context, *names: Name) -> Name:
            return c.writer.add("BitShift", names, direction=direction)

        return Choice(loose(context, node), emit)

    return rule


# ------------------------------------------------------------------------------- as formulas


def like(x: Node, value: float) -> Node:
    """A number in the shape of a node."""
    return full(value, x.shape, x.dtype)


def by_log(base: float) -> Callable[[Node], Node]:
    """log x / log base."""
    return lambda x: apply("log", x) / math.log(base)


def hyperbola(a: Node, b: Node) -> Node:
    """√(a² + b²), by the larger of both, so that nothing overflows."""
    x, y = apply("abs", a), apply("abs", b)
    large, small = apply("maximum", x, y), apply("minimum", x, y)
    nothing = apply("equal", large, like(large, 0))
    ratio = small / apply("where", nothing, like(large, 1), large)
    return large * apply("sqrt", 1 + ratio * ratio)


def log_of_sum(a: Node, b: Node) -> Node:
    """log(e^a + e^b), by the larger of both."""
    large = apply("maximum", a, b)
    apart = apply("abs", a - b)
    return large + apply("log", 1 + apply("exp", -1 * apart))


def angle(y: Node, x: Node) -> Node:
    """The angle of (x, y), from −π to π."""
    nothing = apply("equal", x, like(x, 0))
    base = apply("atan", y / apply("where", nothing, like(x, 1), x))
    above = apply("greater_equal", y, like(y, 0))
    half = apply("where", above, like(y, math.pi), like(y, -math.pi))
    left = apply("where", apply("less", x, like(x, 0)), base + half, base)
    upright = 0.5 * math.pi * apply("sign", y)
    return apply("where", nothing, upright, left)


def float_rest(a: Node, b: Node) -> Node:
    """a − ⌊a/b⌋·b."""
    return a - apply("floor", a / b) * b


def power_of_two(x: Node) -> Node:
    """2^x of whole numbers."""
    return apply("integer_pow", full(2, x.shape, x.dtype), x)


def halved(x: Node, by: Node) -> Node:
    """x without its last bits: ⌊x/2^by⌋."""
    return apply("floor_divide", x, power_of_two(by))


def cut_off(x: Node) -> Node:
    """x without its fraction."""
    return apply("sign", x) * apply("floor", apply("abs", x))


def finite(x: Node) -> Node:
    """Neither infinite nor NaN."""
    return apply("logical_not", apply("bitwise_or", apply("isnan", x), apply("isinf", x)))


def negative_sign(x: Node) -> Node:
    """Below 0, or −0: 1/x is below 0, too."""
    zero = apply("equal", x, like(x, 0))
    inverse = 1 / apply("where", zero, x, like(x, 1))
    below = apply("less", x, like(x, 0))
    return apply(
        "bitwise_or", below, apply("bitwise_and", zero, apply("less", inverse, like(x, 0)))
    )


def with_sign(x: Node, y: Node) -> Node:
    """|x| with the sign of y."""
    size = apply("abs", x)
    return apply("where", apply("signbit", y), -1 * size, size)


def whole_division(context: Context, node: Node) -> Choice:
    """⌊a/b⌋."""
    if is_float(node.dtype):
        made = context.alignment.rewritten(
            node, lambda n: apply("floor", n.inputs[0] / n.inputs[1])
        )
        return same(made)
    if node.dtype.kind == "u":
        return operator("Div")(context, node)

    def emit(c: Context, a: Name, b: Name) -> Name:
        exact = c.writer.add("Sub", [a, c.writer.add("Mod", [a, b])])
        return c.writer.add("Div", [exact, b])

    return Choice(loose(context, node), emit)


def powers(context: Context, node: Node) -> Choice:
    """Pow; squares and square roots by themselves."""
    number = context.scalar(node.inputs[1])
    if number == 2:
        return Choice(node.inputs[:1], lambda c, x: c.writer.add("Mul", [x, x]))
    if number == 0.5 and node.dtype in (float32, float64):
        return Choice(node.inputs[:1], lambda c, x: c.writer.add("Sqrt", [x]))
    return operator("Pow")(context, node)


def random(context: Context, node: Node) -> Choice:
    """Random numbers: ONNX leaves open which ones, and inference needs none."""
    raise wrong(node, "random numbers cannot be exported", "draw them outside, as a further input")


def bits(name: str, of_bools: Rule) -> Rule:
    """An op on bits, which is one of logic for bools."""
    return of_kind(operator(name), operator(name), of_bools)


# fmt: off
RULES: dict[str, Rule] = {
    "constant":      constant,
    "full":          filled,
    "iota":          counted,
    "cast":          converted,
    "copy":          passed,
    "stop_gradient": passed,
    "after":         passed,
    "negative":      operator("Neg"),
    "abs":           operator("Abs"),
    "sign":          operator("Sign"),
    "sqrt":          operator("Sqrt"),
    "exp":           operator("Exp"),
    "expm1":         formula(lambda x: apply("exp", x) - 1),
    "log":           operator("Log"),
    "log1p":         formula(lambda x: apply("log", 1 + x)),
    "log2":          formula(by_log(2)),
    "log10":         formula(by_log(10)),
    "sin":           operator("Sin"),
    "cos":           operator("Cos"),
    "tan":           operator("Tan"),
    "asin":          operator("Asin"),
    "acos":          operator("Acos"),
    "atan":          operator("Atan"),
    "sinh":          operator("Sinh"),
    "cosh":          operator("Cosh"),
    "tanh":          operator("Tanh"),
    "asinh":         operator("Asinh"),
    "acosh":         operator("Acosh"),
    "atanh":         operator("Atanh"),
    "sigmoid":       operator("Sigmoid"),
    "softplus":      operator("Softplus"),
    "erf":           operator("Erf"),
    "relu":          operator("Relu"),
    "floor":         operator("Floor"),
    "ceil":          operator("Ceil"),
    "round":         operator("Round"),
    "trunc":         formula(cut_off),
    "add":           operator("Add"),
    "subtract":      operator("Sub"),
    "multiply":      operator("Mul"),
    "divide":        operator("Div"),
    "pow":           powers,
    "integer_pow":   operator("Pow"),
    "maximum":       operator("Max"),
    "minimum":       operator("Min"),
    "atan2":         formula(angle),
    "hypot":         formula(hyperbola),
    "logaddexp":     formula(log_of_sum),
    "remainder":     of_kind(formula(float_rest), operator("Mod")),
    "floor_divide":  whole_division,
    "equal":         operator("Equal"),
    "not_equal":     nodes(("Equal", "Not")),
    "less":          operator("Less"),
    "less_equal":    operator("LessOrEqual"),
    "greater":       operator("Greater"),
    "greater_equal": operator("GreaterOrEqual"),
    "bitwise_and":   bits("BitwiseAnd", operator("And")),
    "bitwise_or":    bits("BitwiseOr", operator("Or")),
    "bitwise_xor":   bits("BitwiseXor", operator("Xor")),
    "invert":        bits("BitwiseNot", operator("Not")),
    "logical_not":   operator("Not"),
    "left_shift":    shifted("LEFT", formula(lambda x, by: x * power_of_two(by))),
    "right_shift":   shifted("RIGHT", formula(halved)),
    "isnan":         operator("IsNaN"),
    "isinf":         operator("IsInf"),
    "isfinite":      formula(finite),
    "signbit":       formula(negative_sign),
    "copysign":      formula(with_sign),
    "where":         operator("Where"),
    "threefry":      random,
    "random_bits":   random,
}
# fmt: on
