"""`kedja train` and `kedja predict` on recordings: tones of two classes by three speakers.

Not here: single files (`tests/data/test_data_sound.py`), the network (`tests/models`).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kedja.data import sound
from kedja.data.spectrogram import LogMel
from kedja.ground.errors import Interrupted
from kedja.train import sounds

soundfile = pytest.importorskip("soundfile")

RATE = 8000
PEOPLE = ("anna", "ben", "cleo")


def tones(folder, people=PEOPLE, count=5):
    folder.mkdir(exist_ok=True)
    draw = np.random.default_rng(0)
    for label, hertz in (("low", 300), ("high", 1500)):
        for place, person in enumerate(people):
            for index in range(count):
                t = np.arange(int(RATE * draw.uniform(0.2, 0.25))) / RATE
                wave = 0.3 * np.sin(2 * np.pi * hertz * (1 + place / 10) * t)
                wave += 0.01 * draw.normal(size=len(t))
                soundfile.write(folder / f"{label}_{person}_{index}.wav", wave, RATE)
    return folder


SMALL = ["--epochs", 2, "--batch", 8, "--width", 2, "--lr", 0.02]


@pytest.fixture
def kedja(terminal, tmp_path, monkeypatch):
    """The command line beside a folder of tones; a baseline is cut short."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sounds, "PLAIN_STEPS", 1)
    tones(tmp_path / "tones")
    return terminal


def trained(kedja, *arguments) -> dict:
    return kedja.json("train", "tones", *SMALL, *arguments)


def test_recordings_are_recognised_trained_tested_and_asked(kedja):
    code, out, err = kedja("train", "tones", *SMALL, "--out", "run")
    assert code == 0, err
    assert "sound: 30 recordings, 2 classes: high (15), low (15)" in err
    assert "3 speakers: anna (10), ben (10), cleo (10)" in err
    assert "spectrogram-cnn: width 2" in err
    assert "recordings held out by chance" in out
    assert "for others: --leave-out each" in out
    assert "next: kedja predict run FILE.wav" in out
    code, out, _ = kedja("predict", "run", "tones/low_anna_0.wav", "tones/high_ben_1.wav")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        "tones/low_anna_0.wav",
        "tones/high_ben_1.wav",
    ]
    code, told, _ = kedja("errors", "run", "--by", "speaker", "--json")
    [table] = json.loads(told)["tables"]
    known = json.loads(Path("run/run.json").read_text())["results"]["by_speaker"]
    assert code == 0
    assert [each["value"] for each in table["groups"]] == [g["value"] for g in known["groups"]]
    assert "speaker  count  wrong" in kedja("errors", "run", "tones")[1]
    code, out, _ = kedja("predict", "run", "tones/low_anna_0.wav", "--plot", "a.png", "--json")
    [answer] = json.loads(out)["predictions"]
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert answer["class"] == max(answer["probabilities"], key=answer["probabilities"].get)
    assert Path("a.png").stat().st_size > 1000
    require_the_same_as_onnx(kedja, answer)


