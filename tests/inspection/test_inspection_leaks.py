"""Leaks between training and test data, columns that tell the target, columns that broke."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja.inspection import breaks, inspect_arrays
from kedja.inspection.chance import LEVEL, same_distribution
from kedja.inspection.neighbours import smallest
from kedja.inspection.outliers import expected_as_large
from tests.inspection import planted


@pytest.fixture
def look(tmp_path):
    """Inspect a table, with test data or without."""

    def inspect(table, test=None, names=planted.NAMES):
        data = planted.write(tmp_path / "data.csv", table, names)
        held = None if test is None else planted.write(tmp_path / "test.csv", test, names)
        return kj.inspection.inspect(data, test=held, label="kind")

    return inspect


def defects(report, check):
    return [each for each in report.defects if each.check == check]


def test_clean_test_data_leaks_nothing(look):
    assert not look(planted.rows(0), planted.rows(1, 100)).findings


def test_rows_in_both_are_found(look):
    table, test = planted.rows(0), planted.rows(1, 100)
    (found,) = defects(look(table, [*test, table[5], table[8]]), "leaks")
    assert list(found.rows) == [100, 101]
    assert found.where[0] == "test line 102 = line 7"
    assert found.in_test


def test_rows_that_are_written_in_another_way_are_found(look, tmp_path):
    table = planted.rows(0)
    test = [[*(f"{float(each)}0".replace(".", ",") for each in row[:3]), *row[3:]] for row in table]
    other = tmp_path / "other.csv"
    lines = [";".join(row) for row in (planted.NAMES, *test[:30], *planted.rows(1, 70))]
    other.write_text("\n".join(lines).replace(".", ","))
    data = planted.write(tmp_path / "data.csv", table)
    (found,) = defects(kj.inspection.inspect(data, test=other, label="kind"), "leaks")
    assert list(found.rows) == list(range(30))


@pytest.mark.parametrize("columns", [40, 1300, 1337])
def test_the_smallest_are_those_of_a_sort(columns):
    values = np.random.default_rng(0).random((7, columns)).astype(np.float32)
    values[0, -3:] = 0
    found = np.sort(np.take_along_axis(values, smallest(values, 10), 1), 1)
    np.testing.assert_array_equal(found, np.sort(values, 1)[:, :10])


def test_nearly_equal_rows_in_both_are_found(look):
    table, test = planted.rows(0), planted.rows(1, 100)
    near = [[f"{float(row[0]) + 0.01:.2f}", *row[1:]] for row in table[20:24]]
    (found,) = defects(look(table, test + near), "leaks")
    assert list(found.rows) == [100, 101, 102, 103]


def test_a_column_made_of_the_target_is_found(look):
    table = planted.rows()
    draw = np.random.default_rng(0)
    booked = [[f"{draw.normal(8 * (row[4] == 'dog'), 1):.2f}", *row[1:]] for row in table]
    (found,) = defects(look(booked, names=("booked", *planted.NAMES[1:])), "leaks")
    assert found.where == ["booked"]


def test_a_strong_but_honest_column_is_no_leak():
    """It is right in 96 of 100 cases, and the others know nothing."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 1000)
    x = rng.normal(size=(1000, 4))
    x[:, 0] += 3.6 * y
    assert {each.check for each in inspect_arrays(x, y).findings} == {"hard labels"}


def test_a_number_told_by_a_column_is_found():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 4))
    y = x[:, 1] + x[:, 2] + 0.5 * rng.normal(size=500)
    assert not inspect_arrays(x, y).defects
    x[:, 3] = 3 * y + 0.01 * rng.normal(size=500)
    (found,) = inspect_arrays(x, y, names=("a", "b", "c", "price in crowns")).defects
    assert found.where == ["price in crowns"]


@pytest.mark.parametrize("kind", ["class", "number"])
def test_two_columns_made_of_the_target_do_not_hide_each_other(kind):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 5))
    y = x[:, 3] + x[:, 4] + rng.normal(size=500)
    x[:, 0] = 3 * y + 0.01 * rng.normal(size=500)
    x[:, 1] = 50 - y**3 - y + 0.01 * rng.normal(size=500)
    labels = (y > 0).astype(int) if kind == "class" else y
    names = ("paid", "late fee", "noise", "a", "b")
    found = defects(inspect_arrays(x, labels, names=names), "leaks")
    assert [each.where for each in found] == [["paid"], ["late fee"]]


def test_a_task_that_each_column_solves_is_easy_and_has_no_leak():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 400)
    assert not inspect_arrays(rng.normal(size=(400, 4)) + 12 * y[:, None], y).defects


