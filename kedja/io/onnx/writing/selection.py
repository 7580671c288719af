"""The walk from a graph's outputs to ONNX nodes: each node by the rule of its op.

A rule is called as `rule(context, node)` and gives a `Choice`: the nodes that are needed first, and
a function that writes what comes of them. A rule may look past its node (a sum and a division are a
mean) or put another graph in its place. Nodes of half dtypes, and integers that runtimes seldom
compute with, are widened, as every executor does. Next: `elementwise.py`, the first table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kedja.ground.dtypes import (
    DType,
    float32,
    int8,
    int16,
    int32,
    int64,
    is_half,
    uint8,
    uint16,
    uint32,
)
from kedja.ground.errors import KedjaError
from kedja.interpret import reference
from kedja.io.onnx.writing.extents import Alignment, same_values, wrong
from kedja.io.onnx.writing.writer import Writer
from kedja.ir.graph import Node, apply, expanded, located, topological
from kedja.ir.op import Bundle, Leaf, OwnProgram, Pointwise, Reindex

Name = Any  # a text; a tuple of them for an op with several outputs


@dataclass(frozen=True)
class Choice:
    """What is written for a node: the inputs that come first, and `emit(context, *names)`."""

    inputs: tuple[Node, ...]
    emit: Callable[..., Name]


Rule = Callable[["Context", Node], Choice]

# Integers that are computed in a wider type, in which every runtime computes.
WIDER: dict[DType, DType] = {int8: int32, uint8: int32, int16: int32, uint16: int32, uint32: int64}


class Context:
    """One graph that is being written; those inside it are contexts of their own."""

    def __init__(
        self,
        writer: Writer,
        alignment: Alignment,
        rules: Mapping[str, Rule],
        labels: Mapping[Node, str],
        outer: Context | None = None,
    ) -> None:
        self.writer = writer
        self.alignment = alignment
        self.rules = rules
        self.labels = labels  # the names of weights
        self.outer = outer
        self._names: dict[Node, Name] = {}
        self._choices: dict[Node, Choice] = {}
        self._fixed: dict[Node, np.ndarray | None] = {} if outer is None else outer._fixed
        self._numbers: dict[Node, bool] = {} if outer is None else outer._numbers

    @property
    def opset(self) -> int:
        """The version of the operator set that is written."""
        return self.writer.opset

    def inside(self) -> Context:
        """The context of a graph inside this one."""
        return Context(self.writer.inner(), self.alignment, self.rules, self.labels, self)

    def bind(self, node: Node, name: Name) -> None:
        """Say under which name a node is there already."""
        self._names[node] = name

    def name_of(self, node: Node) -> Name | None:
        """The name of a node that is there, in this graph or around it."""
        here: Context | None = self
        while here is not None:
            if node in here._names:
                return here._names[node]
            here = here.outer
        return None

    # ------------------------------------------------------------------ the walk

    def emit(self, outputs: Sequence[Node]) -> list[Name]:
        """The names of the outputs, once everything that they need is written."""
        stack = [(node, False) for node in reversed(outputs)]
        while stack:
            node, ready = stack.pop()
            if self.name_of(node) is not None:
                continue
            choice = self._choice(node)
            if ready:
                self._names[node] = self._written(node, choice)
            else:
                stack.append((node, True))
                stack.extend((each, False) for each in reversed(choice.inputs))
        return [self.name_of(node) for node in outputs]

    def _written(self, node: Node, choice: Choice) -> Name:
        self.writer.scope = node.scope
        self.writer.root.scope = node.scope
        try:
            return choice.emit(self, *(self.name_of(each) for each in choice.inputs))
        except KedjaError as error:
            raise located(error, node.source, node.scope) from None

    def _choice(self, node: Node) -> Choice:
        if node not in self._choices:
            try:
                self._choices[node] = self._chosen(node)
            except KedjaError as error:
                raise located(error, node.source, node.scope) from None
        return self._choices[node]

    def _chosen(self, node: Node) -> Choice:
        value = self.fixed(node)
        if value is not None:
            return _array(value)
        rule = self.rules.get(node.op.name)
        wide = _wider(node) if rule is not None else None
        if wide is not None:
            return instead(self.alignment.rewritten(node, lambda twin: _widened(twin, wide)))
        if rule is not None:
            return rule(self, node)
        if node.op.expand is not None:
            return instead(self.alignment.rewritten(node, expanded))
        raise wrong(
            node,
            f"ONNX has no operator for the op {node.op.name}",
            "leave this part out of the exported function",
        )

    # ------------------------------------------------------------------ what is known

    def fixed(self, node: Node) -> np.ndarray | None:
        """The value of a node that follows from numbers alone, not from inputs or weights."""
        if node not in self._fixed:
            self._fixed[node] = self._value(node)
        return self._fixed[node]

    def _value(self, node: Node) -> np.ndarray | None:
        if node.op.name == "full" or isinstance(node.type, Bundle) or not self._is_number(node):
            return None
        if self.alignment.is_static(node):
            values = [reference.run([twin])[0] for twin in self.alignment.twins(node)]
            if same_values(values):
                return values[0]
        if node.op.name == "constant":
            raise wrong(node, "an array follows the batch size", "make it with kedja's functions")
        return None

    def _is_number(self, node: Node) -> bool:
        """Whether a node depends on nothing but numbers and arrays without a name."""
        if node not in self._numbers:
            for each in topological([node], leaves=self._numbers):
                if each not in self._numbers:
                    below = [self._numbers[other] for other in each.inputs]
                    self._numbers[each] = self._follows_from(each, below)
        return self._numbers[node]

    def _follows_from(self, node: Node, below: Sequence[bool]) -> bool:
        if node.op.name == "constant":
            return node not in self.labels
        return node.op.name != "input" and all(below)

    def scalar(self, node: Node) -> bool | int | float | None:
        """The one number that a node is everywhere, at all batch sizes; None where it is none."""
        if node.op.name == "full":
            numbers = [twin.attrs["value"] for twin in self.alignment.twins(node)]
            number: bool | int | float = numbers[0]
            return number if same_values([np.asarray(each) for each in numbers]) else None
        value = self.fixed(node)
        if value is None or value.size == 0 or value.dtype.kind == "V":
            return None
        first = value.reshape(-1)[0]
        return first.item() if np.all(value == first) else None


# ------------------------------------------------------------------------------------ choices


def same(node: Node) -> Choice:
    """Another node's value."""
    return Choice((node,), lambda context, name: name)


