"""The machine and the software that figures were taken with. Next: `measure.py`."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

import numpy as np

from kedja.compiler.runtime_target import current_target
from kedja.compiler.runtime_threads import usable_cores
from kedja.version import __version__

BUSY = 0.5  # waiting processes per core, above which figures are noisy


def describe() -> dict[str, Any]:
    """What a reader needs to judge a figure by; nothing that names a person or a place."""
    target, waiting = current_target(), load()
    return {
        "cpu": processor(),
        "cores": usable_cores(),
        "vector_bits": target.vector_bits,
        "l2_bytes": target.l2,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "kedja": __version__,
        "load": waiting,
        "was_busy": waiting is not None and waiting > BUSY * usable_cores(),
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


def load() -> float | None:
    """How many processes wanted a core in the last minute; None where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None
