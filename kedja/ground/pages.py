"""Memory that will be written to soon: another thread asks the system for its pages already.

The system hands out a page when it is first written to, and clears it: some 0.1 ms for a megabyte
in large pages, and 1.7 where a virtual machine must first ask its host for them (it gives back what
nobody uses). While a program is traced and compiled there is a core to spare for that.
Not here: memory that is used again (`front/chunks.py`). Next: `kedja/front/chunks.py`.
"""

from __future__ import annotations

import threading

import numpy as np

WORTH = 4 << 20  # bytes: less is not worth a thread
PIECE = 16 << 20  # bytes between two looks whether the memory is wanted now
PAGE = 4096  # the smallest that systems have


class Pages:
    """Zeroed bytes. Of these, the first `ahead` (all, unless told) are asked for by a thread."""

    def __init__(self, nbytes: int, ahead: int | None = None) -> None:
        self.memory = np.zeros(nbytes, np.uint8)
        self._ahead = nbytes if ahead is None else min(ahead, nbytes)
        self._is_wanted = False
        self._thread: threading.Thread | None = None
        if self._ahead >= WORTH:
            self._thread = threading.Thread(target=self._touch, name="kedja pages", daemon=True)
            self._thread.start()

    def settled(self) -> np.ndarray:
        """The bytes, which may be written to from now on: the thread asks for no more of them."""
        self._is_wanted = True
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        return self.memory

    def _touch(self) -> None:
        """Write a zero into each page; NumPy does not hold Python's lock meanwhile."""
        for start in range(0, self._ahead, PIECE):
            if self._is_wanted:
                return
            self.memory[start : min(start + PIECE, self._ahead) : PAGE] = 0
