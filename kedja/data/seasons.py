"""Seasons of a series: found in its past, those of the calendar, and as waves for a network.

Not here: the series itself (`series.py`). Next: `seasonal.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.data import spacing
from kedja.data.spacing import Spacing

Array = np.ndarray[Any, np.dtype[Any]]

YEAR = 365.2425
BUSINESS_YEAR = 5 * YEAR / 7
# A season must be seen so often in the past, and make the error so much smaller; one that the
# calendar does not know more often, and by so many standard errors of a mean.
TIMES, GAIN = 3, 0.1
UNKNOWN_TIMES, ERRORS = 6, 3.0
EARLIER, HELP = 0.6, 0.02
PEAKS = 8
CLOSE = 1.15  # a part of a season that is nearly as good is the season
# Waves of a season: all of a short one, the first few of a longer one.
SHORT, FEW = 24, 4


def find(values: Array, step: Spacing | None = None) -> int:
    """The season of past values (N,) in steps; 1 where none helps.

    Candidates are those of the calendar and the highest peaks of the autocorrelation. Taken is the
    one for which y(t) − y(t − m), without its mean, is smallest beside the same over 1 … m steps,
    if it is clearly smaller: a random walk has none, however high its autocorrelation.

    >>> find(np.tile([1.0, 5.0, 2.0, 2.0], 20)), find(np.cumsum(np.ones(50)))
    (4, 1)
    """
    values = np.asarray(values, np.float64)
    longest = len(values) // TIMES
    named = {round(each) for each in ([] if step is None else calendar(step))}
    unknown = _peaks(values, len(values) // UNKNOWN_TIMES)
    candidates = sorted(m for m in named | set(unknown) if 2 <= m <= longest)
    scores = {m: _score(values, m) for m in candidates}
    needed = {m: GAIN if m in named else max(GAIN, _error(len(values) - m)) for m in scores}
    good = {m: score for m, score in scores.items() if score < 1 - needed[m]}
    known = named & set(good)  # several years are no season beside the year
    good = {m: good[m] for m in good if m in named or not any(m % each == 0 for each in known)}
    if not good:
        return 1
    best = min(good, key=lambda m: (good[m], m))
    return min(m for m in good if best % m == 0 and good[m] <= good[best] * CLOSE + 1e-12)


def _error(pairs: int) -> float:
    """How much the mean of so many distances may differ by chance, beside it."""
    return ERRORS * 0.75 / float(np.sqrt(pairs))


def _score(values: Array, m: int) -> float:
    """How far values m steps apart differ, beside those 1 … m steps apart."""
    nearer = np.unique(np.linspace(1, m, min(m, 24)).round().astype(int))
    usual = float(np.mean([_distance(values, int(h)) for h in nearer]))
    return _distance(values, m) / usual if usual > 0 else 1.0


def _distance(values: Array, steps: int) -> float:
    apart = values[steps:] - values[:-steps]
    return float(np.abs(apart - apart.mean()).mean())


def _peaks(values: Array, longest: int) -> list[int]:
    """Where the autocorrelation, without the straight line through the values, is highest."""
    if longest < 2:
        return []
    t = np.arange(len(values))
    rest = values - np.polynomial.Polynomial.fit(t, values, 1)(t)
    power = np.abs(np.fft.rfft(rest, 2 * len(rest))) ** 2
    height = np.fft.irfft(power)[: longest + 2]
    inner = height[1:-1]
    places = np.flatnonzero((inner >= height[:-2]) & (inner >= height[2:])) + 1
    highest = places[np.argsort(-height[places], kind="stable")]
    return [int(place) for place in highest[:PEAKS]]


def calendar(step: Spacing) -> list[float]:
    """The seasons that the calendar has for a spacing, in steps: hour, day, week, year.

    >>> calendar(spacing.named("hour"))[:2], calendar(spacing.named("month"))
    ([24.0, 168.0], [12.0])
    """
    if step.kind == spacing.MONTHS:
        lengths = [12 / step.size]
    elif step.kind == spacing.BUSINESS:
        lengths = [5.0, BUSINESS_YEAR]
    else:
        spans = (spacing.HOUR, spacing.DAY, 7 * spacing.DAY, YEAR * spacing.DAY)
        lengths = [span / step.size for span in spans]
    return [length for length in lengths if length >= 2]


def periods(
    values: Array, season: int, step: Spacing | None = None, horizon: int = 1
) -> tuple[float, ...]:
    """The seasons, in steps, whose waves help to forecast past values `horizon` steps ahead.

    These are the season that was found, and of the calendar's those whose waves, fitted to the
    earlier part of the values' distances from their level, lower the error on the later part: the
    waves of a season that is not there cost more than they look.
    """
    kept = [float(season)] if season > 1 else []
    apart = from_level(values, season, horizon)
    for each in [] if step is None else calendar(step):
        new = not any(abs(each - other) < 0.5 for other in kept)
        if new and TIMES * each <= len(apart) and _helps(apart, kept, each):
            kept.append(each)
    return tuple(sorted(kept))


def from_level(values: Array, season: int, horizon: int) -> Array:
    """How far each value is from the mean of the season that ended `horizon` steps before it."""
    season = max(1, min(season, len(values) - horizon))
    sums = np.concatenate([[0.0], np.cumsum(values - values[0])])
    level = values[0] + (sums[season:] - sums[:-season]) / season
    return np.asarray(values[season + horizon - 1 :] - level[: len(level) - horizon])


def _helps(apart: Array, kept: Sequence[float], more: float) -> bool:
    part = round(EARLIER * len(apart))
    errors = []
    for lengths in (kept, [*kept, more]):
        x = waves(np.arange(len(apart)), lengths)
        x = np.concatenate([np.ones((len(x), 1)), x], 1)
        fitted = np.linalg.lstsq(x[:part], apart[:part], rcond=None)[0]
        errors.append(float(np.sqrt(np.mean((x[part:] @ fitted - apart[part:]) ** 2))))
    return errors[1] < (1 - HELP) * errors[0]


def waves(numbers: Array, lengths: Sequence[float]) -> Array:
    """cos and sin of 2π k n / m for each season m and k = 1, 2 …: float64 (N, W), known always.

    >>> waves(np.arange(4), [4.0]).round(6).tolist()[1]
    [0.0, 1.0, -1.0]
    """
    parts = []
    for length in lengths:
        for k in _waves_of(length):
            angle = 2 * np.pi * ((k * np.asarray(numbers)) % length) / length
            parts.append(np.cos(angle))
            if 2 * k != length:  # there the sine is 0
                parts.append(np.sin(angle))
    return np.stack(parts, 1) if parts else np.zeros((len(numbers), 0))


def width(lengths: Sequence[float]) -> int:
    """W, how many waves there are."""
    return int(waves(np.zeros(1), lengths).shape[1])


def _waves_of(length: float) -> range:
    most = int(length // 2)
    return range(1, (most if length <= SHORT else min(FEW, most)) + 1)
