"""One graph with names for all that it holds: numbers for nodes, names for leaves.

A graph inside an op is a frame of its own, whose numbers begin with that of the op: `%7.3`.
Not here: the blocks of a graph (`fold.py`). Next: `outline.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kedja.ir.fold import Block, apart, folded, is_leaf, users_of
from kedja.ir.formula import attribute, step
from kedja.ir.graph import Graph, Node, topological
from kedja.ir.inside import given, graphs, input_names, output_names, plain_attributes
from kedja.ir.names import leaf_names
from kedja.ir.values import SHORT, exact, summary

Weights = Mapping[Node, bool]  # the arrays of modules, and whether each is learned


class Frame:
    """The nodes that some outputs need, with names; see the module's text.

    `names` are what leaves are called beyond their own names, `weights` the arrays of modules,
    `counts` how many numbers layers learn where that is known otherwise (by their identity);
    `around` is the layer in which the graph stands. What is shown of a graph may call its nodes by
    names other than their numbers: `called`.
    """

    def __init__(
        self,
        outputs: Sequence[Node],
        names: Mapping[Node, str] | None = None,
        weights: Weights | None = None,
        counts: Mapping[int, int] | None = None,
        *,
        prefix: str = "%",
        around: str = "",
    ) -> None:
        self.outputs = tuple(outputs)
        self.order = topological(self.outputs)
        self.numbers = {node: f"{prefix}{place}" for place, node in enumerate(self.order)}
        self.names = leaf_names(self.order, names)
        self.weights = weights or {}
        self.counts = counts or {}
        self.called: Mapping[Node, str] = {}
        self._around = around

    @cached_property
    def root(self) -> Block:
        """The graph taken apart into the calls of its layers."""
        return folded(self.outputs, self._around)

    @cached_property
    def users(self) -> dict[Node, list[Node]]:
        """The nodes that use each node, through what is written inline."""
        return users_of(self.root.nodes)

    @cached_property
    def results(self) -> set[Node]:
        """The nodes that stand for the outputs."""
        return set(apart(self.outputs))

    def rename(self, called: Mapping[Node, str]) -> None:
        """Call nodes by other names, here and where graphs inside see them."""
        self.called = called
        self.__dict__.pop("shown_names", None)
        for inner in (each for several in self._inner.values() for each in several):
            inner.frame.names.update(zip(inner.graph.inputs, inner.labels, strict=True))

    @cached_property
    def shown_names(self) -> dict[Node, str]:
        """What every node is called where others use it."""
        found: dict[Node, str] = {}
        for node in self.order:
            found[node] = self._shown_name(node, found)
        return found

    def _shown_name(self, node: Node, found: Mapping[Node, str]) -> str:
        if node in self.called:
            return self.called[node]
        if node in self.names:
            return self.names[node]
        if node.op.name == "part":
            return f"{found[node.inputs[0]]}[{node.attrs['place']}]"
        if node.op.name == "copy":
            return found[node.inputs[0]]
        if node.op.name == "full" or (is_leaf(node) and node.type.size <= SHORT):
            return short(node.attrs.get("value"))
        return self.numbers[node]

    @cached_property
    def _inner(self) -> dict[Node, list[Inner]]:
        return {}

    def inner(self, node: Node) -> list[Inner]:
        """The graphs inside a node, each as a frame of its own."""
        if node not in self._inner:
            found = graphs(node)
            self._inner[node] = [
                self._framed(node, name, graph, len(found) > 1) for name, graph in found.items()
            ]
        return self._inner[node]

    def labels(self, node: Node) -> list[str]:
        """What the inputs of the graphs inside a node are called."""
        return input_names(node, [self.shown_names[each] for each in given(node)])

    def _framed(self, node: Node, name: str, graph: Graph, several: bool) -> Inner:
        number = self.numbers[node]
        frame = Frame(
            graph.outputs,
            dict(zip(graph.inputs, self.labels(node), strict=True)),
            prefix=f"{number}.{name}." if several else f"{number}.",
            around=node.scope,
        )
        return Inner(f"{number}.{name}", name, node, graph, frame, self)

    # -------------------------------------------------------------------------- one node

    def statement(self, node: Node) -> str:
        """`%3 = multiply(%1, %2)`: a node in terms of the numbers of its inputs."""
        return f"{self.numbers[node]} = {self.call(node, self.numbers)}"

    def call(self, node: Node, called: Mapping[Node, str]) -> str:
        """The op with what its inputs are called, and its attributes."""
        if is_leaf(node) or node.op.name == "full":
            return f"{node.op.name} {self.leaf(node)}"
        if node.op.name == "part":
            return f"{called[node.inputs[0]]}[{node.attrs['place']}]"
        inputs = [called[each] for each in node.inputs]
        attrs = [f"{key}={short(value)}" for key, value in plain_attributes(node).items()]
        return f"{node.op.name}({', '.join(inputs + attrs)})"

    def leaf(self, node: Node) -> str:
        """The name of a leaf, else its value."""
        return self.names[node] if node in self.names else short(node.attrs["value"])

    def formula(self, node: Node, called: Mapping[Node, str] | None = None) -> str:
        """The node in terms of what its inputs are called, by default their numbers; the name or
        the value of a leaf."""
        if is_leaf(node) or node.op.name == "full":
            return self.leaf(node)
        return step(node, {**self.numbers, **self.names} if called is None else called)


@dataclass(frozen=True, eq=False)
class Inner:
    """A graph inside a node: its path (`%7.body`), its name, its frame and that of its owner."""

    path: str
    name: str
    owner: Node
    graph: Graph
    frame: Frame
    outer: Frame

    @property
    def labels(self) -> list[str]:
        """What its inputs are called."""
        return self.outer.labels(self.owner)

    @property
    def head(self) -> str:
        """The graph as a function: `body(carry, x, w)`."""
        return f"{self.name}({', '.join(self.labels)})"

    @property
    def returned(self) -> list[str]:
        """What its outputs are called inside."""
        return [self.frame.shown_names[node] for node in self.graph.outputs]

    @property
    def returns(self) -> list[str]:
        """What its outputs are to the op, such as the carry; empty where their place says it."""
        return output_names(self.owner, self.graph)


def short(value: Any) -> str:
    """An attribute on one line: arrays by their elements where they are few."""
    if not isinstance(value, np.ndarray):
        return attribute(value)
    if value.ndim <= 1 and 0 < value.size <= SHORT:
        listed = ", ".join(exact(each) for each in value.ravel())
        return f"[{listed}]" if value.ndim else listed
    return f"({summary(value)})"
