"""Intervals in which a share or a mean lies, at the confidence that was asked for.

Not here: what is measured (`groups.py`). Next: `groups.py`.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from kedja.ground.errors import DataError, ShapeError, UsageError

DRAWS = 2000  # of the bootstrap
BLOCK = 2**20  # numbers that are drawn at once


class Interval(NamedTuple):
    """Where the true value lies, at the confidence that was asked for."""

    low: float
    high: float


def wilson(hits: int, count: int, confidence: float = 0.95) -> Interval:
    """Wilson's interval of a share p of which hits/count was seen.

        (p̂ + z²/2n ± z·√(p̂(1 − p̂)/n + z²/4n²)) / (1 + z²/n),   p̂ = hits/n

    where z is the normal distribution's quantile of (1 + confidence)/2. It stays within 0 and 1 and
    is honest for few examples and for shares of 0 and 1, where p̂ ± z·√(p̂(1 − p̂)/n) is not.
    Raises UsageError for counts that are no counts.
    Source: E. Wilson: Probable inference, the law of succession, and statistical inference (1927).

    >>> [round(each, 3) for each in wilson(9, 10)]
    [0.596, 0.982]
    """
    require_confidence(confidence)
    if not 0 <= hits <= count or count < 1:
        raise UsageError(
            f"{hits} of {count}", fix="a number from 0 to the count, which is 1 or more"
        )
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, width = hits / count, z * z / count
    middle = share + width / 2
    reach = z * math.sqrt(share * (1 - share) / count + width / (4 * count))
    low, high = (middle - reach) / (1 + width), (middle + reach) / (1 + width)
    return Interval(0.0 if hits == 0 else low, 1.0 if hits == count else high)


def bootstrap(values: Any, confidence: float = 0.95, draws: int = DRAWS, seed: int = 0) -> Interval:
    """The bootstrap's interval of a mean of values (N,): quantiles of means of N drawn again.

    Each of `draws` means is of N values drawn with replacement; the interval leaves out
    (1 − confidence)/2 of the means at either end. One value alone has the interval (−∞, ∞).
    Raises ShapeError where the values are not of one axis, DataError where there are none.
    Source: B. Efron: Bootstrap methods: another look at the jackknife (1979), by percentiles.

    >>> low, high = bootstrap([1.0, 2.0, 3.0, 4.0])
    >>> 1.0 <= low < 2.5 < high <= 4.0
    True
    """
    require_confidence(confidence)
    found = np.asarray(values, np.float64)
    if found.ndim != 1:
        raise ShapeError(f"values of shape {list(found.shape)}", fix="one number for each example")
    if not len(found):
        raise DataError("there are no values", fix="give at least one")
    if len(found) == 1:
        return Interval(-math.inf, math.inf)
    drawn, means = np.random.default_rng(seed), np.empty(draws)
    at_once = max(1, BLOCK // len(found))
    for start in range(0, draws, at_once):
        size = (min(at_once, draws - start), len(found))
        means[start : start + at_once] = found[drawn.integers(0, len(found), size)].mean(1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


def require_confidence(confidence: float) -> None:
    """UsageError for a confidence that is none."""
    if not 0 < confidence < 1:
        raise UsageError(f"confidence {confidence}", fix="between 0 and 1, such as 0.95")
