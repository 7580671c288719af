"""Threads, system calls and processor modes: all that differs between platforms, in one file.

Not here: what the threads work on (`runtime_native.py`) or who asks for it (`runtime.py`).
Next: `runtime_sharing.py`.

The first half emits IR: sleeping and waking, the pause of a spin, clock ticks, denormals. The
second half is Python: how many threads to use, and the pool of workers. A worker is a daemon
Python thread that calls the native worker loop once and never comes back, so that no platform's
thread-creation call is needed and the interpreter's exit never waits for it.

Linux sleeps on a futex. Elsewhere (macOS, Windows) a waiting thread yields and naps; those two
are written after the platforms' documentation and are untested there.

Denormal numbers (below 1.2e-38 in float32) are flushed to zero in compiled programs, as inputs and
as results, on every thread for the time of a run: one of them can make an instruction a hundred
times slower (a 128^3 product took 5,378 us instead of 27), and training meets them whenever
something decays towards zero. The mode of the calling thread is restored when the run ends.
"""

from __future__ import annotations

import math
import os
import platform
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import (
    I32,
    I64,
    PTR,
    Layout,
    alloca,
    declare,
    element,
    forever,
    function,
    i32,
    i64,
    load_shared,
    store_shared,
)
from kedja.ground.pages import Pages

# --- the platform --------------------------------------------------------------------------------

# The number of Linux's futex call; an architecture that is not listed uses the portable way.
FUTEX = {"x86_64": 202, "aarch64": 98, "riscv64": 98}
FUTEX_WAIT_PRIVATE = 128
FUTEX_WAKE_PRIVATE = 129

SPIN_ROUNDS = 15
SHARED_TICKS = 1 << 17  # some 50 us: who yields its core for longer shares it
NAP_MICROSECONDS = 50  # of a waiting thread where there is no futex


@dataclass(frozen=True)
class System:
    """What the emitted runtime may rely on: the processor's architecture and a way to wait."""

    architecture: str
    waiting: Literal["futex", "posix", "windows"]


def host_system() -> System:
    """The system of this process."""
    machine = platform.machine().lower()
    architecture = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    if sys.platform == "win32":
        return System(architecture, "windows")
    futex = sys.platform == "linux" and architecture in FUTEX
    return System(architecture, "futex" if futex else "posix")


# --- emitted: sleeping and waking ----------------------------------------------------------------


def emit_sleep(module: ir.Module, system: System) -> ir.Function:
    """`void kedja_sleep(i32* word, i32 seen)`: return some time after *word changed from seen."""
    b, made = function(module, "kedja_sleep", {"word": PTR, "seen": I32})
    if system.waiting == "futex":
        word, seen = made.args
        _call_futex(b, module, system, word, FUTEX_WAIT_PRIVATE, b.zext(seen, I64))
    elif system.waiting == "posix":
        b.call(declare(module, "sched_yield", [], I32), [])
        b.call(declare(module, "usleep", [I32], I32), [i32(NAP_MICROSECONDS)])
    else:
        b.call(declare(module, "Sleep", [I32]), [i32(1)])
    b.ret_void()
    return made


def emit_yield(module: ir.Module, system: System) -> ir.Function:
    """`void kedja_yield()`: let another thread have this core, if one waits for it."""
    b, made = function(module, "kedja_yield", {})
    name = "SwitchToThread" if system.waiting == "windows" else "sched_yield"
    b.call(declare(module, name, [], I32), [])
    b.ret_void()
    return made


def emit_wake(module: ir.Module, system: System) -> ir.Function:
    """`void kedja_wake(i32* word)`: wake the one thread that sleeps on the word."""
    b, made = function(module, "kedja_wake", {"word": PTR})
    if system.waiting == "futex":
        _call_futex(b, module, system, made.args[0], FUTEX_WAKE_PRIVATE, i64(1))
    b.ret_void()
    return made


def _call_futex(
    b: ir.IRBuilder,
    module: ir.Module,
    system: System,
    word: ir.Value,
    operation: int,
    value: ir.Value,
) -> None:
    syscall = declare(module, "syscall", [I64], I64, variadic=True)
    none = ir.Constant(PTR, None)
    number = i64(FUTEX[system.architecture])
    b.call(syscall, [number, word, i64(operation), value, none, none, i64(0)])


