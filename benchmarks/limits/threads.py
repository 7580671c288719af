"""Several threads that do the same thing at the same time. Next: `peak.py`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def together(threads: int, work: Callable[[int], object]) -> float:
    """The seconds from when all threads start `work(thread)` until the last one has ended."""
    barrier = threading.Barrier(threads + 1)

    def one(number: int) -> None:
        barrier.wait()
        work(number)

    workers = [threading.Thread(target=one, args=(number,)) for number in range(threads)]
    for each in workers:
        each.start()
    barrier.wait()
    start = time.perf_counter()
    for each in workers:
        each.join()
    return time.perf_counter() - start
