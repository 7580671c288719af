"""The one table from our ops to ONNX: what each becomes, groups of them first.

Composites without an entry are expanded; ops without an expansion cannot be exported, which is an
error that names them. Next: `traces.py`.
"""

from __future__ import annotations

from kedja.io.onnx.writing import control, elementwise, movement, reduce, spatial
from kedja.io.onnx.writing.patterns import PATTERNS
from kedja.io.onnx.writing.selection import Choice, Context, Rule
from kedja.ir.graph import Node

ONE_BY_ONE: dict[str, Rule] = {
    **elementwise.RULES,
    **movement.RULES,
    **reduce.RULES,
    **spatial.RULES,
    **control.RULES,
}


def grouped(op: str, rule: Rule) -> Rule:
    """The rule of an op, after the patterns that end with it."""

    def first(context: Context, node: Node) -> Choice:
        for pattern in PATTERNS[op]:
            found = pattern(context, node)
            if found is not None:
                return found
        return rule(context, node)

    return first


RULES = {op: grouped(op, rule) if op in PATTERNS else rule for op, rule in ONE_BY_ONE.items()}
