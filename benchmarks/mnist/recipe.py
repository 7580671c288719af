"""The recipe, and what a side is handed with it. Needs NumPy alone. Next: `kedja_side.py`.

Chosen on 5,000 of the 60,000 pictures to train on; those to test on were not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import handed
from benchmarks.handed import Array, cosine


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
        return cosine(step, steps, self.lr, 0.0, self.warmup)


@dataclass(frozen=True)
class Handed(handed.Handed):
    """A recipe with the arrays that go with it.

    `x` and `y` are uint8 (N, H, W) and int64 (N,), to train on and to test on; `order` (epochs, N)
    says which picture comes when; `weights` are the first ones, under PyTorch's names.
    """

    KIND = Recipe

    recipe: Recipe
    train_x: Array
    train_y: Array
    test_x: Array
    test_y: Array
    order: Array
