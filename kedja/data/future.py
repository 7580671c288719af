"""Does a forecast know the future? A check by changing it: what was said before must not change.

Whatever makes a forecast at some moment (reading, scaling, windows, split, training, model) may use
what came before that moment. If anything of it depends on what came after, its error in a test
means nothing. The usual leaks are scales taken from the whole series, windows divided by chance,
and features that hold a later value; all are found in the same way.

Not here: forecasts (`kedja/train/walking.py`). Next: `seasonal.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from kedja.ground.errors import DataError, ShapeError, UsageError

Array = np.ndarray[Any, np.dtype[Any]]


class Leak(NamedTuple):
    """A change of the future that changed a forecast made before it, and by how much at most."""

    change: str
    difference: float


def leaks(
    forecast: Callable[[Array], Any], values: Any, origin: int, *, seed: int = 0
) -> list[Leak]:
    """Which changes of the values from row `origin` on change what is forecast before it.

    `forecast` takes values (N,) or (N, C) and gives numbers made for the moment `origin`, with all
    that belongs to it: if it trains, it trains here. An empty list says that no leak was found.

    >>> y = np.random.default_rng(0).normal(size=100)
    >>> leaks(lambda y: y[:50].mean(), y, 50)
    []
    >>> scaled = lambda y: ((y - y.mean()) / y.std())[49]
    >>> [leak.change for leak in leaks(scaled, y, 50)]
    ['other values', 'a higher level']

    Raises UsageError where no value comes after the moment, ShapeError for a forecast that has
    another shape each time.
    """
    given = np.asarray(values, np.float64)
    if not 0 < origin < len(given):
        raise UsageError(f"origin {origin} of {len(given)} values", fix="1 … N − 1")
    before = np.asarray(forecast(given.copy()), np.float64)
    found = []
    for name, future in _futures(given, origin, seed).items():
        after = np.asarray(forecast(np.concatenate([given[:origin], future])), np.float64)
        if after.shape != before.shape:
            what = f"forecasts of shape {list(before.shape)} and {list(after.shape)}"
            raise ShapeError(what, fix="give the forecasts of one moment")
        if not np.array_equal(before, after, equal_nan=True):
            found.append(Leak(name, float(np.nanmax(np.abs(after - before)))))
    return found


def _futures(values: Array, origin: int, seed: int) -> dict[str, Array]:
    """Other futures of the same length."""
    rest = values[origin:]
    spread = np.maximum(values.std(0), 1e-3)
    drawn = np.random.Generator(np.random.Philox(seed)).standard_normal(rest.shape)
    return {
        "other values": values.mean(0) + spread * drawn,
        "a higher level": rest + 10 * spread,
        "the reverse order": rest[::-1].copy(),
    }


def require_no_leak(
    forecast: Callable[[Array], Any], values: Any, origin: int, *, seed: int = 0
) -> None:
    """Raise DataError where `leaks` finds one."""
    found = leaks(forecast, values, origin, seed=seed)
    if found:
        leak = max(found, key=lambda each: each.difference)
        raise DataError(
            f"what is forecast at row {origin} changes by up to {leak.difference:.4g} with what "
            f"comes after it ({leak.change})",
            fix="take scales, features and training windows from earlier rows alone",
        )
