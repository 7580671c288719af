"""Arrays stacked, cut, turned and filled by the names that NumPy or PyTorch have for it.

Not here: the standard's manipulation functions (`movement.py`). Next: `transforms.py`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kedja.front import arithmetic, index
from kedja.front import tensor as front
from kedja.front.creation import columns_of, rows_of
from kedja.front.movement import broadcast_to, concat, flip, moveaxis, split, swapaxes
from kedja.front.products import tensordot
from kedja.front.selection import take_along_axis
from kedja.ground.dtypes import bool_
from kedja.ground.errors import DtypeError, ShapeError, UsageError
from kedja.ir.graph import locating
from kedja.ops.types import broadcast_shapes, extents, normal_axis

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor

# ------------------------------------------------------------------------------- more axes


def atleast_1d(x: Any) -> Tensor:
    """x, a scalar as a vector."""
    x = front.as_tensor(x)
    return arithmetic.reshape(x, (1,)) if x.ndim == 0 else x


def atleast_2d(x: Any) -> Tensor:
    """x, with axes of 1 in front so that it has two."""
    x = front.as_tensor(x)
    return arithmetic.reshape(x, (*(1,) * (2 - x.ndim), *x.shape)) if x.ndim < 2 else x


def atleast_3d(x: Any) -> Tensor:
    """x, with axes of 1 on both sides so that it has three: (n) becomes (1, n, 1)."""
    x = atleast_2d(x)
    return arithmetic.reshape(x, (*x.shape, 1)) if x.ndim == 2 else x


def unflatten(x: Any, axis: int, sizes: Sequence[int]) -> Tensor:
    """One axis as several; one of their extents may be −1."""
    x = front.as_tensor(x)
    with locating():
        axis = normal_axis("unflatten", axis, x.ndim)
    known = math.prod(n for n in sizes if n != -1)
    whole = [x.shape[axis] // known if n == -1 and known else n for n in sizes]
    return arithmetic.reshape(x, (*x.shape[:axis], *whole, *x.shape[axis + 1 :]))


# --------------------------------------------------------------------------------- stacking


def hstack(arrays: Sequence[Any]) -> Tensor:
    """Side by side: along the second axis, of vectors along the only one."""
    tensors = [atleast_1d(each) for each in arrays]
    return concat(tensors, 0 if tensors and tensors[0].ndim == 1 else 1)


def vstack(arrays: Sequence[Any]) -> Tensor:
    """One above the other: along the first axis, vectors as rows."""
    return concat([atleast_2d(each) for each in arrays], 0)


def dstack(arrays: Sequence[Any]) -> Tensor:
    """One behind the other: along the third axis."""
    return concat([atleast_3d(each) for each in arrays], 2)


def column_stack(arrays: Sequence[Any]) -> Tensor:
    """Side by side along the second axis, vectors as columns."""
    tensors = [front.as_tensor(each) for each in arrays]
    return concat([arithmetic.reshape(t, (-1, 1)) if t.ndim < 2 else t for t in tensors], 1)


def chunk(x: Any, chunks: int, axis: int = 0) -> list[Tensor]:
    """An axis cut into at most `chunks` parts of one size, but for a smaller last one."""
    x = front.as_tensor(x)
    with locating():
        extent = x.shape[normal_axis("chunk", axis, x.ndim)]
        if chunks < 1:
            raise UsageError(f"chunk into {chunks} parts", fix="1 or more")
    size = max(1, -(-extent // chunks))
    return split(x, list(range(size, extent, size)), axis)


def array_split(x: Any, parts: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """As `split`, into parts that need not be equal: the first ones are longer by one.

    >>> [each.tolist() for each in array_split([1, 2, 3], 2)]
    [[1, 2], [3]]
    """
    x = front.as_tensor(x)
    with locating():
        extent = x.shape[normal_axis("array_split", axis, x.ndim)]
        if not isinstance(parts, int):
            return split(x, parts, axis)
        if parts < 1:
            raise UsageError(f"array_split into {parts} parts", fix="1 or more")
    size, longer = divmod(extent, parts)
    return split(x, [size * i + min(i, longer) for i in range(1, parts)], axis)


def narrow(x: Any, axis: int, start: int, length: int) -> Tensor:
    """`length` elements of an axis from `start` on."""
    whole = front.as_tensor(x)
    with locating():
        axis = normal_axis("narrow", axis, whole.ndim)
        extent, first = whole.shape[axis], operator.index(start)
        first = first + extent if first < 0 else first
        if not 0 <= first <= first + length <= extent:
            raise ShapeError(
                f"narrow to {start} … {start + length} of an axis of {extent}",
                fix="a part of the axis",
            )
    return whole[(*(slice(None),) * axis, slice(first, first + length))]


# ---------------------------------------------------------------------------------- turning


def fliplr(x: Any) -> Tensor:
    """The columns (the second axis) turned round."""
    return flip(x, 1)


def flipud(x: Any) -> Tensor:
    """The rows (the first axis) turned round."""
    return flip(x, 0)


def rot90(x: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Tensor:
    """Turned by k right angles, from the first of the two axes towards the second."""
    whole = front.as_tensor(x)
    first, second = axes
    turns = k % 4
    if turns == 0:
        return whole
    if turns == 2:
        return flip(whole, (first, second))
    return (
        swapaxes(flip(whole, second), first, second)
        if turns == 1
        else flip(swapaxes(whole, first, second), second)
    )


# -------------------------------------------------------------------------------- diagonals


def diag(x: Any, k: int = 0) -> Tensor:
    """Of a vector the matrix with it on the k-th diagonal; of a matrix its k-th diagonal."""
    x = front.as_tensor(x)
    with locating():
        if x.ndim not in (1, 2):
            raise ShapeError(f"diag of shape {list(x.shape)}", fix="a vector or a matrix")
    return diag_embed(x, k) if x.ndim == 1 else diagonal(x, k)


def diag_embed(x: Any, offset: int = 0) -> Tensor:
    """The last axis on the diagonals of matrices (… N N), zeros elsewhere."""
    x = front.as_tensor(x)
    size = x.shape[-1] + abs(offset)
    shape = (*x.shape[:-1], size, size)
    before, after = (max(offset, 0), max(-offset, 0))
    widths = {"low": (*(0,) * (x.ndim - 1), before), "high": (*(0,) * (x.ndim - 1), after)}
    line = arithmetic.call("pad", x, **widths, interior=(0,) * x.ndim, value=0)  # by column
    rows = broadcast_to(arithmetic.reshape(line, (*x.shape[:-1], 1, size)), shape)
    hit = columns_of((size, size)) == rows_of((size, size)) + offset
    return arithmetic.where(hit, rows, arithmetic.cast(front.Tensor(0), x.dtype))


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The diagonal of two axes, as a new last one, or that `offset` elements beside it."""
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    m, n = x.shape[-2:]
    count = max(0, min(m + min(offset, 0), n - max(offset, 0)))
    places = [(i + max(-offset, 0)) * n + i + max(offset, 0) for i in range(count)]
    return index.take(arithmetic.reshape(x, (*x.shape[:-2], m * n)), places, -1)


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum of the diagonal of two axes."""
    return arithmetic.reduce("sum", diagonal(x, offset, axis1, axis2), -1, False)


# ----------------------------------------------------------------------- by places and masks


def unravel_index(indices: Any, shape: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Places in row-major order as one index for each axis of a shape.

    >>> [each.tolist() for each in unravel_index([1, 5], (2, 3))]
    [[0, 1], [1, 2]]
    """
    place = index.as_index(indices)
    with locating():
        whole = extents(shape)
        place = index.from_front(place, math.prod(whole), 0)
    found: list[Tensor] = []
    for extent in reversed(whole):
        found.insert(0, place % extent)
        place = place // extent
    return tuple(found)


