"""Where the tasks of a product find its operands: as they stand, or rows that an index picks.

Not here: copies and panels (`llvm_matmul_pack.py`), pairs (`llvm_matmul_left.py`).
Next: `llvm_matmul.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import Index, i64
from kedja.compiler.llvm_matmul_epilogue import argument
from kedja.compiler.llvm_matmul_rows import Picks
from kedja.compiler.llvm_matmul_vectors import Vectors
from kedja.compiler.matmul_plan import MatmulPlan

Address = tuple[ir.Value, ...]  # of an operand; where its rows are picked, also in the index


@dataclass(frozen=True)
class Reader:
    """One operand; `vectors` are of its elements as they stand in memory.

    `index` is the argument that holds what picks its rows, where something does.
    """

    vectors: Vectors
    number: int  # the argument that it is
    step: int  # from one step of k to the next
    batch: int  # from one product of the batch to the next
    picks: Picks | None
    index: int

    @property
    def picks_steps(self) -> bool:
        """Whether its rows are the steps of k, each where the index says."""
        return self.picks is not None and self.picks.rows.along_k

    def whole(self, b: ir.IRBuilder, args: ir.Value, at: ir.Value) -> Address:
        """From an element on; what picks its rows follows."""
        base = self.vectors.at(b, argument(b, args, self.number), at)
        return (base, argument(b, args, self.index)) if self.picks else (base,)

    def block(self, b: ir.IRBuilder, args: ir.Value, z: ir.Value, first: ir.Value) -> Address:
        """The operand of product z at the first step of a block of k."""
        on = b.mul(first, i64(0 if self.picks_steps else self.step))
        found = self.whole(b, args, b.add(b.mul(z, i64(self.batch)), on))
        if self.picks is None or not self.picks_steps:
            return found
        return found[0], self.picks.place(b, found[1], first)

    def moved(self, b: ir.IRBuilder, block: Address, by: Index) -> Address:
        """The same some elements further along the axis that is not k."""
        return self.vectors.at(b, block[0], by), *block[1:]

    def row(self, b: ir.IRBuilder, block: Address, row: ir.Value, stride: int) -> Address:
        """A's rows from one on."""
        if self.picks is None or self.picks_steps:
            return self.moved(b, block, b.mul(row, i64(stride)))
        return block[0], self.picks.place(b, block[1], row)

    def first_row(self, b: ir.IRBuilder, rows: Address) -> ir.Value:
        """The address of the first of A's rows."""
        return self.picks.row(b, rows[0], rows[1], 0) if self.picks else rows[0]

    def at_step(self, b: ir.IRBuilder, row: Address, k: ir.Value) -> ir.Value:
        """The address of element k of a row whose elements are apart."""
        if self.picks is not None:
            return self.picks.row(b, row[0], row[1], k)
        return self.vectors.at(b, row[0], b.mul(k, i64(self.step)))


def readers(vectors: Vectors, plan: MatmulPlan, first_index: int) -> tuple[Reader, Reader]:
    """Those of A and B; what picks their rows are the arguments from `first_index` on."""
    shape = plan.shape
    left, right = plan.operands
    kept = plan.pairs.b if plan.pairs else shape.dtype  # B as it stands in memory
    stored = Vectors(vectors.module, kept, plan.lanes)
    rows_a, rows_b = (Picks.of(vectors, each) for each in (shape.a_rows, shape.b_rows))
    second = first_index + (rows_a is not None)
    a_step, b_step = shape.a_strides[1], shape.b_strides[0]
    return (
        Reader(vectors, left, a_step, shape.a_batch, rows_a, first_index),
        Reader(stored, right, b_step, shape.b_batch, rows_b, second),
    )
