"""`kedja inspect`: what it prints, JSON with stable keys, a page by itself, learning curves."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from kedja import inspection
from kedja.cli import learning_curve as curves
from kedja.ground.errors import Interrupted
from kedja.inspection import curves as learning
from kedja.inspection import model
from tests.inspection import planted


@pytest.fixture
def kedja(terminal):
    return terminal


@pytest.fixture
def table(tmp_path):
    """A small table in which two rows stand twice, with a name that would be a script."""
    rows = planted.rows(count=50)
    names = ("<script>alert(1)</script>", *planted.NAMES[1:])
    rows[4][3] = "<b>&"
    return planted.write(tmp_path / "pets.csv", [*rows, *rows[:2]], names)


def test_findings_are_printed_with_what_where_and_what_to_do(kedja, table):
    code, out, _ = kedja("inspect", str(table))
    assert code == 0
    assert "pets.csv: 52 rows" in out
    assert "defect: duplicates: 2 examples stand in the data already, such as line 2 and" in out
    assert "  to do: remove all but one of each" in out
    assert re.search(r"^1 defect, by \d+ checks$", out, re.M)


def test_a_cell_of_several_lines_takes_one_in_the_table(kedja, tmp_path):
    (tmp_path / "notes.csv").write_text('note,n\n"one\ntwo",1\nthree,2\n')
    out = kedja("inspect", str(tmp_path / "notes.csv"), "--label", "none").out
    assert "█ one two, three" in out


def test_json_has_the_keys_that_it_always_has(kedja, table):
    found = json.loads(kedja("inspect", str(table), "--json").out)
    assert set(found) == {
        *("data", "kind", "examples", "test_examples", "label", "labels", "about", "columns"),
        *("checks", "defects", "notices", "findings"),
    }
    assert found["defects"] == 1
    assert set(found["findings"][0]) == {
        *("check", "severity", "what", "where", "rows", "in_test", "sure", "chance", "fix"),
        "figures",
    }
    assert found["findings"][0]["rows"] == [50, 51]


def test_what_was_found_is_told_where_the_page_cannot_be_written(kedja, table, tmp_path):
    code, out, err = kedja("inspect", str(table), "--html", str(tmp_path))
    assert code == 1
    assert "defect: duplicates" in out
    assert str(tmp_path) in err


def test_ctrl_c_says_that_nothing_is_kept(kedja, table, monkeypatch):
    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(inspection, "inspect", interrupted)
    code, _, err = kedja("inspect", str(table))
    assert code == 130
    assert "an inspection keeps nothing, run it again" in err


def test_the_page_needs_nothing_else_and_escapes_the_data(kedja, table, tmp_path):
    page = tmp_path / "pets.html"
    assert kedja("inspect", str(table), "--html", str(page)).code == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "<svg" in text
    assert not re.search(r"<script|<link|<img|https?://|url\(", text)
    assert "&lt;script&gt;" in text
    assert "&lt;b&gt;&amp;" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.csv"], "nowhere.csv"),
        (["TABLE", "--label", "knd"], "kind"),
        (["TABLE", "--sizes", "10"], "only with --learning-curve"),
        (["TABLE", "--learning-curve", "--html", "a.html"], "not with --learning-curve"),
        (["TABLE", "--learning-curve", "--sizes", "ten"], "--sizes"),
        (["TABLE", "--learning-curve", "--sizes", "10,5000"], "5000"),
        (["TABLE", "--learning-curve", "--label", "none"], "no labels"),
    ],
)
def test_bad_input_has_one_clear_message(kedja, table, arguments, message):
    given = [str(table) if each == "TABLE" else each for each in arguments]
    code, out, err = kedja("inspect", *given)
    assert code in (1, 2)
    assert not out
    assert message in err
    assert "Traceback" not in err


# --------------------------------------------------------------------------------- learning curves


@pytest.fixture
def quick(monkeypatch):
    """Networks that are not trained: an error that falls with the size. Their calls are counted."""
    calls = []

    def outputs(x, y, asked, width, seed):
        calls.append(len(x))
        right = np.random.default_rng(len(calls)).random(len(asked)) > 2 / len(x) ** 0.5
        return np.stack([right, ~right], 1).astype(float)

    monkeypatch.setattr(model, "outputs", outputs)
    return calls


def test_a_curve_is_printed_and_drawn(kedja, table, tmp_path, quick):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "curve.png"
    arguments = ("--learning-curve", "--sizes", "5,10,20,40", "--seeds", "2", "--plot")
    code, out, _ = kedja("inspect", str(table), *arguments, str(picture))
    assert code == 0
    assert quick == [5, 5, 10, 10, 20, 20, 40, 40]
    assert "tested on 10 examples that no network saw" in out
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_an_interrupted_curve_goes_on(kedja, table, tmp_path, quick, monkeypatch):
    arguments = ("--learning-curve", "--sizes", "5,10", "--seeds", "3", "--json")
    whole = kedja("inspect", str(table), *arguments).out
    trained, seen = model.outputs, []
    quick.clear()

    def stopped(*given):
        if len(seen) == 4:
            raise KeyboardInterrupt
        seen.append(given)
        return trained(*given)

    monkeypatch.setattr(model, "outputs", stopped)
    folder = tmp_path / "curve"
    ended = kedja("inspect", str(table), *arguments, "--out", str(folder))
    assert ended.code == 130
    assert "4 of 6 networks are measured; go on with: kedja inspect" in ended.err
    monkeypatch.setattr(model, "outputs", trained)
    again = kedja("inspect", str(table), *arguments, "--out", str(folder))
    assert len(quick) == 6
    assert json.loads(again.out)["errors"] == json.loads(whole)["errors"]


def test_another_folders_curve_is_not_gone_on_with(kedja, table, tmp_path, quick):
    folder = tmp_path / "curve"
    arguments = ("--learning-curve", "--sizes", "5", "--seeds", "1", "--out", str(folder))
    assert kedja("inspect", str(table), *arguments).code == 0
    other = planted.write(tmp_path / "other.csv", planted.rows(count=40))
    code, _, err = kedja("inspect", str(other), *arguments)
    assert code == 2
    assert "other data" in err


def test_without_a_folder_ctrl_c_says_how_to_keep_what_is_measured(table, monkeypatch):
    def stopped(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "outputs", stopped)
    with pytest.raises(Interrupted, match="with --out FOLDER"):
        curves.run(str(table), None, None, 1, None, None, False)


def test_a_law_is_found_and_carried_on_no_farther_than_it_may_be():
    sizes = (30, 100, 300, 1000)
    errors = tuple(tuple(0.02 + 2 * n**-0.7 + shift for shift in (-1e-3, 1e-3)) for n in sizes)
    curve = learning.LearningCurve("x", "wrong", 100, sizes, errors)
    assert curve.law is not None
    assert curve.law.b == pytest.approx(0.7, abs=0.05)
    assert curve.law.c == pytest.approx(0.02, abs=0.005)
    middle, low, high = curve.expected(10_000)
    assert low < 0.02 + 2 * 10_000**-0.7 < high
    assert low < middle < high
    with pytest.raises(ValueError, match="too far"):
        curve.expected(20_000)
