"""Many divisions by one number become one division and many products: x / s is x · (1/s).

A vector of quotients takes ten cycles, one of products one: half the time of a softmax or of a
layer norm went to dividing each row by its sum or its deviation. The result is rounded twice, by
at most one unit in the last place, and right wherever 1/s can be held: so only divisors are taken
that cannot be huge, roots and sums of bounded numbers. Infinities and NaN are those of the
quotient. Why here: half dtypes are float32 already, so that they are rounded once.
Next: `split.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kedja.ground.dtypes import DType, float32, float64
from kedja.ir.graph import Node, apply, edited, full, is_full, rebuild

ENOUGH = 8  # elements that share a divisor
DEEPEST = 6  # ops that are looked into for a bound
BOUNDED = {"tanh": 1.0, "sigmoid": 1.0, "erf": 1.0, "sin": 1.0, "cos": 1.0}
MOVED = ("reshape", "broadcast", "transpose", "slice", "max", "min", "negative", "abs")


def reciprocals(outputs: Sequence[Node]) -> list[Node]:
    """The graph with such divisions replaced."""
    return edited(outputs, multiplied)


def multiplied(node: Node) -> Node:
    """x / s as x · (1/s) where many elements share s; else as it is."""
    if node.op.name != "divide" or node.dtype not in (float32, float64) or is_full(node.inputs[1]):
        return node
    x, divisor = node.inputs
    few = source(divisor)
    if few.type.size * ENOUGH > divisor.type.size or most(few) > largest(node.dtype) / 16:
        return node
    inverse = apply("divide", full(1, few.shape, node.dtype), few)
    spread = _spread_like(divisor, inverse)
    return spread if is_full(x, 1) else apply("multiply", x, spread)


def largest(dtype: DType) -> float:
    """The largest finite number; the inverse of a sixteenth of it is no denormal number."""
    return float(np.finfo(dtype).max)


def source(node: Node) -> Node:
    """What a value was before it was repeated."""
    while node.op.name in ("broadcast", "reshape"):
        node = node.inputs[0]
    return node


def _spread_like(node: Node, few: Node) -> Node:
    """Another value in the place of a node's source."""
    if node.op.name not in ("broadcast", "reshape"):
        return few
    return rebuild(node, (_spread_like(node.inputs[0], few),))


def most(node: Node, depth: int = 0) -> float:
    """A number that the absolute values of a node cannot exceed; infinite where none is known."""
    name, inputs = node.op.name, node.inputs
    if is_full(node):
        return abs(float(node.attrs["value"]))
    if name in BOUNDED:
        return BOUNDED[name]
    if name == "sqrt":
        return math.sqrt(largest(node.dtype))
    if name == "exp":
        return 1.0 if _is_below_its_maximum(inputs[0]) else math.inf
    if depth >= DEEPEST:
        return math.inf
    if name in MOVED:
        return most(inputs[0], depth + 1)
    if name == "sum":
        return most(inputs[0], depth + 1) * inputs[0].type.size
    if name in ("add", "subtract"):
        return sum(most(each, depth + 1) for each in inputs)
    return math.inf


def _is_below_its_maximum(node: Node) -> bool:
    """Whether a value is x − max(x), which is never positive (or x, where that is not finite)."""
    if node.op.name != "subtract":
        return False
    x, taken = node.inputs[0], source(node.inputs[1])
    if taken.op.name == "where" and taken.inputs[0].op.name == "isfinite":
        taken = source(taken.inputs[1])
    return taken.op.name == "max" and source(taken.inputs[0]) is source(x)
