"""Opening: ops whose graphs simply stand in their place, and scans that do another one's work.

    checkpoint, custom, bundle   their bodies, on their inputs
    scan                         replaced by one that gives the same outputs and more
    composites                   opened where something inside has graphs or runs outside the
                                 compiled program, or where they bring arrays of their own

The graphs inside loops and choices are opened too; arrays in them become inputs.

Why first: what follows must see all that is computed, and where a program has to be cut.
Next: `stages.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from kedja.ir.graph import (
    Graph,
    Node,
    apply,
    expanded,
    origin,
    rebuild,
    substitute,
    topological,
    transform,
    variable,
)
from kedja.ir.inside import graphs
from kedja.ir.op import ByExpansion, OnHost, Op, OwnProgram

IN_PLACE = ("checkpoint", "custom", "bundle")
TABLED = ("resample",)  # composites that bring arrays of their own, which a program must be given


def opened(outputs: Sequence[Node]) -> list[Node]:
    """The same values without the ops that only enclose others."""
    order = topological(outputs)
    if not any(isinstance(node.op.lowering, OwnProgram) or encloses(node) for node in order):
        return list(outputs)
    return _opened_inside(merged_scans(_open(outputs, {})))


def _opened_inside(outputs: Sequence[Node]) -> list[Node]:
    """The same with the graphs inside loops and choices opened, and given all arrays they use."""

    def visit(node: Node, inputs: tuple[Node, ...]) -> Node:
        found = graphs(node)
        if not found:
            return rebuild(node, inputs)
        inside = {name: opened(graph.outputs) for name, graph in found.items()}
        every = [each for outputs in inside.values() for each in outputs]
        arrays = [each for each in topological(every) if each.op.name == "constant"]
        made = {n: _given_too(found[n].inputs, outputs, arrays) for n, outputs in inside.items()}
        attrs = {**node.attrs, **made}
        return apply(node.op.name, *inputs, *arrays, **{**attrs, **_no_base(attrs)})

    return transform(outputs, visit)


def _given_too(inputs: Sequence[Node], outputs: Sequence[Node], arrays: Sequence[Node]) -> Graph:
    new = {each: variable("array", each.type) for each in arrays}
    return Graph((*inputs, *new.values()), tuple(substitute(outputs, new)))


def _no_base(attrs: Mapping[str, Any]) -> dict[str, None]:
    return {"base": None} if "base" in attrs else {}


def _open(outputs: Sequence[Node], known: dict[Node, Node]) -> list[Node]:
    several: dict[Node, list[Node]] = {}

    def visit(node: Node, inputs: tuple[Node, ...]) -> Node:
        name = node.op.name
        if name in IN_PLACE:
            made = rebuild(node, inputs)
            with origin(node):
                several[made] = _body(made)
            return made
        if name == "part" and inputs[0] in several:
            place: int = node.attrs["place"]
            return several[inputs[0]][place]
        if name == "part" and inputs[0].op.name == "scan" and not inputs[0].attrs["length"]:
            return _of_no_steps(inputs[0], node)
        if encloses(node):
            (found,) = _open([expanded(node, inputs)], {each: each for each in inputs})
            return found
        return rebuild(node, inputs)

    return transform(outputs, visit, known)


def _of_no_steps(scan: Node, part: Node) -> Node:
    """The carry as it was given, and stacks without elements."""
    place: int = part.attrs["place"]
    if place < scan.attrs["carries"]:
        return scan.inputs[place]
    return apply("full", value=0, shape=part.shape, dtype=part.dtype)


def _body(node: Node) -> list[Node]:
    """The outputs of an enclosing op as nodes on its inputs."""
    if node.op.name == "bundle":
        return list(node.inputs)
    body: Graph = node.attrs["body"]
    return _open(body.inline(node.inputs), {each: each for each in node.inputs})


def is_hosted(node: Node) -> bool:
    """Whether a node is run between compiled parts: by NumPy, or with something inside that is."""
    if node.op.name == "part":
        return is_hosted(node.inputs[0])
    if isinstance(node.op.lowering, OwnProgram):
        return any(map(_has_hosted, graphs(node).values()))
    return isinstance(node.op.lowering, OnHost)


_hosted: WeakKeyDictionary[Graph, bool] = WeakKeyDictionary()


def _has_hosted(graph: Graph) -> bool:
    if graph not in _hosted:
        order = topological(graph.outputs)
        _hosted[graph] = any(is_hosted(each) or encloses(each) for each in order)
    return _hosted[graph]


_enclosing: dict[Op, bool] = {}


def encloses(node: Node) -> bool:
    """Whether a composite has something inside that comes to the compiled parts from outside."""
    if not isinstance(node.op.lowering, ByExpansion):
        return False
    if node.op.name in TABLED:
        return True
    if node.op not in _enclosing:
        inside = topological([expanded(node)], leaves=node.inputs)
        _enclosing[node.op] = any(
            isinstance(each.op.lowering, OnHost | OwnProgram) or encloses(each)
            for each in inside
            if each not in node.inputs
        )
    return _enclosing[node.op]


# ------------------------------------------------------------------------------ equal scans


def merged_scans(outputs: Sequence[Node]) -> list[Node]:
    """Where two scans do the same steps and one of them gives more, that one serves both."""
    scans = [node for node in topological(outputs) if node.op.name == "scan"]
    base = {node.attrs["body"]: node.attrs.get("base") for node in scans}
    replaced = {}
    for more in scans:
        body = base[more.attrs["body"]]
        while body is not None:
            for less in scans:
                if less.attrs["body"] is body and less.inputs == more.inputs:
                    replaced[less] = more
            body = base.get(body)
    if not replaced:
        return list(outputs)

    made: dict[Node, Node] = {}  # of each scan that is left

    def visit(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op.name != "scan":
            return rebuild(node, inputs)
        kept = _last(node, replaced)
        if kept not in made:
            made[kept] = rebuild(kept, inputs)  # both have the same inputs
        return made[kept]

    return transform(outputs, visit)


def _last(node: Node, replaced: dict[Node, Node]) -> Node:
    while node in replaced:
        node = replaced[node]
    return node
