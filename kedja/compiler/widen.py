"""Half dtypes made explicit: what is computed on them becomes casts around float32.

    y = op(x)   becomes   y = half(op(float32(x)))   for float16 and bfloat16

as in every executor: computed in float32, rounded once. After this pass half values are only cast
and moved, so nothing further down knows their arithmetic. A value that was just rounded and is
widened again keeps its rounding: no rule cancels that pair of casts.
Why here: simplification has opened the composites, each in float32 as a whole, and its algebra
reads better without casts; splitting must see a long sum in float32, or it would round each chunk.
Next: `split.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kedja.ground.dtypes import convert, float32, is_half
from kedja.ir.graph import Node, apply, full, is_full, origin, rebuild, topological, transform
from kedja.ir.verify import computes_half


def widen(outputs: Sequence[Node]) -> list[Node]:
    """The same graph with all arithmetic on half dtypes in float32."""
    if not any(map(computes_half, topological(outputs))):
        return list(outputs)
    known: dict[Node, Node] = {}  # the float32 of each half value

    def visit(node: Node, inputs: tuple[Node, ...]) -> Node:
        rebuilt = rebuild(node, inputs)
        if not computes_half(rebuilt):
            return rebuilt
        with origin(node):
            return in_single(rebuilt, known)

    return transform(outputs, visit)


def in_single(node: Node, known: dict[Node, Node]) -> Node:
    """The op on float32, rounded to the node's own dtype."""
    inputs = [_wide(each, known) for each in node.inputs]
    made = apply(node.op.name, *inputs, **node.attrs)
    return made if made.dtype == node.dtype else apply("cast", made, dtype=node.dtype)


def _wide(node: Node, known: dict[Node, Node]) -> Node:
    if not is_half(node.dtype):
        return node
    if node not in known:
        known[node] = _as_single(node)
    return known[node]


def _as_single(node: Node) -> Node:
    if is_full(node):
        value = convert(np.asarray(node.attrs["value"]), node.dtype)
        return full(value.item(), node.shape, float32)
    return apply("cast", node, dtype=float32)
