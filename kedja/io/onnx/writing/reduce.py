"""What reductions, cumulative sums, sorting, softmax and products become. Next: `spatial.py`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kedja.ground.dtypes import int64
from kedja.io.onnx.writing.operands import formula, loosened
from kedja.io.onnx.writing.selection import Choice, Context, Name, Rule, instead
from kedja.ir.graph import Node, apply, expanded
from kedja.ir.op import Shape


def reduction(name: str) -> Rule:
    """A reduction over some axes, which are dropped."""

    def rule(context: Context, node: Node) -> Choice:
        return reduced(name, node, keepdims=0)

    return rule


def reduced(name: str, node: Node, keepdims: int) -> Choice:
    """A reduction by an operator, with or without the axes."""
    axes = list(node.attrs["axes"])

    def emit(c: Context, x: Name) -> Name:
        return c.writer.add(name, [x, c.writer.ints(axes)], keepdims=keepdims)

    return Choice(node.inputs, emit)


def of_truth(name: str) -> Rule:
    """Any and all, of bools as numbers."""

    def rule(context: Context, node: Node) -> Choice:
        axes = list(node.attrs["axes"])

        def emit(c: Context, x: Name) -> Name:
            number = c.writer.add("Cast", [x], to=6)
            found = c.writer.add(name, [number, c.writer.ints(axes)], keepdims=0)
            return c.writer.add("Cast", [found], to=9)

        return Choice(node.inputs, emit)

    return rule


def place(name: str) -> Rule:
    """The place of an extremum."""

    def rule(context: Context, node: Node) -> Choice:
        axis = node.attrs["axis"]
        return Choice(node.inputs, lambda c, x: c.writer.add(name, [x], axis=axis, keepdims=0))

    return rule


def along_one(name: str) -> Rule:
    """Softmax and log-softmax, which ONNX has along one axis."""

    def rule(context: Context, node: Node) -> Choice:
        axes = node.attrs["axes"]
        if len(axes) != 1:
            return instead(context.alignment.rewritten(node, expanded))
        return Choice(node.inputs, lambda c, x: c.writer.add(name, [x], axis=axes[0]))

    return rule


def summed_up(context: Context, node: Node) -> Choice:
    """Sums of all elements up to each."""
    axis, reverse = node.attrs["axis"], int(node.attrs["reverse"]) or None

    def emit(c: Context, x: Name) -> Name:
        return c.writer.add("CumSum", [x, c.writer.constant(axis, np.int64)], reverse=reverse)

    return Choice(node.inputs, emit)


def in_order(output: int) -> Rule:
    """Elements in order, or their places: all of them, as the largest or smallest."""

    def rule(context: Context, node: Node) -> Choice:
        axis, largest = node.attrs["axis"], int(node.attrs["descending"])
        extent = context.alignment.shape(node.inputs[0])[axis]

        def emit(c: Context, x: Name) -> Name:
            inputs = [x, c.writer.ints([extent])]
            found = c.writer.add_several("TopK", inputs, 2, axis=axis, largest=largest)
            return found[output]

        return Choice(node.inputs, emit)

    return rule


def product(context: Context, node: Node) -> Choice:
    """A matrix product; batches are repeated by the operator itself."""

    def fits(shapes: Sequence[Shape], twin: Node) -> bool:
        both = zip(shapes, twin.inputs, strict=True)
        matrices = all(mine[-2:] == theirs.shape[-2:] and len(mine) >= 2 for mine, theirs in both)
        return matrices and np.broadcast_shapes(*(each[:-2] for each in shapes)) == twin.shape[:-2]

    inputs = loosened(context, node, fits)
    return Choice(inputs, lambda c, a, b: c.writer.add("MatMul", [a, b]))


def smooth(context: Context, node: Node) -> Choice:
    """Gelu, which ONNX has since version 20."""
    if context.opset < 20:
        return instead(context.alignment.rewritten(node, expanded))
    kind = node.attrs["approximate"]
    return Choice(node.inputs, lambda c, x: c.writer.add("Gelu", [x], approximate=kind))


def counted_before(x: Node, values: Node, *, side: str) -> Node:
    """How many elements of a sorted line (… N) stand before each of the values (… M)."""
    shape = (*values.shape, x.shape[-1])
    line = apply("reshape", x, shape=(*x.shape[:-1], 1, x.shape[-1]))
    line = apply("broadcast", line, shape=shape)
    column = apply("reshape", values, shape=(*values.shape, 1))
    before = "less" if side == "left" else "less_equal"
    found = apply(before, line, apply("broadcast", column, shape=shape))
    return apply("sum", apply("cast", found, dtype=int64), axes=(len(values.shape),))


def sign_and_logarithm(x: Node) -> Node:
    """The sign of the determinant, and the logarithm of its size."""
    found = apply("det", x)
    return apply("bundle", apply("sign", found), apply("log", apply("abs", found)))


def determinant(context: Context, node: Node) -> Choice:
    """The determinant of each matrix."""
    return Choice(node.inputs, lambda c, x: c.writer.add("Det", [x]))


# fmt: off
RULES: dict[str, Rule] = {
    "sum":            reduction("ReduceSum"),
    "prod":           reduction("ReduceProd"),
    "max":            reduction("ReduceMax"),
    "min":            reduction("ReduceMin"),
    "any":            of_truth("ReduceMax"),
    "all":            of_truth("ReduceMin"),
    "logsumexp":      reduction("ReduceLogSumExp"),
    "argmax":         place("ArgMax"),
    "argmin":         place("ArgMin"),
    "softmax":        along_one("Softmax"),
    "log_softmax":    along_one("LogSoftmax"),
    "cumulative_sum": summed_up,
    "sort":           in_order(0),
    "argsort":        in_order(1),
    "matmul":         product,
    "gelu":           smooth,
    "det":            determinant,
    "slogdet":        formula(sign_and_logarithm),
    "searchsorted":   formula(counted_before),
}
# fmt: on
