"""Graphs as text. Next: `meaning.py`."""

from __future__ import annotations

from mini.graph import Node, topological

SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "greater": ">", "matmul": "@"}


def show(*outputs: Node) -> str:
    """One line for each node, inputs before users."""
    names: dict[Node, str] = {}
    lines = []
    for node in topological(outputs):
        names[node] = f"%{len(names)}"
        parts = ", ".join(names[x] for x in node.inputs) if node.inputs else leaf(node)
        lines.append(f"{names[node]} = {node.op}({parts})  {list(node.shape)}")
    return "\n".join(lines)


def leaf(node: Node) -> str:
    """The name of an input, or a number without needless zeros."""
    return node.label if isinstance(node.label, str) else f"{node.label:g}"


def formula(node: Node) -> str:
    """The expression as one writes it, with brackets around whatever has two operands."""
    node = beneath(node)
    if not node.inputs:
        return leaf(node)
    if node.op in SIGNS:
        return f" {SIGNS[node.op]} ".join(map(bracketed, node.inputs))
    if node.op == "negative":
        return f"-{bracketed(node.inputs[0])}"
    return f"{node.op}({', '.join(map(formula, node.inputs))})"


def bracketed(node: Node) -> str:
    text = formula(node)
    return f"({text})" if beneath(node).op in SIGNS else text


def beneath(node: Node) -> Node:
    """The node under its broadcasts, which formulas leave out."""
    return beneath(node.inputs[0]) if node.op == "broadcast" else node
