"""What attention does row by row: copies of operands, softmax of a strip, dS from P.

Each part is an internal function of the module, called for a tile of rows. Not here: the products
(`llvm_matmul_kernels.py`) and the loops over tiles. Next: `llvm_attention.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kedja.compiler import llvm_ir as ir
from kedja.compiler import llvm_math_exp, llvm_math_log
from kedja.compiler.llvm_blocks import I64, PTR, Index, for_carry, for_range, i64
from kedja.compiler.llvm_math_lanes import Lanes
from kedja.compiler.llvm_matmul_kernels import internal
from kedja.compiler.llvm_matmul_vectors import Vectors
from kedja.ground.errors import VerificationError

Join = Callable[[ir.IRBuilder, ir.Value, ir.Value], ir.Value]
MINUS_INFINITY = float("-inf")


def least(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    """The smaller of two indices."""
    return b.select(b.icmp_signed("<", x, y), x, y)


def add(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    """x + y."""
    return b.fadd(x, y)


def larger(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    """The larger of both; y where one is NaN."""
    return b.select(b.fcmp_ordered(">", x, y), x, y)


def lane_folds(v: Vectors, b: ir.IRBuilder, rows: Sequence[ir.Value], join: Join) -> ir.Value:
    """Lane i of the answer joins all lanes of rows[i]: a butterfly that halves their number."""
    made, h = list(rows), 1
    while h < v.lanes:
        low = [v.lanes + lane - h if lane & h else lane for lane in range(v.lanes)]
        high = [v.lanes + lane if lane & h else lane + h for lane in range(v.lanes)]
        pairs = zip(made[0::2], made[1::2], strict=True)
        made = [join(b, v.pick(b, x, y, low), v.pick(b, x, y, high)) for x, y in pairs]
        h *= 2
    return made[0]


@dataclass(frozen=True)
class RowPart:
    """What the functions of this file share: vectors, and walks along a row of `width`."""

    v: Vectors

    def emit(self, prefix: str) -> ir.Function:
        """Add the function to the module."""
        raise VerificationError(f"{type(self).__name__} has no code of its own")

    def splat_at(self, b: ir.IRBuilder, base: ir.Value, index: Index) -> ir.Value:
        """One element in every lane."""
        return self.v.splat(b, self.v.load_scalar(b, base, index))

    def line(self, b: ir.IRBuilder, base: ir.Value, row: ir.Value, step: int) -> ir.Value:
        """The address of a row."""
        return self.v.at(b, base, b.mul(row, i64(step)))

    def pieces(self, b: ir.IRBuilder, width: int) -> Iterator[tuple[int, ir.Value | None]]:
        """The vectors of a row of known width: where each begins, and its mask."""
        for start in range(0, width, self.v.lanes):
            used = min(self.v.lanes, width - start)
            yield start, self.v.mask(b, used) if used < self.v.lanes else None


@dataclass(frozen=True)
class RowCopy(RowPart):
    """Rows copied to padded ones, times a factor; arguments: from, to, rows.

    Where `inner` is given, the sums over the rows of the products with another operand's rows go
    to a further place; arguments: from, to, rows, other, sums.
    """

    name: str
    width: int
    step: int  # from row to row in memory
    to_step: int
    scale: float = 1.0
    inner: int | None = None  # from row to row of the other operand

    def emit(self, prefix: str) -> ir.Function:
        """Add the function to the module."""
        args = {"source": PTR, "to": PTR, "rows": I64}
        if self.inner is not None:
            args |= {"other": PTR, "sums": PTR}
        b, made = internal(self.v.module, f"{prefix}_{self.name}", args)
        source, to, rows, *more = made.args
        with for_range(b, 0, rows, name="row") as r:
            lines = (self.line(b, source, r, self.step), self.line(b, to, r, self.to_step))
            if self.inner is None:
                self._row(b, *lines)
            else:
                other = self.line(b, more[0], r, self.inner)
                total = self._row(b, *lines, other)
                b.store(self._total(b, total), self.v.at(b, more[1], r))
        b.ret_void()
        return made

    def _row(
        self, b: ir.IRBuilder, source: ir.Value, to: ir.Value, other: ir.Value | None = None
    ) -> ir.Value:
        v = self.v
        total: ir.Value = v.zero
        for start, mask in self.pieces(b, self.width):
            x = v.load(b, source, start, mask)
            if other is not None:
                total = v.multiply_add(b, x, v.load(b, other, start, mask), total)
            if self.scale != 1.0:
                x = b.fmul(x, ir.Constant(v.kind, self.scale))
            v.store(b, to, start, x)
        return total

    def _total(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        """The sum of all lanes, halves first."""
        h = self.v.lanes // 2
        while h:
            others = [(lane + h) % self.v.lanes for lane in range(self.v.lanes)]
            x, h = b.fadd(x, self.v.pick(b, x, x, others)), h // 2
        return b.extract_element(x, i64(0))


@dataclass(frozen=True)
class RowScale(RowPart):
    """Rows in memory, multiplied; arguments: rows' address, number of rows, factors.

    The factor is `scale`, or each row's own where it is None; times 0 is 0, whatever was there.
    """

    name: str
    width: int
    step: int
    scale: float | None

    def emit(self, prefix: str) -> ir.Function:
        """Add the function to the module."""
        args = {"at": PTR, "rows": I64, "factors": PTR}
        b, made = internal(self.v.module, f"{prefix}_{self.name}", args)
        at, rows, factors = made.args
        v = self.v
        with for_range(b, 0, rows, name="row") as r:
            line = self.line(b, at, r, self.step)
            known = None if self.scale is None else ir.Constant(v.kind, self.scale)
            factor = self.splat_at(b, factors, r) if known is None else known
            for start, mask in self.pieces(b, self.width):
                x = v.zero if self.scale == 0 else b.fmul(v.load(b, line, start, mask), factor)
                v.store(b, line, start, x, mask)
        b.ret_void()
        return made


@dataclass(frozen=True)
class Strip(RowPart):
    """Shared by the functions on strips: how far a row reaches that is masked or not."""

    step: int  # from row to row of the strip
    keys: int
    causal: bool
    scale: float  # what the scores are still to be multiplied with

    def scaled(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        """x times the factor that the scores lack."""
        return x if self.scale == 1.0 else b.fmul(x, ir.Constant(self.v.kind, self.scale))

    def allowed(self, b: ir.IRBuilder, row: ir.Value) -> ir.Value:
        """How many keys a query may attend to."""
        if not self.causal:
            return i64(self.keys)
        return least(b, b.add(row, i64(1)), i64(self.keys))

    def whole(self, b: ir.IRBuilder, count: ir.Value) -> ir.Value:
        """The elements of the whole vectors among so many."""
        return b.and_(count, i64(-self.v.lanes))

    def zeros(self, b: ir.IRBuilder, line: ir.Value, start: ir.Value, stop: ir.Value) -> None:
        """Nothing where later products read on."""
        with for_range(b, start, stop, self.v.lanes, name="zero") as at:
            self.v.store(b, line, at, self.v.zero)


@dataclass(frozen=True)
class Softmax(Strip):
    """exp(s − m) in place of the scores s of a tile; 1/Σ and m + log Σ of each row.

    Here s is a score times the (positive) factor that it lacks.

    Arguments: strip, the number of `rows`, `first`, the number of the first, `stop`, up to where
    the strip is read afterwards, peaks, totals, sums (scratch), and out for m + log Σ or null.
    """

    gives_sums: bool = False

    def emit(self, prefix: str) -> ir.Function:
        """Add the function to the module."""
        args = {"strip": PTR, "rows": I64, "first": I64, "stop": I64}
        args |= {"peaks": PTR, "totals": PTR, "sums": PTR, "out": PTR}
        b, made = internal(self.v.module, f"{prefix}_softmax", args)
        strip, rows, first, stop, peaks, totals, sums, out = made.args
        self._each(b, rows, strip, first, lambda line, r, n: self._peak(b, line, r, n, sums))
        self._folded(b, rows, sums, peaks, larger)
        self._each(
            b, rows, strip, first,
            lambda line, r, n: self._powers(b, line, (r, n, stop), peaks, sums),
        )  # fmt: skip
        self._folded(b, rows, sums, totals, add)
        self._finish(b, rows, peaks, totals, out)
        b.ret_void()
        return made

    def _each(
        self,
        b: ir.IRBuilder,
        rows: ir.Value,
        strip: ir.Value,
        first: ir.Value,
        do: Callable[[ir.Value, ir.Value, ir.Value], None],
    ) -> None:
        with for_range(b, 0, rows, name="row") as r:
            do(self.line(b, strip, r, self.step), r, self.allowed(b, b.add(first, r)))

    def _peak(
        self, b: ir.IRBuilder, line: ir.Value, r: ir.Value, count: ir.Value, sums: ir.Value
    ) -> None:
        """The largest score in each lane."""
        v, none = self.v, ir.Constant(self.v.kind, MINUS_INFINITY)
        whole = self.whole(b, count)
        with for_carry(b, 0, whole, [none], v.lanes, name="key") as loop:
            loop.carry(larger(b, v.load(b, line, loop.index), loop.values[0]))
        rest = v.mask(b, b.sub(count, whole))
        last = b.select(rest, v.load(b, line, whole), none)
        v.store(b, sums, b.mul(r, i64(v.lanes)), larger(b, last, loop.results[0]))

    def _powers(
        self,
        b: ir.IRBuilder,
        line: ir.Value,
        place: tuple[ir.Value, ir.Value, ir.Value],
        peaks: ir.Value,
        sums: ir.Value,
    ) -> None:
        """exp(s − m), zeros behind, and their sum in each lane."""
        v, (r, count, stop) = self.v, place
        peak = self.splat_at(b, peaks, r)
        whole = self.whole(b, count)
        with for_carry(b, 0, whole, [v.zero], v.lanes, name="key") as loop:
            power = self._power(b, v.load(b, line, loop.index), peak)
            v.store(b, line, loop.index, power)
            loop.carry(b.fadd(loop.values[0], power))
        rest = v.mask(b, b.sub(count, whole))
        power = b.select(rest, self._power(b, v.load(b, line, whole), peak), v.zero)
        with b.if_then(b.icmp_signed("<", whole, count)):
            v.store(b, line, whole, power)
        self.zeros(b, line, self._after(b, count), stop)
        v.store(b, sums, b.mul(r, i64(v.lanes)), b.fadd(loop.results[0], power))

    def _after(self, b: ir.IRBuilder, count: ir.Value) -> ir.Value:
        return self.whole(b, b.add(count, i64(self.v.lanes - 1)))

    def _power(self, b: ir.IRBuilder, score: ir.Value, peak: ir.Value) -> ir.Value:
        return llvm_math_exp.exp_of_negative(Lanes(b, self.scaled(b, b.fsub(score, peak)))).value

    def _folded(
        self, b: ir.IRBuilder, rows: ir.Value, sums: ir.Value, to: ir.Value, join: Join
    ) -> None:
        """The lanes of each row joined, as many rows at once as there are lanes."""
        v = self.v
        with for_range(b, 0, rows, v.lanes, name="fold") as r:
            lines = [v.load(b, self.line(b, sums, r, v.lanes), i * v.lanes) for i in range(v.lanes)]
            v.store(b, to, r, lane_folds(v, b, lines, join))

    def _finish(
        self, b: ir.IRBuilder, rows: ir.Value, peaks: ir.Value, totals: ir.Value, out: ir.Value
    ) -> None:
        """1/Σ in place of Σ, and m + log Σ."""
        v = self.v
        with for_range(b, 0, rows, v.lanes, name="row") as r:
            total = v.load(b, totals, r)
            v.store(b, totals, r, b.fdiv(ir.Constant(v.kind, 1.0), total))
            if self.gives_sums:
                log = llvm_math_log.log(Lanes(b, total)).value
                mask = v.mask(b, b.sub(rows, r))
                peak = self.scaled(b, v.load(b, peaks, r))
                v.store(b, out, r, b.fadd(log, peak), mask)


@dataclass(frozen=True)
class Change(Strip):
    """P = exp(s − l) in place of the scores, dS = P∘(dP − Σ(g∘y)) in place of dP.

    Arguments: weights, changes (strips), the number of `rows`, `first`, the number of the first,
    `stop`, up to where the strips are read afterwards, l and Σ(g∘y) of the rows.
    """

    def emit(self, prefix: str) -> ir.Function:
        """Add the function to the module."""
        args = {"weights": PTR, "changes": PTR, "rows": I64, "first": I64, "stop": I64}
        args |= {"totals": PTR, "inner": PTR}
        b, made = internal(self.v.module, f"{prefix}_change", args)
        weights, changes, rows, first, stop, totals, inner = made.args
        with for_range(b, 0, rows, name="row") as r:
            lines = [self.line(b, each, r, self.step) for each in (weights, changes)]
            numbers = [self.splat_at(b, each, r) for each in (totals, inner)]
            self._row(b, lines, numbers, self.allowed(b, b.add(first, r)), stop)
        b.ret_void()
        return made

    def _row(
        self,
        b: ir.IRBuilder,
        lines: Sequence[ir.Value],
        numbers: Sequence[ir.Value],
        count: ir.Value,
        stop: ir.Value,
    ) -> None:
        v, whole = self.v, self.whole(b, count)
        with for_range(b, 0, whole, v.lanes, name="key") as at:
            for line, value in zip(lines, self._both(b, lines, numbers, at), strict=True):
                v.store(b, line, at, value)
        with b.if_then(b.icmp_signed("<", whole, count)):
            rest = v.mask(b, b.sub(count, whole))
            for line, value in zip(lines, self._both(b, lines, numbers, whole), strict=True):
                v.store(b, line, whole, b.select(rest, value, v.zero))
        after = self.whole(b, b.add(count, i64(v.lanes - 1)))
        for line in lines:
            self.zeros(b, line, after, stop)

    def _both(
        self,
        b: ir.IRBuilder,
        lines: Sequence[ir.Value],
        numbers: Sequence[ir.Value],
        at: ir.Value,
    ) -> tuple[ir.Value, ir.Value]:
        score, change = (self.v.load(b, line, at) for line in lines)
        score = self.scaled(b, score)
        power = llvm_math_exp.exp_of_negative(Lanes(b, b.fsub(score, numbers[0]))).value
        return power, b.fmul(power, b.fsub(change, numbers[1]))
