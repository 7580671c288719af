"""Exponential smoothing as matrices: the same as step by step, and the way that suits is found."""

from __future__ import annotations

import numpy as np
import pytest

from kedja.data import smoothing
from kedja.data.smoothing import Smoothing
from kedja.ground.errors import UsageError

DRAW = np.random.default_rng(0)


def step_by_step(y, horizon, m, way):
    """Holt and Winters as in the books, one value after another."""
    size = m if m > 1 else max(1, len(y) // 2)
    first, second = y[:size].mean(), y[size : 2 * size].mean()
    trend = (second - first) / size if way.trend else 0.0
    level = first - trend * (size + 1) / 2
    season = [0.0]
    if m > 1:
        line = (np.arange(m) - (m - 1) / 2) * (second - first) / m
        season = list((y[:m] - first + y[m : 2 * m] - second) / 2 - line)
    for t, value in enumerate(y):
        missed = value - level - way.damping * trend - season[t % m]
        level += way.damping * trend + way.level * missed
        trend = way.damping * trend + way.level * way.trend * missed
        season[t % m] += way.season * (1 - way.level) * missed
    fades = np.cumsum(way.damping ** np.arange(1, horizon + 1))
    coming = np.array([season[(len(y) + h) % m] for h in range(horizon)])
    return level + fades * trend + coming


@pytest.mark.parametrize("season", [1, 5])
def test_a_matrix_says_what_the_recursion_says(season):
    kinds = [Smoothing(0.3), Smoothing(0.5, 0.2, 0.9), Smoothing(0.2, 0.1, 1.0, 0.4)]
    y = DRAW.normal(size=17).cumsum()
    found = smoothing.matrices(17, 7, season, kinds) @ y
    for said, way in zip(found, kinds, strict=True):
        np.testing.assert_allclose(said, step_by_step(y, 7, season, way), atol=1e-12)


@pytest.mark.parametrize(("past", "season"), [(1, 1), (2, 1), (9, 6), (20, 6)])
def test_a_constant_stays_as_it_is(past, season):
    found = smoothing.matrices(past, 4, season, smoothing.ways(season))
    np.testing.assert_allclose(found.sum(2), 1, atol=1e-9)


def test_a_line_and_a_season_go_on():
    t = np.arange(40)
    y = 3.0 * t + np.array([5.0, -1.0, 2.0, -6.0])[t % 4]
    windows = y[np.arange(20, 32)[:, None] + np.arange(-20, 0)]
    coming = y[np.arange(20, 32)[:, None] + np.arange(6)]
    matrix = smoothing.best(windows, coming, 4)
    np.testing.assert_allclose(windows @ matrix.T, coming, atol=1e-8)


def test_the_way_that_errs_least_is_found_and_what_is_not_there_does_not_count():
    y = DRAW.normal(size=400).cumsum()
    rows = np.arange(12, 390)
    windows, coming = y[rows[:, None] + np.arange(-12, 0)], y[rows[:, None] + np.arange(3)]
    walk = smoothing.best(windows, coming, 1)
    assert walk[0, -1] > 0.7  # of a walk the last value is nearly all that counts
    noise = DRAW.normal(size=400)
    still, after = noise[rows[:, None] + np.arange(-12, 0)], noise[rows[:, None] + np.arange(3)]
    assert smoothing.best(still, after, 1)[0, -1] < 0.2
    holes = np.where(DRAW.random(coming.shape) < 0.3, np.nan, coming)
    holes[:5] = np.nan
    assert np.isfinite(smoothing.best(windows, holes, 1)).all()


def test_sizes_that_make_no_sense_are_errors():
    with pytest.raises(UsageError, match="past 0"):
        smoothing.matrices(0, 1, 1, [Smoothing(1.0)])
