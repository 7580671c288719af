"""What loops, branches and functions inside functions become. Next: `patterns.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.io.onnx import extra
from kedja.io.onnx.writing.extents import graphs_of
from kedja.io.onnx.writing.selection import Choice, Context, Name, Rule
from kedja.io.onnx.writing.writer import value_info
from kedja.ir.graph import Graph, Node, apply, variable

# --------------------------------------------------------------------------- inner graphs


class Inner:
    """An inner graph of a node in each trace, with inputs of its own.

    What is repeated outside is repeated inside instead, so that nothing of it need be written.
    """

    def __init__(self, context: Context, node: Node, name: str, outside: int) -> None:
        """`outside` is the number of the first input that stands for a value from outside."""
        graphs = graphs_of(context.alignment, node, name)
        operands = context.alignment.twins(node)
        skip = len(node.inputs) - len(graphs[0].inputs)  # the condition of a branch
        self.inputs: list[Node] = []
        self.captured: list[tuple[Node, Node]] = []  # the node inside, and the one outside
        replaced: list[list[Node]] = [[] for _ in graphs]
        for place in range(len(graphs[0].inputs)):
            outer = [each.inputs[place + skip] for each in operands]
            if place >= outside:
                fresh, inside, source = _repeated_inside(outer)
                self.captured += [] if fresh is None else [(fresh[0], source)]
            else:
                inside = fresh = [variable("x", each.inputs[place].type) for each in graphs]
                self.inputs.append(fresh[0])
            if fresh is not None:
                context.alignment.pair(tuple(fresh))
            for each, new in zip(replaced, inside, strict=True):
                each.append(new)
        self.outputs = _inlined(context, graphs, replaced)


def _repeated_inside(outer: Sequence[Node]) -> tuple[list[Node] | None, list[Node], Node]:
    """For a value from outside: new inputs, what stands for it inside, and what is captured."""
    first = outer[0]
    if first.op.name == "full":
        return None, list(outer), first
    if first.op.name == "broadcast":
        source = [each.inputs[0] for each in outer]
        fresh = [variable("x", each.type) for each in source]
        wide = zip(fresh, outer, strict=True)
        return fresh, [apply("broadcast", x, shape=each.shape) for x, each in wide], source[0]
    fresh = [variable("x", each.type) for each in outer]
    return fresh, fresh, first


def _inlined(
    context: Context, graphs: Sequence[Graph], replaced: Sequence[Sequence[Node]]
) -> list[Node]:
    outputs = [graph.inline(new) for graph, new in zip(graphs, replaced, strict=True)]
    context.alignment.add(outputs)
    return outputs[0]


def bind(context: Context, inner: Inner) -> None:
    """Give what is captured its name from outside."""
    for inside, outside in inner.captured:
        context.bind(inside, context.name_of(outside))


def graph_proto(context: Context, name: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
    """The nodes of a context as a graph."""
    return extra.load().helper.make_graph(context.writer.nodes, name, list(inputs), list(outputs))


def declared(context: Context, node: Node) -> tuple[str, Any]:
    """A fresh input for a node, and its declaration."""
    name = context.writer.names.take("carried")
    return name, value_info(name, node.dtype, context.alignment.shape(node))


def results(context: Context, nodes: Sequence[Node]) -> list[Any]:
    """Outputs of an inner graph, each a name of its own, and their declarations."""
    found = []
    for node, name in zip(nodes, context.emit(nodes), strict=True):
        own = context.writer.add("Identity", [name])
        found.append(value_info(own, node.dtype, context.alignment.shape(node)))
    return found


# -------------------------------------------------------------------------------------- scan


def scanned(context: Context, node: Node) -> Choice:
    """Scan."""
    attrs = node.attrs
    carries, sequences = attrs["carries"], attrs["sequences"]
    inner = Inner(context, node, "body", carries + sequences)
    before = [*node.inputs[: carries + sequences], *(outside for _, outside in inner.captured)]

    def emit(c: Context, *names: Name) -> Name:
        body, ports = _body(c, inner)
        outputs = results(body, inner.outputs)
        turned = int(attrs["reverse"])
        given = {
            "body": graph_proto(body, "body", ports, outputs),
            "num_scan_inputs": sequences,
            "scan_input_directions": [turned] * sequences if turned else None,
            "scan_output_directions": [turned] * (len(outputs) - carries) if turned else None,
        }
        count = len(outputs)
        return tuple(c.writer.add_several("Scan", names[: carries + sequences], count, **given))

    return Choice(tuple(before), emit)


def _body(c: Context, inner: Inner) -> tuple[Context, list[Any]]:
    """A context for a body, and the declarations of its inputs."""
    body = c.inside()
    ports = []
    for each in inner.inputs:
        name, port = declared(body, each)
        body.bind(each, name)
        ports.append(port)
    bind(body, inner)
    return body, ports


# -------------------------------------------------------------------------------- while loops


def repeated(context: Context, node: Node) -> Choice:
    """Loop without a trip count."""
    carries = node.attrs["carries"]
    first = Inner(context, node, "condition", 0)
    body, again = (Inner(context, node, name, carries) for name in ("body", "condition"))
    outside = [source for each in (first, body, again) for _, source in each.captured]

    def emit(c: Context, *names: Name) -> Name:
        start = c.inside()
        start.writer = c.writer
        bind(start, first)
        (going,) = start.emit(first.outputs)
        inside, ports = _body(c, body)
        steps = value_info(inside.writer.names.take("step"), np.dtype(np.int64), ())
        known = value_info(inside.writer.names.take("going"), np.dtype(np.bool_), ())
        after = inside.emit(body.outputs)
        for each, name in zip(again.inputs, after, strict=True):
            inside.bind(each, name)
        bind(inside, again)
        outputs = results(inside, [*again.outputs, *body.outputs])
        proto = graph_proto(inside, "body", [steps, known, *ports], outputs)
        given = ["", going, *names[:carries]]
        return tuple(c.writer.add_several("Loop", given, carries, body=proto))

    return Choice((*node.inputs[:carries], *outside), emit)


# ---------------------------------------------------------------------------------- branches


def chosen(context: Context, node: Node) -> Choice:
    """If."""
    branches = [Inner(context, node, name, 0) for name in ("yes", "no")]
    outside = [source for each in branches for _, source in each.captured]

    def emit(c: Context, condition: Name, *_: Name) -> Name:
        protos = []
        for each, name in zip(branches, ("then", "else"), strict=True):
            branch = c.inside()
            bind(branch, each)
            protos.append(graph_proto(branch, name, [], results(branch, each.outputs)))
        given = {"then_branch": protos[0], "else_branch": protos[1]}
        return tuple(c.writer.add_several("If", [condition], len(branches[0].outputs), **given))

    return Choice((node.inputs[0], *outside), emit)


# ------------------------------------------------------------------------------- in its place


def in_place(context: Context, node: Node) -> Choice:
    """The graph inside a checkpoint, or inside a function with a derivative of its own."""
    graphs = graphs_of(context.alignment, node, "body")
    twins = context.alignment.twins(node)
    operands = [twin.inputs for twin in twins]
    outputs = _inlined(context, graphs, operands)
    return Choice(tuple(outputs), lambda c, *names: tuple(names))


def bundled(context: Context, node: Node) -> Choice:
    """Several values."""
    return Choice(node.inputs, lambda c, *names: tuple(names))


def picked(context: Context, node: Node) -> Choice:
    """One of several values."""
    place = node.attrs["place"]
    return Choice(node.inputs, lambda c, names: names[place])


# fmt: off
RULES: dict[str, Rule] = {
    "scan":       scanned,
    "while_loop": repeated,
    "cond":       chosen,
    "checkpoint": in_place,
    "custom":     in_place,
    "bundle":     bundled,
    "part":       picked,
}
# fmt: on
