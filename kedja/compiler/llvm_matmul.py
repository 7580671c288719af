"""Matrix products as LLVM IR: the functions of a plan's phases, built from the kernels.

Not here: the choices (`matmul_plan.py`), the register tiles (`llvm_matmul_kernels.py`), packing
(`llvm_matmul_pack.py`), epilogues (`llvm_matmul_epilogue.py`), and who runs the tasks.

Every emitted function is `void f(ptr args, i64 task)`, `args` an array of pointers:

    args[0] C    args[1] A    args[2] B    args[3] scratch (64-byte aligned; unused if the plan
    asks for none)    args[4] and on: whatever the epilogue wants

Scratch holds what the packing phase packed, or a region of `task_scratch` elements per task.
Next: `matmul_plan.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import I64, PTR, Index, alloca, as_i64, for_range, function, i64
from kedja.compiler.llvm_matmul_epilogue import (
    FIRST_EXTRA,
    Epilogue,
    EpilogueSite,
    Finisher,
    argument,
)
from kedja.compiler.llvm_matmul_kernels import Dot, Tile
from kedja.compiler.llvm_matmul_left import LeftPairs, Range, first_row, share
from kedja.compiler.llvm_matmul_operands import Address, readers
from kedja.compiler.llvm_matmul_pack import PanelPacker, RowCopier
from kedja.compiler.llvm_matmul_pairs import PairDot, PairPanelPacker, PairReader, PairVectors
from kedja.compiler.llvm_matmul_parts import emit_parts
from kedja.compiler.llvm_matmul_prefetch import PanelPrefetcher, Prefetcher, Stream
from kedja.compiler.llvm_matmul_vectors import Vectors
from kedja.compiler.matmul_parts import PartsPlan
from kedja.compiler.matmul_plan import MatmulPlan, Plans
from kedja.ground.dtypes import DType

__all__ = ["FIRST_EXTRA", "Epilogue", "EpilogueSite", "emit_matmul"]


@contextmanager
def _loop(b: ir.IRBuilder, start: Index, stop: Index, name: str) -> Iterator[ir.Value]:
    """A counted loop, or just its body where it runs once for certain."""
    if start == 0 and stop == 1:
        yield i64(0)
        return
    with for_range(b, start, stop, name=name) as index:
        yield index


@dataclass(frozen=True)
class _Step:
    """One product of the batch and one block of k: the operands at that block's first k."""

    z: ir.Value
    a: Address
    b: Address
    block: ir.Value
    first: ir.Value
    steps: ir.Value


class Emitted(Protocol):
    """A kernel, a packer or an epilogue: something that becomes one function."""

    def emit(self, prefix: str) -> ir.Function: ...


