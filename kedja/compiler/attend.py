"""Attention made ready for its kernels: output in the order of rows, empty ones expanded.

    transpose(attention(q, k, v))   becomes   attention_by_rows(q, k, v)

so that the heads of a position stand side by side, as the product that follows reads them; other
users see its transpose, which costs nothing where they read through strides. What has no element
(no example, no query, no width) is expanded. Why before simplification: expansions are to be
simplified, and transposes joined. Next: `simplify.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kedja.ir.graph import Node, apply, consumers, expanded, origin, rebuild, topological, transform
from kedja.ops.attention import rows_first

NAMES = ("attention", "attention_by_rows", "attention_logsumexp", "attention_gradient")


def attend(outputs: Sequence[Node]) -> list[Node]:
    """The same values, with attention as the kernels want it."""
    order = topological(outputs)
    if not any(node.op.name in NAMES for node in order):
        return list(outputs)
    users = consumers(order)

    def visit(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op.name not in NAMES:
            return rebuild(node, inputs)
        if any(each.type.size == 0 for each in inputs):
            return expanded(node, inputs)
        if node.op.name == "attention" and _wanted_by_rows(node, users):
            return _by_rows(node, inputs)
        return rebuild(node, inputs)

    return transform(outputs, visit)


def _wanted_by_rows(node: Node, users: Mapping[Node, Sequence[Node]]) -> bool:
    """Whether a user wants the heads behind the queries."""
    if len(node.shape) < 3:
        return False
    axes = rows_first(len(node.shape))
    return any(user.op.name == "transpose" and user.attrs["axes"] == axes for user in users[node])


def _by_rows(node: Node, inputs: Sequence[Node]) -> Node:
    with origin(node):
        rows = apply("attention_by_rows", *inputs, **node.attrs)
        return apply("transpose", rows, axes=rows_first(len(node.shape)))
