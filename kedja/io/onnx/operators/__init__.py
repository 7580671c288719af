"""The operators of ONNX that are read here, by families: one table of rules each.

Not here: operators that ONNX itself defines by others (`bodies.py`). `kedja/io/onnx/call.py` says
what a rule is handed. Start at `elementwise.py`.
"""

from __future__ import annotations

from kedja.io.onnx.operators import (
    activations,
    choosing,
    control,
    convolution,
    drawing,
    elementwise,
    indexing,
    learning,
    losses,
    making,
    movement,
    normalization,
    pooling,
    products,
    quantization,
    recurrent,
    reduce,
    resizing,
    sampling,
    sequences,
    signals,
)
from kedja.io.onnx.operators.left_out import LEFT_OUT
from kedja.io.onnx.plan import Operator

FAMILIES = (
    activations,
    choosing,
    control,
    convolution,
    drawing,
    elementwise,
    indexing,
    learning,
    losses,
    making,
    movement,
    normalization,
    pooling,
    products,
    quantization,
    recurrent,
    reduce,
    resizing,
    sampling,
    sequences,
    signals,
)

# The newest version of each operator set whose operators are known here.
NEWEST = {"": 28, "ai.onnx.ml": 5, "ai.onnx.preview": 1, "ai.onnx.preview.training": 1}

OPERATORS = {each.name: each for family in FAMILIES for each in family.OPERATORS}


def find(domain: str, name: str) -> Operator | None:
    """The rule of an operator; those outside ONNX's own set stand under `domain.Name`."""
    return OPERATORS.get(f"{domain}.{name}" if domain else name)


__all__ = ["LEFT_OUT", "NEWEST", "OPERATORS", "find"]
