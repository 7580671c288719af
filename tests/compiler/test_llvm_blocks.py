"""Emitted loops count, carry and end as Python's do."""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import (
    I32,
    I64,
    PTR,
    Layout,
    alloca,
    as_i64,
    for_carry,
    for_range,
    forever,
    function,
    i64,
    load_at,
    store_at,
)
from kedja.compiler.runtime_object import Library, compile_module
from kedja.compiler.runtime_target import host_target


def call(module: ir.Module, name: str, *arguments: int) -> int:
    """Compile, load and call an int64 function of int64 arguments."""
    library = Library(compile_module(module, host_target()), host_target())
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * len(arguments))
    return int(kind(library.address(name))(*arguments))


bounds = st.integers(-7, 12)


@given(start=bounds, stop=bounds, step=st.integers(1, 5), constant=st.booleans())
@settings(deadline=None, max_examples=60)
def test_a_carried_loop_runs_like_a_python_range(
    start: int, stop: int, step: int, constant: bool
) -> None:
    module = ir.Module()
    b, made = function(module, "kedja_fold", {"start": I64, "stop": I64}, I64)
    low, high = (start, stop) if constant else made.args
    with for_carry(b, low, high, [i64(1), i64(0)], step) as loop:
        folded = b.add(b.mul(loop.values[0], i64(31)), loop.index)
        loop.carry(folded, b.add(loop.values[1], i64(1)))
    fold, count = loop.results
    b.ret(b.add(b.mul(fold, i64(100)), count))
    expected = 1
    for index in range(start, stop, step):
        expected = expected * 31 + index
    expected = expected * 100 + len(range(start, stop, step))
    assert call(module, "kedja_fold", start, stop) == ctypes.c_int64(expected).value


def test_loops_nest_and_bodies_may_branch() -> None:
    module = ir.Module()
    b, made = function(module, "kedja_nest", {"n": I64}, I64)
    total = alloca(b, I64)
    b.store(i64(0), total)
    with for_range(b, 0, made.args[0], name="row") as row, for_range(b, row, 6) as column:
        odd = b.trunc(column, ir.IntType(1))
        with b.if_then(odd):
            b.store(b.add(b.load(total, I64), b.mul(row, column)), total)
    b.ret(b.load(total, I64))
    expected = sum(r * c for r in range(4) for c in range(r, 6) if c % 2)
    assert call(module, "kedja_nest", 4) == expected


def test_a_value_that_is_not_carried_on_keeps_its_start() -> None:
    module = ir.Module()
    b, made = function(module, "kedja_keep", {"n": I64}, I64)
    with for_carry(b, 0, made.args[0], [i64(5)]) as loop:
        pass
    b.ret(loop.results[0])
    assert call(module, "kedja_keep", 3) == call(module, "kedja_keep", 0) == 5


def test_an_endless_loop_ends_where_it_is_left() -> None:
    module = ir.Module()
    b, made = function(module, "kedja_halve", {"n": I64}, I64)
    n, steps = alloca(b, I64), alloca(b, I64)
    b.store(made.args[0], n)
    b.store(i64(0), steps)
    with forever(b) as loop:
        now = b.load(n, I64)
        loop.leave_if(b.icmp_signed("<=", now, i64(1)))
        b.store(b.lshr(now, i64(1)), n)
        loop.leave_if(b.icmp_signed(">", now, i64(1000)))
        b.store(b.add(b.load(steps, I64), i64(1)), steps)
    b.ret(b.load(steps, I64))
    assert [call(module, "kedja_halve", n) for n in (0, 1, 2, 8, 1001)] == [0, 0, 1, 3, 0]


def test_fields_lie_where_the_layout_says() -> None:
    layout = Layout({"small": (4, I32), "large": (8, I64)})
    module = ir.Module()
    b, made = function(module, "kedja_fields", {"base": I64}, I64)
    base = b.inttoptr(made.args[0], PTR)
    layout.store(b, base, "small", ir.Constant(I32, 3))
    layout.store_shared(b, base, "large", i64(40))
    before = layout.add_shared(b, base, "large", 2)
    now = b.add(layout.load_shared(b, base, "large"), before)
    store_at(b, base, 2, now)
    b.ret(b.add(b.zext(layout.load(b, base, "small"), I64), load_at(b, base, 2, I64)))
    memory = (ctypes.c_int32 * 6)()
    assert call(module, "kedja_fields", ctypes.addressof(memory)) == 3 + 82
    assert list(memory) == [0, 3, 42, 0, 82, 0]


@pytest.mark.parametrize("value", [0, 7, -1])
def test_python_ints_become_constants(value: int) -> None:
    assert str(as_i64(value)) == f"i64 {value}"
