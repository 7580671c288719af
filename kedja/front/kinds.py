"""Functions of dtypes: result_type, can_cast, isdtype, finfo, iinfo.

The rules by which dtypes meet stand in `kedja/ground/dtypes.py`: beyond the standard's, integers
that meet a float become that float, and bool gives way to everything. Next: `namespace.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kedja.front import tensor as front
from kedja.front.arithmetic import PLAIN
from kedja.ground.dtypes import (
    FLOATS,
    INTEGERS,
    NUMBERS,
    SIGNED,
    UNSIGNED,
    DType,
    as_dtype,
    bool_,
    of_scalar,
    promote,
)
from kedja.ground.errors import DtypeError, UsageError
from kedja.ground.limits import FloatLimits, IntegerLimits, float_limits, integer_limits
from kedja.ground.suggest import did_you_mean
from kedja.ir.graph import locating

KINDS: dict[str, tuple[DType, ...]] = {
    "bool": (bool_,),
    "signed integer": SIGNED,
    "unsigned integer": UNSIGNED,
    "integral": INTEGERS,
    "real floating": FLOATS,
    "complex floating": (),
    "numeric": NUMBERS,
}


def result_type(*arrays_and_dtypes: Any) -> DType:
    """The dtype in which arrays, dtypes and Python scalars meet; scalars are weak.

    >>> result_type("int32", "float32"), result_type("uint8", 3)
    (dtype('float32'), dtype('uint8'))
    """
    with locating():
        scalars = [each for each in arrays_and_dtypes if _is_scalar(each)]
        kinds = [_dtype_of(each) for each in arrays_and_dtypes if not _is_scalar(each)]
        if not arrays_and_dtypes:
            raise UsageError("result_type of nothing", fix="give at least one array or dtype")
        common = promote(*kinds) if kinds else None
        weak = [of_scalar(each, common) for each in scalars]
        return promote(*([] if common is None else [common]), *weak)


def _is_scalar(given: Any) -> bool:
    return isinstance(given, PLAIN) and not isinstance(given, np.generic)


def _dtype_of(given: Any) -> DType:
    if isinstance(given, (front.Tensor, np.ndarray, np.generic)):
        return as_dtype(given.dtype)
    return as_dtype(given)


def can_cast(from_: Any, to: Any) -> bool:
    """Whether the rules of promotion take a dtype (or an array's) to another.

    >>> can_cast("int8", "int16"), can_cast("float64", "float32")
    (True, False)
    """
    with locating():
        source, target = _dtype_of(from_), as_dtype(to)
    try:
        return promote(source, target) == target
    except DtypeError:  # they meet nowhere
        return False


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is another one, is of a kind such as "integral", or any of several.

    >>> isdtype("bfloat16", "real floating"), isdtype("bool", ("numeric", "int8"))
    (True, False)
    """
    with locating():
        given = as_dtype(dtype)
        kinds = kind if isinstance(kind, tuple) else (kind,)
        return any(given in _members(each) for each in kinds)


def _members(kind: Any) -> tuple[DType, ...]:
    if isinstance(kind, str) and kind in KINDS:
        return KINDS[kind]
    if isinstance(kind, str) and kind not in {each.name for each in NUMBERS}:
        raise UsageError(f"there is no kind {kind!r} of dtypes", fix=did_you_mean(kind, KINDS))
    return (as_dtype(kind),)


def finfo(type: Any, /) -> FloatLimits:
    """The limits of a float dtype, or of an array's.

    >>> finfo("bfloat16").eps
    0.0078125
    """
    with locating():
        return float_limits(_dtype_of(type))


def iinfo(type: Any, /) -> IntegerLimits:
    """The limits of an integer dtype, or of an array's.

    >>> iinfo("uint8").max
    255
    """
    with locating():
        return integer_limits(_dtype_of(type))
