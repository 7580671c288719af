"""Reverse mode: cotangents travel back, from the outputs to the inputs, by the same rules.

add distributes, copy adds, multiply swaps and max routes: where a node has several users, their
cotangents are added; each rule says what goes on to the inputs. The result is a graph, so that it
can be differentiated again, simplified, compiled and printed. Next: `check.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from kedja.autodiff.forward import add, node_tangent, times
from kedja.ground.dtypes import is_float
from kedja.ir.graph import Node, apply, expanded, origin, topological, variable
from kedja.ir.op import ByExpansion, Forward, Linear, Multilinear, NoDerivative, Partials

Cotangents = list[Node | None]


def vjp(
    outputs: Sequence[Node], cotangents: Sequence[Node], wrt: Sequence[Node]
) -> list[Node | None]:
    """The cotangents of the nodes `wrt`, given those of the outputs: Jᵀ·g.

    None stands for a node on which no output depends (that is not the same as zero).
    """
    known = backward(outputs, cotangents, wrt)
    return [known.get(node) for node in wrt]


def backward(
    outputs: Sequence[Node], cotangents: Sequence[Node], wrt: Sequence[Node]
) -> dict[Node, Node]:
    """The cotangents of every node between `wrt` and the outputs."""
    order = topological(outputs)
    needed = _depending(order, wrt)
    known: dict[Node, Node] = {}
    for node, g in zip(outputs, cotangents, strict=True):
        if node in needed:
            known[node] = add(known.get(node), g)
    for node in reversed(order):
        if node in known:
            _pass_on(node, known, needed)
    return known


def gradient(output: Node, wrt: Sequence[Node]) -> list[Node | None]:
    """∂output/∂x for each x of `wrt`; the output must be a scalar of a float dtype."""
    with origin(output):
        one = apply("full", value=1, shape=output.shape, dtype=output.dtype)
    return vjp([output], [one], wrt)


def _depending(order: Sequence[Node], wrt: Sequence[Node]) -> set[Node]:
    """The nodes through which a gradient reaches `wrt`."""
    needed = set(wrt)
    for node in order:
        if is_float(node.dtype) and any(each in needed for each in node.inputs):
            needed.add(node)
    return needed


def _pass_on(node: Node, known: dict[Node, Node], needed: set[Node]) -> None:
    wanted = [each in needed for each in node.inputs]
    if not any(wanted):
        return
    with origin(node):
        for each, g in zip(node.inputs, input_cotangents(node, known[node], wanted), strict=True):
            if g is not None and each in needed:
                known[each] = add(known.get(each), g)


def input_cotangents(node: Node, g: Node, wanted: Sequence[bool]) -> Cotangents:
    """What one node gives to each of its inputs; None where nothing comes back."""
    match node.op.derivative:
        case NoDerivative():
            return [None] * len(node.inputs)
        case Partials(rules):
            return [
                times(rule(node, *node.inputs), g) if want and rule is not None else None
                for rule, want in zip(rules, wanted, strict=True)
            ]
        case Linear(rules) | Multilinear(rules):
            if callable(rules):
                return [rules(g, node, i) if want else None for i, want in enumerate(wanted)]
            return [
                rule(g, node) if want and rule is not None else None
                for rule, want in zip(rules, wanted, strict=True)
            ]
        case Forward():
            return _by_transposition(node, g, wanted)
        case ByExpansion():
            return _by_expansion(node, g, wanted)


def _by_transposition(node: Node, g: Node, wanted: Sequence[bool]) -> Cotangents:
    """A forward rule is linear in the tangent, so its own reverse mode is its transpose."""
    result: Cotangents = []
    for place, (each, want) in enumerate(zip(node.inputs, wanted, strict=True)):
        tangent = variable("tangent", each.type) if want else None
        tangents = [tangent if i == place else None for i in range(len(node.inputs))]
        out = node_tangent(node, tangents)
        result.append(None if out is None or tangent is None else vjp([out], [g], [tangent])[0])
    return result


def _by_expansion(node: Node, g: Node, wanted: Sequence[bool]) -> Cotangents:
    """Through the named subgraph, whose inputs are copies so that the walk ends at them."""
    copies = [apply("copy", each) for each in node.inputs]
    chosen = [each for each, want in zip(copies, wanted, strict=True) if want]
    found = iter(vjp([expanded(node, copies)], [g], chosen))
    return [next(found) if want else None for want in wanted]
