"""The meaning of a graph: every node by its op's NumPy facet, one after the other.

This is what the compiled program must agree with, what runs at the prompt, and what `explain`
shows. Values are freed when their last user has run. Next: `kedja/compiler/pipeline.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kedja.ground.dtypes import is_half
from kedja.ground.errors import KedjaError, TracingError
from kedja.ir.graph import Graph, Node, consumers, located, topological
from kedja.ir.op import Bundle, Leaf, OwnProgram, Reindex

Values = Mapping[Node, np.ndarray]
Observer = Callable[[Node, np.ndarray], None]


def run(
    outputs: Sequence[Node], bound: Values | None = None, observe: Observer | None = None
) -> list[np.ndarray]:
    """The values of the outputs, given those of the inputs in `bound`.

    `observe(node, value)` is called for every node in the order of evaluation. Raises
    TracingError for an input that is not bound.
    """
    values: dict[Node, Any] = dict(bound or {})
    order = topological(outputs, leaves=values)
    remaining = {node: len(users) for node, users in consumers(order).items()}
    keep = set(outputs) | set(values)
    for node in order:
        if node not in values:
            values[node] = node_value(node, [values[each] for each in node.inputs])
        if observe is not None:
            observe(node, values[node])
        for each in node.inputs:
            remaining[each] -= 1
            if remaining[each] == 0 and each not in keep:
                values.pop(each, None)
    return [values[node] for node in outputs]


def node_value(node: Node, inputs: Sequence[Any]) -> Any:
    """The value of one node from those of its inputs; a tuple where it has several outputs."""
    if node.op.name == "input":
        raise TracingError(
            f"the input {node.attrs['name']!r} has no value",
            where=str(node.source) if node.source else None,
            fix="it belongs to a function that is being traced; return it from that function",
        )
    try:
        with np.errstate(all="ignore"):  # NaN and infinity are values like others
            return _computed(node, inputs)
    except KedjaError as error:
        raise located(error, node.source, node.scope) from None


def _computed(node: Node, inputs: Sequence[Any]) -> Any:
    op = node.op
    if isinstance(op.lowering, OwnProgram):  # its graphs are run by this interpreter
        return op.numpy(run_graph, *inputs, **node.attrs)
    value = op.numpy(*widened(node, inputs), **node.attrs)
    if isinstance(node.type, Bundle):
        pairs = zip(value, node.type.parts, strict=True)
        return tuple(np.asarray(each, dtype=kind.dtype) for each, kind in pairs)
    return np.asarray(value, dtype=node.dtype)


def widened(node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    """Half dtypes in float32, in which ops compute them; what only moves stays as it is."""
    if isinstance(node.op.lowering, Reindex | Leaf):
        return inputs
    return [
        each.astype(np.float32) if isinstance(each, np.ndarray) and is_half(each.dtype) else each
        for each in inputs
    ]


def run_graph(graph: Graph, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs of a closed graph from its inputs."""
    return run(graph.outputs, dict(zip(graph.inputs, arrays, strict=True)))


def all_values(outputs: Sequence[Node], bound: Values | None = None) -> dict[Node, np.ndarray]:
    """The value of every node on the way to the outputs."""
    found: dict[Node, np.ndarray] = {}
    run(outputs, bound, observe=found.__setitem__)
    return found
