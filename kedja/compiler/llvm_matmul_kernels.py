"""The two inner kernels of a matrix product, each an internal function of the module.

    tile  out[r, v] = sum over k of A[r, k] B[k, v]   a block of C that fits in registers
    dot   out[c]    = sum over k of A[k] B[c, k]      one row of A times up to `lanes` columns

In both, the sum over k of one element has a fixed order. The tile's is k = 0, 1, 2 ..., each step
one fused multiply-add, however C is cut into tiles and k into blocks; the dot's depends on the
number of lanes only.
Not here: loops over tiles, packing, epilogues. Next: `llvm_matmul.py`, which calls these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import I64, PTR, ask, for_carry, function, i64
from kedja.compiler.llvm_matmul_rows import Operand, PickedRows, PickedSteps, Picks, Place
from kedja.compiler.llvm_matmul_vectors import Vectors


def internal(
    module: ir.Module, name: str, args: dict[str, ir.Type]
) -> tuple[ir.IRBuilder, ir.Function]:
    """A new function that only this module sees; the same conventions for all of them."""
    builder, made = function(module, name, args)
    made.linkage = "internal"
    made.attributes.add("nounwind")
    return builder, made


@dataclass(frozen=True)
class Tile:
    """A kernel for `rows` x `vectors` of C; strides in elements.

    The function's arguments: a, b (at the tile's first k), out, the number of `steps` of k, and
    `resume`: 0 where the sums start from zero, 1 where they go on from what stands in out. An
    operand whose rows are picked is followed by its index, at the tile's first row or step.
    """

    vectors_of: Vectors
    rows: int
    vectors: int
    a_strides: tuple[int, int]
    b_stride: int  # from one k to the next
    out_stride: int  # from one row to the next
    tail: int  # the used lanes of the last vector; 0 if all are
    mask_b: bool  # with a tail: B must not be read beyond it
    mask_out: bool  # with a tail: out must not be written beyond it
    steps: int | None  # the number of steps where it is always the same
    odd: bool  # whether a single step may be left over from the rounds
    resumes: bool  # whether `resume` may be 1
    ahead: int = 0  # from a row of B to what is asked for while it is used; 0: nothing is
    a_rows: Picks | None = None
    b_rows: Picks | None = None

    @property
    def name(self) -> str:
        """A name that tells the kernels of one product apart."""
        return f"tile_{self.rows}x{self.vectors}{'_tail' if self.tail else ''}"

    def emit(self, prefix: str) -> ir.Function:
        """Add the function to the module."""
        operands = (("a", True), ("a_rows", self.a_rows), ("b", True), ("b_rows", self.b_rows))
        names = [name for name, given in operands if given]
        args = dict.fromkeys((*names, "out"), PTR) | dict.fromkeys(("steps", "resume"), I64)
        b, made = internal(self.vectors_of.module, f"{prefix}_{self.name}", args)
        given = dict(zip(args, made.args, strict=True))
        left = self._left(b, given["a"], given.get("a_rows"))
        right = self._right(given["b"], given.get("b_rows"))
        _TileBody(self, b, given["out"], left, right).emit(given["steps"], given["resume"])
        b.ret_void()
        return made

    def _left(self, b: ir.IRBuilder, a: ir.Value, index: ir.Value | None) -> Operand:
        """How the body finds the elements of A."""
        row, step = self.a_strides
        if self.a_rows is None or index is None:
            return Operand(self.vectors_of, a, step, row)
        if self.a_rows.rows.along_k:
            return PickedSteps(self.vectors_of, index, 1, row, self.a_rows, a)
        rows = tuple(self.a_rows.row(b, a, index, r) for r in range(self.rows))
        return PickedRows(self.vectors_of, i64(0), step, 0, rows)

    def _right(self, b: ir.Value, index: ir.Value | None) -> Operand:
        """How it finds those of B, whose rows are steps."""
        if self.b_rows is None or index is None:
            return Operand(self.vectors_of, b, self.b_stride, 0)
        return PickedSteps(self.vectors_of, index, 1, 0, self.b_rows, b)


@dataclass(frozen=True)
class _TileBody:
    """The body of one tile function, while it is being emitted.

    `state` below is [a, b, *sums]: where both operands stand and the accumulators, row by row.
    """

    tile: Tile
    b: ir.IRBuilder
    out: ir.Value
    left: Operand
    right: Operand

    def emit(self, steps: ir.Value, resume: ir.Value) -> None:
        """The sums' start, the rounds of some steps, what is left over, and the stores."""
        tile = self.tile
        count = steps if tile.steps is None else i64(tile.steps)
        state = [self.left.start, self.right.start, *self.first_sums(resume)]
        state = self.rounds(state, count)
        if tile.odd and tile.vectors_of.unroll > 1:
            state = self.left_over(state, count)
        self.store(state[2:])

    def first_sums(self, resume: ir.Value) -> list[ir.Value]:
        """Zeros, or what an earlier block of k left in out."""
        zeros = [self.tile.vectors_of.zero] * (self.tile.rows * self.tile.vectors)
        if not self.tile.resumes:
            return zeros
        with for_carry(self.b, 0, resume, zeros, name="resume") as once:
            once.carry(*self.load_sums())
        return once.results

    def rounds(self, state: list[ir.Value], steps: ir.Value) -> list[ir.Value]:
        """As many whole rounds as fit into the steps."""
        known, unroll = self.tile.steps, self.tile.vectors_of.unroll
        if known is not None and known < unroll:
            return state
        rounded = self.b.and_(steps, i64(-unroll))
        whole = rounded if known is None else i64(known // unroll * unroll)
        with for_carry(self.b, 0, whole, state, unroll, name="k") as loop:
            loop.carry(*self.advance(loop.values, loop.index, unroll))
        return loop.results

    def left_over(self, state: list[ir.Value], steps: ir.Value) -> list[ir.Value]:
        """The single step after the rounds; a loop that runs once or not at all where unknown."""
        if self.tile.steps is not None:
            return self.advance(state, i64(self.tile.steps - 1), 1)
        before = self.b.and_(steps, i64(-self.tile.vectors_of.unroll))
        odd = self.b.and_(steps, i64(self.tile.vectors_of.unroll - 1))
        with for_carry(self.b, 0, odd, state, name="odd") as once:
            once.carry(*self.advance(once.values, before, 1))
        return once.results

    def advance(self, state: Sequence[ir.Value], done: ir.Value, steps: int) -> list[ir.Value]:
        """The state after some more steps of k."""
        a, b, *sums = state
        for step in range(steps):
            left = self.left.step_of(self.b, a, done, step)
            sums = self.one_step(left, self.right.step_of(self.b, b, done, step), sums)
        ahead = (each.after(self.b, at, steps) for each, at in ((self.left, a), (self.right, b)))
        return [*ahead, *sums]

    def one_step(self, left: Place, right: Place, sums: Sequence[ir.Value]) -> list[ir.Value]:
        """sums[r, v] + A[r, k] B[k, v] for one k."""
        tile, vectors = self.tile, self.tile.vectors_of
        base, first = right
        row = [
            vectors.load(self.b, base, first + v * vectors.lanes, self.mask(v, tile.mask_b))
            for v in range(tile.vectors)
        ]
        for v in range(tile.vectors if tile.ahead else 0):
            place = first + tile.ahead + v * vectors.lanes
            ask(self.b, vectors.module, vectors.at(self.b, base, place), level=2)
        made = []
        for r in range(tile.rows):
            at = self.left.in_row(self.b, left, r)
            x = vectors.splat(self.b, vectors.load_scalar(self.b, *at))
            before = sums[r * tile.vectors : (r + 1) * tile.vectors]
            made += [
                vectors.multiply_add(self.b, x, y, s) for y, s in zip(row, before, strict=True)
            ]
        return made

    def mask(self, v: int, wanted: bool) -> ir.Value | None:
        """The mask of vector v of a row: the tail, where the last vector has one."""
        tile = self.tile
        masked = wanted and tile.tail and v == tile.vectors - 1
        return tile.vectors_of.mask(self.b, tile.tail) if masked else None

    def places(self) -> list[tuple[int, ir.Value | None]]:
        """The offset in out and the mask of every accumulator."""
        tile = self.tile
        return [
            (r * tile.out_stride + v * tile.vectors_of.lanes, self.mask(v, tile.mask_out))
            for r in range(tile.rows)
            for v in range(tile.vectors)
        ]

    def load_sums(self) -> list[ir.Value]:
        """The accumulators as they stand in out."""
        vectors = self.tile.vectors_of
        return [vectors.load(self.b, self.out, at, mask) for at, mask in self.places()]

    def store(self, sums: Sequence[ir.Value]) -> None:
        """Write the accumulators to out."""
        for (at, mask), value in zip(self.places(), sums, strict=True):
            self.tile.vectors_of.store(self.b, self.out, at, value, mask)


@dataclass(frozen=True)
class Dot:
    """A kernel for one row of A and `columns` columns of B, both contiguous along k.

    The function's arguments: a, b and out; out gets a whole vector unless `mask_out`.
    """

    vectors_of: Vectors
    columns: int
    b_stride: int  # from one column of B to the next
    steps: int
    mask_out: bool  # out must not be written beyond the columns
    apart: bool  # whether one column is read after the other, as a B in no cache stands in memory

    def emit(self, prefix: str) -> ir.Function:
        """Add the function to the module."""
        vectors = self.vectors_of
        args = {"a": PTR, "b": PTR, "out": PTR}
        b, made = internal(vectors.module, f"{prefix}_dot_{self.columns}", args)
        total = vectors.lane_sums(b, self._sums(b, made.args[0], made.args[1]))
        mask = vectors.mask(b, self.columns) if self.mask_out else None
        vectors.store(b, made.args[2], 0, total, mask)
        b.ret_void()
        return made

    def _sums(self, b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> list[ir.Value]:
        """Lane sums along k of all columns: each has one order of adding, apart or together."""
        if not self.apart:
            return self._along(b, x, y, range(self.columns))
        return [each for c in range(self.columns) for each in self._along(b, x, y, (c,))]

    def _along(
        self, b: ir.IRBuilder, x: ir.Value, y: ir.Value, columns: Sequence[int]
    ) -> list[ir.Value]:
        """Lane sums of some columns: whole vectors in a loop, then the masked rest."""
        lanes = self.per_vector
        whole, rest = self.steps // lanes * lanes, self.steps % lanes
        sums: list[ir.Value] = [self.vectors_of.zero] * len(columns)
        if whole:
            with for_carry(b, 0, whole, sums, lanes, name="k") as loop:
                found = self._step(b, (x, y, loop.index), columns, loop.values, lanes)
                loop.carry(*found)
            sums = loop.results
        return self._step(b, (x, y, i64(whole)), columns, sums, rest) if rest else sums

    @property
    def per_vector(self) -> int:
        """Steps of k that one vector holds."""
        return self.vectors_of.lanes

    def _step(
        self,
        b: ir.IRBuilder,
        place: tuple[ir.Value, ir.Value, ir.Value],
        columns: Sequence[int],
        sums: Sequence[ir.Value],
        count: int,
    ) -> list[ir.Value]:
        """The sums after `count` more steps, from (A, B, k) on."""
        (x, y, k), vectors = place, self.vectors_of
        mask = vectors.mask(b, count) if count < vectors.lanes else None
        left = vectors.load(b, x, k, mask)
        base = vectors.at(b, y, k)
        rights = [vectors.load(b, base, c * self.b_stride, mask) for c in columns]
        return [
            vectors.multiply_add(b, left, right, s) for right, s in zip(rights, sums, strict=True)
        ]
