"""All threads, or the calling one alone: short steps run as is faster, found out while running.

Not here: who runs which task of a shared launch (`runtime_sharing.py`). Next: `runtime_native.py`.

What threads cost each other depends on how long a cache line travels between their cores: on one
machine 64 ns at some times and 320 at others, where a hypervisor moves virtual cores about; or
always far, where the cores belong to two sockets. A perceptron's step of 55 us by two near threads
takes 190 us by two far ones, and 65 by one. Results have the same bits for any number of threads,
so the driver may try. Every two thousand steps or so it times TRIED steps as before, then TRIED in
the other way, and goes on in the way whose fastest step was the faster. (The fastest, since the
first step after a change finds its data in another core's cache, and any can be interrupted.) The
number of steps until the next trial grows with the ratio of the two, so that what a trial loses
stays below one per cent, be the other way as slow as it may.

Steps that last long by themselves are never tried: threads are worth it there at any distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import I64, Layout, alloca, i64
from kedja.compiler.runtime_plan import Jump, Launch, Plan, Repeat
from kedja.compiler.runtime_threads import System, emit_ticks

TRIED = 8  # steps of a trial, in each way
FIRST = 16  # steps before the first trial
BETWEEN = 1024  # steps between trials, times one more than the slower way's time ÷ the faster's
MARGIN = 32  # the other way must be faster by one part in so many
MOST = 64  # the ratio that is believed
LONG = 500e-6  # seconds of one thread above which a step is not tried

# Estimates of what one thread does in a second.
FLOPS_PER_SECOND = 100e9
BYTES_PER_SECOND = 50e9

NEVER = (1 << 63) - 1

# A program's memory of its trials; a run uses it only while it has the pool, so one at a time.
# `left` counts the steps down to the end of the next trial; 0 is for programs that always run as
# they are told. `alone` is 1 where that was found to be faster; `own` and `other` are the fewest
# ticks of a trial in this way and in the other.
FIELDS = Layout({"left": (0, I64), "alone": (8, I64), "own": (16, I64), "other": (24, I64)})


def start_of(plan: Plan) -> np.ndarray:
    """What stands in the fields at first."""
    left = FIRST + 2 * TRIED if seconds_alone(plan) < LONG else 0
    return np.array([left, 0, NEVER, NEVER], np.int64)


def seconds_alone(plan: Plan) -> float:
    """About how long one thread takes for a step; infinite where loops decide by themselves."""
    if any(isinstance(each, Jump) for each in plan.launches):
        return float("inf")
    times = [1] * len(plan.launches)
    for place, each in enumerate(plan.launches):
        if isinstance(each, Repeat):
            for inside in range(each.first, place):
                times[inside] *= each.times
    launches = zip(times, plan.launches, strict=True)
    work = [(n * each.flops, n * each.bytes) for n, each in launches if isinstance(each, Launch)]
    flops, moved = (sum(column) for column in zip(*work, strict=True)) if work else (0, 0)
    return max(flops / FLOPS_PER_SECOND, moved / BYTES_PER_SECOND)


@dataclass(frozen=True)
class Choice:
    """The emitted choice of a driver: `begin` before each step, `end` after it."""

    b: ir.IRBuilder
    system: System
    memory: ir.Value
    threads: ir.Value

    def begin(self) -> tuple[ir.Value, ir.Value]:
        """How many threads the next step has, and where the ticks of its start stand."""
        b, left = self.b, self._load("left")
        start = alloca(b, I64)
        used = alloca(b, I64)
        b.store(self.threads, used)
        with b.if_then(self._is_open(left)):
            changed = b.icmp_signed("<=", left, i64(TRIED))
            alone = b.xor(self._load("alone"), b.zext(changed, I64))
            b.store(b.select(b.icmp_signed("!=", alone, i64(0)), i64(1), self.threads), used)
            with b.if_then(b.icmp_signed("<=", left, i64(2 * TRIED)), likely=False):
                b.store(emit_ticks(b, self.system), start)
        return b.load(used, typ=I64), start

    def end(self, start: ir.Value) -> None:
        """Count the step; note its time within a trial, and judge after it."""
        b, left = self.b, self._load("left")
        with b.if_then(self._is_open(left)):
            self._store("left", b.sub(left, i64(1)))
            with b.if_then(b.icmp_signed("<=", left, i64(2 * TRIED)), likely=False):
                ticks = b.sub(emit_ticks(b, self.system), b.load(start, typ=I64))
                changed = b.icmp_signed("<=", left, i64(TRIED))
                for name, here in (("own", b.not_(changed)), ("other", changed)):
                    with b.if_then(here):
                        self._store(name, self._smaller(self._load(name), ticks))
                with b.if_then(b.icmp_signed("==", left, i64(1))):
                    self._judge()

    def _is_open(self, left: ir.Value) -> ir.Value:
        """Whether there is anything to choose."""
        several = self.b.icmp_signed(">", self.threads, i64(1))
        return self.b.and_(several, self.b.icmp_signed("!=", left, i64(0)))

    def _judge(self) -> None:
        """After a trial: stay or change, and wait for the next one."""
        b, own, other = self.b, self._load("own"), self._load("other")
        faster = b.icmp_signed("<", b.add(other, b.udiv(other, i64(MARGIN))), own)
        self._store("alone", b.xor(self._load("alone"), b.zext(faster, I64)))
        better = self._smaller(own, other)
        worse = b.select(b.icmp_signed("<", own, other), other, own)
        ratio = self._smaller(b.udiv(worse, b.add(better, i64(1))), i64(MOST))
        wait = b.mul(b.add(ratio, i64(1)), i64(BETWEEN))
        self._store("left", b.add(wait, i64(2 * TRIED)))
        for name in ("own", "other"):
            self._store(name, i64(NEVER))

    def _smaller(self, one: ir.Value, other: ir.Value) -> ir.Value:
        return self.b.select(self.b.icmp_signed("<", one, other), one, other)

    def _load(self, name: str) -> ir.Value:
        return FIELDS.load(self.b, self.memory, name)

    def _store(self, name: str, value: ir.Value) -> None:
        FIELDS.store(self.b, self.memory, name, value)
