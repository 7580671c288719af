"""Rewriting: named rules that replace a node by an equal one, and common subexpressions shared.

Every application can be followed by its rule's name (`KEDJA_DEBUG=3`). Not here: the rules
themselves (`kedja/compiler/simplify.py`). Next: `show.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kedja.ir.graph import Node, origin, rebuild, transform

Replace = Callable[[Node], Node | None]


class Rule(NamedTuple):
    """A named replacement for nodes of some ops; None from `replace` means that it does not fit."""

    name: str
    ops: tuple[str, ...]
    replace: Replace


def rewrite(
    outputs: Sequence[Node], rules: Sequence[Rule], applied: Counter[str] | None = None
) -> list[Node]:
    """Apply the rules from the leaves up until none fits; equal nodes become one.

    `applied` counts the applications by the rules' names.
    """
    by_op: dict[str, list[Rule]] = {}
    for rule in rules:
        for op in rule.ops:
            by_op.setdefault(op, []).append(rule)
    shared: dict[Hashable, Node] = {}
    counts = Counter() if applied is None else applied

    def visit(node: Node, inputs: tuple[Node, ...]) -> Node:
        return _settle(rebuild(node, inputs), by_op, shared, counts)

    return transform(outputs, visit)


def _settle(
    node: Node,
    by_op: Mapping[str, list[Rule]],
    shared: dict[Hashable, Node],
    counts: Counter[str],
) -> Node:
    """The node after all rules that fit, its new parts settled too."""
    known = shared.get(key := identity(node))
    if known is not None:
        return known
    result = node
    for rule in by_op.get(node.op.name, ()):
        with origin(node):
            new = rule.replace(node)
        if new is not None and new is not node:
            counts[rule.name] += 1
            result = _settle_below(new, node.inputs, by_op, shared, counts)
            break
    shared[key] = result
    return result


def _settle_below(
    new: Node,
    settled: Sequence[Node],
    by_op: Mapping[str, list[Rule]],
    shared: dict[Hashable, Node],
    counts: Counter[str],
) -> Node:
    """Settle what a replacement has built above nodes that are settled already."""

    def visit(node: Node, inputs: tuple[Node, ...]) -> Node:
        return _settle(rebuild(node, inputs), by_op, shared, counts)

    done = {node: node for node in (*settled, *shared.values())}
    return transform([new], visit, done)[0]


def identity(node: Node) -> Hashable:
    """What makes two nodes equal: op, inputs and attributes (arrays by identity)."""
    if node.op.name == "input":
        return node
    attrs = tuple((name, _frozen(value)) for name, value in sorted(node.attrs.items()))
    return node.op.name, node.type, node.inputs, attrs


def _frozen(value: Any) -> Hashable:
    if isinstance(value, np.ndarray):
        return id(value)
    if isinstance(value, float):
        return value.hex()  # tells 0.0 from -0.0, and makes NaN equal to itself
    return value  # type: ignore[no-any-return]
