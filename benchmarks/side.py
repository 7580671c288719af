"""One side of a case, in a process of its own: it is built, then obeys the driver line by line.

Not here: the cases' mathematics (`kedja_side`, `torch_side`, `jax_side`, `sklearn_side.py`), the
driver (`measure.py`). Next: `kedja_side`.

    python -m benchmarks.side MODULE SPEC.json

The specification names the case's kind, its options, the `.npz` of its arrays, the side's variant
and the number of threads. Commands come on standard input and replies go to standard output, one
JSON object a line; whatever a library prints goes to standard error. The first line says how long
the library's import and then the first finished step took. Nothing but NumPy is needed here, so
that a peer's environment need not hold kedja.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from benchmarks.cases import Arrays


class Timed(NamedTuple):
    """So many steps took so many seconds."""

    seconds: float
    steps: int


class Runner(ABC):
    """A case made ready by one side.

    `modes` are the ways in which it can run: "loop" is many steps inside one call of the library,
    "step" is a call for each step, as a user would write it. `starts_apart` says that a person
    who runs in the one way never pays for the start of the other.
    """

    modes: tuple[str, ...] = ("step",)
    starts_apart: ClassVar[bool] = False
    version: str = ""

    @abstractmethod
    def losses(self, mode: str, steps: int) -> list[float]:
        """What a person would watch in each of the first steps, from the case's own start."""

    @abstractmethod
    def run(self, mode: str, steps: int) -> Timed:
        """Run that many steps or, where the library works in larger pieces, a few more."""

    def first(self, mode: str) -> None:
        """The first step of a person who has just started the library; its result is there."""
        self.run(mode, 1)

    def work(self) -> dict[str, int]:
        """What one step of each mode does, where the case itself cannot know it."""
        return {}

    def profile(self, steps: int) -> list[dict[str, Any]]:
        """What the parts of a step cost; nothing where the library does not say."""
        return []


class Spec(NamedTuple):
    """What a side is told."""

    kind: str
    options: Mapping[str, Any]
    arrays: Arrays
    threads: int
    variant: str
    first: str = ""  # the mode of the first step; the first mode unless it is named


def read_spec(path: Path) -> Spec:
    """The specification that the driver wrote."""
    data = json.loads(path.read_text(encoding="utf-8"))
    with np.load(data["arrays"]) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return Spec(**(data | {"arrays": arrays}))


def spread(values: Any, count: int) -> list[float]:
    """`count` numbers from all over an array: what products are compared by."""
    flat = np.asarray(values).reshape(-1)
    places = np.linspace(0, flat.size - 1, count).astype(int)
    return [float(flat[place]) for place in places]


def peak_bytes() -> int:
    """The most memory that this process has held so far.

    On Linux not `ru_maxrss`, into which a new process inherits the size of the one before it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        found = next((line.split()[1] for line in lines if line.startswith("VmHWM")), "0")
        return int(found) * 1024
    if importlib.util.find_spec("resource") is None:
        return 0  # Windows
    resource = importlib.import_module("resource")
    size: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024


# ---------------------------------------------------------------------------------- serving


def begin(module: str, spec: Spec) -> tuple[Runner, dict[str, Any]]:
    """Import the library, build the case, take one step; and what that cost."""
    start = time.perf_counter()
    side = importlib.import_module(module)
    imported = time.perf_counter()
    runner: Runner = side.runner(spec)
    runner.first(spec.first or runner.modes[0])
    done = time.perf_counter()
    hello = {
        "version": runner.version,
        "modes": runner.modes,
        "starts_apart": runner.starts_apart,
        "work": runner.work(),
        "import_seconds": imported - start,
        "first_seconds": done - imported,
    }
    return runner, hello


def obey(runner: Runner, command: Mapping[str, Any]) -> dict[str, Any]:
    """The reply to one command."""
    match command["do"]:
        case "losses":
            return {"losses": runner.losses(command["mode"], command["steps"])}
        case "run":
            return runner.run(command["mode"], command["steps"])._asdict()
        case "profile":
            return {"launches": runner.profile(command["steps"])}
        case "memory":
            return {"peak_bytes": peak_bytes()}
    return {"error": f"unknown command {command['do']!r}"}


def serve(module: str, path: Path) -> int:
    """Obey until standard input ends. Errors travel in the reply, in one line, and end the side."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a library that prints must not talk into the replies

    def say(reply: Mapping[str, Any]) -> None:
        replies.write(json.dumps(reply) + "\n")
        replies.flush()

    try:
        runner, hello = begin(module, read_spec(path))
        say(hello)
        for line in sys.stdin:
            say(obey(runner, json.loads(line)))
    except Exception as problem:  # the driver says so, and goes on with the next case
        traceback.print_exc()
        say({"error": f"{type(problem).__name__}: {problem}".splitlines()[0]})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1], Path(sys.argv[2])))