def index_select(x: Any, axis: int, indices: Any) -> Tensor:
    """`take`, with PyTorch's order of arguments."""
    return index.take(x, indices, axis)


def gather(x: Any, axis: int, indices: Any) -> Tensor:
    """y[i, j] = x[i, indices[i, j]] (for axis 1); other axes of `indices` may be shorter."""
    x, place = front.as_tensor(x), index.as_index(indices)
    with locating():
        axis = normal_axis("gather", axis, x.ndim)
        if place.ndim != x.ndim:
            raise ShapeError(
                f"gather from {list(x.shape)} by {list(place.shape)}", fix="as many axes in both"
            )
    pairs = enumerate(zip(place.shape, x.shape, strict=True))
    kept = tuple(slice(None) if each == axis or m == n else slice(m) for each, (m, n) in pairs)
    return take_along_axis(x[kept], place, axis)


def masked_fill(x: Any, mask: Any, value: Any) -> Tensor:
    """x with the value where the mask is true; the dtype stays that of x."""
    x = front.as_tensor(x)
    with locating():
        return arithmetic.cast(arithmetic.where(_mask(mask), value, x), x.dtype)


def masked_select(x: Any, mask: Any) -> Tensor:
    """The elements where the mask is true, as a vector; both are broadcast together."""
    x, mask = front.as_tensor(x), _mask(mask)
    shape = broadcast_shapes("masked_select", x.shape, mask.shape)
    return broadcast_to(x, shape)[broadcast_to(mask, shape)]


