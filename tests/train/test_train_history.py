"""A history at a prompt and in a notebook: a table of its epochs, and its losses as curves.

Not here: what training measures (`test_train_run.py`).
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedja.train import loss_curve
from kedja.train.history import Epoch, History

NAN, INF = float("nan"), float("inf")
losses = st.lists(st.floats(width=32), min_size=0, max_size=12)


def history(count: int, **validation: float) -> History:
    rows = [Epoch(n, 2.0 / n, validation, 0.5, 10.0) for n in range(1, count + 1)]
    return History(None, np.zeros(3 * count), rows, train_seconds=1.5, stopped="epochs")


def test_a_long_history_shows_its_first_and_last_epochs():
    lines = repr(history(1000, loss=0.25, accuracy=0.5)).splitlines()
    assert lines[0] == "1,000 epochs, 3,000 steps in 1.5 s, ended by: epochs"
    assert lines[1].split() == ["epoch", "train_loss", "loss", "accuracy", "seconds"]
    numbers = [line.split()[0] for line in lines[2:]]
    assert numbers == ["1", "2", "3", "4", "5", "…", "996", "997", "998", "999", "1000"]
    assert lines[-1].split() == ["1000", "0.002", "0.25", "0.5", "0.5"]
    assert len(repr(history(11)).splitlines()) == 2 + 11


def test_a_history_that_has_not_begun_can_be_shown():
    empty = History(None, np.zeros(0))
    assert repr(empty).startswith("0 epochs, 0 steps in 0 s\n")
    assert "<svg" in empty._repr_mimebundle_()["text/html"]


def test_a_notebook_gets_the_table_and_the_curves():
    found = history(3, loss=0.25)._repr_mimebundle_()
    assert found["text/plain"] == repr(history(3, loss=0.25))
    page = found["text/html"]
    assert ">training<" in page and ">validation<" in page and "<table" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")  # nothing is loaded
    assert ">validation<" not in history(3, accuracy=0.5).svg()


def test_what_is_not_finite_leaves_a_gap():
    text = loss_curve.svg({"training": [3.0, 2.0, NAN, 1.0, INF, 0.5, 0.4]})
    assert (text.count("<polyline"), text.count("<circle")) == (2, 1)


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([2.0, 1.0], ["0", "0.5", "1", "1.5", "2"]),
        ([5.0, 0.004], ["0.01", "0.1", "1"]),
        ([1.0, -1.0], ["-1", "-0.5", "0", "0.5", "1"]),
    ],
)
def test_numbers_beside_the_axis_are_round(values, written):
    found = re.findall(r'text-anchor="end">([^<]*)<', loss_curve.svg({"training": values}))
    assert found == written


@given(losses, losses)
def test_every_curve_is_drawn_inside_its_picture(training, validation):
    root = ElementTree.fromstring(loss_curve.svg({"training": training, "validation": validation}))
    for line in root.iter("{http://www.w3.org/2000/svg}polyline"):
        for point in line.attrib["points"].split():
            right, down = map(float, point.split(","))
            assert loss_curve.LEFT - 0.1 <= right <= loss_curve.WIDTH - loss_curve.RIGHT + 0.1
            assert loss_curve.TOP - 0.1 <= down <= loss_curve.HEIGHT - loss_curve.BOTTOM + 0.1
