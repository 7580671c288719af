"""The driver and worker loops of compiled programs, emitted as LLVM IR and loaded once.

Not here: kernels, system calls (`runtime_threads.py`), Python's side of a run (`runtime.py`).
Next: `runtime_cache.py`.

One call of `kedja_drive` runs all launches of all steps:

    for step in range(steps):
        for launch in launches:
            run its tasks: one plain call, or shared by the pool
            stop here if cancelled, before the first launch that writes the state in place
            stop here if the watched number is not finite
        steps_done += 1

Repeats and jumps among the launches (`runtime_flow.py`) say which launch comes next.

Which thread runs which task is said in `runtime_sharing.py`, and in `runtime_choice.py` whether
the others take part at all.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from kedja.compiler import llvm_ir as ir
from kedja.compiler.fingerprint import compiler_version
from kedja.compiler.llvm_blocks import (
    I8,
    I16,
    I32,
    I64,
    PTR,
    Layout,
    alloca,
    call_pointer,
    element,
    for_range,
    forever,
    function,
    i32,
    i64,
)
from kedja.compiler.runtime_cache import load, store
from kedja.compiler.runtime_choice import Choice
from kedja.compiler.runtime_flow import JUMP, REPEAT, emit_jump, emit_repeat
from kedja.compiler.runtime_object import Library, compile_module
from kedja.compiler.runtime_sharing import NULL, emit_sharing
from kedja.compiler.runtime_target import Target, host_target
from kedja.compiler.runtime_threads import (
    LINE,
    System,
    emit_flush_denormals,
    emit_pause,
    emit_restore_denormals,
    emit_sleep,
    emit_ticks,
    emit_wake,
    emit_yield,
    host_system,
)

# One run's block of numbers, shared by Python and the driver; Python reads and writes the last two
# lines while the driver runs.
CONTROL = Layout(
    {
        "launches": (0, PTR),
        "count": (8, I64),
        "commit_at": (16, I64),  # the first launch after which a step cannot be abandoned
        "watch": (24, PTR),  # the watched number, or null
        "watch_after": (32, I64),  # looked at after this launch
        "watch_bytes": (40, I64),  # 2, 4 or 8
        "profile": (48, PTR),  # per launch: ticks spent, times run
        "watch_mask": (56, I64),  # the exponent within its upper 16 bits
        "choice": (64, PTR),  # the program's, of `runtime_choice.py`
        "never": (1 * LINE, I32),  # a cancel flag that stays 0, for launches that must complete
        "log": (1 * LINE + 8, PTR),  # where a profiled run writes who worked when, or null
        "cancel": (2 * LINE, I32),
        "steps_done": (3 * LINE, I64),
    }
)
CONTROL_BYTES = 4 * LINE

LAUNCH = Layout({"kernel": (0, PTR), "args": (8, PTR), "tasks": (16, I64)})
LAUNCH_BYTES = 24

DONE, CANCELLED, NONFINITE = 0, 1, 2


# --- one launch -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Launching:
    """What launches need besides their record. `log` is None where nothing is written down."""

    pool: ir.Value
    threads: ir.Value
    log: ir.Value | None

    @property
    def log_or_null(self) -> ir.Value:
        """The log as an argument."""
        return NULL if self.log is None else self.log

    def emit(self, b: ir.IRBuilder, launch: ir.Value, cancel: ir.Value) -> None:
        """One launch: a plain call for one task, this thread alone, or all together."""
        kernel, table, tasks = (LAUNCH.load(b, launch, name) for name in LAUNCH.fields)
        if self.log is not None:
            self._emit_several(b, (kernel, table, tasks), cancel)
            return
        with b.if_else(b.icmp_signed("==", tasks, i64(1)), likely=True) as (single, several):
            with single:
                call_pointer(b, kernel, [table, i64(0)])
            with several:
                self._emit_several(b, (kernel, table, tasks), cancel)

    def _emit_several(self, b: ir.IRBuilder, job: tuple[ir.Value, ...], cancel: ir.Value) -> None:
        fewer = b.icmp_signed("<", job[2], self.threads)
        used = b.select(fewer, job[2], self.threads)
        with b.if_else(b.icmp_signed("<=", used, i64(1))) as (alone, together):
            with alone:
                arguments = [*job, cancel, self.log_or_null]
                b.call(b.module.get_global("kedja_alone"), arguments)
            with together:
                arguments = [self.pool, *job, cancel, self.log_or_null, used]
                b.call(b.module.get_global("kedja_together"), arguments)


# --- the driver ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Driver:
    """The driver function while it is emitted: its arguments, and how it is left early."""

    b: ir.IRBuilder
    system: System
    control: ir.Value
    pool: ir.Value
    threads: ir.Value
    mode: ir.Value | None
    profiled: bool

    def stop_if(self, condition: ir.Value, status: int) -> None:
        """Return `status` from the driver where the condition holds."""
        with self.b.if_then(condition, likely=False):
            self.leave(status)

    def leave(self, status: int) -> None:
        emit_restore_denormals(self.b, self.system, self.mode)
        self.b.ret(i32(status))

    def cancelled(self) -> ir.Value:
        flag = CONTROL.load_shared(self.b, self.control, "cancel", "monotonic")
        return self.b.icmp_signed("!=", flag, i32(0))

    def step(self, launches: ir.Value, count: ir.Value) -> None:
        """All launches of one step, in the order in which they follow each other."""
        b = self.b
        self.stop_if(self.cancelled(), CANCELLED)
        place = alloca(b, I64)
        b.store(i64(0), place)
        with forever(b, "launch") as loop:
            index = b.load(place, typ=I64)
            loop.leave_if(b.icmp_signed(">=", index, count))
            b.store(self.instruction(launches, index), place)
        self.add_step()

    def instruction(self, launches: ir.Value, index: ir.Value) -> ir.Value:
        """A launch, repeat or jump; the place of the one that follows."""
        b = self.b
        launch = element(b, launches, b.mul(index, i64(LAUNCH_BYTES)), I8)
        kind = LAUNCH.load(b, launch, "tasks")
        following = alloca(b, I64)
        b.store(b.add(index, i64(1)), following)
        with b.if_else(b.icmp_signed(">=", kind, i64(0)), likely=True) as (runs, goes_on):
            with runs:
                self.launch(launch, index)
            with goes_on:
                with b.if_then(self.may_cancel(index)):
                    self.stop_if(self.cancelled(), CANCELLED)
                table = LAUNCH.load(b, launch, "args")
                for value, emit in ((REPEAT, emit_repeat), (JUMP, emit_jump)):
                    with b.if_then(b.icmp_signed("==", kind, i64(value))):
                        b.store(emit(b, table, index), following)
        return b.load(following, typ=I64)

    def may_cancel(self, index: ir.Value) -> ir.Value:
        """Whether a step can still be abandoned after the launch at `index`."""
        commit_at = CONTROL.load(self.b, self.control, "commit_at")
        return self.b.icmp_signed("<", index, commit_at)

    def add_step(self) -> None:
        done = CONTROL.load_shared(self.b, self.control, "steps_done", "monotonic")
        CONTROL.store_shared(self.b, self.control, "steps_done", self.b.add(done, i64(1)))

    def launch(self, launch: ir.Value, index: ir.Value) -> None:
        """One launch, and what may end the run after it."""
        b = self.b
        may_cancel = self.may_cancel(index)
        cancel, never = (CONTROL.address(b, self.control, n) for n in ("cancel", "never"))
        started = emit_ticks(b, self.system) if self.profiled else None
        log = CONTROL.load(b, self.control, "log") if self.profiled else None
        launching = _Launching(self.pool, self.threads, log)
        launching.emit(b, launch, b.select(may_cancel, cancel, never))
        if started is not None:
            self.account(index, b.sub(emit_ticks(b, self.system), started))
        with b.if_then(may_cancel):
            self.stop_if(self.cancelled(), CANCELLED)
        self.look_at_watch(index)

    def account(self, index: ir.Value, ticks: ir.Value) -> None:
        """Add to the launch's two numbers: ticks spent, times run."""
        b = self.b
        profile = CONTROL.load(b, self.control, "profile")
        entry = element(b, profile, b.mul(index, i64(2)), I64)
        for place, amount in ((0, ticks), (1, i64(1))):
            slot = element(b, entry, place, I64)
            b.store(b.add(b.load(slot, typ=I64), amount), slot)

    def look_at_watch(self, index: ir.Value) -> None:
        """Stop if this is the launch after which the watched number is known, and it is not finite.

        Where that is the step's last launch, the step has been done and is counted.
        """
        b = self.b
        here = b.icmp_signed("==", index, CONTROL.load(b, self.control, "watch_after"))
        with b.if_then(here), b.if_then(self.watch_is_bad(), likely=False):
            last = b.sub(CONTROL.load(b, self.control, "count"), i64(1))
            with b.if_then(b.icmp_signed("==", index, last)):
                self.add_step()
            self.leave(NONFINITE)

    def watch_is_bad(self) -> ir.Value:
        """Whether the watched float is NaN or infinite: its exponent is all ones."""
        b = self.b
        address = CONTROL.load(b, self.control, "watch")
        upper = b.sub(CONTROL.load(b, self.control, "watch_bytes"), i64(2))  # little-endian
        bits = b.zext(b.load(element(b, address, upper, I8), typ=I16, align=2), I64)
        mask = CONTROL.load(b, self.control, "watch_mask")
        return b.icmp_signed("==", b.and_(bits, mask), mask)


