"""The memory of a loop's carry: what belongs together lies together, in pages as large as can be.

The system clears each page when it is first written to. NumPy asks for large pages where an array
has some megabytes, which few weights have alone: 100 MB in 300 arrays take 60 ms to copy, in one
block 16. Zeros are not written at all, since fresh pages are zero. Next: `loop.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.front import tree
from kedja.front.tensor import Tensor, as_tensor

ALIGN = 64  # bytes: a line of the caches


def held(leaves: Sequence[Any], structure: tree.Structure) -> list[np.ndarray]:
    """The values of a tree's leaves in arrays of their own, which may be written to.

    Each of the tree's children has a block of memory (a model is not kept with its optimiser).
    """
    tensors = [as_tensor(leaf) for leaf in leaves]
    counts = [child.leaves for child in structure.children] or [len(tensors)]
    found: list[np.ndarray] = []
    for count in counts:
        found += _together(tensors[len(found) : len(found) + count])
    return found


def _together(tensors: Sequence[Tensor]) -> list[np.ndarray]:
    sizes = [_rounded(math.prod(each.shape) * each.dtype.itemsize) for each in tensors]
    block = np.zeros(sum(sizes) + ALIGN, np.uint8)
    start = -block.ctypes.data % ALIGN
    found = []
    for tensor, size in zip(tensors, sizes, strict=True):
        array = np.ndarray(tensor.shape, tensor.dtype, block, start)
        if not _is_zero(tensor):
            array[...] = tensor.numpy()
        found.append(array)
        start += size
    return found


def _rounded(size: int) -> int:
    return -(-size // ALIGN) * ALIGN


def _is_zero(tensor: Tensor) -> bool:
    """Whether a tensor is a whole 0 everywhere that nobody has computed yet."""
    if tensor.is_computed or tensor.node.op.name != "full":
        return False
    value = tensor.node.attrs["value"]
    return isinstance(value, int) and value == 0  # a float may be -0.0
