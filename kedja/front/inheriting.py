"""Donated arguments on the short way of a call: given up, and their memory handed to results.

A module that came out of a compiled function, and into which nobody has looked, owns its memory
alone: all that is known of it moves to the result as it is, however many arrays it has. Arrays that
were made have no views as long as nobody asked for their values; the others are copied.
Nothing is given up before all arguments are recognised. Not here: which result takes what
(`donation.py`), how arguments are recognised (`matching.py`). Next: `results.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import getrefcount
from typing import Any

from kedja.front.blocks import Block, Place, around, whole
from kedja.front.changes import changes
from kedja.front.donation import Gift, taken
from kedja.front.flat import Inputs
from kedja.front.tensor import Tensor
from kedja.front.tree import Kept

OWNER_AND_US = 3  # references to an object that its owner holds, and one variable; getrefcount's


class Inheritance:
    """What the donated arguments of one kind of call leave, in the order of `gifts`."""

    def __init__(self, gifts: Sequence[Gift], inputs: int) -> None:
        self.count = len(gifts)
        self._gifts = gifts
        self._inputs = inputs
        self._apart = not any(each.output is not None and not each.unit.is_module for each in gifts)

    def are_free(self, held: Sequence[Any], lane: Any) -> bool:
        """Whether nobody else uses the memory in this very call, or in one of another thread.

        Matchers have put what they have recognised in the first places of `held`.
        """
        apart = self._apart
        for kept in held[: self.count]:
            if type(kept) is Kept:
                inputs = kept.inputs
                if inputs is None or getrefcount(inputs) > OWNER_AND_US:
                    return False
                if getrefcount(inputs.blocks) > OWNER_AND_US - 1:
                    return False
                apart = apart and not kept.is_made
        return apart or len(set(lane.slots[: self._inputs])) == self._inputs

    def take(self, held: Sequence[Any], lane: Any) -> list[Any]:
        """Of each gift what is known of its memory; it is given up. `is_free` comes before."""
        found: list[Any] = []
        for place, gift in enumerate(self._gifts):
            given = held[place]
            if type(given) is Tensor:
                found.append(_of_array(given, gift, lane))
            elif given.is_made:
                found.append(_of_made(given, gift, lane))
            else:
                found.append(given.inputs)
                given.give_up(_given_up)
        return found


def _given_up(kept: Kept) -> list[Tensor]:
    """The leaves of a module that is gone, for whoever still looks into it."""
    leaves = [Tensor.__new__(Tensor) for _ in range(kept.structure.leaves)]
    for each in leaves:
        each._set(None, None)
    return leaves


def _of_array(tensor: Tensor, gift: Gift, lane: Any) -> tuple[Block | None, Place | None]:
    if gift.output is None or tensor._value is None:
        found = tensor._block, tensor._place
        tensor.give_up()
        return found
    found = _apart(tensor)
    lane.slots[gift.unit.start] = found[0][1]
    return found


def _apart(tensor: Tensor) -> tuple[Block, Place]:
    """Memory of its own with the value of a tensor that somebody has looked at."""
    array = taken(tensor)
    return around(array), whole(array.shape, array.dtype)


def _of_made(kept: Kept, gift: Gift, lane: Any) -> Inputs:
    """As for a module that nobody has looked into, for each array that was made."""
    inputs: Inputs = kept.inputs
    blocks, places = [*inputs.blocks], [*inputs.places]
    for number, leaf in enumerate(kept.leaves):
        if leaf._value is None:
            leaf.give_up(counted=False)
        else:
            blocks[number], places[number] = _apart(leaf)
    changes.of_tensors()
    kept.inputs = None
    fresh = Inputs(places, blocks, changes.all)
    start = 8 * gift.unit.start
    lane.memory[start : start + len(fresh.packed)] = fresh.packed
    return fresh
