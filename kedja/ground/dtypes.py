"""The dtypes, their kinds and how two of them meet. Next: `kedja/ir/op.py`.

A dtype is NumPy's (bfloat16 is ml_dtypes'). Python scalars are weak: they take the dtype of the
array that they meet. Integers that meet a float become that float (as in PyTorch); bool gives way
to everything. float16 and bfloat16 are the half dtypes: ops compute them in float32 and round once.
Complex numbers are left out: `as_dtype` says so.
"""

from __future__ import annotations

from functools import reduce

import ml_dtypes
import numpy as np

from kedja.ground.errors import DtypeError

DType = np.dtype

bool_ = np.dtype(np.bool_)
int8 = np.dtype(np.int8)
int16 = np.dtype(np.int16)
int32 = np.dtype(np.int32)
int64 = np.dtype(np.int64)
uint8 = np.dtype(np.uint8)
uint16 = np.dtype(np.uint16)
uint32 = np.dtype(np.uint32)
uint64 = np.dtype(np.uint64)
float16 = np.dtype(np.float16)
bfloat16 = np.dtype(ml_dtypes.bfloat16)
float32 = np.dtype(np.float32)
float64 = np.dtype(np.float64)

HALVES = (float16, bfloat16)
FLOATS = (float32, float64, *HALVES)
SIGNED = (int8, int16, int32, int64)
UNSIGNED = (uint8, uint16, uint32, uint64)
INTEGERS = SIGNED + UNSIGNED
NUMBERS = FLOATS + INTEGERS
ALL = (bool_, *NUMBERS)

_BY_NAME = {dtype.name: dtype for dtype in ALL}
_FLOATS, _HALVES = frozenset(FLOATS), frozenset(HALVES)


def as_dtype(given: object) -> DType:
    """The dtype meant by a name, a NumPy dtype, or Python's bool, int and float.

    Raises DtypeError for any dtype that kedja does not have.
    """
    weak = {bool: bool_, int: int64, float: float32}
    if isinstance(given, type) and given in weak:
        return weak[given]
    try:
        name = np.dtype(given).name  # type: ignore[call-overload]
    except TypeError:
        name = str(given)
    if name.startswith("complex"):
        raise DtypeError(f"dtype {name}: kedja has no complex numbers", fix="keep both parts apart")
    if name not in _BY_NAME:
        raise DtypeError(f"dtype {name} is not supported", fix=f"one of {', '.join(_BY_NAME)}")
    return _BY_NAME[name]


def is_float(dtype: DType) -> bool:
    """Whether a dtype is a floating-point one, the only kind with derivatives."""
    return dtype in _FLOATS


def is_half(dtype: DType) -> bool:
    """Whether a dtype has 16 bits, so that ops compute it in float32 and round once."""
    return dtype in _HALVES


def is_integer(dtype: DType) -> bool:
    """Whether a dtype is a signed or unsigned integer (bool is neither)."""
    return dtype.kind in "iu"


def promote(*dtypes: DType) -> DType:
    """The dtype in which values of the given dtypes meet.

    >>> promote(int64, float32)
    dtype('float32')
    >>> promote(uint32, int32)
    dtype('int64')
    """
    return reduce(_promote_two, dtypes)


def _promote_two(a: DType, b: DType) -> DType:
    if is_float(a) != is_float(b):
        return a if is_float(a) else b
    if {a, b} == set(HALVES):
        return float32  # neither holds the other
    if is_integer(a) and is_integer(b) and np.promote_types(a, b) == float64:
        raise DtypeError(
            f"{a.name} and {b.name} meet in no integer dtype", fix="cast one of them with astype"
        )
    return np.promote_types(a, b)


def lowest(dtype: DType) -> float | int:
    """The identity of max: −∞, or the smallest integer."""
    return -np.inf if is_float(dtype) else int(np.iinfo(dtype).min)


def highest(dtype: DType) -> float | int:
    """The identity of min: +∞, or the largest integer."""
    return np.inf if is_float(dtype) else int(np.iinfo(dtype).max)


def convert(array: np.ndarray, dtype: DType) -> np.ndarray:
    """An array in another dtype, as NumPy casts but silently; float64 to bfloat16 rounds once.

    >>> float(convert(np.asarray(1 + 2**-8 + 2**-40), bfloat16))
    1.0078125
    """
    if array.dtype == dtype:
        return np.array(array)
    with np.errstate(all="ignore"):
        if array.dtype == float64 and dtype == bfloat16:
            array = _to_odd(array)  # ml_dtypes goes through float32: two roundings
        return np.asarray(array.astype(dtype))


def _to_odd(wide: np.ndarray) -> np.ndarray:
    """float32 cut off, with the last bit set where bits were lost: no later rounding errs."""
    near = np.asarray(wide.astype(np.float32))
    bits = near.view(np.int32) - (np.abs(near) > np.abs(wide))
    return np.asarray(bits | (near != wide), dtype=np.int32).view(np.float32)


def of_scalar(value: bool | int | float, like: DType | None = None) -> DType:
    """The dtype that a Python scalar takes beside an array of dtype `like` (or alone)."""
    if isinstance(value, bool):
        return bool_ if like is None else like
    if isinstance(value, int):
        return int64 if like is None or like == bool_ else like
    return float32 if like is None or not is_float(like) else like
