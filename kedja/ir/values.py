"""Numbers and arrays as short text, and any attribute as JSON. Used by all that prints graphs.

Not here: formulas (`formula.py`) and whole graphs (`show.py`). Next: `labels.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kedja.ground.dtypes import bfloat16, is_float, is_half

DIGITS = 6  # significant digits of a value that is shown to a person
FEWER = 4  # and of the least, mean and largest of many
SHORT = 4  # arrays of at most so many elements are shown in full
FEWEST = 3  # and of these and the first elements, where both are shown
FIRST = 3  # so many elements of a large array are shown
LISTED = 64  # arrays of at most so many elements are listed in JSON


def exact(value: Any) -> str:
    """The shortest text that names a scalar exactly; whole floats without their `.0`.

    >>> exact(1.0), exact(np.float32(0.1)), exact(-2), exact(True)
    ('1', '0.1', '-2', 'True')
    """
    if isinstance(value, np.generic):
        value = _shortest(value) if is_float(value.dtype) else value.item()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return repr(value)


def _shortest(value: Any) -> float:
    """The number with the fewest digits that this float stands for."""
    if value.dtype != bfloat16:  # NumPy prints its own floats so
        return float(str(value))
    texts = (f"{float(value):.{digits}g}" for digits in range(1, DIGITS))
    short = next((text for text in texts if value.dtype.type(text) == value), value)
    return float(short)


def rounded(value: Any, digits: int = DIGITS) -> str:
    """A scalar to some significant digits, six unless told otherwise.

    >>> rounded(2.718281828), rounded(1.0), rounded(float("nan"))
    ('2.71828', '1', 'nan')
    """
    if isinstance(value, (bool, np.bool_, int, np.integer)):
        return str(value)
    if isinstance(value, np.generic) and is_half(value.dtype):
        value = _shortest(value)
    text = f"{float(value):.{digits}g}"
    return "0" if text == "-0" else text


def summary(array: np.ndarray, digits: int = FEWER) -> str:
    """An array in a few words: its elements where they are few, else least, mean and largest.

    The latter are rounded to some significant digits.

    >>> summary(np.array([0.5, -1.0]))
    '[0.5, -1]'
    >>> summary(np.arange(100.0))
    'min 0, mean 49.5, max 99'
    """
    if array.ndim == 0:
        return rounded(array[()])
    if array.size == 0:
        return "no elements"
    if array.ndim == 1 and array.size <= SHORT:
        return f"[{', '.join(rounded(each) for each in array)}]"
    if array.dtype.kind == "b":
        return f"{int(array.sum())} of {array.size} true"
    least, mean, largest = (rounded(each, digits) for each in _statistics(array))
    return f"min {least}, mean {mean}, max {largest}{_holes(array)}"


def glimpse(array: np.ndarray) -> str:
    """All elements where they are few, else the first ones and `summary`.

    >>> glimpse(np.eye(2))
    '[[1, 0], [0, 1]]'
    >>> glimpse(np.arange(100.0))
    '0, 1, 2, … min 0, mean 49.5, max 99'
    """
    if 0 < array.size <= SHORT:
        return _nested(array)
    if array.size == 0 or array.dtype.kind == "b":
        return summary(array)
    first = ", ".join(rounded(each, FEWEST) for each in array.flat[:FIRST])
    return f"{first}, … {summary(array, FEWEST)}"


def _nested(array: np.ndarray) -> str:
    """All elements, in brackets for each axis."""
    if array.ndim == 0:
        return rounded(array[()])
    return f"[{', '.join(_nested(each) for each in array)}]"


def _statistics(array: np.ndarray) -> tuple[float, float, float]:
    """Least, mean and largest; the NaN elements are left out unless there is nothing else."""
    with np.errstate(all="ignore"):
        wide = array.astype(np.float64).ravel()
        known = wide[~np.isnan(wide)]
        used = known if known.size else wide
        return float(used.min()), float(used.mean()), float(used.max())


def _holes(array: np.ndarray) -> str:
    """How many elements are NaN, where there are any."""
    count = int(np.isnan(array).sum()) if is_float(array.dtype) else 0
    return f", {count} nan" if count else ""


def jsonable(value: Any) -> Any:
    """The same as JSON can hold it: NaN and infinity become null, large arrays a summary.

    >>> jsonable({"a": np.float64("nan"), "b": (1, np.int64(2))})
    {'a': None, 'b': [1, 2]}
    """
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, Mapping):
        return {str(key): jsonable(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(each) for each in value]
    return str(value) if isinstance(value, Path) else repr(value)


def _array(array: np.ndarray) -> Any:
    if array.size <= LISTED:
        return jsonable(array.tolist())
    least, mean, largest = _statistics(array)
    return {
        "shape": list(array.shape),
        "dtype": array.dtype.name,
        "min": jsonable(least),
        "mean": jsonable(mean),
        "max": jsonable(largest),
    }