def require_the_same_as_onnx(kedja, answer):
    """The exported file says of the same picture what `predict` said."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    assert kedja("export", "run", "--to", "a.onnx")[0] == 0
    session = onnxruntime.InferenceSession("a.onnx")
    about = session.get_modelmeta().custom_metadata_map
    shape = LogMel(**json.loads(about["log_mel"]))
    picture = shape(sound.read("tones/low_anna_0.wav", shape.rate)[0])
    [found] = session.run(None, {"spectrogram": np.stack([picture, picture])})
    classes = json.loads(about["classes"])
    expected = [answer["probabilities"][each] for each in classes]
    assert found[1] == pytest.approx(expected, abs=1e-5)


def test_how_recordings_are_changed_is_an_option(kedja):
    assert trained(kedja, "--augment", "none", "--out", "none")["augment"] == "none"
    code, _, err = kedja("train", "tones", *SMALL, "--augment", "rotate=10")
    assert code == 2
    assert "--augment 'rotate=10'" in err


def test_one_speaker_is_left_out_of_one_training(kedja):
    found = trained(kedja, "--leave-out", "ben")
    assert found["train_examples"] + found["test_examples"] == 20
    assert {row["name"] for row in found["by_speaker"]["groups"]} <= {"anna", "cleo"}
    [row] = found["unseen"]["groups"]
    assert (row["name"], row["count"]) == ("ben", 10)
    assert found["unseen_accuracy"] == pytest.approx(1 - row["value"])
    low, high = found["unseen_interval"]
    assert low <= found["unseen_accuracy"] <= high


def test_each_speaker_is_left_out_in_turn_and_the_difference_is_explained(kedja, monkeypatch):
    def knows_the_voices(model, given, rows):
        return np.arange(len(rows)) % 5 > (3 if len(rows) == 10 else 0)

    monkeypatch.setattr(sounds, "evaluate_sound", knows_the_voices)
    code, out, err = kedja("train", "tones", *SMALL, "--leave-out", "each", "--out", "run")
    assert code == 0, err
    assert "training without cleo, 3 of 3" in err
    assert "accuracy 20.0% (9.5% to 37.3%) on speakers who were not in the training" in out
    assert "unseen speaker  count  error" in out
    assert "points worse than the test by chance says" in out


def test_an_interrupted_run_goes_on_where_it_was(kedja, monkeypatch):
    whole = trained(kedja, "--leave-out", "each", "--out", "whole")
    fit, calls = sounds.fit_sound, []

    def interrupted(*arguments, **options):
        calls.append(options["checkpoint"])
        if len(calls) == 3:
            raise Interrupted("stopped")
        return fit(*arguments, **options)

    monkeypatch.setattr(sounds, "fit_sound", interrupted)
    code, _, err = kedja("train", "tones", *SMALL, "--leave-out", "each", "--out", "run")
    assert code == 130
    assert "go on with: kedja train tones --out run --resume" in err
    monkeypatch.setattr(sounds, "fit_sound", fit)
    code, out, err = kedja("train", "tones", "--resume", "--out", "run", "--json")
    assert code == 0, err
    assert err.count("this run is finished") == 2
    again = json.loads(out)
    for name in ("train_loss", "test_accuracy", "unseen"):
        assert again[name] == whole[name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "tones", "--leave-out", "bob"), "there is no speaker 'bob'"),
        (("train", "tones", "--pattern", "{person}"), "the pattern '{person}'"),
        (("train", "tones", "--seconds", "0"), "--seconds 0"),
        (("train", "tones", "--rate", "7"), "--rate 7"),
        (("train", "tones", "--layers", "3"), "the model spectrogram-cnn has no --layers"),
        (("train", "tones", "tones"), "2 sets of recordings"),
        (("train", "digits", "--leave-out", "anna"), "the model mlp has no --leave-out"),
    ],
)
def test_options_that_make_no_sense_are_told(kedja, arguments, message):
    code, out, err = kedja(*arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_files_that_are_no_sound_are_told(kedja):
    assert kedja("train", "tones", *SMALL, "--out", "run")[0] == 0
    Path("bad.wav").write_text("no sound")
    for arguments, message, expected in (
        (("bad.wav",), "bad.wav: this is no sound that can be read", 1),
        (("none.wav",), "none.wav: cannot read", 1),
        ((), "there is nothing to predict", 2),
        (("bad.wav", "--text", "hello"), "was trained on sound", 2),
        (("tones/low_anna_0.wav", "--plot", "a.txt"), "is no picture", 2),
    ):
        code, _, err = kedja("predict", "run", *arguments)
        assert code == expected
        assert message in err
    code, out, err = kedja("predict", "run", "bad.wav", "tones")
    assert code == 1
    assert "error: bad.wav: this is no sound that can be read" in err
    assert len(out.splitlines()) == len(list(Path("tones").iterdir()))
    Path("tones/bad.wav").write_text("no sound")
    code, _, err = kedja("train", "tones", *SMALL, tier="interpret")
    assert code == 0
    assert "left out, not readable: bad.wav (this is no sound that can be read" in err


def test_a_folder_without_sound_is_told(kedja):
    Path("bare").mkdir()
    code, _, err = kedja("train", "bare", "--model", "spectrogram-cnn")
    assert code == 1
    assert "there are no files of sound" in err
