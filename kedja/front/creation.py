"""Tensors from nothing but a shape, from numbers, and from arrays of other libraries.

Names follow the Python Array API standard 2024.12. Floats are float32 unless told otherwise. Not
here: random numbers (`random.py`). Next: `elementwise.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kedja.front import arithmetic, dlpack, given
from kedja.front import tensor as front
from kedja.front.device import require_cpu
from kedja.ground.dtypes import DType, as_dtype, float32, float64, int64, is_float, uint64
from kedja.ground.errors import ShapeError, UsageError
from kedja.ir.graph import Scalar, apply, locating
from kedja.ir.graph import full as full_node
from kedja.ops.types import extents

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor

Extents = int | Sequence[int]


def tensor(data: Any, dtype: Any = None, *, requires_grad: bool = False, name: str = "") -> Tensor:
    """A tensor of an array, a (nested) list or a number, copied.

    Python's floats become float32, whole numbers int64, True and False bool; arrays keep their
    dtype, unless `dtype` says another. A tensor, and tensors in a list, keep their history, so that
    gradients go back to them, unless a new variable is made of them: `requires_grad` marks one
    whose gradient `loss.backward()` adds into `.grad`; `name` is what printed formulas call it.
    Raises ShapeError for lists of uneven lengths, DtypeError for what is no number and for a
    gradient of integers.

    >>> tensor([1, 2, 3]) * 2
    Tensor([2, 4, 6], int64)
    >>> w = tensor(3.0, requires_grad=True)
    >>> (w * w).backward()
    >>> w.grad
    Tensor(6., float32)
    """
    if not requires_grad and not name:
        return asarray(data, dtype)
    return front.Tensor(data, dtype, requires_grad=requires_grad, name=name)


def asarray(obj: Any, dtype: Any = None, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """`obj` itself where it is a tensor of that dtype, else a new tensor.

    Arrays of other libraries are copied, so that they may change afterwards, unless `copy=False`:
    then the tensor shares their memory, and UsageError is raised where that cannot be.
    """
    with locating():
        require_cpu(device)
        if copy is False:
            return _shared(obj, dtype)
    if isinstance(obj, front.Tensor):
        found = obj if dtype is None else obj.astype(dtype)
        return found.__copy__() if copy and found is obj else found
    return given.joined(obj, dtype) if given.holds_tensors(obj) else front.Tensor(obj, dtype)


def _shared(obj: Any, dtype: Any) -> Tensor:
    """A tensor over the memory of an array, which must not be written to while it lives."""
    if isinstance(obj, front.Tensor) and (dtype is None or obj.dtype == as_dtype(dtype)):
        return obj
    kind = None if dtype is None else as_dtype(dtype)
    if isinstance(obj, np.ndarray) and obj.dtype == (kind or as_dtype(obj.dtype)):
        return front.from_value(obj)
    raise UsageError(
        f"asarray(copy=False) of a {type(obj).__name__}", fix="leave copy out, so that it may copy"
    )


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor over the memory of another library's array, by the DLPack protocol.

    Nothing is copied unless `copy=True` asks for it: the array must not be written to while the
    tensor lives. Raises BufferError where the array cannot be exported (it is on another device,
    requires a gradient), DtypeError for a dtype that kedja does not have.
    """
    with locating():
        require_cpu(device)
        return front.from_value(dlpack.imported(x, copy))


# ------------------------------------------------------------------------- one scalar everywhere


def full(
    shape: Extents, fill_value: Scalar | np.generic, dtype: Any = None, *, device: Any = None
) -> Tensor:
    """One scalar at every index."""
    with locating():
        require_cpu(device)
        kind = None if dtype is None else as_dtype(dtype)
        number = fill_value.item() if isinstance(fill_value, np.generic) else fill_value
        return front.from_node(full_node(number, extents(shape), kind))


def zeros(shape: Extents, dtype: Any = None, *, device: Any = None) -> Tensor:
    """Zeros, float32 by default."""
    return full(shape, 0, float32 if dtype is None else dtype, device=device)


