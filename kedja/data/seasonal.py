"""Made series of which the best possible error is known: seasons with noise, and random walks.

Not here: series from files (`series.py`). Next: `kedja/train/forecasting.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kedja.data.series import Series, of_values

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Seasonal:
    """y(t) = level + slope · t + amplitude · s(t mod season) + u(t).

    s is a fixed shape of mean 0 and variance 1, drawn by the seed; u(t) = φ u(t − 1) + ε(t) with
    ε normal of deviation `noise` and φ = `persistence`. Who knows all of that and the past still
    errs by ε: no forecast h steps ahead can have a smaller root mean square than `best(h)`.

    >>> made = Seasonal(noise=2.0, persistence=0.5)
    >>> round(made.best(1), 3), round(made.best(2), 3)
    (2.0, 2.236)
    """

    season: int = 24
    amplitude: float = 3.0
    noise: float = 1.0
    persistence: float = 0.0
    level: float = 20.0
    slope: float = 0.0
    seed: int = 0

    def values(self, count: int) -> Array:
        """The first `count` values, float64 (N,)."""
        rng = np.random.Generator(np.random.Philox(self.seed))
        shape = rng.standard_normal(self.season)
        shape = (shape - shape.mean()) / shape.std()
        drawn = rng.standard_normal(count) * self.noise
        rest = np.zeros(count)
        rest[0] = drawn[0] / np.sqrt(1 - self.persistence**2)
        for t in range(1, count):
            rest[t] = self.persistence * rest[t - 1] + drawn[t]
        steps = np.arange(count)
        season = self.amplitude * shape[steps % self.season]
        return np.asarray(self.level + self.slope * steps + season + rest)

    def series(self, count: int, every: str = "hour") -> Series:
        """The same as a series."""
        return of_values(self.values(count), every=every)

    def best_forecasts(self, values: Array, origins: Any, horizon: int) -> Array:
        """What one who knows all but ε forecasts of these values at rows `origins`: (O, H)."""
        certain = replace(self, noise=0.0).values(len(values) + horizon)
        origins = np.asarray(origins)
        rest = values[origins - 1] - certain[origins - 1]
        fading = self.persistence ** np.arange(1, horizon + 1)
        coming = certain[origins[:, None] + np.arange(horizon)]
        return np.asarray(coming + rest[:, None] * fading)

    def best(self, step: int) -> float:
        """The root mean square of the best forecast `step` steps ahead.

        noise · √(1 + φ² + φ⁴ + … + φ^(2(step − 1)))
        """
        powers = self.persistence ** (2 * np.arange(step))
        return float(self.noise * np.sqrt(powers.sum()))

    def best_mean(self, horizon: int) -> float:
        """The root mean square of the best forecasts of 1 … `horizon` steps ahead together."""
        squares = [self.best(step) ** 2 for step in range(1, horizon + 1)]
        return float(np.sqrt(np.mean(squares)))


def random_walk(count: int, seed: int = 0, start: float = 100.0) -> Array:
    """y(t) = y(t − 1) + ε(t), ε standard normal: no forecast of it beats the last value."""
    rng = np.random.Generator(np.random.Philox(seed))
    return start + np.cumsum(rng.standard_normal(count))
