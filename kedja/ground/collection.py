"""Python's cyclic garbage collector, held still while a graph is made and compiled.

Many objects are made there, none of them garbage in cycles; looking through all of them again and
again took a fifth of the time. Not here: memory of programs (`compiler/memory.py`).
Next: `report.py`.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0  # how many threads are inside, or how deep one is
_was_enabled = False


@contextmanager
def paused() -> Iterator[None]:
    """No collection inside; the outermost exit puts things back as they were."""
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _inside, _was_enabled
    with _lock:
        if _inside == 0:
            _was_enabled = gc.isenabled()
            gc.disable()
        _inside += 1


def _leave() -> None:
    global _inside
    with _lock:
        _inside -= 1
        if _inside == 0 and _was_enabled:
            gc.enable()