def ones(shape: Extents, dtype: Any = None, *, device: Any = None) -> Tensor:
    """Ones, float32 by default."""
    return full(shape, 1, float32 if dtype is None else dtype, device=device)


def empty(shape: Extents, dtype: Any = None, *, device: Any = None) -> Tensor:
    """Zeros: a tensor cannot be written to, so nothing is gained by leaving it unset."""
    return zeros(shape, dtype, device=device)


def full_like(
    x: Any, fill_value: Scalar | np.generic, dtype: Any = None, *, device: Any = None
) -> Tensor:
    """One scalar at every index, with the shape (and dtype) of x."""
    x = front.as_tensor(x)
    return full(x.shape, fill_value, x.dtype if dtype is None else dtype, device=device)


def zeros_like(x: Any, dtype: Any = None, *, device: Any = None) -> Tensor:
    """Zeros of the shape (and dtype) of x."""
    return full_like(x, 0, dtype, device=device)


def ones_like(x: Any, dtype: Any = None, *, device: Any = None) -> Tensor:
    """Ones of the shape (and dtype) of x."""
    return full_like(x, 1, dtype, device=device)


def empty_like(x: Any, dtype: Any = None, *, device: Any = None) -> Tensor:
    """As `zeros_like`; see `empty`."""
    return zeros_like(x, dtype, device=device)


# --------------------------------------------------------------------------------------- ranges


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1,
    dtype: Any = None,
    *,
    device: Any = None,
) -> Tensor:
    """start, start + step … before stop: int64 where all three are whole, else float32.

    >>> arange(1, 10, 3)
    Tensor([1, 4, 7], int64)
    >>> arange(0, 1, 0.25)
    Tensor([0.  , 0.25, 0.5 , 0.75], float32)
    """
    with locating():
        require_cpu(device)
        low, high = (0, start) if stop is None else (start, stop)
        low, high, by = _number(low), _number(high), _number(step)
        if by == 0:
            raise UsageError("arange with a step of 0", fix="give a step that is not 0")
        whole = all(isinstance(each, int) for each in (low, high, by))
        kind = as_dtype(dtype) if dtype is not None else int64 if whole else float32
        count = max(0, math.ceil((high - low) / by))
        return _counted(low, by, count, kind, whole)


def _number(given: Any) -> Any:
    return given.item() if isinstance(given, (front.Tensor, np.generic)) else given


def _counted(low: Any, by: Any, count: int, kind: DType, whole: bool) -> Tensor:
    """low + by·i, computed so that only the last rounding is that of the dtype."""
    exact = float64 if is_float(kind) or not whole else uint64 if kind == uint64 else int64
    place = front.from_node(apply("iota", shape=(count,), axis=0, dtype=exact))
    return arithmetic.cast(place * by + low if (low, by) != (0, 1) else place, kind)


def linspace(
    start: float,
    stop: float,
    num: int,
    dtype: Any = None,
    *,
    device: Any = None,
    endpoint: bool = True,
) -> Tensor:
    """`num` numbers at equal distances from start to stop, which is left out by `endpoint=False`.

    >>> linspace(0, 1, 5)
    Tensor([0.  , 0.25, 0.5 , 0.75, 1.  ], float32)
    """
    with locating():
        require_cpu(device)
        (count,) = extents(num)
    line = np.linspace(_number(start), _number(stop), count, endpoint=endpoint)
    return front.Tensor(line, float32 if dtype is None else dtype)


def logspace(
    start: float,
    stop: float,
    num: int,
    base: float = 10.0,
    dtype: Any = None,
    *,
    device: Any = None,
    endpoint: bool = True,
) -> Tensor:
    """base^start … base^stop: powers whose exponents are those of `linspace`.

    >>> logspace(0, 2, 3)
    Tensor([  1.,  10., 100.], float32)
    """
    with locating():
        require_cpu(device)
        (count,) = extents(num)
    line = np.logspace(_number(start), _number(stop), count, endpoint=endpoint, base=base)
    return front.Tensor(line, float32 if dtype is None else dtype)


# ------------------------------------------------------------------------------------- matrices