def test_groups_on_both_sides_are_found(look):
    table = [[f"p{number % 40}", *row] for number, row in enumerate(planted.rows(0))]
    test = [[f"p{number % 40 + 38}", *row] for number, row in enumerate(planted.rows(1, 100))]
    (found,) = defects(look(table, test, ("patient", *planted.NAMES)), "leaks")
    assert found.where == ["p38", "p39"]
    apart = [[f"q{row[0]}", *row[1:]] for row in test]
    assert not look(table, apart, ("patient", *planted.NAMES)).defects


def test_times_that_overlap_are_told(look):
    days = [f"2024-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 28)]
    table = [[days[number % 300], *row] for number, row in enumerate(planted.rows(0))]
    test = [[days[290 + number % 34], *row] for number, row in enumerate(planted.rows(1, 34))]
    (found,) = look(table, test, ("day", *planted.NAMES)).findings
    assert len(found.rows) == 10
    assert "not later" in found.what


# --------------------------------------------------------------------------------- broken columns


def test_a_stuck_value_is_found(look):
    table = planted.rows()
    for row in table[100:108]:
        row[1] = table[100][1]
    (found,) = defects(look(table), "broken columns")
    assert list(found.rows) == list(range(100, 108))


def test_numbers_that_are_cut_off_are_told_and_are_not_stuck():
    """In an order in which many follow each other; an end at 1, or of few values, is natural."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 3)) * 10
    x = x[np.argsort(x[:, 0] + 6 * rng.normal(size=2000))]
    x[:, 0] = np.minimum(x[:, 0], 12.5)
    x[:, 1] = np.clip(x[:, 1], 1, None)
    x[:, 2] = np.clip(np.round(x[:, 2] / 5), -1, 1)
    found = inspect_arrays(x, names=["price", "share", "grade"]).findings
    (cut,) = (each for each in found if each.check == "cut off")
    assert cut.severity == "notice"
    assert list(cut.rows) == np.flatnonzero(x[:, 0] == 12.5).tolist()
    assert cut.figures == {"column": "price", "bound": 12.5, "rows": len(cut.rows)}
    assert "none a larger one" in cut.what
    assert "price" not in " ".join(each.what for each in found if each.check == "broken columns")


def test_a_value_that_is_stuck_at_the_largest_one_is_not_cut_off(look):
    table = planted.rows()
    for row in table[100:130]:
        row[1] = "99.5"
    (found,) = defects(look(table), "broken columns")
    assert list(found.rows) == list(range(100, 130))
    assert not [each for each in look(table).findings if each.check == "cut off"]


def test_a_changed_unit_is_found(look):
    table = [
        [*row[:2], f"{1000 * float(row[2]):.0f}", *row[3:]] if number >= 250 else row
        for number, row in enumerate(planted.rows())
    ]
    (found,) = defects(look(table), "broken columns")
    assert list(found.rows) == list(range(250, 400))
    assert found.figures["factor"] == "1,000"


def test_a_class_whose_numbers_are_larger_is_no_other_unit():
    """Two of three classes have petals about 3.3 times as long as the third."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 60)
    x = rng.normal(size=(180, 3)) * (1, 0.1, 1) + np.stack([y, np.where(y, 4.8, 1.46), y], 1)
    mixed = rng.permutation(180)
    for rows in (np.arange(180), mixed):
        assert not inspect_arrays(x[rows], y[rows]).defects


def test_scattered_rows_in_another_unit_are_found(look):
    table = planted.rows()
    for row in table[7:400:9]:
        row[0] = f"{float(row[0]) / 2.54:.2f}"
    (found,) = defects(look(table), "broken columns")
    assert list(found.rows) == list(range(7, 400, 9))


def test_a_table_sorted_by_its_label_is_not_broken(look):
    assert not look(sorted(planted.rows(), key=lambda row: row[4])).findings
    assert not look(sorted(planted.rows(), key=lambda row: float(row[0]))).findings


def test_runs_are_as_probable_as_they_are():
    """Of 2,000 random columns, as many have a run of chance below p as p says, at most."""
    rng = np.random.default_rng(0)
    chances = [
        breaks.longest_run(rng.integers(0, 5, 200).astype(float)).chance for _ in range(2000)
    ]
    assert np.mean(np.array(chances) < 0.05) < 0.08
    assert np.mean(np.array(chances) < LEVEL) < 0.005


@pytest.mark.parametrize("draw", ["normal", "exponential", "standard_cauchy"])
def test_no_distribution_has_outliers_of_its_own(draw):
    rng = np.random.default_rng(0)
    found = [expected_as_large(np.abs(getattr(rng, draw)(size=500))).min() for _ in range(200)]
    assert np.mean(np.array(found) < LEVEL) < 0.02


def test_the_test_of_two_samples_keeps_its_level():
    rng = np.random.default_rng(0)
    found = [same_distribution(rng.normal(size=80), rng.normal(size=50)) for _ in range(1000)]
    assert 0.01 < np.mean(np.array(found) < 0.05) < 0.06
