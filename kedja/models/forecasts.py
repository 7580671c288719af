"""What a forecaster says of a series: of the steps beyond its end, or from any earlier moment.

Not here: the networks (`forecaster.py`), how good they are (`kedja/train/walking.py`).
Next: `kedja/train/forecasting.py`.
Dimensions: N steps of the series, T past and H coming steps of a forecast, O moments, F columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import kedja as kj
from kedja.data import seasons
from kedja.data.series import Series
from kedja.ground.errors import DataError
from kedja.models.forecaster import Forecaster, ForecasterConfig

Array = np.ndarray[Any, np.dtype[Any]]

_BATCH = 256


class Forecast(NamedTuple):
    """H coming steps: dates, mean, and the interval in which `level` of the values should lie."""

    times: Array
    mean: Array
    low: Array
    high: Array
    level: float


def forecast(model: Forecaster, series: Series) -> Forecast:
    """The H steps beyond the end of a series.

    Raises DataError where the series is too short, or not of the kind that the model was trained
    on: other columns, another spacing, columns known in advance that end too early.
    """
    found = forecasts(model, series, [len(series)])[0]
    times = series.dates(len(series), len(series) + model.config.horizon)
    mean, low, high = found.T
    return Forecast(times, mean, low, high, model.config.level)


def forecasts(model: Forecaster, series: Series, origins: Sequence[int]) -> Array:
    """What is said at several moments: (O, H, 3), mean, low and high in the target's units.

    A moment is the number of the first row that is not yet known; all before it is.
    Raises as `forecast` does.
    """
    config = model.config
    table = inputs(config, series)
    _require_past(config, series, origins)
    margins = model.margins.numpy()[:, None] * [0, -1, 1]  # (H, 3)
    span = np.arange(-config.past, config.horizon)
    parts = []
    for start in range(0, len(origins), _BATCH):
        rows = np.asarray(origins[start : start + _BATCH])[:, None] + span
        parts.append(model(kj.tensor(table[rows])).numpy() + margins)
    found = np.concatenate(parts).astype(np.float64)
    found[..., 1] = np.minimum(found[..., 0], found[..., 1])
    found[..., 2] = np.maximum(found[..., 0], found[..., 2])
    whole: Array = found * config.scales[0] + config.means[0]
    return whole


def inputs(config: ForecasterConfig, series: Series) -> Array:
    """The standardised columns and the waves of the seasons: float32 (N + H, F).

    Beyond the end there is only what is known in advance. Raises as `forecast` does.
    """
    _require_same(config, series)
    count, horizon = len(series), config.horizon
    table = np.zeros((count + horizon, len(config.columns)))
    table[:count] = (series.table - config.means) / config.scales
    if config.known:
        ahead = series.ahead[:horizon]
        mine = slice(config.lagged, None)
        table[count : count + len(ahead), mine] = ahead - np.array(config.means)[mine]
        table[count:, mine] /= np.array(config.scales)[mine]
    numbers = config.spacing.numbers(series.dates(0, count + horizon))
    waves = seasons.waves(numbers, config.periods)
    return np.concatenate([table, waves], 1).astype(np.float32)


def _require_same(config: ForecasterConfig, series: Series) -> None:
    if series.columns != config.columns or series.known != config.known:
        what = f"a series of {', '.join(series.columns)}, where the network knows"
        raise DataError(f"{what} {', '.join(config.columns)}", fix="give the same columns")
    if series.spacing[:2] != config.spacing[:2]:
        what = f"values {series.spacing.apart}, where the network was trained on values"
        raise DataError(f"{what} {config.spacing.apart}", fix="give such values")


def _require_past(config: ForecasterConfig, series: Series, origins: Sequence[int]) -> None:
    if min(origins) < config.past:
        what = f"{min(origins)} past values, where a forecast looks at {config.past}"
        raise DataError(what, fix="give more rows, or train with a shorter --context")
    needed = max(origins) + config.horizon - len(series)
    if config.known and len(series.ahead) < needed:
        names = ", ".join(config.columns[config.lagged :])
        what = f"{names} is known for {len(series.ahead)} coming steps, of {needed} to forecast"
        raise DataError(what, fix=f"add rows with {names} and without {series.target}")
