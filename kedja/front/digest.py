"""A digest of what a graph computes, by which a changed program is noticed.

Not here: what a run does with it (`kedja/train`), and the compiler's own key of a graph.
Next: `kedja/train/checkpoint.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kedja.ir.graph import Node, topological


def digest(outputs: Sequence[Node]) -> str:
    """A SHA-256 of a graph: the same ops on the same constants have the same digest."""
    numbers: dict[Node, int] = {}
    found = hashlib.sha256()
    for node in topological(outputs):
        numbers[node] = len(numbers)
        inputs = [numbers[each] for each in node.inputs]
        attrs = _of_attrs(node.attrs)
        found.update(f"{node.op.name} {node.type} {inputs} {attrs}\n".encode())
    found.update(str([numbers[node] for node in outputs]).encode())
    return found.hexdigest()[:32]


def _of_attrs(attrs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The attributes that have a meaning; a node's name is for people."""
    return [(key, _text(attrs[key])) for key in sorted(attrs) if key != "name"]


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        little = np.asarray(value, value.dtype.newbyteorder("<"))
        return hashlib.sha256(little.tobytes()).hexdigest()
    return repr(value)
