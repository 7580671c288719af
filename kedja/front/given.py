"""What users give as an array: numbers, lists, arrays of other libraries, lists with tensors.

A list with tensors in it is these tensors joined: their history goes on, so that gradients reach
them and a trace sees them. Not here: tensors (`tensor.py`), functions that make arrays
(`creation.py`). Next: `creation.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kedja.front import arithmetic, dlpack
from kedja.front import tensor as front
from kedja.ground.dtypes import DType, as_dtype, convert, is_half, of_scalar
from kedja.ground.errors import DtypeError, ShapeError
from kedja.ir.graph import locating

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor


def holds_tensors(data: Any) -> bool:
    """Whether a list or tuple has a tensor in it, at any depth."""
    if not isinstance(data, (list, tuple)):
        return False
    return any(isinstance(each, front.Tensor) or holds_tensors(each) for each in data)


def joined(data: Any, dtype: Any = None) -> Tensor:
    """A list with tensors in it as one tensor: its parts along a new first axis."""
    with locating():
        parts = [front.as_tensor(each) for each in data]
        shapes = sorted({each.shape for each in parts})
        if len(shapes) > 1:
            what = f"an array cannot be made of parts of shapes {', '.join(map(str, shapes))}"
            raise ShapeError(what, fix="all parts must be of one shape")
        rows = [arithmetic.reshape(each, (1, *each.shape)) for each in parts]
        found = arithmetic.concatenate(rows, 0)
        return found if dtype is None else arithmetic.cast(found, as_dtype(dtype))


def to_array(data: Any, dtype: Any = None) -> np.ndarray:
    """A NumPy array of a dtype that kedja has.

    Python's floats become float32 and its integers int64; NumPy's arrays and scalars keep their
    dtype. (Beside a tensor, in `x * s`, a scalar of either kind takes the tensor's dtype.)
    """
    if isinstance(data, front.Tensor):
        data = data.numpy()
    if isinstance(data, (bool, int, float)) and not isinstance(data, np.generic):
        return _of_number(data, as_dtype(dtype) if dtype is not None else of_scalar(data))
    plain = not isinstance(data, (np.ndarray, np.generic))
    if plain and isinstance(data, (list, tuple)):
        data = [each.numpy() if isinstance(each, front.Tensor) else each for each in data]
    array = _as_numpy(data)
    if dtype is None and plain and array.dtype == np.float64:
        dtype = np.float32
    copied = np.asarray(convert(array, as_dtype(dtype or array.dtype)), order="C")
    copied.setflags(write=False)
    return copied


def _of_number(number: bool | int | float, dtype: DType) -> np.ndarray:
    try:
        return convert(np.asarray(number), dtype) if is_half(dtype) else np.asarray(number, dtype)
    except OverflowError:
        raise DtypeError(f"{dtype.name} does not hold {number}", fix="a wider dtype") from None


def _as_numpy(data: Any) -> np.ndarray:
    try:
        return np.asarray(data)
    except ValueError as error:
        raise ShapeError(
            f"an array cannot be made of a {type(data).__name__} of uneven parts ({error})",
            fix="all rows must be of one length",
        ) from None
    except TypeError:  # PyTorch's bfloat16, which NumPy does not have
        if hasattr(data, "__dlpack__"):
            return dlpack.imported(data, None)
        raise
