"""Products of strided views as LLVM IR: convolutions forward and backward, without columns.

A register tile of rows × vectors of channels is summed over the axes of the sum, one loop for
each, and stored, or handed to the epilogue by way of a buffer on the stack. Each element has one
fixed order of summing. The emitted function is `void f(ptr args, i64 task)`; args[0] is the
result, args[1] and args[2] the factors, from FIRST_EXTRA on stands what the epilogue reads.
Not here: the choices (`strided_plan.py`). Next: `codegen.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import I64, PTR, alloca, for_carry, for_range, function, i64
from kedja.compiler.llvm_matmul_epilogue import Epilogue, EpilogueSite, argument
from kedja.compiler.llvm_matmul_kernels import internal
from kedja.compiler.llvm_matmul_vectors import Vectors
from kedja.compiler.strided_plan import StridedPlan
from kedja.ground.dtypes import DType
from kedja.ops.strided_product import Depth

SHORT = 4  # an innermost loop of so few steps is written out
UNROLL = 2  # steps in one round of a longer one


def emit_strided(
    module: ir.Module,
    name: str,
    plan: StridedPlan,
    epilogue: Epilogue | None,
    dtype: DType,
) -> None:
    """Add the function of a product to a module; `dtype` is what the epilogue gives."""
    b, made = function(module, name, {"args": PTR, "task": I64})
    made.attributes.add("nounwind")
    finisher = None
    if epilogue is not None:
        vectors, out = (Vectors(module, d, plan.lanes) for d in (plan.shape.dtype, dtype))
        finisher = _Finisher(vectors, out, plan, epilogue)
    _Task(module, name, plan, finisher, b, *made.args).emit()
    b.ret_void()


class _Task:
    """One task: its share of the register tiles of all pieces, panel by panel."""

    def __init__(
        self,
        module: ir.Module,
        name: str,
        plan: StridedPlan,
        finisher: _Finisher | None,
        b: ir.IRBuilder,
        args: ir.Value,
        task: ir.Value,
    ) -> None:
        self.b, self.name, self.plan, self.args, self.task = b, name, plan, args, task
        self.vectors = Vectors(module, plan.shape.dtype, plan.lanes)
        self.out, self.left, self.right = (argument(b, args, n) for n in range(3))
        self.finisher = finisher
        self.sums = None if finisher is None else self._buffer()
        self.made: dict[object, ir.Function] = {}

    def _buffer(self) -> ir.Value:
        size = max(self.plan.heights) * self.plan.unit * self.plan.vectors * self.plan.lanes
        return alloca(self.b, ir.ArrayType(self.vectors.scalar, size), align=64)

    def emit(self) -> None:
        """Panels outside, so that one panel of the second factor stays in the cache."""
        plan = self.plan
        column_block, row_block = self._divide(self.task, plan.row_blocks)
        tiles = self._part(row_block, plan.shape.pieces * plan.tiles, plan.row_blocks)
        if plan.panels == 1:
            self._panel(i64(0), tiles, True)
            return
        low, high = self._part(column_block, plan.panels, plan.column_blocks)
        with for_range(self.b, low, high, name="panel") as p:
            self._any_panel(p, tiles)

    def _part(self, block: ir.Value, size: int, count: int) -> tuple[ir.Value, ir.Value]:
        """The bounds of one block of things cut into so many."""
        b = self.b
        ends = (b.mul(each, i64(size)) for each in (block, b.add(block, i64(1))))
        low, high = (b.udiv(end, i64(count)) for end in ends)
        return low, high

    def _any_panel(self, p: ir.Value, tiles: tuple[ir.Value, ir.Value]) -> None:
        """Panel p: emitted twice where the last one is not like the others."""
        b, plan = self.b, self.plan
        if plan.tail == 0 and plan.last_vectors == plan.vectors:
            self._panel(p, tiles, False)
            return
        with b.if_else(b.icmp_signed("<", p, i64(plan.panels - 1))) as (inner, last):
            with inner:
                self._panel(p, tiles, False)
            with last:
                self._panel(p, tiles, True)

    def _panel(self, p: ir.Value, tiles: tuple[ir.Value, ir.Value], last: bool) -> None:
        with for_range(self.b, *tiles, name="tile") as t:
            self._tile(t, p, last)

    def _tile(self, t: ir.Value, p: ir.Value, last: bool) -> None:
        """One tile: where it stands, its sums, its epilogue."""
        b, plan = self.b, self.plan
        rest, tile = self._divide(t, plan.cut.count)
        a: ir.Value = i64(plan.shape.starts[0])
        line: ir.Value = i64(0)
        for axis in reversed(plan.outer):
            rest, place = self._divide(rest, axis.extent)
            a = b.add(a, b.mul(place, i64(axis.a)))
            line = b.add(line, b.mul(place, i64(axis.out)))
        step, axis = self._first(tile), plan.shape.rows[len(plan.outer)]
        a = b.add(a, b.mul(step, i64(axis.a)))
        line = b.add(line, b.mul(step, i64(axis.out)))
        self._by_height(tile, lambda height: self._one(rest, a, line, p, (height, last)))

    def _divide(self, index: ir.Value, count: int) -> tuple[ir.Value, ir.Value]:
        if count == 1:
            return index, i64(0)
        return self.b.udiv(index, i64(count)), self.b.urem(index, i64(count))

    def _first(self, tile: ir.Value) -> ir.Value:
        """The first step of a tile along the axis that is cut."""
        b, cut = self.b, self.plan.cut
        step = b.mul(tile, i64(cut.base))
        if not cut.longer:
            return step
        before = b.select(b.icmp_signed("<", tile, i64(cut.longer)), tile, i64(cut.longer))
        return b.add(step, before)

    def _by_height(self, tile: ir.Value, emit: Callable[[int], None]) -> None:
        b, heights = self.b, self.plan.heights
        if len(heights) == 1:
            emit(heights[0])
            return
        with b.if_else(b.icmp_signed("<", tile, i64(self.plan.cut.longer))) as (longer, shorter):
            for place, height in zip((longer, shorter), heights, strict=True):
                with place:
                    emit(height)

    def _one(
        self, piece: ir.Value, a: ir.Value, line: ir.Value, p: ir.Value, kind: tuple[int, bool]
    ) -> None:
        b, plan, vectors = self.b, self.plan, self.vectors
        column = b.mul(p, i64(plan.vectors * plan.lanes))
        first, count = self._share(piece)
        axis = plan.shape.depth[0]
        left = vectors.at(b, self.left, b.add(a, b.mul(first, i64(axis.a))))
        at_b = b.add(i64(plan.shape.starts[1]), b.mul(first, i64(axis.b)))
        right = vectors.at(b, self.right, b.add(at_b, column))
        row = b.add(b.mul(piece, i64(plan.shape.lines)), line)
        at = b.add(b.mul(row, i64(plan.shape.columns)), column)
        out = vectors.at(b, self.out, at) if self.sums is None else self.sums
        b.call(self._kernel(*kind), [left, right, out, count])
        if self.sums is not None:
            height, last = kind
            rows = i64(height * plan.unit)
            width = plan.shape.columns - (plan.panels - 1) * plan.vectors * plan.lanes
            columns = i64(width if last else plan.vectors * plan.lanes)
            b.call(self._finish(), [self.sums, self.args, row, rows, column, columns])

    def _share(self, piece: ir.Value) -> tuple[ir.Value, ir.Value]:
        """The first step of a piece along the first axis of the sum, and how many it has."""
        b, shape = self.b, self.plan.shape
        if shape.pieces == 1:
            return i64(0), i64(shape.depth[0].extent)
        low, high = self._part(piece, shape.depth[0].extent, shape.pieces)
        return low, b.sub(high, low)

    def _kernel(self, height: int, last: bool) -> ir.Function:
        key = (height, last)
        if key not in self.made:
            plan = self.plan
            count = plan.last_vectors if last else plan.vectors
            tail = plan.tail if last else 0
            stride = plan.shape.columns if self.sums is None else plan.vectors * plan.lanes
            tile = _Tile(self.vectors, plan, height, count, tail, stride, self.sums is None)
            self.made[key] = tile.emit(f"{self.name}_{height}{'_last' * last}")
        return self.made[key]

    def _finish(self) -> ir.Function:
        assert self.finisher is not None
        if "finish" not in self.made:
            self.made["finish"] = self.finisher.emit(self.name)
        return self.made["finish"]


@dataclass(frozen=True)
class _Tile:
    """A function (a, b, out, count) that sums one register tile; `count` steps along the first
    axis of the sum."""

    vectors: Vectors
    plan: StridedPlan
    height: int
    count: int  # vectors
    tail: int
    stride: int  # of out, from row to row
    mask_out: bool

    def emit(self, name: str) -> ir.Function:
        """Add the function to the module."""
        b, made = internal(self.vectors.module, name, {"a": PTR, "b": PTR, "out": PTR, "n": I64})
        left, right, out, count = made.args
        places = self.plan.row_places(self.height)
        zeros = [self.vectors.zero] * (len(places) * self.count)
        first, *rest = self.plan.shape.depth
        known = i64(first.extent) if self.plan.shape.pieces == 1 else count
        sums = self._loop(b, (left, right), zeros, (first, known), rest)
        for n, value in enumerate(sums):
            row, v = divmod(n, self.count)
            mask = self._mask(b, v) if self.mask_out else None
            at = places[row][1] * self.stride + v * self.vectors.lanes
            self.vectors.store(b, out, at, value, mask)
        b.ret_void()
        return made

    def _mask(self, b: ir.IRBuilder, v: int) -> ir.Value | None:
        return self.vectors.mask(b, self.tail) if self.tail and v == self.count - 1 else None

    def _loop(
        self,
        b: ir.IRBuilder,
        at: tuple[ir.Value, ir.Value],
        sums: list[ir.Value],
        axis: tuple[Depth, ir.Value],
        rest: Sequence[Depth],
    ) -> list[ir.Value]:
        """The sums after one axis and those inside it."""
        depth, count = axis
        if rest:
            with for_carry(b, 0, count, [*at, *sums], name="k") as loop:
                here = (loop.values[0], loop.values[1])
                inner = (rest[0], i64(rest[0].extent))
                made = self._loop(b, here, loop.values[2:], inner, rest[1:])
                loop.carry(*self._moved(b, here, depth, 1), *made)
            return loop.results[2:]
        if isinstance(count, ir.Constant):
            return self._innermost(b, at, sums, depth)
        with for_carry(b, 0, count, [*at, *sums], name="k") as loop:
            here = (loop.values[0], loop.values[1])
            loop.carry(
                *self._moved(b, here, depth, 1), *self._step(b, here, loop.values[2:], 0, depth)
            )
        return loop.results[2:]

    def _innermost(
        self, b: ir.IRBuilder, at: tuple[ir.Value, ir.Value], sums: list[ir.Value], depth: Depth
    ) -> list[ir.Value]:
        """Rounds of UNROLL steps and what is left over; all of them written out if few."""
        rounds = 0 if depth.extent <= SHORT else depth.extent // UNROLL
        if rounds:
            with for_carry(b, 0, rounds, [*at, *sums], name="k") as loop:
                here, made = (loop.values[0], loop.values[1]), loop.values[2:]
                for step in range(UNROLL):
                    made = self._step(b, here, made, step, depth)
                loop.carry(*self._moved(b, here, depth, UNROLL), *made)
            at, sums = (loop.results[0], loop.results[1]), loop.results[2:]
        for step in range(depth.extent - rounds * UNROLL):
            sums = self._step(b, at, sums, step, depth)
        return sums

    def _moved(
        self, b: ir.IRBuilder, at: tuple[ir.Value, ir.Value], depth: Depth, steps: int
    ) -> tuple[ir.Value, ir.Value]:
        left, right = at
        return (
            self.vectors.at(b, left, steps * depth.a),
            self.vectors.at(b, right, steps * depth.b),
        )

    def _step(
        self,
        b: ir.IRBuilder,
        at: tuple[ir.Value, ir.Value],
        sums: Sequence[ir.Value],
        step: int,
        depth: Depth,
    ) -> list[ir.Value]:
        """sums[r, v] + a[r]·b[v] at one place of the sum."""
        vectors, lanes = self.vectors, self.vectors.lanes
        left, right = at
        line = [
            vectors.load(b, right, step * depth.b + v * lanes, self._mask(b, v))
            for v in range(self.count)
        ]
        made = []
        for r, (place, _) in enumerate(self.plan.row_places(self.height)):
            x = vectors.splat(b, vectors.load_scalar(b, left, place + step * depth.a))
            before = sums[r * self.count : (r + 1) * self.count]
            made += [vectors.multiply_add(b, x, y, s) for y, s in zip(line, before, strict=True)]
        return made


@dataclass(frozen=True)
class _Finisher:
    """A function that maps one tile of sums by the epilogue and stores it."""

    vectors: Vectors
    out: Vectors
    plan: StridedPlan
    epilogue: Epilogue

    def emit(self, name: str) -> ir.Function:
        """Add the function to the module: (sums, args, row, rows, column, columns)."""
        names = ("row", "rows", "column", "columns")
        args = {"sums": PTR, "args": PTR} | dict.fromkeys(names, I64)
        b, made = internal(self.vectors.module, f"{name}_finish", args)
        sums, given, row, rows, column, columns = made.args
        with for_range(b, 0, rows, name="row") as r:
            at = b.mul(r, i64(self.plan.vectors * self.plan.lanes))
            line = self.vectors.at(b, sums, at)
            self._row(b, line, given, (b.add(row, r), column, columns))
        b.ret_void()
        return made

    def _row(
        self, b: ir.IRBuilder, line: ir.Value, args: ir.Value, place: tuple[ir.Value, ...]
    ) -> None:
        """Whole vectors, then the masked one."""
        row, column, columns = place
        lanes, tail = self.vectors.lanes, self.plan.tail
        whole = b.and_(columns, i64(-lanes))
        if self.plan.shape.columns >= lanes:
            with for_range(b, 0, whole, lanes, name="column") as at:
                self._site(b, line, at, args, (row, column, None))
        if tail:
            with b.if_then(b.icmp_signed("<", whole, columns)):
                mask = self.vectors.mask(b, tail)
                self._site(b, line, whole, args, (row, column, mask))

    def _site(
        self,
        b: ir.IRBuilder,
        line: ir.Value,
        at: ir.Value,
        args: ir.Value,
        place: tuple[ir.Value, ir.Value, ir.Value | None],
    ) -> None:
        row, first, mask = place
        column = b.add(first, at)
        value = self.vectors.load(b, line, at, mask)
        site = EpilogueSite(b, self.vectors, args, value, i64(0), row, column, mask, False)
        answer = self.epilogue(site)
        to = b.add(b.mul(row, i64(self.plan.shape.columns)), column)
        self.out.store(b, argument(b, args, 0), to, answer, mask)
