"""The example under each command's help works as it is printed, in an empty folder with a play.

Not here: what the commands do (a file each).
"""

from __future__ import annotations

import re
import shlex

import pytest
import typer

from kedja.cli import view
from kedja.cli.commands import COMMANDS
from kedja.cli.main import app
from kedja.train import pictures

FLOWERS = "1.5,white,rose\n3.5,red,tulip\n2.0,red,rose\n4.0,white,tulip\n"
PLAY = "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind to suffer\n"


@pytest.fixture
def kedja(tmp_path, monkeypatch):
    """Run a line in a folder of the test's own; the exit code. A baseline is cut short."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pictures, "PIXELS_STEPS", 1)
    monkeypatch.setattr(view, "SHOWN", 60)
    (tmp_path / "play.txt").write_text(PLAY * 20)
    (tmp_path / "flowers.csv").write_text("petal,colour,kind\n" + FLOWERS * 20)

    def run(line: str) -> int:
        first, *arguments = shlex.split(line)
        assert first == "kedja"
        command = typer.main.get_command(app)
        try:
            return command.main(args=arguments, prog_name="kedja", standalone_mode=False) or 0
        except SystemExit as stop:
            return int(stop.code or 0)

    return run


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_under_a_commands_help_works(name, kedja, capsys):
    assert kedja(f"kedja {name} --help") == 0
    shown = re.findall(r"^ +(kedja .*)$", capsys.readouterr().out.split("Example")[-1], re.M)
    assert shown == list(COMMANDS[name].example)
    for line in shown:
        assert kedja(line) == 0, line
        assert capsys.readouterr().out.strip(), line


def test_an_example_that_fails_is_seen(kedja):
    assert kedja("kedja op no-such-op") == 2
