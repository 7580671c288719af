"""`kedja tune` of pictures, sound, captions, ratings and texts: how each family holds out.

Not here: the search itself, tables and series (`test_cli_tune.py`).
"""

from __future__ import annotations

import json
import math
import shlex
from pathlib import Path

import numpy as np
import pytest

from kedja.cli import captions, families, pictures, ratings, sound
from kedja.cli.tune import _tested
from kedja.data import learned
from kedja.data.generated_ratings import generate
from kedja.tuning import SPACES, searching
from tests.cli.terminal import Terminal

pytest.importorskip("optuna")

RATE = 8000


def pictures_of_classes():
    """Twenty pictures each of two classes, none like another."""
    image = pytest.importorskip("PIL.Image")
    for place, name in enumerate(("dark", "light")):
        Path("shapes", name).mkdir(parents=True)
        for number in range(20):
            shade = 120 * place + 5 * number
            image.new("L", (8, 8), shade).save(Path("shapes", name, f"{number}.png"))


def captioned():
    """Thirty pictures with a caption each."""
    image = pytest.importorskip("PIL.Image")
    Path("colours").mkdir()
    lines = []
    for number in range(30):
        image.new("RGB", (8, 8), (8 * number, 255 - 8 * number, 0)).save(f"colours/{number}.png")
        lines.append(f"{number}.png\t{'red' if number > 14 else 'green'}, number {number}\n")
    Path("colours/captions.txt").write_text("".join(lines))


