"""LLVM's IR written as text: a builder of instructions, and all that they are about.

The names are those of `llvmlite.ir`, which does the same through an object for each instruction
and takes several times as long. Arithmetic of constant indices is done here. Nothing checks types:
LLVM does, when it reads the text.
Not here: loops and what else is made of instructions (`llvm_blocks.py`). Next: `llvm_text.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from kedja.compiler.llvm_text import Argument, Block, Function, GlobalVariable, Module, Phi
from kedja.compiler.llvm_types import (
    ArrayType,
    Constant,
    DoubleType,
    FloatType,
    FunctionType,
    HalfType,
    IntType,
    LiteralStructType,
    PointerType,
    Type,
    Undefined,
    Value,
    VectorType,
    VoidType,
)

__all__ = [
    "Argument",
    "ArrayType",
    "Block",
    "Constant",
    "DoubleType",
    "FloatType",
    "Function",
    "FunctionType",
    "GlobalVariable",
    "HalfType",
    "IRBuilder",
    "IntType",
    "LiteralStructType",
    "Module",
    "Phi",
    "PointerType",
    "Stored",
    "Type",
    "Undefined",
    "Value",
    "VectorType",
    "VoidType",
    "index_of",
]

PTR, VOID, BIT, INDEX = PointerType(), VoidType(), IntType(1), IntType(64)
LIMIT = 1 << 62  # constants stay well inside 64 bits
COMPARISONS = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
DECIDED: dict[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
FOLDED: dict[str, Callable[[int, int], int]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "and": operator.and_,
}
NEUTRAL = {"add": 0, "sub": 0, "mul": 1, "udiv": 1, "sdiv": 1}  # on the right
COMMUTATIVE = ("add", "mul")


def index_of(value: Value) -> int | None:
    """The number behind a constant index."""
    known = isinstance(value, Constant) and value.type.text == "i64"
    found = value.constant if known else None
    return found if isinstance(found, int) else None


def _folded(name: str, x: Value, y: Value) -> Value | None:
    """What arithmetic of indices gives without an instruction."""
    left, right = index_of(x), index_of(y)
    if right is not None and right == NEUTRAL.get(name):
        return x
    if left is not None and name in COMMUTATIVE and left == NEUTRAL[name]:
        return y
    if left is None or right is None or name not in FOLDED:
        return None
    found = FOLDED[name](left, right)
    return Constant(INDEX, found) if abs(found) < LIMIT else None


class Stored:
    """A store, of which more can be said."""

    def __init__(self, lines: list[str | Phi]) -> None:
        self._lines, self._place = lines, len(lines) - 1

    def set_metadata(self, kind: str, name: str) -> None:
        """Say that it is of a kind, `nontemporal` for instance."""
        self._lines[self._place] = f"{self._lines[self._place]}, !{kind} {name}"


def _arithmetic(name: str) -> Callable[..., Value]:
    def emit(b: IRBuilder, x: Value, y: Value, label: str = "", flags: Sequence[str] = ()) -> Value:
        if x.type.text == "i64" and (found := _folded(name, x, y)) is not None:
            return found
        how = " ".join([name, *flags]) if flags else name
        return b._value(x.type, f"{how} {x.type.text} {x.text}, {y.text}", label)

    return emit


def _cast(name: str) -> Callable[..., Value]:
    def emit(b: IRBuilder, x: Value, kind: Type, label: str = "") -> Value:
        if x.type == kind:
            return x
        return b._value(kind, f"{name} {x.type.text} {x.text} to {kind.text}", label)

    return emit


class IRBuilder:
    """Appends instructions to a block, and gives their values."""

    def __init__(self, block: Block) -> None:
        self.function = block.function
        self.position_at_end(block)

    @property
    def module(self) -> Module:
        """What the function stands in."""
        return self.function.module

    # --- places

    def position_at_end(self, block: Block) -> None:
        """Go on at the end of a block."""
        self.block = block
        self._lines = block.lines

    def append_basic_block(self, name: str = "") -> Block:
        """A new block of the function."""
        return self.function.append_basic_block(name)

    @contextmanager
    def if_then(self, condition: Value, likely: bool | None = None) -> Iterator[Block]:
        """What is emitted inside runs if the condition holds; `likely` says how often."""
        inside, after = self.append_basic_block("if"), self.append_basic_block("endif")
        self.cbranch(condition, inside, after, likely)
        self.position_at_end(inside)
        yield after
        self._leave(after)
        self.position_at_end(after)

    @contextmanager
    def if_else(
        self, condition: Value, likely: bool | None = None
    ) -> Iterator[tuple[AbstractContextManager[None], AbstractContextManager[None]]]:
        """Two contexts: what is emitted in the first runs if the condition holds, or the other."""
        blocks = [self.append_basic_block(name) for name in ("if", "else", "endif")]
        self.cbranch(condition, blocks[0], blocks[1], likely)
        yield self._inside(blocks[0], blocks[2]), self._inside(blocks[1], blocks[2])
        self.position_at_end(blocks[2])

    @contextmanager
    def _inside(self, block: Block, after: Block) -> Iterator[None]:
        self.position_at_end(block)
        yield
        self._leave(after)

    def _leave(self, after: Block) -> None:
        if not self.block.is_terminated:
            self.branch(after)

    # --- lines

    def _end(self, text: str) -> None:
        self._lines.append(f"  {text}")
        self.block.is_terminated = True

    def _value(self, kind: Type, text: str, name: str = "") -> Value:
        function = self.function
        function.count += 1
        result = f"%{name}.{function.count}"
        self._lines.append(f"  {result} = {text}")
        return Value(kind, result)

    # --- control

    def branch(self, target: Block) -> None:
        """Go on there."""
        self._end(f"br label %{target.name}")

    def cbranch(
        self, condition: Value, true: Block, false: Block, likely: bool | None = None
    ) -> None:
        """Go on at one of two blocks."""
        weights = ""
        if likely is not None:
            most, least = (99, 1) if likely else (1, 99)
            text = ('!"branch_weights"', f"i32 {most}", f"i32 {least}")
            weights = f", !prof {self.module.add_metadata(text)}"
        self._end(f"br {condition}, label %{true.name}, label %{false.name}{weights}")

    def ret(self, value: Value) -> None:
        """Leave the function with a value."""
        self._end(f"ret {value}")

    def unreachable(self) -> None:
        """Nothing ever comes here."""
        self._end("unreachable")

    def ret_void(self) -> None:
        """Leave the function."""
        self._end("ret void")

    def phi(self, kind: Type, name: str = "") -> Phi:
        """A value by the block that ran before, at the beginning of a block."""
        self.function.count += 1
        made = Phi(kind, f"%{name}.{self.function.count}")
        self._lines.append(made)
        return made

    def call(self, function: Function, args: Sequence[Value], name: str = "") -> Value:
        """Call a function of the module."""
        kind = function.function_type
        takes = kind.text if kind.var_arg else kind.return_type.text
        return self._call(takes, kind.return_type, function, args, name)

    def call_at(self, address: Value, args: Sequence[Value], returns: Type) -> Value:
        """Call the function at an address."""
        return self._call(returns.text, returns, address, args, "")

    def _call(
        self, takes: str, returns: Type, callee: Value, args: Sequence[Value], name: str
    ) -> Value:
        given = ", ".join([f"{each.type.text} {each.text}" for each in args])
        text = f"call {takes} {callee.text}({given})"
        if not isinstance(returns, VoidType):
            return self._value(returns, text, name)
        self._lines.append(f"  {text}")
        return Value(returns, "")

    # --- memory

    def alloca(self, kind: Type, count: int | None = None, align: int | None = None) -> Value:
        """Memory on the stack, taken where the function begins."""
        function = self.function
        function.count += 1
        many = "" if count is None else f", i32 {count}"
        text = f"  %.{function.count} = alloca {kind}{many}{_aligned(align)}"
        function.allocated.append(text)
        return Value(PTR, f"%.{function.count}")

    def load(self, place: Value, typ: Type, align: int | None = None, name: str = "") -> Value:
        """The value at an address."""
        return self._value(typ, f"load {typ.text}, ptr {place.text}{_aligned(align)}", name)

    def store(self, value: Value, place: Value, align: int | None = None) -> Stored:
        """Leave a value at an address."""
        text = f"  store {value.type.text} {value.text}, ptr {place.text}{_aligned(align)}"
        self._lines.append(text)
        return Stored(self._lines)

    def load_atomic(self, place: Value, ordering: str, align: int, typ: Type) -> Value:
        """The value at an address that other threads write to."""
        return self._value(typ, f"load atomic {typ}, {place} {ordering}, align {align}")

    def store_atomic(self, value: Value, place: Value, ordering: str, align: int) -> None:
        """Leave a value where other threads read it."""
        self._lines.append(f"  store atomic {value}, {place} {ordering}, align {align}")

    def atomic_rmw(self, name: str, place: Value, value: Value, ordering: str) -> Value:
        """Change the value at an address; what it was before."""
        return self._value(value.type, f"atomicrmw {name} {place}, {value} {ordering}")

    def cmpxchg(
        self, place: Value, expected: Value, value: Value, success: str, failure: str
    ) -> Value:
        """Replace what is expected at an address: what was there, and whether it was replaced."""
        kind = LiteralStructType([value.type, BIT])
        return self._value(kind, f"cmpxchg {place}, {expected}, {value} {success} {failure}")

    def fence(self, ordering: str) -> None:
        """What stands before it is seen by other threads before what follows."""
        self._lines.append(f"  fence {ordering}")

    def gep(
        self,
        base: Value,
        indices: Sequence[Value],
        inbounds: bool = False,
        source_etype: Type = PTR,
        name: str = "",
    ) -> Value:
        """An address some elements further on; several where base or index is a vector."""
        vector = next((v.type for v in (base, *indices) if isinstance(v.type, VectorType)), None)
        kind = PTR if vector is None else VectorType(PTR, vector.count)
        bounds = "inbounds " if inbounds else ""
        places = ", ".join([f"{each.type.text} {each.text}" for each in indices])
        base_text = f"{base.type.text} {base.text}"
        text = f"getelementptr {bounds}{source_etype.text}, {base_text}, {places}"
        return self._value(kind, text, name)

    # --- arithmetic

    add = _arithmetic("add")
    sub = _arithmetic("sub")
    mul = _arithmetic("mul")
    udiv = _arithmetic("udiv")
    sdiv = _arithmetic("sdiv")
    urem = _arithmetic("urem")
    srem = _arithmetic("srem")
    shl = _arithmetic("shl")
    lshr = _arithmetic("lshr")
    ashr = _arithmetic("ashr")
    fadd = _arithmetic("fadd")
    fsub = _arithmetic("fsub")
    fmul = _arithmetic("fmul")
    fdiv = _arithmetic("fdiv")
    and_ = _arithmetic("and")
    or_ = _arithmetic("or")
    xor = _arithmetic("xor")

    def neg(self, x: Value) -> Value:
        """-x of integers."""
        return self.sub(Constant(x.type, 0), x)

    def not_(self, x: Value) -> Value:
        """All bits the other way."""
        return self.xor(x, Constant(x.type, -1))

    def fneg(self, x: Value) -> Value:
        """-x of floats."""
        return self._value(x.type, f"fneg {x}")

    def ctlz(self, x: Value, flag: Value) -> Value:
        """How many zeros stand in front; `flag` says that 0 does not occur."""
        name = f"llvm.ctlz.{x.type}"
        kind = FunctionType(x.type, [x.type, flag.type])
        known = self.module.globals.get(name) or Function(self.module, kind, name)
        return self.call(known, [x, flag])

    # --- comparisons and choices

    def _compared(self, how: str, x: Value, y: Value) -> Value:
        lanes = x.type.count if isinstance(x.type, VectorType) else None
        kind = BIT if lanes is None else VectorType(BIT, lanes)
        return self._value(kind, f"{how} {x.type.text} {x.text}, {y.text}")

    def icmp_signed(self, sign: str, x: Value, y: Value) -> Value:
        """Integers compared: `<`, `<=`, `==`, …"""
        left, right = index_of(x), index_of(y)
        if left is not None and right is not None:
            return Constant(BIT, DECIDED[sign](left, right))
        return self._compared(f"icmp {_equality(sign) or 's' + COMPARISONS[sign]}", x, y)

    def icmp_unsigned(self, sign: str, x: Value, y: Value) -> Value:
        """Integers without signs, or addresses, compared."""
        return self._compared(f"icmp {_equality(sign) or 'u' + COMPARISONS[sign]}", x, y)

    def fcmp_ordered(self, sign: str, x: Value, y: Value) -> Value:
        """Floats compared: false where one is NaN. `ord`: none is."""
        return self._compared(f"fcmp {_of_floats('o', sign)}", x, y)

    def fcmp_unordered(self, sign: str, x: Value, y: Value) -> Value:
        """Floats compared: true where one is NaN. `uno`: one is."""
        return self._compared(f"fcmp {_of_floats('u', sign)}", x, y)

    def select(self, condition: Value, x: Value, y: Value, name: str = "") -> Value:
        """x where the condition holds, else y."""
        if type(condition) is Constant and condition.type.text == "i1":
            return x if condition.constant else y
        return self._value(x.type, f"select {condition}, {x}, {y}", name)

    # --- casts

    zext = _cast("zext")
    sext = _cast("sext")
    trunc = _cast("trunc")
    fptrunc = _cast("fptrunc")
    fpext = _cast("fpext")
    bitcast = _cast("bitcast")
    uitofp = _cast("uitofp")
    sitofp = _cast("sitofp")
    fptoui = _cast("fptoui")
    fptosi = _cast("fptosi")
    ptrtoint = _cast("ptrtoint")
    inttoptr = _cast("inttoptr")

    # --- parts

    def extract_element(self, x: Value, place: Value) -> Value:
        """One lane of a vector."""
        assert isinstance(x.type, VectorType)
        return self._value(x.type.element, f"extractelement {x}, {place}")

    def insert_element(self, x: Value, value: Value, place: Value) -> Value:
        """A vector with one lane replaced."""
        return self._value(x.type, f"insertelement {x}, {value}, {place}")

    def shuffle_vector(self, x: Value, y: Value, lanes: Constant) -> Value:
        """Some lanes of two vectors side by side."""
        assert isinstance(x.type, VectorType)
        assert isinstance(lanes.type, VectorType)
        kind = VectorType(x.type.element, lanes.type.count)
        return self._value(kind, f"shufflevector {x}, {y}, {lanes}")

    def extract_value(self, x: Value, place: int) -> Value:
        """One part of a struct."""
        assert isinstance(x.type, LiteralStructType)
        return self._value(x.type.elements[place], f"extractvalue {x}, {place}")

    def insert_value(self, x: Value, value: Value, place: int) -> Value:
        """A struct with one part replaced."""
        return self._value(x.type, f"insertvalue {x}, {value}, {place}")


def _aligned(align: int | None) -> str:
    return "" if align is None else f", align {align}"


def _equality(sign: str) -> str | None:
    return {"==": "eq", "!=": "ne"}.get(sign)


def _of_floats(letter: str, sign: str) -> str:
    if sign in ("ord", "uno"):
        return sign
    return letter + (_equality(sign) or COMPARISONS[sign])
