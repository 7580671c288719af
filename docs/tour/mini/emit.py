"""From loops to LLVM's language, eight numbers at a time. Next: `machine.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import factorial, log

from llvmlite import ir
from mini.graph import Node
from mini.loops import Apply, Expr, Fold, Load, Nest, Variable, loads

LANES = 8
I64, F64, PTR = ir.IntType(64), ir.DoubleType(), ir.PointerType()
EIGHT = ir.VectorType(F64, LANES)


def constant(kind: ir.Type, value: float) -> ir.Constant:
    """A number, in every lane where the type has lanes."""
    return ir.Constant(kind, [value] * LANES if isinstance(kind, ir.VectorType) else value)


ROUND = 1.5 * 2.0**52 + 1023  # so large that x + ROUND has no fraction: its last bits are n + 1023
LN2 = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # ln 2 in two parts


def exp(b: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """e^x = 2^n e^r with x = n ln 2 + r: a series for e^r, and n put into the exponent's bits."""

    def number(value: float) -> ir.Constant:
        return constant(x.type, value)

    x = b.select(b.fcmp_unordered("<", x, number(710)), x, number(710))  # from here on infinite
    x = b.select(b.fcmp_unordered(">", x, number(-709)), x, number(-709))  # and from here on 0
    shifted = b.fadd(b.fmul(x, number(1 / log(2))), number(ROUND))
    n = b.fsub(shifted, number(ROUND))
    r = b.fsub(b.fsub(x, b.fmul(n, number(LN2[0]))), b.fmul(n, number(LN2[1])))
    series = number(1 / factorial(13))
    for power in reversed(range(13)):
        series = b.fadd(b.fmul(series, r), number(1 / factorial(power)))
    whole = I64 if x.type == F64 else ir.VectorType(I64, LANES)
    power_of_two = b.shl(b.bitcast(shifted, whole), constant(whole, 52))
    return b.fmul(series, b.bitcast(power_of_two, x.type))


def maximum(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    """The larger; NaN where either is NaN."""
    return b.select(b.or_(b.fcmp_ordered(">", x, y), b.fcmp_unordered("uno", x, x)), x, y)


# fmt: off
EMIT: dict[str, Callable[..., ir.Value]] = {
    "add":      lambda b, x, y: b.fadd(x, y),
    "subtract": lambda b, x, y: b.fsub(x, y),
    "multiply": lambda b, x, y: b.fmul(x, y),
    "divide":   lambda b, x, y: b.fdiv(x, y),
    "negative": lambda b, x: b.fneg(x),
    "exp":      exp,
    "maximum":  maximum,
    "greater":  lambda b, x, y: b.uitofp(b.fcmp_ordered(">", x, y), x.type),
}
# fmt: on


def slot(b: ir.IRBuilder, first: ir.Value) -> ir.Value:
    """A place on the stack for a value that changes; LLVM turns it into a register."""
    with b.goto_entry_block():
        place = b.alloca(first.type)
    b.store(first, place)
    return place


def repeat(
    b: ir.IRBuilder, stop: ir.Value, body: Callable[[ir.Value], None], start: int = 0, step: int = 1
) -> None:
    """for index in range(start, stop, step): body(index)."""
    counter = slot(b, I64(start))
    head, inside, after = (b.append_basic_block(name) for name in ("head", "body", "after"))
    b.branch(head)
    b.position_at_end(head)
    index = b.load(counter, typ=I64)
    b.cbranch(b.icmp_signed("<", index, stop), inside, after)
    b.position_at_end(inside)
    body(index)
    b.store(b.add(index, I64(step)), counter)
    b.branch(head)
    b.position_at_end(after)


class Emitter:
    """Emits loop nests; `pointers` are the addresses of the values in memory."""

    def __init__(self, builder: ir.IRBuilder, pointers: Mapping[Node, ir.Value]) -> None:
        self.b = builder
        self.pointers = pointers
        self.at: dict[Variable, ir.Value] = {}
        self.known: dict[Expr, ir.Value] = {}
        self.lane: Variable | None = None  # the variable of which eight turns are taken at once

    def nest(self, nest: Nest) -> None:
        """The loops of a nest, and in the innermost the store; one turn where there are no axes."""
        *outer, last = list(filter(None, nest.index)) or [Variable("once", 1)]
        self.loops(outer, lambda: self.innermost(nest, last))

    def innermost(self, nest: Nest, v: Variable) -> None:
        """Eight turns at once where all that is read lies side by side; the rest one by one."""
        beside = all(load.step(v) in (0, 1) for load in loads(nest.value))
        whole = v.extent // LANES * LANES if beside else 0
        self.lane = v
        self.turns(v, range(0, whole, LANES), lambda: self.store(nest))
        self.lane = None
        self.turns(v, range(whole, v.extent), lambda: self.store(nest))

    def loops(self, variables: Sequence[Variable], body: Callable[[], None]) -> None:
        """Loops one inside the other, and inside all of them the body."""
        if not variables:
            body()
            return
        v, *rest = variables
        self.turns(v, range(v.extent), lambda: self.loops(rest, body))

    def turns(self, v: Variable, over: range, body: Callable[[], None]) -> None:
        """A loop; what is made known inside it is forgotten after it."""

        def turn(index: ir.Value) -> None:
            outer, self.known = self.known, dict(self.known)
            self.at[v] = index
            body()
            self.known = outer

        if over:
            repeat(self.b, I64(over.stop), turn, over.start, over.step)

    def value(self, expr: Expr) -> ir.Value:
        """The value of an expression, emitted once."""
        if expr not in self.known:
            self.known[expr] = self.made(expr)
        return self.known[expr]

    def made(self, expr: Expr) -> ir.Value:
        """The instructions for an expression."""
        kind = F64 if self.lane is None else EIGHT
        match expr:
            case Load():
                return self.load(expr)
            case Apply("number", _, number):
                return constant(kind, number)
            case Apply(op, args):
                return EMIT[op](self.b, *map(self.value, args))
            case Fold(over, body):
                total = slot(self.b, constant(kind, 0.0))
                self.loops(list(filter(None, over)), lambda: self.add_to(total, body))
                return self.b.load(total, typ=kind)

    def add_to(self, total: ir.Value, body: Expr) -> None:
        """One turn of a sum."""
        term = self.value(body)
        self.b.store(self.b.fadd(self.b.load(total, typ=term.type), term), total)

    def address(self, place: Load) -> ir.Value:
        """Where in memory an element lies."""
        offset: ir.Value = I64(0)
        for v in filter(None, place.index):
            offset = self.b.add(offset, self.b.mul(self.at[v], I64(place.step(v))))
        return self.b.gep(self.pointers[place.node], [offset], source_etype=F64)

    def load(self, place: Load) -> ir.Value:
        """Eight neighbours, or one number; in all eight lanes where there are lanes."""
        address = self.address(place)
        if self.lane is not None and place.step(self.lane) == 1:
            return self.b.load(address, typ=EIGHT, align=8)
        one = self.b.load(address, typ=F64)
        if self.lane is None:
            return one
        first = self.b.insert_element(ir.Constant(EIGHT, ir.Undefined), one, I64(0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return self.b.shuffle_vector(first, first, zeros)

    def store(self, nest: Nest) -> None:
        """Write the value of a nest where it belongs."""
        value = self.value(nest.value)
        self.b.store(value, self.address(Load(nest.node, nest.index)), align=8)
