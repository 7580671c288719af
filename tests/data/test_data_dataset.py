"""Splits and divisions: nothing lost, nothing twice, every class where it can be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedja.data.dataset import TEST_SHARE, Dataset, Split, divide
from kedja.data.prepare import Categorical, PicturePreparation, TablePreparation, Target
from kedja.ground.errors import DataError, ShapeError


@given(st.integers(2, 400), st.integers(0, 2**64 - 1))
def test_division_without_labels(n, seed):
    train, test = divide(n, seed)
    assert sorted([*train, *test]) == list(range(n))
    assert len(test) == max(1, round(n * TEST_SHARE))
    again, _ = divide(n, seed)
    assert train.tolist() == again.tolist()


@given(st.lists(st.integers(0, 5), min_size=2, max_size=200), st.integers(0, 1000))
def test_division_by_classes(labels, seed):
    labels = np.array(labels)
    train, test = divide(len(labels), seed, labels)
    assert sorted([*train, *test]) == list(range(len(labels)))
    assert len(train) > 0
    assert len(test) > 0
    counts = np.bincount(labels)
    in_test = np.bincount(labels[test], minlength=len(counts))
    if counts.max() > 1:
        present = counts > 0
        assert (in_test[present] < counts[present]).all()
        assert (in_test <= counts * TEST_SHARE + 1.5).all()
        assert len(test) <= max(1, round(len(labels) * TEST_SHARE))


def test_each_class_gets_its_share():
    labels = np.repeat([0, 1, 2], [100, 50, 10])
    _, test = divide(160, 3, labels)
    assert np.bincount(labels[test]).tolist() == [20, 10, 2]


def test_seeds_differ():
    assert divide(100, 0)[1].tolist() != divide(100, 1)[1].tolist()


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_rows(n):
    with pytest.raises(DataError, match=f"too few usable rows: {n}"):
        divide(n, 0)


def test_rows_must_match():
    with pytest.raises(ShapeError, match=r"\(3, 2\), targets of shape \(2,\)"):
        Split(np.zeros((3, 2)), np.zeros(2))


def split(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    return Split(np.zeros((len(labels), 2, 3), np.uint8), labels)


def pictures(train, test, classes=("a", "b", "c")):
    preparation = PicturePreparation((2, 3), 255, Target("kind", classes))
    return Dataset("set", split(train), split(test), preparation, ("a note",))


def test_description():
    assert pictures([5, 5, 5], [1, 1, 1]).describe() == (
        "set: pictures of 2 × 3 pixels, a byte each",
        "15 rows to train on, 3 to test on",
        "classification of 'kind', 3 classes: a, b, c",
        "a note",
    )


def test_warnings():
    assert pictures([100, 0, 9], [1, 0, 1]).describe()[4:] == (
        "warning: no training row has 'kind' = b",
        "warning: no test row has 'kind' = b",
    )
    assert pictures([100, 9, 20], [1, 1, 1]).describe()[4:] == (
        "warning: unbalanced classes: 9 training rows of 'b', 100 of 'a'",
    )


def test_long_lists_are_cut():
    column = Categorical("c", tuple(f"{i:02}" for i in range(40)))
    preparation = TablePreparation((column,), Target("y", mean=2.0, std=3.0))
    part = Split(np.zeros((1, 41), np.float32), np.zeros(1, np.float32))
    lines = Dataset("set", part, part, preparation).describe()
    assert lines[0].startswith("set: a table with 41 features: c=00, c=01,")
    assert lines[0].endswith("c=11, …")
    assert lines[2] == "regression of 'y', mean 2, standard deviation 3"
