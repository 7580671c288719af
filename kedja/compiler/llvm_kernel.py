"""Kernels as LLVM functions `void f(ptr args, i64 task)`: loop nests, epilogues and scatters.

`args` points to the addresses of the values in memory; `task` chooses a part of the outermost
loop. Not here: expressions (`llvm_values.py`), products (`llvm_matmul.py`). Next: `memory.py`,
which numbers the values, and `pipeline.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kedja.compiler import llvm_ir as ir
from kedja.compiler.indices import Variable
from kedja.compiler.kernels import ScatterKernel
from kedja.compiler.llvm_blocks import I64, PTR, element, for_range, function, i64, load_at
from kedja.compiler.llvm_fold import unit_steps
from kedja.compiler.llvm_lanes import first_lanes
from kedja.compiler.llvm_matmul_epilogue import FIRST_EXTRA, EpilogueSite
from kedja.compiler.llvm_matmul_prefetch import Stream
from kedja.compiler.llvm_rows import Rows
from kedja.compiler.llvm_scalar import Scalars, memory_type
from kedja.compiler.llvm_segments import segments_of
from kedja.compiler.llvm_values import Values, Vector
from kedja.compiler.loops import Apply, Fold, Nest, Store, walk
from kedja.compiler.runtime_target import Target
from kedja.ground.dtypes import int64, is_float
from kedja.ir.graph import Node

Numbering = Mapping[Node, int]  # which of the args is a value's address


@dataclass(frozen=True)
class Cut:
    """How a nest is cut into tasks: `count` runs of the first variable in steps of `unit`."""

    count: int
    unit: int


def lanes_of(nest: Nest, target: Target) -> int:
    """Lanes of the widest type that is stored or reduced, so that no value needs many registers."""
    wide = [store.node.dtype.itemsize for store in nest.stores]
    wide += [e.dtype.itemsize for e in walk([s.value for s in nest.stores]) if isinstance(e, Fold)]
    return max(1, target.vector_bits // (8 * max(4, *wide)))


LONG = 16  # a shorter reduction does not fill a vector


def vector_variable(nest: Nest) -> Variable | None:
    """The variable whose steps become lanes: the innermost, unless a reduction is better served."""
    if not nest.variables or nest.variables[-1].extent == 1:
        return None
    last = nest.variables[-1]
    roots = [store.value for store in nest.stores]
    folds = [e for e in walk(roots) if isinstance(e, Fold) and last in e.variables]
    long = [fold for fold in folds if fold.over[-1].extent >= min(last.extent, LONG)]
    along = sum(unit_steps(fold.body, fold.over[-1]) for fold in long)
    across = sum(unit_steps(fold.body, last) for fold in folds)
    return None if along > across else last


ACROSS = 4  # vectors of columns that are reduced together, to hide the latency of an addition
LIGHT = 6  # operations for each element up to which their registers suffice
MOST_FOLDS = 2


def columns_of(nest: Nest, lanes: int) -> int:
    """The lanes of the innermost variable: several vectors where light reductions run across it.

    One vector would wait for each addition, and read one cache line of each row.
    """
    last = nest.variables[-1]
    folds = [e for e in walk([s.value for s in nest.stores]) if isinstance(e, Fold)]
    applies = [e for e in walk([fold.body for fold in folds]) if isinstance(e, Apply)]
    work = sum(e.op.flops for e in applies if last in e.variables)
    across = any(last in fold.variables for fold in folds)
    return ACROSS * lanes if across and len(folds) <= MOST_FOLDS and work <= LIGHT else lanes


def unit_of(nest: Nest, target: Target) -> int:
    """The smallest piece of the first variable that makes a task."""
    if len(nest.variables) == 1 and vector_variable(nest) is not None:
        return 4 * lanes_of(nest, target)
    return 1


class NestEmitter(Rows):
    """The body of one loop nest."""

    def __init__(
        self,
        builder: ir.IRBuilder,
        pointer: Callable[[Node], ir.Value],
        nest: Nest,
        target: Target,
    ) -> None:
        super().__init__(builder, pointer)
        self.nest = nest
        self.keep_rows(nest)
        self.lanes = lanes_of(nest, target)
        self.along = vector_variable(nest)
        self.know([store.value for store in nest.stores])

    def emit(self, low: ir.Value, high: ir.Value) -> None:
        """The nest, with the first variable running from low to high."""
        self._level(self.nest.variables, (low, high))

    def _level(
        self, variables: Sequence[Variable], bounds: tuple[ir.Value, ir.Value] | None
    ) -> None:
        roots = [store.value for store in self.nest.stores]
        self.hoist(roots)
        if not variables:
            self._store(self.nest.stores)
            return
        variable, *rest = variables
        low, high = bounds or (i64(0), i64(variable.extent))
        if variable == self.along and bounds is None:
            self._in_segments_of(variable)
            return
        if variable == self.along:
            self._in_lanes_of(variable, low, high, variable.extent)
            return
        with for_range(self.b, low, high, name=variable.name) as index:
            self.at[variable] = index
            with self.scope():
                self._level(rest, None)
            del self.at[variable]

    def _in_segments_of(self, variable: Variable) -> None:
        roots = [store.value for store in self.nest.stores]
        for segment in segments_of(roots, variable, self.lanes):
            self.segment = segment
            low, high = i64(segment.first), i64(segment.last)
            self._in_lanes_of(variable, low, high, segment.last - segment.first)
        self.segment = None

    def _in_lanes_of(self, variable: Variable, low: ir.Value, high: ir.Value, extent: int) -> None:
        """Vectors side by side, if several are taken at once; whole vectors; the masked rest."""
        lanes = self.lanes_for(variable.extent)
        several = columns_of(self.nest, lanes)
        if several > lanes and extent >= several:
            low = self._whole(variable, several, low, high)
            extent %= several
        if extent >= lanes:
            low = self._whole(variable, lanes, low, high)
        if extent % lanes:
            with self.b.if_then(self.b.icmp_signed("<", low, high)):
                mask = first_lanes(extent % lanes, lanes)  # tasks are cut at whole vectors
                self._store_lanes(Vector(variable, lanes, mask), low)

    def _whole(self, variable: Variable, lanes: int, low: ir.Value, high: ir.Value) -> ir.Value:
        """Whole vectors from low on; where the rest begins."""
        end = self.b.add(low, self.b.and_(self.b.sub(high, low), i64(-lanes)))
        with for_range(self.b, low, end, lanes, name=variable.name) as index:
            self._store_lanes(Vector(variable, lanes), index)
        return end

    def _store_lanes(self, vector: Vector, index: ir.Value) -> None:
        self.at[vector.variable] = index
        with self.vectorised(vector):
            self._store(self.nest.stores)
        del self.at[vector.variable]

    def _store(self, stores: Sequence[Store]) -> None:
        made = [self.value(store.value) for store in stores]
        for store, value in zip(stores, made, strict=True):
            self.store(store.node, store.offset, value)


def emit_nest(
    module: ir.Module, name: str, nest: Nest, numbering: Numbering, cut: Cut, target: Target
) -> None:
    """Add the function of a loop nest to a module."""
    b, made = function(module, name, {"args": PTR, "task": I64})
    made.attributes.add("nounwind")
    args, task = made.args
    pointers = _pointers(b, args, numbering, 0)
    low, high = _range_of_task(b, nest, cut, task)
    NestEmitter(b, pointers, nest, target).emit(low, high)
    b.ret_void()


def _pointers(
    b: ir.IRBuilder, args: ir.Value, numbering: Numbering, first: int
) -> Callable[[Node], ir.Value]:
    loaded = {node: load_at(b, args, first + n, PTR) for node, n in numbering.items()}
    return lambda node: loaded[node]


def _range_of_task(
    b: ir.IRBuilder, nest: Nest, cut: Cut, task: ir.Value
) -> tuple[ir.Value, ir.Value]:
    """The part of the first variable that a task runs over."""
    extent = nest.variables[0].extent if nest.variables else 1
    if cut.count == 1:
        return i64(0), i64(extent)
    units = -(-extent // cut.unit)
    ends = []
    for which in (task, b.add(task, i64(1))):
        place = b.mul(b.udiv(b.mul(which, i64(units)), i64(cut.count)), i64(cut.unit))
        inside = b.icmp_signed("<", place, i64(extent))
        ends.append(b.select(inside, place, i64(extent)))
    return ends[0], ends[1]


# -------------------------------------------------------------------------------- epilogues


def epilogue_of(nest: Nest, numbering: Numbering) -> Callable[[EpilogueSite], ir.Value]:
    """What a product's kernel calls for each vector of finished sums; see `EpilogueSite`."""
    batch, row, column = nest.variables
    first, *others = nest.stores  # the first is what the product's kernel stores itself

    def epilogue(site: EpilogueSite) -> ir.Value:
        pointers = _pointers(site.builder, site.args, numbering, FIRST_EXTRA)
        values = Values(site.builder, pointers, site.value)
        values.know([store.value for store in nest.stores])
        values.at = {batch: site.batch, row: site.row, column: site.column}
        lanes_along = row if site.along_rows else column
        with values.vectorised(Vector(lanes_along, site.lanes, site.mask)):
            made = {store: values.value(store.value) for store in nest.stores}
            for store in others:
                values.store(store.node, store.offset, made[store])
            return values.spread(made[first], site.lanes)

    return epilogue


