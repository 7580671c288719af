"""How time is taken: sides in processes of their own, compared first, then timed in turns.

Not here: what a side computes (`side.py` and after it), how results are shown (`report.py`).
Next: `report.py`.

For each case every side builds the same thing from the same arrays. kedja is started twice: with
an empty cache, then with what the first start left there. The losses of the first steps must
agree. Then, in rounds, each side in turn runs for a fixed time while the others sleep (libraries
let their threads spin for a while: that is waited for). What is reported are medians with
quartiles over the rounds, and whether other programs took part of the machine meanwhile.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.cases import COMPARED, Case
from benchmarks.machine import Others, Share, cores, settle
from benchmarks.peers import ROOT, Side

ANSWER_SECONDS = 180.0  # a side that says nothing for so long hangs, and is ended
FEWEST_SHARE = 0.25  # a first look at the speed lasts this share of a sample

Python = Mapping[str, Path]
Note = Callable[[str], None]


class SideError(Exception):
    """A side that failed; the text says why."""


@dataclass(frozen=True)
class Settings:
    """How long and how often is measured."""

    rounds: int
    seconds: float  # of one sample
    threads: int


@dataclass
class Mode:
    """Seconds per step of one side in one way of running: one number per round.

    `others` is what other programs worked meanwhile; empty where that is not known.
    """

    samples: list[float] = field(default_factory=list)
    others: list[Share] = field(default_factory=list)

    @property
    def disturbance(self) -> float:
        """How many cores other work used, on average over the rounds."""
        return cores(self.others)

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.samples)

    @property
    def quartiles(self) -> tuple[float, float]:
        """What a quarter, and three quarters, of the samples do not exceed."""
        low, high = np.percentile(self.samples, [25, 75])
        return float(low), float(high)


@dataclass
class Measured:
    """One side of one case. `first_seconds` is until the first step is done, after the import."""

    name: str
    version: str = ""
    import_seconds: float = 0.0
    first_seconds: float = 0.0
    cached_seconds: float | None = None
    peak_bytes: int = 0
    modes: dict[str, Mode] = field(default_factory=dict)


@dataclass
class Result:
    """One case: all sides, or the error that ended it."""

    case: Case
    sides: list[Measured] = field(default_factory=list)
    difference: float = 0.0  # the largest of losses, as a share of the largest loss
    error: str = ""


# ------------------------------------------------------------------------------ one process


class Worker:
    """A side's process and the conversation with it."""

    def __init__(self, side: Side, python: Path, spec: Path, threads: int) -> None:
        self.side = side
        self._process = subprocess.Popen(
            [str(python), "-m", "benchmarks.side", side.module, str(spec)],
            cwd=ROOT,
            env=environment(spec.parent, threads),
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
        alarm = threading.Timer(ANSWER_SECONDS, self._process.kill)
        alarm.start()
        line = self._process.stdout.readline()
        alarm.cancel()
        if not line:
            raise SideError(f"{self.side.name} ended without an answer (its words are above)")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise SideError(f"{self.side.name}: {reply['error']}")
        return reply

    def run(self, mode: str, steps: int) -> tuple[float, int]:
        """Seconds and steps."""
        reply = self.ask(do="run", mode=mode, steps=steps)
        return reply["seconds"], reply["steps"]

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()


def environment(folder: Path, threads: int) -> dict[str, str]:
    """The same number of threads for every library, and a cache that was empty at the start."""
    names = ("OMP", "MKL", "OPENBLAS")
    counts = {f"{name}_NUM_THREADS": str(threads) for name in names}
    own = {"KEDJA_THREADS": str(threads), "KEDJA_CACHE": str(folder / "cache")}
    return {**os.environ, **counts, **own}


@contextmanager
def prepared(case: Case, threads: int) -> Iterator[Callable[[Side], Path]]:
    """Writes the case into a folder; gives each side's specification in it."""
    with TemporaryDirectory(prefix="kedja-benchmark-") as name:
        folder = Path(name)
        arrays = folder / "arrays.npz"
        np.savez(arrays, **case.arrays())  # type: ignore[arg-type]  # names to arrays

        def spec(side: Side) -> Path:
            path = folder / f"{side.name}.json"
            data = {
                "kind": case.kind,
                "options": dict(case.options),
                "arrays": str(arrays),
                "threads": threads,
                "variant": side.variant,
            }
            path.write_text(json.dumps(data), encoding="utf-8")
            return path

        yield spec


@contextmanager
def working(side: Side, python: Path, spec: Path, threads: int) -> Iterator[Worker]:
    """A side's process for the time of a block."""
    worker = Worker(side, python, spec, threads)
    try:
        worker.greet()
        yield worker
    finally:
        worker.close()


# --------------------------------------------------------------------------------- one case


def measure(
    case: Case, sides: Sequence[tuple[Side, Path]], settings: Settings, note: Note
) -> Result:
    """All of a case; a side that fails, or losses that differ, end it with an error."""
    result = Result(case)
    try:
        with prepared(case, settings.threads) as spec, ExitStack() as stack:
            workers = []
            for side, python in sides:
                note(f"{side.name} starts")
                result.sides.append(Measured(side.name))
                start = _Start(side, python, spec(side), settings.threads)
                workers.append(start.into(stack, result.sides[-1]))
            note(f"{COMPARED} losses are compared")
            result.difference = agreement(workers, case.tolerance)
            _rounds(workers, result.sides, settings, note)
            for worker, found in zip(workers, result.sides, strict=True):
                memory = worker.ask(do="memory")["peak_bytes"]
                found.peak_bytes = max(found.peak_bytes, memory)
    except SideError as problem:
        result.error = str(problem)
    return result


@dataclass(frozen=True)
class _Start:
    """How a side's process is started."""

    side: Side
    python: Path
    spec: Path
    threads: int

    def into(self, stack: ExitStack, found: Measured) -> Worker:
        """Start the side, cold first if it keeps a cache; what that took goes into `found`."""
        arguments = (self.side, self.python, self.spec, self.threads)
        if self.side.has_cache:
            with working(*arguments) as cold:
                _greet(found, cold.hello)
                found.peak_bytes = cold.ask(do="memory")["peak_bytes"]
        worker = stack.enter_context(working(*arguments))
        if self.side.has_cache:
            found.cached_seconds = worker.hello["first_seconds"]
        else:
            _greet(found, worker.hello)
        return worker


def _greet(found: Measured, hello: Mapping[str, Any]) -> None:
    found.version = hello["version"]
    found.import_seconds = hello["import_seconds"]
    found.first_seconds = hello["first_seconds"]


def agreement(workers: Sequence[Worker], tolerance: float) -> float:
    """The largest difference of two sides' losses, as a share of the largest loss.

    Raises SideError where it is above the tolerance, or where a loss is not finite.
    """
    runs = [
        (f"{worker.side.name} ({mode})", worker.ask(do="losses", mode=mode, steps=COMPARED))
        for worker in workers
        for mode in worker.modes
    ]
    name, first = runs[0][0], np.array(runs[0][1]["losses"])
    largest = 0.0
    for other, reply in runs:
        losses = np.array(reply["losses"])
        difference = float(np.abs(losses - first).max() / max(float(np.abs(first).max()), 1e-30))
        if not difference <= tolerance:  # NaN does not pass either
            step = int(np.argmax(np.abs(losses - first)))
            raise SideError(
                f"{other} disagrees with {name}: {losses[step]:.8g} against {first[step]:.8g} "
                f"in step {step + 1}, {difference:.2g} of the largest; allowed is {tolerance:g}"
            )
        largest = max(largest, difference)
    return largest


def _rounds(
    workers: Sequence[Worker], sides: Sequence[Measured], settings: Settings, note: Note
) -> None:
    """The sides in turns; each sample lasts about as long as any other."""
    note("speeds are estimated")
    pairs = list(zip(workers, sides, strict=True))
    turns = [(w, side, mode, _steps(w, mode, settings)) for w, side in pairs for mode in w.modes]
    for number in range(settings.rounds):
        note(f"round {number + 1} of {settings.rounds}")
        for worker, side, mode, steps in turns:
            settle([each.process for each in workers])
            others = Others(worker.process)
            seconds, done = worker.run(mode, steps)
            found = side.modes.setdefault(mode, Mode())
            found.samples.append(seconds / done)
            if (share := others.passed()) is not None:
                found.others.append(share)


def _steps(worker: Worker, mode: str, settings: Settings) -> int:
    """How many steps last as long as a sample should."""
    steps = 1
    while True:
        seconds, done = worker.run(mode, steps)
        if seconds >= settings.seconds * FEWEST_SHARE:
            return max(1, round(done * settings.seconds / seconds))
        guess = done * settings.seconds * FEWEST_SHARE / max(seconds, 1e-9)
        steps = max(2 * done, min(100 * done, int(1.2 * guess)))


# ------------------------------------------------------------------------------- the limits


def best_rate(case: Case, side: Side, python: Path, settings: Settings) -> float:
    """The most operations per second that a side reaches in a case: a limit, so the best counts."""
    with (
        prepared(case, settings.threads) as spec,
        working(side, python, spec(side), settings.threads) as worker,
    ):
        mode = worker.modes[-1]
        steps = _steps(worker, mode, settings)
        runs = [worker.run(mode, steps) for _ in range(settings.rounds)]
        flops: int = case.flops or worker.hello["flops"]
        return flops * max(done / seconds for seconds, done in runs)


def profile(case: Case, side: Side, python: Path, settings: Settings) -> list[dict[str, Any]]:
    """What each part of a step of a case costs."""
    with (
        prepared(case, settings.threads) as spec,
        working(side, python, spec(side), settings.threads) as worker,
    ):
        steps = _steps(worker, worker.modes[-1], settings)
        launches: list[dict[str, Any]] = worker.ask(do="profile", steps=steps)["launches"]
        return launches
