"""The cores' distance: the round trip of one cache line between two threads, and its changes.

On a virtual machine it is no constant. The hypervisor moves virtual cores to other places, for
seconds to minutes: on the machine of `docs/performance.md` a line's round trip is 64 ns at some
times and about 145 or 320 ns at others, without any other sign. A step that two threads share and
that lasts some ten microseconds hands lines over a few dozen times, and takes 2 to 3.5 times as
long while the cores are far: so a figure taken then, of either side, says where the cores stood,
not what the software does. Therefore the distance is looked at before and after every sample with
several threads. A sample with far cores is taken again, later, as long as `patience` lasts; the
rule is the same for all sides and does not look at their times. What cannot be had with near
cores stays, and is marked. FAR lies between the steps seen (145 / 64 and 320 / 145 are both 2.2)
and above what the near distance varies by itself (within 10 %). On real hardware the two cores
that are looked at never move, and nothing is taken again. Not here: peaks. Next: `measure.py`.
"""

from __future__ import annotations

import ctypes
import math
import os
import statistics
import threading
import time
from bisect import insort
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np

from benchmarks.cases import Array
from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import (
    I64,
    PTR,
    alloca,
    for_range,
    forever,
    function,
    i64,
    load_shared,
    store_at,
    store_shared,
)
from kedja.compiler.runtime_native import nanoseconds_per_tick
from kedja.compiler.runtime_object import Library, compile_module
from kedja.compiler.runtime_target import Target, current_target
from kedja.compiler.runtime_threads import (
    System,
    aligned_zeros,
    emit_pause,
    emit_ticks,
    emit_yield,
    host_system,
)

SYMBOL = "kedja_round_trips"
BURSTS = 12  # the least counts: whatever interrupts a burst makes it longer
TRIPS = 40  # in a burst
PATIENT = 1 << 12  # looks at the line before another thread may have the core
FAR = 1.6  # times the near distance of a run
RARE = 20  # one look in so many may be shorter than the near distance
PAUSE = 0.05  # seconds between two looks at far cores

Look = Callable[[], float]


def trips_module(target: Target, system: System) -> ir.Module:
    """`void kedja_round_trips(ptr line, i64 turn, ptr ticks)`; two threads, of turns 0 and 1.

    The number in the line counts up: even ones are thread 0's to raise, odd ones thread 1's.
    """
    module = ir.Module("distance")
    emit_yield(module, system)
    b, made = function(module, SYMBOL, {"line": PTR, "turn": I64, "ticks": PTR})
    line, turn, ticks = made.args
    with for_range(b, 0, BURSTS) as burst:
        start = emit_ticks(b, system)
        with for_range(b, 0, TRIPS) as trip:
            number = b.add(b.mul(burst, i64(TRIPS)), trip)
            mine = b.add(b.mul(number, i64(2)), turn)
            _emit_wait(b, system, line, mine)
            store_shared(b, b.add(mine, i64(1)), line)
        store_at(b, ticks, burst, b.sub(emit_ticks(b, system), start))
    b.ret_void()
    return module


def _emit_wait(b: ir.IRBuilder, system: System, line: ir.Value, wanted: ir.Value) -> None:
    """Until the number in the line is the wanted one; both threads may share a core at first."""
    looks = alloca(b, I64)
    b.store(i64(0), looks)
    with forever(b, "wait") as wait:
        wait.leave_if(b.icmp_signed("==", load_shared(b, line, I64), wanted))
        emit_pause(b, system)
        count = b.add(b.load(looks, typ=I64), i64(1))
        b.store(count, looks)
        late = b.icmp_signed("==", b.and_(count, i64(PATIENT - 1)), i64(0))
        with b.if_then(late, likely=False):
            b.call(b.module.get_global("kedja_yield"), [])


class RoundTrips:
    """The loop above, ready to run."""

    def __init__(self) -> None:
        target = current_target()
        code = compile_module(trips_module(target, host_system()), target)
        self._library = Library(code, target)
        signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)
        self._kernel = signature(self._library.address(SYMBOL))

    def nanoseconds(self) -> float:
        """One look at the distance: a fraction of a millisecond on an idle machine."""
        line, ticks = aligned_zeros(128), np.zeros((2, BURSTS), np.int64)
        works = [
            threading.Thread(target=self._take_part, args=(turn, line, ticks)) for turn in (0, 1)
        ]
        for each in works:
            each.start()
        for each in works:
            each.join()
        return float(ticks[0].min()) / TRIPS * nanoseconds_per_tick()

    def _take_part(self, turn: int, line: Array, ticks: Array) -> None:
        """One thread's part, on the first or the last core where the system lets it choose."""
        if hasattr(os, "sched_setaffinity"):
            cores = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {cores[-turn]})  # of this thread alone, which ends soon
        self._kernel(line.ctypes.data, turn, ticks[turn].ctypes.data)


@lru_cache(maxsize=1)
def round_trips() -> RoundTrips:
    """Compiled once in a process."""
    return RoundTrips()


def distance() -> float:
    """The round trip of a cache line between two cores, in nanoseconds."""
    return round_trips().nanoseconds()


class Cores:
    """The distances that a run has seen, and the time it still has to take far samples again.

    `look` is None where samples have one thread, or there is one core: then nothing is far.
    """

    def __init__(self, look: Look | None, patience: float) -> None:
        self._look = look
        self.patience = patience
        self._seen: list[float] = []  # in the order of size

    @property
    def nearest(self) -> float:
        """The near distance: one look in twenty is shorter, infinite before the first.

        The very shortest is no measure: one look in some hundreds gave 26 ns where the others gave
        64, and beside it all of a run would be far.
        """
        return self._seen[len(self._seen) // RARE] if self._seen else math.inf

    @property
    def farthest(self) -> float:
        """The longest distance so far."""
        return self._seen[-1] if self._seen else 0.0

    def look(self) -> float | None:
        """The distance now, in nanoseconds."""
        if self._look is None:
            return None
        found = self._look()
        insort(self._seen, found)
        return found

    def are_far(self, distance: float | None) -> bool:
        """Whether a distance is far beside the near one so far."""
        return distance is not None and distance > FAR * self.nearest

    def wait(self, until: float) -> bool:
        """Sleep until the cores are near; False if they are not at that time of the clock.

        What is seen meanwhile does not count as seen: so often does it look.
        """
        while self._look is not None and self.are_far(self._look()):
            if time.perf_counter() >= until:
                return False
            time.sleep(PAUSE)
        return time.perf_counter() < until


def cores_of(threads: int, usable: int, patience: float) -> Cores:
    """Those of a run with so many threads on so many cores."""
    return Cores(distance if min(threads, usable) > 1 else None, patience)


class Sampled(Protocol):
    """Samples of which the cores' distances are known, and how many were taken again."""

    distances: list[float]
    again: int


def summary(modes: Sequence[Sampled], cores: Cores) -> dict[str, float] | None:
    """The distances of a whole run, in nanoseconds, and what they did to its samples."""
    found = [each for mode in modes for each in mode.distances]
    if not found:
        return None
    near = [each for each in found if not cores.are_far(each)]
    return {
        "nearest": cores.nearest,
        "near": statistics.median(near or found),
        "farthest": cores.farthest,
        "samples": len(found),
        "again": sum(mode.again for mode in modes),
        "far": len(found) - len(near),
    }
