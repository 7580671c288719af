"""A side's process, and the conversation with it. Not here: what is asked. Next: `measure.py`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from benchmarks.cases import Case
from benchmarks.peers import ROOT, Side

ANSWER_SECONDS = 300.0  # a side that says nothing for so long hangs, and is ended


class SideError(Exception):
    """A side that failed; the text says why."""


class Place(NamedTuple):
    """A side and the interpreter that it runs in."""

    side: Side
    python: Path


@dataclass(frozen=True)
class Prepared:
    """A case that is written into a folder, for sides that run with so many threads."""

    case: Case
    folder: Path
    threads: int

    def specification(self, side: Side, first: str) -> Path:
        """The file that tells a side what to do; `first` is the mode of the first step."""
        path = self.folder / f"{side.name}-{first}.json"
        data = {
            "kind": self.case.kind,
            "options": dict(self.case.options),
            "arrays": str(self.folder / "arrays.npz"),
            "threads": self.threads,
            "variant": side.variant,
            "first": first,
        }
        path.write_text(json.dumps(data), encoding="utf-8")
        return path

    def environment(self, side: Side, first: str) -> dict[str, str]:
        """The same number of threads for every library; a cache that was empty at the start."""
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC")
        cache = str(self.folder / f"cache-{side.name}-{first}")
        own = {"KEDJA_THREADS": str(self.threads), "KEDJA_CACHE": cache}
        compilers = {"TORCHINDUCTOR_CACHE_DIR": cache}
        counts = dict.fromkeys(names, str(self.threads))
        return {**os.environ, **counts, **own, **compilers}


@contextmanager
def prepared(case: Case, threads: int) -> Iterator[Prepared]:
    """The case's arrays in a folder of their own, for the time of a block."""
    # Compilers' helpers may be writing still when their process has been ended.
    with TemporaryDirectory(prefix="kedja-benchmark-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        np.savez(folder / "arrays.npz", **case.arrays())  # type: ignore[arg-type]  # by names
        yield Prepared(case, folder, threads)


class Worker:
    """A side's process and the conversation with it."""

    def __init__(self, place: Place, case: Prepared, first: str, patience: float) -> None:
        self.side = place.side
        self._patience = patience
        specification = case.specification(self.side, first)
        self._process = subprocess.Popen(
            [str(place.python), "-m", "benchmarks.side", self.side.module, str(specification)],
            cwd=ROOT,
            env=case.environment(self.side, first),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the driver, which ends its sides itself
        )
        self.hello: dict[str, Any] = {}

    def greet(self) -> None:
        """Wait until the first step is done. Raises SideError."""
        self.hello = self._answer()

    @property
    def process(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def modes(self) -> list[str]:
        """The ways in which the side can run."""
        found: list[str] = self.hello["modes"]
        return found

    def ask(self, **command: Any) -> dict[str, Any]:
        """One command and its reply. Raises SideError."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise SideError(f"{self.side.name} has ended by itself") from None
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        alarm = threading.Timer(self._patience, self._process.kill)
        alarm.start()
        line = self._process.stdout.readline()
        in_time = alarm.is_alive()
        alarm.cancel()
        if not line:
            why = "ended without an answer" if in_time else f"took over {self._patience:g} s"
            raise SideError(f"{self.side.name} {why}")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise SideError(f"{self.side.name}: {reply['error']}")
        return reply

    def run(self, mode: str, steps: int) -> tuple[float, int]:
        """Seconds and steps."""
        reply = self.ask(do="run", mode=mode, steps=steps)
        return reply["seconds"], reply["steps"]

    def memory(self) -> int:
        """The most bytes that the process has held."""
        found: int = self.ask(do="memory")["peak_bytes"]
        return found

    def close(self) -> None:
        """End the process and those that it has started, whatever they are doing."""
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()


@contextmanager
def working(
    place: Place, case: Prepared, first: str = "", patience: float = ANSWER_SECONDS
) -> Iterator[Worker]:
    """A side's process for the time of a block; it has taken its first step. Raises SideError."""
    worker = Worker(place, case, first, patience)
    try:
        worker.greet()
        yield worker
    finally:
        worker.close()
