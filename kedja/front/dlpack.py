"""DLPack: arrays go to other libraries and come from them without being copied.

NumPy makes and reads the capsules. It has no bfloat16, so those travel as 16-bit integers whose
dtype is changed in the capsule itself. Tensors are exported as read-only; consumers of DLPack 0.x
cannot be told so (JAX does the same) and must not write. Source: dmlc.github.io/dlpack.
Not here: what users call (`creation.from_dlpack`, `Tensor.__dlpack__`). Next: `index.py`.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from kedja.ground.dtypes import as_dtype, bfloat16
from kedja.ground.errors import DtypeError, UsageError

CPU = (1, 0)  # DLDevice: type and number
ON_CPU = (1, 3)  # the device types whose memory the CPU reads: its own, and CUDA's pinned
UNSIGNED, BFLOAT = 1, 4  # DLDataTypeCode


class _DataType(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Array(ctypes.Structure):
    """DLTensor."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_number", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("dtype", _DataType),
    )


class _Versioned(ctypes.Structure):
    """DLManagedTensorVersioned; the unversioned one begins with the DLTensor itself."""

    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("array", _Array),
    )


def _function(name: str, result: Any) -> Any:
    made = ctypes.PYFUNCTYPE(result, ctypes.py_object, ctypes.c_char_p)
    return made((name, ctypes.pythonapi))


_pointer = _function("PyCapsule_GetPointer", ctypes.c_void_p)
_has_name = _function("PyCapsule_IsValid", ctypes.c_int)


def _dtype_of(capsule: Any) -> _DataType:
    """The dtype inside a capsule, which may be changed."""
    if _has_name(capsule, b"dltensor_versioned"):
        address = _pointer(capsule, b"dltensor_versioned")
        found: _DataType = _Versioned.from_address(address).array.dtype
        return found
    plain: _DataType = _Array.from_address(_pointer(capsule, b"dltensor")).dtype
    return plain


# ---------------------------------------------------------------------------------------- in


class _Held:
    """A capsule at hand, as NumPy wants to be given it."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return CPU


def imported(x: Any, copy: bool | None) -> np.ndarray:
    """An array over the memory of another library's (over a copy of it where `copy`)."""
    if not hasattr(x, "__dlpack__"):
        raise UsageError(f"a {type(x).__name__} has no __dlpack__", fix="use kj.asarray")
    if x.__dlpack_device__()[0] not in ON_CPU:
        raise BufferError("the array is on another device: bring it to the CPU first")
    capsule = _capsule_of(x)
    dtype = _dtype_of(capsule)
    is_bfloat = (dtype.code, dtype.bits) == (BFLOAT, 16)
    if is_bfloat:
        dtype.code = UNSIGNED
    try:
        array = np.from_dlpack(_Held(capsule))
    except RuntimeError as error:
        raise DtypeError(f"from_dlpack: {error}", fix="cast the array before") from None
    found = array.view(bfloat16) if is_bfloat else array
    as_dtype(found.dtype)
    return found.copy() if copy else found


def _capsule_of(x: Any) -> Any:
    try:
        return x.__dlpack__(max_version=(1, 0))
    except TypeError:  # a producer of before 2024
        return x.__dlpack__()


# --------------------------------------------------------------------------------------- out


class _Alias:
    """The memory of a read-only array without the mark, for consumers that know no such mark."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        address, _ = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (address, False)}


def exported(
    array: np.ndarray,
    stream: Any = None,
    max_version: tuple[int, int] | None = None,
    dl_device: tuple[int, int] | None = None,
    copy: bool | None = None,
) -> Any:
    """The capsule of an array; a versioned one, which says read-only, where it is understood."""
    if stream is not None:
        raise BufferError("stream: the CPU has none, give None")
    if dl_device is not None and tuple(map(int, dl_device)) != CPU:
        raise BufferError(f"dl_device {tuple(dl_device)}: tensors are on the CPU, {CPU}")
    is_bfloat = array.dtype == bfloat16
    bits = array.view(np.uint16) if is_bfloat else array
    if copy:
        bits = bits.copy()
    if max_version is not None and max_version[0] >= 1:
        capsule = bits.__dlpack__(max_version=(1, 0))
    else:
        capsule = (bits if copy else np.asarray(_Alias(bits))).__dlpack__()
    if is_bfloat:
        _dtype_of(capsule).code = BFLOAT
    return capsule
