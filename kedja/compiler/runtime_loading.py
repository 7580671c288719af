"""The driver of compiled programs, loaded in a thread beside the passes of the first program.

Not here: what it is made of (`runtime_native.py`). Next: `runtime.py`.
"""

from __future__ import annotations

import threading
from contextvars import copy_context
from functools import lru_cache

from kedja.compiler.runtime_native import Native, native

_lock = threading.Lock()


def loaded() -> Native:
    """The driver; who needs it while it is being loaded waits for the rest."""
    with _lock:
        return native()


@lru_cache(maxsize=1)
def prepare() -> None:
    """Begin to load it."""
    inside = copy_context()  # the flags that hold here
    threading.Thread(target=lambda: inside.run(loaded), name="kedja load", daemon=True).start()
