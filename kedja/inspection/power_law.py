"""The law of learning curves, error(n) = a · n^(−b) + c: fitted, and carried on with an interval.

c is the error that no amount of data takes away. Sources: C. Cortes et al., "Learning curves:
asymptotic values and rate of convergence" (1993); J. Hestness et al., "Deep learning scaling is
predictable, empirically" (2017). Not here: the measured errors (`curves.py`). Next: `curves.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kedja.ground.errors import DataError
from kedja.inspection.subject import Array

FEWEST_SIZES = 4  # of three unknowns; with fewer a law fits anything
FARTHEST = 10  # times the largest size: beyond, another law may hold
SAMPLES = 200
_FLOORS = 60


@dataclass(frozen=True)
class Law:
    """error(n) = a · n^(−b) + c, with b ≥ 0 and c ≥ 0."""

    a: float
    b: float
    c: float

    def __call__(self, n: Array | float) -> Array:
        """The error at n examples."""
        return np.asarray(self.a * np.asarray(n, np.float64) ** -self.b + self.c)


def fit(sizes: Sequence[float], errors: Sequence[float]) -> Law:
    """The law that comes nearest to these mean errors, all above 0, by their logarithms.

    For each c on a grid a and b are those of a line through log(error − c); the best c is taken.
    Raises DataError for fewer than four sizes.

    >>> law = fit([100, 200, 400, 800, 1600], [0.1 + 3 / n for n in (100, 200, 400, 800, 1600)])
    >>> round(law.b, 1), round(law.c, 2)
    (1.0, 0.1)
    """
    n, e = np.asarray(sizes, np.float64), np.asarray(errors, np.float64)
    if len(np.unique(n)) < FEWEST_SIZES:
        raise DataError(f"{len(np.unique(n))} sizes", fix=f"measure at {FEWEST_SIZES} or more")
    floors = np.r_[0.0, float(e.min()) * (1 - np.geomspace(1, 0.01, _FLOORS))]
    laws = [_line(n, e, float(floor)) for floor in floors]
    away = [float(((np.log(law(n)) - np.log(e)) ** 2).sum()) for law in laws]
    return laws[int(np.argmin(away))]


def _line(n: Array, e: Array, floor: float) -> Law:
    """a and b for a given c. What is left of an error near c counts for less."""
    left = np.maximum(e - floor, 1e-12)
    weight = (left / e) ** 2
    x, y = np.log(n), np.log(left)
    mean_x, mean_y = np.average(x, weights=weight), np.average(y, weights=weight)
    spread = float((weight * (x - mean_x) ** 2).sum())
    slope = float((weight * (x - mean_x) * (y - mean_y)).sum()) / max(spread, 1e-300)
    slope = min(slope, 0.0)
    return Law(float(np.exp(mean_y - slope * mean_x)), -slope, floor)


def carried_on(
    sizes: Sequence[int], errors: Sequence[Sequence[float]], n: float
) -> tuple[float, float, float]:
    """The error expected at n examples, and its 95 % interval; `errors` of each size by seed.

    The interval is that of laws fitted to samples of the seeds with replacement: it knows how much
    runs differ, not whether the law holds so far. Raises DataError beyond ten times the largest
    size, or for fewer than four sizes.
    """
    if n > FARTHEST * max(sizes):
        fix = f"ask for at most {FARTHEST * max(sizes):,}, or measure larger sizes"
        raise DataError(f"{n:,.0f} examples are too far from {max(sizes):,}", fix=fix)
    draw = np.random.default_rng(0)
    found = []
    for _ in range(SAMPLES):
        means = [max(float(np.mean(draw.choice(each, len(each)))), _LEAST) for each in errors]
        found.append(float(fit(sizes, means)(n)))
    middle = fit(sizes, [max(float(np.mean(each)), _LEAST) for each in errors])
    low, high = np.percentile(found, (2.5, 97.5))
    return float(middle(n)), float(low), float(high)


_LEAST = 1e-6
