"""`terminal` runs a command and gives its exit code and what it printed."""

from __future__ import annotations

import pytest

from tests.cli.terminal import Terminal


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str]) -> Terminal:
    """The command line, in this process."""
    return Terminal(capsys)