def _mask(mask: Any) -> Tensor:
    given = front.as_tensor(mask)
    if given.dtype != bool_:
        raise DtypeError(f"a mask of {given.dtype.name}", fix="a mask is bool: x > 0")
    return given


# --------------------------------------------------------------------------------- products


def dot(a: Any, b: Any) -> Tensor:
    """The sum of products over the last axis of a and the last but one (or only one) of b."""
    a, b = front.as_tensor(a), front.as_tensor(b)
    if a.ndim == 0 or b.ndim == 0:
        return arithmetic.binary("multiply", a, b)
    if max(a.ndim, b.ndim) <= 2:
        return arithmetic.matmul(a, b)
    summed_first = moveaxis(b, -2, 0) if b.ndim > 1 else b
    return tensordot(a, summed_first, ((-1,), (0,)))


def inner(a: Any, b: Any) -> Tensor:
    """The sum of products over the last axes of both."""
    a, b = front.as_tensor(a), front.as_tensor(b)
    if a.ndim == 0 or b.ndim == 0:
        return arithmetic.binary("multiply", a, b)
    return dot(a, moveaxis(b, -1, -2) if b.ndim > 1 else b)


def mm(a: Any, b: Any) -> Tensor:
    """The product of two matrices."""
    return _product("mm", a, b, 2, 2)


def bmm(a: Any, b: Any) -> Tensor:
    """The products of two batches of matrices (B M K) and (B K N)."""
    return _product("bmm", a, b, 3, 3)


def mv(a: Any, b: Any) -> Tensor:
    """The product of a matrix and a vector."""
    return _product("mv", a, b, 2, 1)


def _product(name: str, a: Any, b: Any, left: int, right: int) -> Tensor:
    a, b = front.as_tensor(a), front.as_tensor(b)
    with locating():
        if (a.ndim, b.ndim) != (left, right):
            raise ShapeError(
                f"{name} of shapes {list(a.shape)} and {list(b.shape)}",
                fix=f"arrays with {left} and {right} axes; matmul takes any",
            )
        return arithmetic.matmul(a, b)


def block_diag(*arrays: Any) -> Tensor:
    """Matrices along the diagonal of one, zeros elsewhere."""
    matrices = [atleast_2d(each) for each in arrays]
    width = sum(each.shape[1] for each in matrices)
    rows, start = [], 0
    for each in matrices:
        after = width - start - each.shape[1]
        pads = {"low": (0, start), "high": (0, after), "interior": (0, 0), "value": 0}
        rows.append(arithmetic.call("pad", each, **pads))
        start += each.shape[1]
    return concat(rows, 0)
