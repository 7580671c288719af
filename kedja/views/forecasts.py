"""A forecast as a picture: the end of the series, the mean of what is to come, its interval.

Needs matplotlib. Not here: the forecast (`kedja/models/forecasts.py`). Next: `figures.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedja.data.series import Series
from kedja.models.forecasts import Forecast
from kedja.views import figures

SHOWN = 5  # horizons of the past stand before the forecast
PAST, COMING = "#333333", "#1f5fa8"


def plot_forecast(series: Series, ahead: Forecast, ax: Any = None) -> Any:
    """The series' end and the forecast, drawn into `ax` (a new one if None), which is given back.

    Raises MissingExtra without matplotlib.
    """
    ax = figures.axes(ax)
    count = len(series)
    start = max(0, count - SHOWN * len(ahead.mean))
    ax.plot(series.dates(start, count), series.values[start:], color=PAST, linewidth=1.2)
    ax.plot(ahead.times, ahead.mean, color=COMING, linewidth=1.6, label="forecast")
    label = f"{ahead.level:.0%} interval"
    ax.fill_between(ahead.times, ahead.low, ahead.high, color=COMING, alpha=0.2, label=label)
    ax.set_title(f"{series.name}: {series.target}", loc="left")
    ax.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))  # off the line
    return ax


def save(path: Path, series: Series, ahead: Forecast) -> None:
    """Write the picture.

    Raises UsageError for another ending, MissingExtra without matplotlib, StorageError where the
    file cannot be written.
    """
    figures.require(path)
    made = figures.figure(figsize=(8, 4))
    plot_forecast(series, ahead, made.subplots()).tick_params(axis="x", rotation=30)
    figures.save(made, path)
