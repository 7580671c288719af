"""Whole networks from a few numbers, and their layers as a table. Next: `kedja/optim`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from kedja.front import random, tree
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.errors import UsageError
from kedja.nn import init as initializers
from kedja.nn.activations import ACTIVATIONS, activation_name
from kedja.nn.containers import Sequential
from kedja.nn.linear import Linear
from kedja.nn.module import Module

# ----------------------------------------------------------------------------------- an MLP


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


# ---------------------------------------------------------------------------------- a table


class Row(NamedTuple):
    """One layer: its path, its class, the shapes of its arrays, how many numbers they hold."""

    name: str
    kind: str
    shape: str
    parameters: int


@dataclass(frozen=True)
class Description:
    """The layers of a network that have arrays or no layers inside; prints as a table."""

    rows: tuple[Row, ...]

    @property
    def parameters(self) -> int:
        """How many numbers all layers hold together."""
        return sum(row.parameters for row in self.rows)

    def __str__(self) -> str:
        head = ("layer", "kind", "shapes", "parameters")
        body = [(row.name, row.kind, row.shape, f"{row.parameters:,}") for row in self.rows]
        return _table([head, *body, ("total", "", "", f"{self.parameters:,}")])


def describe(model: Module) -> Description:
    """The layers of a network, one row each; `print` it for a table.

    >>> print(describe(mlp([4, 5, 5, 3, 2], "sigmoid")))
    layer  kind     shapes                   parameters
    0      Linear   weight [5, 4], bias [5]          25
    1      Sigmoid                                    0
    2      Linear   weight [5, 5], bias [5]          30
    3      Sigmoid                                    0
    4      Linear   weight [3, 5], bias [3]          18
    5      Sigmoid                                    0
    6      Linear   weight [2, 3], bias [2]           8
    total                                            81
    """
    rows = (_row(path, module) for path, module in model.modules())
    return Description(tuple(row for row in rows if row is not None))


def _row(path: str, module: Module) -> Row | None:
    """The row of a module's own arrays; None for one that only holds other modules."""
    inner = {name for name, _ in module.children()}
    own = [
        (name, as_tensor(leaf))
        for name, leaf in tree.paths(module)
        if not any(name.startswith(f"{each}.") for each in inner)
    ]
    if inner and not own:
        return None
    shapes = ", ".join(f"{name} {list(each.shape)}" for name, each in own)
    fixed = {name for name, _ in module.buffers()}
    learned = sum(each.size for name, each in own if name not in fixed)
    return Row(path, type(module).__name__, shapes, learned)


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns of equal width, the last one flush right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        left = [text.ljust(width) for text, width in zip(row[:-1], widths, strict=False)]
        lines.append("  ".join([*left, row[-1].rjust(widths[-1])]))
    return "\n".join(lines)
