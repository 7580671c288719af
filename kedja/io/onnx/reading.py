"""From the protocol buffers of ONNX to a plan: arrays, attributes, and a rule for each node.

A node is run by a function of the model itself, by a rule of ours, or by the body that ONNX gives
for it, in this order. All nodes that have none of these are named in one error.
Not here: what a file is (`model.py`). Next: `bodies.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from kedja.ground.dtypes import convert
from kedja.ground.errors import DataError, UnsupportedError
from kedja.io.onnx import bodies, elements, extra
from kedja.io.onnx.operators import LEFT_OUT, NEWEST, find
from kedja.io.onnx.plan import (
    Array,
    Function,
    Operator,
    Plan,
    Port,
    Reference,
    Step,
    TypedFunction,
)

Opsets = Mapping[str, int]
Key = tuple[str, str, str]  # domain, name, overload


def plain_domain(domain: str) -> str:
    """The empty name for ONNX's own operators, which have two."""
    return "" if domain == "ai.onnx" else domain


def opsets_of(imports: Iterable[Any]) -> dict[str, int]:
    """The version of each operator set; UnsupportedError for one that is newer than this reader."""
    found = {plain_domain(each.domain): int(each.version) for each in imports}
    for domain, version in found.items():
        newest = NEWEST.get(domain, version)
        if version > newest:
            raise UnsupportedError(
                f"the model needs version {version} of the operator set {domain or 'ai.onnx'}, "
                f"the newest known here is {newest}",
                fix="export it for an older opset, or use a newer kedja",
            )
    return found


def read_model(proto: Any) -> Plan:
    """The plan of a `ModelProto`."""
    reader = Reader(opsets_of(proto.opset_import), proto.functions)
    plan = reader.plan(proto.graph)
    metadata = {each.key: each.value for each in proto.metadata_props}
    reader.require_complete()
    return Plan(plan.name, plan.inputs, plan.outputs, plan.arrays, plan.steps, metadata)


class Reader:
    """Reads graphs under one choice of operator sets; gathers what has no rule."""

    def __init__(self, opsets: Opsets, functions: Iterable[Any] = ()) -> None:
        self.opsets = opsets
        self._protos = {_key(each): each for each in functions}
        self._functions: dict[Key, Function] = {}
        self.missing: dict[str, list[str]] = {}

    def require_complete(self) -> None:
        """UnsupportedError with every operator that has no rule, and the nodes that use it."""
        if not self.missing:
            return
        lines = []
        for what, labels in self.missing.items():
            shown = ", ".join(map(repr, labels[:3]))
            more = f" and {len(labels) - 3} more" if len(labels) > 3 else ""
            lines.append(f"{what} (node {shown}{more})")
        raise UnsupportedError(
            "ONNX operators without a counterpart here: " + "\n    ".join(lines),
            fix="docs/onnx.md lists what can be read, and why the rest cannot",
        )

    # ------------------------------------------------------------------ graphs and nodes

    def plan(self, graph: Any) -> Plan:
        """A graph, with the graphs inside it."""
        arrays = {each.name: array_of(each) for each in graph.initializer}
        arrays |= {each.values.name: dense(each) for each in graph.sparse_initializer}
        inputs = tuple(port(each) for each in graph.input if each.name not in arrays)
        outputs = tuple(port(each) for each in graph.output)
        return Plan(graph.name, inputs, outputs, arrays, tuple(self.steps(graph.node)))

    def steps(self, nodes: Iterable[Any]) -> Iterator[Step]:
        """Nodes with their rules, in order."""
        for number, node in enumerate(nodes):
            label = node.name or f"{node.op_type}_{number}"
            domain = plain_domain(node.domain)
            attributes = {each.name: self.attribute(each) for each in node.attribute}
            yield Step(
                node.op_type,
                label,
                tuple(node.input),
                tuple(node.output),
                attributes,
                self.opsets.get(domain, 1),
                self._callee(node, domain, label),
            )

    def _callee(self, node: Any, domain: str, label: str) -> Operator | Function | TypedFunction:
        key = (domain, node.op_type, getattr(node, "overload", ""))
        if key in self._protos:
            return self._function(key)
        found = find(domain, node.op_type) or self._body(node, domain)
        if found is None:
            self._miss(domain, node.op_type, label)
            return Operator(node.op_type, _nothing)
        return found

    def _body(self, node: Any, domain: str) -> Function | TypedFunction | None:
        """The definition that ONNX itself gives for an operator."""
        version = self.opsets.get(domain, 1)
        plain = bodies.plain(node, domain, version)
        if plain is not None:
            more = bodies.defaults(node, domain, version)
            return _read_function(plain, {}, self.opsets, more)
        typed = bodies.typed(node, domain, version)
        if typed is None:
            return None

        known: dict[Any, Function] = {}

        def body(kinds: tuple[Any, ...], attributes: Mapping[str, Any]) -> Function:
            key = _types_key(kinds, attributes)
            if key not in known:
                made = typed(kinds, attributes)
                known[key] = _read_function(made, self._protos, self.opsets)
            return known[key]

        return TypedFunction(node.op_type, body)

    def _function(self, key: Key) -> Function:
        if key not in self._functions:
            self._functions[key] = _read_function(self._protos[key], self._protos, {})
        return self._functions[key]

    def _miss(self, domain: str, name: str, label: str) -> None:
        full = f"{domain}.{name}" if domain else name
        reason = LEFT_OUT.get(full)
        what = f"{full}: {reason}" if reason else full
        self.missing.setdefault(what, []).append(label)

    # ------------------------------------------------------------------ attributes

    def attribute(self, proto: Any) -> Any:
        """An attribute's value: numbers, texts, arrays, plans, or a reference to another one."""
        if proto.ref_attr_name:
            return Reference(proto.ref_attr_name)
        return _READERS[proto.type](self, proto)


