"""Memory of loops' carries and of weights that are read: together, in pages as large as can be.

The system clears each page when it is first written to. NumPy asks for large pages where an array
has some megabytes, which few weights have alone: 100 MB in 300 arrays take 60 ms to copy, in one
block 16. Zeros are not written at all, since fresh pages are zero. Next: `loop.py`.
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
