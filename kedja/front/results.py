"""The results of a compiled function: memory for them, tensors in it, and the tree around these.

Small results that belong to one tree share a block, since they live and die together; a result that
stands alone (a loss beside a model) has memory of its own, so that keeping it keeps nothing else.
Modules come with what a later call wants to know of them, and are put together when they are first
looked at: a loop of steps never takes one apart, nor makes one.
Next: `jit.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from struct import Struct
from typing import Any

import numpy as np

from kedja.front import tree
from kedja.front.blocks import SMALL_BYTES, Block, Place, allocator, around
from kedja.front.changes import changes
from kedja.front.flat import Inputs
from kedja.front.tensor import Tensor, from_block
from kedja.ir.op import Type

ALIGN = 64
BLOCK_BYTES = 64 << 10


# The memory of one call's results: the blocks, one for each, and the addresses.
Made = tuple[list[Block], list[int]]


class Results:
    """What is known of the results before any call: see the module's text."""

    def __init__(self, structure: tree.Structure, types: Sequence[Type]) -> None:
        groups = _groups(types, set(_alone(structure)))
        self._groups = [(allocator(size), [p.offset for p in places]) for size, places in groups]
        every = [place for _, places in groups for place in places]
        self.tree: Callable[[Made], Any] = _maker(structure, every, 0)
        self.pack = Struct(f"{len(types)}Q").pack_into

    def memory(self) -> Made:
        """Fresh memory, into which the program is yet to write; `tree` makes the results of it."""
        blocks: list[Block] = []
        addresses: list[int] = []
        for allocate, offsets in self._groups:
            block = allocate()
            start = block[1]
            for offset in offsets:
                blocks.append(block)
                addresses.append(start + offset)
        return blocks, addresses


def around_arrays(structure: tree.Structure, types: Sequence[Type]) -> Callable[[Any], Any]:
    """Makes the same trees of arrays that are there already, each of which is a block."""
    make = _maker(structure, [Place(kind, 0) for kind in types], 0)

    def made(arrays: Sequence[np.ndarray]) -> Any:
        blocks = [around(each) for each in arrays]
        return make((blocks, [address for _, address in blocks]))

    return made


def _groups(types: Sequence[Type], alone: set[int]) -> list[tuple[int, list[Place]]]:
    """The bytes of each block, and where in it results lie: small neighbours share one."""
    groups: list[tuple[int, list[Place]]] = []
    open = False
    for number, kind in enumerate(types):
        size = max(1, -(-kind.nbytes // ALIGN)) * ALIGN
        shares = number not in alone and size <= SMALL_BYTES
        if shares and open and groups[-1][0] + size <= BLOCK_BYTES:
            before, places = groups[-1]
            groups[-1] = before + size, [*places, Place(kind, before)]
        else:
            groups.append((size if shares else max(kind.nbytes, 1), [Place(kind, 0)]))
        open = shares
    return groups


def _alone(structure: tree.Structure) -> Iterator[int]:
    """The leaves that stand beside trees, or beside other leaves, not in a tree of their own."""
    number = 0
    for each in structure.children if structure.kind else (structure,):
        if each.kind is None:
            yield number
        number += each.leaves


def _maker(structure: tree.Structure, places: Sequence[Place], start: int) -> Callable[[Made], Any]:
    """Makes a tree whose leaves begin at number `start`."""
    kind = structure.kind
    if kind is None:
        place = places[start]
        return lambda made: from_block(made[0][start], place)
    mine = slice(start, start + structure.leaves)
    if tree.keeps(kind):
        return _of_module(tree.canonical(structure), places[mine], mine)
    if not tree.is_plain(kind):
        make = tree.maker(structure)
        return lambda made: make(tree.Leaves(map(from_block, made[0][mine], places[mine])))
    below = []
    for each in structure.children:
        below.append(_maker(each, places, start))
        start += each.leaves
    if kind is tuple:
        return lambda made: tuple([make(made) for make in below])
    static = structure.static
    return lambda made: tree.put_together(kind, static, [make(made) for make in below])


def _of_module(
    structure: tree.Structure, places: Sequence[Place], mine: slice
) -> Callable[[Made], Any]:
    """Makes a module, with what is kept of it; its fields later, where that can be."""
    kinds = tuple(place.kind for place in places)
    later, at_once = tree.keeping_maker(structure), tree.maker(structure)

    def leaves_of(inputs: Inputs) -> list[Tensor]:
        return list(map(from_block, inputs.blocks, places))

    def kept(made: Made) -> tree.Kept:
        inputs = Inputs(kinds, made[0][mine], made[1][mine], changes.all)
        return tree.Kept(None, structure, inputs, leaves_of)

    def module(made: Made) -> Any:
        known = kept(made)
        leaves = tree.Leaves(known.leaves)
        found = at_once(leaves)
        known.watch(leaves.open)
        tree.keep(found, known)
        return found

    return module if later is None else lambda made: later(kept(made))