def emit_wait_until(
    b: ir.IRBuilder,
    system: System,
    word: ir.Value,
    sleeping: ir.Value,
    spins: ir.Value,
    is_ready: Callable[[ir.Value], ir.Value],
    woken: Callable[[], None] = lambda: None,
) -> None:
    """Wait until the int32 at `word` satisfies `is_ready`: spin at most `spins` times, then sleep.

    `woken` emits what is done after a sleep.

    A sleeper first raises its flag `sleeping`, then looks once more; who changes the word does so
    first and looks at the flag after a full fence. So at least one of them sees the other.
    """
    _emit_spin(b, system, word, spins, is_ready)
    late = b.not_(is_ready(load_shared(b, word, I32)))
    with b.if_then(late, likely=False):
        store_shared(b, i32(1), sleeping, "seq_cst")
        with forever(b, "asleep") as asleep:
            seen = load_shared(b, word, I32, "seq_cst")
            asleep.leave_if(is_ready(seen))
            b.call(b.module.get_global("kedja_sleep"), [word, seen])
        store_shared(b, i32(0), sleeping)
        woken()


def _emit_spin(
    b: ir.IRBuilder,
    system: System,
    word: ir.Value,
    spins: ir.Value,
    is_ready: Callable[[ir.Value], ir.Value],
) -> None:
    """Look at the word again and again, at most SPIN_ROUNDS times `spins` pauses.

    The processor is yielded between rounds: where two threads of the pool share one core (some
    kernels wake a thread beside its waker, though other cores idle), each lets the other go on. Who
    gets the core back late has another one beside it and goes to sleep at once, to be woken
    elsewhere (`runtime_placing.py`): the kernel took 50 ms to move one of the two away.
    """
    left = alloca(b, I64)
    end = b.mul(spins, i64(SPIN_ROUNDS))
    b.store(i64(0), left)
    with forever(b, "spin") as spin:
        spin.leave_if(is_ready(load_shared(b, word, I32)))
        count = b.add(b.load(left, I64), i64(1))
        spin.leave_if(b.icmp_signed(">", count, end))
        b.store(count, left)
        emit_pause(b, system)
        with b.if_then(b.icmp_signed("==", b.urem(count, spins), i64(0)), likely=False):
            before = emit_ticks(b, system)
            b.call(b.module.get_global("kedja_yield"), [])
            away = b.sub(emit_ticks(b, system), before)
            spin.leave_if(b.icmp_signed(">", away, i64(SHARED_TICKS)))


# --- emitted: processor modes and clocks ---------------------------------------------------------


def emit_pause(b: ir.IRBuilder, system: System) -> None:
    """Tell the processor that this is a spin: saves power and helps the sibling thread."""
    if system.architecture == "x86_64":
        b.call(declare(b.module, "llvm.x86.sse2.pause", []), [])
    elif system.architecture == "aarch64":
        b.call(declare(b.module, "llvm.aarch64.isb", [I32]), [i32(15)])


def emit_ticks(b: ir.IRBuilder, system: System) -> ir.Value:
    """A clock that ticks steadily, as int64; `runtime_native.py` measures how fast."""
    # On Arm the cycle counter is closed to programs; elsewhere there is no steady counter.
    counter = "steady" if system.architecture == "aarch64" else "cycle"
    return b.call(declare(b.module, f"llvm.read{counter}counter", [], I64), [])


X86_FLUSH = 0x8040  # MXCSR: flush results to zero (bit 15), treat denormal inputs as zero (bit 6)
ARM_FLUSH = 1 << 24  # FPCR: FZ, both at once


def emit_flush_denormals(b: ir.IRBuilder, system: System) -> ir.Value | None:
    """Flush denormals on this thread; the mode before, for `emit_restore_denormals`."""
    if system.architecture == "x86_64":
        slot = alloca(b, I32)
        b.call(declare(b.module, "llvm.x86.sse.stmxcsr", [PTR]), [slot])
        before = b.load(slot, I32)
        _load_mxcsr(b, b.or_(before, i32(X86_FLUSH)))
        return before
    if system.architecture == "aarch64":
        before = b.call(declare(b.module, "llvm.aarch64.get.fpcr", [], I64), [])
        b.call(declare(b.module, "llvm.aarch64.set.fpcr", [I64]), [b.or_(before, i64(ARM_FLUSH))])
        return before
    return None


def emit_restore_denormals(b: ir.IRBuilder, system: System, before: ir.Value | None) -> None:
    """Set the mode back to what `emit_flush_denormals` found."""
    if before is None:
        return
    if system.architecture == "x86_64":
        _load_mxcsr(b, before)
    else:
        b.call(declare(b.module, "llvm.aarch64.set.fpcr", [I64]), [before])


def _load_mxcsr(b: ir.IRBuilder, value: ir.Value) -> None:
    slot = alloca(b, I32)
    b.store(value, slot)
    b.call(declare(b.module, "llvm.x86.sse.ldmxcsr", [PTR]), [slot])


# --- how many threads ----------------------------------------------------------------------------


@lru_cache(maxsize=1)
def usable_cores() -> int:
    """The cores that this process may use: its affinity, and a container's quota of CPU time."""
    known = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    return max(1, min(cores, _quota()))