def eye(
    n_rows: int,
    n_cols: int | None = None,
    dtype: Any = None,
    *,
    k: int = 0,
    device: Any = None,
) -> Tensor:
    """Ones on the k-th diagonal (above the main one where k > 0), zeros elsewhere."""
    with locating():
        require_cpu(device)
        shape = extents((n_rows, n_rows if n_cols is None else n_cols))
        kind = float32 if dtype is None else as_dtype(dtype)
    return arithmetic.cast(columns_of(shape) == rows_of(shape) + k, kind)


def rows_of(shape: Sequence[int]) -> Tensor:
    """The number of each element's row."""
    axis = len(shape) - 2
    return front.from_node(apply("iota", shape=tuple(shape), axis=axis, dtype=int64))


def columns_of(shape: Sequence[int]) -> Tensor:
    """The number of each element's column."""
    axis = len(shape) - 1
    return front.from_node(apply("iota", shape=tuple(shape), axis=axis, dtype=int64))


def tril(x: Any, *, k: int = 0) -> Tensor:
    """The elements of matrices (… M N) on and below the k-th diagonal, zeros above."""
    x = _matrix("tril", x)
    below = columns_of(x.shape[-2:]) <= rows_of(x.shape[-2:]) + k
    return arithmetic.where(below, x, full((), 0, x.dtype))


def triu(x: Any, *, k: int = 0) -> Tensor:
    """The elements of matrices (… M N) on and above the k-th diagonal, zeros below."""
    x = _matrix("triu", x)
    above = columns_of(x.shape[-2:]) >= rows_of(x.shape[-2:]) + k
    return arithmetic.where(above, x, full((), 0, x.dtype))


def tril_indices(n_rows: int, n_cols: int | None = None, *, k: int = 0) -> Tensor:
    """The rows and the columns (2, n) of the elements on and below the k-th diagonal.

    >>> rows, columns = tril_indices(2)
    >>> rows.tolist(), columns.tolist()
    ([0, 1, 1], [0, 0, 1])
    """
    with locating():
        shape = extents((n_rows, n_rows if n_cols is None else n_cols))
    return front.from_value(np.array(np.tril_indices(shape[0], k, shape[1]), np.int64))


def triu_indices(n_rows: int, n_cols: int | None = None, *, k: int = 0) -> Tensor:
    """The rows and the columns (2, n) of the elements on and above the k-th diagonal."""
    with locating():
        shape = extents((n_rows, n_rows if n_cols is None else n_cols))
    return front.from_value(np.array(np.triu_indices(shape[0], k, shape[1]), np.int64))


def _matrix(name: str, x: Any) -> Tensor:
    given = front.as_tensor(x)
    with locating():
        if given.ndim < 2:
            raise ShapeError(f"{name} of shape {list(given.shape)}", fix="at least two axes")
    return given


def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Tensor]:
    """The coordinates of every point of a grid, from those along each axis.

    `indexing="ij"` gives axis i to array i; "xy" exchanges the first two axes.
    """
    lines = [front.as_tensor(each) for each in arrays]
    with locating():
        _require_lines(lines, indexing)
        rank = len(lines)
        order = list(range(rank))
        if indexing == "xy" and rank > 1:
            order[:2] = [1, 0]
        shape = [0] * rank
        for axis, line in zip(order, lines, strict=True):
            shape[axis] = line.size
        return [
            arithmetic.broadcast(_along(line, axis, rank), shape)
            for axis, line in zip(order, lines, strict=True)
        ]


def _require_lines(lines: Sequence[Tensor], indexing: str) -> None:
    if indexing not in ("xy", "ij"):
        raise UsageError(f"meshgrid with indexing={indexing!r}", fix='"xy" or "ij"')
    for line in lines:
        if line.ndim > 1:
            raise ShapeError(f"meshgrid of shape {list(line.shape)}", fix="give vectors")


def _along(line: Tensor, axis: int, rank: int) -> Tensor:
    return arithmetic.reshape(line, [line.size if each == axis else 1 for each in range(rank)])
