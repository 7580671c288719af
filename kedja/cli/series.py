"""`kedja train FILE.csv` of a time series: forecasts, tested by walking forward; and `predict`.

DATA is a CSV file with a column of dates. The last fifth of the series is the test: the network
learns from what was known before it, and is not trained anew on the way. Not here: what all runs
have in common (`task.py`), training and testing (`kedja/train/forecasting.py`,
`kedja/train/walking.py`).
Next: `kedja/data/series.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from kedja import optim
from kedja.cli import runs, task
from kedja.cli.asked import Asked
from kedja.cli.families import Request
from kedja.cli.output import note, say, say_json
from kedja.data import learned, series
from kedja.data.series import Series, stamp
from kedja.ground.errors import DataError, UsageError
from kedja.models.forecaster import FORECASTERS, ForecasterConfig
from kedja.models.forecasts import Forecast, forecast
from kedja.train import forecasting, walking
from kedja.train.history import History
from kedja.train.walking import MODEL, NAIVE, SEASONAL
from kedja.views import forecasts as picture

TESTED = 0.2  # of a series, its end
HORIZONS = {"hour": 24, "day": 14, "business day": 10, "week": 8, "month": 12, "quarter": 4}
HORIZON = 10  # for other spacings
READ = ("target", "date", "past", "known", "every", "gather", "day_first", "only")

USUAL = {"level": 0.9, "batch": 64, "weight_decay": forecasting.DECAY, "seed": 0}
SIZES: dict[str, dict[str, Any]] = {
    "autoregression": {},
    "series-lstm": {"layers": 1, "width": 32, "dropout": 0.0},
    "series-transformer": {"layers": 1, "width": 32, "heads": 4, "dropout": 0.0},
}


def train(request: Request) -> None:
    """Train a forecaster on the series of DATA and test it on its last fifth."""
    model = request.given.get("model", "autoregression")
    usual: dict[str, Any] = {"model": model, **USUAL, "lr": forecasting.RATES[model]}
    usual |= SIZES[model]
    if request.earlier is None:
        usual |= _chosen(request.data, {**usual, **request.given})
    task.run(request, usual, _prepare)


def _only(data: Sequence[str]) -> str:
    if len(data) > 1:
        what = f"{len(data)} files: {', '.join(data)}"
        raise UsageError(what, fix="a forecaster learns one series: give one CSV file")
    return data[0]


def _read(data: Sequence[str], made: task.Options) -> Series:
    """The series as the options say. Names of columns are separated by commas."""
    given = {name: made[name] for name in READ if made.get(name) is not None}
    for name in ("past", "known"):
        if name in given:
            given[name] = [each.strip() for each in given[name].split(",") if each.strip()]
    if "only" in given:
        given["only"] = _values(given["only"])
    found = series.read(_only(data), **given)
    if not learned.is_alone():
        return found
    return found.until(_tested_from(found, _horizon(found, made)))


def _values(text: str) -> dict[str, str]:
    """`store=north, product=tea` as columns and values."""
    parts = [each.partition("=") for each in text.split(",")]
    if not all(name.strip() and sign for name, sign, _ in parts):
        raise UsageError(f"--only {text!r}", fix="write a column and a value: --only store=north")
    return {name.strip(): value.strip() for name, _, value in parts}


def _horizon(found: Series, made: task.Options) -> int:
    """The steps that are asked for; else some that suit the spacing, fewer of a short series."""
    most = _longest(len(found))
    asked = made.get("horizon")
    horizon = int(asked or min(most or 1, HORIZONS.get(found.spacing.name, HORIZON)))
    if horizon > most:
        what = f"{len(found):,} values are too few to forecast {horizon} steps and to test that"
        fewer = f", or --horizon {most} or less" if most else ""
        raise DataError(what, fix=f"give {6 * horizon + 4} values or more{fewer}")
    return horizon


def _longest(count: int) -> int:
    """The longest horizon that so many values allow: two of them are tested, one says how wide
    intervals are, and three are learned from.
    """
    return max(0, (count - 4) // 6)


def _chosen(data: Sequence[str], made: task.Options) -> dict[str, Any]:
    """The options that follow from the series: horizon, season, past, epochs."""
    found = _read(data, made)
    horizon = _horizon(found, made)
    known = found.until(_tested_from(found, horizon))
    config = _config(known, {**made, "horizon": horizon})
    windows, _ = forecasting.windows(config, known)
    return {
        "horizon": horizon,
        "season": config.season,
        "context": config.past,
        "epochs": forecasting.usual_epochs(windows.count, made["batch"]),
    }


def _tested_from(found: Series, horizon: int) -> int:
    """The row with which the test begins; at least two horizons are tested."""
    return max(1, len(found) - max(2 * horizon, round(TESTED * len(found))))


def _config(known: Series, made: task.Options) -> ForecasterConfig:
    sizes = {name: made[name] for name in SIZES[made["model"]]}
    return forecasting.config_for(
        known,
        made["model"],
        horizon=made["horizon"],
        past=made.get("context"),
        season=made.get("season"),
        level=made["level"],
        **sizes,
    )


def _prepare(data: tuple[str, ...], made: task.Options) -> task.Prepared:
    found = _read(data, made)
    start = _tested_from(found, made["horizon"])
    known = found.until(start)
    config = _config(known, made)
    sizes = {name: made[name] for name in SIZES[made["model"]]}

    def fit(**options: Any) -> History:
        rate = optim.AdamW(made["lr"], weight_decay=made["weight_decay"])
        options = {"optimizer": rate, **sizes, **options}
        given = {name: getattr(config, name) for name in ("horizon", "past", "season", "level")}
        return forecasting.fit_forecaster(known, made["model"], **given, **options)

    return task.Prepared(
        FORECASTERS[made["model"]][1](config),
        None,
        [*found.describe(), *_about(config, found, start)],
        fit,
        partial(_figures, found, start),
        _told,
        "--plot forecast.png",
    )


def _about(config: ForecasterConfig, found: Series, start: int) -> list[str]:
    season = f"a season of {config.season} steps" if config.season > 1 else "no season"
    return [
        f"{season}; {config.horizon} steps are forecast from the last {config.past}",
        f"learned: what was known before {stamp(found.times[start])}; tested: what came then",
    ]


# -------------------------------------------------------------------------------- figures


def _figures(found: Series, start: int, model: Any) -> dict[str, Any]:
    """The errors of the test beside those of the naive forecasts, and what the intervals hold."""
    walked = walking.walk_forward(model, found, start=start)
    return {
        "tested_from": stamp(found.times[start]),
        "forecasts": len(walked.origins),
        "scores": {name: asdict(scores) for name, scores in walked.scores.items()},
        "coverage": walked.coverage,
        "coverage_by_step": list(walked.coverage_by_step),
        "interval_width": walked.width,
        "refits": walked.refits,
    }


def _told(results: Mapping[str, Any]) -> list[str]:
    lines = [
        f"tested on {results['forecasts']:,} moments, {results['horizon']} steps ahead of each, "
        f"not trained anew on the way",
        f"{'':16}{'MAE':>12}{'RMSE':>12}{'MASE':>8}",
    ]
    names = (MODEL, NAIVE, SEASONAL) if results["season"] > 1 else (MODEL, NAIVE)
    scores = results["scores"]
    for name in names:
        of, shown = scores[name], results["model"] if name == MODEL else name
        lines.append(f"{shown:<18}{of['mae']:>10.4g}{of['rmse']:>12.4g}{of['mase']:>8.3f}")
    if scores[MODEL]["mae"] >= min(scores[name]["mae"] for name in names[1:]):
        lines.append("it is no better than a naive forecast: use that one")
    lines.append(
        f"{results['level']:.0%} intervals hold {results['coverage']:.1%} of the values; "
        f"they are {results['interval_width']:.4g} wide"
    )
    return lines


# --------------------------------------------------------------------------------- asking


def predict(asked: Asked) -> None:
    """Print the steps beyond the end of the run's series, or of a FILE that goes on with it."""
    if asked.given or asked.explain:
        raise UsageError("a forecaster has no --text and no --explain", fix="leave them out")
    if len(asked.files) > 1:
        raise UsageError(f"{len(asked.files)} files", fix="give one, or none for the run's own")
    made = runs.recipe_of(asked.run)
    data = [str(each) for each in asked.files] or runs.sources_of(asked.run)
    found = _read(data, made)
    try:
        ahead = forecast(asked.model, found)
    except DataError as error:
        raise DataError(error.what, where=data[0], fix=error.fix) from None
    if asked.plot is not None:
        picture.save(asked.plot, found, ahead)
        note(f"wrote {asked.plot}")
    if asked.json:
        about = {"run": str(asked.run), "target": found.target, "level": ahead.level}
        say_json({**about, "after": stamp(found.times[-1]), "predictions": _rows(ahead)})
        return
    say("\n".join(_lines(found, ahead)))


def _rows(ahead: Forecast) -> list[dict[str, Any]]:
    columns = zip(ahead.times, ahead.mean, ahead.low, ahead.high, strict=True)
    return [
        {"date": stamp(time), "mean": float(mean), "low": float(low), "high": float(high)}
        for time, mean, low, high in columns
    ]


def _lines(found: Series, ahead: Forecast) -> list[str]:
    """A line for each step, with digits enough to tell the interval's ends apart."""
    rows = _rows(ahead)
    largest = max(float(np.abs([ahead.low, ahead.high]).max()), 1e-300)
    apart = max(float((ahead.high - ahead.low).min()), 1e-9 * largest)
    places = max(0, 2 - math.floor(math.log10(apart)))
    form = f">14.{places}f" if largest < 1e10 and places <= 8 else ">14.5g"
    head = f"{found.target!r} after {stamp(found.times[-1])}, {ahead.level:.0%} within low and high"
    dates = max(len(row["date"]) for row in rows)
    lines = [head, f"{'date':<{dates}}{'mean':>14}{'low':>14}{'high':>14}"]
    for row in rows:
        numbers = "".join(f"{row[name]:{form}}" for name in ("mean", "low", "high"))
        lines.append(f"{row['date']}{numbers}")
    return lines
