"""Opening: ops whose graphs simply stand in their place, and scans that do another one's work.

    checkpoint, custom, bundle   their bodies, on their inputs
    scan                         replaced by one that gives the same outputs and more
    composites                   opened where something inside runs outside the compiled program,
                                 or where they bring arrays of their own

Why first: what follows must see all that is computed, and where a program has to be cut.
Next: `stages.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from kedja.ir.graph import Graph, Node, apply, expanded, origin, rebuild, topological, transform
from kedja.ir.op import ByExpansion, OnHost, Op, OwnProgram

IN_PLACE = ("checkpoint", "custom", "bundle")
TABLED = ("resample",)  # composites that bring arrays of their own, which a program must be given


def opened(outputs: Sequence[Node]) -> list[Node]:
    """The same values without the ops that only enclose others."""
    order = topological(outputs)
    if not any(isinstance(node.op.lowering, OwnProgram) or encloses(node) for node in order):
        return list(outputs)
    return merged_scans(_open(outputs, {}))


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
    """Whether a node is run between compiled parts."""
    return isinstance(node.op.lowering, OnHost | OwnProgram)


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
            is_hosted(each) or encloses(each) for each in inside if each not in node.inputs
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
