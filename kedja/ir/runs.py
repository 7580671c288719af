"""Blocks that repeat: `h.0 … h.11`, which differ in nothing but their number and their arrays.

Not here: blocks (`fold.py`). Next: `outline.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kedja.ir.fold import Block, Item, is_inline, seen
from kedja.ir.graph import Graph, Node, topological
from kedja.ir.inside import graphs, plain_attributes

Signature = tuple[Any, ...]
NUMBERED = re.compile(r"(.*?)(\d+)$", re.DOTALL)


@dataclass(frozen=True, eq=False)
class Run:
    """Blocks that repeat, in the order of evaluation."""

    blocks: tuple[Block, ...]

    @property
    def first(self) -> Block:
        """The block that stands for all."""
        return self.blocks[0]

    @property
    def label(self) -> str:
        """The paths of the first and the last block."""
        return f"{self.first.layer} … {self.blocks[-1].layer}"

    @property
    def is_chain(self) -> bool:
        """Whether each block uses what the one before it gives; else they stand side by side."""
        pairs = zip(self.blocks, self.blocks[1:], strict=False)
        return all(set(a.outputs) & set(b.inputs) for a, b in pairs)


Shown = Item | Run


def with_runs(items: Sequence[Item]) -> list[Shown]:
    """The items, with neighbouring blocks that repeat as one."""
    found: list[Shown] = []
    for group in _groups(items):
        if len(group) > 1:
            found.append(Run(tuple(each for each in group if isinstance(each, Block))))
        else:
            found += group
    return found


def _groups(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Neighbours that repeat together, all others alone."""
    group: list[Item] = []
    signature: Signature | None = None
    for item in items:
        mine = _repeatable(item)
        if group and (mine is None or mine != signature):
            yield group
            group = []
        group.append(item)
        signature = mine
        if mine is None:
            yield group
            group = []
    if group:
        yield group


def _repeatable(item: Item) -> Signature | None:
    """What neighbours must share to be one run; None for what never repeats."""
    match = NUMBERED.match(item.layer) if isinstance(item, Block) else None
    if match is None or not isinstance(item, Block):
        return None
    return (match.group(1), item.kind, item.back, len(item.inputs), _structure(item))


def _structure(block: Block) -> Signature:
    """The block without its names, arrays and place."""
    numbers = {node: number for number, node in enumerate(block.nodes)}
    outputs = tuple(numbers[node] for node in block.outputs)
    inside = tuple(
        _shape(node, numbers, str(node.scope).removeprefix(block.layer)) for node in block.nodes
    )
    return (inside, outputs)


def _shape(node: Node, numbers: Mapping[Node, int], place: str) -> Signature:
    attributes = tuple((key, _plain(value)) for key, value in plain_attributes(node).items())
    inner = tuple((name, _graph(graph)) for name, graph in graphs(node).items())
    inputs = tuple(_reference(each, numbers) for each in node.inputs)
    return (node.op.name, str(node.type), place, attributes, inner, inputs)


def _plain(value: Any) -> str:
    """An attribute as text; of an array its shape is enough."""
    return f"{value.dtype}{value.shape}" if isinstance(value, np.ndarray) else repr(value)


def _reference(node: Node, numbers: Mapping[Node, int]) -> Any:
    """Where an input comes from: a place inside, a number, or something outside."""
    node = seen(node)
    if node in numbers:
        return numbers[node]
    if node.op.name == "part":
        return (node.attrs["place"], _reference(node.inputs[0], numbers))
    if is_inline(node):
        return (repr(node.attrs["value"]), str(node.type))
    return ("outside", str(node.type))


def _graph(graph: Graph) -> Signature:
    order = topological([*graph.inputs, *graph.outputs])
    numbers = {node: number for number, node in enumerate(order)}
    nodes = tuple(_shape(node, numbers, "") for node in order if node not in graph.inputs)
    return (tuple(map(str, graph.input_types)), nodes, tuple(numbers[n] for n in graph.outputs))
