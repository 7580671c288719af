"""Whole networks from a few numbers. Next: `summaries.py`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from kedja.front import random
from kedja.front.tensor import Tensor
from kedja.ground.errors import UsageError
from kedja.nn import init as initializers
from kedja.nn.activations import ACTIVATIONS, activation_name
from kedja.nn.containers import Sequential
from kedja.nn.linear import Linear
from kedja.nn.module import Module


def mlp(
    sizes: Sequence[int],
    activation: str = "relu",
    *,
    key: Tensor | None = None,
    init: str | initializers.Initializer = "auto",
) -> Sequential:
    """Linear layers of these sizes with an activation between each two: input, hidden …, output.

    `init="auto"` chooses each layer's initialiser by the activations around it
    (`init.for_activation`); "default" is PyTorch's; a function `(key, shape)` draws all weights.
    Raises UsageError for unknown names and for fewer than two sizes.

    >>> [name for name, _ in mlp([4, 5, 2], "tanh").parameters()]
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """
    if len(sizes) < 2:
        raise UsageError(f"mlp of sizes {list(sizes)}", fix="at least input and output: [784, 10]")
    name = activation_name(activation)
    keys = random.split(random.next_key() if key is None else key, len(sizes) - 1)
    layers: list[Module] = []
    for place, (inputs, outputs) in enumerate(pairwise(sizes)):
        before = name if place > 0 else "identity"
        follows = name if place < len(sizes) - 2 else "identity"
        layers.append(_linear(inputs, outputs, keys[place], init, before, follows))
        layers += [ACTIVATIONS[name]()] if place < len(sizes) - 2 else []
    return Sequential(*layers)


def _linear(
    inputs: int,
    outputs: int,
    key: Tensor,
    init: str | initializers.Initializer,
    before: str,
    follows: str,
) -> Linear:
    """One layer between two activations."""
    if callable(init):
        return Linear(inputs, outputs, key=key, init=init)
    if init not in ("auto", "default"):
        raise UsageError(f"init {init!r}", fix="'auto', 'default', or a function of key and shape")
    if init == "default":
        return Linear(inputs, outputs, key=key)
    chosen = initializers.for_activation(follows, after=before)
    layer = Linear(inputs, outputs, key=key, init=chosen)
    if before != "sigmoid":
        return layer
    return layer.replace(bias=initializers.centring_bias(layer.weight))
