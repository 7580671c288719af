"""Export: a module or a function of tensors written as an ONNX model.

Not here: what each op becomes (`writing/rules.py`), reading (`model.py`).
Next: `writing/extents.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kedja.front import tree
from kedja.ground.errors import UnsupportedError, UsageError, VerificationError
from kedja.io import atomic
from kedja.io.onnx import extra
from kedja.io.onnx.writing.extents import Alignment, Extent
from kedja.io.onnx.writing.rules import RULES
from kedja.io.onnx.writing.selection import Context
from kedja.io.onnx.writing.traces import Example, Traces, example_of, traced
from kedja.io.onnx.writing.writer import Names, Writer, tensor_proto, value_info
from kedja.ir.graph import Node, locating
from kedja.version import __version__

OPSET = 20
OLDEST, NEWEST = 18, 23
IR_VERSIONS = {18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11}
LARGEST = 2**31 - 2**20  # bytes: protocol buffers hold less than 2 GiB


def export(
    function: Callable[..., Any],
    example_inputs: Any,
    *,
    dynamic_batch: bool | int | Sequence[int | None] = True,
    opset: int = OPSET,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    name: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Any:
    """A module, or a function of tensors, as an `onnx.ModelProto`: what it computes in inference.

    `example_inputs` is an array, or a tuple of the arguments (each an array or containers of
    arrays); their shapes and dtypes count, not their values. With `dynamic_batch` axis 0 may have
    any extent when the model is run: that of the first input, and of all inputs of the same extent
    there; a number names another axis, a sequence the batch axis of each input (or None). The
    function is traced at several batch sizes, and every shape that follows them is computed by the
    model. Arrays of modules stand under the names of their `state_dict`. Inputs are called `input`
    (or `input_0`, `input_1` …), outputs `output`, unless named. `metadata` are texts that the model
    carries.

    Raises UnsupportedError, naming the op and the layer, for what ONNX has no operator for and for
    shapes that follow the batch in no line; UsageError for wrong options; MissingExtra without the
    package onnx.
    """
    extra.load()
    with locating():
        if not OLDEST <= opset <= NEWEST:
            raise UsageError(f"opset {opset}", fix=f"a version from {OLDEST} to {NEWEST}")
        example = example_of(example_inputs, dynamic_batch, input_names)
    traces = traced(function, example)
    with locating():
        names = _output_names(traces, output_names, example.names)
        model = _model(traces, example, names, opset, name or _name(function))
        extra.load().helper.set_model_props(model, dict(metadata or {}))
    return model


def save(
    path: str | os.PathLike[str],
    function: Callable[..., Any],
    example_inputs: Any,
    *,
    dynamic_batch: bool | int | Sequence[int | None] = True,
    opset: int = OPSET,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    name: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a module, or a function of tensors, to an ONNX file, whole or not at all.

    The arguments and errors are those of `export`; StorageError where the disk refuses.
    """
    model = export(
        function,
        example_inputs,
        dynamic_batch=dynamic_batch,
        opset=opset,
        input_names=input_names,
        output_names=output_names,
        name=name,
        metadata=metadata,
    )
    atomic.write_bytes(path, model.SerializeToString())


def _name(function: Callable[..., Any]) -> str:
    """What the graph is called: the function's name or the module's class."""
    name = getattr(function, "__name__", type(function).__name__)
    return "function" if name == "<lambda>" else str(name)


def _output_names(traces: Traces, given: Sequence[str] | None, taken: Sequence[str]) -> list[str]:
    """`output`, or `output_0` …, or with the paths of what is returned."""
    count = len(traces.graphs[0].outputs)
    if count == 0:
        raise UsageError("the function returns nothing", fix="return tensors")
    if given is not None:
        if len(given) != count or len({*given, *taken}) != count + len(taken):
            raise UsageError(
                f"output_names={list(given)} for {count} outputs",
                fix="a name of its own for each output",
            )
        return list(given)
    numbers = tree.unflatten(traces.graphs[0].structure, list(range(count)))
    paths = [path.replace(".", "_") for path, _ in tree.paths(numbers)]
    return ["output" if not path else f"output_{path}" for path in paths]


# ---------------------------------------------------------------------------------- the model


def _model(traces: Traces, example: Example, names: list[str], opset: int, name: str) -> Any:
    alignment = Alignment(traces.sizes)
    inputs = list(zip(*(graph.inputs for graph in traces.graphs), strict=True))
    for twins in inputs:
        alignment.pair(twins)
    alignment.add([graph.outputs for graph in traces.graphs])
    used = Names()
    writer = Writer(used, opset)
    context = Context(writer, alignment, RULES, traces.labels)
    for (node, *_), each in zip(inputs, example.names, strict=True):
        context.bind(node, used.take(each))
    writer.batch = _batch(example)
    for each in names:
        used.take(each)
    found = context.emit(traces.graphs[0].outputs)
    _rename(writer, found, names)
    ports = [
        _port(context, twins[0], each) for twins, each in zip(inputs, example.names, strict=True)
    ]
    outputs = traces.graphs[0].outputs
    results = [_port(context, node, each) for node, each in zip(outputs, names, strict=True)]
    return _proto(writer, ports, results, opset, name)


def _batch(example: Example) -> tuple[str, int] | None:
    """The input and the axis that tell the batch size."""
    pairs = zip(example.names, example.batch, strict=True)
    return next(((name, axis) for name, axis in pairs if axis is not None), None)


def _port(context: Context, node: Node, name: str) -> Any:
    extents: list[Extent] = context.alignment.shape(node)
    return value_info(name, node.dtype, extents)


def _rename(writer: Writer, found: Sequence[str], names: Sequence[str]) -> None:
    """Give the outputs their names: the nodes that make them write to these."""
    made = {each: node for node in writer.nodes for each in node.output}
    changed: dict[str, str] = {}
    for old, new in zip(found, names, strict=True):
        if old in made and old not in changed:
            changed[old] = new
        else:
            writer.nodes.append(_identity(changed.get(old, old), new))
    for node in writer.nodes:
        _replace(node, changed)


def _identity(source: str, name: str) -> Any:
    return extra.load().helper.make_node("Identity", [source], [name], name=f"{name}/Identity")


def _replace(node: Any, changed: dict[str, str]) -> None:
    """Other names for some values, in a node and in the graphs inside it."""
    for names in (node.input, node.output):
        for place, each in enumerate(names):
            if each in changed:
                names[place] = changed[each]
    for attribute in node.attribute:
        for inner in attribute.g.node:
            _replace(inner, changed)


def _proto(
    writer: Writer, inputs: Sequence[Any], outputs: Sequence[Any], opset: int, name: str
) -> Any:
    onnx = extra.load()
    size = sum(each.nbytes for each in writer.arrays.values())
    if size > LARGEST:
        raise UnsupportedError(
            f"the arrays of the model take {size} bytes", fix="an ONNX file holds less than 2 GiB"
        )
    arrays = [tensor_proto(array, each) for each, array in writer.arrays.items()]
    graph = onnx.helper.make_graph(writer.nodes, name, inputs, outputs, arrays)
    model = onnx.helper.make_model(
        graph,
        opset_imports=[onnx.helper.make_opsetid("", opset)],
        ir_version=IR_VERSIONS[opset],
        producer_name="kedja",
        producer_version=__version__,
    )
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise VerificationError(f"the exported model is wrong: {error}") from error
    return model
