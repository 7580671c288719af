"""The arrays of a module as a compiled function takes them: types and addresses, kept with it.

Not here: taking modules apart (`tree.py`), and who asks (`dispatch.py`). Next: `dispatch.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import pack
from typing import Any

from kedja.front import tree
from kedja.front.blocks import Block, Place
from kedja.front.changes import changes
from kedja.front.tensor import Tensor, placed
from kedja.ir.op import Type

Kinds = tuple[Type, ...]


class Inputs:
    """Where the leaves lie and of which types; right as long as `changes.all` stands still."""

    __slots__ = ("_packed", "blocks", "changes", "kinds", "places")

    def __init__(
        self,
        places: Sequence[Place],
        blocks: Sequence[Block],
        changes: int,
        kinds: Kinds | None = None,
        packed: bytes | None = None,
    ) -> None:
        self.kinds = known_kinds(place.kind for place in places) if kinds is None else kinds
        self.places = places
        self.blocks = blocks  # so that the memory stays while the leaves may be given up
        self.changes = changes  # as many as there were before the leaves were looked at
        self._packed = packed

    @property
    def addresses(self) -> list[int]:
        """The address of each leaf."""
        pairs = zip(self.blocks, self.places, strict=True)
        return [block[1] + place.offset for block, place in pairs]

    @property
    def packed(self) -> bytes:
        """The addresses as a program reads them."""
        if self._packed is None:
            self._packed = pack(f"{len(self.blocks)}Q", *self.addresses)
        return self._packed


_known: dict[Kinds, Kinds] = {}


def known_kinds(kinds: Iterable[Type]) -> Kinds:
    """Of equal rows of types, which are known by themselves, the same object."""
    found = tuple(kinds)
    return _known.setdefault(found, found)


def inputs_of(known: tree.Kept) -> Inputs | None:
    """What is kept of the leaves, found anew where it may be wrong.

    None where a leaf is no tensor, has no value or wants a gradient.
    """
    found: Inputs | None = known.inputs
    before = changes.all
    if found is not None and found.changes == before:
        return found
    if found is not None and (not known.is_made or _is_right(found, known.leaves)):
        found.changes = before
        return found
    known.inputs = _found(known.leaves)
    return known.inputs  # type: ignore[no-any-return]


def _is_right(found: Inputs, leaves: Sequence[Any]) -> bool:
    pairs = zip(leaves, found.blocks, strict=True)
    return all(leaf._block is block and not leaf.tracks for leaf, block in pairs)


def _found(leaves: Sequence[Any]) -> Inputs | None:
    places, blocks = [], []
    before = changes.all
    for leaf in leaves:
        place = placed(leaf) if type(leaf) is Tensor and not leaf.tracks else None
        block = None if place is None else leaf._block
        if place is None or block is None:
            return None
        places.append(place)
        blocks.append(block)
    return Inputs(places, blocks, before)


def forget(value: Any) -> None:
    """Keep the memory of no leaf below any longer, so that it can be written over."""
    if tree.keeps(type(value)):
        tree.kept(value).inputs = None
    elif tree.is_plain(type(value)) and isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            forget(each)
