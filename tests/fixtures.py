"""What several test files share: graphs from arrays, and the tiers that exist here.

Not here: fixtures that pytest injects (`conftest.py`). Next: `tests/ops/walk.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
import pytest

from kedja.front import functions  # noqa: F401  fills the table of ops
from kedja.ir.graph import Node, apply, variable
from kedja.ir.op import Type

COMPILER = "kedja.compiler.pipeline"
needs_compiler = pytest.mark.skipif(find_spec(COMPILER) is None, reason=f"needs {COMPILER}")
TIERS = ["interpret", pytest.param("compile", marks=needs_compiler)]
float32, float64 = np.dtype(np.float32), np.dtype(np.float64)


def variables(arrays: Sequence[np.ndarray]) -> list[Node]:
    """One input of a graph for each array, of its shape and dtype."""
    return [variable(f"x{i}", Type(each.shape, each.dtype)) for i, each in enumerate(arrays)]


def total(node: Node) -> Node:
    """The sum over all axes."""
    return apply("sum", node, axes=tuple(range(len(node.shape))))
