"""The limits of the dtypes: what `kj.finfo` and `kj.iinfo` return.

Next: `kedja/ir/op.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np

from kedja.ground.dtypes import DType, is_float, is_integer
from kedja.ground.errors import DtypeError


@dataclass(frozen=True)
class FloatLimits:
    """bits; the spacing at 1; the largest, smallest and smallest normal positive number."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType


@dataclass(frozen=True)
class IntegerLimits:
    """bits; the largest and the smallest number."""

    bits: int
    max: int
    min: int
    dtype: DType


def float_limits(dtype: DType) -> FloatLimits:
    """The limits of a float dtype.

    >>> float_limits(np.dtype(np.float32)).eps == 2**-23
    True
    """
    if not is_float(dtype):
        raise DtypeError(f"finfo of {dtype.name}", fix="floats only; iinfo is for integers")
    facts = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    return FloatLimits(
        bits=dtype.itemsize * 8,
        eps=float(facts.eps),
        max=float(facts.max),
        min=float(facts.min),
        smallest_normal=float(facts.smallest_normal),
        dtype=dtype,
    )


def integer_limits(dtype: DType) -> IntegerLimits:
    """The limits of an integer dtype.

    >>> integer_limits(np.dtype(np.int8)).max
    127
    """
    if not is_integer(dtype):
        raise DtypeError(f"iinfo of {dtype.name}", fix="integers only; finfo is for floats")
    facts = np.iinfo(dtype)
    return IntegerLimits(dtype.itemsize * 8, int(facts.max), int(facts.min), dtype)
