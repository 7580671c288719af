"""What is measured: each case as plain numbers, so that every side can build the same thing.

Not here: how a side computes a case (`kedja_side.py`, `torch_side.py`, …), how time is taken
(`measure.py`). Next: `side.py`.

A case's `options` are JSON and its arrays go into one `.npz` file: all that a side is told. The
data are random, of the right shapes, from fixed seeds; the weights under `model.` have the names
that PyTorch gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = dict[str, Array]

COMPARED = 20  # steps whose losses must agree before any time is taken


@dataclass(frozen=True)
class Case:
    """One computation that all sides carry out.

    `kind` is what a side needs to know how to do: "train", "forward", "product", "descent" or
    "peak". `flops` are those of one step, counting products only. The largest difference of two
    sides' losses may be `tolerance` times the largest loss. The goals are the least of PyTorch
    eager's time ÷ ours, in one native call (`goal`) and called step by step (`step_goal`).
    """

    name: str
    kind: str
    what: str
    options: Mapping[str, Any]
    arrays: Callable[[], Arrays]
    flops: int = 0
    tolerance: float = 1e-4
    goal: float | None = None
    step_goal: float | None = None


# ------------------------------------------------------------------------------- networks


def weights(sizes: list[int], gain: float) -> Arrays:
    """Glorot's uniform weights times a gain, and zero biases, for `nn.Sequential` of Linear."""
    random = np.random.default_rng(1)
    found: Arrays = {}
    for place, (inputs, outputs) in enumerate(pairwise(sizes)):
        bound = gain * (6 / (inputs + outputs)) ** 0.5
        weight = random.uniform(-bound, bound, (outputs, inputs))
        found[f"model.{2 * place}.weight"] = weight.astype(np.float32)
        found[f"model.{2 * place}.bias"] = np.zeros(outputs, np.float32)
    return found


def multiply_adds(sizes: list[int]) -> int:
    """The multiply-adds of one example going forward."""
    return sum(a * b for a, b in pairwise(sizes))


def _examples(options: Mapping[str, Any]) -> Arrays:
    random = np.random.default_rng(2)
    sizes, count = options["sizes"], options["batch"] * options["batches"]
    x = random.random((count, sizes[0]), np.float32)
    if options["loss"] == "mse":
        return {"x": x, "y": random.random((count, sizes[-1]), np.float32)}
    return {"x": x, "y": random.integers(0, sizes[-1], count)}


def training(
    name: str,
    sizes: list[int],
    activation: str,
    *,
    batch: int,
    batches: int = 32,
    loss: str = "cross_entropy",
    optimizer: str = "sgd",
    rate: float = 0.1,
    **more: Any,
) -> Case:
    """A training step of a multilayer perceptron: loss, gradient, update."""
    options = {
        "sizes": sizes,
        "activation": activation,
        "batch": batch,
        "batches": batches,
        "loss": loss,
        "optimizer": optimizer,
        "rate": rate,
    }
    gain = 4.0 if activation == "sigmoid" else 1.0  # a sigmoid's slope is 1/4 at most

    def arrays() -> Arrays:
        return {**weights(sizes, gain), **_examples(options)}

    # Forward, gradient of the weights, gradient of the inputs; the data need no gradient.
    flops = 2 * batch * (3 * multiply_adds(sizes) - sizes[0] * sizes[1])
    shape = "-".join(map(str, sizes))
    what = f"{shape} {activation}, {loss}, {optimizer}, batch {batch}"
    return Case(name, "train", what, options, arrays, flops, **more)


def forward(name: str, sizes: list[int], activation: str, **more: Any) -> Case:
    """The network's answer to one example."""
    options = {"sizes": sizes, "activation": activation}

    def arrays() -> Arrays:
        x = np.random.default_rng(2).random((64, sizes[0]), np.float32)
        return {**weights(sizes, 1.0), "x": x}

    what = f"{'-'.join(map(str, sizes))} {activation}, forward only, batch 1"
    return Case(name, "forward", what, options, arrays, 2 * multiply_adds(sizes), **more)


# ------------------------------------------------------------------------- smaller things


def product(name: str, m: int, k: int, n: int, layout: str = "AB") -> Case:
    """C (m, n) = A B of inner length k; in layout "AtB" A is stored (k, m), in "ABt" B (n, k)."""
    a_shape = (k, m) if layout == "AtB" else (m, k)
    b_shape = (n, k) if layout == "ABt" else (k, n)

    def arrays() -> Arrays:
        random = np.random.default_rng(3)
        pair = (random.standard_normal(shape, np.float32) for shape in (a_shape, b_shape))
        return dict(zip("ab", pair, strict=True))

    form = {"AB": "A B", "AtB": "Aᵀ B", "ABt": "A Bᵀ"}[layout]
    what = f"{form}, {m}×{k}×{n}, float32"
    options = {"layout": layout}
    return Case(name, "product", what, options, arrays, 2 * m * k * n, 1e-5, goal=0.95)


def descent(name: str, **more: Any) -> Case:
    """Gradient descent on f(a, b) = sin(0.8 a) sin(0.6 b) e^(0.1 a) from (2, 2)."""
    what = "sin(0.8 a) sin(0.6 b) e^(0.1 a), gradient descent, two variables"
    return Case(name, "descent", what, {"start": [2.0, 2.0], "rate": 0.1}, dict, **more)


PEAK = Case("peak", "peak", "multiply-adds in vector registers, nothing else", {}, dict)

CASES = (
    training(
        "tiny81", [4, 5, 5, 3, 2], "sigmoid", batch=1, batches=16384, loss="mse", goal=1000,
        step_goal=20,
    ),
    training("mnist_mlp", [784, 128, 10], "relu", batch=64, goal=4),
    training("mnist_deep5", [784, *[256] * 5, 10], "sigmoid", batch=64, goal=2.5),
    training(
        "adam_mlp", [784, 256, 128, 10], "relu", batch=64, optimizer="adamw", rate=1e-3,
        tolerance=1e-3,
    ),
    forward("mnist_mlp_forward", [784, 128, 10], "relu", step_goal=5),
    descent("descent", goal=200),
    *(product(f"matmul_{n}", n, n, n) for n in (64, 128, 256, 512, 1024)),
    product("matmul_64x784x128", 64, 784, 128),
    product("matmul_64x784x128_ABt", 64, 784, 128, "ABt"),  # a layer going forward: x Wᵀ
    product("matmul_128x64x784_AtB", 128, 64, 784, "AtB"),  # and its weights' gradient: gᵀ x
)  # fmt: skip
MM_PEAK = "matmul_1024"  # the product whose best rate by PyTorch is the second measure of the peak


def named(pattern: str) -> list[Case]:
    """The cases of this name, or those that begin with it."""
    exact = [case for case in CASES if case.name == pattern]
    return exact or [case for case in CASES if case.name.startswith(pattern)]
