"""Graphs as text. Next: `meaning.py`."""

from __future__ import annotations

from collections.abc import Sequence

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
    """The whole expression as one writes it; broadcasts are left out."""
    node = beneath(node)
    if not node.inputs:
        return leaf(node)
    return written(node.op, [(beneath(x).op, formula(x)) for x in node.inputs])


def beneath(node: Node) -> Node:
    """The node under its broadcasts."""
    return beneath(node.inputs[0]) if node.op == "broadcast" else node


def written(op: str, operands: Sequence[tuple[str, str]]) -> str:
    """An operation on operands, each given by the operation that made it and its text."""
    texts = [f"({text})" if made in SIGNS else text for made, text in operands]
    if op in SIGNS:
        return f" {SIGNS[op]} ".join(texts)
    if op == "negative":
        return f"-{texts[0]}"
    return f"{op}({', '.join(text for _, text in operands)})"
