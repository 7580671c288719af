"""What happens to the finished sums of a matrix product before they are stored into C.

An epilogue maps vectors of sums to what C gets: a bias, an activation, its derivative, an update.
It sees full vectors and masked ones alike, so each element gets the same bits wherever it falls.
Not here: the sums (`llvm_matmul_kernels.py`). Next: `llvm_matmul.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import I64, PTR, for_range, i64
from kedja.compiler.llvm_matmul_kernels import internal
from kedja.compiler.llvm_matmul_vectors import Vectors
from kedja.compiler.matmul_plan import Plans

# The first of the args that belongs to the epilogue.
FIRST_EXTRA = 4


@dataclass(frozen=True)
class EpilogueSite:
    """One vector of finished sums, and where in C it stands; given to an epilogue.

    Lane i holds C[batch, row, column + i], or C[batch, row + i, column] where `along_rows` (C has
    one column then). `mask` is None where all lanes are inside C; the lanes outside it must not
    be loaded or stored, and what the epilogue returns there is ignored.
    """

    builder: ir.IRBuilder
    vectors: Vectors
    args: ir.Value
    value: ir.Value
    batch: ir.Value
    row: ir.Value
    column: ir.Value
    mask: ir.Value | None
    along_rows: bool

    @property
    def lanes(self) -> int:
        """The length of the vector."""
        return self.vectors.lanes

    def argument(self, index: int) -> ir.Value:
        """The pointer args[index]; the epilogue's own begin at FIRST_EXTRA."""
        return argument(self.builder, self.args, index)

    def load(self, pointer: ir.Value, batch: int, row: int, column: int) -> ir.Value:
        """An operand at this site, by its element strides; a stride of 0 broadcasts.

        The operand has the product's dtype. Along the lanes its stride must be 1 or 0.
        """
        b, along = self.builder, row if self.along_rows else column
        at = self._offset(batch, row, column)
        if along == 1:
            return self.vectors.load(b, pointer, at, self.mask)
        return self.vectors.splat(b, self.vectors.load_scalar(b, pointer, at))

    def store(self, pointer: ir.Value, value: ir.Value, batch: int, row: int, column: int) -> None:
        """A second result at this site, for instance the sum before an activation."""
        at = self._offset(batch, row, column)
        self.vectors.store(self.builder, pointer, at, value, self.mask)

    def _offset(self, batch: int, row: int, column: int) -> ir.Value:
        b = self.builder
        indices = zip((self.batch, self.row, self.column), (batch, row, column), strict=True)
        total: ir.Value = i64(0)
        for index, stride in indices:
            total = b.add(total, b.mul(index, i64(stride)))
        return total


Epilogue = Callable[[EpilogueSite], ir.Value]


def argument(b: ir.IRBuilder, args: ir.Value, index: int) -> ir.Value:
    """The pointer args[index]."""
    return b.load(b.gep(args, [i64(index)], source_etype=PTR), typ=PTR)


@dataclass(frozen=True)
class Finisher:
    """A function that runs the epilogue over one tile of sums and stores the answer into C.

    The function's arguments: sums, args, batch, row, rows, column, columns: the place of the tile
    in C and its size. The rows of sums are `sums_stride` elements apart.
    """

    vectors: Vectors
    plan: Plans
    epilogue: Epilogue
    sums_stride: int
    out: Vectors  # what C holds

    def emit(self, prefix: str) -> ir.Function:
        """Add the function to the module."""
        names = ("batch", "row", "rows", "column", "columns")
        args = {"sums": PTR, "args": PTR} | dict.fromkeys(names, I64)
        b, made = internal(self.vectors.module, f"{prefix}_finish", args)
        with for_range(b, 0, made.args[4], name="row") as r:
            self._row(b, r, *made.args)
        b.ret_void()
        return made

    def _row(self, b: ir.IRBuilder, r: ir.Value, *given: ir.Value) -> None:
        """Row r of the tile: whole vectors in a loop, then the masked one."""
        sums, args, batch, row, _, column, columns = given
        lanes, tail = self.vectors.lanes, self.plan.tail
        line = self.vectors.at(b, sums, b.mul(r, i64(self.sums_stride)))
        place = (args, batch, b.add(row, r), column)
        whole = b.and_(columns, i64(-lanes))
        if self.plan.shape.n >= lanes:
            each = self._vectors_at_once()
            with for_range(b, 0, whole, each * lanes, name="column") as at:
                for vector in range(each):
                    self._site(b, line, b.add(at, i64(vector * lanes)), place, None)
        if tail:
            with b.if_then(b.icmp_signed("<", whole, columns)):
                self._site(b, line, whole, place, self.vectors.mask(b, tail))

    def _vectors_at_once(self) -> int:
        """The vectors of a row that are written without a loop: 2 where every panel has pairs."""
        pairs = self.plan.vectors % 2 == 0 and self.plan.shape.n % (2 * self.vectors.lanes) == 0
        return 2 if pairs else 1

    def _site(
        self,
        b: ir.IRBuilder,
        line: ir.Value,
        at: ir.Value,
        place: tuple[ir.Value, ir.Value, ir.Value, ir.Value],
        mask: ir.Value | None,
    ) -> None:
        """One vector: load the sums, map them, store into C."""
        args, batch, row, first = place
        column = b.add(first, at)
        shape, swapped = self.plan.shape, self.plan.swapped
        value = self.vectors.load(b, line, at, mask)
        where = (column, i64(0)) if swapped else (row, column)
        site = EpilogueSite(b, self.vectors, args, value, batch, *where, mask, swapped)
        answer = self.epilogue(site)
        to = b.mul(b.add(b.mul(batch, i64(shape.m)), row), i64(shape.n))
        self.out.store(b, argument(b, args, 0), b.add(to, column), answer, mask)
