"""The results of a compiled function: memory for them, tensors in it, and the tree around these.

Small results that belong to one tree share a block, since they live and die together; a result that
stands alone (a loss beside a model) has memory of its own, so that keeping it keeps nothing else.
Modules come with what a later call wants to know of them, and are put together when they are first
looked at: a loop of steps never takes one apart, nor makes one.
Next: `jit.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from struct import Struct, pack
from typing import Any

import numpy as np

from kedja.front import tree
from kedja.front.blocks import SMALL_BYTES, Block, Place, allocator, around
from kedja.front.changes import changes
from kedja.front.donation import Gift, carry
from kedja.front.flat import Inputs, known_kinds
from kedja.front.tensor import Tensor, from_block
from kedja.ir.op import Type

ALIGN = 64
BLOCK_BYTES = 64 << 10


# The memory of one call's results: the blocks, one for each, and the addresses as the program reads
# them; and what is known of the memory that donated arguments leave (`inheriting.py`).
Made = tuple[list[Block], bytes, Sequence[Any]]
Maker = Callable[[Made], Any]


class Results:
    """What is known of the results before any call: see the module's text.

    The slots of a program's `inputs` come before those of its outputs.
    """

    def __init__(
        self, structure: tree.Structure, types: Sequence[Type], inputs: int, gifts: Sequence[Gift]
    ) -> None:
        alone, carried = set(_alone(structure)), carry(gifts)
        fresh = [number for number in range(len(types)) if number not in carried]
        own = {place for place, number in enumerate(fresh) if number in alone}
        groups = _groups([types[number] for number in fresh], own)
        self._groups = [(allocator(size), _packer(places), len(places)) for size, places in groups]
        every = [place for _, places in groups for place in places]
        heirs = {gift.output: place for place, gift in enumerate(gifts)}
        self.tree: Maker = _Makers(every, heirs).of(structure)
        self._mine = slice(8 * inputs, 8 * (inputs + len(fresh)))

    def memory(self, lane: Any) -> tuple[list[Block], bytes]:
        """Memory into which the lane is to write; `tree` makes the results of it."""
        blocks: list[Block] = []
        packed = b""
        for allocate, addresses, count in self._groups:
            block = allocate()
            blocks += [block] * count
            packed += addresses(block[1])
        lane.memory[self._mine] = packed
        return blocks, packed


def _packer(places: Sequence[Place]) -> Callable[[int], bytes]:
    """From the address of a block to those of the places in it, as a program reads them."""
    if len(places) == 1:
        return Struct("Q").pack
    offsets = np.array([place.offset for place in places], np.uint64)
    return lambda start: (offsets + start).tobytes()


def around_arrays(structure: tree.Structure, types: Sequence[Type]) -> Callable[[Any], Any]:
    """Makes the same trees of arrays that are there already, each of which is a block."""
    make = _Makers([Place(kind, 0) for kind in types], {}).of(structure)

    def made(arrays: Sequence[np.ndarray]) -> Any:
        blocks = [around(each) for each in arrays]
        return make((blocks, pack(f"{len(blocks)}Q", *(each[1] for each in blocks)), ()))

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


class _Makers:
    """Makes trees of results, from the first leaf to the last.

    `places` are those of the results in fresh memory; `heirs` says which outputs are the first ones
    of those that take the memory of a donated argument, and of which one.
    """

    def __init__(self, places: Sequence[Place], heirs: Mapping[int | None, int]) -> None:
        self._places = places
        self._heirs = heirs
        self._next = 0  # of the places
        self._output = 0

    def of(self, structure: tree.Structure) -> Maker:
        """What makes such a tree."""
        kind = structure.kind
        if kind is None:
            return self._leaf()
        if tree.keeps(kind):
            return self._module(tree.canonical(structure))
        if not tree.is_plain(kind):
            make, below = tree.maker(structure), [self._leaf() for _ in range(structure.leaves)]
            return lambda made: make(tree.Leaves([leaf(made) for leaf in below]))
        below = [self.of(each) for each in structure.children]
        if kind is tuple:
            return lambda made: tuple([make(made) for make in below])
        static = structure.static
        return lambda made: tree.put_together(kind, static, [make(made) for make in below])

    def _leaf(self) -> Maker:
        heir = self._heirs.get(self._output)
        self._output += 1
        if heir is not None:
            return lambda made: from_block(*made[2][heir])
        number = self._next
        self._next += 1
        place = self._places[number]
        return lambda made: from_block(made[0][number], place)

    def _module(self, structure: tree.Structure) -> Maker:
        heir = self._heirs.get(self._output) if structure.leaves else None
        self._output += structure.leaves
        if heir is not None:
            return _of_module(structure, lambda made: _right(made[2][heir]))
        mine = slice(self._next, self._next + structure.leaves)
        self._next = mine.stop
        places = self._places[mine]
        kinds = known_kinds(place.kind for place in places)
        packed = slice(8 * mine.start, 8 * mine.stop)
        return _of_module(
            structure,
            lambda made: Inputs(places, made[0][mine], changes.all, kinds, made[1][packed]),
        )


def _right(inputs: Inputs) -> Inputs:
    """What is known of memory whose old leaves are all gone."""
    inputs.changes = changes.all
    return inputs


def _of_module(structure: tree.Structure, inputs_of: Callable[[Made], Inputs]) -> Maker:
    """Makes a module, with what is kept of it; its fields later, where that can be."""
    later, at_once = tree.keeping_maker(structure), tree.maker(structure)
    if later is not None:
        return lambda made: later(tree.Kept(None, structure, inputs_of(made), leaves_of))

    def module(made: Made) -> Any:
        known = tree.Kept(None, structure, inputs_of(made), leaves_of)
        leaves = tree.Leaves(known.leaves)
        found = at_once(leaves)
        known.watch(leaves.open)
        tree.keep(found, known)
        return found

    return module


def leaves_of(known: tree.Kept) -> list[Tensor]:
    """The leaves of a module of which nothing is kept but where they lie."""
    return list(map(from_block, known.inputs.blocks, known.inputs.places))
