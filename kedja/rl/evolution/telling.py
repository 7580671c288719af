"""What a run of evolution shows of itself on stderr: one line that is rewritten, or plain lines.

Not here: the loop (`evolve.py`). Next: `poles.py`.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import Any

SECONDS = {True: 0.1, False: 5.0}  # between two lines, on a terminal and elsewhere


class Line:
    """Tells where a run stands; on a terminal the line is rewritten."""

    def __init__(self, on: bool) -> None:
        self._on = on and sys.stderr is not None
        self._terminal = self._on and sys.stderr.isatty()
        self._last = time.monotonic()
        self._open = False

    def show(self, row: Any, best: float, generations: int) -> None:
        """A generation has lived."""
        if self._on and time.monotonic() - self._last >= SECONDS[self._terminal]:
            self._last = time.monotonic()
            self._write(text(row, best, generations))

    def close(self) -> None:
        """The run is over."""
        if self._open:
            self._open = False
            with suppress(OSError, ValueError):
                print(file=sys.stderr, flush=True)

    def _write(self, line: str) -> None:
        with suppress(OSError, ValueError):  # a closed stderr does not end a run
            if self._terminal:
                print(f"\r{line:<78.78}", end="", file=sys.stderr, flush=True)
                self._open = True
            else:
                print(line, file=sys.stderr, flush=True)


def text(row: Any, best: float, generations: int) -> str:
    """A generation in one line.

    >>> from kedja.rl.evolution.evolve import Generation
    >>> text(Generation(12, 156, 431.0, 88.25), 500.0, 1000)
    'generation 12/1,000  156 evaluations  best 431 (500 so far)  mean 88.25'
    """
    return (
        f"generation {row.number:,}/{generations:,}  {row.evaluations:,} evaluations  "
        f"best {row.best:.4g} ({best:.4g} so far)  mean {row.mean:.4g}"
    )
