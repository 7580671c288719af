"""Loops in segments: between the places where conditions on the loop's variable change.

Values side by side (concatenated, or padded and added up: the gradients of slices) are chosen by
conditions like 128 ≤ i < 256. Instead of computing all of them for every element, a loop is
emitted in pieces in which each condition holds everywhere or nowhere. Next: `llvm_kernel.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from kedja.compiler.indices import Variable
from kedja.compiler.loops import Choose, Expr, Guard, Guards, walk

MOST = 8  # pieces, so that code stays bounded


class Segment(NamedTuple):
    """A loop's variable with first ≤ variable < last."""

    variable: Variable
    first: int
    last: int


def segments_of(roots: Sequence[Expr], variable: Variable, lanes: int) -> list[Segment]:
    """The pieces of a loop; the whole where conditions do not cut it, or into too small ones."""
    cuts = {0, variable.extent}
    for expr in walk(roots):
        if isinstance(expr, Choose):
            for guards, _ in expr.alternatives:
                cuts.update(end for guard in guards for end in _ends(guard, variable))
    inside = sorted(cut for cut in cuts if 0 <= cut <= variable.extent)
    pieces = [Segment(variable, *pair) for pair in pairwise(inside)]
    small = any(piece.last - piece.first < lanes for piece in pieces)
    if small or len(pieces) > MOST:
        return [Segment(variable, 0, variable.extent)]
    return pieces


def _ends(guard: Guard, variable: Variable) -> tuple[int, ...]:
    """Where a condition on the variable begins and ceases to hold."""
    if guard.place.terms != ((variable, 1),):
        return ()
    return (guard.low - guard.place.offset, guard.high - guard.place.offset)


def decided(guards: Guards, segment: Segment | None) -> bool | None:
    """Whether guards hold everywhere in a segment (True), nowhere (False), or it depends."""
    if segment is None:
        return None
    found: bool | None = True
    for guard in guards:
        ends = _ends(guard, segment.variable)
        if not ends or not (ends[0] <= segment.first and segment.last <= ends[1]):
            found = None
        if ends and (ends[1] <= segment.first or segment.last <= ends[0]):
            return False
    return found
