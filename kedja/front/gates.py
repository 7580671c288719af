"""What a node does with the gradient that arrives at it, in one phrase: the rule of its gate.

Not here: gradients in numbers (`explaining.py`). Next: `rows.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from kedja.front.derivation import is_elementwise, module
from kedja.ir.graph import Node
from kedja.ir.op import ByExpansion, Leaf, NoDerivative, Partials

LOCAL = "multiplies by the local derivative"


def gate(node: Node, names: Mapping[Node, str]) -> str:
    """What a node's op does with the gradient, in one phrase; empty for leaves.

    Where it multiplies by local derivatives, these are written out in the inputs' names.
    """
    op = node.op
    if isinstance(op.lowering, Leaf):
        return ""
    if isinstance(op.derivative, NoDerivative):
        return op.gate or f"no gradient: {op.derivative.reason}"
    if isinstance(op.derivative, Partials) and not any(op.derivative.rules):
        return "no gradient: it is constant almost everywhere"
    by_parts = isinstance(op.derivative, ByExpansion) and is_elementwise(node)
    if op.gate and not op.gate.startswith(LOCAL) and not by_parts:
        return op.gate
    return _by_local_derivatives(node, names)


def _by_local_derivatives(node: Node, names: Mapping[Node, str]) -> str:
    partials = module(node, names)
    if not partials.partials or not partials.elementwise:
        return node.op.gate or f"{LOCAL}s"
    if len(partials.partials) == 1:
        return f"multiplies by {next(iter(partials.partials.values()))}, the local derivative"
    return f"{LOCAL}s: {', '.join(partials.texts())}"


def phrase(rule: str) -> str:
    """The rule's name without what it means: `multiply swaps`."""
    name = rule.split(":")[0].removesuffix(", the local derivative")
    return name if name.startswith("multiplies") else name.split(",")[0]
