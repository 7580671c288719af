"""Reverse mode: cotangents travel back, from the outputs to the inputs, by the same rules.

add distributes, copy adds, multiply swaps and max routes: where a node has several users, their
cotangents are added; each rule says what goes on to the inputs. The result is a graph, so that it
can be differentiated again, simplified, compiled and printed. Next: `batch.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from kedja.autodiff.forward import add, jvp, moves, tangent_of, times
from kedja.ir.graph import Node, apply, expanded, origin, topological, variable
from kedja.ir.op import (
    Bundle,
    ByExpansion,
    Forward,
    Inner,
    Linear,
    Multilinear,
    NoDerivative,
    Partials,
)

Cotangents = list[Node | None]
Known = dict[Node, Any]  # the cotangent of a node, or the list of those of its several outputs


def vjp(
    outputs: Sequence[Node], cotangents: Sequence[Node], wrt: Sequence[Node]
) -> list[Node | None]:
    """The cotangents of the nodes `wrt`, given those of the outputs: Jᵀ·g.

    None stands for a node on which no output depends (that is not the same as zero).
    """
    known = backward(outputs, cotangents, wrt)
    return [known.get(node) for node in wrt]


def backward(outputs: Sequence[Node], cotangents: Sequence[Node], wrt: Sequence[Node]) -> Known:
    """The cotangents of every node between `wrt` and the outputs."""
    order = topological(outputs)
    needed = _depending(order, wrt)
    known: Known = {}
    for node, g in zip(outputs, cotangents, strict=True):
        if node in needed:
            known[node] = add(known.get(node), g)
    for node in reversed(order):
        if node in known:
            _pass_on(node, known, needed)
    return known


def gradient(output: Node, wrt: Sequence[Node]) -> list[Node | None]:
    """∂output/∂x for each x of `wrt`; the output must be a scalar of a float dtype."""
    with origin(output, back=True):
        one = apply("full", value=1, shape=output.shape, dtype=output.dtype)
    return vjp([output], [one], wrt)


def _depending(order: Sequence[Node], wrt: Sequence[Node]) -> set[Node]:
    """The nodes through which a gradient reaches `wrt`."""
    needed = set(wrt)
    for node in order:
        if moves(node) and any(each in needed for each in node.inputs):
            needed.add(node)
    return needed


def _pass_on(node: Node, known: Known, needed: set[Node]) -> None:
    wanted = [each in needed for each in node.inputs]
    if not any(wanted):
        return
    if node.op.name == "part":
        _gather(node, known)
        return
    with origin(node, back=True):
        for each, g in zip(node.inputs, input_cotangents(node, known[node], wanted), strict=True):
            if g is not None and each in needed:
                known[each] = add(known.get(each), g)


def _gather(part: Node, known: Known) -> None:
    """The cotangent of one of several outputs, kept until those of the others are there too."""
    (several,), place = part.inputs, part.attrs["place"]
    assert isinstance(several.type, Bundle)
    found = known.setdefault(several, [None] * len(several.type.parts))
    found[place] = add(found[place], known[part])


def input_cotangents(node: Node, g: Any, wanted: Sequence[bool]) -> Cotangents:
    """What one node gives to each of its inputs; None where nothing comes back.

    `g` is the node's cotangent, or for several outputs the list of theirs, with None for zero.
    """
    match node.op.derivative:
        case NoDerivative():
            return [None] * len(node.inputs)
        case Partials(rules):
            return [
                times(rule(node, *node.inputs), g) if want and rule is not None else None
                for rule, want in zip(rules, wanted, strict=True)
            ]
        case Linear(rules) | Multilinear(rules) | Forward(_, tuple() as rules):
            if callable(rules):
                return [rules(g, node, i) if want else None for i, want in enumerate(wanted)]
            return [
                rule(g, node) if want and rule is not None else None
                for rule, want in zip(rules, wanted, strict=True)
            ]
        case Forward():
            return _by_transposition(node, g, wanted)
        case Inner(_, reverse_rule):
            found: Cotangents = reverse_rule(DIFFERENTIATOR, node, g, wanted)
            return found
        case ByExpansion():
            return _by_expansion(node, g, wanted)


def _by_transposition(node: Node, g: Any, wanted: Sequence[bool]) -> Cotangents:
    """A forward rule is linear in the tangent, so its own reverse mode is its transpose."""
    result: Cotangents = []
    for place, (each, want) in enumerate(zip(node.inputs, wanted, strict=True)):
        if not want:
            result.append(None)
            continue
        tangent = variable("tangent", each.type)
        out = tangent_of(node, [tangent if i == place else None for i in range(len(wanted))])
        result.append(_transposed(out, g, tangent))
    return result


def _transposed(out: Any, g: Any, tangent: Node) -> Node | None:
    outs, gs = (out, g) if isinstance(out, list) else ([out], [g])
    pairs = [(o, c) for o, c in zip(outs, gs, strict=True) if o is not None and c is not None]
    if not pairs:
        return None
    return vjp([o for o, _ in pairs], [c for _, c in pairs], [tangent])[0]


def _by_expansion(node: Node, g: Node, wanted: Sequence[bool]) -> Cotangents:
    """Through the named subgraph, whose inputs are copies so that the walk ends at them."""
    copies = [apply("copy", each) for each in node.inputs]
    chosen = [each for each, want in zip(copies, wanted, strict=True) if want]
    found = iter(vjp([expanded(node, copies)], [g], chosen))
    return [next(found) if want else None for want in wanted]


DIFFERENTIATOR = SimpleNamespace(jvp=jvp, vjp=vjp)
