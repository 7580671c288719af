"""The machine's limits, measured: float32 multiply-adds in registers, and copying memory.

No program can do more of either in a second, so that a share of them says how good a kernel is.
Not here: what kernels reach (`runtime_recording.py`). Next: `runtime.py`.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import I64, PTR, for_carry, function
from kedja.compiler.llvm_matmul_vectors import Vectors
from kedja.compiler.runtime_object import Library, compile_module
from kedja.compiler.runtime_target import Target, current_target
from kedja.ground.dtypes import float32

SYMBOL = "kedja_peak"
UNROLL = 4  # rounds of multiply-adds in one turn of the loop
TURNS = 100_000  # about ten milliseconds
COPIED = 1 << 26  # bytes that each thread copies: more than caches hold
REPEATS = 12  # the best of so many counts

Work = Callable[[], object]


@dataclass(frozen=True)
class Limits:
    """What the machine can do at most with so many threads, in operations and bytes per second."""

    flops: float
    bytes: float


def lanes(target: Target) -> int:
    """float32 numbers in a vector."""
    return target.vector_bits // (8 * float32.itemsize)


def totals(target: Target) -> int:
    """How many independent totals: enough to hide the latency, few enough for the registers."""
    return 24 if target.registers >= 32 else 12


def peak_module(target: Target) -> ir.Module:
    """`void kedja_peak(ptr memory, i64 turns)`: total ← total · x + y, for many totals at once."""
    module = ir.Module("peak")
    vectors = Vectors(module, float32, lanes(target))
    b, made = function(module, SYMBOL, {"memory": PTR, "turns": I64})
    memory, turns = made.args
    step = vectors.lanes
    x, y = (vectors.load(b, memory, place * step) for place in range(2))
    starts = [vectors.load(b, memory, (2 + place) * step) for place in range(totals(target))]
    with for_carry(b, 0, turns, starts) as loop:
        running = list(loop.values)
        for _ in range(UNROLL):
            running = [vectors.multiply_add(b, total, x, y) for total in running]
        loop.carry(*running)
    for place, total in enumerate(loop.results):
        vectors.store(b, memory, (2 + place) * step, total)
    b.ret_void()
    return module


class MultiplyAdds:
    """The loop above, ready to run."""

    def __init__(self) -> None:
        self.target = current_target()
        self._library = Library(compile_module(peak_module(self.target), self.target), self.target)
        signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
        self._kernel = signature(self._library.address(SYMBOL))

    def flops(self, turns: int) -> int:
        """Two for each lane of each multiply-add."""
        return 2 * lanes(self.target) * totals(self.target) * UNROLL * turns

    def run(self, turns: int) -> None:
        """On memory of its own. ctypes lets go of Python's lock."""
        width = lanes(self.target)
        memory = np.full((2 + totals(self.target)) * width, 0.5, np.float32)
        memory[2 * width :] += np.arange(len(memory) - 2 * width) / 1000
        self._kernel(memory.ctypes.data, turns)


def seconds_together(works: Sequence[Work], repeats: int = REPEATS) -> float:
    """How long these take on a thread each, side by side: the best of several times.

    The threads stay, since the system may start two on one core, and moves one away after a while.
    """
    barrier = threading.Barrier(len(works))
    times: list[tuple[int, float, float]] = []

    def work(one: Work) -> None:
        for number in range(repeats):
            barrier.wait()
            start = time.perf_counter()
            one()
            times.append((number, start, time.perf_counter()))

    workers = [threading.Thread(target=work, args=(each,)) for each in works]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    return min(_together(times, number) for number in range(repeats))


def _together(times: Sequence[tuple[int, float, float]], number: int) -> float:
    """From the first start to the last end of one time."""
    starts = [start for each, start, _ in times if each == number]
    return max(end for each, _, end in times if each == number) - min(starts)


@lru_cache(maxsize=8)
def limits(threads: int) -> Limits:
    """Measured once in a process: about half a second."""
    adds = MultiplyAdds()
    pairs = [(np.ones(COPIED, np.uint8), np.zeros(COPIED, np.uint8)) for _ in range(threads)]
    multiplying = [lambda: adds.run(TURNS)] * threads
    copying = [lambda a=a, b=b: np.copyto(b, a) for a, b in pairs]
    best = [seconds_together(each) for each in (multiplying, copying)]
    return Limits(adds.flops(TURNS) * threads / best[0], 2 * COPIED * threads / best[1])