def _emit_driver(module: ir.Module, system: System, name: str, *, profiled: bool) -> None:
    """`i32 NAME(control, steps, pool, threads)`: run the steps, return a status."""
    args = {"control": PTR, "steps": I64, "pool": PTR, "threads": I64}
    b, made = function(module, name, args, I32)
    control, steps, pool, threads = made.args
    mode = emit_flush_denormals(b, system)
    driver = _Driver(b, system, control, pool, threads, mode, profiled)
    launches, count = (CONTROL.load(b, control, name) for name in ("launches", "count"))
    choice = Choice(b, system, CONTROL.load(b, control, "choice"), threads)
    with for_range(b, 0, steps, name="step"):
        if profiled:  # shows what all threads do
            driver.step(launches, count)
        else:
            used, start = choice.begin()
            replace(driver, threads=used).step(launches, count)
            choice.end(start)
    driver.leave(DONE)


def _emit_clock(module: ir.Module, system: System) -> None:
    """`i64 kedja_ticks()` and `void kedja_spin(n)`, from which Python learns how long they are."""
    b, _ = function(module, "kedja_ticks", {}, I64)
    b.ret(emit_ticks(b, system))
    b, made = function(module, "kedja_spin", {"count": I64})
    with for_range(b, 0, made.args[0]):
        emit_pause(b, system)
    b.ret_void()


