"""The recipe, and what a side is handed with it. Needs NumPy alone. Next: `kedja_side.py`.

Source: A. Karpathy: nanoGPT, README, "I only have a macbook"; what its configuration does not say
stands in its `train.py`: betas, decay, clipping, and the rate's cosine to a tenth.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import handed
from benchmarks.handed import Array, cosine


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
        return cosine(step, self.steps, self.lr, self.final, self.warmup)


@dataclass(frozen=True)
class Handed(handed.Handed):
    """A recipe with the arrays that go with it.

    `train` and `held` are tokens (N,); `starts` (steps, B) where the windows of each step begin;
    `weights` the first ones, under PyTorch's names.
    """

    KIND = Recipe

    recipe: Recipe
    train: Array
    held: Array
    starts: Array
