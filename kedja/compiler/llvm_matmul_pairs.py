"""The instructions and the packing of products in pairs of bfloat16.

    pair  32 bits: X[2j] below X[2j + 1], both bfloat16; moved about as one lane of float32

Memory holds bfloat16, or float32 that is rounded here to the nearest, to even. Along k, neighbours
in memory are pairs already; across k, two rows are interleaved. Past an odd k stand zeros.
Not here: when that pays and how it is planned (`matmul_pairs.py`), nor the loops around it.
Next: `llvm_matmul.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import I16, I64, PTR, declare, for_range, i64
from kedja.compiler.llvm_half import BRAIN
from kedja.compiler.llvm_matmul_kernels import Dot, internal
from kedja.compiler.llvm_matmul_vectors import Vectors
from kedja.compiler.matmul_pairs import LANES
from kedja.ground.dtypes import DType, bfloat16, float32


@dataclass(frozen=True)
class PairVectors(Vectors):
    """Vectors of pairs: `multiply_add` adds both products of a pair to a float32 sum."""

    unroll: ClassVar[int] = 1

    def multiply_add(self, b: ir.IRBuilder, x: ir.Value, y: ir.Value, total: ir.Value) -> ir.Value:
        """`total + x[0] y[0] + x[1] y[1]` for the pairs x and y."""
        wide = ir.VectorType(BRAIN, 2 * self.lanes)
        name = f"llvm.x86.avx512bf16.dpbf16ps.{32 * self.lanes}"
        dot = declare(self.module, name, [self.kind, wide, wide], self.kind)
        return b.call(dot, [total, b.bitcast(x, wide), b.bitcast(y, wide)])


@dataclass(frozen=True)
class PairReader:
    """Reads vectors of `lanes` pairs from an operand that stands in memory as `dtype`."""

    module: ir.Module
    dtype: DType
    lanes: int

    @property
    def pairs(self) -> Vectors:
        """Pairs in registers, and where they are packed."""
        return Vectors(self.module, float32, self.lanes)

    @property
    def source(self) -> Vectors:
        """As many elements of the operand."""
        return Vectors(self.module, self.dtype, self.lanes)

    def along(self, b: ir.IRBuilder, at: ir.Value, count: int) -> ir.Value:
        """The pairs of `count` neighbours along k, zeros past them."""
        if self.dtype == bfloat16:
            both = replace(self.source, lanes=2 * self.lanes)
            mask = both.mask(b, count) if count < both.lanes else None
            return b.bitcast(both.load(b, at, 0, mask), self.pairs.kind)
        halves = [self._up_to(b, at, first, count - first) for first in (0, self.lanes)]
        return b.bitcast(self._round(b, *halves), self.pairs.kind)

    def _up_to(self, b: ir.IRBuilder, at: ir.Value, first: int, count: int) -> ir.Value:
        """A vector from `first` on, of which `count` elements are there."""
        source = self.source
        if count <= 0:
            return source.zero
        mask = source.mask(b, count) if count < self.lanes else None
        return source.load(b, at, first, mask)

    def across(
        self, b: ir.IRBuilder, at: ir.Value, step: int | None, mask: ir.Value | None
    ) -> ir.Value:
        """The pairs of two rows, the second `step` elements on; of one row where that is None."""
        source = self.source
        below = source.load(b, at, 0, mask)
        above = source.zero if step is None else source.load(b, at, step, mask)
        order = [lane // 2 + lane % 2 * self.lanes for lane in range(2 * self.lanes)]
        if self.dtype == bfloat16:
            return b.bitcast(self.source.pick(b, below, above, order), self.pairs.kind)
        rounded = b.bitcast(self._round(b, below, above), ir.VectorType(I16, 2 * self.lanes))
        return b.bitcast(self.source.pick(b, rounded, rounded, order), self.pairs.kind)

    def _round(self, b: ir.IRBuilder, below: ir.Value, above: ir.Value) -> ir.Value:
        """Two vectors of float32 as one of bfloat16."""
        kind, wide = self.source.kind, ir.VectorType(BRAIN, 2 * self.lanes)
        name = f"llvm.x86.avx512bf16.cvtne2ps2bf16.{32 * self.lanes}"
        return b.call(declare(self.module, name, [kind, kind], wide), [above, below])


@dataclass(frozen=True)
class PairDot(Dot):
    """One row of A times `columns` columns of B, both contiguous along k, read where they stand."""

    left: PairReader
    right: PairReader

    @property
    def per_vector(self) -> int:
        """Steps of k that one vector holds: two for each lane."""
        return 2 * self.vectors_of.lanes

    def _step(
        self,
        b: ir.IRBuilder,
        place: tuple[ir.Value, ir.Value, ir.Value],
        columns: Sequence[int],
        sums: Sequence[ir.Value],
        count: int,
    ) -> list[ir.Value]:
        x, y, k = place
        left = self.left.along(b, self.left.source.at(b, x, k), count)
        base = self.right.source.at(b, y, k)
        made = []
        for column, total in zip(columns, sums, strict=True):
            at = self.right.source.at(b, base, column * self.b_stride)
            right = self.right.along(b, at, count)
            made.append(self.vectors_of.multiply_add(b, left, right, total))
        return made


@dataclass(frozen=True)
class PairPanelPacker:
    """A function that packs one panel of B: pair after pair, the row of its columns.

    The function's arguments: b (at the panel's first column) and out.
    """

    reader: PairReader
    vectors: int
    strides: tuple[int, int]
    tail: int  # the used lanes of the last vector; 0 if all are
    k: int

    @property
    def width(self) -> int:
        """Pairs in a row of the panel."""
        return self.vectors * self.reader.lanes

    def emit(self, prefix: str) -> ir.Function:
        """Add the function to the module."""
        name = f"{prefix}_pack_{self.vectors}{'_tail' if self.tail else ''}"
        b, made = internal(self.reader.module, name, {"b": PTR, "out": PTR})
        pack = self._interleave if self.strides[1] == 1 else self._transpose
        pack(b, *made.args)
        b.ret_void()
        return made

    def _interleave(self, b: ir.IRBuilder, source: ir.Value, out: ir.Value) -> None:
        """B row-major: two rows side by side."""
        with for_range(b, 0, self.k // 2, name="pair") as j:
            self._row(b, source, out, j, self.strides[0])
        if self.k % 2:
            self._row(b, source, out, i64(self.k // 2), None)

    def _row(
        self, b: ir.IRBuilder, source: ir.Value, out: ir.Value, j: ir.Value, step: int | None
    ) -> None:
        reader = self.reader
        line = reader.source.at(b, source, b.mul(j, i64(2 * self.strides[0])))
        to = reader.pairs.at(b, out, b.mul(j, i64(self.width)))
        for v in range(self.vectors):
            used = self.tail if self.tail and v == self.vectors - 1 else reader.lanes
            mask = reader.source.mask(b, used) if used < reader.lanes else None
            at = reader.source.at(b, line, v * reader.lanes)
            reader.pairs.store(b, to, v * reader.lanes, reader.across(b, at, step, mask))

    def _transpose(self, b: ir.IRBuilder, source: ir.Value, out: ir.Value) -> None:
        """B stored transposed: square blocks of pairs, turned in registers."""
        side = replace(self.reader, lanes=LANES // 2)
        used = self.width - (self.reader.lanes - self.tail if self.tail else 0)
        for start, stop, inside in _runs(used, self.width, side.lanes):
            with for_range(b, start, stop, side.lanes, name="column") as column:
                self._column_block(b, side, (source, out, column), inside)

    def _column_block(
        self,
        b: ir.IRBuilder,
        side: PairReader,
        place: tuple[ir.Value, ir.Value, ir.Value],
        inside: int,
    ) -> None:
        """All pairs of some columns, of which B has the first `inside`."""
        step = 2 * side.lanes
        with for_range(b, 0, self.k // step * side.lanes, side.lanes, name="pair") as j:
            self._block(b, side, (*place, j), inside, step)
        if self.k % step:
            self._block(b, side, (*place, i64(self.k // step * side.lanes)), inside, self.k % step)

    def _block(
        self,
        b: ir.IRBuilder,
        side: PairReader,
        place: tuple[ir.Value, ir.Value, ir.Value, ir.Value],
        inside: int,
        count: int,
    ) -> None:
        """One block from pair j on, with `count` steps of k."""
        source, out, column, j = place
        pairs = side.pairs
        first = b.add(b.mul(column, i64(self.strides[1])), b.mul(j, i64(2)))
        at = side.source.at(b, source, first)
        read = [
            side.along(b, side.source.at(b, at, i * self.strides[1]), count) for i in range(inside)
        ]
        rows = pairs.transpose(b, read + [pairs.zero] * (side.lanes - inside)) if read else []
        to = pairs.at(b, out, b.add(column, b.mul(j, i64(self.width))))
        for i in range(-(-count // 2)):
            pairs.store(b, to, i * self.width, rows[i] if rows else pairs.zero)


def _runs(used: int, width: int, side: int) -> list[tuple[int, int, int]]:
    """Runs of columns cut into blocks: start, stop, and the columns of a block that B has."""
    whole, rest = used // side * side, used % side
    padded = whole + (side if rest else 0)
    runs = [(0, whole, side), (whole, padded, rest), (padded, width, 0)]
    return [run for run in runs if run[0] < run[1]]


@dataclass(frozen=True)
class PairRowPacker:
    """A function that packs rows of A that are contiguous along k, one after the other.

    The function's arguments: a (at the first row), out, and the number of rows.
    """

    reader: PairReader
    stride: int
    k: int
    row: int  # pairs from one packed row to the next

    def emit(self, prefix: str) -> ir.Function:
        """Add the function to the module."""
        args = {"a": PTR, "out": PTR, "rows": I64}
        b, made = internal(self.reader.module, f"{prefix}_pack_rows", args)
        a, out, rows = made.args
        reader, step = self.reader, 2 * self.reader.lanes
        whole = self.k // step * step
        with for_range(b, 0, rows, name="row") as r:
            line = reader.source.at(b, a, b.mul(r, i64(self.stride)))
            to = reader.pairs.at(b, out, b.mul(r, i64(self.row)))
            with for_range(b, 0, whole, step, name="k") as k:
                value = reader.along(b, reader.source.at(b, line, k), step)
                reader.pairs.store(b, to, b.udiv(k, i64(2)), value)
            if self.k > whole:
                rest = reader.along(b, reader.source.at(b, line, whole), self.k - whole)
                reader.pairs.store(b, to, whole // 2, rest)
        b.ret_void()
        return made


@dataclass(frozen=True)
class PairTilePacker:
    """A function that packs tiles of A where it is contiguous along its rows' index: pair after
    pair, the column of the tile's `rows`.

    The function's arguments: a (at the first tile), out, and the number of tiles.
    """

    reader: PairReader
    stride: int  # from one k to the next
    k: int
    rows: int

    def emit(self, prefix: str) -> ir.Function:
        """Add the function to the module."""
        args = {"a": PTR, "out": PTR, "tiles": I64}
        b, made = internal(self.reader.module, f"{prefix}_pack_tiles_{self.rows}", args)
        with for_range(b, 0, self.k // 2, name="pair") as j:
            self._tiles(b, tuple(made.args), j, self.stride)
        if self.k % 2:
            self._tiles(b, tuple(made.args), i64(self.k // 2), None)
        b.ret_void()
        return made

    def _tiles(
        self, b: ir.IRBuilder, given: tuple[ir.Value, ...], j: ir.Value, step: int | None
    ) -> None:
        """One pair of all tiles, so that a row of memory is read from one end to the other."""
        a, out, tiles = given
        reader = self.reader
        line = reader.source.at(b, a, b.mul(j, i64(2 * self.stride)))
        to = reader.pairs.at(b, out, b.mul(j, i64(self.rows)))
        mask = reader.source.mask(b, self.rows) if self.rows < reader.lanes else None
        depth = -(-self.k // 2)
        with for_range(b, 0, tiles, name="tile") as t:
            at = reader.source.at(b, line, b.mul(t, i64(self.rows)))
            value = reader.across(b, at, step, mask)
            reader.pairs.store(b, to, b.mul(t, i64(self.rows * depth)), value, mask)
