"""What a product will read and write soon is asked for while its sums are still computed.

The rows of a tile stand far apart in memory, so that no hardware guesses the next one: without
this, an epilogue waits for every row in turn, and so does whoever meets a panel of weights that
are in no cache. Not here: the epilogue itself (`llvm_matmul_epilogue.py`), and panels that are read
where they stand (`llvm_matmul_kernels.py` asks for the ones to come). Next: `llvm_matmul.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import I64, PTR, ask, for_range, i64
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
        for place in range(0, self.plan.panel_width * stream.itemsize, LINE):
            address = b.gep(start, [b.add(at, i64(place))], source_etype=BYTE)
            ask(b, self.vectors.module, address, written=stream.written)


@dataclass(frozen=True)
class PanelPrefetcher:
    """A function that asks for some columns of a B stored transposed, before they are packed.

    The function's arguments: b (at the panel's first k and column), `first` and `stop`, the columns
    of the panel, and `steps` of k.
    """

    vectors: Vectors
    stride: int  # elements from one column to the next

    def emit(self, prefix: str) -> ir.Function:
        """Add the function to the module."""
        args = {"b": PTR} | dict.fromkeys(("first", "stop", "steps"), I64)
        b, made = internal(self.vectors.module, f"{prefix}_prefetch_panel", args)
        source, first, stop, steps = made.args
        with for_range(b, first, stop, name="column") as column:
            start = self.vectors.at(b, source, b.mul(column, i64(self.stride)))
            with for_range(b, 0, steps, LINE // self.vectors.dtype.itemsize, name="k") as k:
                ask(b, self.vectors.module, self.vectors.at(b, start, k), level=2)
        b.ret_void()
        return made
