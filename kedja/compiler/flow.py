"""Loops and choices inside a program: scan, while_loop and cond as kernels over kernels.

The graph inside an op is lowered like a program of its own, but into the launches of the program
around it. What comes in from outside is not copied: the steps of a scan read their slices, and
write their results, where the whole arrays stand. A carry has one place, in which it is changed.
Bodies with something that only NumPy computes stay apart (`stages.py`). Next: `schedule.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kedja.compiler.fuse import Fusion, is_flow, memory_of
from kedja.compiler.kernels import FlowKernel, KernelUnit, kernels_of
from kedja.compiler.memory import View
from kedja.compiler.schedule import in_place_order
from kedja.ir.graph import Graph, Node, apply, edited, transform, variable
from kedja.ir.inside import graphs
from kedja.ops.scan import split

Views = dict[Node, View]


def inside_too(
    outputs: Sequence[Node], change: Callable[[Sequence[Node]], list[Node]]
) -> list[Node]:
    """A graph changed by a pass, and so are all graphs inside its loops and choices."""

    def changed_inside(node: Node) -> Node:
        found = graphs(node) if node.attrs else None
        if not found:
            return node
        made = {
            name: Graph(graph.inputs, tuple(inside_too(graph.outputs, change)))
            for name, graph in found.items()
        }
        return apply(node.op.name, *node.inputs, **{**node.attrs, **made})

    return edited(change(outputs), changed_inside)


def ready(outputs: Sequence[Node]) -> list[Node]:
    """The graph with loops that own what they change.

    Every carry begins as a copy, which the loop then changes. Graphs inside are made of nodes of
    their own, since two loops may have the same body, and each has its own memory.
    """

    def owning(node: Node) -> Node:
        if not is_flow(node):
            return node
        n: int = node.attrs.get("carries", 0)
        given = [*(apply("copy", each) for each in node.inputs[:n]), *node.inputs[n:]]
        own = {name: _own(graph) for name, graph in graphs(node).items()}
        return apply(node.op.name, *given, **{**node.attrs, **own})

    return edited(outputs, owning)


def _own(graph: Graph) -> Graph:
    inputs = {node: variable(node.attrs["name"], node.type) for node in graph.inputs}

    def visit(node: Node, below: tuple[Node, ...]) -> Node:
        return Node(node.op, below, node.attrs, node.type, node.source, node.scope, node.back)

    return Graph(tuple(inputs.values()), tuple(ready(transform(graph.outputs, visit, inputs))))


def distinct(
    outputs: Sequence[Node], unchanged: Sequence[bool], held: Sequence[bool] = ()
) -> list[Node]:
    """The outputs, each a computed node of its own: copies where one is given or stands twice.

    Those that are `unchanged` inputs stay as they are. The last carry of a loop stands in memory
    that the loop owns, so it is copied; so is a part that is to be `held` apart.
    """
    seen: set[Node] = set()
    result = []
    for place, node in enumerate(outputs):
        apart = bool(held) and held[place] and node.op.name == "part"
        if not unchanged[place] and (is_given(node) or node in seen or apart):
            node = apply("copy", node)
        seen.add(node)
        result.append(node)
    return result


def is_given(node: Node) -> bool:
    """Whether a value has a place in memory that is not its own to choose."""
    if node.op.name == "part":
        carries: int = node.inputs[0].attrs.get("carries", 0)
        return bool(node.attrs["place"] < carries)
    return node.op.name in ("input", "constant")


def flow_kernels(fusion: Fusion) -> list[FlowKernel]:
    """The loops and choices of a program."""
    made = []
    for node in fusion.order:
        if is_flow(node):
            parts = [n for n in fusion.users[node] if n.op.name == "part" and n.type.size]
            used = {part.attrs["place"]: part for part in parts}
            made.append(_MAKERS[node.op.name](_Blocks(node, used, fusion.pairs)))
    return made


class _Blocks:
    """The blocks of one op while they are made, with their views."""

    def __init__(self, node: Node, parts: dict[int, Node], pairs: bool) -> None:
        self.node = node
        self.parts = parts
        self.pairs = pairs
        self.views: Views = {}
        self.blocks: list[tuple[KernelUnit, ...]] = []
        self.in_place: set[Node] = set()

    def see(self, inner: Node, of: Node, view: View | None = None) -> None:
        """A value inside is (in part) memory of a value outside."""
        self.views[inner] = view or View(memory_of(of))

    def block(self, outputs: Sequence[Node], carry: dict[Node, Node]) -> None:
        """Kernels of a graph; `carry` says which outputs are stored in place of which inputs."""
        fusion = Fusion(outputs, self.pairs)
        kernels: list[KernelUnit] = [*kernels_of(fusion), *flow_kernels(fusion)]
        order, in_place = in_place_order(kernels, carry)
        self.blocks.append(tuple(order))
        self.in_place.update(in_place)
        for value, home in in_place.items():
            self.views[value] = View(home)
        for each in order:
            if isinstance(each, FlowKernel):
                self.views.update(each.views)

    def kernel(self, flag: Node | None = None) -> FlowKernel:
        """The whole."""
        node, n = self.node, self.node.attrs.get("carries", 0)
        for place, part in self.parts.items():
            if place < n:
                self.views[part] = View(node.inputs[place])
        reads = list(dict.fromkeys(memory_of(each) for each in node.inputs))
        blocks, parts = tuple(self.blocks), list(self.parts.values())
        in_place = frozenset(self.in_place)
        return FlowKernel(node, blocks, reads, parts, self.views, in_place, flag)


def _scan(made: _Blocks) -> FlowKernel:
    """One block, over slices of the sequences and of the stacked results."""
    node, parts = made.node, made.parts
    attrs, body = node.attrs, node.attrs["body"]
    n, m = attrs["carries"], attrs["sequences"]
    inner = split(body.inputs, n, m)
    for mine, theirs in zip(body.inputs, node.inputs, strict=True):
        made.see(mine, theirs, _slices(node, mine, theirs) if mine in inner.xs else None)
    places = [*range(n), *(place for place in parts if place >= n)]
    outputs = _outputs(body, places, n)
    for place, value in zip(places[n:], outputs[n:], strict=True):
        made.see(value, parts[place], _slices(node, value, parts[place]))
    made.block(outputs, dict(zip(outputs[:n], inner.carry, strict=True)))
    return made.kernel()


def _outputs(body: Graph, places: Sequence[int], carries: int) -> list[Node]:
    chosen = [body.outputs[place] for place in places]
    return distinct(chosen, [p < carries and body.inputs[p] is body.outputs[p] for p in places])


def _slices(scan: Node, one: Node, whole: Node) -> View:
    """The part of an array that belongs to the present step."""
    size, last = one.type.nbytes, scan.attrs["length"] - 1
    if scan.attrs["reverse"]:
        return View(memory_of(whole), scan, last * size, -size)
    return View(memory_of(whole), scan, 0, size)


def _while(made: _Blocks) -> FlowKernel:
    """Two blocks: the condition, which makes the flag, and the body."""
    node, n = made.node, made.node.attrs["carries"]
    condition, body = node.attrs["condition"], node.attrs["body"]
    for graph in (condition, body):
        for mine, theirs in zip(graph.inputs, node.inputs, strict=True):
            made.see(mine, theirs)
    (flag,) = distinct(condition.outputs, [False])
    made.block([flag], {})
    outputs = _outputs(body, range(n), n)
    made.block(outputs, dict(zip(outputs, body.inputs[:n], strict=True)))
    return made.kernel(flag)


def _cond(made: _Blocks) -> FlowKernel:
    """Two blocks, which write the same results."""
    node, parts = made.node, made.parts
    chosen, *operands = node.inputs
    for graph in (node.attrs["yes"], node.attrs["no"]):
        for mine, theirs in zip(graph.inputs, operands, strict=True):
            made.see(mine, theirs)
        outputs = distinct([graph.outputs[place] for place in parts], [False] * len(parts))
        for value, part in zip(outputs, parts.values(), strict=True):
            made.see(value, part)
        made.block(outputs, {})
    return made.kernel(chosen)


_MAKERS = {"scan": _scan, "while_loop": _while, "cond": _cond}
