"""How probable a count or a difference is if nothing is wrong: the levels behind every finding.

A report asks many questions, each of them of many columns, so that a rare event among so many is
no surprise: a finding is a defect where its chance is below `LEVEL` divided by how often the same
question was asked (Bonferroni), so that a clean data set is called clean in 999 of 1,000 cases
for each check. Not here: the checks. Next: `neighbours.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

LEVEL = 1e-3


def poisson_tail(count: int, mean: float) -> float:
    """P(X ≥ count) for X from a Poisson distribution of that mean.

    >>> round(poisson_tail(2, 1.0), 4)
    0.2642
    """
    if count <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    logs = [each * math.log(mean) - mean - math.lgamma(each + 1) for each in range(count)]
    below = math.fsum(math.exp(each) for each in logs)
    if below < 0.999:
        return 1 - below
    first = count * math.log(mean) - mean - math.lgamma(count + 1)
    return math.exp(first) / max(1 - mean / (count + 1), 1e-300)  # the sum of the tail, from above


def chi2_tail(value: float) -> float:
    """P(X > value) for χ² with one degree of freedom: erfc(√(value / 2)).

    >>> round(chi2_tail(3.841), 3)
    0.05
    """
    return math.erfc(math.sqrt(max(value, 0.0) / 2))


def gamma_tail(value: float, mean: float, scale: float) -> float:
    """P(X > value) for X from a gamma distribution of that mean, with variance scale · mean.

    By the continued fraction of the incomplete gamma function (A. Legendre), which converges
    beyond the mean; 1 up to there, where nothing is unlikely.

    >>> f"{gamma_tail(20, 1, 2):.4g} {chi2_tail(20):.4g}", gamma_tail(0.5, 1, 2)  # χ² has scale 2
    ('7.744e-06 7.744e-06', 1.0)
    """
    if value <= mean:
        return 1.0
    shape, x = mean / scale, value / scale
    fraction = 0.0
    for step in range(200, 0, -1):
        fraction = step * (step - shape) / (x + 2 * step + 1 - shape - fraction)
    first = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    return min(1.0, first / (x + 1 - shape - fraction))


def same_distribution(a: Array, b: Array) -> float:
    """The chance of two samples to differ as much if both come from one distribution.

    The two-sample test of Kolmogorov and Smirnov by its limit (N. Smirnov, 1948):
    p = 2 Σ (−1)^{k−1} exp(−2 k² D² n m / (n + m)). Ties make it err towards 1, the safe side.

    >>> same_distribution(np.arange(50.0), np.arange(50.0) + 0.1) > 0.99
    True
    >>> same_distribution(np.arange(50.0), np.arange(50.0) + 30) < 1e-6
    True
    """
    a, b = np.sort(a), np.sort(b)
    if not len(a) or not len(b):
        return 1.0
    places = np.concatenate([a, b])
    low = np.searchsorted(a, places, side="right") / len(a)
    high = np.searchsorted(b, places, side="right") / len(b)
    scale = float(np.abs(low - high).max()) * math.sqrt(len(a) * len(b) / (len(a) + len(b)))
    if scale < 0.2:
        return 1.0
    terms = [(-1) ** (k - 1) * math.exp(-2 * (k * scale) ** 2) for k in range(1, 101)]
    return min(1.0, max(0.0, 2 * math.fsum(terms)))


def unlikely(chances: Array) -> Array:
    """Which of many chances (N,) are too small for so many: bool (N,).

    The i smallest, for the largest i of which the i-th is at most i · LEVEL / N. Where nothing is
    wrong, any are named with a probability of at most `LEVEL`. Source: Y. Benjamini, Y. Hochberg,
    "Controlling the false discovery rate" (1995).

    >>> unlikely(np.array([1e-4, 6e-4, 0.5, 0.9])).tolist()
    [True, False, False, False]
    """
    order = np.sort(chances)
    below = np.flatnonzero(order <= LEVEL * np.arange(1, len(order) + 1) / len(order))
    bound = order[below[-1]] if len(below) else -1.0
    named: Array = chances <= bound
    return named


def said(chance: float) -> str:
    """A chance in words.

    >>> said(0.00004), said(0.0), said(0.02)
    ('by chance: less than 1 in 10,000', 'by chance: less than 1 in 1,000,000', 'by chance: 2 %')
    """
    if chance >= 1e-3:
        return f"by chance: {chance:.2g} %" if chance > 1 else f"by chance: {100 * chance:.2g} %"
    power = 6 if chance < 1e-6 else math.floor(-math.log10(chance))
    return f"by chance: less than 1 in {10**power:,}"
