"""`kedja train`, `predict` and `export` of pictures: folders, digits, what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kedja.cli import pictures as cli
from kedja.data.pictures import load
from kedja.train import pictures as training
from tests.cli.terminal import Kept
from tests.data.drawn import CLASSES, folder

Image = pytest.importorskip("PIL.Image")
SMALL = ["--epochs", "2", "--widths", "4,8", "--hidden", "8", "--batch", "8"]


train = Kept()


@pytest.fixture
def kedja(terminal, tmp_path, monkeypatch):
    """The command line in a folder with pictures; a baseline is cut short."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "PIXELS_STEPS", 1)
    monkeypatch.setenv("KEDJA_CACHE", str(tmp_path / "cache"))
    folder(Path("shapes"), 10)
    return terminal


def test_a_folder_is_recognised_trained_and_told(kedja):
    done = kedja("train", "shapes", *SMALL, "--json")
    assert done.code == 0, done.err
    results, told = json.loads(done.out), done.err
    assert "coloured pictures of 16 × 16 pixels, 16 to train on, 4 to test on" in told
    assert "augment shift=0.08" in told
    assert results["model"] == "cnn"
    assert results["classes"].keys() == set(CLASSES)
    assert np.sum(results["confusion"]) == results["test_examples"] == 4
    assert 0 <= results["nearest_neighbour_accuracy"] <= 1
    assert 0 <= results["logistic_regression_accuracy"] <= 1
    assert results["most_frequent_accuracy"] == 0.5


def test_the_summary_has_the_table_of_what_is_taken_for_what(kedja):
    result = kedja("train", "shapes", *SMALL)
    assert result.code == 0, result.err
    assert "is \\ said  cross  disc  " in result.out
    assert "kedja predict runs/shapes-cnn PICTURE.png" in result.out


def test_a_run_goes_on_with_the_same_bits(kedja):
    whole = train(kedja, "shapes", *SMALL)
    Path("run").rename("whole")
    train(kedja, "shapes", *SMALL, "--epochs", "1", "--schedule", "constant")
    other = kedja("train", "shapes", "--out", "run", "--resume", "--widths", "4")
    assert other.code == 2
    assert "--widths 4, but the run was started with 4,8" in other.err
    resumed = kedja.json("train", "shapes", "--out", "run", "--resume", "--epochs", "2")
    assert resumed["steps"] == whole["steps"]


@pytest.mark.parametrize("model", ["cnn", "resnet"])
def test_predictions_are_those_of_the_exported_file(kedja, model):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    hidden = ["--hidden", "8"] if model == "cnn" else []
    options = ["--epochs", "1", "--widths", "4,8", *hidden, "--model", model, "--out", "run"]
    result = kedja("train", "shapes", *options)
    assert result.code == 0, result.err
    files = ["shapes/disc/0.png", "shapes/cross/1.png"]
    told = kedja("predict", "run", *files, "--json")
    found = json.loads(told.out)["predictions"]
    assert [each["file"] for each in found] == files
    result = kedja("export", "run", "--to", "m.onnx")
    assert "picture uint8[batch, 16, 16, 3] -> probabilities float32[batch, 2]" in result.out
    session = runtime.InferenceSession("m.onnx", providers=["CPUExecutionProvider"])
    x = np.stack([np.asarray(Image.open(file)) for file in files])
    [wanted] = session.run(None, {"picture": x})
    shares = [[each["probabilities"][name] for name in CLASSES] for each in found]
    np.testing.assert_allclose(shares, wanted, atol=1e-5)
    assert "disc" in session.get_modelmeta().custom_metadata_map["classes"]
    Path("about.csv").write_text("file,light\ndisc/0.png,dim\ncross/1.png,bright\n")
    told = kedja("errors", "run", "shapes", "--about", "about.csv", "--json")
    assert told.code == 0, told.err
    assert "says nothing of 18 of 20 files" in told.err
    light = {each["by"]: each for each in json.loads(told.out)["tables"]}["light"]
    assert {each["name"]: each["count"] for each in light["groups"]} == {
        "(missing)": 18,
        "bright": 1,
        "dim": 1,
    }
    assert "class" in kedja("errors", "run", "--by", "class").out


