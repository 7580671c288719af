"""Slices of a value that are put side by side again are the value.

    pad(a[:2], (0, 1)) + pad(a[2:], (2, 0))   is   a

The way back of slices makes such sums: what a fused product of queries, keys and values has for a
gradient is one array already. A rule of `simplify.py`. Next: `simplify.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from kedja.compiler.indices import Affine, Space, Variable, of
from kedja.ir.graph import Node, apply
from kedja.ir.op import Reindex

SPACE = Space()
MOST = 8  # slices of one value


class Piece(NamedTuple):
    """A part of a value, and the box of a larger array in which it is put."""

    base: Node
    low: tuple[int, ...]
    high: tuple[int, ...]


def rejoined(node: Node) -> Node | None:
    """The value whose slices a sum of padded pieces puts where they were."""
    terms = list(_terms(node))
    if len(terms) > MOST or any(each.op.name != "pad" for each in terms):
        return None
    pieces = [piece for piece in map(_piece, terms) if piece is not None]
    if len(pieces) < len(terms) or len({piece.base for piece in pieces}) > 1:
        return None
    base = pieces[0].base
    covered = sum(term.inputs[0].type.size for term in terms) == node.type.size == base.type.size
    if not covered or any(_overlap(one, two) for one, two in combinations(pieces, 2)):
        return None
    return apply("reshape", base, shape=node.shape)


def _terms(node: Node) -> Iterator[Node]:
    """What is added, at most a little more than MOST terms."""
    todo, count = [node], 0
    while todo and count <= MOST:
        each = todo.pop()
        if each.op.name == "add":
            todo.extend(each.inputs)
        else:
            count += 1
            yield each


def _piece(pad: Node) -> Piece | None:
    """A padded piece, if its elements have the same places in its base as in the sum."""
    if pad.attrs["value"] != 0 or any(pad.attrs["interior"]):
        return None
    (part,), low = pad.inputs, tuple(pad.attrs["low"])
    variables = tuple(Variable(f"i{n}", extent) for n, extent in enumerate(part.shape))
    index = tuple(of(each) for each in variables)
    wanted = SPACE.linearise([i + start for i, start in zip(index, low, strict=True)], pad.shape)
    base, place = _place(part, index)
    if place is None or place.offset != wanted.offset or place.variables - set(variables):
        return None
    if any(place.coefficient(each) != wanted.coefficient(each) for each in variables):
        return None
    high = tuple(start + extent for start, extent in zip(low, part.shape, strict=True))
    return Piece(base, low, high)


def _place(node: Node, index: Sequence[Affine]) -> tuple[Node, Affine | None]:
    """What a moved value is made of, and where its elements stand in it."""
    while isinstance(node.op.lowering, Reindex) and len(node.inputs) == 1:
        found = node.op.lowering.index(SPACE, node, tuple(index))
        if len(found) != 1 or found[0][2]:
            return node, None
        (node,), index = node.inputs, found[0][1]
    return node, SPACE.linearise(index, node.shape)


def _overlap(one: Piece, two: Piece) -> bool:
    return all(
        a < d and c < b for a, b, c, d in zip(one.low, one.high, two.low, two.high, strict=True)
    )
