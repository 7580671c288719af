"""`kedja view`, and `kedja train --model autoencoder`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kedja.cli import view
from kedja.io import weights
from kedja.train import autoencoding, pictures
from kedja.views import figures
from tests.cli.terminal import Kept, interrupted_runs
from tests.data.drawn import folder

pytest.importorskip("matplotlib", reason="pictures need matplotlib")
pytest.importorskip("sklearn")
Image = pytest.importorskip("PIL.Image")
SMALL = ["--epochs", "2", "--widths", "4,6", "--width", "5"]
CNN = ["--model", "cnn", "--epochs", "1", "--widths", "4", "--hidden", "none"]


train = Kept()


@pytest.fixture
def kedja(terminal, tmp_path, monkeypatch):
    """The command line in a folder with a picture; baselines are cut short."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pictures, "PIXELS_STEPS", 1)
    monkeypatch.setattr(autoencoding, "LABELLED", (50, 100))
    monkeypatch.setattr(view, "SHOWN", 60)
    Image.fromarray(np.eye(8, dtype=np.uint8) * 200).save("one.png")
    return terminal


def test_every_kind_is_drawn(kedja, tmp_path):
    train(kedja, "digits", *CNN, out="cnn")
    for kind, *more in (
        ("filters",), ("codes",), ("ideals", "--label", "3"),
        ("looking", "one.png", "--label", "1", "--label", "7"),
        ("maps", "one.png", "--layer", "convs.0"),
    ):  # fmt: skip
        done = kedja("view", "cnn", *more, "--kind", kind)
        assert done.code == 0, done.err
        assert done.out.strip() == f"cnn/{kind}.png"
        with Image.open(tmp_path / "cnn" / f"{kind}.png") as drawn:
            assert drawn.size[0] > 50


def test_what_is_refused(kedja):
    train(kedja, "digits", *CNN, out="cnn")
    for arguments, message in (
        (["--kind", "nothing"], "--kind nothing"),
        (["--kind", "maps"], "needs a picture"),
        (["one.png", "--kind", "filters"], "is of the network"),
        (["--layer", "convs.0"], "--kind filters has no --layer"),
        (["--kind", "ideals", "--label", "eleven"], "there is no class 'eleven'"),
        (["--plot", "a.txt"], "is no picture"),
        (["nowhere.png"], "cannot read"),
        (["one.png", "--kind", "reconstruction"], "gives no pictures back"),
        (["one.png", "--text", "a"], "has classes"),
        (["one.png", *(6 * ["--label", "1"])], "more than 5 at once"),
    ):
        done = kedja("view", "cnn", *arguments)
        assert done.code in (1, 2)
        assert message in done.err


def test_a_network_of_pairs_is_looked_into(kedja, monkeypatch):
    small = ["--model", "clip", "--epochs", "1", "--widths", "4", "--width", "8"]
    train(kedja, "digits", *small, out="pairs")
    texts = ["--text", "a seven", "--text", "a big one"]
    for kind, *more in (
        ("filters",), ("codes",), ("maps", "one.png"), ("looking", "one.png"),
        ("looking", "one.png", *texts), ("ideals", *texts),
    ):  # fmt: skip
        done = kedja("view", "pairs", *more, "--kind", kind)
        assert (done.code, done.out) == (0, f"pairs/{kind}.png\n"), done.err
        assert ("unknown are big" in done.err) == ("a big one" in more)
    for arguments, message in (
        (["one.png", "--label", "7"], "has captions"),
        (["--kind", "ideals"], "needs captions"),
        (["one.png", "--text", "elephants"], "none of its words"),
        (["one.png", "--kind", "reconstruction"], "gives no pictures back"),
    ):
        done = kedja("view", "pairs", *arguments)
        assert (done.code, message in done.err) == (2, True), done.err


def test_what_is_shown_of_the_test_is_of_all_classes(kedja, monkeypatch):
    folder(Path("shapes"), 20)
    train(kedja, "shapes", "--model", "cnn", "--epochs", "1", "--widths", "4", out="shapes-run")
    asked = []
    monkeypatch.setattr(view, "SHOWN", 4)
    monkeypatch.setattr(view, "plot_codes", lambda *given: asked.append(given) or drawn("codes"))
    assert kedja("view", "shapes-run", "--kind", "codes").code == 0
    [(_, pixels, names)] = asked
    assert (len(pixels), names) == (4, ["cross", "cross", "disc", "disc"])


def drawn(title):
    figure = figures.figure(figsize=(1, 1))
    figures.title(figure, title)
    return figure


def test_an_autoencoder_is_trained_told_and_asked(kedja):
    found = kedja.json("train", "digits", "--model", "autoencoder", *SMALL)
    assert found["width"] == 5
    assert 0 < found["test_error"] < 1
    assert [row["labelled"] for row in found["features"]] == [50, 100]
    [asked] = kedja.json("predict", found["run"], "one.png")["predictions"]
    assert len(asked["code"]) == 5
    assert kedja("view", found["run"], "--kind", "codes").code == 0
    drawn = kedja("view", found["run"], "--kind", "reconstruction", "--plot", "ten.png")
    assert (drawn.code, drawn.out) == (0, "ten.png\n"), drawn.err
    assert kedja("view", found["run"], "one.png").out.strip().endswith("reconstruction.png")
    told = kedja("export", found["run"], "--to", "a.onnx")
    assert (told.code, "autoencoder, which is not exported" in told.err) == (2, True)
    refused = kedja("view", found["run"], "--kind", "ideals")
    assert refused.code == 2
    assert "knows no classes" in refused.err


def test_interrupted_and_resumed_gives_the_same_bits(kedja):
    options = ["digits", "--model", "autoencoder", *SMALL, "--noise", "0.1"]
    kedja("train", *options, "--out", "whole")
    with interrupted_runs():
        stopped = kedja("train", *options, "--out", "parts")
    assert "go on with: kedja train digits --out parts --resume" in stopped.err
    again = kedja("train", "digits", "--out", "parts", "--resume")
    assert again.code == 0, again.err
    whole, parts = (weights.load(f"{run}/model.safetensors")[0] for run in ("whole", "parts"))
    for name, array in whole.items():
        np.testing.assert_array_equal(array, parts[name])
