"""`kedja train FILE --from RUN`: full weights and adapters, the run's folder, resuming, errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import kedja as kj
from kedja import models
from kedja.data.tokenizer import Characters
from kedja.io import weights
from kedja.models import lora
from kedja.train import answers

WORDS = ("cat", "dog", "owl", "bee", "fox")
LINES = [f"what is {a} {b}? | {b}" for a in WORDS for b in WORDS]
ALPHABET = "".join(sorted(set("".join(LINES).replace("|", "") + "\n")))


@pytest.fixture
def kedja(terminal, tmp_path, monkeypatch):
    """The command line beside a small model in `base`."""
    monkeypatch.chdir(tmp_path)
    kj.random.seed(0)
    config = models.GPT2Config(len(ALPHABET), 24, 16, 1, 2, dropout=0.0)
    models.save("base", models.GPT2(config), Characters(ALPHABET))
    Path("ask.txt").write_text("\n".join(LINES))
    return terminal


TUNE = ("train", "ask.txt", "--from", "base", "--epochs", 2)


def tuned(kedja, *more):
    return kedja.json(*TUNE, *more)


def test_all_weights(kedja):
    code, out, err = kedja(*TUNE)
    assert code == 0, err
    assert "ask.txt: 23 prompts to learn, 2 held out" in err
    assert "all weights of base: sgd, batch 32, 2 epochs, rate 0.3, seed 0" in err
    assert "run: runs/ask-tuned" in err
    assert "exact match on 2 held-out prompts: 0.0% before" in out
    found = models.load("runs/ask-tuned")
    before = models.load("base").model.state_dict()
    assert any(not np.array_equal(before[k], v) for k, v in found.model.state_dict().items())
    assert found.tokenizer == Characters(ALPHABET)
    assert kedja("generate", "runs/ask-tuned", "--prompt", "what is", "--tokens", 3)[0] == 0


def test_adapters(kedja):
    found = tuned(kedja, "--lora", 2, "--out", "small")
    assert found["learned_parameters"] == 2 * ((16 + 48) + (16 + 16) + 2 * (16 + 64))
    assert (found["from"], found["lora"]) == ("base", 2)
    assert (found["optimizer"], found["lr"]) == ("adamw", 5e-3)
    assert not Path("small/model.safetensors").exists()
    alone, _ = weights.load("small/adapter_model.safetensors")
    assert sum(array.size for array in alone.values()) == found["learned_parameters"]
    base = models.load("base").model
    again = lora.load("small", base)
    tokens = kj.asarray(np.arange(8)[None])
    whole = models.load("small").model(tokens).numpy()
    np.testing.assert_allclose(again(tokens).numpy(), whole, atol=1e-5)
    assert abs(whole - base(tokens).numpy()).max() > 1e-4


def test_another_optimizer(kedja):
    found = tuned(kedja, "--optimizer", "AdamW", "--out", "run")
    assert (found["optimizer"], found["lr"]) == ("adamw", 5e-4)
    code, _, err = kedja("train", "ask.txt", "--out", "run", "--resume", "--optimizer", "sgd")
    assert code == 2
    assert "--optimizer sgd, but the run was started with adamw" in err


def test_merged_on_demand(kedja):
    tuned(kedja, "--lora", 2, "--merge", "--out", "both")
    tuned(kedja, "--lora", 2, "--out", "apart")
    first, second = (models.load(name).model.state_dict() for name in ("both", "apart"))
    for name, array in first.items():
        np.testing.assert_array_equal(second[name], array)
    assert Path("both/model.safetensors").exists()


def test_json_lines_and_prompts_to_be_asked(kedja):
    rows = [line.split(" | ") for line in LINES]
    records = [json.dumps({"prompt": p, "answer": a}) for p, a in rows]
    Path("learn.jsonl").write_text("\n".join(records[:20]))
    Path("asked.jsonl").write_text("\n".join(records[19:]))
    code, out, err = kedja(
        "train", "learn.jsonl", "--from", "base", "--test", "asked.jsonl", "--epochs", 1
    )
    assert code == 0, err
    assert "20 prompts to learn, 6 held out" in err
    assert "note: 1 of the prompts to be asked are learned, too" in err
    assert "on 6 held-out prompts" in out


def test_the_held_out_prompts_are_not_learned(kedja, monkeypatch):
    """A tenth, drawn by the seed; what is learned has none of them."""
    seen = []
    fit = answers.fit_answers

    def watched(model, tokenizer, train, held, **options):
        seen.append((train, held))
        return fit(model, tokenizer, train, held, **options)

    monkeypatch.setattr(answers, "fit_answers", watched)
    tuned(kedja)
    tuned(kedja, "--seed", 1)
    (train, held), (_, other) = seen
    assert len(held) == 2
    assert not {each.prompt for each in train} & {each.prompt for each in held}
    assert held != other


def interrupted(monkeypatch):
    def stop(moment):
        if moment.epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("kedja.train.trainer.reporter", lambda progress: _Stopping(stop))


class _Stopping:
    """A reporter that shows nothing and stops the run."""

    def __init__(self, stop):
        self._stop = stop

    def moment(self, now):
        self._stop(now)

    def __getattr__(self, name):
        return lambda *args, **kwargs: None


@pytest.mark.parametrize("more", [(), ("--lora", 2)])
def test_interrupted_and_resumed(kedja, monkeypatch, more):
    """The same bits as without the interruption; until then the folder says what it is."""
    whole = tuned(kedja, "--epochs", 4, "--batch", 8, *more, "--out", "whole")
    with monkeypatch.context() as patch:
        interrupted(patch)
        code, _, err = kedja(*TUNE, "--epochs", 4, "--batch", 8, *more, "--out", "cut")
    assert code == 130
    assert "kedja train ask.txt --out cut --resume" in err
    code, out, err = kedja("train", "ask.txt", "--out", "cut", "--resume", "--json")
    assert code == 0, err
    assert json.loads(out)["exact_match_after"] == whole["exact_match_after"]
    first, second = (models.load(name).model.state_dict() for name in ("whole", "cut"))
    for name, array in first.items():
        np.testing.assert_array_equal(second[name], array)


# ----------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("train", "ask.txt", "--model", "tuned"), "--from RUN names a trained model"),
        (("train", "ask.txt", "--from", "nowhere"), "nowhere holds no model"),
        (("train", "ask.txt", "--model", "gpt", "--from", "base"), "the model gpt has no --from"),
        ((*TUNE, "--heads", 4), "the model tuned has no --heads"),
        ((*TUNE, "--lora", 0), "--lora 0"),
        ((*TUNE, "--optimizer", "adamww"), "did you mean 'adamw'"),
        ((*TUNE, "--merge"), "--merge without --lora"),
        (("train", "play.txt", "--from", "base"), "there is no '|' between"),
        (("train", "few.txt", "--from", "base"), "leaves one part empty"),
        (("train", "odd.txt", "--from", "base"), "odd.txt, line 2: the character 'z'"),
        (("train", "long.txt", "--from", "base"), "the model's context 24"),
        (("train", "ask.txt", "--from", "bare"), "has no tokenizer.json"),
        (("train", "ask.txt", "--from", "other"), "which does not write text"),
    ],
)
def test_wrong_uses_make_no_folder(kedja, arguments, reason):
    Path("play.txt").write_text("To be, or not to be\n" * 3)
    Path("few.txt").write_text(LINES[0])
    Path("odd.txt").write_text("\n".join([LINES[0], "what is zoo? | cat", *LINES[1:]]))
    Path("long.txt").write_text("\n".join([*LINES, "what is " * 20 + "| cat"]))
    base = models.load("base").model
    models.save("bare", base)
    config = models.EncoderDecoderConfig(20, d_model=8, num_layers=1, num_heads=2)
    models.save("other", models.EncoderDecoder(config))
    code, _, err = kedja(*arguments)
    assert code in (1, 2)
    assert reason in err
    assert not Path("runs").exists()


def test_a_run_goes_on_as_it_was_started(kedja):
    tuned(kedja, "--out", "run")
    code, _, err = kedja("train", "ask.txt", "--out", "run", "--resume", "--lora", 4)
    assert code == 2
    assert "--lora 4, but the run was started with None" in err
