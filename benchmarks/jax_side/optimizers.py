"""SGD with momentum and AdamW over trees, in PyTorch's formulas. Next: `train.py`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

BETA1, BETA2, EPS, DECAY = 0.9, 0.999, 1e-8, 0.01  # AdamW's defaults in PyTorch


class Optimizer(NamedTuple):
    """`init(p)` gives the state, `update(p, grads, state)` the new parameters and state."""

    init: Callable[[Any], Any]
    update: Callable[[Any, Any, Any], tuple[Any, Any]]


def sgd(rate: float, momentum: float = 0.0) -> Optimizer:
    """v ← μ v + g, p ← p − η v."""

    def init(p: Any) -> Any:
        return jax.tree.map(jnp.zeros_like, p) if momentum else ()

    def update(p: Any, grads: Any, state: Any) -> tuple[Any, Any]:
        v = jax.tree.map(lambda v, g: momentum * v + g, state, grads) if momentum else grads
        return jax.tree.map(lambda p, v: p - rate * v, p, v), v if momentum else ()

    return Optimizer(init, update)


def adamw(rate: float) -> Optimizer:
    """p ← (1 − η λ) p − η m̂/(√v̂ + ε)."""

    def init(p: Any) -> Any:
        zeros = jax.tree.map(jnp.zeros_like, p)
        return jnp.zeros((), jnp.int32), zeros, jax.tree.map(jnp.zeros_like, p)

    def update(p: Any, grads: Any, state: Any) -> tuple[Any, Any]:
        count = state[0] + 1
        m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, state[1], grads)
        v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, state[2], grads)
        # 1 − βᵗ, without the cancellation that float32 has there and that the losses show.
        first, second = (-jnp.expm1(count * math.log(beta)) for beta in (BETA1, BETA2))

        def moved(p: Any, m: Any, v: Any) -> Any:
            return (1 - rate * DECAY) * p - rate * (m / first) / (jnp.sqrt(v / second) + EPS)

        return jax.tree.map(moved, p, m, v), (count, m, v)

    return Optimizer(init, update)


OPTIMIZERS: Mapping[str, Callable[..., Optimizer]] = {"sgd": sgd, "adamw": adamw}
