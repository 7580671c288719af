"""Agreement of annotators: published worked examples, scikit-learn's kappa, and what is said."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kedja.ground.errors import DataError, ShapeError, UsageError
from kedja.inspection import cohen_kappa, fleiss_kappa, inspect, krippendorff_alpha

# K. Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), example C: four observers.
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
# The table of the worked example of Fleiss' kappa: ten subjects, fourteen raters, five classes.
RATERS = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip


@pytest.mark.parametrize(
    ("level", "alpha"),
    [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)],
)
def test_alpha_of_the_published_example(level, alpha):
    assert krippendorff_alpha(OBSERVERS, level) == pytest.approx(alpha, abs=5e-4)


def test_fleiss_kappa_of_the_published_example():
    assert fleiss_kappa(RATERS) == pytest.approx(0.210, abs=5e-4)


@pytest.mark.parametrize(
    ("counts", "kappa"),
    [((20, 5, 10, 15), 0.4), ((45, 15, 25, 15), 0.1304), ((25, 35, 5, 35), 0.2593)],
)
def test_cohen_kappa_of_published_examples(counts, kappa):
    both, first, second, neither = counts
    a = ["yes"] * (both + first) + ["no"] * (second + neither)
    b = ["yes"] * both + ["no"] * first + ["yes"] * second + ["no"] * neither
    assert cohen_kappa(a, b) == pytest.approx(kappa, abs=5e-5)


def test_cohen_kappa_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 4, (2, 60))
    b[:30] = a[:30]
    assert cohen_kappa(a.tolist(), b.tolist()) == pytest.approx(metrics.cohen_kappa_score(a, b))


def test_what_cannot_agree_is_an_error():
    with pytest.raises(ShapeError):
        cohen_kappa([1, 2], [1])
    with pytest.raises(ShapeError, match="krippendorff_alpha"):
        fleiss_kappa([[2, 0], [1, 0]])
    with pytest.raises(DataError, match="two labels"):
        krippendorff_alpha([[1, None], [None, 2]])
    with pytest.raises(UsageError, match="nominal"):
        krippendorff_alpha([[1], [1]], "metric")
    assert np.isnan(krippendorff_alpha([[1, 1], [1, 1]]))


# ------------------------------------------------------------------------------- what is said


def labelled(path, error, careless=0.0, seed=0):
    """200 items by three annotators, of whom the last may be careless."""
    rng = np.random.default_rng(seed)
    lines = []
    for item in range(200):
        true = int(rng.integers(0, 3))
        words = " ".join(rng.choice([f"word{n}" for n in range(500)], 9))
        for who, rate in (("ann", error), ("bo", error), ("cy", max(error, careless))):
            label = (true + rng.integers(1, 3)) % 3 if rng.random() < rate else true
            lines.append({"id": item, "text": words, "annotator": who, "label": int(label)})
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def test_good_agreement_is_no_defect(tmp_path):
    report = inspect(labelled(tmp_path / "a.jsonl", 0.03))
    assert not report.defects
    overall = report.findings[0]
    assert overall.figures["alpha"] > 0.8
    assert (
        overall.figures["interval"][0] < overall.figures["alpha"] < overall.figures["interval"][1]
    )


def test_poor_agreement_is_a_defect(tmp_path):
    (found,) = inspect(labelled(tmp_path / "a.jsonl", 0.5)).defects
    assert found.figures["alpha"] < 0.3


def test_the_careless_annotator_is_named(tmp_path):
    found = inspect(labelled(tmp_path / "a.jsonl", 0.03, careless=0.3)).defects
    assert [each.figures["annotator"] for each in found if "annotator" in each.figures] == ["cy"]
