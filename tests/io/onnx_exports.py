"""How an exported model is compared with the function that it was made of: by onnxruntime, at
several batch sizes, and by reading it back.

Not here: the tests (`test_io_onnx_export.py`, `test_io_onnx_export_ops.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import kedja as kj
from kedja.io.onnx import export, load

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
runtime.set_default_logger_severity(4)


def session_of(model: Any) -> Any:
    """onnxruntime's session of a model."""
    return runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def run(model: Any, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs that onnxruntime computes."""
    session = session_of(model)
    names = [port.name for port in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs, strict=True)))


def resized(example: np.ndarray, axis: int | None, batch: int, seed: int) -> np.ndarray:
    """Random numbers of the shape of an example, with another batch size."""
    shape = [batch if place == axis else n for place, n in enumerate(example.shape)]
    rng = np.random.default_rng(seed)
    if example.dtype.kind in "iu":
        return rng.integers(0, 5, shape).astype(example.dtype)
    if example.dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    return rng.normal(size=shape).astype(example.dtype)


def outputs_of(function: Callable[..., Any], inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What the function itself gives."""
    found = function(*(kj.asarray(each) for each in inputs))
    return [leaf.numpy() for leaf in kj.tree.leaves(found)]


def require_equal(found: Sequence[np.ndarray], expected: Sequence[np.ndarray], rtol: float) -> None:
    """Types, shapes and values; small numbers are compared with the largest."""
    assert len(found) == len(expected)
    for value, wanted in zip(found, expected, strict=True):
        assert (value.dtype, value.shape) == (wanted.dtype, wanted.shape)
        scale = np.abs(wanted[np.isfinite(wanted)].astype(float)).max(initial=1e-3)
        np.testing.assert_allclose(
            value.astype(float), wanted.astype(float), rtol=rtol, atol=rtol * scale
        )


def require_exported(
    function: Callable[..., Any],
    *examples: np.ndarray,
    axes: Sequence[int | None] | None = None,
    batches: Sequence[int] = (1, 3, 6),
    rtol: float = 1e-5,
    **options: Any,
) -> Counter[str]:
    """Export, compare with onnxruntime and with the model read back; the operators that it has."""
    if axes is not None:
        options["dynamic_batch"] = axes
    model = export(function, tuple(examples), **options)
    back = load(model)
    fixed = options.get("dynamic_batch", True) is False
    where = axes or (0,) * len(examples)
    for batch in batches:
        pairs = enumerate(zip(examples, where, strict=True))
        inputs = [
            each if fixed else resized(each, axis, batch, seed) for seed, (each, axis) in pairs
        ]
        expected = outputs_of(function, inputs)
        require_equal(run(model, inputs), expected, rtol)
        require_equal(outputs_of(back, inputs), expected, rtol)
    return Counter(node.op_type for node in model.graph.node)
