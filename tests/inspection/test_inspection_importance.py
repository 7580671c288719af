"""Permutation importance: what is used is found, with an interval; what is not is around 0."""

from __future__ import annotations

import numpy as np
import pytest

from kedja.ground.errors import UsageError
from kedja.inspection.importance import permutation_importance

X = np.random.default_rng(0).normal(size=(400, 4))
TRUE = 3 * X[:, 1] + X[:, 2]


def score(rows):
    return -float(np.mean((3 * rows[:, 1] + rows[:, 2] - TRUE) ** 2))


def test_columns_stand_by_what_they_carry():
    found = permutation_importance(score, X, {"a": [0], "b": [1], "c": [2], "both": [1, 2]})
    assert [each.name for each in found] == ["both", "b", "c", "a"]
    by_name = {each.name: each for each in found}
    assert by_name["a"].mean == by_name["a"].low == by_name["a"].high == 0
    # Shuffling a column doubles the variance that it carries: 2 · 3² and 2 · 1².
    assert by_name["b"].mean == pytest.approx(18, rel=0.1)
    assert by_name["c"].mean == pytest.approx(2, rel=0.1)
    assert by_name["b"].low < by_name["b"].mean < by_name["b"].high


def test_the_rows_that_are_given_stay_as_they_are():
    before = X.copy()
    permutation_importance(score, X, {"b": [1]}, repeats=2)
    np.testing.assert_array_equal(X, before)


def test_the_same_seed_gives_the_same_figures():
    found = [permutation_importance(score, X, {"b": [1]}, seed=seed) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(("rows", "repeats"), [(1, 10), (10, 0)])
def test_too_little_is_refused(rows, repeats):
    with pytest.raises(UsageError, match="repeats on"):
        permutation_importance(score, X[:rows], {"b": [1]}, repeats=repeats)


def test_a_place_that_there_is_not_is_refused_and_progress_is_told():
    with pytest.raises(UsageError, match="'far' stands beyond the 4 features"):
        permutation_importance(score, X, {"far": [4]})
    told = []
    given = {"a": [0], "b": [1]}
    permutation_importance(score, X, given, repeats=2, progress=lambda *now: told.append(now))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
