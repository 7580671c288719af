"""What surrounds a function while it is traced: which traces are running, and in which mode.

Not here: tracing itself (`jit.py`, `control.py`), and what uses this: the state of modules
(`kedja/nn/state.py`). Next: `jit.py`.

A value made inside a trace (of jit, vmap, scan …) means nothing outside it. What is kept beside the
graph, as the new statistics of a batch norm, remembers the traces inside which it was begun, and
can so tell when it would take a value out of one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Trace(NamedTuple):
    """One running trace. It is `open` where values from outside may be used as if inside."""

    token: object
    open: bool


Traces = tuple[Trace, ...]

_traces: ContextVar[Traces] = ContextVar("kedja_traces", default=())
_mode: ContextVar[Hashable] = ContextVar("kedja_mode", default=None)


@contextmanager
def tracing(*, open: bool = False) -> Iterator[None]:
    """Inside, a function is being traced.

    `open` is for bodies that run once where they stand, as those of `checkpoint`: a random key
    from outside is then as good as one from inside, while a loop would use it in each step.
    """
    token = _traces.set((*_traces.get(), Trace(object(), open)))
    try:
        yield
    finally:
        _traces.reset(token)


def traces() -> Traces:
    """The running traces, the outermost first."""
    return _traces.get()


def within(start: Traces, *, through_open: bool = False) -> bool:
    """Whether no trace has begun or ended since `start` (but for open ones, if that is said)."""
    now = _traces.get()
    same = now[: len(start)] == start
    between = now[len(start) :]
    return same and (not between or (through_open and all(each.open for each in between)))


@contextmanager
def mode(value: Hashable) -> Iterator[None]:
    """Inside, functions may compute something else than outside; `jit` traces them anew."""
    token = _mode.set(value)
    try:
        yield
    finally:
        _mode.reset(token)


def current_mode() -> Hashable:
    """What `mode` was last given."""
    return _mode.get()