class _Product:
    """The functions of one product, while they are being emitted."""

    def __init__(
        self,
        module: ir.Module,
        name: str,
        plan: MatmulPlan,
        epilogue: Epilogue | None,
        out: DType,
        streams: tuple[Stream, ...],
        first_index: int,
    ) -> None:
        self.module, self.name, self.plan = module, name, plan
        kind = PairVectors if plan.pairs else Vectors
        self.vectors = kind(module, plan.shape.dtype, plan.lanes)
        self.blocked = plan.k_blocks > 1
        # Sums that an epilogue will map go through a small buffer, unless they must wait in C.
        self.buffered = epilogue is not None and not self.blocked
        self.sums_stride = plan.panel_width if self.buffered else plan.shape.n
        self.a, self.b = readers(self.vectors, plan, first_index)
        self.copier = self._row_copier()
        stored = Vectors(module, out, plan.lanes)
        self.finisher = (
            Finisher(self.vectors, plan, epilogue, self.sums_stride, stored) if epilogue else None
        )
        wanted = streams and plan.kernel == "tile" and not plan.swapped
        self.prefetcher = Prefetcher(self.vectors, plan, streams) if wanted else None
        self.left = LeftPairs(self.vectors, plan, self.part)
        self.made: dict[object, ir.Function] = {}

    # --- the parts that the loops call, each emitted once ----------------------------------------

    def part(self, kind: Emitted) -> ir.Function:
        """The function of a kernel, a packer or an epilogue; the same one when asked again."""
        if kind not in self.made:
            self.made[kind] = kind.emit(self.name)
        return self.made[kind]

    def _row_copier(self) -> RowCopier | None:
        plan, shape = self.plan, self.plan.shape
        if not plan.copy_a or plan.kernel == "dot":
            return None
        steps = min(plan.k_block, shape.k)
        most = plan.rows.longest
        return RowCopier(self.vectors, shape.a_strides, most, steps, self.a.picks)

    def tile(self, rows: int, last: bool) -> Tile:
        """The kernel for so many rows of a full panel, or of the last one."""
        plan, shape = self.plan, self.plan.shape
        width = (plan.last_vectors if last else plan.vectors) * plan.lanes
        tail = plan.tail if last else 0
        packed = plan.packing != "none"
        return Tile(
            self.vectors,
            rows,
            width // plan.lanes,
            self._left_strides(rows),
            width if packed else shape.b_strides[0],
            self.sums_stride,
            tail,
            mask_b=not packed,
            mask_out=not self.buffered,
            steps=None if self.blocked else shape.k,
            odd=shape.k % 2 == 1,
            resumes=self.blocked,
            ahead=plan.asked_ahead,
            a_rows=None if self.copier else self.a.picks,
            b_rows=None if packed else self.b.picks,
        )

    def _left_strides(self, rows: int) -> tuple[int, int]:
        """The strides in which a kernel finds its rows of A."""
        if self.plan.pairs:
            return self.left.strides(rows)
        return self.copier.out_strides if self.copier else self.plan.shape.a_strides

    def packer(self, last: bool) -> PanelPacker | PairPanelPacker:
        plan, shape = self.plan, self.plan.shape
        vectors = plan.last_vectors if last else plan.vectors
        tail = plan.tail if last else 0
        if plan.pairs:
            reader = PairReader(self.module, plan.pairs.b, plan.lanes)
            return PairPanelPacker(reader, vectors, shape.b_strides, tail, plan.pairs.k)
        shortest = plan.shortest_pack
        return PanelPacker(self.vectors, vectors, shape.b_strides, tail, shortest, self.b.picks)

    def dot(self, last: bool) -> Dot:
        plan, shape = self.plan, self.plan.shape
        columns = plan.tail if last and plan.tail else plan.lanes
        mask_out = columns < plan.lanes and not self.buffered
        given = (self.vectors, columns, shape.b_strides[1], shape.k, mask_out, plan.columns_apart)
        if plan.pairs:
            readers = (
                PairReader(self.module, kind, plan.lanes) for kind in (plan.pairs.a, plan.pairs.b)
            )
            return PairDot(*given, *readers)
        return Dot(*given)

    def by_panel(self, b: ir.IRBuilder, p: ir.Value, emit: Callable[[bool], object]) -> None:
        """Emit code for panel p: once if the last panel is like the others, else twice."""
        plan = self.plan
        if plan.panels == 1 or (plan.tail == 0 and plan.last_vectors == plan.vectors):
            emit(plan.panels == 1)
            return
        with b.if_else(b.icmp_signed("<", p, i64(plan.panels - 1))) as (inner, last):
            with inner:
                emit(False)
            with last:
                emit(True)

    def by_rows(self, b: ir.IRBuilder, t: ir.Value, emit: Callable[[int], None]) -> None:
        """Emit code for row tile t: once if all tiles have the same height, else twice."""
        rows = self.plan.rows
        if rows.longer == 0:
            emit(rows.base)
            return
        with b.if_else(b.icmp_signed("<", t, i64(rows.longer))) as (longer, shorter):
            with longer:
                emit(rows.base + 1)
            with shorter:
                emit(rows.base)

    # --- the packing phase -----------------------------------------------------------------------

    def emit_pack(self, symbol: str) -> str:
        """The phase that packs: one panel of one B per task, then some rows of one A."""
        plan = self.plan
        b, made = self._function(symbol)
        args, task = made.args
        panels = i64(plan.packed_products * plan.panels)
        if plan.left_products:
            with b.if_else(b.icmp_signed("<", task, panels)) as (right, left):
                with right:
                    self._pack_panel(b, args, task)
                with left:
                    self.left.pack(b, args, b.sub(task, panels))
        else:
            self._pack_panel(b, args, task)
        b.ret_void()
        return symbol

    def _pack_panel(self, b: ir.IRBuilder, args: ir.Value, task: ir.Value) -> None:
        plan, shape = self.plan, self.plan.shape
        z, p = b.udiv(task, i64(plan.panels)), b.urem(task, i64(plan.panels))
        start = b.add(b.mul(z, i64(shape.b_batch)), self.column_offset(b, p))
        source, *index = self.b.whole(b, args, start)
        out = self.vectors.at(b, argument(b, args, 3), self.panel_offset(b, z, p))
        more = index if plan.pairs else [i64(shape.k), *index]
        self.by_panel(b, p, lambda last: b.call(self.part(self.packer(last)), [source, out, *more]))

    def _function(self, symbol: str) -> tuple[ir.IRBuilder, ir.Function]:
        b, made = function(self.module, symbol, {"args": PTR, "task": I64})
        made.attributes.add("nounwind")
        return b, made

    def column_offset(self, b: ir.IRBuilder, p: ir.Value) -> ir.Value:
        """Where panel p begins in B as it is stored."""
        return b.mul(p, i64(self.plan.panel_width * self.plan.shape.b_strides[1]))

    def panel_offset(self, b: ir.IRBuilder, z: ir.Value, p: ir.Value) -> ir.Value:
        """Where panel p of product z begins in the scratch of a packing phase."""
        plan = self.plan
        panel = b.mul(p, i64(plan.panel_width * plan.shape.k))
        if plan.packed_products == 1:
            return panel
        return b.add(b.mul(z, i64(plan.packed_size)), panel)

    # --- the product phase -----------------------------------------------------------------------

    def emit_product(self, symbol: str) -> str:
        """The phase that computes C: one block of it per task."""
        b, made = self._function(symbol)
        _Loops(self, b, *made.args).emit()
        b.ret_void()
        return symbol


