"""The vector instructions that matrix products need, for one element type and number of lanes.

Not here: loops (`llvm_blocks.py`) and kernels. Next: `llvm_matmul_kernels.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import I32, I64, Index, as_i64, declare, i32
from kedja.compiler.llvm_lanes import first_lanes, load_lanes, store_lanes, suffix
from kedja.compiler.llvm_scalar import memory_type
from kedja.ground.dtypes import DType

# Constants are kept, because each new one is written element by element.


@lru_cache(maxsize=256)
def _indices(chosen: tuple[int, ...]) -> ir.Constant:
    """Which lanes a shuffle picks."""
    return ir.Constant(ir.VectorType(I32, len(chosen)), list(chosen))


@lru_cache(maxsize=32)
def _zeros(scalar: ir.Type, lanes: int) -> ir.Constant:
    """A vector of zeros."""
    zero = 0 if isinstance(scalar, ir.IntType) else 0.0
    return ir.Constant(ir.VectorType(scalar, lanes), [zero] * lanes)


@lru_cache(maxsize=32)
def _anything(scalar: ir.Type, lanes: int) -> ir.Constant:
    """A vector whose lanes do not matter."""
    return ir.Constant(ir.VectorType(scalar, lanes), ir.Undefined)


@dataclass(frozen=True)
class Vectors:
    """Vectors of `lanes` elements of one dtype, in one module. A mask None means all lanes.

    `unroll` is how many steps of k make a round of a tile's loop: two, at most, hide the loop's own
    instructions.
    """

    unroll: ClassVar[int] = 2
    module: ir.Module
    dtype: DType
    lanes: int

    @property
    def scalar(self) -> ir.Type:
        """The element type; of half dtypes, their bits."""
        return memory_type(self.dtype)

    @property
    def kind(self) -> ir.VectorType:
        """The vector type."""
        return ir.VectorType(self.scalar, self.lanes)

    @property
    def suffix(self) -> str:
        """The vector type's name inside intrinsics' names."""
        return suffix(self.kind)

    @property
    def zero(self) -> ir.Value:
        """A vector of zeros."""
        return _zeros(self.scalar, self.lanes)

    def at(self, b: ir.IRBuilder, base: ir.Value, index: Index) -> ir.Value:
        """The address of element `index`, counted in scalars."""
        return b.gep(base, [as_i64(index)], inbounds=True, source_etype=self.scalar)

    def load(
        self, b: ir.IRBuilder, base: ir.Value, index: Index, mask: ir.Value | None = None
    ) -> ir.Value:
        """`lanes` elements from `index` on; lanes outside the mask are not touched and give 0."""
        address = self.at(b, base, index)
        return load_lanes(b, self.kind, address, self.dtype.itemsize, mask)

    def store(
        self,
        b: ir.IRBuilder,
        base: ir.Value,
        index: Index,
        value: ir.Value,
        mask: ir.Value | None = None,
    ) -> None:
        """Write `lanes` elements from `index` on; lanes outside the mask stay as they are."""
        address = self.at(b, base, index)
        store_lanes(b, value, address, self.dtype.itemsize, mask)

    def load_scalar(self, b: ir.IRBuilder, base: ir.Value, index: Index) -> ir.Value:
        """One element."""
        return b.load(self.at(b, base, index), typ=self.scalar, align=self.dtype.itemsize)

    def splat(self, b: ir.IRBuilder, value: ir.Value) -> ir.Value:
        """One element in every lane."""
        anything = _anything(value.type, self.lanes)
        first = b.insert_element(anything, value, i32(0))
        return b.shuffle_vector(first, anything, _indices((0,) * self.lanes))

    def mask(self, b: ir.IRBuilder, used: Index) -> ir.Value:
        """The mask of the first `used` lanes; more than `lanes` means all of them."""
        if isinstance(used, int):
            return first_lanes(used, self.lanes)
        iota = ir.Constant(ir.VectorType(I64, self.lanes), list(range(self.lanes)))
        return b.icmp_signed("<", iota, self.splat(b, used))

    def multiply_add(self, b: ir.IRBuilder, x: ir.Value, y: ir.Value, total: ir.Value) -> ir.Value:
        """`x * y + total`, rounded once where the target has such an instruction."""
        kinds = [self.kind] * 3
        return b.call(
            declare(self.module, f"llvm.fmuladd.{self.suffix}", kinds, self.kind), [x, y, total]
        )

    def pick(self, b: ir.IRBuilder, x: ir.Value, y: ir.Value, indices: Sequence[int]) -> ir.Value:
        """Lanes chosen from x (indices below `lanes`) and y (from `lanes` on)."""
        return b.shuffle_vector(x, y, _indices(tuple(indices)))

    def _halves(self, h: int) -> tuple[list[int], list[int]]:
        """Indices that exchange bit `h` of the lane with the choice between two vectors."""
        lanes = range(self.lanes)
        low = [self.lanes + lane - h if lane & h else lane for lane in lanes]
        high = [self.lanes + lane if lane & h else lane + h for lane in lanes]
        return low, high

    def transpose(self, b: ir.IRBuilder, rows: Sequence[ir.Value]) -> list[ir.Value]:
        """The columns of `lanes` vectors: a butterfly of log2(lanes) rounds of shuffles."""
        made, h = list(rows), 1
        while h < self.lanes:
            low, high = self._halves(h)
            for i in (i for i in range(self.lanes) if not i & h):
                x, y = made[i], made[i + h]
                made[i], made[i + h] = self.pick(b, x, y, low), self.pick(b, x, y, high)
            h *= 2
        return made

    def lane_sums(self, b: ir.IRBuilder, rows: Sequence[ir.Value]) -> ir.Value:
        """Lane i of the answer is the sum of the lanes of rows[i], in one fixed order of adding.

        Missing rows give zeros. Each round adds neighbours and halves the number of vectors.
        """
        made: list[ir.Value | None] = [*rows, *[None] * (self.lanes - len(rows))]
        h = 1
        while h < self.lanes:
            pairs = zip(made[0::2], made[1::2], strict=True)
            made = [self._add_halves(b, x, y, h) for x, y in pairs]
            h *= 2
        (total,) = made
        assert total is not None
        return total

    def _add_halves(
        self, b: ir.IRBuilder, x: ir.Value | None, y: ir.Value | None, h: int
    ) -> ir.Value | None:
        if x is None:
            return None
        low, high = self._halves(h)
        other = self.zero if y is None else y
        return b.fadd(self.pick(b, x, other, low), self.pick(b, x, other, high))