def tones():
    """Ten recordings each of two classes."""
    soundfile = pytest.importorskip("soundfile")
    Path("tones").mkdir()
    t = np.arange(RATE // 5) / RATE
    for label, hertz in (("low", 300), ("high", 1500)):
        for index in range(10):
            wave = 0.3 * np.sin(2 * np.pi * hertz * (1 + index / 100) * t)
            soundfile.write(Path("tones", f"{label}_anna_{index}.wav"), wave, RATE)


def rated():
    """Three hundred ratings with times."""
    made = generate(users=30, items=20, factors=2, each=10, seed=3).ratings
    rows = zip(made.user, made.item, made.rating, made.time, strict=True)
    lines = [f"u{u},i{i},{r:.1f},{t:.0f}" for u, i, r, t in rows]
    Path("ratings.csv").write_text("\n".join(["user,item,rating,time", *lines]) + "\n")


def texts():
    """Running text, and texts with labels."""
    Path("play.txt").write_text("To be, or not to be, that is the question.\n" * 60)
    rows = [
        {"text": f"{'good' if place % 2 else 'bad'} thing {place}", "label": str(place % 2)}
        for place in range(40)
    ]
    Path("opinions.jsonl").write_text("\n".join(map(json.dumps, rows)))


@pytest.fixture
def kedja(capsys, tmp_path, monkeypatch):
    """The command in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEDJA_CACHE", str(tmp_path / "cache"))
    return Terminal(capsys)


# model: what makes the data, what it is called, options that make a trial short
FAMILIES = {
    "cnn": (pictures_of_classes, "shapes", "--epochs 1 --width 8 --depth 1"),
    "resnet": (pictures_of_classes, "shapes", "--epochs 1 --width 8 --depth 1"),
    "spectrogram-cnn": (tones, "tones", "--epochs 1 --width 2"),
    "clip": (captioned, "colours", "--epochs 1 --width 8"),
    "factors": (rated, "ratings.csv", "--epochs 1 --width 4"),
    "two-tower": (rated, "ratings.csv", "--epochs 1 --width 4"),
    "rnn": (texts, "play.txt", "--steps 2 --width 8 --depth 1"),
    "gpt": (texts, "play.txt", "--steps 2 --width 8 --depth 1"),
    "lstm": (texts, "play.txt", "--steps 2 --width 8 --depth 1"),
    "text-classifier": (texts, "opinions.jsonl", "--epochs 1 --width 8"),
}
SLOW = ("cnn", "resnet", "gpt", "lstm")  # held out as for rnn; cnn is in test_cli_tune.py, too
QUICK = ("factors", "two-tower", "text-classifier")  # quicker than they are compiled
ELSEWHERE = {"mlp", "linear", "autoregression", "series-lstm", "series-transformer", "gru"}


def test_every_model_that_is_tuned_is_tested():
    assert set(SPACES) == set(FAMILIES) | ELSEWHERE


@pytest.mark.parametrize(
    "model",
    [pytest.param(each, marks=[pytest.mark.slow] * (each in SLOW)) for each in FAMILIES],
)
def test_a_model_is_tuned_and_the_best_is_tested(kedja, model):
    make, data, short = FAMILIES[model]
    make()
    line = f"tune {data} --model {model} {short} --out search --seed 1 --trials 1 --json"
    ended = kedja(*shlex.split(line), tier="interpret" if model in QUICK else "compile")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert math.isfinite(found["best"]["value"])
    assert found["results"]["model"] == model
    assert _tested(found["results"])
    kind, name, *command = shlex.split(found["command"])[1:]
    assert (kind, name) == ("train", data)
    options = {each.removeprefix("--").replace("-", "_") for each in command if each[:2] == "--"}
    families.require_options(model, dict.fromkeys(options - {"model"}))


def test_an_interrupted_search_of_rankings_goes_on(kedja, monkeypatch):
    """No loss is told on the way there: a trial counts once it has ranked what is held out."""
    rated()
    line = "tune ratings.csv --model two-tower --epochs 1 --width 4 --trials 2 --json"
    whole = json.loads(kedja(*shlex.split(f"{line} --out whole")).out)
    one = searching._one

    def cut(*given):
        monkeypatch.setattr(searching, "_one", interrupted)
        return one(*given)

    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(searching, "_one", cut)
    assert kedja(*shlex.split(f"{line} --out search")).code == 130
    monkeypatch.setattr(searching, "_one", one)
    again = json.loads(kedja(*shlex.split(f"{line} --out search --resume")).out)
    assert again["trials"] == whole["trials"]
    assert 0 < again["best"]["value"] < 1  # 1 - NDCG


def test_an_option_that_the_search_does_not_have_is_told(kedja):
    rated()
    ended = kedja(*shlex.split("tune ratings.csv --model two-tower --dropout 0:1"))
    assert (ended.code, "the search for two-tower has no --dropout" in ended.err) == (2, True)
    ended = kedja(*shlex.split("tune CartPole-v1"))
    assert (ended.code, "the model ppo are not searched" in ended.err) == (2, True)


# ---------------------------------------------------------------- what trials see of the data


def as_rows(values):
    return {np.asarray(each).tobytes() for each in values}


def require_learned_alone(load):
    """`load()` → what is learned, and what is held out: inside, all of it was learned outside."""
    learned_of, held = load()
    with learned.learned_alone():
        inside, chosen_by = load()
    assert not as_rows(held) & (as_rows(inside) | as_rows(chosen_by))
    assert as_rows(inside) | as_rows(chosen_by) == as_rows(learned_of)
    assert not as_rows(inside) & as_rows(chosen_by)
    assert 0 < len(chosen_by) < len(inside)


def test_pictures_to_test_on_are_not_seen(kedja):
    pictures_of_classes()

    def load():
        found = pictures._load(["shapes"], {"seed": 3}, {})
        return found.train.inputs, found.test.inputs

    require_learned_alone(load)


def test_recordings_to_test_on_are_not_seen(kedja):
    tones()
    given = sound.recordings.load("tones")

    def load():
        found = sound._trial(given, {"seed": 3})
        return found.train, found.test

    require_learned_alone(load)


def test_captions_to_test_on_are_not_seen(kedja):
    captioned()

    def load():
        found = captions._load(["colours"], {"seed": 3})
        return found.train.pictures, found.test.pictures

    require_learned_alone(load)


def test_ratings_to_test_on_are_not_seen(kedja, monkeypatch):
    rated()
    seen = []
    monkeypatch.setattr(
        ratings, "_figures", lambda train, test, *others: seen.append((train, test))
    )
    made = {**ratings.USUAL, "implicit": True, "weight_decay": 0.1}

    def load():
        ratings._prepare(("ratings.csv",), made).figures(None)
        return [[(r.user[n], r.item[n]) for n in range(len(r))] for r in seen[-1]]

    require_learned_alone(load)
