"""What holds for every test: graphs are verified after each pass, the cache is a fresh folder, no
example has a time limit.

`golden` compares a text with a file; `pytest --update-golden` writes the files anew. `terminal`
runs a command of the command line and gives its exit code and what it printed.
Next: `fixtures.py`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.cli.terminal import Terminal

os.environ.setdefault("KEDJA_VERIFY", "1")
os.environ["KEDJA_CACHE"] = tempfile.mkdtemp(prefix="kedja-tests-")  # nothing outside is touched

settings.register_profile("kedja", deadline=None)  # the machine may be busy with other work
settings.load_profile("kedja")

GOLDEN = Path(__file__).parent / "golden"


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