def instead(node: Node) -> Choice:
    """Another graph in place of a node."""
    return same(node)


def _array(value: np.ndarray) -> Choice:
    return Choice((), lambda context: context.writer.constant(value))


# ----------------------------------------------------------------------------------- widening


def _wider(node: Node) -> dict[DType, DType] | None:
    """The dtypes in which a node is computed instead of its own; None where these will do."""
    if isinstance(node.op.lowering, Reindex | Leaf | OwnProgram) or node.op.name == "cast":
        return None
    if any(is_half(each.dtype) for each in node.inputs):
        return {each.dtype: float32 for each in node.inputs if is_half(each.dtype)}
    if not isinstance(node.op.lowering, Pointwise) or node.op.name in AS_THEY_ARE:
        return None
    narrow = {each.dtype for each in node.inputs} & set(WIDER)
    return {dtype: wide for dtype, wide in WIDER.items() if dtype in narrow} or None


AS_THEY_ARE = {
    "where", "copy", "stop_gradient", "left_shift", "right_shift", "threefry",
    "bitwise_and", "bitwise_or", "bitwise_xor", "invert",
}  # fmt: skip


def _widened(node: Node, wider: Mapping[DType, DType]) -> Node:
    inputs = [
        apply("cast", each, dtype=wider[each.dtype]) if each.dtype in wider else each
        for each in node.inputs
    ]
    result = apply(node.op.name, *inputs, **node.attrs)
    return result if result.dtype == node.dtype else apply("cast", result, dtype=node.dtype)
