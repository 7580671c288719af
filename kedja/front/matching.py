"""How a call's arguments are recognised: one small function for each, which also says where it is.

A `Matcher` is given an argument and answers whether it is of the kind that its program takes; if
so, it has written the addresses of its arrays into the slots of the lane. Not here: the call
(`dispatch.py`). Next: `results.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any

import numpy as np

from kedja.front import tree
from kedja.front.blocks import address_of, known
from kedja.front.changes import changes
from kedja.front.donation import Gift
from kedja.front.flat import Kinds, inputs_of, known_kinds
from kedja.front.signature import ARRAYS, Static
from kedja.front.tensor import Tensor, placed
from kedja.ground.dtypes import bool_, float32, int64
from kedja.ir.op import Type

Matcher = Callable[[Any, Any, list[Any]], bool]  # (argument, lane, what is to be held)

LARGEST = float(np.finfo(np.float32).max)


class NoRoute(Exception):
    """An argument that is only recognised by its key."""


class Matchers:
    """Makes the matchers of a call's arguments, from the first to the last."""

    def __init__(self, types: Sequence[Type], gifts: Sequence[Gift] = ()) -> None:
        self._types = types  # of the program's inputs
        self._next = 0
        self._gifts = {gift.unit.start: place for place, gift in enumerate(gifts)}

    def of(self, structure: tree.Structure, value: Any) -> Matcher:
        """The matcher for arguments like this one; NoRoute where there is none."""
        kind = structure.kind
        if kind is None:
            return self._leaf(value)
        if kind is NoneType:
            return lambda x, lane, held: x is None
        if tree.keeps(kind):
            return self._module(tree.canonical(structure), value)
        if kind is dict:
            return self._dict(structure, value)
        if kind in (list, tuple) or hasattr(kind, "_fields"):
            return self._sequence(structure, value)
        raise NoRoute

    def _take(self, count: int) -> slice:
        self._next += count
        return slice(self._next - count, self._next)

    def _leaf(self, value: Any) -> Matcher:
        if not isinstance(value, ARRAYS):
            return _static(value)
        slot = self._take(1).start
        if slot in self._gifts:
            return _given_array(known(self._types[slot]), slot, self._gifts[slot])
        return _array(known(self._types[slot]), slot)

    def _module(self, structure: tree.Structure, value: Any) -> Matcher:
        if any(type(leaf) is not Tensor for leaf in tree.kept(value).leaves):
            raise NoRoute
        mine = self._take(structure.leaves)
        place = self._gifts.get(mine.start) if structure.leaves else None
        return _module(structure, known_kinds(map(known, self._types[mine])), mine, place)

    def _dict(self, structure: tree.Structure, value: Any) -> Matcher:
        parts = zip(structure.static, structure.children, strict=True)
        return _dict([(key, self.of(each, value[key])) for key, each in parts])

    def _sequence(self, structure: tree.Structure, value: Any) -> Matcher:
        parts = zip(structure.children, value, strict=True)
        return _sequence(structure.kind, [self.of(*each) for each in parts])


# ------------------------------------------------------------------------------ containers


def _module(structure: tree.Structure, kinds: Kinds, slots: slice, given: int | None) -> Matcher:
    """`given` is the place of what is known of it among what is held, where it is donated."""
    kind, mine = structure.kind, slice(8 * slots.start, 8 * slots.stop)

    def match(x: Any, lane: Any, held: list[Any]) -> bool:
        if type(x) is not kind:
            return False
        kept = tree.kept(x)
        if kept.structure is not structure:
            return False
        inputs = kept.inputs
        if inputs is None or inputs.changes != changes.all:
            inputs = inputs_of(kept)
        if inputs is None or inputs.kinds is not kinds:
            return False
        lane.memory[mine] = inputs.packed
        if given is None:
            held.append(inputs.blocks)
        else:
            held[given] = kept  # whether others hold its memory, too, is looked at later
        return True

    return match


def _dict(parts: Sequence[tuple[Any, Matcher]]) -> Matcher:
    def match(x: Any, lane: Any, held: list[Any]) -> bool:
        if type(x) is not dict or len(x) != len(parts):
            return False
        for key, each in parts:  # noqa: SIM110  a generator would take longer than the rest
            if key not in x or not each(x[key], lane, held):
                return False
        return True

    return match


def _sequence(kind: Any, parts: Sequence[Matcher]) -> Matcher:
    def match(x: Any, lane: Any, held: list[Any]) -> bool:
        if type(x) is not kind or len(x) != len(parts):
            return False
        for each, value in zip(parts, x):  # noqa: B905, SIM110  their cures take half a µs
            if not each(value, lane, held):
                return False
        return True

    return match


# ---------------------------------------------------------------------------------- leaves


def _static(value: Any) -> Matcher:
    """An argument that is part of the program: itself, or an equal one of the same type."""
    kind, value = (value.kind, value.value) if isinstance(value, Static) else (type(value), value)
    return lambda x, lane, held: type(x) is kind and (x is value or bool(x == value))


def _given_array(kind: Type, slot: int, given: int) -> Matcher:
    """A donated tensor; `given` is its place among what is held."""

    def match(x: Any, lane: Any, held: list[Any]) -> bool:
        place = (x._place or placed(x)) if type(x) is Tensor else None
        if place is None or place.kind is not kind or x.tracks:
            return False
        lane.slots[slot] = x._block[1] + place.offset
        held[given] = x
        return True

    return match


def _array(kind: Type, slot: int) -> Matcher:
    shape, dtype = kind
    number = _number(dtype, slot) if shape == () else None

    def match(x: Any, lane: Any, held: list[Any]) -> bool:
        if type(x) is Tensor:
            place = x._place or placed(x)
            block = x._block
            if place is None or block is None or place.kind is not kind or x.tracks:
                return False
            lane.slots[slot] = block[1] + place.offset
            held.append(block)
            return True
        if type(x) is np.ndarray:
            if x.shape != shape or x.dtype != dtype:
                return False
            try:
                lane.slots[slot] = address_of(x)
            except (TypeError, ValueError, BufferError):  # read-only, in pieces, empty or exotic
                lane.slots[slot] = x.ctypes.data
                return bool(x.flags.c_contiguous)
            return True
        return number is not None and number(x, lane)

    return match


def _number(dtype: Any, slot: int) -> Callable[[Any, Any], bool] | None:
    """A Python number, written where the lane has room for it."""
    if dtype == float32:
        return lambda x, lane: type(x) is float and abs(x) <= LARGEST and _put_float(x, lane, slot)
    if dtype == int64:
        return lambda x, lane: type(x) is int and -(2**63) <= x < 2**63 and _put(x, lane, slot)
    if dtype == bool_:
        return lambda x, lane: type(x) is bool and _put(int(x), lane, slot)
    return None


def _put_float(x: float, lane: Any, slot: int) -> bool:
    lane.floats[2 * slot] = x
    lane.slots[slot] = lane.places[slot]
    return True


def _put(x: int, lane: Any, slot: int) -> bool:
    lane.integers[slot] = x
    lane.slots[slot] = lane.places[slot]
    return True
