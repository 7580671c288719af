"""How a matrix product of known shape is cut into tiles, blocks and tasks: pure data.

Not here: any LLVM (`llvm_matmul.py` emits what a plan says), and the number of threads, which no
choice depends on, so that a program computes the same bits everywhere.
Next: `llvm_matmul.py`.

C[m, n] = sum over k of A[m, k] B[k, n]. Two kernels compute it:

    tile  rows x vectors of C stay in registers; each step of k broadcasts `rows` numbers of A and
          multiplies them with `vectors` vectors of B's row. Needs B's rows contiguous, or packed.
    dot   one row of A times `lanes` columns of B, vectors along k, added up across the lanes at
          the end. For B stored transposed when there are too few rows to pay for packing.

A product with one column is planned as its transpose (one row), which `swapped` records.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from kedja.ground.dtypes import FLOATS, DType
from kedja.ground.errors import DtypeError, ShapeError

Kernel = Literal["tile", "dot"]
Packing = Literal["none", "task", "phase"]
SplitAxis = Literal["auto", "rows", "columns"]

# Work below this many multiply-adds stays one task: waking a second thread would cost more.
SMALL = 65_536
# The length of one task in multiply-adds, aimed at once a product is large; at most TASKS of them.
TASK = 2_000_000
TASKS = 64


@dataclass(frozen=True)
class Target:
    """What the plan needs to know of a processor; cache sizes are in bytes, of one core."""

    name: str
    vector_bits: int
    registers: int
    l1: int
    l2: int
    has_masked_ops: bool


@dataclass(frozen=True)
class MatmulShape:
    """`batch` products C = A B with A[m, k], B[k, n] and C contiguous, row-major (batch, m, n).

    Strides are in elements. Of each operand's two strides one is 1 (or its dimension is 1); the
    batch strides advance an operand from one product to the next, 0 shares it.
    """

    batch: int
    m: int
    n: int
    k: int
    dtype: DType
    a_strides: tuple[int, int]
    b_strides: tuple[int, int]
    a_batch: int = 0
    b_batch: int = 0

    def __post_init__(self) -> None:
        if self.dtype not in FLOATS:
            raise DtypeError(f"no matrix product for {self.dtype}", fix="float32 or float64")
        if min(self.batch, self.m, self.n, self.k) < 0:
            raise ShapeError(f"negative size in {(self.batch, self.m, self.n, self.k)}")
        if self.n > 1 and self.k > 1 and 1 not in self.b_strides:
            raise ShapeError(f"B has strides {self.b_strides}", fix="one of them must be 1")

    def transposed(self) -> MatmulShape:
        """The same product written as C^T = B^T A^T; C must have one row or one column."""
        return replace(
            self,
            m=self.n,
            n=self.m,
            a_strides=self.b_strides[::-1],
            b_strides=self.a_strides[::-1],
            a_batch=self.b_batch,
            b_batch=self.a_batch,
        )

    @property
    def multiply_adds(self) -> int:
        """The work of all products together."""
        return self.batch * self.m * self.n * self.k


@dataclass(frozen=True)
class Split:
    """`size` things in `count` runs of `base` or `base + 1`, the longer runs first."""

    size: int
    count: int

    @property
    def base(self) -> int:
        """The length of a short run."""
        return self.size // self.count

    @property
    def longer(self) -> int:
        """How many runs are longer by one."""
        return self.size % self.count

    @property
    def longest(self) -> int:
        """The length of the longest run."""
        return self.base + (self.longer > 0)


@dataclass(frozen=True)
class Phase:
    """One launch: `tasks` calls of the function `<name>_<suffix>`, in any order, on any thread."""

    suffix: Literal["pack", "product"]
    tasks: int


@dataclass(frozen=True)
class MatmulPlan:
    """Every choice about one product. Phases run in order, with a barrier between them."""

    shape: MatmulShape  # as the kernel sees it: transposed where `swapped`
    target: Target
    swapped: bool
    kernel: Kernel
    lanes: int  # elements per vector
    rows: Split  # m in register tiles
    vectors: int  # vectors per register tile
    k_block: int  # at most so many steps of k before C is written; k where it is not blocked
    packing: Packing  # who copies B into panels: nobody, each task for itself, or a phase before
    copy_a: bool  # copy A's rows of a tile together before sweeping over the columns
    rows_inner: bool  # loop over row tiles inside the loop over panels, or the other way round
    groups: int  # the batch, split among tasks
    row_blocks: int  # row tiles, split among tasks
    column_blocks: int  # panels, split among tasks

    @property
    def column_vectors(self) -> int:
        """Vectors in a row of C, the last one perhaps partly used."""
        return -(-self.shape.n // self.lanes)

    @property
    def panels(self) -> int:
        """Panels of `vectors` vectors in a row of C, the last one perhaps narrower."""
        return -(-self.column_vectors // self.vectors)

    @property
    def last_vectors(self) -> int:
        """The vectors of the last panel."""
        return self.column_vectors - (self.panels - 1) * self.vectors

    @property
    def tail(self) -> int:
        """The used lanes of the last vector; 0 if all are."""
        return self.shape.n % self.lanes

    @property
    def panel_width(self) -> int:
        """Elements in a row of a full panel."""
        return self.vectors * self.lanes

    @property
    def k_blocks(self) -> int:
        """How many blocks k falls into."""
        return max(1, -(-self.shape.k // self.k_block))

    @property
    def shortest_block(self) -> int:
        """The length of the last block of k, which may be shorter than the others."""
        return self.shape.k - (self.k_blocks - 1) * self.k_block

    @property
    def tasks(self) -> int:
        """The tasks of the product's phase."""
        return self.groups * self.row_blocks * self.column_blocks

    @property
    def packed_products(self) -> int:
        """How many different B's a packing phase packs."""
        return self.shape.batch if self.shape.b_batch else 1

    @property
    def packed_size(self) -> int:
        """Elements of one B in panels, the last vector padded."""
        return self.shape.k * self.column_vectors * self.lanes

    @property
    def task_scratch(self) -> int:
        """Elements of scratch that each task of the product has for itself."""
        if self.packing == "task":
            return min(self.k_block, self.shape.k) * self.panel_width
        gathers = self.kernel == "dot" and self.copy_a
        return -(-self.shape.k // self.lanes) * self.lanes if gathers else 0

    @property
    def scratch_bytes(self) -> int:
        """Bytes of the buffer args[3], aligned to 64; 0 if none is needed."""
        shared = self.packed_products * self.packed_size if self.packing == "phase" else 0
        return (shared + self.tasks * self.task_scratch) * self.shape.dtype.itemsize

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The launches; none where C has no element."""
        if 0 in (self.shape.batch, self.shape.m, self.shape.n):
            return ()
        product = Phase("product", self.tasks)
        if self.packing == "phase":
            return Phase("pack", self.packed_products * self.panels), product
        return (product,)


def plan(
    shape: MatmulShape,
    target: Target,
    split: SplitAxis = "auto",
    *,
    in_place: bool = False,
) -> MatmulPlan:
    """The plan of a product, from its shape and the target alone.

    `split` names the axis of C to share out among tasks where one must be preferred, so that a
    thread meets the same rows of a weight in several products. `in_place` promises that C holds
    its old contents until the epilogue of an element has run (an optimiser's update reads them).
    """
    shape, swapped = normal(shape)
    lanes = choose_lanes(shape, target)
    return basic(shape, target, swapped, lanes)


def normal(shape):
    swapped = shape.n == 1 and shape.m != 1
    if swapped: shape = shape.transposed()
    a, b = shape.a_strides, shape.b_strides
    if shape.k == 1 and 1 not in a: a = (a[0], 1)
    if shape.m == 1 and 1 not in a: a = (1, a[1])
    if shape.n == 1 and 1 not in b: b = (b[0], 1)
    if shape.k == 1 and 1 not in b: b = (1, b[1])
    if shape.n==1 and b[0]==1: b=(1, b[1])
    return replace(shape, a_strides=a, b_strides=b), swapped


def choose_lanes(shape, target):
    size = shape.dtype.itemsize*8
    lanes = target.vector_bits//size
    while lanes*size > 128 and shape.n <= lanes//2: lanes//=2
    return lanes


def basic(shape, target, swapped, lanes, rows=13, vectors=2, kernel="tile", k_block=0, packing=None, copy_a=False, rows_inner=None, groups=1, row_blocks=1, column_blocks=1):
    if packing is None:
        packing = "none" if shape.b_strides[1]==1 else "task"
    if rows_inner is None: rows_inner = packing == "task"
    count = max(1, -(-shape.m//rows))
    if kernel=="dot": count, vectors, packing=max(1,shape.m), 1, "none"
    return MatmulPlan(shape, target, swapped, kernel, lanes, Split(shape.m, count), vectors, k_block or max(shape.k,1), packing, copy_a, rows_inner, groups, row_blocks, column_blocks)
