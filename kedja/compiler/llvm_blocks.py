"""Helpers that emit loops, choices and memory accesses as LLVM IR through `llvm_ir.py`.

Not here: vector arithmetic, kernels, or anything that knows kedja's plans. Every loop is emitted
bottom-tested (guard, body, latch), because no IR pass rotates it later; the guard is left out
where both bounds are constants. Loops nest freely: a body may open new blocks.
Next: `runtime_native.py`, the first user.

    with for_range(b, 0, n, 8) as i:                       # a counted loop
        store_at(b, y, i, load_at(b, x, i, F32))
    with for_carry(b, 0, n, [zero]) as loop:               # values carried around the loop
        loop.carry(b.fadd(loop.values[0], load_at(b, x, loop.index, F32)))
    total, = loop.results
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from kedja.compiler import llvm_ir as ir

I1: ir.Type = ir.IntType(1)
I8: ir.Type = ir.IntType(8)
I16: ir.Type = ir.IntType(16)
I32: ir.Type = ir.IntType(32)
I64: ir.Type = ir.IntType(64)
F32: ir.Type = ir.FloatType()
F64: ir.Type = ir.DoubleType()
PTR: ir.Type = ir.PointerType()
VOID: ir.Type = ir.VoidType()

Index: TypeAlias = ir.Value | int


def i32(value: int) -> ir.Constant:
    """An int32 constant."""
    return ir.Constant(I32, value)


def i64(value: int) -> ir.Constant:
    """An int64 constant, the type of every index and bound."""
    return ir.Constant(I64, value)


def as_i64(value: Index) -> ir.Value:
    """An index as an IR value: Python ints become constants."""
    return i64(value) if isinstance(value, int) else value


def multiple_below(b: ir.IRBuilder, value: Index, step: int) -> Index:
    """The largest multiple of a power of two that is not above a value."""
    if isinstance(value, int):
        return value // step * step
    return b.and_(value, i64(-step))


# --- functions and calls -------------------------------------------------------------------------


def function(
    module: ir.Module, name: str, args: Mapping[str, ir.Type], returns: ir.Type = VOID
) -> tuple[ir.IRBuilder, ir.Function]:
    """A new function with named arguments, and a builder at the start of its entry block."""
    made = ir.Function(module, ir.FunctionType(returns, list(args.values())), name)
    for argument, label in zip(made.args, args, strict=True):
        argument.name = label
    return ir.IRBuilder(made.append_basic_block("entry")), made


def declare(
    module: ir.Module,
    name: str,
    args: Sequence[ir.Type],
    returns: ir.Type = VOID,
    *,
    variadic: bool = False,
) -> ir.Function:
    """The declaration of an external function or intrinsic; the same one when asked again."""
    if name in module.globals:
        known: ir.Function = module.globals[name]
        return known
    return ir.Function(module, ir.FunctionType(returns, args, var_arg=variadic), name)


def ask(
    b: ir.IRBuilder,
    module: ir.Module,
    address: ir.Value,
    *,
    written: bool = False,
    level: int = 1,
) -> None:
    """Ask for the line at an address, which cannot fault, into the first or second-level cache."""
    prefetch = declare(module, "llvm.prefetch.p0", [PTR, I32, I32, I32])
    flags = [ir.Constant(I32, flag) for flag in (int(written), 4 - level, 1)]
    b.call(prefetch, [address, *flags])


def call_pointer(
    b: ir.IRBuilder,
    address: ir.Value,
    args: Sequence[ir.Value],
    returns: ir.Type = VOID,
) -> ir.Value:
    """Call the function at a `ptr` value."""
    return b.call_at(address, args, returns)


def alloca(
    b: ir.IRBuilder, kind: ir.Type, count: int | None = None, align: int | None = None
) -> ir.Value:
    """Stack memory in the entry block, so that an alloca inside a loop does not grow the stack."""
    return b.alloca(kind, count, align)


# --- memory --------------------------------------------------------------------------------------


def element(b: ir.IRBuilder, base: ir.Value, index: Index, kind: ir.Type) -> ir.Value:
    """The address `base + index * sizeof(kind)`."""
    if ir.index_of(as_i64(index)) == 0:
        return base
    return b.gep(base, [as_i64(index)], inbounds=True, source_etype=kind)


def load_at(
    b: ir.IRBuilder, base: ir.Value, index: Index, kind: ir.Type, align: int | None = None
) -> ir.Value:
    """`base[index]`, a value of type `kind`; a vector type needs `align` of its elements."""
    return b.load(element(b, base, index, kind), typ=kind, align=align)


def store_at(
    b: ir.IRBuilder, base: ir.Value, index: Index, value: ir.Value, align: int | None = None
) -> None:
    """`base[index] = value`; a vector value needs `align` of its elements."""
    b.store(value, element(b, base, index, value.type), align=align)


def load_shared(
    b: ir.IRBuilder, address: ir.Value, kind: ir.Type, order: str = "acquire"
) -> ir.Value:
    """An atomic load of an integer that other threads write."""
    return b.load_atomic(address, order, kind.width // 8, typ=kind)


def store_shared(
    b: ir.IRBuilder, value: ir.Value, address: ir.Value, order: str = "release"
) -> None:
    """An atomic store of an integer that other threads read."""
    b.store_atomic(value, address, order, value.type.width // 8)


@dataclass(frozen=True)
class Layout:
    """A struct by hand: field name → (byte offset, type), so that padding is in plain sight."""

    fields: Mapping[str, tuple[int, ir.Type]]

    def address(self, b: ir.IRBuilder, base: ir.Value, name: str) -> ir.Value:
        """The address of a field."""
        return element(b, base, self.fields[name][0], I8)

    def load(self, b: ir.IRBuilder, base: ir.Value, name: str) -> ir.Value:
        """The value of a field that no other thread is writing."""
        return b.load(self.address(b, base, name), typ=self.fields[name][1], name=name)

    def store(self, b: ir.IRBuilder, base: ir.Value, name: str, value: ir.Value) -> None:
        """Set a field that no other thread is reading."""
        b.store(value, self.address(b, base, name))

    def load_shared(
        self, b: ir.IRBuilder, base: ir.Value, name: str, order: str = "acquire"
    ) -> ir.Value:
        """An atomic load of an integer field."""
        return load_shared(b, self.address(b, base, name), self.fields[name][1], order)

    def store_shared(
        self, b: ir.IRBuilder, base: ir.Value, name: str, value: ir.Value, order: str = "release"
    ) -> None:
        """An atomic store of an integer field."""
        store_shared(b, value, self.address(b, base, name), order)

    def add_shared(
        self, b: ir.IRBuilder, base: ir.Value, name: str, amount: int, order: str = "seq_cst"
    ) -> ir.Value:
        """An atomic addition to an integer field; the value before it."""
        step = ir.Constant(self.fields[name][1], amount)
        return b.atomic_rmw("add", self.address(b, base, name), step, order)


# --- loops ---------------------------------------------------------------------------------------


@dataclass
class Carry:
    """A counted loop that carries values: `values` inside the body, `results` after it.

    `phis` are those of the block that was entered last."""

    index: ir.Value
    values: list[ir.Value]
    results: list[ir.Value] = field(default_factory=list)
    phis: Sequence[ir.Phi] = ()
    following: list[ir.Value] | None = None

    def carry(self, *following: ir.Value) -> None:
        """Name the values that the next iteration starts with; call once, at the body's end."""
        self.following = list(following)


