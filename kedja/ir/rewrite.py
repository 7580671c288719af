"""Rewriting: named rules that replace a node by an equal one, and common subexpressions shared.

Every application can be followed by its rule's name (`KEDJA_DEBUG=3`). Not here: the rules
themselves (`kedja/compiler/simplify.py`). Next: `show.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

from kedja.ir.graph import Node, origin, rebuild, topological, transform

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
    return _Rewriting(rules, Counter() if applied is None else applied).run(outputs)


class _Rewriting:
    """One run of the rules: what is settled needs no further look."""

    def __init__(self, rules: Sequence[Rule], applied: Counter[str]) -> None:
        self.applied = applied
        self.by_op: dict[str, list[Rule]] = {}
        for rule in rules:
            for op in rule.ops:
                self.by_op.setdefault(op, []).append(rule)
        self._known: dict[Hashable, Node] = {}
        self._settled: dict[Node, None] = {}

    def run(self, outputs: Sequence[Node]) -> list[Node]:
        """The graph with all nodes settled."""
        return transform(outputs, lambda node, inputs: self._settle(rebuild(node, inputs)))

    def _settle(self, node: Node) -> Node:
        """The node after all rules that fit; the same one for equal nodes."""
        key = identity(node)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._replaced(node)
            self._settled[found] = None
        return found

    def _replaced(self, node: Node) -> Node:
        rules = self.by_op.get(node.op.name)
        new = self._first(rules, node) if rules else None
        return node if new is None else self._settle_below(new)

    def _first(self, rules: Sequence[Rule], node: Node) -> Node | None:
        """What the first rule that fits makes of a node."""
        with origin(node):
            for rule in rules:
                new = rule.replace(node)
                if new is not None and new is not node:
                    self.applied[rule.name] += 1
                    return new
        return None

    def _settle_below(self, new: Node) -> Node:
        """Settle what a replacement has built above nodes that are settled already."""
        done: dict[Node, Node] = {}
        for node in topological([new], leaves=self._settled):
            if node in self._settled:
                done[node] = node
            else:
                inputs = tuple(done[each] for each in node.inputs)
                done[node] = self._settle(rebuild(node, inputs))
        return done[new]


def identity(node: Node) -> Hashable:
    """What makes two nodes equal: op, inputs and attributes (arrays by identity)."""
    if node.op.name == "input":
        return node
    if not node.attrs:
        return node.op.name, node.type, node.inputs
    attrs = tuple([(name, frozen(value)) for name, value in sorted(node.attrs.items())])
    return node.op.name, node.type, node.inputs, attrs


def frozen(value: Any) -> Hashable:
    """An attribute as something that can be compared: arrays by identity, floats by their bits."""
    if isinstance(value, np.ndarray):
        return id(value)
    if isinstance(value, float):
        return value.hex()  # tells 0.0 from -0.0, and makes NaN equal to itself
    return value  # type: ignore[no-any-return]
