"""Batching: the graph of one example becomes the graph of many at once, as `vmap` needs it.

Each op's `batch` facet says how it takes a further axis in front. Nodes that depend on no batched
leaf stay as they are, and are computed once for all examples. The result is a graph, so that it
can be differentiated, compiled and batched again. Not here: the facets of single ops (`kedja/ops`)
and what users call (`kedja/front/batching.py`). Next: `check.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import NamedTuple

from kedja.ground.errors import VerificationError
from kedja.ir.graph import (
    Graph,
    Node,
    apply,
    expanded,
    full,
    is_full,
    make,
    origin,
    topological,
    variable,
)
from kedja.ir.op import BatchRule, Bundle, ByExpansion, Leading, Shifted, Type


class Value(NamedTuple):
    """A node of the new graph; `leading` says whether it has the further axis in front.

    Where a rule gives the outputs of an op with several one by one, `several` holds them.
    """

    node: Node
    leading: bool
    several: tuple[Node, ...] | None = None


Known = dict[Node, Value]


def batch(outputs: Sequence[Node], leaves: Mapping[Node, Node], size: int) -> list[Node]:
    """The outputs with a leading axis of `size`, given the batched nodes of some leaves.

    An output that depends on none of the leaves is repeated.
    """
    return [front(each.node, size, each.leading) for each in values(outputs, leaves, size)]


def values(outputs: Sequence[Node], leaves: Mapping[Node, Node], size: int) -> list[Value]:
    """As `batch`; an output that depends on none of the leaves is itself, not repeated."""
    return _walk(outputs, {leaf: Value(node, True) for leaf, node in leaves.items()}, size)


def front(x: Node, size: int, leading: bool = False) -> Node:
    """A node repeated along a new leading axis, unless it is `leading` already."""
    if leading:
        return x
    shape = (size, *x.shape)
    return full(x.attrs["value"], shape, x.dtype) if is_full(x) else _repeated(x, shape)


def _repeated(x: Node, shape: tuple[int, ...]) -> Node:
    with origin(x):
        return apply("broadcast", x, shape=shape)


def graph(closed: Graph, batched: Sequence[bool], size: int) -> Graph:
    """A closed graph: inputs have the leading axis where `batched` says so, outputs all."""
    inputs = tuple(
        variable(each.attrs["name"], with_axis(each.type, size)) if moves else each
        for each, moves in zip(closed.inputs, batched, strict=True)
    )
    leaves = {
        old: new for old, new, moves in zip(closed.inputs, inputs, batched, strict=True) if moves
    }
    return Graph(inputs, tuple(batch(closed.outputs, leaves, size)))


def with_axis(kind: Type, size: int) -> Type:
    """A type with a further leading axis."""
    return Type((size, *kind.shape), kind.dtype)


BATCHER = SimpleNamespace(front=front, graph=graph)  # what the rules of ops are handed

# --------------------------------------------------------------------------------- the walk


def _walk(outputs: Sequence[Node], known: Known, size: int) -> list[Value]:
    for node in topological(outputs, leaves=known):
        if node not in known:
            known[node] = _value(node, [known[each] for each in node.inputs], size)
    return [known[node] for node in outputs]


def _value(node: Node, inputs: Sequence[Value], size: int) -> Value:
    """One node from its batched inputs; itself where none is batched."""
    if not any(each.leading for each in inputs):
        return Value(node, False)
    if node.op.name == "part" and inputs[0].several is not None:
        return Value(inputs[0].several[node.attrs["place"]], True)
    with origin(node):
        found = _batched(node, inputs, size)
    if isinstance(found, Node):
        _require_axis(node, [found], size)
        return Value(found, True)
    _require_axis(node, found, size)
    return Value(node, True, tuple(found))


def _batched(node: Node, inputs: Sequence[Value], size: int) -> Node | list[Node]:
    match node.op.batch:
        case Leading():
            return make(node.op, _fronted(inputs, size), node.attrs)
        case Shifted(attrs):
            return make(node.op, _fronted(inputs, size), attrs(node, size))
        case BatchRule(rule):
            nodes, leading = [each.node for each in inputs], [each.leading for each in inputs]
            found: Node | list[Node] = rule(BATCHER, node, nodes, leading, size)
            return found
        case ByExpansion():
            return _by_expansion(node, inputs, size)
        case _:
            raise VerificationError(f"the op {node.op.name} has no batching rule")


def _fronted(inputs: Sequence[Value], size: int) -> list[Node]:
    return [front(each.node, size, each.leading) for each in inputs]


def _by_expansion(node: Node, inputs: Sequence[Value], size: int) -> Node:
    """Through the named subgraph, down to the node's own inputs."""
    known = dict(zip(node.inputs, inputs, strict=True))
    (found,) = _walk([expanded(node)], known, size)
    return front(found.node, size, found.leading)


def _require_axis(node: Node, found: Sequence[Node], size: int) -> None:
    """A rule that forgets the leading axis is a bug of kedja, named where it happens."""
    wanted = node.type.parts if isinstance(node.type, Bundle) else (node.type,)
    given = tuple(kind for each in found for kind in _types(each))
    if given != tuple(with_axis(kind, size) for kind in wanted):
        texts = (", ".join(map(str, kinds)) for kinds in (wanted, given))
        raise VerificationError(f"{node.op.name} batched by {size}: " + " becomes ".join(texts))


def _types(node: Node) -> tuple[Type, ...]:
    return node.type.parts if isinstance(node.type, Bundle) else (node.type,)
