"""Donation: arguments whose memory a compiled function may use for its results.

Training steps turn a model into one of the same shapes; with `kj.jit(step, donate="model")` the new
one is written over the old one, which cannot be looked at afterwards. Memory that somebody else
still looks at is copied first, so nothing else ever changes. Next: `jit.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from kedja.front.tensor import Tensor
from kedja.ir.op import Type

ALONE = 3  # references to an array that one view holds: the view's, our own, getrefcount's


def pairs(
    inputs: Sequence[Type], donated: Sequence[bool], outputs: Sequence[Type]
) -> dict[int, int]:
    """Which output takes the memory of which donated input: the next one of its type, in order.

    >>> a, b = Type((2,), np.dtype("f4")), Type((), np.dtype("f4"))
    >>> pairs([a, b, a], [True, False, True], [b, a, a, a])
    {1: 0, 2: 2}
    """
    free: dict[Type, list[int]] = {}
    for place, (kind, given) in enumerate(zip(inputs, donated, strict=True)):
        if given:
            free.setdefault(kind, []).append(place)
    found = {}
    for place, kind in enumerate(outputs):
        if free.get(kind):
            found[place] = free[kind].pop(0)
    return found


def taken(tensor: Tensor) -> np.ndarray:
    """The array of a tensor that is given up, writable; a copy where others look at it too."""
    value = tensor.numpy()
    tensor.give_up()
    base = value if value.base is None else value.base
    alone = sys.getrefcount(value) == 2 and sys.getrefcount(base) <= ALONE
    whole = isinstance(base, np.ndarray) and base.flags.owndata and base.nbytes == value.nbytes
    plain = whole and base.flags.c_contiguous and base.dtype in (value.dtype, np.uint8)  # a block
    if not (alone and plain):
        return np.array(value, order="C")
    array = base.reshape(-1).view(value.dtype).reshape(value.shape)
    array.setflags(write=True)
    return array
