"""Error by group: intervals against closed forms and by their coverage, groups of any column.

Not here: what prints such tables (`tests/cli/test_cli_sound.py`).
"""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedja.ground.errors import DataError, ShapeError, UsageError
from kedja.inspection import bootstrap, by_group, by_groups, wilson
from kedja.inspection.groups import labels_of
from kedja.inspection.groups_page import uneven


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [  # R. Newcombe: Two-sided confidence intervals for the single proportion (1998), table I
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilsons_interval_is_that_of_the_literature(hits, count, low, high):
    assert wilson(hits, count) == pytest.approx((low, high), abs=6e-5)


@given(st.integers(1, 500), st.data())
def test_wilsons_ends_are_the_shares_that_a_test_just_accepts(count, data):
    """The ends solve |p̂ − p| = z √(p(1 − p)/n), which is where the interval comes from."""
    hits = data.draw(st.integers(0, count))
    low, high = wilson(hits, count)
    assert 0 <= low <= hits / count <= high <= 1
    for end in {low, high} - {0.0, 1.0}:
        reach = 1.959964 * math.sqrt(end * (1 - end) / count)
        assert abs(hits / count - end) == pytest.approx(reach, rel=1e-4, abs=1e-9)


def test_more_confidence_is_a_wider_interval():
    narrow, wide = wilson(30, 100, 0.8), wilson(30, 100, 0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_the_bootstraps_interval_is_about_the_normal_ones_for_many_values():
    values = np.random.default_rng(1).exponential(2.0, 4000)
    reach = 1.96 * values.std() / math.sqrt(len(values))
    low, high = bootstrap(values)
    assert low == pytest.approx(values.mean() - reach, abs=0.15 * reach)
    assert high == pytest.approx(values.mean() + reach, abs=0.15 * reach)
    assert bootstrap(values) == (low, high)  # the seed decides


def test_both_intervals_hold_the_truth_about_as_often_as_they_say():
    """200 draws of 40: the 95 % intervals hold the mean in 90 to 100 % of them."""
    drawn = np.random.default_rng(2)
    shares = [wilson(int(drawn.binomial(40, 0.1)), 40) for _ in range(200)]
    assert np.mean([low <= 0.1 <= high for low, high in shares]) >= 0.9
    means = [bootstrap(drawn.normal(3, 1, 40), draws=400) for _ in range(200)]
    assert 0.88 <= np.mean([low <= 3 <= high for low, high in means]) < 1


def test_one_value_says_nothing_of_its_mean():
    assert bootstrap([2.0]) == (-math.inf, math.inf)
    assert by_group([2.0], ["a"]).to_json()["groups"][0]["low"] is None


def test_groups_stand_in_order_and_those_that_are_unlike_are_marked():
    wrong = [True] * 30 + [False] * 70 + [True] * 5 + [False] * 95 + [True] * 18 + [False] * 82
    found = by_group(wrong, ["theo"] * 100 + ["anna"] * 100 + ["ben"] * 100, by="speaker")
    assert [row.name for row in found.rows] == ["theo", "ben", "anna"]
    assert [found.unlike(row) for row in found.rows] == ["higher", "", "lower"]
    assert found.whole.value == pytest.approx(53 / 300)
    assert (found.rows[0].low, found.rows[0].high) == wilson(30, 100)
    assert str(found).splitlines()[1].split()[:3] == ["theo", "100", "30.0%"]
    assert json.loads(json.dumps(found.to_json()))["groups"][2]["unlike"] == "lower"


def test_errors_in_numbers_get_means():
    found = by_group([1.0, 2.0, 3.0, 10.0], ["a", "a", "a", "b"], what="absolute error")
    assert not found.share
    assert [(row.name, row.value, row.count) for row in found.rows] == [("b", 10, 1), ("a", 2, 3)]
    assert "absolute error" in str(found)


def test_any_column_makes_groups():
    assert labels_of(["x", None, "", float("nan")]) == ["x", *["(missing)"] * 3]
    assert labels_of([True, False]) == ["True", "False"]
    assert labels_of(np.array([3, 4])) == ["3", "4"]
    many = labels_of([*range(100), None])
    assert many[0] == many[24] == "0 to 24.75"
    assert many[25] == "24.75 to 49.5"
    assert many[99] == "74.25 to 99"
    assert many[100] == "(missing)"


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_quarters_hold_each_number_between_their_bounds(numbers):
    groups = labels_of(numbers)
    assert len(groups) == len(numbers)
    if len(set(numbers)) > 12:
        assert 1 <= len(set(groups)) <= 4


@pytest.mark.parametrize(
    ("chance", "said"),
    [(1.0, "100 %"), (0.42, "42 %"), (0.0333, "3.3 %"), (0.0009, "fewer than 0.1 %")],
)
def test_how_probable_it_is_is_said_in_plain_numbers(chance, said):
    found = replace(by_group([True, False], ["a", "b"]), chance=chance)
    assert uneven(found) == f"drawn by lot, groups would differ as much in {said} of cases"


def test_the_most_uneven_column_comes_first():
    wrong = [True, True, False, False]
    found = by_groups(wrong, {"even": ["a", "b", "a", "b"], "uneven": ["a", "a", "b", "b"]})
    assert [each.by for each in found] == ["uneven", "even"]


def test_what_makes_no_sense_is_told():
    with pytest.raises(ShapeError, match=r"shape \[2\] for 1 groups"):
        by_group([True, False], ["a"])
    with pytest.raises(DataError, match="no examples"):
        by_group([], [])
    with pytest.raises(DataError, match="no numbers"):
        by_group([1.0, math.nan], ["a", "b"])
    with pytest.raises(DataError, match="no numbers"):
        by_group(["x"], ["a"])
    with pytest.raises(UsageError, match="confidence 95"):
        by_group([True], ["a"], confidence=95)
    with pytest.raises(UsageError, match="3 of 2"):
        wilson(3, 2)
    with pytest.raises(ShapeError, match="one number"):
        bootstrap([[1.0]])
    with pytest.raises(DataError, match="no values"):
        bootstrap([])
