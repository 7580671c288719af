"""A graph under JAX's tracer: each node by the `xla` facet of its op, one after the other.

A facet is called as `xla(x, *values, **attrs)`; `x` is the `Lowering` of this file. Half dtypes
are widened to float32 and rounded once, as in every executor; composites without a facet of their
own are expanded. Not here: compiling and running what was traced. Next: `program.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kedja.ground.dtypes import float32, is_half
from kedja.ground.errors import KedjaError, TracingError, VerificationError
from kedja.ir.graph import Graph, Node, expanded, located, topological
from kedja.ir.op import Bundle, ByExpansion, Leaf, OwnProgram, Reindex, Type
from kedja.ops.xla_rules import TakesHalves
from kedja.xla.extra import load

Values = Mapping[Node, Any]


class Lowering:
    """What a facet is handed: `np` is jax.numpy, `lax` jax.lax, `jax` jax, and `run` for graphs."""

    def __init__(self, constants: Values) -> None:
        self.jax = load()
        self.np = self.jax.numpy
        self.lax = self.jax.lax
        self._constants = constants

    def run(self, graph: Graph, values: Sequence[Any]) -> list[Any]:
        """The outputs of an op's inner graph, as part of the program that is being traced."""
        return self.values(graph.outputs, dict(zip(graph.inputs, values, strict=True)))

    def values(self, outputs: Sequence[Node], bound: Values) -> list[Any]:
        """The outputs of a graph, given the values of some nodes. The walk is iterative."""
        known = dict(bound)
        for node in topological(outputs, leaves=known):
            if node not in known:
                known[node] = self._value(node, [known[each] for each in node.inputs])
        return [known[node] for node in outputs]

    def _value(self, node: Node, inputs: Sequence[Any]) -> Any:
        if node in self._constants:
            return self._constants[node]
        if node.op.name == "input":
            raise TracingError(
                f"the input {node.attrs['name']!r} has no value",
                where=str(node.source) if node.source else None,
                fix="it belongs to a function that is being traced; return it from that function",
            )
        try:
            layer = f"{node.scope}.{node.op.name}".lstrip(".")
            with self.jax.named_scope(layer):  # for JAX's profilers
                return self._computed(node, inputs)
        except KedjaError as error:
            raise located(error, node.source, node.scope) from None

    def _computed(self, node: Node, inputs: Sequence[Any]) -> Any:
        rule = node.op.xla
        if isinstance(rule, ByExpansion):
            return self.values([expanded(node)], dict(zip(node.inputs, inputs, strict=True)))[0]
        if rule is None:
            raise VerificationError(f"op {node.op.name} has no xla facet")
        value = rule(self, *self._widened(node, inputs), **node.attrs)
        if isinstance(node.type, Bundle):
            pairs = zip(value, node.type.parts, strict=True)
            return tuple(self._typed(each, kind, node) for each, kind in pairs)
        return self._typed(value, node.type, node)

    def _widened(self, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
        """As the interpreter's: what only moves, and what is inside graphs, stays as it is."""
        moves = isinstance(node.op.lowering, Reindex | Leaf | OwnProgram)
        if moves or isinstance(node.op.xla, TakesHalves):
            return inputs
        return [
            each.astype(float32) if hasattr(each, "dtype") and is_half(each.dtype) else each
            for each in inputs
        ]

    def _typed(self, value: Any, kind: Type, node: Node) -> Any:
        array = self.np.asarray(value)
        if array.shape != kind.shape:
            raise VerificationError(f"{node.op.name} in XLA gives {array.shape} instead of {kind}")
        return array if array.dtype == kind.dtype else array.astype(kind.dtype)
