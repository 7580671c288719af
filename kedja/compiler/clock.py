"""The seconds that each pass took, for `KEDJA_DEBUG=1`.

A compilation is `measured`, its passes are `timed` inside; what takes no part in a compilation
costs nothing. Not here: the time of running programs (`runtime_recording.py`).
Next: `pipeline.py`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Seconds = dict[str, float]

_running: ContextVar[Seconds | None] = ContextVar("kedja_clock", default=None)


@contextmanager
def measured() -> Iterator[Seconds]:
    """The seconds of the passes that run inside, by name, in the order in which they ran."""
    seconds: Seconds = {}
    token = _running.set(seconds)
    try:
        yield seconds
    finally:
        _running.reset(token)


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Count the time inside as that of a pass; passes do not nest."""
    seconds = _running.get()
    if seconds is None:
        yield
        return
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - start


def table(seconds: Seconds) -> str:
    """One line: every pass with its milliseconds."""
    return " · ".join(f"{name} {1e3 * each:.1f}" for name, each in seconds.items()) + " ms"
