"""`kedja train` on text: what is recognised and chosen, the run's folder, resuming, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kedja as kj
from kedja import models
from kedja.cli.language import recipe, texts
from kedja.ground.errors import Interrupted
from kedja.io import weights
from kedja.train import language
from tests.cli.terminal import Kept

PLAY = "First Citizen:\nWe are met, and well met, my friend, today.\n\nSecond:\nAy, sir.\n\n" * 40
NAMES = "".join(f"{a}n{b}{c}a\n" for a in "abcdef" for b in "aeiou" for c in "lmr")
SPELLS = "".join(f"{a} of {b}\n" for a in ("Ball", "Wall", "Ray") for b in ("Ice", "Fire", "Sun"))
TINY = ["--layers", 1, "--width", 8, "--context", 8, "--batch", 4, "--steps", 4]
TINY += ["--evaluations", 2]
GPT = [*TINY, "--heads", 2]


train = Kept()


@pytest.fixture
def kedja(terminal, tmp_path, monkeypatch):
    """The command line in a folder with a play and two lists."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEDJA_CACHE", str(tmp_path / "cache"))
    Path("play.txt").write_text(PLAY)
    Path("names.txt").write_text(NAMES)
    Path("spells.txt").write_text(SPELLS)
    return terminal


def trained(kedja, *arguments) -> dict:
    return kedja.json("train", *arguments)


# ------------------------------------------------------------------------------------ the run


def test_text_makes_a_gpt(kedja):
    code, out, err = kedja("train", "play.txt", *GPT, tier="compile")
    assert code == 0
    assert "play.txt: running text: its end is held out" in err
    assert "gpt: 1 layers, 2 heads, 8 wide, context 8, batch 4, 4 updates, rate 0.001" in err
    assert "nats per token" in out and "bits per byte" in out
    assert "next: kedja generate runs/play-gpt --prompt TEXT" in out


@pytest.mark.parametrize("model", ["rnn", "lstm", "gru"])
def test_recurrent_models(kedja, model):
    found = trained(kedja, "names.txt", "--model", model, *TINY)
    assert (found["model"], found["heads"], found["updates"]) == (model, None, 4)
    assert models.load(found["run"]).model.config.cell == model


def test_the_run_is_a_models_folder(kedja):
    found = trained(kedja, "play.txt", *GPT, "--samples", 0, "--out", "here")
    saved = models.load("here")
    assert isinstance(saved.model, models.GPT2) and saved.model.context == 8
    assert saved.tokenizer.decode(saved.tokenizer.encode("First")) == "First"
    held = kj.data.Corpus.read(["play.txt"], saved.tokenizer).split()[1]
    with kj.scope(tier="interpret"):
        loss = language.evaluate_language(saved.model, held)["loss"]
    assert loss == pytest.approx(found["test_loss"], rel=1e-5)
    arrays = weights.load(found["checkpoint"])[0]
    np.testing.assert_array_equal(arrays["model.wte.weight"], saved.model.wte.weight.numpy())


def test_two_lists_have_a_tag_each(kedja):
    code, out, err = kedja("train", "names.txt", "spells.txt", *GPT)
    assert code == 0
    assert "  <names> " in err and "  <spells> " in err
    assert "next: kedja generate runs/names-spells-gpt --prompt '<names>'" in out
    saved = models.load("runs/names-spells-gpt")
    assert {"<end>", "<names>", "<spells>"} == set(saved.tokenizer.specials)
    with kj.scope(tier="interpret"):
        found = models.generate(saved.model, "<spells>", saved.tokenizer, tokens=5, count=2)
    assert all("<" not in each.text for each in found)


