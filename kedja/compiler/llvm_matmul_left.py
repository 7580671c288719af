"""A as pairs of bfloat16: where its rows stand for the kernels, and the tasks that pack them.

Rows that are contiguous along k are rounded one after the other; else pairs of A's rows are
interleaved tile by tile. Rows of bfloat16 that are pairs already are read where they stand.
Not here: the packers themselves (`llvm_matmul_pairs.py`). Next: `llvm_matmul.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import Index, as_i64, i64
from kedja.compiler.llvm_matmul_epilogue import argument
from kedja.compiler.llvm_matmul_pairs import PairReader, PairRowPacker, PairTilePacker
from kedja.compiler.llvm_matmul_vectors import Vectors
from kedja.compiler.matmul_pairs import LANES, Pairs
from kedja.compiler.matmul_plan import MatmulPlan
from kedja.compiler.matmul_tiles import Split

Range = tuple[Index, Index]


def share(b: ir.IRBuilder, index: ir.Value, size: int, count: int) -> Range:
    """The bounds of piece `index` of `size` things cut into `count` pieces."""
    if count == 1:
        return 0, size
    bounds = [b.mul(at, i64(size)) for at in (index, b.add(index, i64(1)))]
    low, high = (b.udiv(bound, i64(count)) for bound in bounds)
    return low, high


def first_row(b: ir.IRBuilder, plan: MatmulPlan, t: ir.Value) -> ir.Value:
    """The first row of tile t."""
    rows = plan.rows
    row = b.mul(t, i64(rows.base))
    return b.add(row, _sooner(b, t, i64(rows.longer))) if rows.longer else row


def _sooner(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    return b.select(b.icmp_signed("<", x, y), x, y)


def _later(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    return b.select(b.icmp_signed(">", x, y), x, y)


def _heights(rows: Split) -> list[tuple[int, int, int]]:
    """The heights of row tiles, each with the first tile that has it and the first after."""
    runs = [(rows.base + 1, 0, rows.longer), (rows.base, rows.longer, rows.count)]
    return [run for run in runs if run[1] < run[2]]


@dataclass(frozen=True)
class LeftPairs:
    """A of one product in pairs; `part` gives the function of a packer."""

    vectors: Vectors
    plan: MatmulPlan
    part: Callable[[Any], ir.Function]

    @property
    def pairs(self) -> Pairs:
        """How the operands stand in memory."""
        assert self.plan.pairs is not None
        return self.plan.pairs

    @property
    def stored(self) -> Vectors:
        """Vectors of A as it stands in memory."""
        return Vectors(self.vectors.module, self.pairs.a, self.vectors.lanes)

    def strides(self, rows: int) -> tuple[int, int]:
        """The strides in which a kernel of so many rows finds them."""
        if self.pairs.direct:
            return self.plan.shape.a_strides[0] // 2, 1
        return (self.pairs.row, 1) if self.pairs.row_major else (1, rows)

    def rows(self, b: ir.IRBuilder, args: ir.Value, z: ir.Value, row: ir.Value) -> ir.Value:
        """Where the rows from `row` on begin: packed, or as they stand."""
        plan, shape = self.plan, self.plan.shape
        if self.pairs.direct:
            at = b.add(b.mul(z, i64(shape.a_batch)), b.mul(row, i64(shape.a_strides[0])))
            return self.stored.at(b, argument(b, args, plan.operands[0]), at)
        before = b.mul(z, i64(shape.m)) if plan.left_products > 1 else i64(0)
        at = b.mul(b.add(before, row), i64(self.pairs.row))
        start = i64(plan.packed_products * plan.packed_size)
        return self.vectors.at(b, argument(b, args, 3), b.add(start, at))

    def pack(self, b: ir.IRBuilder, args: ir.Value, task: ir.Value) -> None:
        """Some row tiles of one A, in a task of the packing phase."""
        plan, chunks = self.plan, i64(self.plan.left_chunks)
        z, chunk = b.udiv(task, chunks), b.urem(task, chunks)
        tiles = tuple(map(as_i64, share(b, chunk, plan.rows.count, plan.left_chunks)))
        a = argument(b, args, plan.operands[0])
        a = self.stored.at(b, a, b.mul(z, i64(plan.shape.a_batch)))
        pack = self._pack_rows if self.pairs.row_major else self._pack_tiles
        pack(b, a, tiles, lambda row: self.rows(b, args, z, row))

    def _pack_rows(
        self,
        b: ir.IRBuilder,
        a: ir.Value,
        tiles: tuple[ir.Value, ...],
        out: Callable[[ir.Value], ir.Value],
    ) -> None:
        stride = self.plan.shape.a_strides[0]
        first, last = (first_row(b, self.plan, t) for t in tiles)
        reader = PairReader(self.vectors.module, self.pairs.a, LANES)
        packer = self.part(PairRowPacker(reader, stride, self.pairs.k, self.pairs.row))
        source = self.stored.at(b, a, b.mul(first, i64(stride)))
        b.call(packer, [source, out(first), b.sub(last, first)])

    def _pack_tiles(
        self,
        b: ir.IRBuilder,
        a: ir.Value,
        tiles: tuple[ir.Value, ...],
        out: Callable[[ir.Value], ir.Value],
    ) -> None:
        """Those among the tiles that are taller, then those that are not."""
        low, high = tiles
        for rows, start, stop in _heights(self.plan.rows):
            first, last = _later(b, low, i64(start)), _sooner(b, high, i64(stop))
            row = first_row(b, self.plan, first)
            lanes = LANES if rows > LANES // 2 else LANES // 2
            reader = PairReader(self.vectors.module, self.pairs.a, lanes)
            stride = self.plan.shape.a_strides[1]
            packer = self.part(PairTilePacker(reader, stride, self.pairs.k, rows))
            b.call(packer, [self.stored.at(b, a, row), out(row), b.sub(last, first)])
