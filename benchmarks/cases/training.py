"""Cases of whole networks: a training step, and the answer to one example.

Not here: the networks (`networks.py`), smaller computations (`arrays.py`). Next: `arrays.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.cases import networks
from benchmarks.cases.case import Array, Arrays, Case

FORWARD_EXAMPLES = 64


def training(
    name: str,
    network: Mapping[str, Any],
    *,
    batch: int,
    batches: int = 32,
    loss: str = "cross_entropy",
    optimizer: str = "sgd",
    rate: float = 0.1,
    precision: str | None = None,
    options: Mapping[str, Any] | None = None,
    **more: Any,
) -> Case:
    """A training step: loss, gradient, update. `options` are the optimiser's, beside the rate."""
    told = {
        "network": network,
        "batch": batch,
        "batches": batches,
        "loss": loss,
        "optimizer": optimizer,
        "rate": rate,
        "optimizer_options": dict(options or {}),
        "precision": precision,
    }

    def arrays() -> Arrays:
        return {**networks.first_weights(network), **examples(network, batch * batches, loss)}

    flops = 2 * batch * networks.cost(network).training
    kind = "" if precision is None else f", {precision} products"
    what = f"{networks.words(network)}, {loss}, {optimizer}, batch {batch}{kind}"
    return Case(name, "train", what, told, arrays, flops, **more)


def forward(name: str, network: Mapping[str, Any], **more: Any) -> Case:
    """The network's answer to one example."""

    def arrays() -> Arrays:
        x = examples(network, FORWARD_EXAMPLES, "cross_entropy")["x"]
        return {**networks.first_weights(network), "x": x}

    what = f"{networks.words(network)}, forward only, batch 1"
    flops = 2 * networks.cost(network).forward
    return Case(name, "forward", what, {"network": network}, arrays, flops, **more)


# ------------------------------------------------------------------------------------- data


def examples(network: Mapping[str, Any], count: int, loss: str) -> Arrays:
    """Inputs x and answers y that can be learned, so that the losses which are compared move."""
    random = np.random.default_rng(2)
    if "context" in network:
        return characters(random, count, network["context"], network["vocabulary"])
    shape = networks.shape(network)
    x = random.random((count, *shape), np.float32)
    if network["family"] != "mlp":
        x = (x - 0.5) * np.float32(12**0.5)  # mean 0 and deviation 1; an MLP's are pixels
    classes = network["sizes"][-1] if "sizes" in network else network["classes"]
    if loss == "mse":
        return {"x": x, "y": random.random((count, classes), np.float32)}
    return {"x": x, "y": labels(random, x.reshape(count, -1), classes)}


def labels(random: networks.Random, x: Array, classes: int) -> Array:
    """The class whose direction each example points to most."""
    teacher = random.standard_normal((x.shape[1], classes))
    found: Array = np.argmax((x - x.mean(axis=0)) @ teacher, axis=1)
    return found


def characters(random: networks.Random, count: int, context: int, vocabulary: int) -> Arrays:
    """Sequences in which each token leaves three to follow it: x, and y one place further."""
    tokens = np.empty((count, context + 1), np.int64)
    tokens[:, 0] = random.integers(0, vocabulary, count)
    choices = random.integers(0, 3, (count, context))
    for place in range(context):
        tokens[:, place + 1] = (3 * tokens[:, place] + 7 * choices[:, place]) % vocabulary
    return {"x": tokens[:, :-1].copy(), "y": tokens[:, 1:].copy()}
