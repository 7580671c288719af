"""`kedja train` and `predict` on pictures with captions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kedja.io import weights
from tests.cli.terminal import interrupted_runs

Image = pytest.importorskip("PIL.Image")
SMALL = ["--epochs", "2", "--width", "8", "--widths", "4", "--batch", "8", "--size", "16"]
COLOURS = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200)}


@pytest.fixture
def kedja(terminal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "colours"
    folder.mkdir()
    lines = []
    for number in range(30):
        name = list(COLOURS)[number % 3]
        shade = tuple(min(255, part + 2 * number) for part in COLOURS[name])
        Image.new("RGB", (16, 16), shade).save(folder / f"{number}.png")
        lines.append(f"{number}.png\t{name}, number {number}\n")
    (folder / "captions.txt").write_text("".join(lines))
    return terminal


def test_train_and_choose(kedja):
    done = kedja("train", "colours", *SMALL, "--json")
    assert done.code == 0, done.err
    run = json.loads(done.out)["run"]
    texts = ["--text", "red", "--text", "blue"]
    asked = kedja("predict", run, "colours/0.png", "colours/2.png", *texts, "--json")
    rows = json.loads(asked.out)["predictions"]
    assert len(rows) == 4
    for file in ("colours/0.png", "colours/2.png"):
        shares = [row["share"] for row in rows if row["file"] == file]
        assert sum(shares) == pytest.approx(1)
        assert shares == sorted(shares, reverse=True)


def test_what_was_learned_from_is_searched_where_nothing_else_is_given(kedja):
    Path("colours/31.png").write_bytes(b"none")
    with Path("colours/captions.txt").open("a") as file:
        file.write("31.png\tred, broken\nnowhere.png\tblue\n")
        file.write(f"0.png\t{65 * 'very '} red\n")
    done = kedja("train", "colours", *SMALL, "--out", "run")
    assert "2 left out: 31.png: this is not a picture, or it is damaged" in done.err
    assert "1 captions are read as far as 64 words" in done.err
    assert "held-out pictures find a caption of theirs among" in done.out

    found = kedja("predict", "run", "--text", "red thing", "--plot", "found.png", "--json")
    rows = json.loads(found.out)["predictions"]
    assert "unknown are thing" in found.err
    assert "among the 30 pictures of colours" in found.err
    assert len({row["file"] for row in rows}) == len(rows) == 10
    assert all(Path(row["file"]).is_file() for row in rows)
    assert Path("found.png").stat().st_size > 1000

    said = kedja("predict", "run", "colours/0.png", "--plot", "said.png", "--json")
    rows = json.loads(said.out)["predictions"]
    assert len(rows) == 5
    assert {row["caption"] for row in rows} <= {
        f"{list(COLOURS)[number % 3]}, number {number}" for number in range(30)
    }
    assert Path("said.png").stat().st_size > 1000

    below = kedja("predict", "run", "colours", "--text", "red", "--text", "blue")
    assert "error: colours/31.png: this is not a picture" in below.err
    assert below.code == 1
    assert len(below.out.splitlines()) == 21

    for arguments, message in (
        (["--text", "elephants dance"], "none of its words stands in the captions"),
        (["--text", "red", "--plot", "found.doc"], "is no picture"),
        (["--text", "red", "--explain"], "clip has no --explain"),
        ([], "pictures or captions are needed"),
    ):
        asked = kedja("predict", "run", *arguments)
        assert asked.code == 2
        assert message in asked.err


def test_one_caption_puts_pictures_in_order(kedja):
    run = json.loads(kedja("train", "colours", *SMALL, "--json").out)["run"]
    asked = kedja("predict", run, *(f"colours/{n}.png" for n in range(5)), "--text", "red")
    assert asked.code == 0, asked.err
    cosines = [float(line.split()[-1]) for line in asked.out.splitlines()[1:]]
    assert len(cosines) == 5
    assert cosines == sorted(cosines, reverse=True)


def test_interrupted_and_resumed_gives_the_same_bits(kedja):
    kedja("train", "colours", *SMALL, "--out", "whole")
    with interrupted_runs():
        stopped = kedja("train", "colours", *SMALL, "--out", "parts")
    assert "go on with: kedja train colours --out parts --resume" in stopped.err
    again = kedja("train", "colours", "--out", "parts", "--resume")
    assert again.code == 0, again.err
    whole, parts = (weights.load(f"{run}/model.safetensors")[0] for run in ("whole", "parts"))
    for name, array in whole.items():
        np.testing.assert_array_equal(array, parts[name])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["colours", "colours", "--model", "clip"], "2 data sets"),
        (["colours", "--model", "clip", "--heads", "2"], "has no --heads"),
        (["nothing", "--model", "clip"], "nothing"),
        (["colours", *SMALL, "--widths", "a"], "--widths 'a'"),
    ],
)
def test_what_is_refused(kedja, arguments, message):
    done = kedja("train", *arguments)
    assert done.code in (1, 2)
    assert message in done.err
    assert "Traceback" not in done.err


def test_a_picture_that_is_named_must_be_one(kedja):
    run = json.loads(kedja("train", "colours", *SMALL, "--json").out)["run"]
    Path("no.png").write_bytes(b"none")
    asked = kedja("predict", run, "no.png", "--text", "red")
    assert asked.code == 1
    assert "not a picture" in asked.err
