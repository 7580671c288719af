"""The command line as the tests call it: in this process, or as a process of its own.

Trainings that several tests of a file begin with are done once: `Kept`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
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

    def __call__(self, *arguments: object, tier: str = "interpret") -> Result:
        self._capture.readouterr()
        with scope(tier=tier), pytest.raises(SystemExit) as ended:
            main([str(each) for each in arguments])
        out, err = self._capture.readouterr()
        assert "Traceback" not in err
        return Result(int(ended.value.code or 0), out, err)

    def json(self, *arguments: object, tier: str = "interpret") -> Any:
        """What a command that succeeds prints with `--json`."""
        found = self(*arguments, "--json", tier=tier)
        assert found.code == 0, found.err
        return json.loads(found.out)


class Kept:
    """Runs that several tests of a file look at: each is trained once, then its files are copied.

    Runs are told apart by their options, so their data must be the same in all tests of the file.
    """

    def __init__(self) -> None:
        self._runs: dict[tuple[str, ...], tuple[str, dict[Path, bytes]]] = {}

    def __call__(self, kedja: Terminal, *arguments: object, out: str = "run") -> Any:
        """The results of `kedja train` with these arguments; its folder is `out`."""
        asked = (*map(str, arguments), "--out", out)
        if asked not in self._runs:
            results = kedja.json("train", *asked)
            files = (each for each in Path(out).rglob("*") if each.is_file())
            self._runs[asked] = json.dumps(results), {each: each.read_bytes() for each in files}
        results, content = self._runs[asked]
        for file, data in content.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        return json.loads(results)


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
