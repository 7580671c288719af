"""`OnnxModel`: an ONNX graph as a module, to be called, compiled, differentiated, fine-tuned.

Not here: what its operators mean (`operators`). Next: `reading.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.errors import DataError, DtypeError, ShapeError, UsageError
from kedja.ground.suggest import did_you_mean
from kedja.io.onnx import extra, reading, running, sorting
from kedja.io.onnx.call import Value, tensor_of
from kedja.io.onnx.plan import Extent, Plan, Port
from kedja.ir.graph import locating
from kedja.nn.module import Buffer, Module

Source = str | os.PathLike[str] | bytes | Any  # Any: an onnx.ModelProto


class OnnxModel(Module):
    """A network that was read from an ONNX model; made by `kj.io.onnx.load`.

    Called with its inputs in order or by name, it gives its output, or a tuple of them. Its arrays
    of floats are parameters under the names that they have in the model; numbers alone and the
    statistics of batch norms are buffers; shapes and the like are fixed.
    """

    _inline: ClassVar[str] = "weights"
    weights: dict[str, Tensor]
    fixed: Buffer
    plan: Plan

    @property
    def inputs(self) -> tuple[Port, ...]:
        """What the model takes: names, dtypes and shapes."""
        return self.plan.inputs

    @property
    def outputs(self) -> tuple[Port, ...]:
        """What the model gives: names, dtypes and shapes."""
        return self.plan.outputs

    @property
    def known_inputs(self) -> tuple[str, ...]:
        """The inputs on whose values shapes depend: a compiled function cannot trace them."""
        known = sorting.needed(self.plan.steps)
        return tuple(each.name for each in self.inputs if each.name in known)

    @property
    def metadata(self) -> dict[str, str]:
        """The texts that the model carries."""
        return dict(self.plan.metadata)

    def initializers(self) -> dict[str, Tensor]:
        """Parameters and buffers under the names that they have in the model."""
        fixed: Any = self.fixed
        return {**self.weights, **fixed}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The output, or a tuple of the outputs; inputs in order, or by name.

        Raises UsageError for a missing or unknown input, DtypeError and ShapeError for one that
        does not fit, TracingError where a shape depends on the values of a traced input.
        """
        found = self._run(args, kwargs)
        return found[0] if len(found) == 1 else tuple(found)

    def named(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """As a call, with the outputs by name."""
        names = [each.name for each in self.outputs]
        return dict(zip(names, self._run(args, kwargs), strict=True))

    def _run(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Value]:
        with locating():
            given = _taken(self.inputs, args, kwargs)
        return running.run(self.plan, {**self.initializers(), **given})

    def extra_repr(self) -> str:
        """Name, inputs and outputs."""
        takes, gives = (", ".join(map(str, each)) for each in (self.inputs, self.outputs))
        return f"{self.plan.name!r}: {takes} -> {gives}"


# ------------------------------------------------------------------------------------- load


def load(source: Source) -> OnnxModel:
    """Read an ONNX model from a file, from bytes, or from an `onnx.ModelProto`.

    Every node is checked before anything runs. Raises UnsupportedError, naming all operators (with
    their nodes), element types or operator sets that have no counterpart here, DataError where
    the file cannot be read or the model is broken, MissingExtra without the package onnx.
    """
    extra.load()
    with locating():
        plan = reading.read_model(_proto(source))
        roles = sorting.roles(plan)
    kept = {name: each for name, each in plan.arrays.items() if name not in roles.taken}
    rest = Plan(plan.name, plan.inputs, plan.outputs, kept, plan.steps, plan.metadata)
    weights = {name: tensor_of(plan.arrays[name]) for name in roles.weights}
    fixed = {name: tensor_of(plan.arrays[name]) for name in roles.fixed}
    return OnnxModel(weights, fixed, rest)  # type: ignore[arg-type]


def _proto(source: Source) -> Any:
    """The protocol buffer of a model, from whatever it was given as."""
    onnx = extra.load()
    if isinstance(source, onnx.ModelProto):
        return _complete(source, None)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _complete(_decoded(lambda: onnx.ModelProto.FromString(bytes(source)), None), None)
    if isinstance(source, (str, os.PathLike)):
        where = os.fspath(source)
        return _complete(_decoded(lambda: onnx.load(Path(source)), where), where)
    raise UsageError(
        f"an ONNX model of {type(source).__name__}", fix="a path, bytes, or a ModelProto"
    )


def _decoded(read: Callable[[], Any], where: str | None) -> Any:
    try:
        return read()
    except OSError as error:
        raise DataError(f"cannot read: {error.strerror or error}", where=where) from error
    except extra.decode_errors() as error:
        raise DataError(f"this is no ONNX model: {error}", where=where) from error


def _complete(proto: Any, where: str | None) -> Any:
    if not proto.HasField("graph") or not proto.opset_import:
        what = "this is no ONNX model: it has no graph, or names no operator set"
        raise DataError(what, where=where)
    return proto


# ----------------------------------------------------------------------------------- inputs


def _taken(
    ports: Sequence[Port], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Value]:
    """The inputs by name, checked against what the model declares."""
    names = [each.name for each in ports]
    if len(args) > len(ports):
        raise UsageError(f"{len(args)} inputs for a model that takes {len(ports)}: {names}")
    given = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name not in names or name in given:
            fix = did_you_mean(name, names) if name not in names else "give it once"
            raise UsageError(f"the model's inputs are {names}, not {name!r}", fix=fix)
        given[name] = value
    symbols: dict[str, int] = {}
    return {each.name: _fitting(each, given, symbols) for each in ports}


def _fitting(port: Port, given: Mapping[str, Any], symbols: dict[str, int]) -> Value:
    if port.name not in given:
        raise UsageError(f"the model's input {port.name!r} is missing", fix=f"it takes {port}")
    value = given[port.name]
    if port.dtype is None:
        return _plain(value)
    if not isinstance(value, (Tensor, np.ndarray, np.generic)):
        value = Tensor(value, port.dtype)
    tensor = as_tensor(value)
    if tensor.dtype != port.dtype:
        raise DtypeError(
            f"the input {port.name!r} is {tensor.dtype.name}, the model takes {port}",
            fix=f"x.astype({port.dtype.name!r})",
        )
    _require_shape(port, tensor, symbols)
    return tensor


def _plain(value: Any) -> Value:
    """A sequence, an optional value, or a tensor of an undeclared type."""
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return as_tensor(value)


def _require_shape(port: Port, x: Tensor, symbols: dict[str, int]) -> None:
    if port.shape is None:
        return
    fits = len(port.shape) == x.ndim
    if fits:
        pairs = zip(port.shape, x.shape, strict=True)
        fits = all(_fits(each, extent, symbols) for each, extent in pairs)
    if not fits:
        known = ", ".join(f"{name} = {n}" for name, n in symbols.items())
        raise ShapeError(
            f"the input {port.name!r} has shape {list(x.shape)}, the model takes {port}"
            + (f" ({known} here)" if known else "")
        )


def _fits(declared: Extent, extent: int, symbols: dict[str, int]) -> bool:
    if isinstance(declared, str) and declared:
        return symbols.setdefault(declared, extent) == extent
    return not isinstance(declared, int) or declared == extent
