"""How good forecasts are: walking forward through time, beside two simple ones.

At each moment of the test the forecaster says the H coming steps from what was known then, and is
compared with what came. Beside it stand the naive forecast, the last value, and the seasonal naive
one, the value of a season ago: a forecaster that does not beat them has learned nothing of use.

MASE is the mean absolute error over that of the seasonal naive forecast, a season ahead, within the
part before the test (R. Hyndman and A. Koehler: Another look at measures of forecast accuracy,
2006). Not here: training (`forecasting.py`). Next: `kedja/data/future.py`.
Dimensions: N steps, H coming steps, O moments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kedja.data.series import Series
from kedja.front import tables
from kedja.ground.errors import DataError, UsageError
from kedja.models.forecaster import Forecaster
from kedja.models.forecasts import forecasts

Array = np.ndarray[Any, np.dtype[Any]]

MODEL, NAIVE, SEASONAL = "model", "naive", "seasonal naive"


@dataclass(frozen=True)
class Scores:
    """Mean absolute error, root mean square, MASE; the root mean square of each coming step."""

    mae: float
    rmse: float
    mase: float
    rmse_by_step: tuple[float, ...]


@dataclass(frozen=True, eq=False, repr=False)
class WalkForward:
    """What was said at each moment, what came, and how far apart they are.

    `origins` (O,) are the rows at which forecasts begin, `forecasts` (O, H, 3) mean, low and high,
    `truth` (O, H) what came (NaN where the file has no value). `scores` are of `model`, `naive` and
    `seasonal naive`. `coverage` is the share of values within the intervals, which should be
    `level`; `width` is the intervals' mean. `refits` is how often the model was trained anew.
    """

    origins: Array
    forecasts: Array
    truth: Array
    season: int
    scores: Mapping[str, Scores]
    level: float
    coverage: float
    coverage_by_step: tuple[float, ...]
    width: float
    refits: int

    def __repr__(self) -> str:
        header, rows = ("forecast", "MAE", "RMSE", "MASE"), []
        for name, each in self.scores.items():
            rows.append([name, f"{each.mae:.4g}", f"{each.rmse:.4g}", f"{each.mase:.4g}"])
        held = f"{self.coverage:.1%} of the values lie in intervals for {self.level:.0%}"
        moments = f"{len(self.origins):,} moments, {self.truth.shape[1]} steps ahead of each"
        return "\n".join([moments, tables.plain(header, rows, header[1:]), held])


def walk_forward(
    model: Forecaster,
    series: Series,
    *,
    start: int,
    stride: int = 1,
    refit: Callable[[Series], Forecaster] | None = None,
    every: int | None = None,
) -> WalkForward:
    """Forecast at the rows start, start + stride … and compare with what came.

    The model should not have seen rows from `start` on. It stays as it is unless `refit`, a
    function of the series as it was known then, trains it anew, each `every` rows (a horizon's
    length unless given). Raises DataError where no whole horizon is left, UsageError for options
    that do not fit together.
    """
    config = model.config
    if stride < 1:
        raise UsageError(f"stride is {stride}", fix="give 1 or more")
    moments: Array = np.arange(start, len(series) - config.horizon + 1, stride)
    if not len(moments):
        what = f"no horizon of {config.horizon} steps between row {start} and {len(series)}"
        raise DataError(what, fix="begin the test earlier, or give more rows")
    if every is not None and refit is None:
        raise UsageError("`every` without `refit`", fix="give the function that trains anew")
    found, refits = [], 0
    length = len(series) if refit is None else every or config.horizon
    for first in range(start, len(series), length):
        part = moments[(moments >= first) & (moments < first + length)]
        if refit is not None and first > start and len(part):
            model, refits = refit(series.until(first)), refits + 1
        if len(part):
            found.append(forecasts(model, series, part.tolist()))
    return _compared(series, moments, np.concatenate(found), config.season, config.level, refits)


def _compared(
    series: Series, moments: Array, found: Array, season: int, level: float, refits: int
) -> WalkForward:
    coming = moments[:, None] + np.arange(found.shape[1])  # (O, H)
    truth = np.where(series.there, series.values, np.nan)[coming]
    scale = naive_error(series.until(int(moments[0])), season)
    said = {
        MODEL: found[..., 0],
        NAIVE: naive(series.values, moments, found.shape[1]),
        SEASONAL: naive(series.values, moments, found.shape[1], season),
    }
    inside = (truth >= found[..., 1]) & (truth <= found[..., 2])
    held = np.where(np.isnan(truth), np.nan, inside)
    return WalkForward(
        origins=moments,
        forecasts=found,
        truth=truth,
        season=season,
        scores={name: scores(each, truth, scale) for name, each in said.items()},
        level=level,
        coverage=float(np.nanmean(held)),
        coverage_by_step=tuple(np.nanmean(held, axis=0).tolist()),
        width=float((found[..., 2] - found[..., 1]).mean()),
        refits=refits,
    )


def naive(values: Array, moments: Array, horizon: int, season: int = 1) -> Array:
    """(O, H): the last known value of the same place in the season.

    >>> naive(np.arange(10.0), np.array([6]), 3, season=2)
    array([[4., 5., 4.]])
    """
    steps = np.arange(horizon) % season - season
    return np.asarray(values[np.asarray(moments)[:, None] + steps])


def naive_error(series: Series, season: int) -> float:
    """The mean |y(t) − y(t − season)| over all values that are there."""
    values = np.where(series.there, series.values, np.nan)
    apart = np.abs(values[season:] - values[:-season])
    return float(np.nanmean(apart)) if np.isfinite(apart).any() else float("nan")


def scores(said: Array, truth: Array, scale: float) -> Scores:
    """The figures of forecasts (O, H) beside what came (O, H); NaN is not counted."""
    rest = said - truth
    if np.isnan(rest).all():
        raise DataError("the test part has no values", fix="give a series with values at its end")
    mae = float(np.nanmean(np.abs(rest)))
    by_step = np.sqrt(np.nanmean(rest**2, axis=0))
    mase = mae / scale if scale > 0 else float("nan")
    return Scores(mae, float(np.sqrt(np.nanmean(rest**2))), mase, tuple(by_step.tolist()))
