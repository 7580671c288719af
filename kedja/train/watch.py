"""Somebody who looks at every epoch of the trainings within a block, and may end them.

Not here: callbacks of one training (`Trainer`). Next: `trainer.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from kedja.train.history import Epoch

Watcher = Callable[[Epoch, Any], Any]
_WATCHERS: ContextVar[tuple[Watcher, ...]] = ContextVar("kedja_watchers", default=())


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Call `watcher(epoch, model)` after each epoch of every training within; True ends it."""
    token = _WATCHERS.set((*_WATCHERS.get(), watcher))
    try:
        yield
    finally:
        _WATCHERS.reset(token)


def watchers() -> tuple[Watcher, ...]:
    """Those who look on now."""
    return _WATCHERS.get()
