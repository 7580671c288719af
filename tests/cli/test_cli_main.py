"""The command line as a whole: help, version, errors, exit codes, pipes and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import typer

from kedja.cli import commands
from kedja.cli.guard import guarded
from kedja.ground.errors import DataError, Interrupted, UsageError
from kedja.version import __version__
from tests.cli.terminal import Terminal, process
from tests.fixtures import TIERS
from tests.paths import ROOT

LECTURE = ("explain", "1 + exp(w0 + w1*x)", "--at", "w0=-1,w1=0.5,x=2")


def test_the_version(terminal: Terminal) -> None:
    assert terminal("--version") == (0, f"kedja {__version__}\n", "")


def test_help_names_every_command_without_loading_one(terminal: Terminal) -> None:
    found = terminal("--help")
    assert found.code == 0
    for name, command in commands.COMMANDS.items():
        assert name in found.out and command.help in found.out


def test_version_and_help_load_no_numpy() -> None:
    code = (
        "import sys\n"
        "from kedja.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "sys.exit('numpy' in sys.modules or 'rich' in sys.modules)"
    )
    known = {**os.environ, "PYTHONPATH": str(ROOT)}
    for argument in ("--version", "--help"):
        ended = subprocess.run([sys.executable, "-c", code, argument], env=known, check=False)
        assert ended.returncode == 0


def test_an_unknown_command_is_a_usage_error(terminal: Terminal) -> None:
    found = terminal("explian")
    assert (found.code, found.out) == (2, "")
    assert "did you mean 'explain'?" in found.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--nonsense",),
        ("explain",),
        ("explain", "x", "--nonsense"),
        ("descend", "x^2"),
        ("descend", "x^2", "--start", "1", "--steps", "many"),
        ("descend", "x^2", "--start", "1", "--steps", "-5"),
        ("explain", "x", "y"),
    ],
)
def test_wrong_usage_exits_with_2(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    found = terminal(*arguments)
    assert (found.code, found.out) == (2, "")
    assert "Traceback" not in found.err


def test_results_go_to_standard_output_and_notes_to_standard_error(
    terminal: Terminal, tmp_path: os.PathLike[str]
) -> None:
    found = terminal(*LECTURE, "--json", "--svg", os.path.join(tmp_path, "graph.svg"))
    assert found.code == 0
    json.loads(found.out)
    assert found.err.startswith("wrote ")


def raising(error: BaseException) -> object:
    """A command that fails."""

    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UsageError("no such thing", fix="another"), 2, "error: no such thing\n  fix: another\n"),
        (DataError("bad row", where="a.csv:3"), 1, "error: a.csv:3: bad row\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (Interrupted("go on with --resume"), 130, "interrupted: go on with --resume\n"),
    ],
)
def test_errors_become_one_message_and_an_exit_code(
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    message: str,
) -> None:
    monkeypatch.setattr("kedja.cli.doctor.doctor", raising(error))
    assert terminal("doctor") == (code, "", message)


def test_a_warning_is_a_line_of_its_own(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the place in the code, and without the colours of another library."""

    def command() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("\x1b[33mWARN: old\x1b[0m", DeprecationWarning, stacklevel=2)

    monkeypatch.setattr("kedja.cli.doctor.doctor", command)
    assert terminal("doctor") == (0, "", "warning: old\n")


def test_debugging_shows_the_traceback(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kedja.ground.flags._process", None)
    found = process("explain", "x", KEDJA_DEBUG="1")
    assert found.code == 2
    assert "error: no value for x" in found.err and "Traceback" in found.err


def test_wrong_flags_are_a_usage_error() -> None:
    found = process("descend", "x^2", "--start", "1", KEDJA_TIER="fast")
    assert found.code == 2
    assert "error: tier is 'fast'" in found.err and "Traceback" not in found.err


def test_python_m_kedja_is_the_command() -> None:
    found = process(*LECTURE)
    assert found.code == 0
    assert "multiply swaps" in found.out
    assert "\x1b" not in found.out


def test_a_file_that_the_system_refuses_is_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    @guarded
    def command() -> None:
        Path("nowhere/at/all").read_text()

    with pytest.raises(typer.Exit) as ended:
        command()
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err.startswith("error: nowhere/at/all: No such file or directory")


def test_the_reader_of_a_pipe_may_leave() -> None:
    known = {**os.environ, "PYTHONPATH": str(ROOT), "KEDJA_TIER": "interpret"}
    line = f"{sys.executable} -m kedja op | head -1"
    ended = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, env=known, check=False
    )
    assert ended.stderr == ""
    assert ended.stdout.startswith("op ")


def test_a_closed_pipe_ends_quietly() -> None:
    known = {**os.environ, "PYTHONPATH": str(ROOT), "KEDJA_TIER": "interpret"}
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-m", "kedja", "op"],
        stdout=writing,
        stderr=subprocess.PIPE,
        env=known,
        check=False,
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, b"")


DESCENT = """\
import sys
from kedja.cli import descent, main

advance = descent._advance

def told(loop, count):
    descent._advance = advance
    print("running", file=sys.stderr, flush=True)
    return advance(loop, count)

descent._advance = told
main.main(["descend", "x^2 + y^2", "--start", "1,1", "--steps", "10000000"])
"""


@pytest.mark.parametrize("tier", TIERS)
def test_ctrl_c_ends_a_long_descent_with_130(tier: str) -> None:
    known = {**os.environ, "PYTHONPATH": str(ROOT), "KEDJA_TIER": tier}
    running = subprocess.Popen(
        [sys.executable, "-c", DESCENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=known,
    )
    assert running.stderr is not None
    assert running.stderr.readline() == "running\n"
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (130, "")
    assert err.startswith("interrupted") and err.count("\n") == 1


def test_an_argument_may_begin_with_a_minus(terminal: Terminal) -> None:
    assert "f = -(x * x)" in terminal("explain", "-x^2", "--at", "x=3").out
    assert "f = -(x * x)" in terminal("explain", "--at", "x=3", "-x^2").out
    assert "f = -(x * x)" in terminal("explain", "--at", "x=3", "--", "-x^2").out
    assert terminal("explain", "-h").code == 0
    found = terminal("descend", "-x", "--start", "-2", "--box", "-3:3", "--steps", "1")
    assert found.code == 0 and "x = -1.9" in found.out
