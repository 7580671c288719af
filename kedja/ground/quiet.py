"""Warnings of other packages, kept silent while threads are at work.

Not here: errors (`errors.py`). Next: `suggest.py`.

`warnings.catch_warnings` puts back what it found, which another thread may have changed meanwhile:
two that overlap can leave all warnings of the process switched off. Here the first who comes in
switches them off and the last who goes out puts them back.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_inside = 0
_found = warnings.catch_warnings()


@contextmanager
def quiet() -> Iterator[None]:
    """No warning is shown inside; what was shown before is shown again after."""
    global _inside, _found
    with _lock:
        _inside += 1
        if _inside == 1:
            _found = warnings.catch_warnings()
            _found.__enter__()
            warnings.simplefilter("ignore")
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _found.__exit__(None, None, None)
