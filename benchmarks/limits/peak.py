"""The machine's limit: float32 multiply-adds in vector registers, with nothing else in the loop.

No program can do more of them in a second; what share of it a case reaches is reported beside
its time. Not here: memory's limit. Next: `stream.py`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
from llvmlite import ir

import kedja as kj
from benchmarks.cases import Array
from benchmarks.limits.threads import together
from benchmarks.side import Runner, Spec, Timed
from kedja.compiler.llvm_blocks import I64, PTR, for_carry, function
from kedja.compiler.llvm_matmul_vectors import Vectors
from kedja.compiler.runtime_object import Library, compile_module
from kedja.compiler.runtime_target import Target, current_target
from kedja.ground.dtypes import float32

SYMBOL = "kedja_peak"
UNROLL = 4  # rounds of multiply-adds in one turn of the loop
TURNS = 5_000  # of the loop, in one step

Kernel = Callable[[int, int], None]


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


class Peak(Runner):
    """The loop above on every thread at once; a step is `TURNS` turns on each."""

    modes: tuple[str, ...] = ("loop",)
    version = kj.__version__

    def __init__(self, spec: Spec) -> None:
        self.target = current_target()
        self.threads = spec.threads
        self.library = Library(compile_module(peak_module(self.target), self.target), self.target)
        signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
        self.kernel = signature(self.library.address(SYMBOL))

    def work(self) -> dict[str, int]:
        """Two operations for each lane of each multiply-add."""
        each = 2 * lanes(self.target) * totals(self.target) * UNROLL
        return {"loop": each * TURNS * self.threads}

    def losses(self, mode: str, steps: int) -> list[float]:
        """Nothing to compare."""
        return [0.0] * steps

    def run(self, mode: str, steps: int) -> Timed:
        """All threads start together; the time ends with the last one."""
        memories = [self.memory() for _ in range(self.threads)]
        return Timed(together(self.threads, lambda i: self.turn(memories[i], steps)), steps)

    def memory(self) -> Array:
        """x, y and the totals' starts, of one thread."""
        width = lanes(self.target)
        memory = np.full((2 + totals(self.target)) * width, 0.5, np.float32)
        memory[2 * width :] += np.arange(len(memory) - 2 * width) / 1000
        return memory

    def turn(self, memory: Array, steps: int) -> None:
        """One thread's part. ctypes lets go of Python's lock."""
        self.kernel(memory.ctypes.data, steps * TURNS)


def runner(spec: Spec) -> Runner:
    """The limit made ready."""
    return Peak(spec)
