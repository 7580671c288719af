"""A small network that acts: forward or recurrent, for continuous and for discrete actions.

Not here: how it is found (`evolution/`), where it acts (`environments/`, `fleet.py`).
Next: `evolution/evolve.py`.
Dimensions: O numbers observed, H hidden units, A numbers that say what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from kedja.front import arithmetic, creation, elementwise, movement, reductions, selection, tree
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import float64
from kedja.ground.errors import ShapeError
from kedja.models import registry
from kedja.nn.module import Module

Array = np.ndarray[Any, np.dtype[Any]]
Memory = tuple[Tensor, ...]

NEVER = -1e30  # an output that is not chosen: finite, so that 0 times it is 0


@dataclass(frozen=True)
class PolicyConfig:
    """What a policy sees and does, and its layers.

    `scale` divides the observations. An action is the place of the largest of A outputs where it
    is `discrete`, or that of each of several `choices`, whose outputs stand one after the other;
    else A numbers within `low` and `high`, any numbers where these are empty.
    """

    model_type: ClassVar[str] = "policy"

    observations: int
    actions: int
    discrete: bool = False
    choices: tuple[int, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    hidden: tuple[int, ...] = ()
    recurrent: bool = False
    bias: bool = True

    def __post_init__(self) -> None:
        for name in ("choices", "low", "high", "scale", "hidden"):
            object.__setattr__(self, name, tuple(getattr(self, name)))


class Layer(Module):
    """y = W x + b of one example, of numbers so few that they are added one by one."""

    weight: Tensor  # (out, in)
    bias: Tensor | None  # (out,)

    def __call__(self, x: Tensor) -> Tensor:
        """x (in,) → (out,)."""
        y = reductions.sum(self.weight * x, axis=-1)
        return y if self.bias is None else y + self.bias


class Policy(Module):
    """observation → action: layers with tanh between; all weights are 0 until something is learned.

    h ← tanh(W₁ o/scale + R h + b₁) with the recurrent weights R, without R where it is not
    `recurrent`; further layers h' = tanh(W h + b); out = W h + b. Weights are float64. The memory h
    is handed in and out, so that thousands of policies act in one program.

    Source of the form: J. Elman: Finding structure in time (1990).

    >>> policy = Policy(PolicyConfig(observations=3, actions=1, hidden=(4,), recurrent=True))
    >>> action, memory = policy([0.1, 0.0, 0.2], policy.start())
    >>> action.tolist(), memory[0].shape, policy.num_parameters
    ([0.0], (4,), 37)
    """

    layers: list[Layer]
    memory: Tensor | None  # R, (H, H)
    config: PolicyConfig

    def __init__(self, config: PolicyConfig) -> None:
        sizes = (config.observations, *config.hidden, config.actions)
        self.layers = [_layer(*pair, bias=config.bias) for pair in pairwise(sizes)]
        width = config.hidden[0] if config.hidden else config.actions
        self.memory = _zeros(width, width) if config.recurrent else None
        self.config = config

    def start(self) -> Memory:
        """The memory before the first observation: zeros (H,), or nothing."""
        return () if self.memory is None else (_zeros(self.memory.shape[-1]),)

    def __call__(self, observation: Any, memory: Memory) -> tuple[Tensor, Memory]:
        """observation (O,), memory → action (A,) or whole numbers, and the memory after it."""
        x = as_tensor(observation)
        if self.config.scale:
            x = x / as_tensor(np.asarray(self.config.scale))
        for place, layer in enumerate(self.layers):
            x = layer(x)
            if place == 0 and self.memory is not None:
                x = x + reductions.sum(self.memory * memory[0], axis=-1)
                memory = (elementwise.tanh(x),)
            if place < len(self.layers) - 1:
                x = elementwise.tanh(x)
        return self._action(x), memory

    def _action(self, x: Tensor) -> Tensor:
        if self.config.choices:
            return reductions.argmax(apart(x, self.config.choices), axis=-1)
        if self.config.discrete:
            return reductions.argmax(x, axis=-1)
        if not self.config.low:
            return x
        low, high = np.asarray(self.config.low), np.asarray(self.config.high)
        middle, half = (low + high) / 2, (high - low) / 2
        return elementwise.tanh(x) * as_tensor(half) + as_tensor(middle)


def apart(outputs: Tensor, choices: Sequence[int]) -> Tensor:
    """Outputs (…, A) of K choices, one after the other → (…, K, W), W that of the widest choice.

    What a narrower choice lacks is so small that it is never chosen.

    >>> each = apart(as_tensor([5.0, 6.0, 7.0, 8.0, 9.0]), (2, 3))
    >>> each[1].tolist(), each[0].tolist()[:2], each[0].tolist()[2] < -1e29
    ([7.0, 8.0, 9.0], [5.0, 6.0], True)
    """
    widths, offsets = np.array(choices), np.cumsum([0, *choices[:-1]])
    within = np.arange(widths.max()) < widths[:, None]  # (K, W)
    places = np.where(within, offsets[:, None] + np.arange(widths.max()), 0)
    each = selection.take(outputs, as_tensor(places.ravel()), axis=-1)
    each = movement.reshape(each, (*outputs.shape[:-1], *places.shape))
    return arithmetic.where(as_tensor(within), each, NEVER)


def _layer(inputs: int, outputs: int, *, bias: bool) -> Layer:
    return Layer(_zeros(outputs, inputs), _zeros(outputs) if bias else None)


def _zeros(*shape: int) -> Tensor:
    return creation.zeros(shape, dtype=float64)


registry.add(PolicyConfig.model_type, PolicyConfig, Policy)


# ------------------------------------------------------------------------- as vectors


def vector(policy: Module) -> Array:
    """All weights of a policy in one vector (P,), in the order of `kj.tree`."""
    leaves, _ = tree.flatten(policy)
    return np.concatenate([as_tensor(leaf).numpy().ravel() for leaf in leaves])


def filled(policy: Any, vectors: Array) -> Any:
    """A policy as the given one with the weights of a vector (P,).

    Of vectors (N, P) it is N policies: each array has a leading axis, as `kj.vmap` takes it.
    Raises ShapeError for another length.

    >>> policy = Policy(PolicyConfig(observations=2, actions=1))
    >>> filled(policy, np.array([1.0, 2.0, 0.5])).layers[0].weight.tolist()
    [[1.0, 2.0]]
    >>> filled(policy, np.zeros((8, 3))).layers[0].weight.shape
    (8, 1, 2)
    """
    leaves, structure = tree.flatten(policy)
    shapes = [as_tensor(leaf).shape for leaf in leaves]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    if vectors.shape[-1] != ends[-1]:
        raise ShapeError(f"{vectors.shape[-1]} numbers for {ends[-1]} weights")
    pieces: Sequence[Array] = np.split(vectors, ends[:-1], axis=-1)
    lead = vectors.shape[:-1]
    return tree.unflatten(
        structure,
        [
            Tensor(np.ascontiguousarray(each).reshape(*lead, *shape))
            for each, shape in zip(pieces, shapes, strict=True)
        ],
    )
