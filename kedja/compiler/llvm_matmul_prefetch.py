"""What a product's epilogue will read and write is asked for while the sums are still computed.

The rows of a tile stand far apart in memory, so that no hardware guesses the next one: without
this, an epilogue waits for every row in turn. Not here: the epilogue itself
(`llvm_matmul_epilogue.py`). Next: `llvm_matmul.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import I32, I64, PTR, declare, for_range, i64
from kedja.compiler.llvm_matmul_epilogue import argument
from kedja.compiler.llvm_matmul_kernels import internal
from kedja.compiler.llvm_matmul_vectors import Vectors
from kedja.compiler.matmul_plan import MatmulPlan

BYTE = ir.IntType(8)
LINE = 64  # bytes that come at once


class Stream(NamedTuple):
    """A value of the product's shape that an epilogue reads or writes: its argument, the bytes of
    an element."""

    argument: int
    itemsize: int
    written: bool


@dataclass(frozen=True)
class Prefetcher:
    """A function that asks for the elements of one tile, of all streams.

    The function's arguments: args, batch, row, rows, column: the tile's place.
    """

    vectors: Vectors
    plan: MatmulPlan
    streams: Sequence[Stream]

    def emit(self, prefix: str) -> ir.Function:
        """Add the function to the module."""
        args = {"args": PTR} | dict.fromkeys(("batch", "row", "rows", "column"), I64)
        b, made = internal(self.vectors.module, f"{prefix}_prefetch", args)
        given, batch, row, rows, column = made.args
        shape = self.plan.shape
        line = b.add(b.mul(batch, i64(shape.m)), row)
        first = b.add(b.mul(line, i64(shape.n)), column)
        starts = [self._start(b, each, given, first) for each in self.streams]
        with for_range(b, 0, rows, name="row") as r:
            for each, start in zip(self.streams, starts, strict=True):
                self._row(b, each, start, r)
        b.ret_void()
        return made

    def _start(self, b: ir.IRBuilder, stream: Stream, args: ir.Value, first: ir.Value) -> ir.Value:
        at = b.mul(first, i64(stream.itemsize))
        return b.gep(argument(b, args, stream.argument), [at], source_etype=BYTE)

    def _row(self, b: ir.IRBuilder, stream: Stream, start: ir.Value, r: ir.Value) -> None:
        """The lines of one row (past the last column nothing is read: asking cannot fault)."""
        at = b.mul(r, i64(self.plan.shape.n * stream.itemsize))
        kinds = [PTR, I32, I32, I32]
        ask = declare(self.vectors.module, "llvm.prefetch.p0", kinds)
        for place in range(0, self.plan.panel_width * stream.itemsize, LINE):
            address = b.gep(start, [b.add(at, i64(place))], source_etype=BYTE)
            flags = [ir.Constant(I32, flag) for flag in (int(stream.written), 3, 1)]
            b.call(ask, [address, *flags])
