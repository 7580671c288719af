"""A weight that a loop reads turned is turned inside the loop, where its products read it as it is.

    Wᵀ from outside, x Wᵀ in each step     becomes     W from outside, x Wᵀ in each step

What does not depend on a loop is computed before it; for a transpose that is a copy of the whole
weight in each call, where a product of few rows reads W's rows just as well. With more rows the
copy pays, since each step would turn the weight again (`scanned_rows.py`). Why here: composites
are open, so that all who read the weight are seen. Next: `widen.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from kedja.compiler.fuse import is_flow
from kedja.ir.graph import (
    Graph,
    Node,
    apply,
    consumers,
    rebuild,
    substitute,
    topological,
    transform,
    variable,
)
from kedja.ir.inside import graphs

# A product of so many rows reads a turned matrix without packing it; one of somewhat more rows
# packs it as it goes. A scan has many steps for which its copy serves; how often a while_loop runs
# is not known, and it may be called for a few steps at a time.
FEW_ROWS = 3
SOME_ROWS = 8
LARGE = 1 << 20  # bytes


def weights_sunk(outputs: Sequence[Node]) -> list[Node]:
    """The same graph with loops that turn such weights themselves."""
    if not any(is_flow(node) for node in topological(outputs)):
        return list(outputs)

    def visit(node: Node, inputs: tuple[Node, ...]) -> Node:
        new = rebuild(node, inputs)
        return _sunk(new) if node.op.name in ("scan", "while_loop") else new

    return transform(outputs, visit)


def _sunk(loop: Node) -> Node:
    """A loop with its turned weights as they are."""
    first = loop.attrs["carries"] + loop.attrs.get("sequences", 0)
    places = [
        place
        for place, each in enumerate(loop.inputs)
        if place >= first and each.op.name == "transpose" and _pays(loop, place, each)
    ]
    if not places:
        return loop
    given = [each.inputs[0] if p in places else each for p, each in enumerate(loop.inputs)]
    axes = {place: loop.inputs[place].attrs["axes"] for place in places}
    made = {name: _turning(graph, axes) for name, graph in graphs(loop).items()}
    return apply(loop.op.name, *given, **{**loop.attrs, **made})


def _pays(loop: Node, place: int, weight: Node) -> bool:
    """Whether every reader is a product of few rows, for which a copy would be made."""
    packs = loop.op.name == "while_loop" and weight.type.nbytes > LARGE
    most = SOME_ROWS if packs else FEW_ROWS
    readers: list[Node] = []
    for graph in graphs(loop).values():
        inner = graph.inputs[place]
        found = consumers(topological(graph.outputs)).get(inner, ())
        if inner in graph.outputs or not all(_is_right(each, inner) for each in found):
            return False
        readers += found
    return bool(readers) and all(each.shape[-2] <= most for each in readers)


def _is_right(reader: Node, weight: Node) -> bool:
    """Whether a matrix is what a product multiplies its rows with."""
    if reader.op.name != "matmul" or len(weight.shape) != 2:
        return False
    return reader.inputs[1] is weight and reader.inputs[0] is not weight


def _turning(graph: Graph, axes: dict[int, tuple[int, ...]]) -> Graph:
    """The graph with some inputs turned inside it."""
    inputs, replaced = list(graph.inputs), {}
    for place, order in axes.items():
        old = graph.inputs[place]
        back = tuple(order.index(axis) for axis in range(len(order)))
        kind = apply("transpose", old, axes=back).type
        inputs[place] = variable(old.attrs["name"], kind)
        replaced[old] = apply("transpose", inputs[place], axes=order)
    return Graph(tuple(inputs), tuple(substitute(graph.outputs, replaced)))
