"""Wrong labels: found where they are planted, and silence where data are merely hard.

Not here: annotators (`test_inspection_kappa.py`).
"""

from __future__ import annotations

import numpy as np
import pytest

from kedja.inspection import inspect_arrays, label_noise, wrong_labels


def overlapping(seed: int, distance: float, count: int = 600):
    """Three round heaps that overlap more or less."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    centres = distance * np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    return centres[y] + rng.normal(size=(count, 3)), y


def doubts(x, y):
    found = [each for each in inspect_arrays(x, y).findings if each.check == "wrong labels"]
    return set(found[0].rows) if found else set()


@pytest.mark.parametrize("distance", [1.5, 3.0, 6.0])
def test_hard_examples_are_no_wrong_labels(distance):
    assert not doubts(*overlapping(0, distance))


def test_two_wrong_labels_in_a_hundred_are_found_and_the_better_class_is_named():
    x, true = overlapping(1, 3.5, count=1500)
    y = true.copy()
    rows = np.random.default_rng(2).permutation(len(y))[:30]
    y[rows] = (y[rows] + 1) % 3
    (found,) = [each for each in inspect_arrays(x, y).defects if each.check == "wrong labels"]
    right = set(found.rows) & set(rows.tolist())
    assert len(right) >= 0.8 * len(rows)
    assert len(right) >= 0.5 * len(found.rows)
    suggested = dict(zip(found.rows, found.figures["suggested"], strict=True))
    assert all(suggested[row] == str(true[row]) for row in right)
    probable = found.figures["probability_wrong"]
    assert probable == sorted(probable, reverse=True)
    first = found.rows[0]
    assert found.where[0] == f"row {first + 1}: {y[first]}, rather {suggested[first]}"


def test_the_share_of_replaced_labels_is_estimated_without_bias():
    """Labels drawn from known probabilities, a tenth of them replaced: shares come out so."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet((0.3, 0.3, 0.3, 0.3), 4000)
    y = (p.cumsum(1) > rng.random((4000, 1))).argmax(1)
    honest = label_noise.noise(p, y)
    assert honest.share < 0.01
    assert honest.chance > 1e-3
    assert honest.temperature == pytest.approx(1, rel=0.15)
    other = rng.random(4000) < 0.1
    y = np.where(other, (y + rng.integers(1, 4, 4000)) % 4, y)
    found = label_noise.noise(p, y)
    assert found.share == pytest.approx(0.1, abs=0.02)
    assert found.chance < 1e-9
    assert found.replaced.sum() == pytest.approx(other.sum(), rel=0.25)


def test_confident_learning_counts_as_in_its_paper():
    """Thresholds are the mean probabilities of the examples of each class (equation 2)."""
    p = np.array([[0.9, 0.1], [0.7, 0.3], [0.1, 0.9], [0.4, 0.6], [0.2, 0.8], [0.75, 0.25]])
    y = np.array([0, 0, 1, 1, 0, 1])  # thresholds 0.6 and 0.583
    assert wrong_labels.confident(p, y).tolist() == [0, 0, 1, 1, 1, 0]


def test_too_few_examples_are_not_judged():
    x, y = overlapping(0, 6.0, count=40)
    assert not doubts(x, np.roll(y, 1))


def test_labels_that_may_be_hard_or_wrong_are_a_notice():
    """A network learns that some of a class are called another, wherever they are: so are hard
    examples, and nobody can tell these labels from them without a look.
    """
    x, true = overlapping(1, 3.5, count=900)
    y = true.copy()
    rows = np.random.default_rng(2).permutation(np.flatnonzero(true == 0))[:60]
    y[rows] = 2
    report = inspect_arrays(x, y)
    (found,) = [each for each in report.findings if each.check == "hard labels"]
    assert not report.defects
    right = set(found.rows) & set(rows.tolist())
    assert len(right) >= 0.5 * len(rows)
    assert len(right) >= 0.8 * len(found.rows)
    assert next(iter(found.figures["confusions"])) == "2 → 0"
    assert found.figures["margin"] == sorted(found.figures["margin"], reverse=True)


def test_pairs_of_classes_explain_only_what_is_there():
    """Labels drawn from known probabilities; then a fifth of one class called the next."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet((0.2, 0.2, 0.2, 0.2), 3000)
    y = (p.cumsum(1) > rng.random((3000, 1))).argmax(1)
    assert label_noise.noise(p, y).chance > 1e-2
    other = (y == 1) & (rng.random(3000) < 0.2)
    found = label_noise.noise(p, np.where(other, 2, y))
    assert found.chance < 1e-9
    assert found.share == pytest.approx(other.mean(), abs=0.01)
    assert found.classes.sum(1) == pytest.approx(1)
    assert found.replaced[other].mean() > 2 * found.replaced[(y == 2) & ~other].mean()
