"""Ops with graphs inside: which graphs those are, and what their inputs are called.

Not here: what such ops mean (`kedja/ops/control.py`, `kedja/ops/scan.py`). Next: `fold.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kedja.ir.graph import Graph, Node, topological
from kedja.ir.op import Bundle, Type

REPEATED = ("base",)  # names a part of another graph of the same op


def graphs(node: Node) -> dict[str, Graph]:
    """The graphs inside a node by their names, such as the `body` of a loop."""
    return {
        name: value
        for name, value in node.attrs.items()
        if isinstance(value, Graph) and name not in REPEATED
    }


def types(node: Node) -> tuple[Type, ...]:
    """The types of all outputs of a node."""
    return node.type.parts if isinstance(node.type, Bundle) else (node.type,)


def plain_attributes(node: Node) -> dict[str, Any]:
    """The attributes without graphs; rules of derivatives by the name of their function."""
    return {
        key: getattr(value, "name", "") if key == "own" else value
        for key, value in node.attrs.items()
        if not isinstance(value, Graph) and not (key in REPEATED and value is None)
    }


def given(node: Node) -> tuple[Node, ...]:
    """The values of the node's inputs that a graph inside it takes (a cond's first one chooses)."""
    return node.inputs[1:] if node.op.name == "cond" else node.inputs


def roles(node: Node) -> tuple[int, int]:
    """How many inputs of the graphs are carried on from step to step, and taken apart in steps."""
    return node.attrs.get("carries", 0), node.attrs.get("sequences", 0)


def input_names(node: Node, outside: Sequence[str]) -> list[str]:
    """What the inputs of the graphs inside a node are called.

    What a loop changes has the name of its role; all else that of the value from `outside`.
    """
    carries, sequences = roles(node)
    changing = [*_numbered("carry", carries), *_numbered("x", sequences)]
    return [*changing, *outside[len(changing) :]]


def output_names(node: Node, graph: Graph) -> list[str]:
    """What the outputs of a graph inside a node are called; empty where their place says enough."""
    carries, sequences = roles(node)
    if not carries + sequences or len(graph.outputs) < carries:
        return [""] * len(graph.outputs)
    return [*_numbered("carry", carries), *_numbered("y", len(graph.outputs) - carries)]


def _numbered(stem: str, count: int) -> list[str]:
    return [stem] if count == 1 else [f"{stem}{place + 1}" for place in range(count)]


def inner_nodes(graph: Graph) -> list[Node]:
    """The nodes of a graph without its inputs, in the order of evaluation."""
    known = set(graph.inputs)
    return [node for node in topological(graph.outputs, leaves=known) if node not in known]


def is_closed(graph: Graph) -> bool:
    """Whether a graph depends on its own inputs alone."""
    return not any(node.op.name == "input" for node in inner_nodes(graph))


def everything(outputs: Iterable[Node]) -> list[Node]:
    """Every node that the outputs need, those of the graphs inside among them."""
    found: list[Node] = []
    todo: list[Sequence[Node]] = [list(outputs)]
    while todo:
        order = topological(todo.pop())
        found += order
        todo += [graph.outputs for node in order for graph in graphs(node).values()]
    return found
