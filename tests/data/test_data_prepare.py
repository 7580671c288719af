"""Preparations: the right figures, the same after JSON, and sense for values never seen."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedja.data import prepare
from kedja.data.prepare import Categorical, Numeric, PicturePreparation, TablePreparation, Target
from kedja.ground.errors import CheckpointError, DataError, ShapeError

nan = np.nan

TABLE = TablePreparation(
    (
        Numeric("age", median=3.0, mean=2.0, std=0.5, indicator=True),
        Categorical("colour", ("blue", "red")),
        Numeric("size", median=0.0, mean=10.0, std=4.0, indicator=False),
    ),
    Target("price", mean=100.0, std=20.0),
)
PICTURE = PicturePreparation((8, 8), 16, Target("digit", ("0", "1")))


def test_numeric_figures_come_from_the_known_values():
    column = prepare.fit_numeric("x", np.array([1.0, nan, 3.0, 8.0]))
    # The missing value counts as the median, 3: mean 15/4, variance (2.75² + 2·0.75² + 4.25²)/4.
    assert column == Numeric("x", 3.0, 3.75, pytest.approx(6.6875**0.5), True)


@pytest.mark.parametrize("values", [[5.0, 5.0], [5.0, nan], [0.1] * 3])
def test_a_constant_column_has_standard_deviation_one(values):
    column = prepare.fit_numeric("x", np.array(values))
    assert (column.mean, column.std) == (values[0], 1.0)


def test_a_column_without_values():
    assert prepare.fit_numeric("x", np.array([nan, nan])) == Numeric("x", 0.0, 0.0, 1.0, True)


def test_large_offsets_keep_their_digits():
    seconds = 1.7e9 + np.arange(100.0)
    column = prepare.fit_numeric("time", seconds)
    out = np.empty((100, 1), np.float32)
    column.encode(seconds, out)
    exact = (np.arange(100.0) - 49.5) / np.arange(100.0).std()
    np.testing.assert_allclose(out[:, 0], exact, rtol=1e-6)


@given(st.lists(st.floats(-1e100, 1e100), min_size=1), st.floats(-1e100, 1e100))
def test_standardised_values_are_finite(train, new):
    column = prepare.fit_numeric("x", np.array(train))
    out = np.empty((1, 1), np.float32)
    column.encode(np.array([new]), out)
    assert np.isfinite(out).all()


def test_table_features():
    assert TABLE.feature_names == (
        "age",
        "age missing",
        "colour=blue",
        "colour=red",
        "colour=other",
        "size",
    )
    assert TABLE.input_shape == (6,)
    raw = {
        "size": np.array([10.0, nan, 14.0]),
        "colour": ["red", None, "never seen"],
        "age": np.array([2.0, nan, 1.0]),
        "unknown": ["x", "y", "z"],
    }
    found = TABLE.encode(raw)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(
        found,
        [[0, 0, 0, 1, 0, 0], [2, 1, 0, 0, 1, -2.5], [-2, 0, 0, 0, 1, 1]],
    )


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match="'colour' is missing"):
        TABLE.encode({"age": np.zeros(1), "size": np.zeros(1)})


def test_categories_are_the_texts_of_the_training_rows():
    assert prepare.fit_categorical("c", ["b", None, "a", "b"]).categories == ("a", "b")


def test_number_targets_are_standardised_and_come_back():
    values = np.array([10.0, 20.0, 60.0])
    target = prepare.fit_number_target("price", values)
    encoded = target.encode(values)
    assert encoded.dtype == np.float32
    assert target.task == "regression"
    np.testing.assert_allclose([encoded.mean(), encoded.std()], [0, 1], atol=1e-6)
    np.testing.assert_allclose(target.restore(encoded), values, rtol=1e-6)


def test_pictures_are_brought_to_their_levels():
    grey = np.zeros((2, 8, 8), np.uint8)
    grey[1] = 255
    grey[0, 0, 0] = 128
    found = PICTURE.encode(grey)
    assert found.dtype == np.uint8
    assert (found[0, 0, 0], found[0, 1, 1], found[1, 3, 3]) == (8, 0, 16)
    assert PICTURE.scale.dtype == np.float32
    assert float(found.max() * PICTURE.scale) == 1.0
    bytes_kept = PicturePreparation((8, 8), 255, PICTURE.target).encode(grey)
    np.testing.assert_array_equal(bytes_kept, grey)
    with pytest.raises(ShapeError, match=r"\(4, 4\), expected \(8, 8\)"):
        PICTURE.encode(np.zeros((4, 4), np.uint8))


@pytest.mark.parametrize("preparation", [TABLE, PICTURE])
def test_json_round_trip(preparation):
    text = json.dumps(preparation.to_json())
    assert prepare.from_json(json.loads(text)) == preparation


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(1e-300, 1e300))
def test_json_keeps_every_bit(mean, std):
    table = TablePreparation((Numeric("x", mean, mean, std, False),), Target("y", (), mean, std))
    assert prepare.from_json(json.loads(json.dumps(table.to_json()))) == table


def without(*path):
    """The JSON of TABLE without the entry at a path of keys."""
    value = json.loads(json.dumps(TABLE.to_json()))
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return value


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"kind": "sound"},
        {"kind": "table", "columns": [], "target": TABLE.to_json()["target"]},
        {"kind": "images", "shape": [1], "levels": 1, "target": TABLE.to_json()["target"]},
        without("target"),
        without("columns", 0, "mean"),
        without("columns", 1, "categories"),
        without("target", "classes"),
        {**PICTURE.to_json(), "levels": "many"},
        {**PICTURE.to_json(), "target": {**PICTURE.to_json()["target"], "classes": "01"}},
    ],
)
def test_damaged_json(value):
    with pytest.raises(CheckpointError, match="preparation of the data is damaged"):
        prepare.from_json(value)


# ------------------------------------------------------------------------- for TabularMLP


def test_edges_part_the_known_values_into_equal_parts():
    column = prepare.fit_numeric("x", np.array([*range(9), np.nan], float), pieces=4)
    edges = np.array(column.edges) * column.std + column.mean
    np.testing.assert_allclose(edges, [0, 2, 4, 6, 8], atol=1e-6)


def test_repeated_values_give_fewer_edges_and_one_value_none():
    twice = prepare.fit_numeric("x", np.array([0.0] * 9 + [1.0]), pieces=4)
    assert len(twice.edges) == 2
    assert prepare.fit_numeric("x", np.ones(5), pieces=4).edges == ()


def test_coded_texts_are_numbers_with_the_others_last():
    column = prepare.fit_coded("town", ["Ulm", "Bonn", "Ulm", None, "Köln"], fewest=1)
    out = np.empty((4, 1), np.float32)
    column.encode(["Bonn", "Ulm", None, "Rom"], out)
    assert out[:, 0].tolist() == [0, 2, 3, 3]
    assert prepare.fit_coded("town", ["Ulm", "Bonn", "Ulm"], fewest=2).categories == ("Ulm",)


def test_a_preparation_with_codes_and_edges_comes_back_from_json():
    columns = (
        prepare.fit_numeric("x", np.arange(8.0), pieces=3),
        prepare.fit_coded("town", ["Ulm", "Bonn"]),
    )
    made = prepare.TablePreparation(columns, prepare.Target("y"))
    assert prepare.from_json(json.loads(json.dumps(made.to_json()))) == made
