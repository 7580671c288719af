"""Help: options in panels, no wider than a terminal, and beside a model those that it has.

Not here: that the examples under it work (`test_cli_examples.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import typer

from kedja.cli import families
from kedja.cli.commands import COMMANDS
from kedja.cli.help import OTHER, Shown, panel, table
from kedja.cli.main import app
from kedja.cli.train import ALWAYS, FROM
from kedja.data import captioned, expressions, source
from tests.cli.terminal import Terminal

MANY = 8  # options of a command: more of them stand in panels


def command(name: str) -> tuple[typer.Context, object]:
    group = typer.main.get_command(app)
    context = typer.Context(group)
    return context, group.get_command(context, name)


def options(name: str) -> Iterator[object]:
    """The options of a command, without `--help`."""
    context, found = command(name)
    params = (each for each in found.get_params(context) if each.param_type_name == "option")
    return (each for each in params if each.name != "help")


def shown(text: str) -> set[str]:
    """The options that a help lists, by their long names."""
    return set(re.findall(r"^  (--[a-z-]+)", text, re.M))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_a_terminal_and_has_no_colours(name, terminal: Terminal, monkeypatch):
    plain = terminal(name, "--help")
    assert plain.code == 0
    assert all(len(line) <= 80 for line in plain.out.splitlines())
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert terminal(name, "--help") == plain


@pytest.mark.parametrize("name", COMMANDS)
def test_help_writes_arguments_as_its_texts_do_and_kinds_of_values_plainly(
    name, terminal: Terminal
):
    text = terminal(name, "--help").out
    usage = text.splitlines()[0]
    assert re.fullmatch(rf"Usage: kedja {name} \[OPTIONS\]( \[?[A-Z]+\]?(\.\.\.)?)*", usage)
    for argument in re.findall("[A-Z]{2,}", usage.split("]", 1)[1]):
        assert f"\n  {argument} " in text
    assert set(re.findall("<.*?>", text)) <= {"<int>", "<float>", "<str>", "<path>"}


def test_a_missing_argument_is_named_as_help_names_it(terminal: Terminal):
    found = terminal("predict")
    assert found.code == 2 and "kedja predict [OPTIONS] RUN [FILES]...\n" in found.err
    assert "Missing argument 'RUN'" in found.err


@pytest.mark.parametrize("name", COMMANDS)
def test_many_options_stand_in_panels(name, terminal: Terminal):
    panels = [each.rich_help_panel for each in options(name)]
    text = terminal(name, "--help").out
    assert shown(text) >= {each.opts[0] for each in options(name)}
    if len(panels) > MANY:
        assert None not in panels, [each.name for each in options(name)]
        assert f"\n{OTHER}:" not in text
        assert text.count("-h, --help") == 1
    for title in set(panels) - {None}:
        assert text.count(f"\n{title}:\n") == 1


@pytest.mark.parametrize("model", families.MODELS)
def test_beside_a_model_help_shows_its_options_alone(model, terminal: Terminal):
    named = ["--from", "base"] if model == families.TUNED else ["--model", model]
    found = terminal("train", *named, "--help")
    has = {*families.MODELS[model].options(model), *ALWAYS}
    assert shown(found.out) == {
        each.opts[0] for each in options("train") if FROM.get(each.name, each.name) in has
    }
    assert f"the options of {model} alone" in found.out


def test_every_option_of_training_is_that_of_a_model_and_the_other_way_round():
    had = {name for model, family in families.MODELS.items() for name in family.options(model)}
    declared = {FROM.get(each.name, each.name) for each in options("train")} - set(ALWAYS)
    assert had == declared


def test_beside_data_help_shows_what_its_model_has(terminal: Terminal, tmp_path):
    file = tmp_path / "play.txt"
    file.write_text("To be, or not to be.\n" * 20)
    assert "the options of gpt alone" in terminal("train", str(file), "--help").out
    assert "the options of mlp alone" in terminal("train", "-h", "digits").out
    assert "the options of ppo alone" in terminal("train", "CartPole-v1", "-h").out
    broken = tmp_path / "broken.csv"
    broken.write_bytes(b"\xff\xfe\x00\x00")
    for line in ([], ["no-such-data"], [str(broken)]):
        assert terminal("train", *line, "--help").code == 0
    assert terminal("train", "--help").out == terminal("train", "no-such-data", "--help").out


def test_an_unknown_model_beside_help_is_a_usage_error(terminal: Terminal):
    found = terminal("train", "--model", "cn", "--help")
    assert (found.code, found.out) == (2, "")
    assert "did you mean 'cnn'?" in found.err


def test_help_and_errors_name_every_kind_of_data_and_every_model(terminal: Terminal):
    text = terminal("train", "--help").out
    for data, models in families.overview().items():
        assert re.match(r"\w+?(?=s?\b)", data)[0] in source.KINDS
        for model in models.split(", "):
            assert re.search(rf"\b{model}\b", text)
    assert set(source.OTHER_NAMES) == {captioned.NAME, expressions.NAME}
    for name in (*source.NAMES, *source.OTHER_NAMES):
        assert name in source.KINDS
    found = terminal("train", "no-such-data")
    assert found.code == 2 and source.KINDS in found.err


def test_a_table_wraps_at_blanks_alone():
    text = table({"one": "self-attention " * 9, "three": "x"})
    lines = text.splitlines()
    assert lines[0] == "\b"
    assert lines[1].startswith("one    self-attention self-attention")
    assert all(each.startswith("       self-attention") for each in lines[2:-1])
    assert lines[-1] == "three  x"
    assert all(len(each) <= 76 for each in lines)
    assert panel("P")(help="h").rich_help_panel == "P"
    assert Shown("all").names is None
