"""Graphs with the same values and fewer nodes. Next: `fuse.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

from mini.graph import Node, broadcast, topological
from mini.meaning import MEANING

Rule = Callable[[Node], Node | None]


def is_number(node: Node, value: float) -> bool:
    """Whether a node is a certain number everywhere."""
    return node.op == "number" and node.label == value


def right(value: float) -> Rule:
    """x o value -> x."""
    return lambda node: node.inputs[0] if is_number(node.inputs[1], value) else None


def left(value: float) -> Rule:
    """value o x -> x."""
    return lambda node: node.inputs[1] if is_number(node.inputs[0], value) else None


def twice(node: Node) -> Node | None:
    """f(f(x)) -> x."""
    (x,) = node.inputs
    return x.inputs[0] if x.op == node.op else None


def plus_negative(node: Node) -> Node | None:
    """a + -b -> a - b."""
    a, b = node.inputs
    return a - b.inputs[0] if b.op == "negative" else None


def minus_one(node: Node) -> Node | None:
    """-1 * x -> -x."""
    return -node.inputs[1] if is_number(node.inputs[0], -1) else None


def known(node: Node) -> Node | None:
    """f(numbers) -> a number."""
    if any(x.op != "number" for x in node.inputs):
        return None
    return broadcast(float(MEANING[node.op]((), *(x.label for x in node.inputs))), node.shape)


RULES: tuple[tuple[str, tuple[str, ...], Rule], ...] = (
    ("f(numbers) -> number", ("add", "subtract", "multiply", "divide", "negative"), known),
    ("number repeated -> number", ("broadcast",), known),
    ("x + 0 -> x, x - 0 -> x", ("add", "subtract"), right(0)),
    ("0 + x -> x", ("add",), left(0)),
    ("x * 1 -> x, x / 1 -> x", ("multiply", "divide"), right(1)),
    ("1 * x -> x", ("multiply",), left(1)),
    ("-1 * x -> -x", ("multiply",), minus_one),
    ("-(-x) -> x, x.T.T -> x", ("negative", "transpose"), twice),
    ("a + -b -> a - b", ("add",), plus_negative),
)


def simplify(outputs: Sequence[Node], applied: Counter[str] | None = None) -> list[Node]:
    """Apply the rules from the leaves up; nodes that say the same become one."""
    done: dict[Node, Node] = {}
    shared: dict[Hashable, Node] = {}
    counts = Counter() if applied is None else applied
    for node in topological(outputs):
        new = node
        if node.inputs:
            new = rewritten(replace(node, inputs=tuple(done[x] for x in node.inputs)), counts)
        done[node] = shared.setdefault(identity(new), new)
        counts["shared"] += done[node] is not new
    return [done[node] for node in outputs]


def rewritten(node: Node, counts: Counter[str]) -> Node:
    """The node after every rule that fits it."""
    for name, ops, rule in RULES:
        new = rule(node) if node.op in ops else None
        if new is not None:
            counts[name] += 1
            return rewritten(new, counts)
    return node


def identity(node: Node) -> Hashable:
    """What two nodes must have in common to be one; inputs are never merged."""
    return node if node.op == "input" else (node.op, node.inputs, node.shape, repr(node.label))
