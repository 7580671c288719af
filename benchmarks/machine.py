"""The machine and the software that figures were taken with. Next: `measure.py`."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kedja.compiler.runtime_target import current_target
from kedja.compiler.runtime_threads import usable_cores
from kedja.version import __version__

DISTURBED = 0.15  # cores that other work used on average, above which a figure counts for nothing
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
UNSURE = 4 / TICKS  # seconds: what is read of several cores' work is wrong by some ticks
NOT_BUSY = (3, 4)  # the columns of /proc/stat that are no work: idle, and idle waiting for a disk
GUEST = 8  # the columns from here on are counted in the first ones already

LOOK_SECONDS = 0.03  # some ticks of the clock by which a process's work is counted
MOST_LOOKS = 30


def describe() -> dict[str, Any]:
    """What a reader needs to judge a figure by; nothing that names a person or a place."""
    target = current_target()
    return {
        "cpu": processor(),
        "cores": usable_cores(),
        "vector_bits": target.vector_bits,
        "l2_bytes": target.l2,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "kedja": __version__,
    }


def processor() -> str:
    """The name that the processor gives itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def slug() -> str:
    """The machine in a few letters, for a file's name."""
    words = re.sub(r"[^a-z0-9]+", "-", processor().lower()).strip("-")
    return f"{words}-{usable_cores()}-cores"


# --------------------------------------------------------------------------- who else works


class Share(NamedTuple):
    """Seconds of work within seconds of time."""

    work: float
    time: float


def cores(shares: Sequence[Share]) -> float:
    """How many cores were used on average, by what the clock's ticks can tell at least."""
    work, passed = (sum(column) for column in zip(*shares, strict=True)) if shares else (0, 1)
    return max(0.0, work - UNSURE) / passed


class Others:
    """What everything but one process has worked since this object was made.

    Other programs on the machine make a figure worthless, often to kedja's credit: libraries whose
    threads wait for each other by spinning suffer most. None where the system does not tell.
    """

    def __init__(self, process: int) -> None:
        self._process = process
        self._start = time.perf_counter()
        self._before = self._foreign()

    def passed(self) -> Share | None:
        """The seconds of others' work, on all cores, and of time since then."""
        now = self._foreign()
        if self._before is None or now is None:
            return None
        return Share(now - self._before, time.perf_counter() - self._start)

    def _foreign(self) -> float | None:
        """Seconds of work on all cores that were not the process's."""
        own = ticks_of(self._process)
        if own is None:
            return None
        columns = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
        busy = (int(t) for place, t in enumerate(columns[:GUEST]) if place not in NOT_BUSY)
        return (sum(busy) - own) / TICKS


def ticks_of(process: int) -> int | None:
    """How many clock ticks a process has worked so far; None where the system does not tell."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    user, system = text.rsplit(")", 1)[1].split()[11:13]
    return int(user) + int(system)


def settle(processes: Sequence[int]) -> None:
    """Wait until processes that have nothing to do stop working: their threads spin for a while."""
    for _ in range(MOST_LOOKS):
        before = [ticks_of(each) for each in processes]
        time.sleep(LOOK_SECONDS)
        if before == [ticks_of(each) for each in processes]:
            return
