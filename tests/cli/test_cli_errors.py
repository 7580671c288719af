"""`kedja errors`: a network's errors by any column of a table, as text, JSON and a page.

Sound, pictures, texts and support-vector machines are asked in their own files.
"""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

CITIES = ("Lund", "Ystad", "<b>&")


@pytest.fixture
def kedja(terminal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    with (tmp_path / "pets.csv").open("w") as file:
        file.write("weight,city,born,name,kind\n")
        for number in range(100):
            kind, city = draw.integers(0, 2), CITIES[draw.integers(0, 3)]
            weight = draw.normal() + (6 * kind if city == "Lund" else 0)
            born = np.datetime64("2023-11-01") + draw.integers(0, 120)
            file.write(f"{weight:.2f},{city},{born},pet {number},{('cat', 'dog')[kind]}\n")
    return terminal


def train(kedja, *options):
    found = kedja("train", "pets.csv", "--epochs", "2", "--out", "run", "--json", *options)
    assert found.code == 0, found.err
    return json.loads(found.out)


def test_the_rows_held_out_are_grouped_by_any_column(kedja):
    results = train(kedja, "--model", "linear")
    code, out, err = kedja("errors", "run", "--by", "city", "--by", "born", "--by", "class")
    assert code == 0
    assert "run on pets.csv: 20 examples" in err
    heads = [line.split()[0] for line in out.splitlines() if "interval" in line]
    assert heads == ["city", "born", "kind"]
    assert re.search(r"^2023-1\d +\d+ +[\d.]+%", out, re.M)
    assert "of cases" in out
    found = json.loads(kedja("errors", "run", "--by", "city", "--json").out)
    assert found["columns"] == ["weight", "city", "born", "name", "kind"]
    [table] = found["tables"]
    assert table["all"]["value"] == pytest.approx(1 - results["test_accuracy"])
    assert sum(each["count"] for each in table["groups"]) == found["examples"] == 20


def test_without_a_column_all_are_shown_and_the_page_escapes_them(kedja, tmp_path):
    train(kedja)
    found = kedja("errors", "run", "pets.csv", "--html", "a.html", "--json")
    shown = [each["by"] for each in json.loads(found.out)["tables"]]
    assert set(shown) == {"weight", "city", "born", "kind"}
    chances = [each["chance"] for each in json.loads(found.out)["tables"]]
    assert chances == sorted(chances)
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "&lt;b&gt;&amp;" in text
    assert not re.search(r"<script|<link|<img|https?://|url\(|<b>&", text)


def test_numbers_are_told_by_how_far_they_are_off(kedja):
    results = train(kedja, "--target", "weight")
    found = json.loads(kedja("errors", "run", "--by", "city", "--json").out)
    [table] = found["tables"]
    assert table["what"] == "absolute error"
    assert 0 < table["all"]["value"] <= results["test_rmse"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--by", "cty"], "pets.csv: there is no column 'cty'\n  fix: did you mean 'city'?"),
        (["run", "--confidence", "95"], "confidence 95"),
        (["run", "--about", "pets.csv"], "are no files"),
        (["run", "other.csv"], "column 'weight' is missing"),
        (["nowhere"], "holds no run"),
        (["vectors"], "whose answers are not judged"),
    ],
)
def test_bad_input_has_one_clear_message(kedja, tmp_path, arguments, message):
    train(kedja, "--model", "linear")
    (tmp_path / "other.csv").write_text("a,kind\n1,cat\n2,dog\n")
    (tmp_path / "vectors").mkdir()
    record = {"format": 1, "recipe": {"model": "embedding"}}
    (tmp_path / "vectors" / "run.json").write_text(json.dumps(record))
    code, out, err = kedja("errors", *arguments)
    assert code in (1, 2)
    assert not out
    assert message in err


def test_data_that_changed_since_are_refused(kedja, tmp_path):
    train(kedja, "--model", "linear")
    file = tmp_path / "pets.csv"
    file.write_text(file.read_text() + "50,Lund,2024-01-01,new,dog\n")
    code, _, err = kedja("errors", "run")
    assert code == 2
    assert "is not what run was trained on any more" in err
    assert "kedja errors run" in kedja("inspect", "run").err
