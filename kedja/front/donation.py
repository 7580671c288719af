"""Donation: arguments whose memory a compiled function may use for its results.

Training steps turn a model into one of the same shapes; with `kj.jit(step, donate="model")` the new
one is written over the old one, which cannot be looked at afterwards. A module goes as a whole: its
memory becomes that of a result whose arrays are of the same types, in the same order. An array that
stands alone goes to one of its type; small ones are not worth it. Memory that somebody else still
looks at is copied first, so nothing else ever changes.
Not here: how a call of a known kind does it (`inheriting.py`). Next: `inheriting.py`.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kedja.front import tree
from kedja.front.tensor import Tensor
from kedja.ir.op import Type

ALONE = 3  # references to an array that one view holds: the view's, our own, getrefcount's
WORTH_BYTES = 1 << 10  # smaller arrays outside of modules get new memory


class Unit(NamedTuple):
    """Neighbouring leaves that pass on their memory together: a module's, or one alone."""

    start: int
    leaves: int
    is_module: bool

    @property
    def numbers(self) -> range:
        """The numbers of its leaves."""
        return range(self.start, self.start + self.leaves)


class Gift(NamedTuple):
    """A donated unit of the inputs, and the first of the outputs that are written over it."""

    unit: Unit
    output: int | None


def units(structure: tree.Structure, start: int = 0) -> Iterator[Unit]:
    """A tree's modules and the leaves outside of them, in order."""
    if structure.kind is None or tree.keeps(structure.kind):
        if structure.leaves:
            yield Unit(start, structure.leaves, structure.kind is not None)
        return
    for each in structure.children:
        yield from units(each, start)
        start += each.leaves


def gifts(
    inputs: tuple[Sequence[Unit], Sequence[Type]], outputs: tuple[Sequence[Unit], Sequence[Type]]
) -> list[Gift]:
    """For each donated unit the output that takes its memory: the next one of its types, in order.

    `inputs` are the donated units, and the types of all leaves.

    >>> a, b = Type((512,), np.dtype("f4")), Type((), np.dtype("f4"))
    >>> module, one, small, other = Unit(0, 2, True), Unit(2, 1, False), Unit(3, 1, False), 1
    >>> given = [module, one, small], [a, b, a, b]
    >>> wanted = [Unit(0, 1, False), Unit(1, 1, False), Unit(2, 2, True)], [b, a, a, b]
    >>> [each.output for each in gifts(given, wanted)]
    [2, 1, None]
    """
    free: dict[Any, list[int]] = {}
    for unit in outputs[0]:
        free.setdefault(_kinds(unit, outputs[1]), []).append(unit.start)
    found = []
    for unit in inputs[0]:
        kinds = _kinds(unit, inputs[1])
        is_worth_it = unit.is_module or kinds[1].nbytes >= WORTH_BYTES
        takers = free.get(kinds) if is_worth_it else None
        found.append(Gift(unit, takers.pop(0) if takers else None))
    return found


def _kinds(unit: Unit, types: Sequence[Type]) -> tuple[Any, ...]:
    return unit.is_module, *(types[number] for number in unit.numbers)


def carry(given: Sequence[Gift]) -> Mapping[int, int]:
    """Which output takes the memory of which input."""
    return {
        each.output + place: each.unit.start + place
        for each in given
        if each.output is not None
        for place in range(each.unit.leaves)
    }


def arrays(tensors: Sequence[Tensor], donated: Collection[int]) -> list[np.ndarray]:
    """The values of inputs; those at the donated places are given up, and writable.

    An array that was donated at two places is there twice.
    """
    found: list[np.ndarray] = []
    first: dict[int, int] = {}
    for place, each in enumerate(tensors):
        if place not in donated:
            found.append(each.numpy())
        elif first.setdefault(id(each), place) < place:
            found.append(found[first[id(each)]].copy())
        else:
            found.append(taken(each))
    return found


def taken(tensor: Tensor) -> np.ndarray:
    """The array of a tensor that is given up, writable; a copy where others look at it too."""
    value = tensor.numpy()
    tensor.give_up()
    is_base = value.base is None
    base = value if is_base else value.base
    alone = sys.getrefcount(value) == 2 + is_base and sys.getrefcount(base) <= ALONE
    found = _writable(value, base) if alone else None
    return np.array(value, order="C") if found is None else found


def _writable(value: np.ndarray, base: Any) -> np.ndarray | None:
    """The same array on the memory that it lies in; None where that is not all its own."""
    if isinstance(base, ctypes.Array):  # a block
        block: Any = base  # which NumPy's stubs do not know as a buffer
        return np.ndarray(value.shape, value.dtype, block) if len(base) == value.nbytes else None
    whole = isinstance(base, np.ndarray) and base.flags.owndata and base.nbytes == value.nbytes
    if not (whole and base.flags.c_contiguous and base.dtype in (value.dtype, np.uint8)):
        return None
    base.setflags(write=True)  # it owns its memory, and so it may
    array: np.ndarray = base.reshape(-1).view(value.dtype).reshape(value.shape)
    array.setflags(write=True)
    return array
