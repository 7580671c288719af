"""Dear values of a row that several loops over it need are computed by the first of them only.

Softmax walks each row three times, and the last two times need the same exponentials. The loop
that sums them leaves them in a buffer on the stack, where the next one finds them: a load instead
of an exponential, and the same bits. Not here: the loops (`llvm_kernel.py`, `llvm_fold.py`).
Next: `llvm_kernel.py`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from kedja.compiler import llvm_ir as ir
from kedja.compiler.indices import Affine, Atom, Lookup, Variable
from kedja.compiler.llvm_blocks import alloca
from kedja.compiler.llvm_fold import Folds
from kedja.compiler.llvm_scalar import memory_type
from kedja.compiler.loops import Apply, Expr, Fold, Load, Nest, Number, Place, walk
from kedja.ground.dtypes import float32, float64

DEAR = 8.0  # flops of an op that a load is cheaper than
LONGEST = 8192  # elements of a row: the buffer stays in the first cache
ROW = Variable("row", 0)  # stands for whichever variable runs over the row


class Row(NamedTuple):
    """A dear value along a row: what makes it equal to others, and the variable of its loop."""

    key: Hashable
    variable: Variable


def rows_of(nest: Nest) -> dict[Expr, Row]:
    """The dear values of a nest that more than one loop over the same row needs."""
    if len(nest.variables) < 2:
        return {}
    found: dict[Expr, Row] = {}
    roots = [store.value for store in nest.stores]
    folds = [e for e in walk(roots) if isinstance(e, Fold) and len(e.over) == 1]
    scopes = [(nest.variables[-1], roots), *((fold.over[0], [fold.body]) for fold in folds)]
    writer = _Keys()
    for variable, inside in scopes if folds else []:
        for expr in walk(inside):
            if _is_dear(expr) and variable in expr.variables and variable.extent <= LONGEST:
                found[expr] = Row(writer.key(expr, variable), variable)
    times: dict[Hashable, int] = {}
    for row in found.values():
        times[row.key] = times.get(row.key, 0) + 1
    return {expr: row for expr, row in found.items() if times[row.key] > 1}


def _is_dear(expr: Expr) -> bool:
    floats = expr.dtype in (float32, float64)
    return isinstance(expr, Apply) and floats and expr.op.flops >= DEAR


class _Keys:
    """Keys that are equal where two expressions are, but for the variable of the row."""

    def __init__(self) -> None:
        self.known: dict[tuple[Expr, Variable], Hashable] = {}
        self.numbers: dict[Hashable, int] = {}  # so that keys stay short

    def key(self, expr: Expr, variable: Variable) -> Hashable:
        """The key of an expression over a row."""
        at = (expr, variable)
        if at not in self.known:
            made = self._made(expr, variable)
            self.known[at] = self.numbers.setdefault(made, len(self.numbers))
        return self.known[at]

    def _made(self, expr: Expr, variable: Variable) -> Hashable:
        if isinstance(expr, Number):
            return ("number", expr.dtype.name, repr(expr.value))
        if variable not in expr.variables:
            return ("same", id(expr))
        parts = tuple(self.key(part, variable) for part in expr.parts)
        match expr:
            case Apply():
                attrs = tuple(sorted((k, repr(v)) for k, v in expr.attrs.items()))
                return (expr.op.name, expr.dtype.name, attrs, parts)
            case Load() if not expr.lookups and not expr.guards:
                return ("load", expr.node, _renamed(expr.offset, variable))
            case Place() if not expr.lookups:
                return ("place", expr.dtype.name, _renamed(expr.index, variable))
        return ("same", id(expr))


def _renamed(e: Affine, variable: Variable) -> Hashable:
    """An index with the row's variable by its common name."""

    def atom(each: Atom) -> Hashable:
        if each == variable:
            return ROW
        if isinstance(each, Variable):
            return each
        if isinstance(each, Lookup):
            return ("apart", each)
        return (type(each), _renamed(each.of, variable), each.by)

    return (frozenset((atom(each), factor) for each, factor in e.terms), e.offset)


class Rows(Folds):
    """`Folds` that leave dear values of a row where later loops find them."""

    rows: dict[Expr, Row]

    def keep_rows(self, nest: Nest) -> None:
        """Note which values these are; before anything is emitted."""
        self.rows = rows_of(nest)
        self._buffers: dict[Hashable, ir.Value] = {}
        self._filled: list[set[Hashable]] = [set()]
        self._filling: Variable | None = None

    @contextmanager
    def scope(self) -> Iterator[None]:
        """As that of `Values`; what was left in buffers inside is forgotten, too."""
        self._filled.append(set())
        try:
            with super().scope():
                yield
        finally:
            self._filled.pop()

    def fold(self, expr: Fold) -> ir.Value:
        """The reduction's value; the first one over a row fills the buffers."""
        variable = expr.over[-1]
        keys = {row.key for row in self.rows.values() if row.variable == variable}
        if not keys or self.vector is not None or not self._wants_lanes(expr):
            return super().fold(expr)
        inside = set(walk([expr.body]))
        keys = {row.key for e, row in self.rows.items() if e in inside and row.key in keys}
        outer, self._filling = self._filling, variable
        try:
            value = super().fold(expr)
        finally:
            self._filling = outer
        self._filled[-1] |= keys
        return value

    def _emit(self, expr: Expr) -> ir.Value:
        row = self.rows.get(expr)
        if row is None or self.vector is None or self.vector.variable != row.variable:
            return super()._emit(expr)
        if any(row.key in known for known in self._filled):
            return self._kept(expr, row)
        made = super()._emit(expr)
        if self._filling == row.variable:
            address = self._address(expr, row)
            self.b.store(made, address, align=expr.dtype.itemsize)
        return made

    def _kept(self, expr: Expr, row: Row) -> ir.Value:
        assert self.vector is not None
        kind = ir.VectorType(memory_type(expr.dtype), self.vector.lanes)
        return self.b.load(self._address(expr, row), typ=kind, align=expr.dtype.itemsize)

    def _address(self, expr: Expr, row: Row) -> ir.Value:
        """The row's place in its buffer, which has room for a whole last vector."""
        scalar = memory_type(expr.dtype)
        if row.key not in self._buffers:
            size = row.variable.extent + self.lanes
            self._buffers[row.key] = alloca(self.b, ir.ArrayType(scalar, size))
        buffer, index = self._buffers[row.key], self.at[row.variable]
        return self.b.gep(buffer, [index], inbounds=True, source_etype=scalar)
