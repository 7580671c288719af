"""Copies of the operands of a matrix product into the order in which its kernels read them.

B goes into panels: panel p holds, k after k, the row of its `vectors * lanes` columns, so that a
tile reads one contiguous stream. The last vector of a row is padded with zeros: no lane of C that
is stored depends on them, but numbers left there might be denormal, and slow.
A's rows of one tile go into a small buffer of the task, so that neither a large stride nor a power
of two as stride disturbs the caches.
Not here: who calls this and when. Next: `llvm_matmul.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import I64, PTR, for_range, i64
from kedja.compiler.llvm_matmul_kernels import internal
from kedja.compiler.llvm_matmul_rows import Picks
from kedja.compiler.llvm_matmul_vectors import Vectors


@dataclass(frozen=True)
class PanelPacker:
    """A function that packs one panel of B, `steps` of k.

    The function's arguments: b (at the panel's first k and column), out, `steps`; where B's rows
    are picked, the index at the first of them.
    """

    vectors_of: Vectors
    vectors: int
    strides: tuple[int, int]
    tail: int  # the used lanes of the last vector; 0 if all are
    shortest: int  # the fewest steps that it is called with
    picks: Picks | None = None

    def emit(self, prefix: str) -> ir.Function:
        """Add the function to the module."""
        args = {"b": PTR, "out": PTR, "steps": I64} | ({"index": PTR} if self.picks else {})
        name = f"{prefix}_pack_{self.vectors}{'_tail' if self.tail else ''}"
        builder, made = internal(self.vectors_of.module, name, args)
        pack = self._copy_rows if self.strides[1] == 1 else self._transpose_blocks
        pack(builder, *made.args)
        builder.ret_void()
        return made

    @property
    def width(self) -> int:
        """Elements in a row of the panel."""
        return self.vectors * self.vectors_of.lanes

    def _used(self, v: int) -> int:
        """The lanes of vector v that B has."""
        lanes = self.vectors_of.lanes
        return self.tail if self.tail and v == self.vectors - 1 else lanes

    def _copy_rows(
        self, b: ir.IRBuilder, source: ir.Value, out: ir.Value, steps: ir.Value, *index: ir.Value
    ) -> None:
        """B row-major: a row of the panel is a run of a row of B."""
        vectors = self.vectors_of
        with for_range(b, 0, steps, name="k") as k:
            if self.picks:
                row = self.picks.row(b, source, index[0], k)
            else:
                row = vectors.at(b, source, b.mul(k, i64(self.strides[0])))
            to = vectors.at(b, out, b.mul(k, i64(self.width)))
            for v in range(self.vectors):
                used = self._used(v)
                mask = vectors.mask(b, used) if used < vectors.lanes else None
                vectors.store(
                    b, to, v * vectors.lanes, vectors.load(b, row, v * vectors.lanes, mask)
                )

    def _transpose_blocks(
        self, b: ir.IRBuilder, source: ir.Value, out: ir.Value, steps: ir.Value
    ) -> None:
        """B stored transposed: square blocks, turned in registers; zeros beyond B's columns.

        The last block along k ends with the last step, overlapping the block before it. Blocks
        that share the cache lines of B follow each other.
        """
        side = self._side.lanes
        line = max(side, 64 // self.vectors_of.dtype.itemsize)
        used = self.width - (self.vectors_of.lanes - self.tail if self.tail else 0)
        with for_range(b, 0, steps, line, name="line") as first:
            end = self._least(b, b.add(first, i64(line)), steps)
            for start, stop, inside in self._runs(used):
                with (
                    for_range(b, start, stop, side, name="column") as column,
                    for_range(b, first, end, side, name="k") as k,
                ):
                    place = (self._block_start(b, k, steps), column)
                    self._transpose_block(b, source, out, place, inside)

    def _least(self, b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
        return b.select(b.icmp_signed("<", x, y), x, y)

    def _runs(self, used: int) -> list[tuple[int, int, int]]:
        """Runs of columns cut into blocks: start, stop, and the columns of a block that B has."""
        side = self._side.lanes
        whole, rest = used // side * side, used % side
        padded = whole + (side if rest else 0)
        runs = [(0, whole, side), (whole, padded, rest), (padded, self.width, 0)]
        return [run for run in runs if run[0] < run[1]]

    @property
    def _side(self) -> Vectors:
        """Vectors of at most 256 bits: wider blocks take longer to compile and are no faster."""
        lanes = min(self.vectors_of.lanes, 32 // self.vectors_of.dtype.itemsize)
        return replace(self.vectors_of, lanes=lanes)

    def _block_start(self, b: ir.IRBuilder, first: ir.Value, steps: ir.Value) -> ir.Value:
        side = self._side.lanes
        if self.shortest < side:
            return first
        return self._least(b, first, b.sub(steps, i64(side)))

    def _transpose_block(
        self,
        b: ir.IRBuilder,
        source: ir.Value,
        out: ir.Value,
        place: tuple[ir.Value, ir.Value],
        used: int,
    ) -> None:
        """One block of the panel from (k, column) on, of which B has the first `used` columns."""
        k, column = place
        side = self._side
        height = min(self.shortest, side.lanes)
        mask = side.mask(b, height) if height < side.lanes else None
        block = side.at(b, source, b.add(k, b.mul(column, i64(self.strides[1]))))
        read = [side.load(b, block, i * self.strides[1], mask) for i in range(used)]
        rows = side.transpose(b, read + [side.zero] * (side.lanes - used)) if used else []
        to = side.at(b, out, b.add(column, b.mul(k, i64(self.width))))
        for i in range(height):
            side.store(b, to, i * self.width, rows[i] if used else side.zero)


@dataclass(frozen=True)
class RowCopier:
    """A function that copies the rows of A of one tile, `steps` of k, into a buffer.

    The function's arguments: a (at the tile's first row and k), out, `rows` and `steps`; where
    A's rows or steps are picked, the index at the first of them. The buffer keeps A's order:
    row-major with `stride` between rows, or k-major likewise.
    """

    vectors_of: Vectors
    strides: tuple[int, int]
    most_rows: int
    most_steps: int
    picks: Picks | None = None

    @property
    def row_major(self) -> bool:
        """Whether A is contiguous along k."""
        return self.strides[1] == 1

    @property
    def stride(self) -> int:
        """The buffer's leading stride: dense, or whole vectors and one more (no power of two)."""
        lanes = self.vectors_of.lanes
        return (-(-self.most_steps // lanes) + 1) * lanes if self.row_major else self.most_rows

    @property
    def out_strides(self) -> tuple[int, int]:
        """The strides of the copy."""
        return (self.stride, 1) if self.row_major else (1, self.stride)

    @property
    def size(self) -> int:
        """Elements of the buffer, with room for the last line's whole vector."""
        lines = self.most_rows if self.row_major else self.most_steps
        return self.stride * lines + self.vectors_of.lanes

    def emit(self, prefix: str) -> ir.Function:
        """Add the function to the module."""
        args = {"a": PTR, "out": PTR, "rows": I64, "steps": I64}
        args |= {"index": PTR} if self.picks else {}
        b, made = internal(self.vectors_of.module, f"{prefix}_copy_rows", args)
        a, out, rows, steps, *index = made.args
        outer, inner = (rows, steps) if self.row_major else (steps, rows)
        lead = self.strides[0] if self.row_major else self.strides[1]
        with for_range(b, 0, outer, name="line") as line:
            if self.picks:
                source = self.picks.row(b, a, index[0], line)
            else:
                source = self.vectors_of.at(b, a, b.mul(line, i64(lead)))
            to = self.vectors_of.at(b, out, b.mul(line, i64(self.stride)))
            self._copy_line(b, source, to, inner)
        b.ret_void()
        return made

    def _copy_line(self, b: ir.IRBuilder, source: ir.Value, to: ir.Value, count: ir.Value) -> None:
        """`count` contiguous elements; the last vector is masked when read, whole when written.

        What it writes too much belongs to the next line, which is written later.
        """
        vectors, lanes = self.vectors_of, self.vectors_of.lanes
        whole = b.and_(count, i64(-lanes))
        with for_range(b, 0, whole, lanes, name="e") as e:
            vectors.store(b, to, e, vectors.load(b, source, e))
        with b.if_then(b.icmp_signed("<", whole, count)):
            mask = vectors.mask(b, b.sub(count, whole))
            vectors.store(b, to, whole, vectors.load(b, source, whole, mask))
