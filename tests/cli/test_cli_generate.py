"""`kedja generate`: text, several samples, tables, JSON, and one message for each mistake."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import kedja as kj
from kedja import models
from kedja.cli.main import app
from kedja.data.tokenizer import Characters
from kedja.models import GPT2Config

LETTERS = Characters("abcdefgh\n", ["<end>"])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    kj.random.seed(5)
    net = models.GPT2(GPT2Config(10, 16, 16, 1, 2, dropout=0.0))
    net = kj.tree.map(lambda x: x * 8 if x.ndim == 2 else x, net)
    folder = tmp_path_factory.mktemp("run")
    models.save(folder, net, LETTERS)
    return folder


def kedja(*args):
    return CliRunner().invoke(app, ["generate", *map(str, args)])


def test_text_follows_the_prompt(run):
    found = kedja(run, "--prompt", "ab", "--tokens", 12, "--seed", 2)
    assert found.exit_code == 0, found.output
    (expected,) = models.generate(*models.load(run)[:1], "ab", LETTERS, tokens=12, seed=2)
    assert found.stdout == f"ab{expected.text}\n"
    assert kedja(run, "--prompt", "ab", "--tokens", 12, "--seed", 2).stdout == found.stdout


def test_json(run):
    found = kedja(run, "--prompt", "ab", "--tokens", 5, "--count", 3, "--json", "--explain")
    answer = json.loads(found.stdout)
    assert [len(each["tokens"]) for each in answer["samples"]] == [
        len(each["choices"]) for each in answer["samples"]
    ]
    assert len(answer["samples"]) == 3
    assert answer["prompt"] == "ab"
    assert answer["seed"] == 0


def test_several_samples(run):
    found = kedja(run, "--prompt", "ab", "--tokens", 9, "--count", 3)
    model = models.load(run).model
    expected = [each.text for each in models.generate(model, "ab", LETTERS, tokens=9, count=3)]
    for text in expected:
        assert f"ab{text}\n" in found.stdout


def test_explained(run):
    found = kedja(run, "--prompt", "ab", "--tokens", 4, "--explain")
    assert found.exit_code == 0, found.output
    head = next(line for line in found.stdout.splitlines() if line.startswith("token"))
    assert head.split() == ["token", "probability", "bits", "runners-up"]
    assert "bits per token" in found.stdout


def test_a_text_longer_than_the_context_says_so(run):
    found = kedja(run, "--prompt", "ab", "--tokens", 40, "--temperature", 2, "--seed", 4)
    assert found.exit_code == 0
    assert ("context of 16 tokens" in found.stderr) == (len(found.stdout) > 16)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--prompt", "xyz"], "'x'"),
        (["--prompt", "a" * 30], "the model's context 16"),
        (["--temperature", "-1"], "temperature -1.0"),
        (["--top-p", "2"], "top_p 2.0"),
        (["--top-k", "0"], "top_k 0"),
        (["--count", "0"], "count 0"),
        (["--tokens", "0"], "tokens 0"),
        (["--dtype", "int8"], "--dtype int8"),
    ],
)
def test_mistakes(run, args, message):
    found = kedja(run, *args)
    assert found.exit_code in (1, 2)
    assert message in found.stderr
    assert "Traceback" not in found.stderr


def test_no_run(tmp_path):
    found = kedja(tmp_path)
    assert found.exit_code == 1
    assert "holds no model" in found.stderr


def test_no_tokenizer(tmp_path):
    models.save(tmp_path, models.GPT2(GPT2Config(10, 16, 16, 1, 2)))
    found = kedja(tmp_path, "--prompt", "a")
    assert found.exit_code == 2
    assert "tokenizer.json" in found.stderr
