"""Products of few rows with a large matrix, as LLVM IR: sums of parts of k, then the sums of these.

    parts    sums[p, r, n] = sum over the part's k of A[r, k] B[k, n]
    product  C[r, n] = epilogue(sum over p of sums[p, r, n])

In a part, k goes up; parts are added in their order. So each element has one order of adding, for
any number of threads and rows. Not here: when that pays (`matmul_parts.py`).
Next: `llvm_matmul.py`. Dimensions: r rows of A, n columns of B, p parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import I64, PTR, Index, as_i64, ask, for_range, function, i64
from kedja.compiler.llvm_half import to_single
from kedja.compiler.llvm_matmul_epilogue import Epilogue, EpilogueSite, Finisher, argument
from kedja.compiler.llvm_matmul_left import share
from kedja.compiler.llvm_matmul_vectors import Vectors
from kedja.compiler.matmul_parts import TOGETHER, PartsPlan
from kedja.ground.dtypes import DType, is_half

LINE = 64  # bytes that are asked for at once


def emit_parts(
    module: ir.Module, name: str, plan: PartsPlan, epilogue: Epilogue | None, out: DType
) -> list[str]:
    """Add both functions to a module; their names. For the arguments see `emit_matmul`."""
    vectors = Vectors(module, plan.shape.dtype, plan.lanes)
    made = _Parts(module, plan, vectors)
    finisher = Finisher(
        vectors, plan, epilogue or _as_it_is, plan.width, Vectors(module, out, plan.lanes)
    )
    symbols = [f"{name}_{phase.suffix}" for phase in plan.phases]
    made.emit(symbols[0])
    made.emit_sums(symbols[1], finisher.emit(name))
    return symbols


def _as_it_is(site: EpilogueSite) -> ir.Value:
    return site.value


@dataclass(frozen=True)
class _Part:
    """One task: its product's operands, and the place of its sums."""

    a: ir.Value
    b: ir.Value
    sums: ir.Value


