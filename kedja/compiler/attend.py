"""Attention made ready for its kernels: output in the order of rows, empty ones expanded.

    transpose(attention(q, k, v))   becomes   attention_by_rows(q, k, v)

    dq, dk, dv of slices of one value   become   slices of attention_joint_gradient

    cast(move(x))   becomes   move(cast(x))      for what the kernels read and write

so that the heads of a position stand side by side, as the product that follows reads them; other
users see its transpose, which costs nothing where they read through strides. What has no element
(no example, no query, no width) is expanded. Why before simplification: expansions are to be
simplified, and transposes joined. Half dtypes are left for a second time, when their casts are
there: a product's result is then rounded in its epilogue, and read through strides as before.
Next: `simplify.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from kedja.compiler.attention_kernels import (
    base_of,
    is_attention,
    is_move,
    joint_views,
    view_of,
)
from kedja.ground.dtypes import is_half
from kedja.ir.graph import Node, apply, consumers, expanded, origin, rebuild, topological, transform
from kedja.ops.attention import PARTS, rows_first


def attend(outputs: Sequence[Node]) -> list[Node]:
    """The same values, with attention as the kernels want it."""
    order = topological(outputs)
    if not any(map(is_attention, order)):
        return list(outputs)
    users, operands = consumers(order), _cast_operands(order)
    joint = _joint(order, operands)

    def visit(node: Node, inputs: tuple[Node, ...]) -> Node:
        made = rebuild(node, inputs)
        if node in operands or (node.op.name == "cast" and is_attention(_casts(made).base)):
            return _casts(made).beneath()
        if not is_attention(node):
            return made
        if any(each.type.size == 0 for each in inputs):
            return expanded(node, inputs)
        if is_half(node.inputs[0].dtype):
            return made
        if node.op.name == "attention" and _wanted_by_rows(node, users):
            return _by_rows(node, inputs)
        if node in joint:
            return _part_of_joint(node, inputs)
        return made

    return transform(outputs, visit)


def _wanted_by_rows(node: Node, users: Mapping[Node, Sequence[Node]]) -> bool:
    """Whether a user wants the heads behind the queries."""
    if len(node.shape) < 3:
        return False
    axes = rows_first(len(node.shape))
    for user in users[node]:
        if user.op.name == "cast" and _wanted_by_rows(user, users):
            return True
        if user.op.name == "transpose" and user.attrs["axes"] == axes:
            return True
    return False


def _by_rows(node: Node, inputs: Sequence[Node]) -> Node:
    with origin(node):
        rows = apply("attention_by_rows", *inputs, **node.attrs)
        return apply("transpose", rows, axes=rows_first(len(node.shape)))


# ------------------------------------------------------------------------------------ casts


class _Casts(NamedTuple):
    """A value as casts and moves of a base, the last ones first."""

    base: Node
    casts: list[Node]
    moves: list[Node]

    def beneath(self) -> Node:
        """The same value with all casts before all moves."""
        made = self.base
        for each in (*reversed(self.casts), *reversed(self.moves)):
            made = rebuild(each, (made,))
        return made


def _casts(node: Node) -> _Casts:
    casts: list[Node] = []
    moves: list[Node] = []
    while node.op.name == "cast" or is_move(node):
        (casts if node.op.name == "cast" else moves).append(node)
        node = node.inputs[0]
    return _Casts(node, casts, moves)


def _moved(node: Node) -> Node:
    """The base of a value's casts and moves, moved but not cast."""
    base, _, moves = _casts(node)
    for each in reversed(moves):
        base = rebuild(each, (base,))
    return base


def _cast_operands(order: Sequence[Node]) -> set[Node]:
    """The casts that attention reads and that cost nothing more before the moves beneath them."""
    found: set[Node] = set()
    for node in filter(is_attention, order):
        cast = [each for each in node.inputs if each.op.name == "cast"]
        found.update(each for each in cast if _casts(each).base.type.size == each.type.size)
        parts = node.inputs[:3]
        if all(each in cast for each in parts) and _are_slices([_moved(x) for x in parts]):
            found.update(parts)
    return found


def is_rounded(outputs: Sequence[Node]) -> bool:
    """Whether some attention reads what was rounded to a half dtype."""
    return any(
        is_attention(node) and any(_is_rounded(each) for each in node.inputs)
        for node in topological(outputs)
    )


def _is_rounded(node: Node) -> bool:
    return node.op.name == "cast" and is_half(node.inputs[0].dtype)


# ------------------------------------------------------------------------ gradients together


def _joint(order: Sequence[Node], operands: Collection[Node]) -> set[Node]:
    """The gradients whose queries, keys and values are slices of one value, all three of them."""
    groups: dict[tuple[object, ...], list[Node]] = {}
    for node in order:
        if node.op.name == "attention_gradient":
            key = (*node.inputs, node.attrs["scale"], node.attrs["causal"])
            groups.setdefault(key, []).append(node)
    whole = (group for group in groups.values() if len(group) == len(PARTS))

    def parts(node: Node) -> list[Node]:
        return [_moved(each) if each in operands else each for each in node.inputs[:3]]

    return {node for group in whole if _are_slices(parts(group[0])) for node in group}


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
