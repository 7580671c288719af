"""The machine and the software that figures were taken with. Next: `measure.py`."""

from __future__ import annotations

import os
import platform
import re
import time
from pathlib import Path
from typing import Any

import numpy as np

from kedja.compiler.runtime_target import current_target
from kedja.compiler.runtime_threads import usable_cores
from kedja.version import __version__

DISTURBED = 0.15  # cores that other work used on average, above which a figure counts for nothing
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
NOT_BUSY = (3, 4)  # the columns of /proc/stat that are no work: idle, and idle waiting for a disk
GUEST = 8  # the columns from here on are counted in the first ones already


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


class Others:
    """How many cores everything but one process has used since this object was made.

    Other programs on the machine make a figure worthless, often to kedja's credit: libraries whose
    threads wait for each other by spinning suffer most. None where the system does not tell.
    """

    def __init__(self, process: int) -> None:
        self._process = process
        self._start = time.perf_counter()
        self._before = self._foreign()

    def cores(self) -> float | None:
        """On average. The system counts in ticks, so a short time gives a rough figure."""
        now = self._foreign()
        if self._before is None or now is None:
            return None
        return max(0.0, now - self._before) / (time.perf_counter() - self._start)

    def _foreign(self) -> float | None:
        """Seconds of work on all cores that were not the process's."""
        try:
            whole = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
            own = Path(f"/proc/{self._process}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        columns = enumerate(map(int, whole[:GUEST]))
        busy = sum(ticks for place, ticks in columns if place not in NOT_BUSY)
        user, system = own.rsplit(")", 1)[1].split()[11:13]
        return (busy - int(user) - int(system)) / TICKS