class _Loops:
    """The loop nest of one task of the product, while it is being emitted.

    Outside in: the task's products of the batch, blocks of k, then row tiles and panels in the
    order that the plan says.
    """

    def __init__(self, product: _Product, b: ir.IRBuilder, args: ir.Value, task: ir.Value) -> None:
        self.product, self.plan, self.vectors = product, product.plan, product.vectors
        self.builder, self.args, self.task = b, args, task
        self.sums = self._buffer(self.plan.rows.longest * self.plan.panel_width, product.buffered)
        copier = product.copier
        self.copied = self._buffer(copier.size if copier else 0, copier is not None)

    def _buffer(self, size: int, wanted: bool) -> ir.Value | None:
        """Stack memory for so many elements, aligned like scratch."""
        if not wanted:
            return None
        return alloca(self.builder, ir.ArrayType(self.vectors.scalar, size), align=64)

    def emit(self) -> None:
        """The whole nest."""
        b, plan = self.builder, self.plan
        group, rest = self._divide(self.task, plan.row_blocks * plan.column_blocks)
        row_block, column_block = self._divide(rest, plan.column_blocks)
        tiles = share(b, row_block, plan.rows.count, plan.row_blocks)
        panels = share(b, column_block, plan.panels, plan.column_blocks)
        products = share(b, group, plan.shape.batch, plan.groups)
        with _loop(b, *products, "z") as z, _loop(b, 0, plan.k_blocks, "block") as block:
            step = self._step(z, block)
            if plan.packs_block:
                self._pack_block(step, panels)
            self._sweep(step, tiles, panels)

    def _pack_block(self, step: _Step, panels: Range) -> None:
        """The task's own panels of B, packed one after the other."""
        b, product = self.builder, self.product
        self.first_panel = as_i64(panels[0])
        with _loop(b, *panels, "packed") as p:
            source, *_ = product.b.moved(b, step.b, product.column_offset(b, p))
            to = self._own_panel(p)
            product.by_panel(
                b, p, lambda last: b.call(product.part(product.packer(last)), [source, to])
            )

    def _own_panel(self, p: ir.Value) -> ir.Value:
        """Where the task has packed panel p."""
        b, plan = self.builder, self.plan
        at = b.mul(b.sub(p, self.first_panel), i64(plan.panel_width * plan.shape.k))
        return self.vectors.at(b, self._task_scratch(), at)

    def _divide(self, index: ir.Value, count: int) -> tuple[ir.Value, ir.Value]:
        """The quotient and the remainder of a task's number."""
        if count == 1:
            return index, i64(0)
        return self.builder.udiv(index, i64(count)), self.builder.urem(index, i64(count))

    def _step(self, z: ir.Value, block: ir.Value) -> _Step:
        b, shape = self.builder, self.plan.shape
        first = b.mul(block, i64(self.plan.k_block))
        rest = b.sub(i64(shape.k), first)
        whole = i64(min(self.plan.k_block, shape.k))
        steps = b.select(b.icmp_signed("<", rest, whole), rest, whole)
        readers = (self.product.a, self.product.b)
        left, right = (each.block(b, self.args, z, first) for each in readers)
        return _Step(z, left, right, block, first, steps)

    def _sweep(self, step: _Step, tiles: Range, panels: Range) -> None:
        """All tiles of the task's block of C; what is copied is copied in the outer loop."""
        b = self.builder
        if self.plan.rows_inner:
            with _loop(b, *panels, "panel") as p:
                right = self._panel(step, p)
                with _loop(b, *tiles, "tile") as t:
                    self._tile(step, t, p, self._rows(step, t), right)
        else:
            with _loop(b, *tiles, "tile") as t:
                left = self._rows(step, t)
                with _loop(b, *panels, "panel") as p:
                    self._tile(step, t, p, left, self._panel(step, p))

    def _row(self, t: ir.Value) -> ir.Value:
        """The first row of tile t."""
        return first_row(self.builder, self.plan, t)

    def _rows(self, step: _Step, t: ir.Value) -> Address:
        """A's rows of tile t: where they stand, or their copy."""
        b, plan = self.builder, self.plan
        if plan.pairs:
            return (self.product.left.rows(b, self.args, step.z, self._row(t)),)
        reader = self.product.a
        source = reader.row(b, step.a, self._row(t), plan.shape.a_strides[0])
        if plan.kernel == "dot":
            return (self._gathered(source) if plan.copy_a else reader.first_row(b, source),)
        copier, to = self.product.copier, self.copied
        if copier is None or to is None:
            return source

        def copy(rows: int) -> None:
            a, *index = source
            b.call(self.product.part(copier), [a, to, i64(rows), step.steps, *index])

        self.product.by_rows(b, t, copy)
        return (to,)

    def _gathered(self, source: Address) -> ir.Value:
        """A row of A whose elements are apart, gathered into the task's scratch."""
        b, vectors = self.builder, self.vectors
        to = self._task_scratch()
        with for_range(b, 0, self.plan.shape.k, name="gather") as k:
            place = self.product.a.at_step(b, source, k)
            b.store(vectors.load_scalar(b, place, 0), vectors.at(b, to, k))
        return to

    def _task_scratch(self) -> ir.Value:
        """The task's own region of scratch."""
        b = self.builder
        at = b.mul(self.task, i64(self.plan.task_scratch))
        return self.vectors.at(b, argument(b, self.args, 3), at)

    def _panel(self, step: _Step, p: ir.Value) -> Address:
        """B's panel p, at the block's first k: where it stands, or packed."""
        b, plan, product = self.builder, self.plan, self.product
        if plan.packing == "phase":
            return (self._packed_panel(step, p),)
        if plan.packs_block:
            return (self._own_panel(p),)
        source, *index = product.b.moved(b, step.b, product.column_offset(b, p))
        if plan.packing == "none":
            return (source, *index)
        to = self._task_scratch()

        def pack(last: bool) -> None:
            b.call(product.part(product.packer(last)), [source, to, step.steps, *index])

        product.by_panel(b, p, pack)
        return (to,)

    def _packed_panel(self, step: _Step, p: ir.Value) -> ir.Value:
        """Panel p from the packing phase; the rows of the last panel may be shorter."""
        b, plan = self.builder, self.plan
        z = step.z if plan.packed_products > 1 else i64(0)
        start = self.product.panel_offset(b, z, p)
        full, short = plan.panel_width, plan.last_vectors * plan.lanes
        is_last = b.icmp_signed("==", p, i64(plan.panels - 1))
        width = b.select(is_last, i64(short), i64(full)) if full != short else i64(full)
        at = b.add(start, b.mul(step.first, width))
        return self.vectors.at(b, argument(b, self.args, 3), at)

    def _tile(self, step: _Step, t: ir.Value, p: ir.Value, left: Address, right: Address) -> None:
        """One tile of C: its sums, then its epilogue."""
        b, plan = self.builder, self.plan

        def of_panel(last: bool) -> None:
            self.product.by_rows(b, t, lambda rows: of_rows(last, rows))

        def of_rows(last: bool, rows: int) -> None:
            place = (step.z, self._row(t), b.mul(p, i64(plan.panel_width)))
            out = self._out(*place)
            if self.product.prefetcher is not None:
                asked = (self.args, place[0], place[1], i64(rows), place[2])
                b.call(self.product.part(self.product.prefetcher), asked)
            self._ask_for_next(step, t, p)
            self._kernel(step, (*left, *right, out), last, rows)
            self._finish(step, out, place, last, rows)

        self.product.by_panel(b, p, of_panel)

    def _ask_for_next(self, step: _Step, t: ir.Value, p: ir.Value) -> None:
        """Tile t asks for its share of the panel that is packed next."""
        b, plan, product = self.builder, self.plan, self.product
        if plan.packing != "task" or plan.packs_block or plan.shape.b_strides[0] != 1:
            return
        following = b.add(p, i64(1))
        source, *_ = product.b.moved(b, step.b, product.column_offset(b, following))
        first, stop = map(as_i64, share(b, t, plan.panel_width, plan.rows.count))
        asker = product.part(PanelPrefetcher(product.b.vectors, plan.shape.b_strides[1]))
        b.call(asker, [source, first, stop, step.steps])

    def _out(self, z: ir.Value, row: ir.Value, column: ir.Value) -> ir.Value:
        """Where the kernel writes its sums: C, or the buffer on the stack."""
        if self.sums is not None:
            return self.sums
        b, shape = self.builder, self.plan.shape
        at = b.add(b.mul(b.add(b.mul(z, i64(shape.m)), row), i64(shape.n)), column)
        return self.vectors.at(b, argument(b, self.args, 0), at)

    def _kernel(self, step: _Step, operands: tuple[ir.Value, ...], last: bool, rows: int) -> None:
        b, product = self.builder, self.product
        if self.plan.kernel == "dot":
            b.call(product.part(product.dot(last)), operands)
            return
        kernel = product.part(product.tile(rows, last))
        b.call(kernel, [*operands, step.steps, self._resume(step)])

    def _resume(self, step: _Step) -> ir.Value:
        """1 where an earlier block of k has left its sums in C."""
        b = self.builder
        return b.zext(b.icmp_signed(">", step.block, i64(0)), I64)

    def _finish(
        self, step: _Step, sums: ir.Value, place: tuple[ir.Value, ...], last: bool, rows: int
    ) -> None:
        """Run the epilogue on a tile whose sums are complete."""
        if self.product.finisher is None:
            return
        b, plan = self.builder, self.plan
        z, row, column = place
        columns = plan.shape.n - (plan.panels - 1) * plan.panel_width if last else plan.panel_width
        complete = b.icmp_signed("==", step.block, i64(plan.k_blocks - 1))
        with b.if_then(complete):
            call = [sums, self.args, z, row, i64(rows), column, i64(columns)]
            b.call(self.product.part(self.product.finisher), call)


def emit_matmul(
    module: ir.Module,
    name: str,
    plan: Plans,
    epilogue: Epilogue | None = None,
    out: DType | None = None,
    streams: tuple[Stream, ...] = (),
    first_index: int = FIRST_EXTRA,
) -> list[str]:
    """Add the functions of a product to a module; their names, one per phase of the plan.

    The epilogue maps each finished sum to what is stored into C, as `out` (the sums' dtype unless
    told otherwise). It is emitted once or twice per product, for whole vectors and for the masked
    last one, and runs once per element of C. `streams` are what it reads and writes besides.
    Where indices pick the rows of A or B, they are the arguments from `first_index` on.
    """
    kind = out or plan.shape.dtype
    if isinstance(plan, PartsPlan):
        return emit_parts(module, name, plan, epilogue, kind)
    product = _Product(module, name, plan, epilogue, kind, streams, first_index)
    emitters = {"pack": product.emit_pack, "product": product.emit_product}
    return [emitters[phase.suffix](f"{name}_{phase.suffix}") for phase in plan.phases]
