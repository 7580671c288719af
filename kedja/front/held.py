"""Memory of loops' carries and of weights that are read: together, in pages as large as can be.

The system clears each page when it is first written to (`ground/pages.py`). NumPy asks for large
pages where an array has some megabytes, which few weights have alone: 100 MB in 300 arrays take
60 ms to copy, in one block 16. Zeros are not written at all, since fresh pages are zero.
Next: `loop.py`.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.front import tree
from kedja.front.blocks import whole
from kedja.front.tensor import Tensor, as_tensor, from_block
from kedja.ground.dtypes import DType, convert
from kedja.ground.pages import Pages

ALIGN = 64  # bytes: a line of the caches


class Held:
    """Arrays of their own for a tree's leaves, which may be written to.

    Each of the tree's children has a block of memory (a model is not kept with its optimiser). The
    arrays are there at once and hold the values after `fill`: their pages come meanwhile.
    """

    def __init__(self, leaves: Sequence[Any], structure: tree.Structure) -> None:
        tensors = [as_tensor(leaf) for leaf in leaves]
        counts = [child.leaves for child in structure.children] or [len(tensors)]
        self.arrays: list[np.ndarray] = []
        self._blocks: list[Pages] = []
        for count in counts:
            self._add(tensors[len(self.arrays) : len(self.arrays) + count])
        self._tensors = tensors

    def _add(self, tensors: Sequence[Tensor]) -> None:
        """One block for these."""
        sizes = [_rounded(math.prod(each.shape) * each.dtype.itemsize) for each in tensors]
        block = Pages(sum(sizes) + ALIGN)
        start = -block.memory.ctypes.data % ALIGN
        for tensor, size in zip(tensors, sizes, strict=True):
            self.arrays.append(np.ndarray(tensor.shape, tensor.dtype, block.memory, start))
            start += size
        self._blocks.append(block)

    def fill(self) -> list[np.ndarray]:
        """The arrays, with the values; to be called once."""
        for block in self._blocks:
            block.settled()
        for array, tensor in zip(self.arrays, self._tensors, strict=True):
            if not _is_zero(tensor):
                array[...] = tensor.numpy()
        return self.arrays


def _rounded(size: int) -> int:
    return -(-size // ALIGN) * ALIGN


def _is_zero(tensor: Tensor) -> bool:
    """Whether a tensor is a whole 0 everywhere that nobody has computed yet."""
    if tensor.is_computed or tensor.node.op.name != "full":
        return False
    value = tensor.node.attrs["value"]
    return isinstance(value, int) and value == 0  # a float may be -0.0


def copied(arrays: Sequence[np.ndarray], dtypes: Sequence[DType]) -> list[Tensor]:
    """Tensors with the values of arrays in these dtypes, which lie together.

    Each has its own part of the block, so that it can be given up without the others.
    """
    places = [whole(*pair) for pair in zip(map(np.shape, arrays), dtypes, strict=True)]
    sizes = [math.prod(each.kind.shape) * each.kind.dtype.itemsize for each in places]
    block: Any = np.empty(sum(map(_rounded, sizes)) + ALIGN, np.uint8)
    start = -block.ctypes.data % ALIGN
    found = []
    for array, place, size in zip(arrays, places, sizes, strict=True):
        part: Any = (ctypes.c_char * size).from_buffer(block, start)
        written = np.ndarray(place.kind.shape, place.kind.dtype, part)
        written[...] = _in_dtype(array, place.kind.dtype)
        found.append(from_block((part, ctypes.addressof(part)), place))
        start += _rounded(size)
    return found


def _in_dtype(array: np.ndarray, dtype: DType) -> np.ndarray:
    return array if array.dtype == dtype else convert(array, dtype)
