"""The machine's other limit: bytes to and from memory, in arrays that no cache holds.

Three ways of moving them are tried, and the fastest counts: STREAM's triad c = a + s b by our own
code, with plain stores and with stores that go past the caches, and NumPy's copy. Counted are
the bytes that the program asks for; a plain store makes the processor read the line first, which
is not counted (as STREAM does it). A loop that only reads is beside them (`READ`), for programs
that write nothing; it is no part of the limit by which others are divided. Source: J. McCalpin:
Memory bandwidth and machine balance in current high performance computers (1995). Not here:
arithmetic's limit. Next: `reading.py`.
"""

from __future__ import annotations

import ctypes
from functools import partial, reduce

import numpy as np

import kedja as kj
from benchmarks.cases import Array
from benchmarks.side import Runner, Spec, Timed
from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import I32, I64, PTR, for_carry, for_range, function, i64
from kedja.compiler.runtime_limits import lanes, seconds_together
from kedja.compiler.runtime_object import Library, compile_module
from kedja.compiler.runtime_target import Target, current_target

SYMBOLS = {"triad": "kedja_triad", "streaming triad": "kedja_triad_streaming"}
COPY = "copy"
READ, READ_SYMBOL = "read", "kedja_read"
SUMS = 8  # running side by side, so that none is waited for
LENGTH = 1 << 25  # numbers in an array: 128 MiB
SCALE = 0.5
PART = 128  # numbers; threads' parts are multiples of it, the lanes of all sums
LINE = 64  # bytes; arrays begin at a multiple of it, which streaming stores need


def stream_module(target: Target) -> ir.Module:
    """`void name(ptr c, ptr a, ptr b, i64 first, i64 last)`: triads by both stores, and a read."""
    module = ir.Module("stream")
    kind = ir.VectorType(ir.FloatType(), lanes(target))
    scale = ir.Constant(kind, [SCALE] * lanes(target))
    for name, symbol in SYMBOLS.items():
        arguments = {"c": PTR, "a": PTR, "b": PTR, "first": I64, "last": I64}
        b, made = function(module, symbol, arguments)
        c, x, y, first, last = made.args
        with for_range(b, first, last, lanes(target)) as i:
            places = [
                b.gep(base, [i], inbounds=True, source_etype=ir.FloatType()) for base in (c, x, y)
            ]
            left, right = (b.load(place, typ=kind, align=LINE) for place in places[1:])
            store = b.store(b.fadd(left, b.fmul(right, scale)), places[0], align=LINE)
            if name != "triad":
                store.set_metadata("nontemporal", module.add_metadata([ir.Constant(I32, 1)]))
        b.ret_void()
    _emit_read(module, kind, lanes(target))
    return module


def _emit_read(module: ir.Module, kind: ir.Type, step: int) -> None:
    """Sums of a, which go to the beginning of the part in c, so that none is left out."""
    arguments = {"c": PTR, "a": PTR, "b": PTR, "first": I64, "last": I64}
    b, made = function(module, READ_SYMBOL, arguments)
    c, a, _, first, last = made.args

    def at(base: ir.Value, place: ir.Value) -> ir.Value:
        return b.gep(base, [place], inbounds=True, source_etype=ir.FloatType())

    zero = ir.Constant(kind, [0.0] * step)
    with for_carry(b, first, last, [zero] * SUMS, SUMS * step) as loop:
        places = [b.add(loop.index, i64(step * each)) for each in range(SUMS)]
        numbers = [b.load(at(a, place), typ=kind, align=LINE) for place in places]
        loop.carry(*map(b.fadd, loop.values, numbers))
    b.store(reduce(b.fadd, loop.results), at(c, first), align=LINE)
    b.ret_void()


def on_line(length: int) -> Array:
    """float32 numbers whose first one stands at the beginning of a cache line."""
    raw = np.ones(length + LINE // 4, np.float32)
    shift = -raw.ctypes.data % LINE // 4
    return raw[shift : shift + length]


class Stream(Runner):
    """Each thread moves its own part of the arrays; a step is all of them once."""

    modes: tuple[str, ...] = (*SYMBOLS, COPY)
    version = kj.__version__

    def __init__(self, spec: Spec) -> None:
        self.threads = spec.threads
        target = current_target()
        self.library = Library(compile_module(stream_module(target), target), target)
        pointers, indices = [ctypes.c_void_p] * 3, [ctypes.c_int64] * 2
        signature = ctypes.CFUNCTYPE(None, *pointers, *indices)
        symbols = {**SYMBOLS, READ: READ_SYMBOL}
        self.kernels = {name: signature(self.library.address(s)) for name, s in symbols.items()}
        self.arrays = [on_line(LENGTH) for _ in range(3)]

    def work(self) -> dict[str, int]:
        """Bytes: a triad moves three arrays, a copy two, and one is read."""
        return {**dict.fromkeys(SYMBOLS, 12 * LENGTH), COPY: 8 * LENGTH, READ: 4 * LENGTH}

    def losses(self, mode: str, steps: int) -> list[float]:
        """Nothing to compare."""
        return [0.0] * steps

    def run(self, mode: str, steps: int) -> Timed:
        """See `Runner`."""
        works = [partial(self.part, mode, thread, steps) for thread in range(self.threads)]
        return Timed(seconds_together(works, repeats=1), steps)

    def part(self, mode: str, thread: int, steps: int) -> None:
        """One thread's part. ctypes and NumPy's copy let go of Python's lock."""
        first, last = (
            LENGTH * each // self.threads // PART * PART for each in (thread, thread + 1)
        )
        c, a, _ = self.arrays
        addresses = [each.ctypes.data for each in self.arrays]
        for _ in range(steps):
            if mode == COPY:
                np.copyto(c[first:last], a[first:last])
            else:
                self.kernels[mode](*addresses, first, last)


def runner(spec: Spec) -> Runner:
    """The limit made ready."""
    return Stream(spec)
