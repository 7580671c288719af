"""The recipe, and the file by which a side is handed it. Needs NumPy alone. Next: `kedja_side.py`.

Chosen on 5,000 of the 60,000 pictures to train on; those to test on were not looked at.
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
    """What both sides are to do: what `kedja train mnist --model cnn` does unless told otherwise.

    `widths` are the channels of the stages, each a convolution of 3 × 3, relu and pooling; `shift`
    (shares of the side), `rotate` (degrees) and `zoom` are the largest changes of a picture.
    """

    side: int
    classes: int
    mean: float
    std: float
    widths: tuple[int, ...] = (16, 32, 64)
    hidden: int = 64
    dropout: float = 0.25
    epochs: int = 13
    batch: int = 64
    lr: float = 2e-3
    warmup: int = 100
    weight_decay: float = 0.05
    shift: float = 0.08
    rotate: float = 10.0
    zoom: float = 0.1
    seed: int = 1
    threads: int = 2

    def rate(self, step: int, steps: int) -> float:
        """The rate of a step (from 0): rising to `lr`, then half a cosine to 0."""
        if step < self.warmup:
            return self.lr * (step + 1) / (self.warmup + 1)
        share = (step - self.warmup) / (steps - self.warmup)
        return self.lr * (1 + math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class Handed:
    """A recipe with the arrays that go with it.

    `x` and `y` are uint8 (N, H, W) and int64 (N,), to train on and to test on; `order` (epochs, N)
    says which picture comes when; `weights` are the first ones, under PyTorch's names.
    """

    recipe: Recipe
    train_x: Array
    train_y: Array
    test_x: Array
    test_y: Array
    order: Array
    weights: Mapping[str, Array]

    def write(self, path: str) -> None:
        """Into one `.npz`."""
        names = ("train_x", "train_y", "test_x", "test_y", "order")
        arrays = {name: getattr(self, name) for name in names}
        arrays |= {f"weights.{name}": each for name, each in self.weights.items()}
        np.savez(path, recipe=np.array(json.dumps(asdict(self.recipe))), **arrays)

    @staticmethod
    def read(path: str) -> Handed:
        """What `write` wrote."""
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        given = json.loads(str(arrays.pop("recipe")))
        recipe = Recipe(**{**given, "widths": tuple(given["widths"])})
        start = "weights."
        weights = {
            n.removeprefix(start): arrays.pop(n) for n in list(arrays) if n.startswith(start)
        }
        return Handed(recipe, **arrays, weights=weights)


def side(run: Callable[[Handed], Mapping[str, Any]]) -> None:
    """The program of a side: reads what it is handed, prints its figures as one JSON object."""
    figures = run(Handed.read(sys.argv[1]))
    sys.stdout.write(json.dumps(dict(figures)) + "\n")
