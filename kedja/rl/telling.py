"""What a run shows of itself on stderr: one line that is rewritten, or plain lines.

Not here: what the lines say (`learning.py`, `evolution/telling.py`). Next: `learning.py`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress

SECONDS = {True: 0.1, False: 5.0}  # between two lines, on a terminal and elsewhere


class Line:
    """Tells where a run stands; on a terminal the line is rewritten."""

    def __init__(self, on: bool) -> None:
        self._on = on and sys.stderr is not None
        self._terminal = self._on and sys.stderr.isatty()
        self._last = time.monotonic()
        self._open = False

    def show(self, text: Callable[[], str]) -> None:
        """Something was done; the text is made when it is shown."""
        if self._on and time.monotonic() - self._last >= SECONDS[self._terminal]:
            self._last = time.monotonic()
            self._write(text())

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
