"""Means and variances of all that was seen so far, added to batch by batch.

Not here: where they are used (`actor_critic.py`, `learner.py`). Next: `actor_critic.py`.

Source: T. Chan, G. Golub, R. LeVeque: Updating formulae and a pairwise algorithm for computing
sample variances (1979).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kedja.front import functions as kj
from kedja.front.tensor import Tensor
from kedja.nn.module import Buffer, Module

Array = np.ndarray[Any, np.dtype[Any]]

SMALL = 1e-8
FARTHEST = 10.0  # standard deviations; what lies beyond is taken to lie there


class Running(Module):
    """Mean and variance of vectors (O,): of nothing at first, where mean 0 and variance 1 serve.

    x ↦ (x − mean)/√(variance + ε), held within ±10.
    """

    mean: Buffer  # (O,)
    variance: Buffer  # (O,)
    count: Buffer  # ()

    def __call__(self, x: Tensor) -> Tensor:
        """x (…, O) in standard deviations from the mean."""
        scaled = (x - self.mean) / kj.sqrt(self.variance + SMALL)
        return kj.clip(scaled, -FARTHEST, FARTHEST)

    def seen(self, x: Tensor, counts: Tensor) -> Running:
        """The statistics once those rows of x (B, O), too, were seen that count 1, not 0 (B,).

        With n before and b now, δ = mean(x) − mean:
        mean ← mean + δ·b/(n + b), n·variance ← n·variance + b·var(x) + δ²·n·b/(n + b).
        """
        weights = kj.expand_dims(counts, -1)  # (B, 1)
        n, b = self.count, kj.sum(counts)
        total = n + b
        new = kj.sum(x * weights, axis=0) / b
        apart = new - self.mean
        spread = kj.sum(kj.square(x - new) * weights, axis=0)
        squares = self.variance * n + spread + kj.square(apart) * n * b / total
        return Running(self.mean + apart * b / total, squares / total, total)


def nothing_seen(width: int) -> Running:
    """Statistics of no vectors yet."""
    return Running(kj.zeros(width), kj.ones(width), kj.zeros(()))


class RewardScale:
    """Rewards in units of the standard deviation of what they add up to, discounted.

    Per copy R ← γ·R + r, from 0 in each episode; r is divided by the standard deviation of all R
    so far. Values are then near 1 in every environment. Rewards are not moved: what is good stays
    good. Source of the practice: L. Engstrom et al.: Implementation matters in deep policy
    gradients (2020).
    """

    def __init__(self, count: int, gamma: float) -> None:
        self._gamma = gamma
        self.returns: Array = np.zeros(count)
        self.moments: Array = np.zeros(3)  # count, sum, sum of squares

    def scaled(self, rewards: Array, over: Array, counts: Array) -> Array:
        """Rewards (T, N) in these units.

        `over` (T, N) says where an episode ended, `counts` which steps were taken at all.
        """
        sums = np.empty(rewards.shape)
        returns = self.returns
        for t, (row, ends) in enumerate(zip(rewards, over, strict=True)):
            sums[t] = returns = self._gamma * returns + row
            returns = np.where(ends, 0.0, returns)
        self.returns = returns
        sums = sums[counts > 0]
        self.moments = self.moments + np.array([sums.size, sums.sum(), np.square(sums).sum()])
        count, total, squares = self.moments
        variance = squares / count - (total / count) ** 2
        return np.asarray(rewards / np.sqrt(max(variance, 0.0) + SMALL))
