"""The table of ops, walked for export: each sample case equals what onnxruntime computes.

An op that ONNX cannot express stands in a list here, and is refused by name. Not here: networks
(`test_io_onnx_export.py`).
"""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja.front.tensor import from_node
from kedja.ground.errors import UnsupportedError
from kedja.io.onnx import export
from kedja.ir.graph import apply, parts
from kedja.ir.op import TABLE, Bundle
from tests.io.onnx_exports import outputs_of, require_equal, run

LINEAR_ALGEBRA = (
    "qr", "eigh", "eigvalsh", "svd", "svdvals", "pinv", "cholesky", "triangular_solve", "solve",
    "inv", "cofactor", "lu",
)  # fmt: skip
NOT_EXPORTED = {
    **dict.fromkeys(LINEAR_ALGEBRA, "ONNX has no operator"),
    **dict.fromkeys(("threefry", "random_bits"), "random numbers cannot be exported"),
    "nextafter": "ONNX has no operator",
}
RTOL = 3e-5
LEAVES = ("input", "constant", "full", "iota", "part")
# onnxruntime gives Python no array of it.
WITHOUT_ARRAY = np.dtype(kj.bfloat16)


def narrow(array: np.ndarray) -> np.ndarray:
    """float64 as float32, which onnxruntime computes everything in."""
    return array.astype(np.float32) if array.dtype == np.float64 else array


def function_of(op, attrs):
    """The op as a function of tensors."""

    def call(*tensors):
        node = apply(op.name, *(each.node for each in tensors), **attrs)
        if isinstance(node.type, Bundle):
            return [from_node(each) for each in parts(node)]
        return from_node(node)

    return call


def has_graphs(case) -> bool:
    return bool({"body", "yes", "condition"} & set(case.attrs))


@pytest.mark.parametrize("name", [name for name in TABLE if name not in LEAVES])
def test_each_op_equals_its_export(name):
    op = TABLE[name]
    for case in op.sample(np.random.default_rng(0)):
        inputs = [each if has_graphs(case) else narrow(each) for each in case.inputs]
        function = function_of(op, case.attrs)
        if name in NOT_EXPORTED:
            with pytest.raises(UnsupportedError, match=NOT_EXPORTED[name]):
                export(function, tuple(inputs), dynamic_batch=False)
            continue
        if case.attrs.get("dtype") == WITHOUT_ARRAY:
            continue
        model = export(function, tuple(inputs), dynamic_batch=False)
        require_equal(run(model, inputs), outputs_of(function, inputs), RTOL)


def test_the_list_of_what_is_not_exported_names_ops():
    assert set(NOT_EXPORTED) <= set(TABLE)


def test_older_operators_are_written_for_an_older_opset():
    for opset in (18, 19, 20, 21, 22, 23):
        model = export(kj.gelu, np.ones((2, 3), np.float32), opset=opset)
        used = {node.op_type for node in model.graph.node}
        assert ("Gelu" in used) == (opset >= 20)
        x = np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3)
        np.testing.assert_allclose(run(model, [x])[0], kj.gelu(x).numpy(), atol=1e-6)