def emit_runtime(target: Target, system: System) -> ir.Module:
    """The module of the driver, its profiled twin, and the worker loop."""
    module = ir.Module("kedja_runtime")
    module.triple = target.triple
    emit_sleep(module, system)
    emit_wake(module, system)
    emit_yield(module, system)
    emit_sharing(module, system)
    _emit_driver(module, system, "kedja_drive", profiled=False)
    _emit_driver(module, system, "kedja_drive_profiled", profiled=True)
    _emit_clock(module, system)
    return module


# --- loading -------------------------------------------------------------------------------------

SPIN_SECONDS = 2e-6


@dataclass(frozen=True)
class Native:
    """The loaded runtime as Python callables. `drive(control, steps, pool, threads) -> status`."""

    library: Library
    drive: Callable[[int, int, int, int], int]
    drive_profiled: Callable[[int, int, int, int], int]
    worker: Callable[[int, int], None]
    ticks: Callable[[], int]
    spin: Callable[[int], None]

    def work(self, pool: int, worker: int) -> None:
        """The worker loop, which never returns; its frame keeps the code in memory."""
        self.worker(pool, worker)

    def spins(self, seconds: float = SPIN_SECONDS) -> int:
        """How many pauses of a spin last about that long on this machine."""
        count = 500
        best = min(self._seconds_of(count) for _ in range(5))
        return max(10, int(count * seconds / best))

    def _seconds_of(self, count: int) -> float:
        started = time.perf_counter()
        self.spin(count)
        return time.perf_counter() - started


def load_runtime(system: System) -> Native:
    """Compile the runtime for this machine, or take it from the disk cache, and load it."""
    target = host_target()
    key = f"runtime-{compiler_version()}-{system.waiting}-{target.key()}"
    cached = load(key)
    if cached is None:
        code = compile_module(emit_runtime(target, system), target, passes=2)
        store(key, {}, code)
    else:
        code = cached[1]
    return _as_callables(Library(code, target))


def _as_callables(library: Library) -> Native:
    pointer, number, none = ctypes.c_void_p, ctypes.c_int64, None
    drive = ctypes.CFUNCTYPE(ctypes.c_int32, pointer, number, pointer, number)
    return Native(
        library,
        drive(library.address("kedja_drive")),
        drive(library.address("kedja_drive_profiled")),
        ctypes.CFUNCTYPE(none, pointer, number)(library.address("kedja_worker")),
        ctypes.CFUNCTYPE(number)(library.address("kedja_ticks")),
        ctypes.CFUNCTYPE(none, number)(library.address("kedja_spin")),
    )


@lru_cache(maxsize=1)
def native() -> Native:
    """The runtime of this process, loaded at the first use."""
    return load_runtime(host_system())


@lru_cache(maxsize=1)
def nanoseconds_per_tick() -> float:
    """The length of a tick, measured once over two milliseconds."""
    runtime = native()
    started, first = time.perf_counter_ns(), runtime.ticks()
    time.sleep(0.002)
    return (time.perf_counter_ns() - started) / max(1, runtime.ticks() - first)