def test_digits_take_paper_with_dark_ink(kedja):
    pytest.importorskip("sklearn")
    sizes = ["--epochs", "2", "--widths", "8", "--hidden", "16"]
    result = kedja("train", "digits", "--model", "cnn", *sizes, "--out", "run")
    assert result.code == 0, result.err
    digit = load("digits").test.inputs[0]
    Image.fromarray(digit).save("bright.png")
    Image.fromarray(255 - digit).save("dark.png")
    found = json.loads(kedja("predict", "run", "bright.png", "dark.png", "--json").out)
    one, other = (each["probabilities"] for each in found["predictions"])
    assert one == pytest.approx(other, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["shapes", "--augment", "shift"], "--augment shift"),
        (["shapes", "--augment", "shfit=1"], "did you mean 'shift'"),
        (["shapes", "--widths", "a"], "--widths 'a'"),
        (["shapes", "--widths", "4,4,4,4,4"], "5 stages"),
        (["shapes", "--size", "big"], "--size 'big'"),
        (["shapes", "--heads", "2"], "the model cnn has no --heads"),
        (["shapes", "shapes"], "2 data sets"),
        (["digits", "--model", "cnn", "--size", "32"], "--size for digits"),
        (["shapes", "--model", "resnet", "--hidden", "8"], "the model resnet has no --hidden"),
        (["shapes", "--depth", "0"], "--depth 0"),
        (["shapes", "--model", "mlp"], "--model cnn, or resnet"),
    ],
)
def test_bad_options_get_one_clear_message(kedja, arguments, told):
    result = kedja("train", *arguments)
    assert result.code == 2
    assert told in result.err
    assert "Traceback" not in result.err
    assert not Path("runs").exists()


def test_bad_data_get_one_clear_message(kedja):
    Path("empty/one").mkdir(parents=True)
    for name, told in (("empty", "one class at most"), ("nowhere", "there are no pictures")):
        result = kedja("train", name, "--model", "cnn")
        assert (result.code, told in result.err) in ((1, True), (2, True)), result.err


def test_bad_questions_get_one_clear_message(kedja):
    train(kedja, "shapes", *SMALL)
    Path("no.png").write_bytes(b"nothing")
    for arguments, told in (
        (["no.png"], "not a picture"),
        (["missing.png"], "cannot read"),
        ([], "nothing to predict"),
        (["--text", "a"], "no --text"),
        (["no.png", "--explain"], "no --explain"),
    ):
        result = kedja("predict", "run", *arguments)
        assert result.code in (1, 2)
        assert told in result.err


def test_pictures_of_another_folder_are_tested_on(kedja):
    folder(Path("new"), 3, seed=1)
    done = train(kedja, "shapes", *SMALL, "--test", "new")
    assert (done["test_examples"], done["train_examples"]) == (6, 20)
    assert kedja.json("errors", "run", "--by", "class")["examples"] == 6
    again = kedja("train", "shapes", "--out", "run", "--resume")
    assert (again.code, "20 to train on, 6 to test on" in again.err) == (0, True), again.err
    refused = kedja("train", "shapes", *SMALL, "--test", "nowhere")
    assert (refused.code, "--test nowhere" in refused.err) == (2, True)


def test_files_that_cannot_be_read_do_not_stop_the_others(kedja):
    train(kedja, "shapes", *SMALL)
    Path("new/below").mkdir(parents=True)
    for name in ("new/a.png", "new/below/b.png"):
        Image.open("shapes/disc/0.png").save(name)
    for name in ("new/._a.png", "new/notes.txt", "new/no.png"):
        Path(name).write_bytes(b"nothing")
    asked = ["shapes/disc/1.png", "missing.png", "new"]
    done = kedja("predict", "run", *asked)
    assert done.code == 1
    said = [line.split()[0] for line in done.out.splitlines()]
    assert said == ["shapes/disc/1.png", "new/a.png", "new/below/b.png"]
    *each, last, _ = done.err.splitlines()
    assert [line.split(": ")[:2] for line in each] == [
        ["error", "missing.png"],
        ["error", "new/no.png"],
    ]
    assert "2 files are left out" in last
    told = kedja("predict", "run", *asked, "--json")
    found = json.loads(told.out)
    assert [row["file"] for row in found["predictions"]] == said
    assert [row["file"] for row in found["unread"]] == ["missing.png", "new/no.png"]
    assert "not a picture" in found["unread"][1]["error"]
    whole = kedja.json("predict", "run", "new/a.png", "new/below")
    assert (len(whole["predictions"]), whole["unread"]) == (2, [])
    none = kedja("predict", "run", "missing.png", "new/no.png")
    assert (none.code, none.out) == (1, "")
    Path("bare").mkdir()
    assert "there is no file to read in it" in kedja("predict", "run", "bare").err


def test_many_classes_are_told_in_two_lines():
    names = [f"c{number}" for number in range(30)]
    confusion = np.eye(30, dtype=int) * 9
    confusion[3, 4] = 2
    worst, taken = cli._pairs(names, confusion)
    assert worst.startswith("found least: c3 82%")
    assert taken == "most often taken: c3 for c4 (2)"
