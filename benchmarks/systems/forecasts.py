"""Forecasts of series whose best possible error is known: three networks, two naive forecasts.

A season of 24 steps with a persistent noise, of which a forecaster that knew the formula would
still miss what is drawn anew; the naive forecasts and that one are scored on the same moments. On a
random walk nothing beats the last value. Last, the check for leaks, on leaks that are planted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import kedja as kj
from benchmarks.systems.results import Chosen, Result
from kedja.data import future, series
from kedja.data.seasonal import Seasonal, random_walk
from kedja.models.forecasts import forecasts
from kedja.train.walking import MODEL, NAIVE, SEASONAL, WalkForward

TITLE = "Forecasts of a seasonal series, a random walk, and planted leaks"
MODELS = ("autoregression", "series-lstm", "series-transformer")
MADE = Seasonal(season=24, amplitude=3.0, noise=1.0, persistence=0.6, slope=0.002, seed=7)
COUNT, QUICK, TESTED, HORIZON = 4000, 400, 0.25, 12
GOAL = 1.10
PAST = 6  # of the forecasts into which leaks are planted


def run(chosen: Chosen) -> Iterator[Result]:
    """One row for each network and fact."""
    count = QUICK if chosen.quick else COUNT
    with kj.scope(threads=chosen.threads):
        for model in MODELS:
            yield from _seasonal(model, count, chosen.quick)
        yield _walk(count, chosen.quick)
        yield from _leaks()


def _fitted(given: series.Series, model: str, start: int, quick: bool) -> WalkForward:
    epochs = 2 if quick else None
    history = kj.train.fit_forecaster(
        given.until(start), model, horizon=HORIZON, epochs=epochs, progress=False
    )
    return kj.train.walk_forward(history.model, given, start=start)


def _seasonal(model: str, count: int, quick: bool) -> Iterator[Result]:
    given, start = MADE.series(count), round((1 - TESTED) * count)
    walked = _fitted(given, model, start, quick)
    best = MADE.best_forecasts(given.values, walked.origins, HORIZON)
    least = float(np.sqrt(np.mean((best - walked.truth) ** 2)))
    rmse = {name: scores.rmse for name, scores in walked.scores.items()}
    ratio = rmse[MODEL] / least
    yield Result(
        f"{model}: RMSE {HORIZON} steps ahead, beside the best possible",
        f"{rmse[MODEL]:.3f}, {ratio:.3f} ×",
        f"≤ {GOAL:.2f} ×",
        ratio <= GOAL,
        f"best possible {least:.3f}; seasonal naive {rmse[SEASONAL]:.3f}; naive {rmse[NAIVE]:.3f}",
        f"{len(walked.origins):,} moments; season found: {walked.season}; not refitted",
    )
    yield Result(
        f"{model}: share of values within its {walked.level:.0%} intervals",
        f"{walked.coverage:.1%}",
        baseline=f"{walked.level:.0%} are asked for",
        note=f"mean width {walked.width:.2f}; of the best possible ones "
        f"{2 * 1.6449 * MADE.best_mean(HORIZON):.2f}",
    )


def _walk(count: int, quick: bool) -> Result:
    given = series.of_values(random_walk(count, seed=7))
    walked = _fitted(given, "series-lstm", round((1 - TESTED) * count), quick)
    rmse = {name: scores.rmse for name, scores in walked.scores.items()}
    return Result(
        "series-lstm on a random walk: RMSE beside the naive forecast",
        f"{rmse[MODEL]:.3f}, {rmse[MODEL] / rmse[NAIVE]:.3f} ×",
        baseline=f"naive {rmse[NAIVE]:.3f}",
        note="nothing can do better than 1 × but by luck: prices are much like this",
    )


# ----------------------------------------------------------------------------------- leaks


def _leaks() -> Iterator[Result]:
    """Whether the check finds each planted leak, and none in our own training."""
    values, origin = Seasonal(season=6, seed=1).values(160), 120
    planted = {
        "scales of the whole series": lambda y: _said((y - y.mean()) / y.std(), origin),
        "windows divided by chance": lambda y: _said(y, len(y)),
        "a feature of the next step": lambda y: _said(np.roll(y, -1), origin),
    }
    found = [name for name, told in planted.items() if future.leaks(told, values, origin)]
    yield Result(
        "planted leaks that the check finds",
        f"{len(found)} of {len(planted)}",
        "all",
        len(found) == len(planted),
        note=", ".join(planted),
    )
    clean = [model for model in MODELS if not future.leaks(_own(model, origin), values, origin)]
    yield Result(
        "our networks without a leak, trained anew on each changed future",
        f"{len(clean)} of {len(MODELS)}",
        "all",
        len(clean) == len(MODELS),
    )


def _own(model: str, origin: int) -> Any:
    def told(values: Any) -> Any:
        given = series.of_values(values)
        options = {"width": 8, "heads": 2, "epochs": 2, "progress": False}
        history = kj.train.fit_forecaster(given.until(origin), model, horizon=4, **options)
        return forecasts(history.model, given, [origin, origin - 5])

    return told


def _said(values: Any, stop: int) -> Any:
    """Least squares on windows of the rows before `stop`, asked at row 120."""
    rows = np.arange(PAST, stop)
    x = values[rows[:, None] - np.arange(1, PAST + 1)]
    return values[119 : 119 - PAST : -1] @ np.linalg.lstsq(x, values[rows], rcond=None)[0]
