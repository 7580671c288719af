"""What the batch facets of several families share: axes moved on by one, all inputs in front.

A batched value has its batch axis in front. Not here: the walk that applies the facets
(`kedja/autodiff/batch.py`). Next: `elementwise.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kedja.ir.graph import Node
from kedja.ir.op import Shifted


def moved(*names: str) -> Shifted:
    """The attributes of these names count axes (one, or several), which move on by one."""

    def attrs(node: Node, size: int) -> dict[str, Any]:
        return {**node.attrs, **{name: behind(node.attrs[name]) for name in names}}

    return Shifted(attrs)


def behind(axes: Any) -> Any:
    """An axis, or several, behind a new one in front."""
    return tuple(axis + 1 for axis in axes) if isinstance(axes, tuple) else axes + 1


def in_front(b: Any, inputs: Sequence[Node], batched: Sequence[bool], size: int) -> list[Node]:
    """All inputs with the leading axis."""
    return [x if leads else b.front(x, size) for x, leads in zip(inputs, batched, strict=True)]
