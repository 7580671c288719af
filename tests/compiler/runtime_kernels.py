"""A handful of tiny kernels, and programs made of them, on which the runtime is tested.

Not here: the kernels of real programs. Next: `tests/compiler/test_runtime.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import (
    F32,
    F64,
    I64,
    PTR,
    element,
    for_carry,
    function,
    load_at,
    store_at,
)
from kedja.compiler.runtime import Buffer, Launch, Plan, Program
from kedja.compiler.runtime_object import compile_module
from kedja.compiler.runtime_target import Target, host_target

SLOW_ITERATIONS = 1_200_000  # some 5 ms


def kernel(module: ir.Module, name: str) -> tuple[ir.IRBuilder, ir.Value, ir.Value]:
    """A kernel's builder, argument table and task number."""
    b, made = function(module, f"kedja_{name}", {"args": PTR, "task": I64})
    return b, made.args[0], made.args[1]


def _emit_count(module: ir.Module) -> None:
    """cells[task] += 1, int64."""
    b, args, task = kernel(module, "count")
    cells = load_at(b, args, 0, PTR)
    store_at(b, cells, task, b.add(load_at(b, cells, task, I64), ir.Constant(I64, 1)))
    b.ret_void()


def _emit_order(module: ir.Module) -> None:
    """order[task] = calls, then calls += 1, int64; the arguments are order, calls."""
    b, args, task = kernel(module, "order")
    order, calls = (load_at(b, args, i, PTR) for i in range(2))
    before = load_at(b, calls, 0, I64)
    store_at(b, order, task, before)
    store_at(b, calls, 0, b.add(before, ir.Constant(I64, 1)))
    b.ret_void()


def _emit_slow(module: ir.Module) -> None:
    """Waste some 5 ms on a chain of divisions, then cells[16 * task] += 1, int64."""
    b, args, task = kernel(module, "slow")
    cell = element(b, load_at(b, args, 0, PTR), b.mul(task, ir.Constant(I64, 16)), I64)
    one = ir.Constant(F64, 1.0)
    with for_carry(b, 0, SLOW_ITERATIONS, [one]) as loop:
        loop.carry(b.fadd(one, b.fdiv(one, loop.values[0])))
    store_at(b, cell, 1, loop.results[0])  # the golden ratio; stored, so that it is computed
    b.store(b.add(b.load(cell, typ=I64), ir.Constant(I64, 1)), cell)
    b.ret_void()


def _emit_arithmetic(module: ir.Module, name: str, operation: str) -> None:
    """out[task] = x[task] op y[task], float32; the arguments are x, y, out."""
    b, args, task = kernel(module, name)
    x, y, out = (load_at(b, args, i, PTR) for i in range(3))
    value = getattr(b, operation)(load_at(b, x, task, F32), load_at(b, y, task, F32))
    store_at(b, out, task, value)
    b.ret_void()


@cache
def kernels(target: Target | None = None) -> bytes:
    """The object code of all kernels of this file."""
    module = ir.Module("kernels")
    _emit_count(module)
    _emit_order(module)
    _emit_slow(module)
    _emit_arithmetic(module, "add", "fadd")
    _emit_arithmetic(module, "mul", "fmul")
    return compile_module(module, target or host_target())


def program(
    launches: Sequence[Launch],
    buffers: Sequence[Buffer],
    *,
    arena: int = 0,
    constants: Sequence[np.ndarray] = (),
    watch: int | None = None,
    watch_at: int | None = None,
) -> Program:
    """A program of these kernels; the numbers of inputs and outputs follow from the buffers."""
    inputs = 1 + max((b.index for b in buffers if b.kind == "input"), default=-1)
    outputs = 1 + max((b.index for b in buffers if b.kind == "output"), default=-1)
    plan = Plan(
        tuple(launches), tuple(buffers), arena, inputs, outputs, watch=watch, watch_at=watch_at
    )
    return Program(plan, kernels(), constants, host_target())


def counter(tasks: int, *, commits: bool = False) -> Program:
    """Adds 1 to each of `tasks` int64 numbers, in place, one task each."""
    launch = Launch("kedja_count", (0,), tasks, commits, label="count", flops=tasks)
    return program([launch], [Buffer("output", 0, 8 * tasks)])


def slow(tasks: int, *, commits: bool = False) -> Program:
    """`tasks` tasks of some 5 ms each, then 1 is added to the second output: the state."""
    return program(
        [
            Launch("kedja_slow", (0,), tasks, commits),
            Launch("kedja_count", (1,), 1, commits=True),
        ],
        [Buffer("output", 0, 128 * tasks), Buffer("output", 1, 8)],
    )
