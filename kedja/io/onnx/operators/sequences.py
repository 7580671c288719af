"""Sequences and optional values: Python lists, and None.

Next: `signals.py`.
"""

from __future__ import annotations

import numpy as np

from kedja.front import functions
from kedja.front.tensor import Tensor
from kedja.io.onnx.call import Call, Value, tensor_of
from kedja.io.onnx.operators.movement import cut_up
from kedja.io.onnx.plan import Operator

Sequence = list[Value]


def construct(call: Call, *items: Value) -> tuple[Sequence]:
    """A sequence of its inputs."""
    return (list(items),)


def empty(call: Call) -> tuple[Sequence]:
    """A sequence without elements."""
    return ([],)


def at(call: Call, items: Sequence, place: Tensor) -> Value:
    """One element; negative places count from the end."""
    return (items[_place(call, items, place, len(items) - 1)],)


def _place(call: Call, items: Sequence, place: Value, last: int) -> int:
    found = call.integer(place, "the position")
    if not -len(items) <= found <= last:
        call.wrong(f"position {found} of a sequence of {len(items)}")
    return found


def erase(call: Call, items: Sequence, place: Value = None) -> tuple[Sequence]:
    """The sequence without one element, the last unless a place is given."""
    at = (
        len(items) - 1 if place is None else _place(call, items, place, len(items) - 1) % len(items)
    )
    return (items[:at] + items[at + 1 :],)


def insert(call: Call, items: Sequence, item: Value, place: Value = None) -> tuple[Sequence]:
    """The sequence with one element more, at the end unless a place is given."""
    at = len(items) if place is None else _place(call, items, place, len(items))
    changed = list(items)
    changed.insert(at, item)
    return (changed,)


def length(call: Call, items: Sequence) -> Tensor:
    """How many elements there are."""
    return tensor_of(np.asarray(len(items), np.int64))


def joined(call: Call, items: Sequence) -> Tensor:
    """The elements one after the other along an axis, or side by side along a new one."""
    axis = call.need("axis")
    return (
        functions.stack(items, axis) if call.get("new_axis", 0) else functions.concat(items, axis)
    )


def split(call: Call, x: Tensor, sizes: Value = None) -> tuple[Sequence]:
    """An axis cut into parts: of 1, of one size (the last may be smaller), or of several sizes."""
    axis = call.get("axis", 0) % x.ndim
    extent = x.shape[axis]
    if sizes is None:
        ones = cut_up(x, axis, [1] * extent)
        keep = call.get("keepdims", 1)
        return ([each if keep else functions.squeeze(each, axis) for each in ones],)
    given = call.ints(sizes, "split")
    if sizes.ndim == 0:
        each = given[0]
        given = [min(each, extent - start) for start in range(0, extent, each)]
    return (cut_up(x, axis, given),)


# ----------------------------------------------------------------------------------- optional


def optional(call: Call, x: Value = None) -> tuple[Value]:
    """A value, or none."""
    return (x,)


def get(call: Call, x: Value) -> tuple[Value]:
    """The value that must be there."""
    if x is None:
        call.wrong("the optional value is not there")
    return (x,)


def has(call: Call, x: Value = None) -> Tensor:
    """Whether there is a value."""
    return tensor_of(np.asarray(x is not None))


# fmt: off
OPERATORS = (
    Operator("ConcatFromSequence", joined),
    Operator("Optional",           optional),
    Operator("OptionalGetElement", get),
    Operator("OptionalHasElement", has),
    Operator("SequenceAt",         at, known=(1,)),
    Operator("SequenceConstruct",  construct),
    Operator("SequenceEmpty",      empty),
    Operator("SequenceErase",      erase, known=(1,)),
    Operator("SequenceInsert",     insert, known=(2,)),
    Operator("SequenceLength",     length, by_type=True),
    Operator("SplitToSequence",    split, known=(1,)),
)
# fmt: on