@dataclass(frozen=True)
class _Parts:
    """The functions, while they are being emitted."""

    module: ir.Module
    plan: PartsPlan
    vectors: Vectors

    # ------------------------------------------------------------------- the sums of one part

    def emit(self, symbol: str) -> None:
        """`symbol(args, task)`: all sums of one part."""
        plan, shape = self.plan, self.plan.shape
        b, made = function(self.module, symbol, {"args": PTR, "task": I64})
        args, task = made.args
        z, number = b.udiv(task, i64(plan.parts)), b.urem(task, i64(plan.parts))
        part = self._part(b, args, z, task)
        with for_range(b, 0, shape.m * plan.width, plan.lanes, name="zero") as at:
            self.vectors.store(b, part.sums, at, self.vectors.zero)
        first, last = (
            b.mul(as_i64(each), i64(TOGETHER)) for each in share(b, number, plan.blocks, plan.parts)
        )
        together = plan.together
        whole = shape.k // together * together
        stop = b.select(b.icmp_signed("<", last, i64(whole)), last, i64(whole))
        with for_range(b, first, stop, together, name="k") as k:
            self._steps(b, part, k, together)
        if shape.k % together:
            with b.if_then(b.icmp_signed("<", stop, last)):
                self._steps(b, part, i64(whole), shape.k % together)
        b.ret_void()

    def _part(self, b: ir.IRBuilder, args: ir.Value, z: ir.Value, task: ir.Value) -> _Part:
        plan, shape = self.plan, self.plan.shape
        pairs = zip(plan.operands, plan.dtypes, (shape.a_batch, shape.b_batch), strict=True)
        a, right = (
            self._stored(dtype).at(b, argument(b, args, number), b.mul(z, i64(batch)))
            for number, dtype, batch in pairs
        )
        at = b.mul(task, i64(shape.m * plan.width))
        return _Part(a, right, self.vectors.at(b, argument(b, args, 3), at))

    def _stored(self, dtype: DType) -> Vectors:
        return Vectors(self.module, dtype, self.plan.lanes)

    def _steps(self, b: ir.IRBuilder, part: _Part, k: ir.Value, count: int) -> None:
        """Some steps of k added to all sums: panels of columns, then the vectors that are left."""
        plan = self.plan
        factors = [
            [self._factor(b, part, r, k, q) for q in range(count)] for r in range(plan.shape.m)
        ]
        rows = self._stored(plan.dtypes[1]).at(b, part.b, b.mul(k, i64(plan.shape.b_strides[0])))
        panel, full = plan.vectors * plan.lanes, plan.shape.n // plan.lanes
        whole = full // plan.vectors * panel
        with for_range(b, 0, whole, panel, name="column") as column:
            self._columns(b, part, rows, factors, column, plan.vectors, None)
        if full % plan.vectors:
            self._columns(b, part, rows, factors, i64(whole), full % plan.vectors, None)
        if plan.tail:
            mask = self.vectors.mask(b, plan.tail)
            self._columns(b, part, rows, factors, i64(full * plan.lanes), 1, mask)

    def _factor(self, b: ir.IRBuilder, part: _Part, row: int, k: ir.Value, q: int) -> ir.Value:
        """A[row, k + q] in all lanes."""
        dtype, (across, along) = self.plan.dtypes[0], self.plan.shape.a_strides
        at = b.add(b.mul(k, i64(along)), i64(row * across + q * along))
        value = self._stored(dtype).load_scalar(b, part.a, at)
        return self.vectors.splat(b, to_single(b, value, dtype) if is_half(dtype) else value)

    def _columns(
        self,
        b: ir.IRBuilder,
        part: _Part,
        rows: ir.Value,
        factors: Sequence[Sequence[ir.Value]],
        column: ir.Value,
        count: int,
        mask: ir.Value | None,
    ) -> None:
        """The steps added to `count` vectors of each row's sums, from a column on."""
        vectors, lanes = self.vectors, self.plan.lanes
        lines = [vectors.at(b, part.sums, r * self.plan.width) for r in range(len(factors))]
        places = [b.add(column, i64(v * lanes)) for v in range(count)]
        sums = [[vectors.load(b, line, place) for place in places] for line in lines]
        for q in range(len(factors[0])):
            row = self._row(b, rows, q)
            read = [self._read(b, row, place, mask) for place in places]
            for r, mine in enumerate(sums):
                factor = factors[r][q]
                sums[r] = [
                    vectors.multiply_add(b, factor, x, s) for x, s in zip(read, mine, strict=True)
                ]
            self._ask(b, rows, q, column, count)
        for line, mine in zip(lines, sums, strict=True):
            for place, value in zip(places, mine, strict=True):
                vectors.store(b, line, place, value)

    def _row(self, b: ir.IRBuilder, rows: ir.Value, q: int) -> ir.Value:
        return self._stored(self.plan.dtypes[1]).at(b, rows, q * self.plan.shape.b_strides[0])

    def _read(
        self, b: ir.IRBuilder, row: ir.Value, at: ir.Value, mask: ir.Value | None
    ) -> ir.Value:
        """A vector of B, widened where it is a half."""
        dtype = self.plan.dtypes[1]
        found = self._stored(dtype).load(b, row, at, mask)
        return to_single(b, found, dtype) if is_half(dtype) else found

    def _ask(self, b: ir.IRBuilder, rows: ir.Value, q: int, column: ir.Value, count: int) -> None:
        """Ask for the same columns of the row that is read in the place of row q next."""
        if not self.plan.asks:
            return
        dtype = self.plan.dtypes[1]
        row = self._row(b, rows, q + TOGETHER)
        for at in range(0, count * self.plan.lanes, LINE // dtype.itemsize):
            place = self._stored(dtype).at(b, row, b.add(column, i64(at)))
            ask(b, self.module, place, level=2)

    # --------------------------------------------------------------------- the sums of all parts

    def emit_sums(self, symbol: str, finish: ir.Function) -> None:
        """`symbol(args, task)`: some columns of C."""
        plan, shape = self.plan, self.plan.shape
        b, made = function(self.module, symbol, {"args": PTR, "task": I64})
        args, task = made.args
        z, piece = b.udiv(task, i64(plan.pieces)), b.urem(task, i64(plan.pieces))
        bounds = share(b, piece, plan.width // plan.lanes, plan.pieces)
        first, last = (b.mul(as_i64(each), i64(plan.lanes)) for each in bounds)
        size = shape.m * plan.width
        sums = self.vectors.at(b, argument(b, args, 3), b.mul(z, i64(plan.parts * size)))
        for r in range(shape.m):
            with for_range(b, first, last, plan.lanes, name="column") as at:
                self._add_up(b, sums, b.add(at, i64(r * plan.width)), size)
        stop = b.select(b.icmp_signed("<", last, i64(shape.n)), last, i64(shape.n))
        begun = self.vectors.at(b, sums, first)
        b.call(finish, [begun, args, z, i64(0), i64(shape.m), first, b.sub(stop, first)])
        b.ret_void()

    def _add_up(self, b: ir.IRBuilder, sums: ir.Value, at: Index, size: int) -> None:
        """One vector of all parts, left in the place of the first part's."""
        total = self.vectors.load(b, sums, at)
        for part in range(1, self.plan.parts):
            place = b.add(as_i64(at), i64(part * size))
            total = b.fadd(total, self.vectors.load(b, sums, place))
        self.vectors.store(b, sums, at, total)
