"""Forward mode: tangents travel with the values, from the inputs to the outputs.

One rule for each kind of derivative turns the tangents of an op's inputs into that of its output.
The result is a graph. Not here: the rules of single ops (`kedja/ops`). Next: `reverse.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from kedja.ground.dtypes import is_float
from kedja.ir.graph import Node, expanded, is_full, origin, rebuild, topological, zeros_like
from kedja.ir.op import (
    Bundle,
    ByExpansion,
    Forward,
    Inner,
    Linear,
    Multilinear,
    NoDerivative,
    Partials,
    Rule,
)

Rules = Sequence[Rule | None]
Tangent = Node | list[Node | None] | None  # a list for an op with several outputs


def jvp(outputs: Sequence[Node], tangents: Mapping[Node, Node]) -> list[Node]:
    """The tangents of the outputs, given those of some nodes: J·t for each output.

    Outputs that depend on none of those nodes get zeros.
    """
    known: dict[Node, Tangent] = dict(tangents)
    for node in topological(outputs, leaves=tangents):
        if node not in known:
            known[node] = tangent_of(node, [known[each] for each in node.inputs])
    return [_or_zeros(known[node], node) for node in outputs]


def _or_zeros(tangent: Tangent, node: Node) -> Node:
    assert not isinstance(tangent, list)
    return zeros_like(node) if tangent is None else tangent


def tangent_of(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    """The tangent of one node from those of its inputs; a list where it has several outputs.

    None stands for zero everywhere.
    """
    if all(tangent is None for tangent in tangents):
        return None
    with origin(node):
        if node.op.name == "part":
            several: Any = tangents[0]  # those of all the outputs
            picked: Node | None = several[node.attrs["place"]]
            return picked
        return _tangent(node, tangents) if moves(node) else None


def moves(node: Node) -> bool:
    """Whether a node can have a tangent: it, or one of its outputs, is a float."""
    if isinstance(node.type, Bundle):
        return any(is_float(each.dtype) for each in node.type.parts)
    return is_float(node.dtype)


def _tangent(node: Node, tangents: Sequence[Any]) -> Tangent:
    match node.op.derivative:
        case NoDerivative():
            return None
        case Partials(rules):
            return _by_partials(node, rules, tangents)
        case Linear(_, rule):
            return _by_rule(node, rule or _by_linearity, tangents)
        case Multilinear():
            return _by_products(node, tangents)
        case Forward(forward_rule):
            return _by_rule(node, forward_rule, tangents)
        case Inner(inner_rule, _):
            found: list[Node | None] = inner_rule(_differentiator(), node, tangents)
            return found
        case ByExpansion():
            return _by_expansion(node, tangents)


def _differentiator() -> SimpleNamespace:
    return SimpleNamespace(jvp=jvp)


def _by_rule(node: Node, rule: Rule, tangents: Sequence[Node | None]) -> Tangent:
    moved: Tangent = rule(node, tangents)
    return moved


def _by_partials(node: Node, rules: Rules, tangents: Sequence[Node | None]) -> Node | None:
    """Σ ∂y/∂x_i · t_i."""
    total = None
    for rule, tangent in zip(rules, tangents, strict=True):
        if rule is not None and tangent is not None:
            total = add(total, times(rule(node, *node.inputs), tangent))
    return total


def _by_linearity(node: Node, tangents: Sequence[Node | None]) -> Node:
    """The op itself on the tangents; inputs that take none (conditions, indices) stay."""
    moved = [
        _or_zeros(tangent, each) if is_float(each.dtype) else each
        for each, tangent in zip(node.inputs, tangents, strict=True)
    ]
    return rebuild(node, moved)


def _by_products(node: Node, tangents: Sequence[Node | None]) -> Node | None:
    """The product rule: one input at a time is replaced by its tangent."""
    total = None
    for place, tangent in enumerate(tangents):
        if tangent is not None:
            inputs = (*node.inputs[:place], tangent, *node.inputs[place + 1 :])
            total = add(total, rebuild(node, inputs))
    return total


def _by_expansion(node: Node, tangents: Sequence[Node | None]) -> Node | None:
    given = {
        each: tangent
        for each, tangent in zip(node.inputs, tangents, strict=True)
        if tangent is not None
    }
    return jvp([expanded(node)], given)[0]


def add(total: Node | None, term: Node) -> Node:
    """A sum that starts from nothing instead of from zeros."""
    return term if total is None else total + term


def times(partial: Node, g: Node) -> Node:
    """A product in which a factor of one is left out, so that formulas stay short."""
    return g if is_full(partial, 1) else partial * g
