"""Exponential smoothing with a trend and a season, as matrices on the last values of a series.

It is what a network has to beat, and where one that knows little begins. Not here: the networks
(`kedja/models/forecaster.py`), seasons (`seasons.py`). Next: `seasons.py`.
Dimensions: K ways of smoothing, T past and H coming steps, m steps of a season, O moments.
"""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np

from kedja.ground.errors import UsageError

Array = np.ndarray[Any, np.dtype[Any]]

LEVELS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0)
TRENDS = ((0.0, 1.0), (0.02, 1.0), (0.1, 1.0), (0.3, 1.0), (0.05, 0.9), (0.3, 0.9), (0.3, 0.8))
SEASONS = (0.0, 0.1, 0.3, 0.6)
TOGETHER = 32  # ways that are worked out at once


class Smoothing(NamedTuple):
    """How fast level, trend and season follow the values, from 0 (never) to 1 (at once).

    Without `trend` there is none; what it adds fades by `damping` with each step ahead.
    """

    level: float
    trend: float = 0.0
    damping: float = 1.0
    season: float = 0.0


def ways(season: int) -> list[Smoothing]:
    """Those that are tried."""
    seasons = SEASONS if season > 1 else (0.0,)
    return [Smoothing(a, b, phi, g) for a, (b, phi), g in product(LEVELS, TRENDS, seasons)]


def matrices(past: int, horizon: int, season: int, kinds: list[Smoothing]) -> Array:
    """What each way says of the coming steps, as a matrix on the last values: (K, H, T).

        e(t) = y(t) − level − φ trend − s(t)      level(t) = level + φ trend + α e(t)
        trend(t) = φ trend + α β e(t)             s(t + m) = s(t) + γ (1 − α) e(t)
        ŷ(T + h) = level(T) + (φ + … + φʰ) trend(T) + s(T + h)

    All of it is linear in the values, so it is worked out once, on the rows of a unit matrix. It
    begins with the mean of the first season (or half), the growth to the second, and what both have
    left; in a past shorter than two seasons there is taken to be none. A constant stays constant.
    Source: C. Holt (1957), P. Winters (1960), E. Gardner and E. McKenzie (1985); in this form R.
    Hyndman et al.: Forecasting with exponential smoothing (2008).

    >>> matrices(4, 2, 1, [Smoothing(1.0)])[0].tolist()
    [[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0]]
    """
    if min(past, horizon, season) < 1:
        raise UsageError(f"past {past}, horizon {horizon}, season {season}", fix="give 1 or more")
    season = season if past >= 2 * season else 1
    parts = [kinds[start : start + TOGETHER] for start in range(0, len(kinds), TOGETHER)]
    return np.concatenate([_smoothed(past, horizon, season, part) for part in parts])


def _smoothed(past: int, horizon: int, season: int, kinds: list[Smoothing]) -> Array:
    alpha, beta, phi, gamma = (np.array(each)[:, None] for each in zip(*kinds, strict=True))
    mean, growth, seasons = _first(past, season)
    trend = (beta > 0) * growth  # (K, T)
    level = mean - trend * (_stretch(past, season) + 1) / 2  # just before the first value
    parts = [np.repeat(each[None], len(kinds), 0) for each in seasons]
    for t, value in enumerate(np.eye(past)):
        before, expected = parts[t % season], level + phi * trend
        missed = value - expected - before
        level = expected + alpha * missed
        trend = phi * trend + alpha * beta * missed
        parts[t % season] = before + gamma * (1 - alpha) * missed
    found, faded = [], np.zeros_like(phi)
    for h in range(1, horizon + 1):
        faded = faded + phi**h
        found.append(level + faded * trend + parts[(past + h - 1) % season])
    return np.stack(found, 1)


def _stretch(past: int, season: int) -> int:
    """How many values the first level is the mean of: a season, or half of all."""
    return season if season > 1 else max(1, past // 2)


def _first(past: int, season: int) -> tuple[Array, Array, list[Array]]:
    """The mean of the first stretch, the growth from it to the second, a step, and what both have
    left at each place of the season; each as weights of the values (T,).
    """
    values, size = np.eye(past), _stretch(past, season)
    one, other = values[:size], values[size : 2 * size]
    first = one.mean(0)
    if season == 1:
        growth = (other.mean(0) - first) / size if past > 1 else np.zeros(past)
        return first, growth, [np.zeros(past)]
    second = other.mean(0)
    growth = (second - first) / size
    within = (np.arange(size)[:, None] - (size - 1) / 2) * growth  # which is no season
    return first, growth, list((one - first + other - second) / 2 - within)


def best(windows: Array, coming: Array, season: int) -> Array:
    """The matrix (H, T) of the way that errs least on windows (O, T) and what came (O, H).

    The error is the mean of the absolute ones; NaN, for what is not there, does not count.
    """
    level = windows[:, -1:]
    found = matrices(windows.shape[1], coming.shape[1], season, ways(season))
    rest, base = coming - level, windows - level
    errors = [float(np.nanmean(np.abs(base @ each.T - rest))) for each in found]
    return np.asarray(found[int(np.argmin(errors))])
