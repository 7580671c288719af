"""The recipe, and the file by which a side is handed it. Needs NumPy alone. Next: `kedja_side.py`.

Source: A. Karpathy: nanoGPT, README, "I only have a macbook"; what its configuration does not say
stands in its `train.py`: betas, decay, clipping, and the rate's cosine to a tenth.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Recipe:
    """What both sides are to do. `vocabulary` follows from the text."""

    vocabulary: int
    layers: int = 4
    heads: int = 4
    width: int = 128
    context: int = 64
    batch: int = 12
    steps: int = 2000
    lr: float = 1e-3
    final: float = 1e-4
    warmup: int = 100
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.1
    clip: float = 1.0
    seed: int = 1
    threads: int = 2
    precision: str | None = None

    def rate(self, step: int) -> float:
        """The rate of a step (from 0): rising to `lr`, then half a cosine to `final`."""
        if step < self.warmup:
            return self.lr * (step + 1) / (self.warmup + 1)
        share = min(1.0, (step - self.warmup) / (self.steps - self.warmup))
        return self.final + (self.lr - self.final) * (1 + math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class Handed:
    """A recipe with the arrays that go with it.

    `train` and `held` are tokens (N,); `starts` (steps, B) where the windows of each step begin;
    `weights` the first ones, under PyTorch's names.
    """

    recipe: Recipe
    train: Array
    held: Array
    starts: Array
    weights: Mapping[str, Array]

    def write(self, path: str) -> None:
        """Into one `.npz`."""
        arrays = {"train": self.train, "held": self.held, "starts": self.starts}
        arrays |= {f"weights.{name}": each for name, each in self.weights.items()}
        np.savez(path, recipe=np.array(json.dumps(asdict(self.recipe))), **arrays)

    @staticmethod
    def read(path: str) -> Handed:
        """What `write` wrote."""
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        given = json.loads(str(arrays.pop("recipe")))
        recipe = Recipe(**{**given, "betas": tuple(given["betas"])})
        start = "weights."
        weights = {n.removeprefix(start): arrays[n] for n in arrays if n.startswith(start)}
        return Handed(recipe, arrays["train"], arrays["held"], arrays["starts"], weights)


def side(run: Callable[[Handed], Mapping[str, float]]) -> None:
    """The program of a side: reads what it is handed, prints its figures as one JSON object."""
    figures = run(Handed.read(sys.argv[1]))
    sys.stdout.write(json.dumps(dict(figures)) + "\n")