def test_the_generator_is_asked_for_one_of_two_lists(kedja):
    """Without a tag it says which there are; a model of one list is asked for nothing."""
    trained(kedja, "names.txt", "spells.txt", *GPT, "--samples", 0)
    for prompt in ("", "an"):
        code, out, err = kedja("generate", "runs/names-spells-gpt", "--prompt", prompt)
        assert (code, out) == (2, "")
        assert f"--prompt '<names>{prompt}' or --prompt '<spells>{prompt}'" in err
    asked = ("--prompt", "<spells>a", "--tokens", 3)
    assert kedja("generate", "runs/names-spells-gpt", *asked)[0] == 0
    trained(kedja, "names.txt", *GPT, "--samples", 0)
    assert kedja("generate", "runs/names-gpt", "--tokens", 3)[0] == 0


def test_options_reach_the_training(kedja):
    options = ["--precision", "bfloat16", "--accumulate", 2, "--dropout", 0.3, "--clip", 0.5]
    options += ["--ema", 0.9, "--weight-decay", 0, "--warmup", 1, "--lr", 0.01]
    options += ["--tokenizer", "bytes"]
    found = trained(kedja, "play.txt", *GPT, *options, "--samples", 0)
    assert (found["updates"], found["tokens"], found["dropout"]) == (4, 256, 0.3)
    assert (found["precision"], found["accumulate"], found["ema"]) == ("bfloat16", 2, 0.9)


def test_byte_pairs(kedja):
    pytest.importorskip("tokenizers")
    options = ("play.txt", *GPT, "--samples", 0, "--tokenizer")
    found = trained(kedja, *options, "bpe", "--vocabulary", 270)
    assert found["tokens"] == 270
    again = trained(kedja, *options, found["run"])
    assert again["test_loss"] == found["test_loss"]


def test_the_weights_of_the_best_evaluation_are_kept(kedja):
    options = ["--lr", 3, "--warmup", 11, "--steps", 12, "--evaluations", 6, "--patience", 2]
    found = trained(kedja, "spells.txt", "--model", "rnn", *TINY, *options, "--out", "here")
    saved = models.load("here")
    whole = kj.data.Corpus.read(["spells.txt"], saved.tokenizer, lines=True)
    with kj.scope(tier="interpret"):
        loss = language.evaluate_language(saved.model, whole.split()[1], 8)["loss"]
    assert loss == pytest.approx(found["test_loss"], rel=1e-5)
    assert found["best_update"] < found["updates"]


# ----------------------------------------------------------------------------------- resuming


def test_interrupted_and_resumed_gives_the_same_bits(kedja, monkeypatch):
    whole = trained(kedja, "names.txt", *GPT, "--out", "whole")

    def stop(job, count):
        def callback(row, model):
            raise Interrupted("in the middle")

        return callback

    with monkeypatch.context() as patched:
        patched.setattr("kedja.cli.language.decoder._sampler", stop)
        code, out, err = kedja("train", "names.txt", *GPT, "--out", "cut")
    assert (code, out) == (130, "")
    assert "go on with: kedja train names.txt --out cut --resume" in err
    assert isinstance(models.load("cut").model, models.GPT2)
    resumed = trained(kedja, "names.txt", "--out", "cut", "--resume")
    assert resumed["test_loss"] == whole["test_loss"]
    files = [Path(each, "model.safetensors").read_bytes() for each in ("whole", "cut")]
    assert files[0] == files[1]


def test_resume_finds_the_newest_run_on_the_data(kedja):
    trained(kedja, "names.txt", *TINY, "--model", "gru")
    code, _, err = kedja("train", "names.txt", "--resume")
    assert code == 0
    assert "run: runs/names-gru" in err and "this run is finished" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["names.txt", "--width", "16"], "--width 16, but the run was started with 8"),
        (["names.txt", "--model", "gru"], "--model gru, but the run was started with gpt"),
        (["spells.txt"], "DATA is spells.txt, but here was started with names.txt"),
    ],
)
def test_resume_with_other_options(kedja, arguments, message):
    train(kedja, "names.txt", *GPT, out="here")
    code, _, err = kedja("train", *arguments, "--resume", "--out", "here")
    assert code == 2
    assert message in err