def _types_key(kinds: tuple[Any, ...], attributes: Mapping[str, Any]) -> Any:
    """What a body depends on: types, and attributes that a function around may have set."""
    plain = ((n, v) for n, v in attributes.items() if isinstance(v, (int, float, str, tuple)))
    return tuple(each.SerializeToString() for each in kinds), tuple(sorted(plain))


def _nothing(*_: Any) -> None:
    """The rule of an operator that has none: a plan with such a step is never run."""


def _key(proto: Any) -> Key:
    return plain_domain(proto.domain), proto.name, getattr(proto, "overload", "")


def _read_function(
    proto: Any, others: Mapping[Key, Any], opsets: Opsets, more_defaults: Iterable[Any] = ()
) -> Function:
    """A function of the model or of ONNX; what it says of operator sets goes before `opsets`."""
    mine = _key(proto)
    rest = [each for key, each in others.items() if key != mine]
    reader = Reader({**opsets, **opsets_of(proto.opset_import)}, rest)
    defaults = {
        each.name: reader.attribute(each) for each in (*more_defaults, *proto.attribute_proto)
    }
    steps = tuple(reader.steps(proto.node))
    reader.require_complete()
    return Function(proto.name, tuple(proto.input), tuple(proto.output), defaults, steps)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


_READERS: dict[int, Callable[[Reader, Any], Any]] = {  # by the numbers of AttributeType
    1: lambda _, a: float(a.f),
    2: lambda _, a: int(a.i),
    3: lambda _, a: _text(a.s),
    4: lambda _, a: array_of(a.t),
    5: lambda reader, a: reader.plan(a.g),
    6: lambda _, a: tuple(map(float, a.floats)),
    7: lambda _, a: tuple(map(int, a.ints)),
    8: lambda _, a: tuple(map(_text, a.strings)),
    9: lambda _, a: tuple(map(array_of, a.tensors)),
    10: lambda reader, a: tuple(map(reader.plan, a.graphs)),
    11: lambda _, a: dense(a.sparse_tensor),
    12: lambda _, a: tuple(map(dense, a.sparse_tensors)),
    13: lambda _, a: port_type(a.tp),
    14: lambda _, a: tuple(map(port_type, a.type_protos)),
}

# -------------------------------------------------------------------------------- arrays


def array_of(proto: Any) -> Array:
    """A `TensorProto` as an array.

    Raises UnsupportedError for an element type that is none here, DataError for broken contents.
    """
    dtype = elements.dtype_of(proto.data_type, f"the array {proto.name!r}")
    onnx = extra.load()
    try:
        array = onnx.numpy_helper.to_array(proto)
    except (ValueError, TypeError, OSError, onnx.checker.ValidationError) as error:
        fix = "load the model by its path, so that the files beside it are found"
        raise DataError(f"the array {proto.name!r} cannot be read: {error}", fix=fix) from error
    return convert(np.asarray(array), dtype)


def dense(proto: Any) -> Array:
    """A `SparseTensorProto` as an ordinary array."""
    values, places = array_of(proto.values), array_of(proto.indices)
    whole = np.zeros(tuple(proto.dims), values.dtype)
    if places.ndim == 1:
        whole.reshape(-1)[places] = values
    else:
        whole[tuple(places.T)] = values
    return whole


# ------------------------------------------------------------------------------ declared types


def port(proto: Any) -> Port:
    """A `ValueInfoProto`: the name and the type of an input or output."""
    dtype, shape = port_type(proto.type, f"the input or output {proto.name!r}")
    return Port(proto.name, dtype, shape)


def port_type(proto: Any, what: str = "") -> tuple[Any, Any]:
    """The dtype and shape that a `TypeProto` declares; None for what is no tensor."""
    if proto.WhichOneof("value") != "tensor_type" or not proto.tensor_type.elem_type:
        return None, None
    kind = proto.tensor_type
    shape = tuple(map(_extent, kind.shape.dim)) if kind.HasField("shape") else None
    return elements.dtype_of(kind.elem_type, what), shape


def _extent(dim: Any) -> Any:
    which = dim.WhichOneof("value")
    if which == "dim_value":
        return int(dim.dim_value)
    return str(dim.dim_param) if which == "dim_param" else None
