"""Graphs inside ops as functions with names, so that formulas can speak of them.

    scan(body1, 0, x)[0]
      where body1(carry, x) = (carry + x, carry)

Not here: formulas (`formula.py`), which are handed the names. Next: `show.py`.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from kedja.ir.graph import Graph, Node, topological
from kedja.ir.inside import given, graphs, input_names

Bodies = Mapping[Graph, str]
Write = Callable[[Sequence[Node], Mapping[Node, str], Bodies], list[str]]


def named(outputs: Iterable[Node]) -> dict[Graph, str]:
    """A name for each graph inside the nodes that the outputs need: body1, body2, yes1 …"""
    found: dict[Graph, str] = {}
    counts: dict[str, int] = {}
    for _, name, graph in _met(outputs):
        if graph not in found:
            counts[name] = counts.get(name, 0) + 1
            found[graph] = f"{name}{counts[name]}"
    return found


def definitions(outputs: Iterable[Node], names: Bodies, write: Write) -> Iterator[tuple[str, str]]:
    """Each of these graphs as a function: its head and what it returns.

    `write(outputs, names, bodies)` gives formulas in terms of named nodes.
    """
    done: set[Graph] = set()
    for node, _, graph in _met(outputs):
        if graph in done:
            continue
        done.add(graph)
        labels = input_names(node, _letters(len(given(node))))
        known = dict(zip(graph.inputs, labels, strict=True))
        texts = write(graph.outputs, known, names)
        result = texts[0] if len(texts) == 1 else f"({', '.join(texts)})"
        yield f"{names[graph]}({', '.join(labels)})", result


def _letters(count: int) -> list[str]:
    """a, b, c …: what is not changed from step to step has no role that could name it."""
    alphabet = string.ascii_lowercase
    return [alphabet[i] if i < len(alphabet) else f"a{i}" for i in range(count)]


def _met(outputs: Iterable[Node]) -> Iterator[tuple[Node, str, Graph]]:
    """Every graph inside, with its node and its name in it; those further inside after them."""
    todo = [list(outputs)]
    while todo:
        for node in topological(todo.pop(0)):
            for name, graph in graphs(node).items():
                yield node, name, graph
                todo.append(list(graph.outputs))


def call(node: Node, texts: Sequence[str], names: Bodies) -> str | None:
    """`scan(body1, a, b)`: a node with named graphs inside; None for others."""
    inner = [names[graph] for graph in graphs(node).values() if graph in names]
    if not inner:
        return None
    first = len(node.inputs) - len(given(node))  # what chooses stands in front
    return f"{node.op.name}({', '.join([*texts[:first], *inner, *texts[first:]])})"
