"""What each operation means, in NumPy. Not here: derivatives. Next: `derive.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from mini.graph import Node, Shape, topological

Array = np.ndarray


def summed(shape: Shape, x: Array) -> Array:
    """The elements of x added up to a smaller shape."""
    narrow = (1,) * (x.ndim - len(shape)) + shape
    axes = tuple(axis for axis in range(x.ndim) if narrow[axis] != x.shape[axis])
    return np.asarray(np.sum(x, axis=axes)).reshape(shape)


# fmt: off
MEANING: dict[str, Callable[..., Array]] = {  # the shape of the result, then the inputs
    "add":       lambda shape, a, b: a + b,
    "subtract":  lambda shape, a, b: a - b,
    "multiply":  lambda shape, a, b: a * b,
    "divide":    lambda shape, a, b: a / b,
    "negative":  lambda shape, x: -x,
    "exp":       lambda shape, x: np.exp(x),
    "maximum":   lambda shape, a, b: np.maximum(a, b),
    "greater":   lambda shape, a, b: np.where(a > b, 1.0, 0.0),
    "broadcast": lambda shape, x: np.broadcast_to(x, shape),
    "sum":       summed,
    "matmul":    lambda shape, a, b: a @ b,
    "transpose": lambda shape, x: x.T,
}
# fmt: on


def meaning(node: Node, *inputs: Array) -> Array:
    """The value of one node from those of its inputs."""
    if node.op == "number":
        return np.full(node.shape, node.label)
    return np.asarray(MEANING[node.op](node.shape, *inputs))


def values(outputs: Sequence[Node], given: Mapping[Node, object]) -> dict[Node, Array]:
    """The value of every node on the way to the outputs, given those of the inputs."""
    known = {node: np.asarray(value, dtype=np.float64) for node, value in given.items()}
    for node in topological(outputs):
        if node not in known:
            known[node] = meaning(node, *(known[x] for x in node.inputs))
    return known


def evaluate(outputs: Sequence[Node], given: Mapping[Node, object]) -> list[Array]:
    """The values of the outputs alone."""
    known = values(outputs, given)
    return [known[node] for node in outputs]


def interpreter(outputs: Sequence[Node], inputs: Sequence[Node]) -> Callable[..., list[Array]]:
    """The graph as a function of arrays."""
    return lambda *arrays: evaluate(outputs, dict(zip(inputs, arrays, strict=True)))
