"""What identifies a graph in XLA's cache: equal graphs, made again, share one executable.

Values of constants are not part of it (they are handed to the program); neither are source lines.
Next: `program.py`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np

from kedja.ir.graph import Graph, Node, topological


def key_of(outputs: Sequence[Node], inputs: Sequence[Node]) -> Hashable:
    """A value that is equal for graphs that compute the same from inputs of the same types."""
    numbers: dict[Node, int] = {}
    rows: list[Hashable] = []
    given = set(inputs)
    for node in topological(outputs, leaves=given):
        numbers[node] = len(numbers)
        if node in given:
            rows.append(node.type)
            continue
        places = tuple(numbers[each] for each in node.inputs)
        rows.append((node.op, places, node.type, _attrs(node)))
    # an input that nothing uses has no number, but a place and a type
    facts = tuple((numbers.get(node, -1), node.type) for node in inputs)
    return tuple(rows), facts, tuple(numbers[node] for node in outputs)


def _attrs(node: Node) -> Hashable:
    if node.op.name == "constant":
        return None
    return tuple((name, _text(value)) for name, value in sorted(node.attrs.items()))


def _text(value: Any) -> Hashable:
    """Scalars by type and bits, since 1 == 1.0 == True, -0.0 == 0.0 and nan != nan."""
    match value:
        case Graph():
            return key_of(value.outputs, value.inputs)
        case np.ndarray() | np.generic():
            return value.dtype, value.shape, value.tobytes()
        case float():
            return float, value.hex()
        case tuple() | list():
            return tuple(_text(each) for each in value)
        case _:
            return type(value), value


def constants_of(outputs: Sequence[Node], inputs: Sequence[Node] = ()) -> list[Node]:
    """The constants of a graph and of the graphs inside its ops, each once, in a fixed order."""
    found: dict[Node, None] = {}
    for node in topological(outputs, leaves=set(inputs)):
        if node.op.name == "constant" and node not in inputs:
            found[node] = None
        for graph in _graphs(node):
            found.update(dict.fromkeys(constants_of(graph.outputs, graph.inputs)))
    return list(found)


def _graphs(node: Node) -> Iterator[Graph]:
    for _, value in sorted(node.attrs.items()):
        if isinstance(value, Graph):
            yield value
        elif isinstance(value, tuple):
            yield from (each for each in value if isinstance(each, Graph))
