"""A woken worker begins on another core than the one that wakes it.

Kernels like to wake a thread beside its waker. Linux on a virtual machine does so even where the
other cores idle: it takes a virtual core that was halted for one that the host has taken away. The
worker then waits in its waker's queue, on one machine 46 ms of 50, while the run that it was woken
for is over. So whoever wakes a worker first forbids it its own core, and the worker, once awake,
allows itself again all that it was started with. Two system calls, about a microsecond, where a
worker had fallen asleep; none where it was still looking.

Linux only; elsewhere nothing is emitted. Not here: sleeping and waking (`runtime_threads.py`).
Next: `runtime_sharing.py`.
"""

from __future__ import annotations

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import (
    I32,
    I64,
    PTR,
    alloca,
    declare,
    element,
    for_range,
    function,
    i64,
)
from kedja.compiler.runtime_threads import BOX, CORE_WORDS, System

BITS = 64
BYTES = 8 * CORE_WORDS

# The numbers of Linux's calls.
GETTID = {"x86_64": 186, "aarch64": 178, "riscv64": 178}
SET_AFFINITY = {"x86_64": 203, "aarch64": 122, "riscv64": 122}
GET_AFFINITY = {"x86_64": 204, "aarch64": 123, "riscv64": 123}


def emit_placing(module: ir.Module, system: System) -> None:
    """`kedja_settle_in(box)`, `kedja_elsewhere(box)` and `kedja_anywhere(box)`, if there are cores
    to choose among.
    """
    if places(system):
        _emit_settle_in(module, system)
        _emit_elsewhere(module, system)
        _emit_anywhere(module, system)


def places(system: System) -> bool:
    """Whether this system is told where workers may run."""
    return system.waiting == "futex"


def place(b: ir.IRBuilder, system: System, function: str, box: ir.Value) -> None:
    """A call of one of the three, where they are."""
    if places(system):
        b.call(b.module.get_global(function), [box])


def _emit_settle_in(module: ir.Module, system: System) -> None:
    """`void kedja_settle_in(box)`: a worker writes into its box who it is and where it may run."""
    b, made = function(module, "kedja_settle_in", {"box": PTR})
    (box,) = made.args
    _call(b, system, GET_AFFINITY, i64(0), i64(BYTES), BOX.address(b, box, "cores"))
    thread = _call(b, system, GETTID)
    BOX.store_shared(b, box, "thread", b.trunc(thread, I32))
    b.ret_void()


def _emit_elsewhere(module: ir.Module, system: System) -> None:
    """`void kedja_elsewhere(box)`: the sleeping worker is to wake on any core but this one."""
    b, made = function(module, "kedja_elsewhere", {"box": PTR})
    (box,) = made.args
    here = b.zext(b.call(declare(b.module, "sched_getcpu", [], I32), []), I64)
    mine = b.shl(i64(1), b.and_(here, i64(BITS - 1)))
    cores, allowed = BOX.address(b, box, "cores"), b.alloca(ir.ArrayType(I64, CORE_WORDS))
    any_left = alloca(b, I64)
    b.store(i64(0), any_left)
    with for_range(b, 0, CORE_WORDS, name="word") as place:
        word = b.load(element(b, cores, place, I64), I64)
        is_here = b.icmp_signed("==", place, b.lshr(here, i64(6)))
        others = b.and_(word, b.xor(mine, i64(-1)))
        word = b.select(is_here, others, word)
        b.store(word, element(b, allowed, place, I64))
        b.store(b.or_(b.load(any_left, I64), word), any_left)
    thread = b.zext(BOX.load_shared(b, box, "thread"), I64)
    known = b.icmp_signed("!=", thread, i64(0))
    with b.if_then(b.and_(known, b.icmp_signed("!=", b.load(any_left, I64), i64(0)))):
        _call(b, system, SET_AFFINITY, thread, i64(BYTES), allowed)
    b.ret_void()


def _emit_anywhere(module: ir.Module, system: System) -> None:
    """`void kedja_anywhere(box)`: this worker may run wherever it might at first."""
    b, made = function(module, "kedja_anywhere", {"box": PTR})
    (box,) = made.args
    _call(b, system, SET_AFFINITY, i64(0), i64(BYTES), BOX.address(b, box, "cores"))
    b.ret_void()


def _call(
    b: ir.IRBuilder, system: System, numbers: dict[str, int], *arguments: ir.Value
) -> ir.Value:
    syscall = declare(b.module, "syscall", [I64], I64, variadic=True)
    return b.call(syscall, [i64(numbers[system.architecture]), *arguments])
