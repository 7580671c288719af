"""A wave at another rate: a low-pass filter of windowed sinc, evaluated where samples are wanted.

Not here: files (`sound.py`). Next: `sound.py`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from kedja.ground.errors import UsageError

Array = np.ndarray[Any, np.dtype[Any]]

CROSSINGS = 24  # zero crossings of the sinc on either side: the edge of the filter is 4 % wide
PHASES = 1024  # with more places between two samples than this, weights are not kept
CHUNK = 4096  # samples that are computed at once, so that memory stays small


def resample(wave: Array, rate: int, to: int) -> Array:
    """A wave (L,) at `rate` as one at the rate `to`: (⌈L·to/rate⌉,), of the same dtype.

        y[n] = Σₖ x[k] · h(n·rate/to − k),   h(t) = c·sinc(c·t)·cos²(π·c·t / 2Z) for |c·t| < Z

    with c = min(1, to/rate), which cuts off what the new rate cannot hold, and Z = 24. The weights
    of each sample are divided by their sum: a constant stays what it is. Outside the wave x is 0.
    Raises UsageError for rates below 1.
    Source: J. Smith: Digital audio resampling (2002), of the band-limited interpolation of J. Smith
    and P. Gossett: A flexible sampling-rate conversion method (1984).

    >>> resample(np.ones(8), 2, 1).shape
    (4,)
    """
    if rate < 1 or to < 1:
        raise UsageError(f"from {rate} to {to} samples a second", fix="give rates from 1")
    if rate == to:
        return wave
    common = math.gcd(rate, to)
    up, down = to // common, rate // common
    count = -(-len(wave) * up // down)
    half = math.ceil(CROSSINGS * max(1.0, rate / to))
    padded = np.pad(wave, (half, half + 1))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half)
    found = np.empty(count, wave.dtype)
    for start in range(0, count, CHUNK):
        place = np.arange(start, min(start + CHUNK, count)) * down  # in steps of 1/up
        weights = _weights(place % up, up, down, half)  # (n, 2 half)
        found[start : start + CHUNK] = (windows[place // up + 1] * weights).sum(1)
    return found


def _weights(phases: Array, up: int, down: int, half: int) -> Array:
    """The weights of the samples around a place `phases`/up behind one of them."""
    if up <= PHASES:
        return _table(up, down, half)[phases]
    return _kernel(phases / up, min(1.0, up / down), half)


@lru_cache(maxsize=8)
def _table(up: int, down: int, half: int) -> Array:
    """The weights of all phases."""
    return _kernel(np.arange(up) / up, min(1.0, up / down), half)


def _kernel(fractions: Array, cut: float, half: int) -> Array:
    """h(fraction − j) for j = 1 − half … half, each row divided by its sum."""
    t = cut * (fractions[:, None] - np.arange(1 - half, half + 1))
    window = np.where(abs(t) < CROSSINGS, np.cos(np.pi * t / (2 * CROSSINGS)) ** 2, 0.0)
    weights: Array = np.sinc(t) * window
    weights /= weights.sum(1, keepdims=True)
    return weights
