"""Where the loop of a reduction ends: with its last element that is not padding.

Chunks are cut with the last one filled up (`split.py`), so that all have one extent. A loop over
`choose(x[p] if p < n else identity)` need not choose: it ends where p reaches n. The end
depends on the shape alone, and so do the bits.
Next: `llvm_fold.py`, which emits the loops.
"""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

from kedja.compiler import llvm_ir as ir
from kedja.compiler.indices import Affine, Variable
from kedja.compiler.llvm_blocks import Index, i64
from kedja.compiler.llvm_values import Values
from kedja.compiler.loops import Choose, Fold, Guard, Guards
from kedja.ir.op import Fold as FoldFacet


class End(NamedTuple):
    """The first place at which a loop stops, and the guards that hold at every place before."""

    place: Index
    guards: Guards = ()


def end_of(values: Values, expr: Fold, variable: Variable) -> End:
    """The end of a reduction's loop over one of its variables, the loops around it being open."""
    guards = _padding(expr)
    known = values.at.keys() - ({values.vector.variable} if values.vector else ())
    if not guards or not all(_is_end(each, variable, known) for each in guards):
        return End(variable.extent)
    b = values.b
    place: ir.Value = i64(variable.extent)
    for guard in guards:
        others = tuple(term for term in guard.place.terms if term[0] != variable)
        left = b.sub(i64(guard.high), values.index(Affine(others, guard.place.offset)))
        place = _smaller(b, place, left)
    none = b.icmp_signed("<", place, i64(0))
    return End(b.select(none, i64(0), place), guards)


def _smaller(b: ir.IRBuilder, one: ir.Value, two: ir.Value) -> ir.Value:
    return b.select(b.icmp_signed("<", one, two), one, two)


def _padding(expr: Fold) -> Guards:
    """The guards outside of which a reduction meets nothing but its identity."""
    body = expr.body
    if not isinstance(body, Choose) or len(body.alternatives) != 1:
        return ()
    assert isinstance(expr.op.lowering, FoldFacet)
    ((guards, _),) = body.alternatives
    return guards if body.fill == expr.op.lowering.identity(expr.dtype) else ()


def _is_end(guard: Guard, variable: Variable, known: Set[Variable]) -> bool:
    """Whether a guard holds up to some step of the variable, and no more from there on."""
    low, _ = guard.place.bounds()
    rest = guard.place.variables - {variable}
    return guard.low <= low and guard.place.coefficient(variable) == 1 and rest <= known
