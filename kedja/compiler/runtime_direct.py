"""One step of a program at the addresses of its arrays: the cheapest call that there is.

`Program.run` takes arrays, checks them and writes their addresses wherever launches need them. A
caller that knows types and addresses by itself (`kedja/front/dispatch.py`) writes each address once
into the slots of a `Lane` and makes one native call, which does the rest. Not here: runs of many
steps, cancelling, profiles (`runtime.py`). Next: `runtime_wait.py`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from kedja.compiler import llvm_ir as ir
from kedja.compiler import runtime_recording
from kedja.compiler.fingerprint import compiler_version
from kedja.compiler.llvm_blocks import (
    I32,
    I64,
    PTR,
    Layout,
    call_pointer,
    for_range,
    function,
    i32,
    i64,
    load_at,
    store_at,
)
from kedja.compiler.runtime_bound import IS_CPYTHON, Binder, declare_python, emit_bound
from kedja.compiler.runtime_cache import load, store
from kedja.compiler.runtime_choice import BYTES_PER_SECOND, FLOPS_PER_SECOND
from kedja.compiler.runtime_native import CONTROL
from kedja.compiler.runtime_object import Library, compile_module
from kedja.compiler.runtime_plan import Launch, Plan
from kedja.compiler.runtime_target import host_target
from kedja.compiler.runtime_threads import MOST_THREADS, usable_cores

if TYPE_CHECKING:
    from kedja.compiler.runtime import Binding, Program

# One lane's block of numbers. `moves` are triples: the position of a word, the number of a slot,
# and how many bytes the word's address lies behind the slot's.
CALL = Layout(
    {
        "control": (0, PTR),
        "drive": (8, PTR),
        "words": (16, PTR),
        "slots": (24, PTR),
        "moves": (32, PTR),
        "count": (40, I64),
        "pool": (48, PTR),
        "threads": (56, I64),
    }
)
CALL_WORDS = 8
POOL_WORD, THREADS_WORD = (CALL.fields[name][0] // 8 for name in ("pool", "threads"))

# Shorter programs run on the caller's thread: to wake a worker that sleeps takes 5 to 50 us.
WORTH_WAKING = 20e-6


# --- emitted -------------------------------------------------------------------------------------


def emit_call() -> ir.Module:
    """`i32 kedja_call(call)`: write the addresses in their places, then drive one step."""
    module = ir.Module("kedja_direct")
    module.triple = host_target().triple
    b, made = function(module, "kedja_call", {"call": PTR}, I32)
    call = made.args[0]
    control, words, slots, moves = (
        CALL.load(b, call, name) for name in ("control", "words", "slots", "moves")
    )
    with for_range(b, 0, CALL.load(b, call, "count"), name="move") as number:
        first = b.mul(number, i64(3))
        position, slot, offset = (load_at(b, moves, b.add(first, i64(i)), I64) for i in range(3))
        store_at(b, words, position, b.add(load_at(b, slots, slot, I64), offset))
    CONTROL.store(b, control, "cancel", i32(0))
    CONTROL.store(b, control, "steps_done", i64(0))
    given = [control, i64(1), CALL.load(b, call, "pool"), CALL.load(b, call, "threads")]
    b.ret(call_pointer(b, CALL.load(b, call, "drive"), given, I32))
    if IS_CPYTHON:
        emit_bound(module, "kedja_bound", made)
    return module


@lru_cache(maxsize=1)
def _binder() -> Binder:
    """Makes `kedja_call` a callable for a lane's block."""
    target = host_target()
    key = f"direct-{compiler_version()}-{sys.implementation.name}-{target.key()}"
    cached = load(key)
    if cached is None:
        code = compile_module(emit_call(), target, passes=2)
        store(key, {}, code)
    else:
        code = cached[1]
    declare_python()
    return Binder(Library(code, target), "kedja_bound", "kedja_call")


# --- lanes ---------------------------------------------------------------------------------------


class Lane:
    """A binding with a slot for the address of each array: inputs first, then outputs.

    `slots` are these as numbers, `memory` as bytes. Each input has room for a number of its own,
    at `places`, as one of `integers` and two of `floats`. `run` is the native call on this thread
    alone; what it returns is not 0 where another thread has cancelled it, and `reset` must follow.
    One thread at a time uses a lane.
    """

    __slots__ = (
        "_binding", "_block", "_keep", "_pool", "floats", "integers", "memory", "places", "run",
        "slots",
    )  # fmt: skip

    def __init__(self, binding: Binding) -> None:
        program, template = binding.program, binding.template
        plan = program.plan
        offsets = template.offsets.astype(np.int64)
        moves = np.stack([template.patched, template.sources, offsets], 1)
        slots = np.zeros(plan.inputs + plan.outputs + 1, np.uint64)
        scalars = np.zeros(2 * plan.inputs + 1, np.float32)
        block = np.zeros(CALL_WORDS, np.uint64)
        values = {
            "control": binding.control,
            "drive": program.native.library.address("kedja_drive"),
            "words": binding.control,
            "slots": slots.ctypes.data,
            "moves": moves.ctypes.data,
            "count": len(moves),
            "threads": 1,
        }
        for name, value in values.items():
            block[CALL.fields[name][0] // 8] = value
        self._binding = binding
        self._pool = binding.pool
        self._block = block.data
        self._keep = (slots, scalars, moves, block)
        self.run = _binder()(int(block.ctypes.data))
        self.slots = slots.data
        self.memory = slots.data.cast("B")
        self.floats = scalars.data
        self.integers = scalars[:-1].view(np.int64).data
        self.places = [int(scalars.ctypes.data) + 8 * i for i in range(plan.inputs)]

    def reset(self) -> None:
        """After a step that did not come to its end."""
        self._binding.lay_out()

    def run_on_pool(self, threads: int) -> int:
        """As `run`, the native call, with the help of the workers, where they are free."""
        pool, block = self._pool(), self._block
        address = pool.enter(threads)
        if not address:
            return self.run()
        try:
            block[POOL_WORD] = address
            block[THREADS_WORD] = min(threads, pool.workers + 1)
            return self.run()
        finally:
            block[POOL_WORD] = 0
            block[THREADS_WORD] = 1
            pool.leave()


@dataclass(frozen=True)
class Work:
    """What one step has to do, as the plan declares it."""

    flops: int
    bytes: int
    parallel: bool
    loops: bool  # how often is not known here

    @classmethod
    def of(cls, plan: Plan) -> Work:
        """The sums over all launches."""
        launches = [each for each in plan.launches if isinstance(each, Launch)]
        return cls(
            sum(launch.flops for launch in launches),
            sum(launch.bytes for launch in launches),
            any(launch.tasks > 1 for launch in launches),
            len(launches) < len(plan.launches),
        )

    @property
    def is_short(self) -> bool:
        """Whether one thread is done before another one is awake."""
        seconds = max(self.flops / FLOPS_PER_SECOND, self.bytes / BYTES_PER_SECOND)
        return seconds < WORTH_WAKING and not self.loops


class Direct:
    """The lanes of a program. May be used from several threads at once."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.idle: list[Lane] = []
        self.recorder = runtime_recording.current  # where there is one, runs are watched over
        work = Work.of(program.plan)
        self._alone = work.is_short or not work.parallel

    def threads(self, wanted: int) -> int:
        """How many threads a step is worth, of those that are wanted (0: one for each core)."""
        return 1 if self._alone else min(wanted or usable_cores(), MOST_THREADS)

    def new_lane(self) -> Lane:
        """One more lane, for a thread that finds none idle."""
        return Lane(self.program.take())