def _quota(file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """The container's CPU quota in cores, rounded up; very large where there is none."""
    try:
        limit, period = file.read_text().split()
        return math.ceil(int(limit) / int(period))
    except (OSError, ValueError):  # no such file, or its text is "max 100000"
        return MOST_THREADS


# --- the pool ------------------------------------------------------------------------------------

MOST_THREADS = 1024
LINE = 128  # two cache lines, because processors fetch them in pairs

# What the caller and its workers share. The first line is the job, written by the caller alone.
POOL = Layout(
    {
        "kernel": (0, PTR),
        "args": (8, PTR),
        "tasks": (16, I64),
        "threads": (24, I64),
        "cancel": (32, PTR),
        "spins": (40, I64),
        "log": (48, PTR),
        "job": (56, I32),
        "pending": (1 * LINE, I32),
        "caller_sleeping": (2 * LINE, I32),
    }
)
BOXES = 3 * LINE
CORE_WORDS = 16  # of 64 cores each
# One box per thread, on lines of its own. The ticket is the upper half of the word (processors
# here are little-endian): a changed one means a new job. The rest is written once, by a worker that
# starts: its number to the system, and the cores on which it may run, a bit each.
BOX = Layout(
    {
        "word": (0, I64),
        "ticket": (4, I32),
        "stop": (8, I64),
        "sleeping": (16, I32),
        "thread": (20, I32),
        "cores": (LINE, ir.ArrayType(I64, CORE_WORDS)),
    }
)
BOX_BYTES = LINE + 8 * CORE_WORDS


def emit_box(b: ir.IRBuilder, pool: ir.Value, thread: ir.Value) -> ir.Value:
    """The address of a thread's box; the caller's is the first."""
    offset = b.add(b.mul(thread, i64(BOX_BYTES)), i64(BOXES))
    return element(b, pool, offset, ir.IntType(8))


def aligned_zeros(nbytes: int, align: int = LINE) -> np.ndarray:
    """Zeroed bytes at an aligned address; untouched pages cost no memory."""
    return _aligned(np.zeros(nbytes + align, np.uint8), align)[:nbytes]


def memory_of(pages: Pages | None, nbytes: int) -> np.ndarray:
    """Zeroed bytes at an aligned address, those of some pages where these are enough."""
    ready = None if pages is None else _aligned(pages.settled(), LINE)[:nbytes]
    return aligned_zeros(nbytes) if ready is None or ready.nbytes < nbytes else ready


def _aligned(whole: np.ndarray, align: int) -> np.ndarray:
    return whole[-whole.ctypes.data % align :]


def aligned_copy(array: np.ndarray) -> np.ndarray:
    """The bytes of an array at an aligned address."""
    copy = aligned_zeros(array.nbytes)
    copy[:] = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
    return copy


class Pool:
    """The worker threads of this process. One run uses it at a time; `enter` never waits.

    Workers beyond what a run asks for stay asleep, so that `threads` may change from run to run.
    """

    def __init__(self, worker_loop: Callable[[int, int], None], spins: int) -> None:
        self._worker_loop = worker_loop
        self._memory = aligned_zeros(BOXES + MOST_THREADS * BOX_BYTES)
        self._memory.view(np.int64)[POOL.fields["spins"][0] // 8] = spins
        self._address = int(self._memory.ctypes.data)
        self._busy = threading.Lock()
        self.workers = 0

    def enter(self, threads: int) -> int:
        """The pool's address if it is free, else 0; `leave` must follow in the first case.

        It then has `threads - 1` workers, or fewer where no more threads can be started. A run
        that finds the pool busy works on its own thread alone: with the same bits, and without
        waiting for a training run of another thread to end.
        """
        if not self._busy.acquire(blocking=False):
            return 0
        if self.workers < threads - 1:
            try:
                self._grow(threads - 1)
            except BaseException:
                self._busy.release()
                raise
        return self._address

    def leave(self) -> None:
        """Give the pool back after a successful `enter`."""
        self._busy.release()

    def _grow(self, workers: int) -> None:
        with suppress(RuntimeError):  # "can't start new thread"
            while self.workers < workers:
                self._start_worker()

    def _start_worker(self) -> None:
        number = self.workers + 1
        thread = threading.Thread(
            target=self._serve,
            args=(number,),
            name=f"kedja-worker-{number}",
            daemon=True,
        )
        thread.start()
        self.workers = number

    def _serve(self, number: int) -> None:
        """A worker's life; this frame keeps the memory that it looks at alive."""
        self._worker_loop(self._address, number)


_pools: dict[str, Pool] = {}


def the_pool(make: Callable[[], Pool]) -> Pool:
    """The process's pool; made at the first call, and anew in a forked child."""
    found = _pools.get("pool")
    return found or _pools.setdefault("pool", make())


if hasattr(os, "register_at_fork"):
    # Threads do not survive a fork: a child that keeps the parent's pool would wait for ever.
    os.register_at_fork(after_in_child=_pools.clear)
