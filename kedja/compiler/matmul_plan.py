"""How a matrix product of known shape is cut into tiles, blocks and tasks: pure data.

Not here: any LLVM (`llvm_matmul.py` emits what a plan says), and the number of threads, which no
choice depends on, so that a program computes the same bits everywhere.
Next: `matmul_tiles.py` (register tiles), then `llvm_matmul.py`.

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

from kedja.compiler.matmul_pairs import SMALL_B, Pairs, block_pays
from kedja.compiler.matmul_parts import PartsPlan, parts_pay, parts_plan
from kedja.compiler.matmul_shape import MatmulShape as MatmulShape
from kedja.compiler.matmul_shape import Phase as Phase
from kedja.compiler.matmul_tiles import Split, Target, block_of_k, choose_tile
from kedja.ground.dtypes import DType

Kernel = Literal["tile", "dot"]
Packing = Literal["none", "task", "phase"]
SplitAxis = Literal["auto", "rows", "rows first", "columns"]

# Work below this many multiply-adds stays one task: waking a second thread would cost more.
SMALL = 65_536
# The length of one task in multiply-adds, aimed at once a product is large; at most TASKS of them.
TASK = 2_000_000
TASKS = 64
# The rows of A that one task packs: three lines of a cache where they are bfloat16 side by side.
LEFT_ROWS = 96
# So many panels ahead a tile asks for B, which is then there when it is needed.
PANELS_AHEAD = 2
# A plan must suit each of these numbers of threads, whichever there will be.
THREADS = (2, 4, 8, 16, 32)


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
    pairs: Pairs | None = None  # where bfloat16 is multiplied; steps of k are pairs then

    @property
    def operands(self) -> tuple[int, int]:
        """The arguments that stand left and right in the product as it is computed."""
        return (2, 1) if self.swapped else (1, 2)

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
    def asked_ahead(self) -> int:
        """How far ahead, in elements, a tile asks for a B that is read where it stands."""
        asks = self.packing == "none" and self.kernel == "tile" and self.panels > PANELS_AHEAD
        return PANELS_AHEAD * self.panel_width if asks else 0

    @property
    def columns_apart(self) -> bool:
        """Whether the dot kernel reads one column of B after the other: B is in no cache."""
        size = (self.pairs.b if self.pairs else self.shape.dtype).itemsize
        return self.shape.k * self.shape.n * size > self.target.l2

    @property
    def k_blocks(self) -> int:
        """How many blocks k falls into."""
        return max(1, -(-self.shape.k // self.k_block))

    @property
    def shortest_pack(self) -> int:
        """The fewest steps of k that are packed at once."""
        if self.packing == "phase":
            return self.shape.k
        return self.shape.k - (self.k_blocks - 1) * self.k_block

    @property
    def tasks(self) -> int:
        """The tasks of the product's phase."""
        return self.groups * self.row_blocks * self.column_blocks

    @property
    def packs_block(self) -> bool:
        """Whether a task packs all its panels before it computes, as products in pairs do."""
        return self.pairs is not None and self.packing == "task"

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
            panels = -(-self.panels // self.column_blocks) if self.packs_block else 1
            return panels * min(self.k_block, self.shape.k) * self.panel_width
        gathers = self.kernel == "dot" and self.copy_a
        return -(-self.shape.k // self.lanes) * self.lanes if gathers else 0

    @property
    def scratch_bytes(self) -> int:
        """Bytes of the buffer args[3], aligned to 64; 0 if none is needed."""
        shared = self.packed_products * self.packed_size if self.packing == "phase" else 0
        shared += self.left_products * self.left_size
        return (shared + self.tasks * self.task_scratch) * self.shape.dtype.itemsize

    @property
    def left_products(self) -> int:
        """How many different A's a packing phase packs: only products in pairs do that."""
        if self.pairs is None or self.pairs.direct or self.packing != "phase":
            return 0
        return self.shape.batch if self.shape.a_batch else 1

    @property
    def left_size(self) -> int:
        """Elements of one packed A."""
        return self.shape.m * self.pairs.row if self.pairs else 0

    @property
    def left_chunks(self) -> int:
        """The tasks that pack one A: some row tiles each."""
        return max(1, self.rows.count // max(1, LEFT_ROWS // self.rows.longest))

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The launches; none where C has no element."""
        if 0 in (self.shape.batch, self.shape.m, self.shape.n):
            return ()
        product = Phase("product", self.tasks)
        if self.packing == "phase":
            left = self.left_products * self.left_chunks
            return Phase("pack", self.packed_products * self.panels + left), product
        return (product,)


Plans = MatmulPlan | PartsPlan


def plan(
    shape: MatmulShape,
    target: Target,
    split: SplitAxis = "auto",
    *,
    in_place: bool = False,
) -> Plans:
    """The plan of a product, from its shape and the target alone.

    `split` names the axis of C to share out among tasks where one must be preferred, so that a
    thread meets the same rows in several products; "rows first" does so where B is small, and
    shares out the columns too where rows are too few. `in_place` promises that C holds
    its old contents until the epilogue of an element has run (an optimiser's update reads them).
    """
    swapped = shape.n == 1 and shape.m != 1
    seen = _with_plain_strides(shape.transposed() if swapped else shape)
    axis = _OTHER_AXIS[split] if swapped else split
    if parts_pay(seen, target):
        return parts_plan(seen, target, swapped)
    if seen.halves is not None:
        return _share_out(_pair_plan(seen, seen.halves, target, swapped), axis)
    lanes = _lanes(seen.k, seen, target)
    if _dot_pays(seen, lanes):
        return _share_out(_dot_plan(seen, target, swapped, lanes), axis)
    lanes = _lanes(seen.n, seen, target)
    return _share_out(_tile_plan(seen, target, (swapped, in_place), lanes, axis), axis)


_OTHER_AXIS: dict[SplitAxis, SplitAxis] = {
    "auto": "auto",
    "rows": "columns",
    "rows first": "auto",
    "columns": "rows",
}


def _with_plain_strides(shape: MatmulShape) -> MatmulShape:
    """The same shape where strides that a dimension of 1 makes meaningless are plain ones.

    A single column of B that is contiguous counts as stored transposed: the dot kernel's case.
    """
    a, b = shape.a_strides, shape.b_strides
    if 1 not in a:
        a = (a[0], 1) if shape.k <= 1 else (1, a[1])
    if shape.n <= 1:
        b = (1, max(2, shape.k)) if b[0] == 1 else (b[0], 1)
    elif shape.k <= 1:
        b = (b[0], 1) if b[1] == 1 else (1, b[1])
    return replace(shape, a_strides=a, b_strides=b)


def _lanes(size: int, shape: MatmulShape, target: Target) -> int:
    """Elements per vector: the target's, halved down to 128 bits while half would hold `size`."""
    bits = target.vector_bits
    while bits > 128 and 2 * size * 8 * shape.dtype.itemsize <= bits:
        bits //= 2
    return bits // (8 * shape.dtype.itemsize)


def _transposed(shape: MatmulShape) -> bool:
    """Whether B's columns, not its rows, are contiguous."""
    return shape.b_strides[1] != 1


# --- the choice of the kernel and its tile -------------------------------------------------------

# Up to so many rows, transposing B costs more than the dot kernel loses.
DOT_ROWS = 3


def _dot_pays(shape: MatmulShape, lanes: int) -> bool:
    if not _transposed(shape):
        return False
    return shape.m <= DOT_ROWS or (shape.n < lanes and shape.k >= 4 * lanes)


def _dot_plan(shape: MatmulShape, target: Target, swapped: bool, lanes: int) -> MatmulPlan:
    return MatmulPlan(
        shape=shape,
        target=target,
        swapped=swapped,
        kernel="dot",
        lanes=lanes,
        rows=Split(shape.m, max(1, shape.m)),
        vectors=1,
        k_block=max(1, shape.k),
        packing="none",
        copy_a=shape.a_strides[1] != 1 and shape.k > 1,
        rows_inner=False,
        groups=1,
        row_blocks=1,
        column_blocks=1,
    )


def _tile_plan(
    shape: MatmulShape, target: Target, flags: tuple[bool, bool], lanes: int, axis: SplitAxis
) -> MatmulPlan:
    swapped, in_place = flags
    packing = _packing(shape, target, lanes, axis)
    copy_a = packing != "task" and _copy_pays(shape, target, lanes)
    most = 8 if _rows_collide(shape) and not copy_a else 16
    width = 1 if _is_thin(shape, target, packing) else max(1, -(-shape.n // lanes))
    rows, vectors = choose_tile(shape.m, width, target, most)
    longest = rows.longest * shape.dtype.itemsize
    limit = shape.k
    if packing == "task":
        limit = target.l2 // 4 // (vectors * lanes * shape.dtype.itemsize)
    elif copy_a:
        limit = (target.l1 // 2 if packing == "phase" else 2 * target.l1) // max(1, longest)
    if in_place:
        copy_a = copy_a and shape.k <= limit
        limit = shape.k
    return MatmulPlan(
        shape=shape,
        target=target,
        swapped=swapped,
        kernel="tile",
        lanes=lanes,
        rows=rows,
        vectors=vectors,
        k_block=block_of_k(shape.k, limit, lanes),
        packing=packing,
        copy_a=copy_a,
        rows_inner=packing == "task",
        groups=1,
        row_blocks=1,
        column_blocks=1,
    )


def _pair_plan(
    shape: MatmulShape, halves: tuple[DType, DType], target: Target, swapped: bool
) -> MatmulPlan:
    """A product in pairs, all of k at once: both operands packed; or the dot kernel."""
    row, step = shape.a_strides
    if step == 1 and _dot_pays(shape, target.vector_bits // 32):
        pairs = Pairs(shape.k, *halves, row_major=True, direct=True)
        made = _dot_plan(shape, target, swapped, target.vector_bits // 32)
        return replace(made, pairs=pairs)
    even = shape.k % 2 == row % 2 == shape.a_batch % 2 == 0
    direct = halves[0].itemsize == 2 and step == 1 and even
    pairs = Pairs(shape.k, *halves, row_major=step == 1, direct=direct)
    lanes = target.vector_bits // 32
    most = 8 if direct and _rows_collide(shape) else 16
    rows, vectors = choose_tile(shape.m, -(-shape.n // lanes), target, most)
    by_task = direct and block_pays(shape, target, vectors * lanes)
    return MatmulPlan(
        shape=replace(shape, k=pairs.depth),
        target=target,
        swapped=swapped,
        kernel="tile",
        lanes=lanes,
        rows=rows,
        vectors=vectors,
        k_block=pairs.depth,
        packing="task" if by_task else "phase",
        copy_a=False,
        rows_inner=False,
        groups=1,
        row_blocks=1,
        column_blocks=1,
        pairs=pairs,
    )


def _packing(shape: MatmulShape, target: Target, lanes: int, axis: SplitAxis) -> Packing:
    """Who packs B. A task that packs a panel uses it at once for all its rows, so it must have
    most rows for itself, and A should not be much larger than the second-level cache.
    """
    size = shape.dtype.itemsize
    by_task: Packing = "phase" if axis == "rows" and shape.m >= 128 else "task"
    if _transposed(shape):
        large = shape.m * shape.k * size > 4 * target.l2 and shape.m >= 512
        return "phase" if large else by_task
    if shape.n % lanes and not target.has_masked_ops:
        return by_task
    large = shape.k * shape.n * size > target.l2 and shape.m >= 512
    return "phase" if large else "none"


# Up to so many rows, reading and packing B's columns takes longer than computing with them: panels
# of one vector read fewer of them side by side (5 to 50 % faster).
THIN = 64


def _is_thin(shape: MatmulShape, target: Target, packing: Packing) -> bool:
    """Whether a task packs panels for few rows, with registers enough for one wide vector."""
    wide = target.vector_bits >= 512
    return packing == "task" and wide and _transposed(shape) and shape.m <= THIN


def _rows_collide(shape: MatmulShape) -> bool:
    """Whether A's rows start in the same set of a cache with pages of 4 KiB per way."""
    stride = shape.a_strides[0] * shape.dtype.itemsize
    return shape.a_strides[1] == 1 and stride % 4096 == 0 and shape.k > 64


# The vectors of a row of C that pay for copying A's rows.
COPY_WIDTH = 16


def _copy_pays(shape: MatmulShape, target: Target, lanes: int) -> bool:
    """Whether A's rows should be copied together: B is large, or the rows collide; not if the
    copy serves few columns."""
    large = shape.k * shape.n * shape.dtype.itemsize > target.l2
    return shape.n >= COPY_WIDTH * lanes and (large or _rows_collide(shape))


# --- sharing the work out among tasks ------------------------------------------------------------


def _share_out(plan: MatmulPlan, axis: SplitAxis) -> MatmulPlan:
    """The plan with its batch, row tiles and panels cut into tasks."""
    shape = plan.shape
    wanted = _wanted_tasks(shape.multiply_adds)
    groups = max(1, min(shape.batch, wanted))
    grouped = replace(plan, groups=groups)
    cuts = _cuts(plan, -(-wanted // groups), axis)
    rows, columns = min(cuts, key=lambda cut: _cut_cost(grouped, *cut))
    return replace(grouped, row_blocks=rows, column_blocks=columns)


def _wanted_tasks(work: int) -> int:
    """How many tasks so much work should have; depends on nothing else."""
    few = min(8, max(1, 2 * work // SMALL)) if work >= SMALL else 1
    return max(few, min(TASKS, work // TASK))


def _cuts(plan: MatmulPlan, pieces: int, axis: SplitAxis) -> Iterator[tuple[int, int]]:
    """Numbers of row blocks and column blocks with about so many pieces together."""
    most_rows = 1 if axis == "columns" else min(max(1, plan.rows.count), pieces)
    most_columns = 1 if axis == "rows" else min(max(1, plan.panels), pieces)
    # Each row block packs B again, which 128 rows pay for; each column block copies A's rows.
    if plan.packing == "task":
        most_rows = min(most_rows, max(1, plan.shape.m // _rows_that_pack(plan)))
    if plan.copy_a and plan.kernel == "tile":
        most_columns = min(most_columns, max(1, plan.shape.n // (COPY_WIDTH * plan.lanes)))
    fewest_rows = most_rows if axis == "rows first" and _stays(plan) else 1
    for rows in range(fewest_rows, most_rows + 1):
        for columns in range(1, min(most_columns, max(1, pieces // rows)) + 1):
            yield rows, columns


def _stays(plan: MatmulPlan) -> bool:
    """Whether B, read where it stands, stays in every thread's cache."""
    shape = plan.shape
    size = shape.k * shape.n * shape.dtype.itemsize
    return plan.packing == "none" and 2 * size <= plan.target.l2


def _rows_that_pack(plan: MatmulPlan) -> int:
    """The fewest rows that pay for packing their panels by themselves."""
    if not plan.packs_block:
        return 128
    small = plan.pairs is not None and plan.pairs.k * plan.shape.n <= SMALL_B
    return 64 if small else max(1, plan.shape.m)


def _cut_cost(plan: MatmulPlan, rows: int, columns: int) -> tuple[float, int]:
    """First how busy 2, 4, 8 ... threads would be kept, then how much the tasks read together."""
    shape = plan.shape
    block = -(-max(1, plan.rows.count) // rows) * -(-max(1, plan.panels) // columns)
    if plan.packing == "phase" and _block_bytes(plan, columns) > plan.target.l2:
        block *= 2
    tasks = plan.groups * rows * columns
    spans = sum(-(-tasks // threads) * block * threads / plan.groups for threads in THREADS)
    reading = rows * shape.k * shape.n + columns * shape.m * shape.k * (4 if plan.copy_a else 1)
    return spans, reading


def _block_bytes(plan: MatmulPlan, columns: int) -> int:
    """Bytes of a task's part of B within one block of k, which should stay in its cache."""
    width = -(-plan.panels // columns) * plan.panel_width
    return plan.k_block * width * plan.shape.dtype.itemsize