def streams_of(nest: Nest, numbering: Numbering) -> tuple[Stream, ...]:
    """What an epilogue reads and writes at the place of the sums, each once."""
    first, *others = nest.stores
    here = [load.node for load in nest.loads if load.offset == first.offset]
    written = [Stream(0, first.node.dtype.itemsize, True)]
    written += [_stream(each.node, numbering, True) for each in others]
    return (*written, *(_stream(node, numbering, False) for node in dict.fromkeys(here)))


def _stream(node: Node, numbering: Numbering, written: bool) -> Stream:
    return Stream(FIRST_EXTRA + numbering[node], node.dtype.itemsize, written)


# --------------------------------------------------------------------------------- scatters


@dataclass(frozen=True)
class ScatterShape:
    """x[before, places, after] meets updates[before, count, after] at the places of the index.

    The index has one place for each of `count`, or (`along`) one for each update.
    """

    before: int
    places: int
    after: int
    count: int
    along: bool

    @property
    def cut(self) -> Cut:
        """Tasks own whole columns, so that each element meets its updates in one fixed order."""
        work = self.before * self.count * self.after
        pieces = max(1, min(8, work // 32_768))
        if self.before >= self.after:
            return Cut(min(pieces, self.before), 1)
        return Cut(min(pieces, -(-self.after // 16)), 16)


def scatter_shape(kernel: ScatterKernel) -> ScatterShape:
    """The extents of a scatter around its axis."""
    x, index, updates = kernel.root.inputs
    axis = kernel.root.attrs["axis"]
    before = after = 1
    for extent in x.shape[:axis]:
        before *= extent
    for extent in x.shape[axis + 1 :]:
        after *= extent
    along = kernel.root.op.name.endswith("_along_axis")
    count = updates.shape[axis] if along else index.type.size
    return ScatterShape(before, x.shape[axis], after, count, along)


def emit_scatter(module: ir.Module, name: str, kernel: ScatterKernel, numbering: Numbering) -> None:
    """Add the function of a scatter: the updates one after the other, in their own order."""
    b, made = function(module, name, {"args": PTR, "task": I64})
    made.attributes.add("nounwind")
    args, task = made.args
    _Scatter(b, kernel, _pointers(b, args, numbering, 0)).emit(task)
    b.ret_void()


WIDE = 64  # bytes of a vector in a scatter


class _Scatter:
    """The loops of one scatter."""

    def __init__(
        self, b: ir.IRBuilder, kernel: ScatterKernel, pointer: Callable[[Node], ir.Value]
    ) -> None:
        self.b = b
        self.shape = scatter_shape(kernel)
        self.root = kernel.root
        self.combine = kernel.combine
        _, self.index, self.updates = kernel.root.inputs
        self.pointer = pointer
        self.held = Values(b, pointer).held

    def emit(self, task: ir.Value) -> None:
        """All loops: before, count, after; the task's part of the longer outer one."""
        b, shape = self.b, self.shape
        by_before = shape.before >= shape.after
        variable = Variable("part", shape.before if by_before else shape.after)
        low, high = _range_of_task(b, Nest((variable,), ()), shape.cut, task)
        rows = (low, high) if by_before else (i64(0), i64(shape.before))
        columns = (i64(0), i64(shape.after)) if by_before else (low, high)
        with (
            for_range(b, *rows, name="before") as p,
            for_range(b, 0, shape.count, name="update") as u,
        ):
            line = b.mul(b.add(b.mul(p, i64(shape.count)), u), i64(shape.after))
            if shape.along:
                with for_range(b, *columns, name="after") as q:
                    at = b.add(line, q)
                    self._meet(p, self._place(at), q, at)
            else:
                self._meet_all(p, self._place(u), columns, line)

    def _meet_all(
        self, p: ir.Value, place: ir.Value, columns: tuple[ir.Value, ir.Value], line: ir.Value
    ) -> None:
        """One update along its columns: whole vectors, then one after the other."""
        b, (low, high) = self.b, columns
        lanes = WIDE // self.root.dtype.itemsize
        if is_float(self.root.dtype) and self.shape.after >= lanes:
            whole = b.add(low, b.and_(b.sub(high, low), i64(-lanes)))
            with for_range(b, low, whole, lanes, name="vector") as q:
                self._meet(p, place, q, b.add(line, q), lanes)
            low = whole
        with for_range(b, low, high, name="after") as q:
            self._meet(p, place, q, b.add(line, q))

    def _place(self, at: ir.Value) -> ir.Value:
        dtype = self.index.dtype
        kind = memory_type(dtype)
        loaded = load_at(self.b, self.pointer(self.index), at, kind, dtype.itemsize)
        return self.held(Scalars(self.b, dtype, int64).cast(loaded), self.shape.places)

    def _meet(
        self, p: ir.Value, place: ir.Value, q: ir.Value, at: ir.Value, lanes: int = 1
    ) -> None:
        b, dtype = self.b, self.root.dtype
        scalar, size = memory_type(dtype), dtype.itemsize
        kind = ir.VectorType(scalar, lanes) if lanes > 1 else scalar
        line = b.add(b.mul(p, i64(self.shape.places)), place)
        where = b.add(b.mul(line, i64(self.shape.after)), q)
        target = element(b, self.pointer(self.root), where, scalar)
        source = element(b, self.pointer(self.updates), at, scalar)
        update = b.load(source, typ=kind, align=size)
        before = b.load(target, typ=kind, align=size)
        made = self.combine(Scalars(b, dtype, dtype, before), before, update)
        b.store(made, target, align=size)
