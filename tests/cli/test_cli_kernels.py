"""`kedja train --model svm` and `kedja importance`: answers, pictures, refusals."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="an svm needs scikit-learn")
from kedja.cli import kernels


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw = random.Random(0)
    with open("rings.csv", "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["x", "y", "shade", "kind"])
        for _ in range(120):
            x, y = draw.uniform(-1, 1), draw.uniform(-1, 1)
            kind = "inside" if x * x + y * y < 0.5 else "outside"
            out.writerow([x, y, draw.choice(["light", "dark"]), kind])


@pytest.fixture
def kedja(terminal):
    """The command line."""
    return terminal


def answers(file):
    with open(file) as opened:
        return [row["kind"] for row in csv.DictReader(opened)]


def test_a_kernel_finds_what_no_line_does(kedja):
    code, out, _ = kedja("train", "rings.csv", "--model", "svm", "--c", "10", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["test_accuracy"] > 0.85 > found["most_frequent_accuracy"]
    code, out, _ = kedja("train", "rings.csv", "--model", "svm", "--kernel", "linear", "--json")
    assert json.loads(out)["test_accuracy"] < found["test_accuracy"]


def test_its_folder_answers_for_rows_of_the_raw_file(kedja):
    kedja("train", "rings.csv", "--model", "svm", "--c", "10", "--out", "run")
    code, out, _ = kedja("predict", "run", "rings.csv", "--plot", "k.png", "--json")
    said = [each["class"] for each in json.loads(out)["predictions"]]
    right = sum(a == b for a, b in zip(said, answers("rings.csv"), strict=True))
    assert code == 0
    assert right > 105
    assert Path("k.png").read_bytes().startswith(b"\x89PNG")
    code, out, _ = kedja("errors", "run", "rings.csv", "--by", "shade", "--by", "kind", "--json")
    assert code == 0
    for each in json.loads(out)["tables"]:
        assert sum(group["count"] for group in each["groups"]) == 120
        assert each["all"]["value"] == pytest.approx(1 - right / 120)


def test_a_picture_that_cannot_be_written_is_told(kedja):
    kedja("train", "rings.csv", "--model", "svm", "--out", "run")
    for file, text in (("k.txt", "is no picture"), ("none/k.png", "cannot write")):
        code, _, err = kedja("predict", "run", "rings.csv", "--plot", file)
        assert code in (1, 2)
        assert text in err


def test_pictures_of_digits_are_answered(kedja):
    image = pytest.importorskip("PIL.Image")
    kedja("train", "digits", "--model", "svm", "--kernel", "linear", "--c", "0.01", "--out", "run")
    image.new("L", (8, 8)).save("blank.png")
    code, out, _ = kedja("predict", "run", "blank.png")
    assert code == 0
    assert out.startswith("blank.png  ")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--lr", "0.1"], "has no --lr"),
        (["--kernel", "rgb"], "there is no kernel 'rgb'"),
        (["--c", "0"], "--c 0"),
        (["--target", "x"], "holds numbers"),
        (["--resume"], "nothing to resume"),
    ],
)
def test_what_an_svm_refuses(kedja, options, text):
    code, _, err = kedja("train", "rings.csv", "--model", "svm", *options)
    assert code == 2
    assert text in err


def test_importance_names_what_matters(kedja):
    kedja("train", "rings.csv", "--epochs", "20", "--out", "run")
    code, out, _ = kedja("importance", "run", "rings.csv", "--repeats", "3", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["measure"] == "accuracy"
    assert found["columns"][-1]["name"] == "shade"
    assert found["columns"][0]["low"] > 0


def test_importance_of_an_svm(kedja):
    kedja("train", "rings.csv", "--model", "svm", "--c", "10", "--out", "run")
    code, out, _ = kedja("importance", "run", "--repeats", "2", "--json")
    assert code == 0
    assert json.loads(out)["columns"][-1]["name"] == "shade"


def test_importance_that_is_interrupted_says_that_nothing_is_kept(kedja, monkeypatch):
    kedja("train", "rings.csv", "--model", "svm", "--out", "run")

    def scored(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(kernels, "scored", lambda *_: scored)
    code, _, err = kedja("importance", "run")
    assert code == 130
    assert "which are not kept" in err


def test_importance_wants_a_target_it_knows(kedja):
    kedja("train", "rings.csv", "--epochs", "1", "--out", "run")
    Path("bare.csv").write_text("x,y,shade\n0,0,dark\n")
    Path("new.csv").write_text("x,y,shade,kind\n0,0,dark,between\n1,1,dark,outside\n")
    for file, text in (("bare.csv", "'kind' is missing"), ("new.csv", "between")):
        code, _, err = kedja("importance", "run", file)
        assert code == 1
        assert text in err
