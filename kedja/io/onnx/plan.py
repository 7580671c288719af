"""An ONNX graph as plain Python: steps in order, each with the rule that runs it.

Not here: how a plan is read from a file (`reading.py`) and run (`running.py`).
Next: `call.py`, what a rule is handed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kedja.ground.dtypes import DType

Rule = Callable[..., Any]
Extent = int | str | None  # a number, a symbol (`batch`), or unknown
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Port:
    """An input or output that a graph declares. Without a dtype it is no tensor, or undeclared."""

    name: str
    dtype: DType | None = None
    shape: tuple[Extent, ...] | None = None

    def __str__(self) -> str:
        if self.dtype is None:
            return self.name
        shape = (
            "…"
            if self.shape is None
            else ", ".join("?" if n is None else str(n) for n in self.shape)
        )
        return f"{self.name} {self.dtype.name}[{shape}]"


@dataclass(frozen=True)
class Reference:
    """An attribute inside a function that is an attribute of the function itself."""

    name: str


@dataclass(frozen=True)
class Operator:
    """An operator with a rule of ours, `rule(call, *inputs)`.

    `known` are the inputs whose values must be known while a graph is traced, because shapes
    follow from them; `by_type` says that the outputs follow from the inputs' types alone;
    `statistics` are inputs that a network holds but does not learn.
    """

    name: str
    rule: Rule
    known: tuple[int, ...] = ()
    by_type: bool = False
    statistics: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Function:
    """An operator that is defined by others: a function of the model, or one of ONNX's own."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    defaults: Mapping[str, Any]
    steps: tuple[Step, ...]


@dataclass(frozen=True, eq=False)
class TypedFunction:
    """An operator whose body ONNX writes once types are known: `body(types, attributes)`."""

    name: str
    body: Callable[[tuple[Any, ...], Mapping[str, Any]], Function]


@dataclass(frozen=True, eq=False)
class Step:
    """A node of the graph. An empty name among its inputs or outputs stands for none."""

    operator: str
    label: str  # the node's own name, or one that says which it is
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    version: int  # of the operator's set
    callee: Operator | Function | TypedFunction


@dataclass(frozen=True, eq=False)
class Plan:
    """A graph: what it takes, what it gives, the arrays that it holds, and its steps in order."""

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    arrays: Mapping[str, Array]
    steps: tuple[Step, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)

    def plans(self) -> list[Plan]:
        """This plan and all inside its steps (bodies of loops, branches)."""
        return [self, *(inner for step in self.steps for inner in inner_plans(step))]


def inner_plans(step: Step) -> list[Plan]:
    """The plans among a step's attributes, and those inside them."""
    found = [each for each in step.attributes.values() if isinstance(each, Plan)]
    return [inner for each in found for inner in each.plans()]