def _runs_at_least_once(start: ir.Value, stop: ir.Value) -> bool:
    low, high = ir.index_of(start), ir.index_of(stop)
    return low is not None and high is not None and low < high


def _phis(b: ir.IRBuilder, starts: Sequence[ir.Value], before: ir.Block, name: str) -> list[ir.Phi]:
    """One phi per value, entered from the block `before`."""
    made = []
    for start in starts:
        phi = b.phi(start.type, name)
        phi.add_incoming(start, before)
        made.append(phi)
    return made


@contextmanager
def for_carry(
    b: ir.IRBuilder,
    start: Index,
    stop: Index,
    values: Sequence[ir.Value],
    step: int = 1,
    name: str = "i",
) -> Iterator[Carry]:
    """`for index in range(start, stop, step)` with carried values; `step` is positive."""
    first, last = as_i64(start), as_i64(stop)
    body, after = b.append_basic_block(f"{name}.body"), b.append_basic_block(f"{name}.after")
    before = b.block
    certain = _runs_at_least_once(first, last)
    if certain:
        b.branch(body)
    else:
        b.cbranch(b.icmp_signed("<", first, last), body, after)
    b.position_at_end(body)
    index, *phis = _phis(b, [first, *values], before, name)
    loop = Carry(index, [*phis], phis=[index, *phis])
    yield loop
    _close(b, loop, (body, after), last, step)
    if not certain:
        for result, value in zip(loop.phis, values, strict=True):
            result.add_incoming(value, before)


def _close(
    b: ir.IRBuilder, loop: Carry, blocks: tuple[ir.Block, ir.Block], stop: ir.Value, step: int
) -> None:
    """The latch: step the index, go round or leave, and merge the results after the loop."""
    body, after = blocks
    following = loop.values if loop.following is None else loop.following
    index = b.add(loop.index, i64(step), flags=["nsw"])
    latch = b.block
    b.cbranch(b.icmp_signed("<", index, stop), body, after)
    for phi, value in zip(loop.phis, [index, *following], strict=True):
        phi.add_incoming(value, latch)
    b.position_at_end(after)
    loop.phis = _phis(b, following, latch, "result")
    loop.results = [*loop.phis]


@contextmanager
def for_range(
    b: ir.IRBuilder, start: Index, stop: Index, step: int = 1, name: str = "i"
) -> Iterator[ir.Value]:
    """`for index in range(start, stop, step)`; yields the int64 index. `step` is positive."""
    with for_carry(b, start, stop, (), step, name) as loop:
        yield loop.index


@dataclass
class Endless:
    """A loop without a bound; `leave_if` is the only way out."""

    builder: ir.IRBuilder
    after: ir.Block

    def leave_if(self, condition: ir.Value) -> None:
        """Leave the loop here where the condition holds, else go on below."""
        b = self.builder
        stay = b.append_basic_block("stay")
        b.cbranch(condition, self.after, stay)
        b.position_at_end(stay)


@contextmanager
def forever(b: ir.IRBuilder, name: str = "loop") -> Iterator[Endless]:
    """`while True`; the body may be left anywhere through `leave_if`."""
    body, after = b.append_basic_block(f"{name}.body"), b.append_basic_block(f"{name}.after")
    b.branch(body)
    b.position_at_end(body)
    yield Endless(b, after)
    b.branch(body)
    b.position_at_end(after)
