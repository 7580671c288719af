"""Reductions as LLVM loops: in lanes of their own, or in the lanes of the loop around them.

The order of combination depends on the extents and the target alone, so results have the same
bits with any number of threads. Not here: which loops exist (`loops.py`). Next: `llvm_kernel.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from kedja.compiler import llvm_ir as ir
from kedja.compiler.indices import Variable
from kedja.compiler.llvm_blocks import I32, Index, as_i64, for_carry, i64, multiple_below
from kedja.compiler.llvm_ends import end_of
from kedja.compiler.llvm_lanes import lanes_below
from kedja.compiler.llvm_scalar import Scalars, number
from kedja.compiler.llvm_values import Values, Vector
from kedja.compiler.loops import Expr, Fold, Load, walk
from kedja.ir.op import Fold as FoldFacet

POINTS, LONGEST = 27, 7  # of a reduction that is written out instead of looped over, in each axis
WRITTEN = 256  # expressions that this may make
UNROLLED = 4  # accumulators of a long reduction, to hide the latency of an addition


def is_short(expr: Fold, over: Sequence[Variable]) -> bool:
    """Whether a reduction is written out: windows of 2 × 2 and 3 × 3, short sums."""
    extents = [each.extent for each in over]
    points = math.prod(extents)
    few = points <= POINTS and max(extents) <= LONGEST
    return few and points * sum(1 for _ in walk([expr.body])) <= WRITTEN


def unit_steps(root: Expr, variable: Variable) -> int:
    """How many loads step by one element when a variable does."""
    loads = (e for e in walk([root]) if isinstance(e, Load))
    return sum(load.offset.coefficient(variable) == 1 for load in loads)


class Folds(Values):
    """`Values` with reductions; `lanes_of(extent)` is set by the kernel."""

    lanes: int = 1

    def lanes_for(self, extent: int) -> int:
        """The lanes worth having for so many elements: a power of two, at most the vector."""
        lanes = 1
        while lanes < min(self.lanes, extent):
            lanes *= 2
        return lanes

    def fold(self, expr: Fold) -> ir.Value:
        """The reduction's value; a vector where the loop around it has lanes that it needs."""
        inner = self.vector is not None and self.vector.variable in expr.body.variables
        if inner or not self._wants_lanes(expr):
            return self._accumulate(expr, list(expr.over))
        return self._in_lanes(expr)

    def _wants_lanes(self, expr: Fold) -> bool:
        last = expr.over[-1]
        return last.extent >= 4 and self.lanes > 1 and unit_steps(expr.body, last) > 0

    def _start(self, expr: Fold) -> ir.Constant:
        assert isinstance(expr.op.lowering, FoldFacet)
        return number(expr.dtype, expr.op.lowering.identity(expr.dtype))

    def combine(self, expr: Fold, a: ir.Value, b: ir.Value) -> ir.Value:
        """Two partial results joined."""
        assert isinstance(expr.op.lowering, FoldFacet)
        a, b = self.alike([a, b])
        scalars = Scalars(self.b, expr.dtype, expr.dtype)
        joined: ir.Value = expr.op.lowering.combine(scalars, a, b)
        return joined

    # --- one accumulator, as wide as the loop around

    def _accumulate(self, expr: Fold, over: list[Variable]) -> ir.Value:
        total: ir.Value = self._start(expr)
        if self.vector is not None and self.vector.variable in expr.body.variables:
            total = self.spread(total, self.vector.lanes)
        return self._nested(expr, over, [total])[0]

    def _nested(
        self, expr: Fold, over: Sequence[Variable], totals: list[ir.Value]
    ) -> list[ir.Value]:
        """Loops over `over`, the body combined into the last of the totals at every point."""
        if not over:
            return [self.combine(expr, totals[0], self.value(expr.body)), *totals[1:]]
        variable, *rest = over
        if variable.extent == 1:
            return self._nested(expr, rest, totals)
        self.hoist([expr.body])
        if is_short(expr, over):
            return self._unrolled(expr, over, totals)
        end = end_of(self, expr, variable)
        with for_carry(self.b, 0, end.place, totals, name=variable.name) as loop:
            self.at[variable] = loop.index
            with self.scope(), self.granting(end.guards):
                loop.carry(*self._nested(expr, rest, loop.values))
            del self.at[variable]
        return loop.results

    def _unrolled(
        self, expr: Fold, over: Sequence[Variable], totals: list[ir.Value]
    ) -> list[ir.Value]:
        """The same without a loop, in the same order."""
        variable, *rest = over
        for place in range(variable.extent):
            self.at[variable] = i64(place)
            with self.scope():
                totals = self._nested(expr, rest, totals)
            del self.at[variable]
        return totals

    # --- lanes along the last variable

    def _in_lanes(self, expr: Fold) -> ir.Value:
        *outer, last = expr.over
        lanes = self.lanes_for(last.extent)
        whole = last.extent // lanes
        count = UNROLLED if whole >= 2 * UNROLLED else 1
        start = self.spread(self._start(expr), lanes)
        totals = self._lanes_outer(expr, outer, last, lanes, [start] * count)
        while len(totals) > 1:
            half = len(totals) // 2
            pairs = zip(totals[:half], totals[half:], strict=True)
            totals = [self.combine(expr, a, b) for a, b in pairs]
        return self._across(expr, totals[0], lanes)

    def _lanes_outer(
        self,
        expr: Fold,
        outer: Sequence[Variable],
        last: Variable,
        lanes: int,
        totals: list[ir.Value],
    ) -> list[ir.Value]:
        if not outer:
            return self._lanes_inner(expr, last, lanes, totals)
        variable, *rest = outer
        if variable.extent == 1:
            return self._lanes_outer(expr, rest, last, lanes, totals)
        self.hoist([expr.body])
        with for_carry(self.b, 0, variable.extent, totals, name=variable.name) as loop:
            self.at[variable] = loop.index
            with self.scope():
                loop.carry(*self._lanes_outer(expr, rest, last, lanes, loop.values))
            del self.at[variable]
        return loop.results

    def _lanes_inner(
        self, expr: Fold, last: Variable, lanes: int, totals: list[ir.Value]
    ) -> list[ir.Value]:
        """Whole vectors, several at a time; then one at a time; then the masked rest."""
        self.hoist([expr.body])
        end = end_of(self, expr, last)
        with self.granting(end.guards):
            return self._to_end(expr, last, lanes, end.place, totals)

    def _to_end(
        self, expr: Fold, last: Variable, lanes: int, end: Index, totals: list[ir.Value]
    ) -> list[ir.Value]:
        stride = lanes * len(totals)
        long, whole = (multiple_below(self.b, end, step) for step in (stride, lanes))
        if long != 0:
            with for_carry(self.b, 0, long, totals, stride, name=last.name) as loop:
                loop.carry(*self._at_each(expr, last, lanes, loop.index, loop.values))
            totals = loop.results
        if whole != long:
            with for_carry(self.b, long, whole, totals[:1], lanes, name=last.name) as loop:
                loop.carry(*self._at_each(expr, last, lanes, loop.index, loop.values))
            totals = [*loop.results, *totals[1:]]
        if end == whole:
            return totals
        with for_carry(self.b, whole, end, totals[:1], lanes, name=last.name) as loop:
            loop.carry(self._rest(expr, last, lanes, (loop.index, end), loop.values[0]))
        return [*loop.results, *totals[1:]]

    def _at_each(
        self,
        expr: Fold,
        last: Variable,
        lanes: int,
        index: ir.Value,
        totals: Sequence[ir.Value],
    ) -> list[ir.Value]:
        result = []
        for turn, total in enumerate(totals):
            self.at[last] = self.b.add(index, i64(turn * lanes)) if turn else index
            with self.vectorised(Vector(last, lanes)):
                result.append(self.combine(expr, total, self.value(expr.body)))
        del self.at[last]
        return result

    def _rest(
        self,
        expr: Fold,
        last: Variable,
        lanes: int,
        places: tuple[Index, Index],
        total: ir.Value,
    ) -> ir.Value:
        start, end = map(as_i64, places)
        mask = lanes_below(self.b, self.b.sub(end, start), lanes)
        self.at[last] = start
        with self.vectorised(Vector(last, lanes, mask)):
            body = self.spread(self.value(expr.body), lanes)
            held = self.b.select(mask, body, self.spread(self._start(expr), lanes))
            total = self.combine(expr, total, held)
        del self.at[last]
        return total

    def _across(self, expr: Fold, total: ir.Value, lanes: int) -> ir.Value:
        """The lanes joined, halves first."""
        while lanes > 1:
            lanes //= 2
            empty = ir.Constant(total.type, ir.Undefined)
            low, high = (
                self.b.shuffle_vector(
                    total,
                    empty,
                    ir.Constant(ir.VectorType(I32, lanes), list(range(start, start + lanes))),
                )
                for start in (0, lanes)
            )
            total = self.combine(expr, low, high)
        return self.b.extract_element(total, ir.Constant(I32, 0))
