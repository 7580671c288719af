"""The meaning of a graph: every node by its op's NumPy facet, one after the other.

This is what the compiled program must agree with, what runs at the prompt, and what `explain`
shows. Values are freed when their last user has run. Next: `kedja/compiler/pipeline.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from kedja.ground.errors import KedjaError, TracingError
from kedja.ir.graph import Node, consumers, located, topological

Values = Mapping[Node, np.ndarray]
Observer = Callable[[Node, np.ndarray], None]


def run(
    outputs: Sequence[Node], bound: Values | None = None, observe: Observer | None = None
) -> list[np.ndarray]:
    """The values of the outputs, given those of the inputs in `bound`.

    `observe(node, value)` is called for every node in the order of evaluation. Raises
    TracingError for an input that is not bound.
    """
    values: dict[Node, np.ndarray] = dict(bound or {})
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


def node_value(node: Node, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """The value of one node from those of its inputs."""
    if node.op.name == "input":
        raise TracingError(
            f"the input {node.attrs['name']!r} has no value",
            where=str(node.source) if node.source else None,
            fix="it belongs to a function that is being traced; return it from that function",
        )
    try:
        with np.errstate(all="ignore"):  # NaN and infinity are values like others
            value = node.op.numpy(*inputs, **node.attrs)
    except KedjaError as error:
        raise located(error, node.source, node.scope) from None
    return np.asarray(value, dtype=node.dtype)


def all_values(outputs: Sequence[Node], bound: Values | None = None) -> dict[Node, np.ndarray]:
    """The value of every node on the way to the outputs."""
    found: dict[Node, np.ndarray] = {}
    run(outputs, bound, observe=found.__setitem__)
    return found
