"""The command line as the tests call it: in this process, or as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NamedTuple

import pytest

from kedja.cli.main import main
from kedja.ground.flags import scope
from tests.paths import ROOT


class Result(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


class Terminal:
    """Runs commands in this process, in the interpreter unless another tier is named."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *arguments: str, tier: str = "interpret") -> Result:
        self._capture.readouterr()
        with scope(tier=tier), pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = self._capture.readouterr()
        return Result(int(ended.value.code or 0), out, err)


def process(*arguments: str, **environment: str) -> Result:
    """`python -m kedja` with these arguments."""
    known = {**os.environ, "PYTHONPATH": str(ROOT), "KEDJA_TIER": "interpret", **environment}
    ended = subprocess.run(
        [sys.executable, "-m", "kedja", *arguments],
        capture_output=True,
        text=True,
        env=known,
        timeout=120,
        check=False,
    )
    return Result(ended.returncode, ended.stdout, ended.stderr)
