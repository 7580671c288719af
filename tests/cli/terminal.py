"""The command line as the tests call it: in this process, or as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from kedja.cli.main import main
from kedja.ground.errors import Interrupted
from kedja.ground.flags import scope
from kedja.train import Trainer
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


@contextmanager
def interrupted_runs() -> Iterator[None]:
    """Every training ends after its first epoch as if by Ctrl-C, its checkpoint written."""
    fit = Trainer.fit

    def stop(epoch: object, model: object) -> None:
        raise Interrupted("here", "run")

    def short(self: Trainer, *arguments: Any, **options: Any) -> Any:
        self._settings = replace(self._settings, callbacks=[*self._settings.callbacks, stop])
        return fit(self, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "fit", short)
        yield
