"""Memory with its address: where the values of tensors lie, so that nobody asks NumPy twice.

A call of a compiled function puts its small results into one block; each tensor then knows its
block and its place in it, and an array is made of them when somebody looks. Tensors of arrays that
came from elsewhere get a block of their own when they are first handed to a compiled function.
Not here: the tensors (`tensor.py`). Next: `flat.py`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from kedja.front import chunks
from kedja.ground.dtypes import DType
from kedja.ir.op import Type

# What holds the memory (an array of NumPy's or ctypes'), and the address of its first byte. A plain
# pair, because thousands are made in each second; whoever holds it keeps the memory.
Block = tuple[Any, int]

SMALL_BYTES = 16 << 10  # ctypes allocates faster than NumPy, but fills with zeros
BYTE = np.dtype(np.uint8)


class Place:
    """Where in a block an array lies, and of which type it is (of equal types the same object)."""

    __slots__ = ("kind", "offset")

    def __init__(self, kind: Type, offset: int) -> None:
        self.kind = known(kind)
        self.offset = offset

    def view(self, block: Block) -> np.ndarray:
        """The array at this place, which cannot be written to."""
        kind, held = self.kind, block[0]
        if type(held) is np.ndarray and held.dtype == kind.dtype and held.shape == kind.shape:
            array = held.view()  # of any dtype; bfloat16 is no buffer to NumPy
        else:
            array = np.ndarray(kind.shape, kind.dtype, held, self.offset)
        array.setflags(write=False)
        return array


_kinds: dict[Type, Type] = {}
_whole: dict[tuple[tuple[int, ...], Any], Place] = {}


def known(kind: Type) -> Type:
    """The one object for all types that are equal to this one."""
    return _kinds.setdefault(kind, kind)


def whole(shape: tuple[int, ...], dtype: DType) -> Place:
    """The place of an array that begins where its block begins."""
    key = shape, dtype
    found = _whole.get(key)
    return found or _whole.setdefault(key, Place(Type(shape, dtype), 0))


# The address of an array's first byte, four times faster than `array.ctypes.data`: by the buffer
# protocol, which refuses read-only, empty and non-contiguous arrays. (NumPy's stubs do not declare
# that an array is a buffer.)
_first_byte: Any = ctypes.c_char.from_buffer
_address_of = ctypes.addressof


def address_of(array: np.ndarray) -> int:
    """The address of an array in one piece that can be written to; else one of several errors."""
    return _address_of(_first_byte(array))


def around(array: np.ndarray) -> Block:
    """The block of an array in one piece."""
    try:
        return array, address_of(array)
    except (TypeError, ValueError, BufferError):  # read-only, empty or of exotic dtype
        return array, array.ctypes.data


def allocator(size: int) -> Callable[[], Block]:
    """What makes blocks of so many bytes."""
    address, first = _address_of, _first_byte
    if size >= chunks.WORTH_BYTES:
        return chunks.allocator(size)
    if size > SMALL_BYTES:

        def large() -> Block:
            array = np.empty(size, BYTE)
            return array, address(first(array))

        return large
    kind = ctypes.c_char * size

    def small() -> Block:
        array = kind()
        return array, address(array)

    return small
