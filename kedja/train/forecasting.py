"""Training a forecaster on a series: parts by time, the loss, intervals that hold.

The network learns from the earlier part of the series that it is given. The later part, a fifth,
says when to stop and how wide intervals have to be. Scales are those of the earlier part alone, and
no window of it reaches into the later one. What comes after the given series is never looked at:
to test, give `series.until(row)`, and forecast from there on (`walking.py`).

Low and high are learned as quantiles, by the pinball loss (R. Koenker and G. Bassett: Regression
quantiles, 1978), then widened by what they missed on the later part: conformalized quantile
regression (Y. Romano, E. Patterson and E. Candès, 2019), for each coming step by itself where there
are windows enough. That they hold as often as asked is a theorem for exchangeable
windows; windows of a series are not quite, so the share that holds is measured.

Not here: the networks (`kedja/models/forecaster.py`). Next: `walking.py`.
Dimensions: N steps, T past and H coming steps of a window, O windows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import kedja as kj
from kedja import Tensor, optim
from kedja.data import seasons, smoothing
from kedja.data.series import Series
from kedja.front import random
from kedja.ground.errors import DataError, UsageError
from kedja.ground.suggest import did_you_mean
from kedja.models.forecaster import (
    FORECASTERS,
    Autoregression,
    Forecaster,
    ForecasterConfig,
)
from kedja.models.forecasts import forecasts, inputs
from kedja.train.early_stopping import EarlyStopping
from kedja.train.history import History
from kedja.train.series_windows import SeriesWindows
from kedja.train.trainer import Trainer

Array = np.ndarray[Any, np.dtype[Any]]

HELD = 0.2  # of what is given says when to stop and how wide intervals are
STEPS, EPOCHS = 2000, (10, 300)
SHORTEST, LONGEST = 16, 512  # of the past that is looked at, unless it is said
RATES = {"autoregression": 1e-3, "series-lstm": 5e-3, "series-transformer": 2e-3}
DECAY, CLIP = 1e-2, 1.0
SOLVED, COMPARED = 20_000, 1000  # windows that least squares and simple forecasts look at
# Of least squares: penalties, learned on the earlier windows, and by how much one must help later.
PENALTIES = tuple(10.0**power for power in range(2, -6, -1))
EARLIER, HELP = 0.65, 0.02
SEASONS = {"autoregression": 4}  # of the past that is looked at; others look at two
FEWEST = 10  # windows to learn from


@dataclass(frozen=True)
class ForecastLoss:
    """(mean − y)² + pinball(low) + pinball(high), the mean over windows and steps.

    With `gaps`, some y are NaN: they count for nothing.
    """

    low: float
    high: float
    gaps: bool = False

    def __call__(self, prediction: Tensor, y: Tensor) -> Tensor:
        """prediction (B, H, 3), y (B, H) → a scalar."""
        rest = kj.expand_dims(y, -1) - prediction  # (B, H, 3)
        if not self.gaps:
            return kj.mean(self._each(rest))
        known = ~kj.isnan(y)  # (B, H)
        each = self._each(kj.where(kj.expand_dims(known, -1), rest, 0.0))
        return kj.sum(each) / kj.maximum(kj.sum(known.astype(each.dtype)), 1.0)

    def _each(self, rest: Tensor) -> Tensor:
        """(B, H, 3) → (B, H)."""
        parts = [pinball(rest[..., 1], self.low), pinball(rest[..., 2], self.high)]
        return rest[..., 0] ** 2 + parts[0] + parts[1]


def pinball(rest: Tensor, quantile: float) -> Tensor:
    """max(q r, (q − 1) r) for r = y − ŷ: smallest in the mean where ŷ is the q-quantile of y."""
    return kj.maximum(quantile * rest, (quantile - 1) * rest)


def fit_forecaster(
    series: Series,
    model: str = "autoregression",
    *,
    horizon: int,
    past: int | None = None,
    season: int | None = None,
    level: float = 0.9,
    epochs: int | None = None,
    batch_size: int = 64,
    seed: int = 0,
    resume: bool = False,
    width: int = 32,
    layers: int = 1,
    heads: int = 4,
    dropout: float = 0.0,
    **options: Any,
) -> History:
    """Train `autoregression`, `series-lstm` or `series-transformer`; the history holds the model.

    It forecasts `horizon` steps from the last `past` (two seasons unless given), with intervals in
    which `level` of the values should lie. The season is found unless given (1 for none). `width`
    and so on are the network's; further options are those of `Trainer`.
    Raises DataError for a series that is too short, UsageError for an unknown model.
    """
    sizes: dict[str, Any] = {"width": width, "layers": layers, "heads": heads, "dropout": dropout}
    given: dict[str, Any] = {"horizon": horizon, "past": past, "season": season, "level": level}
    config = config_for(series, model, **given, **sizes)
    learned, held = windows(config, series)
    epochs = usual_epochs(learned.count, batch_size) if epochs is None else epochs
    random.seed(seed)
    trainer = Trainer(
        started(FORECASTERS[model][1](config), learned),
        loss=ForecastLoss(*config.quantiles, gaps=not series.there.all()),
        **{**_usual(model, epochs), **options},
        batch_size=batch_size,
        seed=seed,
    )
    history = trainer.fit(learned, epochs=epochs, validation=held, resume=resume)
    history.model = calibrated(history.model, series)
    return history


def _usual(model: str, epochs: int) -> dict[str, Any]:
    return {
        "optimizer": optim.AdamW(RATES[model], weight_decay=DECAY),
        "schedule": "cosine",
        "clip_norm": CLIP,
        "early_stopping": EarlyStopping(patience=max(5, epochs // 6)),
    }


def started(model: Forecaster, learned: SeriesWindows) -> Forecaster:
    """An autoregression solved, from which training goes on; others as they are.

    It is the exponential smoothing that errs least on the windows, a matrix as well, and what least
    squares say of the rest; low and high begin at the quantiles of what is then missed.
    """
    if not isinstance(model, Autoregression):
        return model
    config = model.config
    rows, table, there = _looked_at(config, learned)
    past = table[rows[:, : config.past], : len(config.columns)]  # (O, T, C)
    level = past[:, -min(config.season, config.past) :, :1].mean(1)  # (O, 1)
    past[..., :1] -= level[:, None]
    coming = np.where(there, table[rows[:, config.past :], 0] - level, np.nan)  # (O, H)
    some = slice(None, None, math.ceil(len(rows) / COMPARED))
    smoothed = smoothing.best(past[some, :, 0], coming[some], config.season)  # (H, T)
    lags = np.concatenate([past.reshape(len(rows), -1), np.ones_like(level)], 1)
    known = table[rows[:, config.past :], config.lagged :]  # (O, H, K)
    steps = [np.concatenate([lags, known[:, h]], 1) for h in range(config.horizon)]
    missed = coming - past[..., 0] @ smoothed.T
    found = _solved(steps, missed)  # (H, T C + 1 + K)
    rest = missed - np.stack([x @ w for x, w in zip(steps, found, strict=True)], 1)
    found[:, : past[0].size : len(config.columns)] += smoothed
    return _with(model, found, np.nanquantile(rest, config.quantiles, axis=0).T)


def _with(model: Autoregression, found: Array, ends: Array) -> Autoregression:
    """The weights (H, T C + 1 + K) of lags, bias and what is known, and the ends (H, 2)."""
    last = model.past.weight.shape[1]
    weight, bias, known, spread = (
        kj.tensor(each.astype(np.float32))
        for each in (found[:, :last], found[:, last], found[:, last + 1 :], ends)
    )
    past = model.past.replace(weight=weight, bias=bias)
    return model.replace(past=past, known=known, spread=spread)


def _looked_at(config: ForecasterConfig, learned: SeriesWindows) -> tuple[Array, Array, Array]:
    """The rows (O, T + H) of windows, not too many, the table, and which targets are there."""
    table, moments = learned.arrays["table"].astype(np.float64), learned.arrays["origins"]
    moments = moments[:: math.ceil(len(moments) / SOLVED)]
    rows = moments[:, None] + np.arange(-config.past, config.horizon)
    return rows, table, learned.has(rows[:, config.past :])


def _solved(steps: Sequence[Array], missed: Array) -> Array:
    """Least squares of what is missed (O, H) of each step, on what is seen, (O, D) each: (H, D).

    min |missed − x w|² + λ O |w|², solved exactly over the windows that have a value there; w is 0
    where no λ helps on later windows.
    """
    penalty = _penalty(steps, missed)
    return np.stack([_ridge(x, y, penalty) for x, y in zip(steps, missed.T, strict=True)])


def _penalty(steps: Sequence[Array], missed: Array) -> float:
    """The λ with which earlier windows err least on later ones; ∞ where none helps."""
    count, horizon = missed.shape
    stop = round(EARLIER * count)
    before = max(1, stop - horizon)  # nothing that later windows forecast is learned
    some = sorted({0, horizon // 2, horizon - 1})

    def error(penalty: float) -> float:
        rest = [
            missed[stop:, h]
            - steps[h][stop:] @ _ridge(steps[h][:before], missed[:before, h], penalty)
            for h in some
        ]
        return float(np.nanmean(np.square(rest)))

    errors = {penalty: error(penalty) for penalty in (math.inf, *PENALTIES)}
    least = min(PENALTIES, key=errors.__getitem__)
    return least if errors[least] < (1 - HELP) * errors[math.inf] else math.inf


def _ridge(x: Array, y: Array, penalty: float) -> Array:
    """Least squares where y is there."""
    if math.isinf(penalty):
        return np.zeros(x.shape[1])
    there = ~np.isnan(y)
    x, y = x[there], y[there]
    return np.asarray(np.linalg.solve(x.T @ x + penalty * len(x) * np.eye(x.shape[1]), x.T @ y))


def usual_epochs(count: int, batch_size: int) -> int:
    """Passes over so many windows that make some 2,000 updates."""
    least, most = EPOCHS
    return min(most, max(least, round(STEPS / math.ceil(count / batch_size))))


# ------------------------------------------------------------------------------------ parts


def learned_rows(count: int, horizon: int) -> int:
    """How many of `count` rows are learned from; the others, a horizon at least, are held out."""
    return count - max(horizon, round(HELD * count))


def config_for(
    series: Series,
    model: str,
    *,
    horizon: int,
    past: int | None = None,
    season: int | None = None,
    **options: Any,
) -> ForecasterConfig:
    """What a forecaster of this series has to know; scales and seasons are of the learned part."""
    if model not in FORECASTERS:
        raise UsageError(f"there is no forecaster {model!r}", fix=did_you_mean(model, FORECASTERS))
    if horizon < 1 or (season is not None and season < 1):
        what = f"a horizon of {horizon} and a season of {season} steps"
        raise UsageError(what, fix="whole numbers from 1")
    rows = learned_rows(len(series), horizon)
    if rows < 3 * horizon + 2:
        what = f"{len(series)} values are too few to forecast {horizon} steps and to test that"
        raise DataError(what, fix=f"give {5 * horizon + 10} values or more, or a shorter horizon")
    if season is not None and season > rows // 2:
        what = f"a season of {season} steps, where {rows} values are learned from"
        raise UsageError(what, fix="give two seasons or more, or a shorter one (1 for none)")
    earlier = series.table[:rows]
    season = seasons.find(earlier[:, 0], series.spacing) if season is None else season
    scales = earlier.std(0)
    scales[0] = distance(earlier[:, 0], horizon, season)
    return FORECASTERS[model][0](
        past=past if past is not None else usual_past(rows, horizon, season, model),
        horizon=horizon,
        season=season,
        columns=series.columns,
        known=series.known,
        periods=seasons.periods(earlier[:, 0], season, series.spacing, horizon),
        means=tuple(earlier.mean(0).tolist()),
        scales=tuple(np.where(scales > 0, scales, 1.0).tolist()),
        spacing=series.spacing,
        **options,
    )


def distance(values: Array, horizon: int, season: int) -> float:
    """The root mean square of coming values (1 … H) from the level: the mean of the last season."""
    squares = [np.mean(seasons.from_level(values, season, h) ** 2) for h in range(1, horizon + 1)]
    return float(np.sqrt(np.mean(squares)))


def usual_past(rows: int, horizon: int, season: int, model: str) -> int:
    """Two seasons or four, within bounds that leave windows to learn from."""
    wanted = max(SHORTEST, SEASONS.get(model, 2) * season)
    room = rows - horizon
    most = max(room // 2, min(2 * season, room - FEWEST))  # without two there is no season
    return max(1, min(wanted, LONGEST, most))


def origins(series: Series, config: ForecasterConfig, start: int, stop: int) -> Array:
    """Where windows may begin whose H coming steps lie in [start, stop), and some are there."""
    first: Array = np.arange(max(start, config.past), stop - config.horizon + 1)
    values = np.concatenate([[0], np.cumsum(series.there)])
    known: Array = first[values[first + config.horizon] > values[first]]
    return known


def windows(config: ForecasterConfig, series: Series) -> tuple[SeriesWindows, SeriesWindows]:
    """What is learned, and the later windows that are held out."""
    table = inputs(config, series)
    rows = learned_rows(len(series), config.horizon)
    there = None
    if not series.there.all():
        there = np.concatenate([series.there, np.zeros(config.horizon, bool)])
    parts = [(0, rows), (rows, len(series))]
    made = [
        SeriesWindows(table, origins(series, config, *part), config.past, config.horizon, there)
        for part in parts
    ]
    return made[0], made[1]


# -------------------------------------------------------------------------------- intervals


def calibrated(model: Forecaster, series: Series) -> Forecaster:
    """The model with margins such that its intervals hold on the later part of its series.

    They are never narrowed: that the later part was calm says little of what comes.
    """
    config = model.config
    rows = learned_rows(len(series), config.horizon)
    starts = origins(series, config, rows, len(series))
    bare = model.replace(margins=kj.zeros(config.horizon))
    found = forecasts(bare, series, starts.tolist())  # (O, H, 3)
    whole = np.where(series.there, series.values, np.nan)
    truth = whole[starts[:, None] + np.arange(config.horizon)]
    missed = np.maximum(found[..., 1] - truth, truth - found[..., 2]) / config.scales[0]
    margins = np.maximum(0.0, margins_for(missed, config.level))
    return model.replace(margins=kj.tensor(margins.astype(np.float32)))


def margins_for(missed: Array, level: float) -> Array:
    """By how much intervals must grow, (H,), from how far values (O, H) lay outside of them.

    For each step it is the ⌈(O + 1) · level⌉-th smallest; of all steps together where O is less.
    NaN, for values that are not there, does not count.

    >>> margins_for(np.arange(9.0)[:, None], 0.8)
    array([7.])
    """
    counts = (~np.isnan(missed)).sum(0)  # (H,)
    ranks = np.ceil((counts + 1) * level).astype(int)
    if (ranks <= counts).all():
        ordered = np.sort(missed, axis=0)  # NaN last
        return np.asarray(np.take_along_axis(ordered, ranks[None] - 1, 0)[0])
    known = np.sort(missed[~np.isnan(missed)])
    rank = min(known.size, math.ceil((known.size + 1) * level))
    return np.full(missed.shape[1], known[rank - 1])