def test_resume_with_changed_text(kedja):
    train(kedja, "names.txt", *GPT, out="here")
    Path("here/model.safetensors").unlink()
    Path("names.txt").write_text(NAMES[6:])
    code, _, err = kedja("train", "names.txt", "--resume", "--out", "here")
    assert code == 1
    assert "data tokens is" in err


# ----------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["play.txt", "--model", "lstm", "--heads", "2"], 2, "the model lstm has no --heads"),
        (["play.txt", "--hidden", "8"], 2, "the model gpt has no --hidden"),
        (["play.txt", "--epochs", "8"], 2, "the model gpt has no --epochs"),
        (["digits", "--steps", "8"], 2, "the model mlp has no --steps"),
        (["digits", "play.txt", "--model", "mlp"], 2, "2 data sets"),
        (["play.txt", "--width", "10", "--heads", "4"], 2, "--width 10 in --heads 4"),
        (["play.txt", "--vocabulary", "500"], 2, "--vocabulary without --tokenizer bpe"),
        (["play.txt", "--tokenizer", "byte"], 2, "did you mean 'bytes'"),
        (["play.txt", "--dropout", "1"], 2, "--dropout 1.0"),
        (["play.txt", "--steps", "0"], 2, "--steps 0"),
        (["play.txt", "--context", "9999"], 1, "too few for a window of 9999"),
        (["empty.txt", "--model", "gpt"], 1, "the file is empty"),
        (["latin.txt", "--model", "gpt"], 1, "latin.txt"),
        (["binary.txt", "--model", "gpt"], 1, "binary.txt"),
        (["nothing.txt", "--model", "gpt"], 1, "nothing.txt"),
        (["one/names.txt", "names.txt"], 2, "two lists are called <names>"),
    ],
)
def test_what_is_refused(kedja, arguments, code, message):
    Path("empty.txt").write_text("")
    Path("latin.txt").write_bytes("Café\n".encode("latin-1"))
    Path("binary.txt").write_bytes(b"MZ\x00\x01")
    Path("one").mkdir()
    Path("one/names.txt").write_text(NAMES)
    found, out, err = kedja("train", *arguments)
    assert (found, out) == (code, "")
    assert message in err
    assert not Path("runs").exists()


# --------------------------------------------------------------------------------- its pieces


def test_lists_and_running_text_are_told_apart(kedja):
    assert texts.is_list(["names.txt"]) and texts.is_list(["names.txt", "spells.txt"])
    assert not texts.is_list(["play.txt"]) and not texts.is_list(["names.txt", "play.txt"])
    found = trained(kedja, "names.txt", *GPT, "--running", "--samples", 0)
    assert found["lines"] is False


def test_sizes_follow_text_and_machine():
    def chosen(tokens, cores, **given):
        text = recipe.Text(tokens, 65)
        return recipe.recipe("gpt", text, cores, given)

    shakespeare = chosen(1_003_854, 2)
    assert (shakespeare.layers, shakespeare.heads, shakespeare.width) == (4, 4, 128)
    assert (shakespeare.context, shakespeare.batch, shakespeare.steps) == (64, 12, 2000)
    assert (shakespeare.lr, shakespeare.dropout, shakespeare.warmup) == (1e-3, 0.0, 100)
    assert shakespeare.patience is None and chosen(10_000, 2).patience == 4
    assert chosen(10_000, 2).width == 64 and chosen(10_000, 2).dropout == 0.2
    assert chosen(50_000_000, 2).width == 128 and chosen(50_000_000, 64).width == 384
    assert chosen(50_000_000, 64).lr == 5e-4
    names = recipe.recipe("lstm", recipe.Text(200_000, 27, 17, 7.0), 2, {})
    assert (names.layers, names.heads, names.context, names.lr) == (2, None, 17, 2e-3)
    assert (names.dropout, names.patience, names.lines) == (0.0, None, True)
