"""Expressions of a loop nest as LLVM values: loads, arithmetic, choices, index arithmetic.

While one variable is vectorised, what depends on it is a vector and all else a scalar. Values
that do not depend on an inner loop are emitted before it. Not here: the loops themselves
(`llvm_kernel.py`) and folds (`llvm_fold.py`). Next: `llvm_kernel.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from kedja.compiler import llvm_ir as ir
from kedja.compiler.indices import Affine, Atom, Lookup, Quotient, Variable
from kedja.compiler.llvm_blocks import I1, I32, I64, PTR, declare, element, i64
from kedja.compiler.llvm_half import from_arithmetic
from kedja.compiler.llvm_lanes import load_lanes, store_lanes, suffix
from kedja.compiler.llvm_scalar import Scalars, memory_type, number, register_type
from kedja.compiler.llvm_segments import Segment, decided
from kedja.compiler.loops import (
    Apply,
    Choose,
    Expr,
    Fold,
    Guard,
    Guards,
    Load,
    Number,
    Place,
    Result,
    always,
    walk,
)
from kedja.ground.dtypes import DType, bool_, float32, int64, is_half
from kedja.ground.errors import VerificationError
from kedja.ir.graph import Node
from kedja.ir.op import Pointwise

# Ops on float32 whose results are no denormal numbers, since compiled programs flush those.
ARITHMETIC = ("add", "subtract", "multiply", "divide")
LARGEST_I32 = 2**31 - 1


class Vector(NamedTuple):
    """The variable that is vectorised just now: how many lanes, and which of them count."""

    variable: Variable
    lanes: int
    mask: ir.Value | None = None


class Values:
    """Emits expressions into a builder; subclasses add folds and loops.

    `pointer(node)` is the address of a value in memory; `result` the sums of a product whose
    epilogue is being emitted.
    """

    def __init__(
        self,
        builder: ir.IRBuilder,
        pointer: Callable[[Node], ir.Value],
        result: ir.Value | None = None,
    ) -> None:
        self.b = builder
        self.pointer = pointer
        self.result = result
        self.at: dict[Variable, ir.Value] = {}
        self.vector: Vector | None = None
        self.segment: Segment | None = None  # in which the vector's variable is just now
        self.granted: frozenset[Guard] = frozenset()  # by the bounds of the loops around
        self._scopes: list[dict[Expr, ir.Value]] = [{}]
        self._lookups: dict[Lookup, Expr] = {}

    def know(self, roots: Sequence[Expr]) -> None:
        """Note the expressions behind the lookups inside index arithmetic."""
        for expr in walk(roots):
            if isinstance(expr, Load | Place | Choose):
                self._lookups.update(expr.lookups)

    # --- scopes: a value emitted in a loop's body is known only there

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Values emitted inside are forgotten at the end."""
        self._scopes.append({})
        try:
            yield
        finally:
            self._scopes.pop()

    @contextmanager
    def vectorised(self, vector: Vector | None) -> Iterator[None]:
        """Inside, expressions that depend on the vector's variable have lanes."""
        outer, self.vector = self.vector, vector
        try:
            with self.scope():
                yield
        finally:
            self.vector = outer

    @contextmanager
    def granting(self, guards: Guards) -> Iterator[None]:
        """Inside, these guards hold."""
        outer, self.granted = self.granted, self.granted | frozenset(guards)
        try:
            yield
        finally:
            self.granted = outer

    def hoist(self, roots: Iterable[Expr]) -> None:
        """Emit now what does not depend on loops that are still to come."""
        ready = set(self.at)
        todo, seen = list(roots)[::-1], set()  # in order: later roots build on earlier ones
        while todo:
            expr = todo.pop()
            if expr in seen or isinstance(expr, Number | Result):
                continue
            seen.add(expr)
            if expr.variables <= ready and not self._needs_result(expr):
                self.value(expr)
            else:
                todo.extend(expr.parts)

    def _needs_result(self, expr: Expr) -> bool:
        return self.result is not None and any(isinstance(e, Result) for e in walk([expr]))

    def value(self, expr: Expr) -> ir.Value:
        """The value of an expression here; emitted once in each scope."""
        for known in reversed(self._scopes):
            if expr in known:
                return known[expr]
        made = self._emit(expr)
        self._scopes[-1][expr] = made
        return made

    def _emit(self, expr: Expr) -> ir.Value:
        match expr:
            case Number():
                return number(expr.dtype, expr.value)
            case Place():
                return self._place(expr)
            case Load():
                return self._load(expr)
            case Apply():
                return self._apply(expr)
            case Choose():
                return self._choose(expr)
            case Fold():
                return self.fold(expr)
            case Result() if self.result is not None:
                return self.result
        raise VerificationError(f"no code for {type(expr).__name__} here")

    def fold(self, expr: Fold) -> ir.Value:
        """The value of a reduction: only kernels with loops have them."""
        raise VerificationError(f"a {expr.op.name} inside an epilogue")

    # --- arithmetic

    def _apply(self, expr: Apply) -> ir.Value:
        args = self.alike([self.value(arg) for arg in expr.args])
        assert isinstance(expr.op.lowering, Pointwise)
        if expr.op.name == "cast" and is_half(expr.dtype) and _is_arithmetic(expr.args[0]):
            return from_arithmetic(self.b, args[0], expr.dtype)
        dtype = expr.args[-1].dtype if expr.op.name == "where" else expr.args[0].dtype
        scalars = Scalars(self.b, dtype, expr.dtype, args[0])
        made: ir.Value = expr.op.lowering.emit(scalars, *args, **expr.attrs)
        self._retake(scalars.b)
        return made

    def _retake(self, builder: ir.IRBuilder) -> None:
        """Go on where an emitter has stopped (it may have opened blocks)."""
        if builder is not self.b:
            self.b.position_at_end(builder.block)

    def alike(self, values: Sequence[ir.Value]) -> list[ir.Value]:
        """Scalars spread over lanes where any of the values has them."""
        lanes = next((v.type.count for v in values if isinstance(v.type, ir.VectorType)), None)
        return [v if lanes is None else self.spread(v, lanes) for v in values]

    def spread(self, value: ir.Value, lanes: int) -> ir.Value:
        """One value in every lane."""
        if isinstance(value.type, ir.VectorType):
            return value
        kind = ir.VectorType(value.type, lanes)
        if isinstance(value, ir.Constant):
            return ir.Constant(kind, value.constant)
        empty = ir.Constant(kind, ir.Undefined)
        first = self.b.insert_element(empty, value, ir.Constant(I32, 0))
        zeros = ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
        return self.b.shuffle_vector(first, empty, zeros)

    def _choose(self, expr: Choose) -> ir.Value:
        made: ir.Value = number(expr.dtype, expr.fill)
        for guards, alternative in reversed(expr.alternatives):
            known = self._decided(guards)
            if known is not None:
                made = self.value(alternative) if known else made
                continue
            holds, yes, no = self.condition(guards), self.value(alternative), made
            if holds is None:
                made = yes
                continue
            holds, yes, no = self.alike([holds, yes, no])
            made = self.b.select(holds, yes, no)
        return made

    def condition(self, guards: Guards) -> ir.Value | None:
        """Whether all guards hold: a truth, or one for each lane; None if they always do."""
        total = None
        for guard in guards:
            if always(guard) or self._decided((guard,)):
                continue
            ends = [i64(guard.low), i64(guard.high)]
            place, low, high = self.alike([self.index(guard.place), *ends])
            inside = self.b.and_(
                self.b.icmp_signed(">=", place, low), self.b.icmp_signed("<", place, high)
            )
            total = inside if total is None else self.b.and_(*self.alike([total, inside]))
        return total

    def _decided(self, guards: Guards) -> bool | None:
        """Whether guards are known to hold here (True), or not to (False); None if it depends."""
        left = tuple(guard for guard in guards if guard not in self.granted)
        return True if guards and not left else decided(left, self.segment)

    # --- index arithmetic, in int64

    def _place(self, expr: Place) -> ir.Value:
        return Scalars(self.b, int64, expr.dtype).cast(self.index(expr.index))

    def index(self, e: Affine) -> ir.Value:
        """The value of an index expression; lanes where it depends on the vector's variable."""
        total: ir.Value | None = None
        for atom, factor in e.terms:
            term = self._atom(atom)
            if factor != 1:
                term = self.b.mul(*self.alike([term, i64(factor)]))
            total = term if total is None else self.b.add(*self.alike([total, term]))
        if total is None:
            return i64(e.offset)
        return self.b.add(*self.alike([total, i64(e.offset)])) if e.offset else total

    def _atom(self, atom: Atom) -> ir.Value:
        if isinstance(atom, Variable):
            return self._variable(atom)
        if isinstance(atom, Lookup):
            return self._looked_up(atom)
        of, by = self.alike([self.index(atom.of), i64(atom.by)])
        divide = isinstance(atom, Quotient)
        low, high = atom.of.bounds()
        if low < 0 or high > LARGEST_I32 or not isinstance(of.type, ir.VectorType):
            return self.b.sdiv(of, by) if divide else self.b.srem(of, by)
        return self._narrow_division(of, atom.by, divide)

    def _narrow_division(self, of: ir.Value, by: int, divide: bool) -> ir.Value:
        """In 32 bits, where vectors divide by a constant quickly."""
        kind = ir.VectorType(I32, of.type.count)
        small = self.b.trunc(of, kind)
        emit = self.b.udiv if divide else self.b.urem
        return self.b.zext(emit(small, ir.Constant(kind, by)), of.type)

    def _variable(self, variable: Variable) -> ir.Value:
        base = self.at[variable]
        if self.vector is None or variable != self.vector.variable:
            return base
        lanes = self.vector.lanes
        steps = ir.Constant(ir.VectorType(I64, lanes), list(range(lanes)))
        return self.b.add(self.spread(base, lanes), steps)

    def _looked_up(self, lookup: Lookup) -> ir.Value:
        expr = self._lookups[lookup]
        place = Scalars(self.b, expr.dtype, int64).cast(self.value(expr))
        return self.held(place, lookup.extent)

    def held(self, place: ir.Value, extent: int) -> ir.Value:
        """An index held inside 0 … extent − 1, so that no data can lead outside a value."""
        scalars = Scalars(self.b, int64, int64)
        above = scalars.maximum(place, scalars.constant(0, place))
        return scalars.minimum(above, scalars.constant(max(0, extent - 1), place))

    def step(self, e: Affine) -> int | None:
        """How far an index moves from lane to lane; None where it is not by equal steps."""
        return 0 if self.vector is None else e.coefficient(self.vector.variable)

    def base(self, e: Affine) -> ir.Value:
        """The value of an index in the first lane."""
        if self.vector is None or self.vector.variable not in e.variables:
            return self.index(e)
        first, self.vector = self.vector, None
        try:
            with self.scope():
                return self.index(e)
        finally:
            self.vector = first

    # --- memory

    def _load(self, expr: Load) -> ir.Value:
        if expr.node.type.size == 0:
            return ir.Constant(register_type(expr.dtype), 0)
        leaves = expr.leaves_buffer and not self._decided(expr.guards)
        holds = self.condition(expr.guards) if leaves else None
        step = self.step(expr.offset)
        if step == 0 and (holds is None or not isinstance(holds.type, ir.VectorType)):
            return self._load_one(expr, holds)
        if step in (1, 2) and not (leaves and holds is None):
            load = self._load_lanes if step == 1 else self._load_every_second
            return load(expr, self.base(expr.offset), self._mask(holds))
        return self._gather(expr, holds)

    def _load_one(self, expr: Load, holds: ir.Value | None) -> ir.Value:
        offset = self.base(expr.offset)
        if holds is not None:
            offset = self.b.select(holds, offset, i64(0))
        elif expr.leaves_buffer:
            offset = self.held(offset, expr.node.type.size)
        kind = memory_type(expr.dtype)
        address = element(self.b, self.pointer(expr.node), offset, kind)
        return self._into_register(
            self.b.load(address, typ=kind, align=expr.dtype.itemsize), expr.dtype
        )

    def _mask(self, holds: ir.Value | None) -> ir.Value | None:
        """The lanes that may be touched: inside the loop, and where the guards hold."""
        assert self.vector is not None
        if holds is None:
            return self.vector.mask
        holds = self.spread(holds, self.vector.lanes)
        return holds if self.vector.mask is None else self.b.and_(holds, self.vector.mask)

    def _load_lanes(self, expr: Load, offset: ir.Value, mask: ir.Value | None) -> ir.Value:
        assert self.vector is not None
        scalar = memory_type(expr.dtype)
        kind = ir.VectorType(scalar, self.vector.lanes)
        address = element(self.b, self.pointer(expr.node), offset, scalar)
        loaded = load_lanes(self.b, kind, address, expr.dtype.itemsize, mask)
        return self._into_register(loaded, expr.dtype)

    def _load_every_second(self, expr: Load, offset: ir.Value, mask: ir.Value | None) -> ir.Value:
        """Two vectors side by side, of which every second element is taken.

        They share an element, so that the last one is also the last that is wanted.
        """
        assert self.vector is not None
        lanes = self.vector.lanes
        halves = []
        for start in (0, lanes - 1):
            place = self.b.add(offset, i64(start))
            halves.append(self._load_lanes(expr, place, self._stretched(mask, start)))
        picks = [2 * lane if 2 * lane < lanes else 2 * lane + 1 for lane in range(lanes)]
        left, right = halves
        return self.b.shuffle_vector(left, right, ir.Constant(ir.VectorType(I32, lanes), picks))

    def _stretched(self, mask: ir.Value | None, first: int) -> ir.Value | None:
        """The mask of neighbouring elements from `first` on, of which lanes want every second."""
        if mask is None:
            return None
        lanes = mask.type.count
        wanted = [e // 2 if e % 2 == 0 else lanes for e in range(first, first + lanes)]
        none = ir.Constant(mask.type, 0)
        return self.b.shuffle_vector(mask, none, ir.Constant(ir.VectorType(I32, lanes), wanted))

    def _gather(self, expr: Load, holds: ir.Value | None) -> ir.Value:
        assert self.vector is not None
        lanes, size = self.vector.lanes, expr.dtype.itemsize
        offsets = self.spread(self.index(expr.offset), lanes)
        if expr.leaves_buffer and holds is None:
            offsets = self.held(offsets, expr.node.type.size)
        mask = self._mask(holds)
        if mask is None:
            mask = ir.Constant(ir.VectorType(I1, lanes), 1)
        start = self.b.ptrtoint(self.pointer(expr.node), I64)
        bytes_ = self.b.mul(offsets, ir.Constant(offsets.type, size)) if size > 1 else offsets
        places = self.b.add(self.spread(start, lanes), bytes_)
        pointers = self.b.inttoptr(places, ir.VectorType(PTR, lanes))
        kind = ir.VectorType(memory_type(expr.dtype), lanes)
        name = f"llvm.masked.gather.{suffix(kind)}.v{lanes}p0"
        made = declare(self.b.module, name, [pointers.type, I32, mask.type, kind], kind)
        loaded = self.b.call(made, [pointers, ir.Constant(I32, size), mask, ir.Constant(kind, 0)])
        return self._into_register(loaded, expr.dtype)

    def _into_register(self, value: ir.Value, dtype: DType) -> ir.Value:
        if dtype != bool_:
            return value
        return self.b.icmp_unsigned("!=", value, ir.Constant(value.type, 0))

    def store(self, node: Node, offset: Affine, value: ir.Value) -> None:
        """Write one element, or the lanes that count."""
        if node.dtype == bool_:
            byte = ir.IntType(8)
            lanes = value.type.count if isinstance(value.type, ir.VectorType) else None
            value = self.b.zext(value, byte if lanes is None else ir.VectorType(byte, lanes))
        scalar, size = memory_type(node.dtype), node.dtype.itemsize
        address = element(self.b, self.pointer(node), self.base(offset), scalar)
        if self.vector is None:
            self.b.store(value, address, align=size)
            return
        value = self.spread(value, self.vector.lanes)
        store_lanes(self.b, value, address, size, self.vector.mask)


def _is_arithmetic(expr: Expr) -> bool:
    """Whether an expression is a float32 that was just computed, and not only read or moved."""
    computed = isinstance(expr, Apply) and expr.op.name in ARITHMETIC
    return expr.dtype == float32 and (computed or isinstance(expr, Result))
