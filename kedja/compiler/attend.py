"""Attention made ready for its kernels: output in the order of rows, empty ones expanded.

    transpose(attention(q, k, v))   becomes   attention_by_rows(q, k, v)

    dq, dk, dv of slices of one value   become   slices of attention_joint_gradient

so that the heads of a position stand side by side, as the product that follows reads them; other
users see its transpose, which costs nothing where they read through strides. What has no element
(no example, no query, no width) is expanded. Why before simplification: expansions are to be
simplified, and transposes joined. Next: `simplify.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kedja.compiler.attention_kernels import base_of, is_attention, joint_views, view_of
from kedja.ir.graph import Node, apply, consumers, expanded, origin, rebuild, topological, transform
from kedja.ops.attention import PARTS, rows_first


def attend(outputs: Sequence[Node]) -> list[Node]:
    """The same values, with attention as the kernels want it."""
    order = topological(outputs)
    if not any(map(is_attention, order)):
        return list(outputs)
    users, joint = consumers(order), _joint(order)

    def visit(node: Node, inputs: tuple[Node, ...]) -> Node:
        if not is_attention(node):
            return rebuild(node, inputs)
        if any(each.type.size == 0 for each in inputs):
            return expanded(node, inputs)
        if node.op.name == "attention" and _wanted_by_rows(node, users):
            return _by_rows(node, inputs)
        if node in joint:
            return _part_of_joint(node, inputs)
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


def _joint(order: Sequence[Node]) -> set[Node]:
    """The gradients whose queries, keys and values are slices of one value, all three of them."""
    groups: dict[tuple[object, ...], list[Node]] = {}
    for node in order:
        if node.op.name == "attention_gradient":
            key = (*node.inputs, node.attrs["scale"], node.attrs["causal"])
            groups.setdefault(key, []).append(node)
    whole = (group for group in groups.values() if len(group) == len(PARTS))
    return {node for group in whole if _are_slices(group[0].inputs[:3]) for node in group}


def _are_slices(parts: Sequence[Node]) -> bool:
    """Whether queries, keys and values lie side by side in one value, as their gradients will."""
    shape = parts[0].shape
    if len(shape) < 3 or any(each.shape != shape for each in parts):
        return False
    base = base_of(parts[0], lambda node: False)
    if any(base_of(each, lambda node: False) is not base for each in parts):
        return False
    *lead, heads, rows, width = shape
    wanted = joint_views((*lead, rows, len(PARTS), heads, width))
    joined = base.type.size == len(PARTS) * parts[0].type.size
    return joined and [view_of(each, base) for each in parts] == wanted


def _part_of_joint(node: Node, inputs: Sequence[Node]) -> Node:
    """One of the gradients, as a slice of all three."""
    attrs = {key: node.attrs[key] for key in ("scale", "causal")}
    place, rank = PARTS.index(node.attrs["of"]), len(node.shape)
    with origin(node):
        whole = apply("attention_joint_gradient", *inputs, **attrs)
        starts = [0] * (rank + 1)
        stops = list(whole.shape)
        starts[rank - 2], stops[rank - 2] = place, place + 1
        steps = (1,) * (rank + 1)
        part = apply("slice", whole, starts=tuple(starts), stops=tuple(stops), steps=steps)
        rows = apply("reshape", part, shape=(*whole.shape[: rank - 2], *whole.shape[rank - 1 :]))
        return apply("transpose", rows, axes=rows_first(rank))
