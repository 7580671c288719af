"""Where the user made a node, as short text and as JSON. Used by all that prints graphs.

Next: `graph.py`.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from kedja.ir.graph import Node


def place_of(node: Node) -> str:
    """The file (without its folder) and line where the user made a node; empty if unknown."""
    if node.source is None:
        return ""
    return f"{PurePath(node.source.file).name}:{node.source.line}"


def source_record(node: Node) -> dict[str, Any] | None:
    """The user's line as JSON, or None."""
    if node.source is None:
        return None
    return {
        "file": node.source.file,
        "line": node.source.line,
        "function": node.source.function,
        "text": node.source.text,
    }
