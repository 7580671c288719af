"""The node tests that ship with the package onnx, and how a model of ours is compared with one.

Not here: the tests (`test_io_onnx_nodes.py`).
"""

from __future__ import annotations

import functools
import warnings
from typing import Any, NamedTuple

import numpy as np
import pytest

import kedja as kj
from kedja.io.onnx import OnnxModel

onnx = pytest.importorskip("onnx")


class Case(NamedTuple):
    """A model with inputs, expected outputs and tolerances."""

    name: str
    model: Any
    inputs: list[Any]
    outputs: list[Any]
    rtol: float
    atol: float


@functools.cache
def node_cases() -> tuple[Case, ...]:
    """All node tests of the package, in their order."""
    loader = pytest.importorskip("onnx.backend.test.loader")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # onnx computes expected values that overflow
        found = loader.load_model_tests(kind="node")
    return tuple(
        Case(each.name, each.model, *map(plain, arrays), each.rtol, each.atol)
        for each in found
        for arrays in each.data_sets
    )


def plain(value: Any) -> Any:
    """Arrays instead of ONNX's own tensors."""
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    return list(map(plain, value)) if isinstance(value, list | tuple) else value


def tensors(value: Any) -> Any:
    """Tensors instead of arrays."""
    if isinstance(value, list):
        return list(map(tensors, value))
    return None if value is None else kj.asarray(np.asarray(value))


def answers(model: OnnxModel, case: Case, *, compiled: bool = False) -> list[Any]:
    """The outputs of a model; compiled, with the inputs on which shapes depend held fixed."""
    given = dict(zip([each.name for each in model.inputs], map(tensors, case.inputs), strict=False))
    if compiled:
        known = {name: x for name, x in given.items() if name in model.known_inputs or x is None}
        rest = {name: x for name, x in given.items() if name not in known}
        found = kj.jit(lambda net, inputs: net(**known, **inputs))(model, rest)
    else:
        found = model(**given)
    return list(found) if isinstance(found, tuple) else [found]


def require_equal(expected: Any, found: Any, rtol: float, atol: float) -> None:
    """Types, shapes and values, as onnx's own runner compares them."""
    if expected is None or isinstance(expected, list):
        assert type(expected) is type(found)
        for pair in zip(expected or (), found or (), strict=True):
            require_equal(*pair, rtol, atol)
        return
    wanted, value = np.asarray(expected), found.numpy()
    require_same_type(wanted, value)
    if wanted.dtype.name == "bfloat16":  # two units in the last place
        rtol = max(rtol, 2**-6)
        wanted, value = wanted.astype(np.float32), value.astype(np.float32)
    np.testing.assert_allclose(value, wanted, rtol=rtol, atol=atol)


def require_same_type(expected: Any, found: Any) -> None:
    """The same dtype and shape."""
    assert (found.dtype, found.shape) == (np.asarray(expected).dtype, np.asarray(expected).shape)


def described(model: Any) -> set[str]:
    """The operators of a model, and the element types that its parts have, by name."""
    kinds = {number: name.lower() for name, number in onnx.TensorProto.DataType.items()}
    found = {type_name(kinds[each]) for each in element_types(model.graph)}
    pairs = ((each.domain, each.op_type) for each in nodes(model.graph))
    return found | {f"{domain}.{name}" if domain else name for domain, name in pairs}


def type_name(name: str) -> str:
    """An element type as `kedja.io.onnx.elements` names it: `float8e4m3fn`."""
    return name.replace("_", "")


def nodes(graph: Any) -> Any:
    """The nodes of a graph and of the graphs inside it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            yield from nodes(attribute.g)


def element_types(graph: Any) -> Any:
    """The element types of what a graph declares, holds and casts to."""
    for port in (*graph.input, *graph.output):
        yield _elements(port.type)
    for array in graph.initializer:
        yield array.data_type
    for node in nodes(graph):
        for each in node.attribute:
            yield each.t.data_type
            if each.name in ("to", "dtype", "output_dtype"):
                yield each.i


def _elements(kind: Any) -> int:
    which = kind.WhichOneof("value")
    if which in ("sequence_type", "optional_type"):
        return _elements(getattr(kind, which).elem_type)
    return int(kind.tensor_type.elem_type)
