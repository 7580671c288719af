"""Graphs with the same values and fewer nodes. Next: `loops.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

from mini.graph import Node, broadcast, topological
from mini.meaning import meaning


def is_number(node: Node, value: float) -> bool:
    """Whether a node is one certain number everywhere."""
    return node.op == "number" and node.label == value


def drop_right(value: float) -> Callable[[Node], Node | None]:
    """x . value -> x."""
    return lambda node: node.inputs[0] if is_number(node.inputs[1], value) else None


def drop_left(value: float) -> Callable[[Node], Node | None]:
    """value . x -> x."""
    return lambda node: node.inputs[1] if is_number(node.inputs[0], value) else None


def twice(node: Node) -> Node | None:
    """The same operation done twice undoes itself."""
    (x,) = node.inputs
    return x.inputs[0] if x.op == node.op else None


def minus_negative(node: Node) -> Node | None:
    """a + -b -> a - b."""
    a, b = node.inputs
    return a - b.inputs[0] if b.op == "negative" else None


def known(node: Node) -> Node | None:
    """An operation on numbers -> the number that it gives."""
    if not all(x.op == "number" for x in node.inputs):
        return None
    return broadcast(float(meaning(replace(node, shape=()), *(x.label for x in node.inputs))), node.shape)
