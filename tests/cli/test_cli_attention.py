"""`kedja attention` and `kedja explain --run`: a text as a trained network reads it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

import kedja as kj
from kedja.data.tokenizer import Characters
from tests.cli.terminal import Terminal

TEXT = "to be"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    tokenizer = Characters.of("to be or not to be")
    config = kj.models.GPT2Config(tokenizer.size, 8, 12, 2, 3)
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    kj.models.save(folder, kj.models.GPT2(config), tokenizer)
    return str(folder)


def test_the_table_has_a_row_for_each_head(terminal: Terminal, run: str) -> None:
    found = terminal("attention", TEXT, "--run", run)
    assert found.code == 0
    names = [tuple(line.split()[:2]) for line in found.out.splitlines()[1:]]
    assert names == [(f"h.{layer}.attn", str(head)) for layer in (0, 1) for head in range(3)]
    assert "--svg draws all" in found.err


def test_one_head_is_drawn_masked_and_unmasked(terminal: Terminal, run: str) -> None:
    found = terminal("attention", TEXT, "--run", run, "--layer", "1", "--head", "2", "--unmasked")
    assert "h.1.attn, head 2" in found.out
    rows = found.out.splitlines()[-len(TEXT) :]
    assert [row.split()[0] for row in rows] == list("to␣be")
    assert len(rows[0].split()) == 3  # the first token sees itself; unmasked, all


def test_the_picture_and_the_numbers(terminal: Terminal, run: str, tmp_path: Path) -> None:
    picture = tmp_path / "maps.svg"
    found = terminal("attention", TEXT, "--run", run, "--svg", str(picture), "--json")
    data = json.loads(found.out)
    assert (len(data["maps"]), data["queries"]) == (6, list(TEXT))
    assert [sum(row) for row in data["maps"][0]["weights"]] == pytest.approx([1] * 5, abs=1e-5)
    ElementTree.parse(picture)


def test_a_text_token_by_token(terminal: Terminal, run: str) -> None:
    found = terminal("explain", TEXT, "--run", run, "--lens")
    lines = found.out.splitlines()
    assert lines[0].split() == ["token", "probability", "bits", "rank", "expected", "h.0", "h.1"]
    assert [line.split()[0] for line in lines[1:6]] == list("to␣be")
    assert lines[-1].startswith("4 tokens: ")
    data = json.loads(terminal("explain", TEXT, "--run", run, "--json").out)
    assert f"{data['bits']:.3f} bits" in lines[-1]


def test_a_model_of_texts_that_start_reads_from_the_start(
    terminal: Terminal, tmp_path: Path
) -> None:
    tokenizer = Characters.of("anna", specials=["<start>"])
    model = kj.models.RecurrentLM(kj.models.RecurrentConfig(tokenizer.size, 4, 1))
    kj.models.save(tmp_path / "names", model, tokenizer)
    data = json.loads(terminal("explain", "an", "--run", str(tmp_path / "names"), "--json").out)
    assert (data["first"], [each["token"] for each in data["tokens"]]) == ("<start>", ["a", "n"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("attention", ""), "the text is empty"),
        (("attention", "x"), "'x' (U+0078)"),
        (("attention", "to be or not"), "12 tokens, the model reads 8 at once"),
        (("attention", TEXT, "--layer", "2"), "there is no layer 2"),
        (("attention", TEXT, "--head", "-1"), "there is no head -1"),
        (("explain", "t"), "fewer than two tokens"),
        (("explain", TEXT, "--at", "t=1"), "--at is for expressions"),
    ],
)
def test_wrong_input_is_one_message(
    terminal: Terminal, run: str, arguments: tuple[str, ...], message: str
) -> None:
    found = terminal(*arguments, "--run", run)
    assert found.code in (1, 2)
    assert message in found.err
    assert "Traceback" not in found.err
    assert found.out == ""


def test_a_folder_without_a_model(terminal: Terminal, tmp_path: Path) -> None:
    for command in ("attention", "explain"):
        found = terminal(command, TEXT, "--run", str(tmp_path / "none"))
        assert found.code in (1, 2)
        assert "holds no model" in found.err


def test_the_lens_without_a_run(terminal: Terminal) -> None:
    found = terminal("explain", "x^2", "--lens")
    assert (found.code, "--lens is for texts" in found.err) == (2, True)
