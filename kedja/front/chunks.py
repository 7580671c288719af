"""Large results lie in memory that is used again: fresh pages from the system are dear.

The system hands out pages when they are first written to, and clears each: writing 40 MB takes
1.5 ms, and 11 ms the first time. When the last array over a result is gone, its chunk of memory is
therefore kept for the next result of that size. How much is kept is bounded: what is in use and
what is kept are never more together than what was once in use together (and a little more), so that
keeping raises no peak; and `release` gives everything back before a program is compiled.
Not here: who lies where (`results.py`). Next: `blocks.py`.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable
from threading import RLock
from typing import Any

import numpy as np

Memory = tuple[np.ndarray, int]  # an array, and where in it the aligned part begins

WORTH_BYTES = 128 << 10  # smaller ones the C library keeps by itself
MOST_BYTES = 128 << 20  # that are kept
SLACK_BYTES = 16 << 20
ALIGN = 4096


class Chunks:
    """Chunks in use and kept; see the module's text. May be used from several threads."""

    def __init__(self) -> None:
        self.in_use = 0
        self.kept = 0
        self._most_in_use = 0
        self._free: dict[int, list[Memory]] = {}
        self._order: deque[int] = deque()  # the sizes of what is kept, the oldest first
        self._lock = RLock()  # a chunk may die while this very thread takes one

    def take(self, size: int) -> Memory:
        """Memory of so many bytes, with whatever stands in it."""
        with self._lock:
            self.in_use += size
            free = self._free.get(size)
            found = free.pop() if free else None
            if found is not None:
                self.kept -= size
                self._order.remove(size)
            self._most_in_use = max(self._most_in_use, self.in_use)
            self._shrink()
        return _fresh(size) if found is None else found

    def give_back(self, size: int, memory: Memory) -> None:
        """Nobody uses this memory any more."""
        with self._lock:
            self.in_use -= size
            self.kept += size
            self._free.setdefault(size, []).append(memory)
            self._order.append(size)
            self._shrink()

    def release(self) -> None:
        """Keep nothing."""
        with self._lock:
            self.kept = 0
            self._free.clear()
            self._order.clear()

    def _shrink(self) -> None:
        """Let go of the oldest, as long as too much is kept."""
        most = min(MOST_BYTES, self._most_in_use + SLACK_BYTES - self.in_use)
        while self.kept > most:
            size = self._order.popleft()
            self._free[size].pop(0)
            self.kept -= size


def _fresh(size: int) -> Memory:
    array = np.empty(size + ALIGN, np.uint8)
    return array, -array.ctypes.data % ALIGN


chunks = Chunks()
_kinds: dict[int, Any] = {}


def allocator(size: int) -> Callable[[], tuple[Any, int]]:
    """What makes blocks of so many bytes in chunks: an object that holds one, and its address."""
    kind = _kinds.get(size) or _kinds.setdefault(size, _kind(size))
    take, on, address = chunks.take, kind.from_buffer, ctypes.addressof

    def made() -> tuple[Any, int]:
        memory = take(size)
        held = on(*memory)
        held.memory = memory
        return held, address(held)

    return made


def _kind(size: int) -> Any:
    """The class of what holds a chunk of so many bytes: an array of ctypes', so that NumPy's arrays
    over it keep it alive."""
    give_back = chunks.give_back

    def gone(held: Any) -> None:
        give_back(size, held.memory)

    return type("Chunk", (ctypes.c_char * size,), {"__del__": gone})
