"""Products of few rows with a matrix that no cache holds: memory is what they wait for.

The steps of k are cut into parts, one for each task, so that every task reads one stretch of B from
end to end, for a single row of A in the order in which B stands in memory. A part's sums stand in
scratch; a second phase adds the parts in their order and runs the epilogue. Each element of B is
read once, for all rows of A. B may be bfloat16 whose products are summed in float32: it is widened
where it is read. Not here: the code (`llvm_matmul_parts.py`).
Next: `matmul_plan.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from kedja.compiler.matmul_shape import MatmulShape, Phase
from kedja.compiler.matmul_tiles import Target
from kedja.ground.dtypes import DType, bfloat16

# Rows of A. With more of them the multiply-adds count, too.
FEW = 4
# Steps of k in the unit of a part. Where sums are dear they are taken together, side by side.
TOGETHER = 8
# The steps of a part, at least, and the parts of a product, at most.
PART = 96
PARTS = 8
# The columns of C, at least, that a task of the second phase adds up.
COLUMNS = 1024
TASKS = 8


@dataclass(frozen=True)
class PartsPlan:
    """Every choice about such a product; the two phases run in order."""

    shape: MatmulShape  # as the kernel sees it: transposed where `swapped`
    target: Target
    swapped: bool
    lanes: int  # elements per vector
    vectors: int  # vectors of a row that are summed together
    parts: int

    @property
    def operands(self) -> tuple[int, int]:
        """The arguments that stand left and right in the product as it is computed."""
        return (2, 1) if self.swapped else (1, 2)

    @property
    def dtypes(self) -> tuple[DType, DType]:
        """A and B as they stand in memory."""
        return self.shape.halves or (self.shape.dtype, self.shape.dtype)

    @property
    def tail(self) -> int:
        """The used lanes of the last vector of a row; 0 if all are."""
        return self.shape.n % self.lanes

    @property
    def width(self) -> int:
        """Elements of a row of sums, the last vector padded."""
        return -(-self.shape.n // self.lanes) * self.lanes

    @property
    def blocks(self) -> int:
        """Runs of steps that are taken together, the last one perhaps shorter."""
        return -(-self.shape.k // TOGETHER)

    @property
    def pieces(self) -> int:
        """The tasks into which the columns of one product's second phase fall."""
        return max(1, min(TASKS, self.shape.n // COLUMNS))

    @property
    def together(self) -> int:
        """Steps of k that are taken together, as many rows of B being read side by side.

        One, where the sums stay in the first-level cache: B is then read as it stands, which no
        other order reaches. It does not change the order in which a sum is made.
        """
        sums = self.shape.m * self.width * self.shape.dtype.itemsize
        return 1 if self.shape.m == 1 and sums <= self.target.l1 // 2 else TOGETHER

    @property
    def asks(self) -> bool:
        """Whether the rows that come next are asked for: where they stay in the cache till then."""
        size = self.dtypes[1].itemsize
        return self.together > 1 and TOGETHER * self.shape.n * size <= self.target.l2 // 4

    @property
    def scratch_bytes(self) -> int:
        """Bytes of the buffer args[3], aligned to 64."""
        shape = self.shape
        return shape.batch * self.parts * shape.m * self.width * shape.dtype.itemsize

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The launches."""
        batch = self.shape.batch
        return Phase("parts", batch * self.parts), Phase("product", batch * self.pieces)


def parts_pay(shape: MatmulShape, target: Target) -> bool:
    """Whether a product is one of few rows with a large B whose rows are contiguous."""
    if shape.m > FEW or shape.b_strides[1] != 1 or 0 in (shape.batch, shape.m, shape.n):
        return False
    if shape.a_rows is not None or shape.b_rows is not None:
        return False
    if shape.halves is not None and shape.halves != (bfloat16, bfloat16):
        return False
    kept = shape.dtype if shape.halves is None else bfloat16
    masked = not shape.n % _lanes(shape, target) or target.has_masked_ops
    return masked and shape.k >= 2 * PART and shape.k * shape.n * kept.itemsize > target.l2


def parts_plan(shape: MatmulShape, target: Target, swapped: bool) -> PartsPlan:
    """The plan of such a product."""
    vectors = 4 if target.registers >= 32 else 2
    parts = max(1, min(PARTS, shape.k // PART))
    return PartsPlan(shape, target, swapped, _lanes(shape, target), vectors, parts)


def _lanes(shape: MatmulShape, target: Target) -> int:
    return target.vector_bits // (8 * shape.dtype.itemsize)
