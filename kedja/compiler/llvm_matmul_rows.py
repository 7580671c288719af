"""Where the elements of an operand stand: in rows as they are, or that an index picks of a table.

Not here: which operands are read like that (`matmul_rows.py`). Next: `llvm_matmul_kernels.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import Index, as_i64, i64
from kedja.compiler.llvm_matmul_vectors import Vectors
from kedja.compiler.llvm_scalar import Scalars, memory_type
from kedja.compiler.matmul_rows import Rows
from kedja.ground.dtypes import int64


@dataclass(frozen=True)
class Picks:
    """The rows of a table of such elements."""

    vectors: Vectors
    rows: Rows

    @classmethod
    def of(cls, vectors: Vectors, rows: Rows | None) -> Picks | None:
        """Those of an operand, if its rows are picked."""
        return None if rows is None else cls(vectors, rows)

    def place(self, b: ir.IRBuilder, index: ir.Value, number: Index) -> ir.Value:
        """The address in the index of row `number`."""
        kind = memory_type(self.rows.index)
        return b.gep(index, [as_i64(number)], inbounds=True, source_etype=kind)

    def row(self, b: ir.IRBuilder, table: ir.Value, index: ir.Value, number: Index) -> ir.Value:
        """The address in the table of the row that `number` picks, held inside the table."""
        dtype = self.rows.index
        place = self.place(b, index, number)
        loaded = b.load(place, typ=memory_type(dtype), align=dtype.itemsize)
        scalars = Scalars(b, int64, int64)
        above = scalars.maximum(Scalars(b, dtype, int64).cast(loaded), scalars.constant(0))
        held = scalars.minimum(above, scalars.constant(self.rows.count - 1))
        return self.vectors.at(b, table, b.mul(held, i64(self.rows.stride)))


Place = tuple[ir.Value, int]  # an address and elements beyond it


@dataclass(frozen=True)
class Operand:
    """One operand of a tile in memory, as the loop over k steps through it."""

    vectors_of: Vectors
    start: ir.Value  # where the first step stands, which the loop carries and moves on
    step: int  # to the next step
    row: int  # to the next row of the tile

    def after(self, b: ir.IRBuilder, at: ir.Value, steps: int) -> ir.Value:
        """What is carried on, some steps later."""
        return self.vectors_of.at(b, at, steps * self.step)

    def step_of(self, b: ir.IRBuilder, at: ir.Value, done: ir.Value, step: int) -> Place:
        """The first element of a step, the loop having come to `at` by `done` steps."""
        return at, step * self.step

    def in_row(self, b: ir.IRBuilder, first: Place, row: int) -> Place:
        """The same step's element in a row."""
        return first[0], first[1] + row * self.row


@dataclass(frozen=True)
class PickedSteps(Operand):
    """An operand whose steps are rows of a table; what is carried is the place in the index."""

    picks: Picks
    table: ir.Value

    def after(self, b: ir.IRBuilder, at: ir.Value, steps: int) -> ir.Value:
        return self.picks.place(b, at, steps)

    def step_of(self, b: ir.IRBuilder, at: ir.Value, done: ir.Value, step: int) -> Place:
        return self.picks.row(b, self.table, at, step), 0


@dataclass(frozen=True)
class PickedRows(Operand):
    """A left operand whose rows are rows of a table, each at an address of its own.

    Nothing is carried: the loop's counter says how far it has come in all of them.
    """

    rows: tuple[ir.Value, ...]

    def after(self, b: ir.IRBuilder, at: ir.Value, steps: int) -> ir.Value:
        return at

    def step_of(self, b: ir.IRBuilder, at: ir.Value, done: ir.Value, step: int) -> Place:
        return done, step

    def in_row(self, b: ir.IRBuilder, first: Place, row: int) -> Place:
        return self.vectors_of.at(b, self.rows[row], first[0]), first[1]
