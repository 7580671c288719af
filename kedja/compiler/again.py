"""What it would take to compute a value again where it is used: its expression, part by part.

A value that several others use counts once, as it is computed once in a kernel. What is moved
(a slice, a broadcast, a reduction) is one part: elsewhere it is computed at other places.
Not here: what is decided by it. Next: `fuse.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kedja.ir.graph import Node
from kedja.ir.op import Leaf, Reindex

LARGEST = 96  # nodes in one expression, so that code and recursion stay bounded
SIMPLE = ("broadcast", "transpose", "slice", "flip")  # moves that are one step for each axis


class Part(NamedTuple):
    """A piece of an expression: its nodes, and for each element of the value its flops; what it
    reads from memory, in elements of the whole value; how many reductions and moves are in it
    that take more than a step of an index."""

    size: int
    flops: float
    loads: int
    hard: int


def held(node: Node) -> dict[Node, Part]:
    """A value that is in memory: it is read."""
    return {node: Part(0, 0.0, node.type.size, 0)}


def total(parts: Mapping[Node, Part]) -> Part:
    """All parts of an expression together."""
    size, flops, loads, hard = 0, 0.0, 0, 0
    for part in parts.values():
        size, flops = size + part.size, flops + part.flops
        loads, hard = loads + part.loads, hard + part.hard
    return Part(size, flops, loads, hard)


def _is_simple(node: Node, parts: Mapping[Node, Part]) -> bool:
    """Whether a move is one step for each axis, or reads element after element by one index."""
    if node.op.name != "reshape":
        return node.op.name in SIMPLE
    mine, source = ([n for n in each.shape if n != 1] for each in (node, node.inputs[0]))
    return mine == source or all(part.size <= 1 for part in parts.values())


def moved(node: Node, parts: Mapping[Node, Part], *, repeats: bool) -> Part:
    """What a node that is not computed element by element adds to an expression, as one part.

    A broadcast value is computed before the loop that repeats it, unless it `repeats` along
    leading axes.
    """
    inside = total(parts)
    if isinstance(node.op.lowering, Leaf):
        return Part(1, 0.0, 0, 0)
    if not isinstance(node.op.lowering, Reindex):
        flops = node.op.flops + inside.flops
        return Part(1 + inside.size, flops, inside.loads, 1 + inside.hard)
    source = max((each.type.size for each in node.inputs), default=0)
    spread = max(1, node.type.size) / max(1, source)
    share = 1.0 if repeats or spread <= 1 else 1 / spread
    loads = min(inside.loads, node.type.size * max(1, len(parts)))
    hard = inside.hard + (not _is_simple(node, parts))
    choices = len(node.inputs) - 1 if node.op.name == "concatenate" else 0  # at each element
    return Part(1 + inside.size, inside.flops * share + choices, loads, hard)
