"""What holds for every test: graphs are verified after each pass, the cache is a fresh folder,
Ctrl-C interrupts, and what is drawn by chance (`chance.py`) is the same in every run.

Properties are tried on the same examples in every run; `--hypothesis-profile=search` tries others,
ten times as many where a test does not say how many.

`golden` compares a text with a file; `pytest --update-golden` writes the files anew. `terminal`
runs a command of the command line and gives its exit code and what it printed.
Next: `fixtures.py`.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import chance
from tests.cli.terminal import Terminal

os.environ.setdefault("KEDJA_VERIFY", "1")
os.environ["COLUMNS"] = "80"  # a help is as wide as the terminal
os.environ["KEDJA_CACHE"] = tempfile.mkdtemp(prefix="kedja-tests-")  # nothing outside is touched
atexit.register(shutil.rmtree, os.environ["KEDJA_CACHE"], ignore_errors=True)

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as in what a shell starts with `&`
    signal.signal(signal.SIGINT, signal.default_int_handler)

BUSY = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}  # the machine may be
settings.register_profile("kedja", derandomize=True, **BUSY)
settings.register_profile("search", derandomize=False, max_examples=1000, **BUSY)
settings.load_profile("kedja")

GOLDEN = Path(__file__).parent / "golden"


def pytest_configure(config: pytest.Config) -> None:
    """Examples in the documentation are no tests of this folder, so a hook here misses them."""
    config.pluginmanager.register(chance)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The one switch that updates the golden texts."""
    parser.addoption("--update-golden", action="store_true", help="write the golden texts anew")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(name, text)`: the text is that of tests/golden/NAME.txt."""

    def compare(name: str, text: str) -> None:
        file = GOLDEN / f"{name}.txt"
        if request.config.getoption("--update-golden"):
            file.write_text(text, encoding="utf-8")
        assert file.exists(), f"there is no {file.name}: run pytest --update-golden"
        assert text == file.read_text(encoding="utf-8")

    return compare


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str]) -> Terminal:
    """The command line, in this process."""
    return Terminal(capsys)
