"""Running a plan: its steps one after the other, on tensors.

What is known stays known: shapes are constants, and so is what is computed from them, also while a
graph is traced; `Reshape` and its like look at these values. Next: `model.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kedja.front.tensor import Tensor
from kedja.ground.errors import DataError
from kedja.io.onnx import elements, extra
from kedja.io.onnx.call import Call, Value, tensor_of
from kedja.io.onnx.plan import Function, Operator, Plan, Reference, Step, TypedFunction
from kedja.ir.graph import locating, scope


class Names:
    """The values by name in one graph, and those of the graph around it."""

    def __init__(self, values: Mapping[str, Value], outer: Names | None = None) -> None:
        self._values = dict(values)
        self._outer = outer

    def get(self, name: str) -> Value:
        """A value by its name; the empty name stands for none."""
        if not name:
            return None
        here: Names | None = self
        while here is not None:
            if name in here._values:
                return here._values[name]
            here = here._outer
        raise DataError(f"the ONNX graph uses {name!r} before it is computed")

    def put(self, names: Sequence[str], values: Sequence[Value]) -> None:
        """The outputs of a step."""
        self._values.update((name, each) for name, each in zip(names, values, strict=False) if name)


def run(plan: Plan, inputs: Mapping[str, Value], outer: Names | None = None) -> list[Value]:
    """The outputs of a plan. `inputs` also holds arrays of the plan that stand elsewhere."""
    fixed = {name: tensor_of(each) for name, each in plan.arrays.items() if name not in inputs}
    names = Names({**fixed, **inputs}, outer)
    _run_steps(plan.steps, names, {})
    return [names.get(each.name) for each in plan.outputs]


def _run_steps(steps: Sequence[Step], names: Names, attributes: Mapping[str, Any]) -> None:
    for step in steps:
        with scope(step.label), locating():
            names.put(step.outputs, _outputs(step, names, attributes))


def _outputs(step: Step, names: Names, outer: Mapping[str, Any]) -> Sequence[Value]:
    inputs = [names.get(each) for each in step.inputs]
    attributes = resolved(step.attributes, outer)
    if isinstance(step.callee, Operator):
        found = step.callee.rule(_call(step, attributes, names), *inputs)
        return found if isinstance(found, tuple) else (found,)
    if isinstance(step.callee, TypedFunction):
        kinds = tuple(type_proto(each) for each in inputs)
        function: Function = step.callee.body(kinds, attributes)
        around: Names | None = names
    else:
        function, around = step.callee, None
    return run_function(function, inputs, attributes, step.outputs, around)


def _call(step: Step, attributes: Mapping[str, Any], names: Names) -> Call:
    def run_inner(plan: Plan, inputs: Sequence[Value]) -> list[Value]:
        if len(inputs) != len(plan.inputs):
            raise DataError(f"a graph inside takes {len(plan.inputs)} inputs, not {len(inputs)}")
        bound = {port.name: each for port, each in zip(plan.inputs, inputs, strict=True)}
        return run(plan, bound, names)

    return Call(step, attributes, run_inner)


def resolved(attributes: Mapping[str, Any], outer: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes with references replaced by the attributes of the function around."""
    found = {
        name: outer.get(each.name) if isinstance(each, Reference) else each
        for name, each in attributes.items()
    }
    return {name: each for name, each in found.items() if each is not None}


def run_function(
    function: Function,
    inputs: Sequence[Value],
    attributes: Mapping[str, Any],
    wanted: Sequence[str],
    outer: Names | None,
) -> list[Value]:
    """The outputs of a function that are `wanted`; inputs at the end may be left out."""
    given = [*inputs, *[None] * (len(function.inputs) - len(inputs))]
    names = Names(dict(zip(function.inputs, given, strict=False)), outer)
    _run_steps(function.steps, names, {**function.defaults, **attributes})
    return [
        names.get(each) if used else None
        for used, each in zip(wanted, function.outputs, strict=False)
    ]


# ---------------------------------------------------------------------------------- types


def type_proto(value: Value) -> Any:
    """The type of a value as ONNX writes it, for definitions that depend on it."""
    onnx = extra.load()
    if value is None:
        return onnx.TypeProto()
    if isinstance(value, Tensor):
        code = elements.CODE_OF[value.dtype]
        return onnx.helper.make_tensor_type_proto(code, value.shape)
    kind = type_proto(value[0]) if value else onnx.TypeProto()
    if value:
        kind.tensor_type.ClearField("shape")
    return onnx.helper.make_sequence_type_proto(kind)
