"""What stands in the last line of a notebook's cell is described in a few lines, not printed whole.

Not here: a history (`tests/train/test_train_history.py`), views (`tests/docs/test_views.py`).
"""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja.data import captioned, generated_ratings, pictures
from kedja.train.pictures import ClassQuality, PictureQuality
from kedja.train.walking import Scores, WalkForward


@pytest.mark.parametrize("load", [kj.data.load, pictures.load, captioned.load])
def test_a_data_set_shows_what_it_holds(load):
    pytest.importorskip("sklearn", reason="the digits are scikit-learn's")
    digits = load("digits")
    assert repr(digits) == "\n".join(digits.describe())
    assert repr(digits).startswith("digits: ")


def test_series_and_ratings_show_what_they_hold():
    series = kj.data.Seasonal(season=7, seed=0).series(30, every="day")
    assert repr(series) == "value: a time series of 'value', 30 values, a day apart, " + (
        "2000-01-01 to 2000-01-30"
    )
    made = generated_ratings.generate(users=9, items=8, factors=2, each=3, seed=0)
    assert "27 ratings by 9 users of 8 items" in repr(made.ratings)


def test_a_report_shows_its_findings():
    x = np.random.default_rng(0).normal(size=(80, 3))
    clean = kj.inspection.inspect_arrays(x)
    assert repr(clean).startswith("arrays: 0 defects, 0 notices, by ")
    twice = kj.inspection.inspect_arrays(np.concatenate([x, x[:4]]))
    assert len(repr(twice).splitlines()) == 1 + len(twice.findings)
    assert "duplicates: 4 examples" in repr(twice)


def test_figures_show_themselves():
    each = ClassQuality(0.5, 0.5, 0.5, 4)
    quality = PictureQuality(0.5, 0.25, {"a": each, "b": each}, np.array([[4, 0], [3, 1]]))
    assert repr(quality).splitlines() == [
        "accuracy 50.00%, mean of the classes 25.00%",
        "most often taken: b for a (3)",
    ]
    scores = {"model": Scores(1.0, 2.0, 0.5, ()), "naive": Scores(2.0, 4.0, 1.0, ())}
    one = np.zeros((6, 2))
    walked = WalkForward(np.arange(6), one, one, 1, scores, 0.9, 0.875, (), 1.0, 0)
    assert repr(walked).splitlines() == [
        "6 moments, 2 steps ahead of each",
        "forecast  MAE  RMSE  MASE",
        "model       1     2   0.5",
        "naive       2     4     1",
        "87.5% of the values lie in intervals for 90%",
    ]
