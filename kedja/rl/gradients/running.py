"""Means and variances of all that was seen so far, added to batch by batch.

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

    def seen(self, x: Tensor) -> Running:
        """The statistics once all rows of x (B, O) were seen, too.

        With n before and b now, δ = mean(x) − mean:
        mean ← mean + δ·b/(n + b), n·variance ← n·variance + b·var(x) + δ²·n·b/(n + b).
        """
        batch = x.shape[0]
        total = self.count + batch
        new, n = kj.mean(x, axis=0), self.count
        apart = new - self.mean
        spread = kj.mean(kj.square(x - new), axis=0) * batch
        squares = self.variance * n + spread + apart * apart * n * batch / total
        return Running(self.mean + apart * batch / total, squares / total, total)


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

    def scaled(self, rewards: Array, over: Array) -> Array:
        """Rewards (T, N) in these units; `over` (T, N) says where an episode ended."""
        sums = np.empty(rewards.shape)
        returns = self.returns
        for t, (row, ends) in enumerate(zip(rewards, over, strict=True)):
            sums[t] = returns = self._gamma * returns + row
            returns = np.where(ends, 0.0, returns)
        self.returns = returns
        self.moments = self.moments + np.array([sums.size, sums.sum(), np.square(sums).sum()])
        count, total, squares = self.moments
        variance = squares / count - (total / count) ** 2
        return np.asarray(rewards / np.sqrt(max(variance, 0.0) + SMALL), np.float32)
