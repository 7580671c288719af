"""Forecasts of short series by kedja's default, statsmodels' ETS and a ridge regression on lags.

`python -m benchmarks.series_beside_ets [NAME …]` prints the mean absolute error of each on the same
moments: all of the last fifth, fitted to what was known before it. Needs statsmodels, whose data
sets these are, and scikit-learn. Not here: series with a known best error (`systems/forecasts.py`).
Next: `systems/forecasts.py`.
Dimensions: N values, H coming steps, L lags, O moments.
"""

from __future__ import annotations

import itertools
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.linear_model import RidgeCV
from statsmodels import datasets
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

import kedja as kj
from kedja.data import series

Array = np.ndarray[Any, np.dtype[Any]]

# Thousands of airline passengers a month, 1949 to 1960: G. Box and G. Jenkins, Time series analysis
# (1976), series G.
PASSENGERS = """
112 118 132 129 121 135 148 148 136 119 104 118 115 126 141 135 125 149 170 170 158 133 114 140
145 150 178 163 172 178 199 199 184 162 146 166 171 180 193 181 183 218 230 242 209 191 172 194
196 196 236 235 229 243 264 272 237 211 180 201 204 188 235 227 234 264 302 293 259 229 203 229
242 233 267 269 270 315 364 347 312 274 237 278 284 277 317 313 318 374 413 405 355 306 271 306
315 301 356 348 355 422 465 467 404 347 305 336 340 318 362 348 363 435 491 505 404 359 310 337
360 342 406 396 420 472 548 559 463 407 362 405 417 391 419 461 472 535 622 606 508 461 390 432
"""


class Given(NamedTuple):
    """A series: its values, the step between them, how far it is forecast, its usual season."""

    load: Callable[[], Any]
    every: str
    horizon: int
    season: int = 1


def _economy(column: str) -> Given:
    return Given(lambda: datasets.macrodata.load_pandas().data[column], "quarter", 4, 4)


def _co2() -> Any:
    return datasets.co2.load_pandas().data["co2"].resample("MS").mean().ffill()


def _walk() -> Array:
    return 100 + np.cumsum(np.random.default_rng(3).normal(size=400))


def _line() -> Array:
    return 100 + 5 * np.arange(20) + 4 * np.random.default_rng(3).normal(size=20)


SERIES = {
    "passengers": Given(lambda: np.array(PASSENGERS.split(), float), "month", 12, 12),
    "co2": Given(_co2, "month", 12, 12),
    "sunspots": Given(lambda: datasets.sunspots.load_pandas().data["SUNACTIVITY"], "year", 10),
    "pacific": Given(
        lambda: datasets.elnino.load_pandas().data.iloc[:, 1:].to_numpy().ravel(), "month", 12, 12
    ),
    "nile": Given(lambda: datasets.nile.load_pandas().data["volume"], "year", 10),
    "copper": Given(lambda: datasets.copper.load_pandas().data["COPPERPRICE"], "year", 3),
    "gdp": _economy("realgdp"),
    "prices": _economy("cpi"),
    "unemployment": _economy("unemp"),
    "inflation": _economy("infl"),
    "bills": _economy("tbilrate"),
    "walk": Given(_walk, "day", 14, 7),
    "line": Given(_line, "month", 2, 12),
}

# Each forecasts y (N,) at the moments from `start` on: (O, H).
Method = Callable[[Array, int, Given], Array]


def _moments(y: Array, start: int, horizon: int) -> Array:
    return np.arange(start, len(y) - horizon + 1)


def kedja(y: Array, start: int, given: Given) -> Array:
    """The default, which finds the season by itself."""
    found = series.of_values(y, every=given.every)
    history = kj.train.fit_forecaster(
        found.until(start), "autoregression", horizon=given.horizon, progress=False
    )
    return kj.train.walk_forward(history.model, found, start=start).forecasts[..., 0]


def ets(y: Array, start: int, given: Given) -> Array:
    """Error, trend and season of all kinds; of these the one of least AICc."""
    before, positive = y[:start], bool((y > 0).all())
    kinds = ("add", "mul") if positive else ("add",)
    long = given.season > 1 and start >= 2 * given.season + 3
    trends = ((None, False), ("add", False), ("add", True))
    best: tuple[float, dict[str, Any], Any] | None = None
    for error, (trend, damped), season in itertools.product(
        kinds, trends, (None, *kinds) if long else (None,)
    ):
        kind = {"error": error, "trend": trend, "damped_trend": damped, "seasonal": season}
        kind["seasonal_periods"] = given.season if season else None
        try:
            fitted = ETSModel(before, **kind).fit(disp=False)
        except (ValueError, np.linalg.LinAlgError):
            continue  # statsmodels refuses some kinds for some data
        if np.isfinite(fitted.aicc) and (best is None or fitted.aicc < best[0]):
            best = fitted.aicc, kind, fitted.params
    assert best is not None
    _, kind, params = best
    moments = _moments(y, start, given.horizon)
    smoothed = (ETSModel(y[:moment], **kind).smooth(params) for moment in moments)
    return np.array([each.forecast(given.horizon) for each in smoothed])


def ridge(y: Array, start: int, given: Given) -> Array:
    """A matrix on the last values, beside the last one."""
    ahead = np.arange(given.horizon)
    lags = max(2, min(max(16, 2 * given.season), (start - given.horizon) // 2))

    def seen(moments: Array) -> tuple[Array, Array]:
        past = y[moments[:, None] - np.arange(lags, 0, -1)]
        return past - past[:, -1:], past[:, -1:]

    learned = np.arange(lags, start - given.horizon + 1)
    x, last = seen(learned)
    scale = x.std() + 1e-9
    line = RidgeCV(np.logspace(-3, 3, 13)).fit(x / scale, y[learned[:, None] + ahead] - last)
    x, last = seen(_moments(y, start, given.horizon))
    return np.asarray(line.predict(x / scale) + last)


def naive(y: Array, start: int, given: Given) -> Array:
    """The last value."""
    return seasonal(y, start, given._replace(season=1))


def seasonal(y: Array, start: int, given: Given) -> Array:
    """The value of a season ago; without a season the last one."""
    ahead = np.arange(given.horizon) % given.season - given.season
    return np.asarray(y[_moments(y, start, given.horizon)[:, None] + ahead])


METHODS: dict[str, Method] = {each.__name__: each for each in (kedja, ets, ridge, naive, seasonal)}


def errors(given: Given) -> dict[str, float]:
    """The mean absolute error of each method."""
    y = np.asarray(given.load(), float)
    start = len(y) - max(2 * given.horizon, round(0.2 * len(y)))
    moments = _moments(y, start, given.horizon)
    came = y[moments[:, None] + np.arange(given.horizon)]
    return {
        name: float(np.abs(method(y, start, given) - came).mean())
        for name, method in METHODS.items()
    }


def main(names: list[str]) -> None:
    """A line for each series, then the geometric mean of kedja's error by that of ETS."""
    warnings.filterwarnings("ignore", module="statsmodels")
    ratios = []
    for name in names or SERIES:
        begun = time.perf_counter()
        found = errors(SERIES[name])
        ratios.append(found["kedja"] / found["ets"])
        told = "  ".join(f"{method} {error:8.4g}" for method, error in found.items())
        took = time.perf_counter() - begun
        print(f"{name:12}  {told}  kedja/ets {ratios[-1]:.2f}  {took:.0f} s", flush=True)
    print(f"geometric mean of kedja/ets: {np.exp(np.mean(np.log(ratios))):.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
