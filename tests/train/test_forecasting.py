"""Forecasters: what they may see, how they are trained, tested and calibrated; leaks are found."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import models
from kedja.data import future, seasons, series
from kedja.data.seasonal import Seasonal, random_walk
from kedja.ground.errors import DataError, UsageError
from kedja.models.forecaster import FORECASTERS
from kedja.models.forecasts import forecasts
from kedja.train import forecasting, walking

MODELS = sorted(FORECASTERS)
SMALL = {"horizon": 4, "width": 8, "heads": 2, "epochs": 3, "progress": False}


def small(given, model="autoregression", **options):
    return kj.train.fit_forecaster(given, model, **{**SMALL, **options}).model


@pytest.fixture(autouse=True)
def _interpreted(request):
    """Small networks need no compiler."""
    with kj.scope(tier="compile" if "near_the_best" in request.node.name else "interpret"):
        yield


@pytest.fixture(scope="module")
def made():
    return Seasonal(season=6, amplitude=2.0, seed=1)


# ------------------------------------------------------------------------------ no leak


@pytest.mark.parametrize("model", MODELS)
def test_a_forecast_does_not_depend_on_what_comes_after_it(model, made):
    def told(values):
        given = series.of_values(values)
        trained = small(given.until(60), model, epochs=1)
        return forecasts(trained, given, [60, 60 - 7])

    future.require_no_leak(told, made.values(80), 60)


@pytest.mark.parametrize("model", MODELS)
def test_a_network_looks_at_nothing_of_the_coming_steps_but_what_is_known(model, made):
    given = series.of_values(np.stack([made.values(100), np.arange(100.0)], 1))
    trained = small(given, model, epochs=2)
    config = trained.config
    x = np.random.default_rng(0).normal(size=(3, config.past + 4, 2 + config.advance))
    other = x.astype(np.float32)
    other[:, config.past :, : config.lagged] += 100
    assert (
        trained(kj.tensor(x.astype(np.float32))).numpy() == trained(kj.tensor(other)).numpy()
    ).all()
    other[:, config.past :, config.lagged :] += 100
    assert (
        trained(kj.tensor(x.astype(np.float32))).numpy() != trained(kj.tensor(other)).numpy()
    ).any()


def least_squares(x, y, asked):
    return asked @ np.linalg.lstsq(x, y, rcond=None)[0]


def windows(values, past=6, rows=None):
    rows = np.arange(past, len(values)) if rows is None else rows
    return values[rows[:, None] - np.arange(1, past + 1)], values[rows]


def honest(values):
    x, y = windows(values[:120])
    return least_squares(x, y, values[119:113:-1])


def scaled_over_everything(values):
    return honest((values - values.mean()) / values.std())


def divided_by_chance(values):
    rows = np.random.default_rng(0).permutation(np.arange(6, len(values)))[:100]
    x, y = windows(values, rows=rows)
    return least_squares(x, y, values[119:113:-1])


def with_a_feature_of_later(values):
    later = np.roll(values, -1)  # what it is called "trend", computed over a centred window
    x, y = windows(values[:120])
    x = np.concatenate([x, later[6:120, None]], 1)
    return least_squares(x, y, np.append(values[119:113:-1], later[120]))


def test_the_leak_test_passes_what_is_honest(made):
    assert future.leaks(honest, made.values(160), 120) == []


@pytest.mark.parametrize(
    "planted", [scaled_over_everything, divided_by_chance, with_a_feature_of_later]
)
def test_the_leak_test_finds_a_planted_leak(planted, made):
    with pytest.raises(DataError, match="changes by up to"):
        future.require_no_leak(planted, made.values(160), 120)


def test_the_leak_test_finds_one_planted_in_our_own_scaling(made, monkeypatch):
    values = made.values(160)

    def told(values):
        given = series.of_values(values)
        trained = small(given.until(120))
        return forecasts(trained, given, [120])

    whole = forecasting.config_for

    def leaky(given, *arguments, **options):
        found = whole(given, *arguments, **options)
        return type(found)(**{**vars(found), "means": (float(current.mean()),)})

    monkeypatch.setattr(forecasting, "config_for", leaky)
    current = values

    def watched(values):
        nonlocal current
        current = values
        return told(values)

    assert future.leaks(watched, values, 120)


def test_windows_that_are_learned_end_before_those_held_out(made):
    given = made.series(200)
    config = forecasting.config_for(given, "autoregression", horizon=4)
    learned, held = forecasting.windows(config, given)
    rows = forecasting.learned_rows(200, 4)
    assert learned.arrays["origins"].max() + 4 <= rows <= held.arrays["origins"].min()
    assert held.arrays["origins"].max() + 4 == 200
    part = given.values[:rows]
    assert config.means == (part.mean(),)


# ------------------------------------------------------------------------------- figures


def test_untrained_networks_say_the_level_and_a_walk_has_no_better_forecast():
    given = series.of_values(random_walk(300, seed=2))
    start = 240
    trained = small(given.until(start), "series-lstm")
    found = kj.train.walk_forward(trained, given, start=start)
    assert found.season == 1
    assert found.scores["model"].rmse > 0.93 * found.scores["naive"].rmse
    bare = FORECASTERS["series-lstm"][1](trained.config)
    said = forecasts(bare, given, [250])[0, :, 0]
    assert said == pytest.approx(np.full(4, given.values[249]), rel=1e-5)


@pytest.mark.parametrize("model", ["autoregression", "series-lstm"])
def test_a_seasonal_series_is_forecast_near_the_best_error(model):
    made = Seasonal(season=8, amplitude=3.0, persistence=0.5, seed=2)
    given, start = made.series(1000), 800
    trained = kj.train.fit_forecaster(
        given.until(start), model, horizon=4, width=16, progress=False
    ).model
    found = kj.train.walk_forward(trained, given, start=start)
    best = made.best_mean(4)
    assert 0.85 * best < found.scores["model"].rmse < 1.2 * best
    assert found.scores["model"].rmse < 0.8 * found.scores["seasonal naive"].rmse
    assert 0.8 < found.coverage < 0.97


def test_a_short_series_that_grows_with_its_season_is_forecast_better_than_naively():
    t = np.arange(96)
    season = np.array([0.9, 0.85, 1, 1, 1, 1.1, 1.2, 1.25, 1.05, 0.95, 0.85, 0.9])[t % 12]
    noise = 1 + 0.02 * np.random.default_rng(0).normal(size=96)
    given = series.of_values((100 + 2.5 * t) * season * noise, every="month")
    trained = kj.train.fit_forecaster(given.until(72), horizon=12, epochs=10, progress=False).model
    assert (trained.config.season, trained.config.past) == (12, 24)
    found = kj.train.walk_forward(trained, given, start=72)
    assert found.scores["model"].mae < 0.6 * found.scores["seasonal naive"].mae


def test_a_few_values_without_a_season_are_smoothed():
    given = series.of_values(np.random.default_rng(1).normal(size=60), every="year")
    trained = kj.train.fit_forecaster(given.until(45), horizon=4, epochs=5, progress=False).model
    found = kj.train.walk_forward(trained, given, start=45)
    assert found.scores["model"].rmse < 0.9 * found.scores["naive"].rmse


def test_intervals_are_not_narrowed_by_a_calm_end(made):
    values = np.random.default_rng(0).normal(size=200)
    values[160:] *= 0.01
    assert (small(series.of_values(values)).margins.numpy() >= 0).all()


def test_the_figures_are_those_of_their_formulas():
    truth = np.array([[1.0, 2.0], [3.0, np.nan]])
    found = walking.scores(np.zeros((2, 2)), truth, 4.0)
    assert (found.mae, found.mase) == (2.0, 0.5)
    assert found.rmse == pytest.approx(np.sqrt(14 / 3))
    assert found.rmse_by_step == pytest.approx((np.sqrt(5), 2.0))


def test_naive_forecasts_repeat_the_last_value_and_the_last_season():
    values = np.arange(20.0)
    assert walking.naive(values, [10], 3).tolist() == [[9, 9, 9]]
    assert walking.naive(values, [10], 5, season=3).tolist() == [[7, 8, 9, 7, 8]]


def test_margins_make_intervals_hold_on_exchangeable_values():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(300):
        missed = np.abs(rng.normal(size=(40, 1)))
        held.append(np.abs(rng.normal(size=20)) <= forecasting.margins_for(missed, 0.8)[0])
    assert np.mean(held) == pytest.approx(0.81, abs=0.02)


def test_a_value_that_is_not_in_the_file_is_neither_learned_nor_scored(made):
    given = made.series(120)
    there = given.there.copy()
    there[[50, 100]] = False
    broken = type(given)(**{**vars(given), "there": there})
    config = forecasting.config_for(broken, "autoregression", horizon=4)
    learned, _ = forecasting.windows(config, broken)
    place = learned.arrays["origins"].tolist().index(48)
    y = learned.batch(learned.arrays, kj.tensor([place]))["y"].numpy()[0]
    assert np.isnan(y).tolist() == [False, False, True, False]
    found = kj.train.walk_forward(small(broken.until(90)), broken, start=90)
    assert np.isnan(found.truth).sum() == 4


@pytest.mark.parametrize("model", ["autoregression", "series-lstm"])
def test_a_series_with_gaps_everywhere_is_learned(made, model):
    given = made.series(160)
    there = np.arange(160) % 3 > 0  # no window of four steps is whole
    wild = np.where(there, given.values, np.roll(given.values, 1))[:, None]  # carried on
    broken = type(given)(**{**vars(given), "there": there, "table": wild})
    trained = small(broken.until(120), model, epochs=20)
    walked = kj.train.walk_forward(trained, broken, start=120)
    assert walked.scores["model"].rmse < walked.scores["naive"].rmse
    assert np.isfinite(walked.forecasts).all()


def test_the_loss_takes_no_notice_of_gaps():
    rng = np.random.default_rng(0)
    said, y = kj.tensor(rng.normal(size=(2, 3, 3))), rng.normal(size=(2, 3))
    whole, gaps = (forecasting.ForecastLoss(0.05, 0.95, gaps=each) for each in (False, True))
    assert gaps(said, kj.tensor(y)).item() == pytest.approx(whole(said, kj.tensor(y)).item())
    y[1] = np.nan
    rest = whole(said[:1], kj.tensor(y[:1])).item()
    assert gaps(said, kj.tensor(y)).item() == pytest.approx(rest)
    assert np.isfinite(kj.grad(gaps)(said, kj.tensor(y)).numpy()).all()
    margins = forecasting.margins_for(np.array([[1.0, 5.0], [2.0, np.nan], [3.0, np.nan]]), 0.5)
    assert margins.tolist() == [2.0, 5.0]


def test_a_season_that_is_longer_than_the_series_is_refused(made):
    with pytest.raises(UsageError, match="a season of 70 steps"):
        forecasting.config_for(made.series(120), "autoregression", horizon=4, season=70)


def test_walking_forward_with_refits_uses_what_was_known(made):
    given, seen = made.series(160), []

    def refit(known):
        seen.append(len(known))
        return small(known)

    first = small(given.until(120))
    found = kj.train.walk_forward(first, given, start=120, refit=refit, every=15)
    assert seen == [135, 150]
    assert found.refits == 2
    assert len(found.forecasts) == len(range(120, 157))
    fixed = kj.train.walk_forward(first, given, start=120)
    assert (fixed.forecasts[:15] == found.forecasts[:15]).all()
    assert (fixed.forecasts[15:] != found.forecasts[15:]).any()
    with pytest.raises(UsageError, match="refit"):
        kj.train.walk_forward(first, given, start=120, every=5)
    with pytest.raises(DataError, match="no horizon"):
        kj.train.walk_forward(first, given, start=158)


# ----------------------------------------------------------------------------- the models


@pytest.mark.parametrize("model", MODELS)
def test_a_saved_forecaster_says_the_same(model, made, tmp_path):
    given = made.series(120)
    trained = small(given, model)
    models.save(tmp_path, trained)
    loaded = models.load(tmp_path).model
    assert loaded.config == trained.config
    before, after = models.forecast(trained, given), models.forecast(loaded, given)
    assert (before.mean == after.mean).all()
    assert (before.low == after.low).all()
    assert (before.low <= before.mean).all()
    assert (before.mean <= before.high).all()
    assert str(before.times[0])[:13] == "2000-01-06T00"


def test_columns_known_in_advance_are_used(tmp_path):
    rng = np.random.default_rng(0)
    switch = rng.integers(0, 2, 203)
    y = 5.0 * switch + rng.normal(size=203) * 0.1
    days = np.datetime64("2024-01-01") + np.arange(203)
    rows = [
        f"{d},{s},{v if i < 200 else ''}"
        for i, (d, s, v) in enumerate(zip(days, switch, y, strict=True))
    ]
    path = tmp_path / "sales.csv"
    path.write_text("\n".join(["date,open,y", *rows]))
    given = series.read(path, target="y", known=["open"])
    trained = small(given.until(160), horizon=3)
    found = kj.train.walk_forward(trained, given, start=160)
    assert found.scores["model"].rmse < 0.2
    ahead = models.forecast(trained, given)
    assert ahead.mean == pytest.approx(5.0 * switch[200:], abs=0.5)
    with pytest.raises(DataError, match="open is known for 3 coming steps, of 4"):
        models.forecast(small(given, horizon=4), given)


def test_a_series_of_another_kind_is_refused(made):
    trained = small(made.series(120))
    with pytest.raises(DataError, match="a day apart"):
        models.forecast(trained, made.series(120, every="day"))
    with pytest.raises(DataError, match="the same columns"):
        models.forecast(trained, series.of_values(np.ones((120, 2)), every="hour"))
    with pytest.raises(DataError, match="past values"):
        models.forecast(trained, made.series(10))


def test_too_few_values_and_unknown_models_are_told(made):
    with pytest.raises(DataError, match="too few to forecast 12"):
        kj.train.fit_forecaster(made.series(30), horizon=12)
    with pytest.raises(UsageError, match="autoregression"):
        kj.train.fit_forecaster(made.series(100), "autoregresion", horizon=2)


def test_waves_of_a_season_that_is_not_there_are_left_out():
    made = Seasonal(season=24, persistence=0.7, seed=1)
    given = made.series(1300)
    assert seasons.periods(given.values, 24, given.spacing, 12) == (24.0,)
    week = 2.0 * (np.arange(1300) // 24 % 7 >= 5)
    both = series.of_values(given.values + week, every="hour")
    assert seasons.periods(both.values, 24, both.spacing, 12) == (24.0, 168.0)
