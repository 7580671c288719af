"""Layers, a loss, and descent: networks from the operations at hand. Next: `simplify.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from mini.derive import gradient
from mini.graph import Node, exp, total, variable
from mini.meaning import Array


@dataclass(frozen=True)
class Layer:
    """y = x W + b: a row of x is one example, a column of W one neuron."""

    weight: Node  # (inputs, neurons)
    bias: Node  # (neurons,)

    def __call__(self, x: Node) -> Node:
        return x @ self.weight + self.bias  # (examples, neurons)


def sigmoid(x: Node) -> Node:
    """1 / (1 + e^-x): from any number to one between 0 and 1."""
    return 1 / (1 + exp(-x))


def tanh(x: Node) -> Node:
    """1 - 2 / (1 + e^2x): from any number to one between -1 and 1."""
    return 1 - 2 / (1 + exp(2 * x))


def layers(*widths: int) -> list[Layer]:
    """Layers from each width to the next."""
    sizes = enumerate(pairwise(widths), start=1)
    return [Layer(variable(f"W{i}", m, n), variable(f"b{i}", n)) for i, (m, n) in sizes]


def network(chain: Sequence[Layer], x: Node) -> Node:
    """tanh after every layer but the last, which ends in a sigmoid."""
    for layer in chain[:-1]:
        x = tanh(layer(x))
    return sigmoid(chain[-1](x))


def parameters(chain: Sequence[Layer]) -> list[Node]:
    """The weights and biases, in order."""
    return [node for layer in chain for node in (layer.weight, layer.bias)]


def start(nodes: Sequence[Node], seed: int) -> list[Array]:
    """Zeros for biases; random weights, the smaller the more of them go into one neuron."""
    rng = np.random.default_rng(seed)
    return [
        rng.standard_normal(node.shape) / np.sqrt(node.shape[0])
        if len(node.shape) == 2
        else np.zeros(node.shape)
        for node in nodes
    ]


def squared_error(y: Node, target: Node) -> Node:
    """The mean over the examples of (y - target)^2."""
    return total((y - target) * (y - target)) / y.shape[0]


def step(loss: Node, nodes: Sequence[Node], rate: float) -> list[Node]:
    """One step of gradient descent as a graph: the loss now, and the parameters after it."""
    return [loss, *(w - rate * g for w, g in zip(nodes, gradient(loss, nodes), strict=True))]


def train(
    run: Callable[..., list[Array]], state: list[Array], data: Sequence[Array], steps: int
) -> tuple[float, list[Array]]:
    """Take steps one after the other: the last loss, and the parameters that they lead to."""
    for _ in range(steps):
        loss, *state = run(*state, *data)
    return float(loss), state
