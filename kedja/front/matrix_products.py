"""Products of vectors and matrices beside `matmul`, and what is read off a matrix: diagonal, trace.

Not here: vecdot and tensordot (`products.py`). Next: `linalg.py`, under which these are public.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kedja.front import arithmetic
from kedja.front import tensor as front
from kedja.front.arithmetic import binary, call, cast
from kedja.front.movement import moveaxis, stack
from kedja.front.norms import require_matrices
from kedja.front.reductions import sum as total
from kedja.front.wide import narrow, wide
from kedja.ground.dtypes import float32, is_half, promote
from kedja.ground.errors import ShapeError, UsageError
from kedja.ir.graph import locating
from kedja.ops.types import normal_axis

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor


def outer(x1: Any, x2: Any) -> Tensor:
    """y[i, j] = x1[i]·x2[j] of two vectors.

    >>> outer([1, 2], [3, 4]).tolist()
    [[3, 4], [6, 8]]
    """
    a, b = front.as_tensor(x1), front.as_tensor(x2)
    with locating():
        if a.ndim != 1 or b.ndim != 1:
            raise ShapeError(f"outer of {list(a.shape)} and {list(b.shape)}", fix="two vectors")
        return binary("multiply", arithmetic.reshape(a, (-1, 1)), arithmetic.reshape(b, (1, -1)))


def kron(a: Any, b: Any) -> Tensor:
    """Kronecker's product: every element of a times the whole of b, as blocks.

    >>> kron([1, 10], [1, 2]).tolist()
    [1, 2, 10, 20]
    """
    a, b = front.as_tensor(a), front.as_tensor(b)
    rank = max(a.ndim, b.ndim)
    left, right = ((1,) * (rank - each.ndim) + each.shape for each in (a, b))
    with locating():
        apart = [n for extent in left for n in (extent, 1)]
        within = [n for extent in right for n in (1, extent)]
        blocks = binary("multiply", arithmetic.reshape(a, apart), arithmetic.reshape(b, within))
        return arithmetic.reshape(blocks, [m * n for m, n in zip(left, right, strict=True)])


def cross(x1: Any, x2: Any, *, axis: int = -1) -> Tensor:
    """The cross product of vectors of three elements along an axis; all other axes are broadcast.

    >>> cross([1, 0, 0], [0, 1, 0]).tolist()
    [0, 0, 1]
    """
    a, b = front.as_tensor(x1), front.as_tensor(x2)
    with locating():
        first, second = (normal_axis("cross", axis, each.ndim) for each in (a, b))
        if a.shape[first] != 3 or b.shape[second] != 3:
            raise ShapeError(
                f"cross of shapes {list(a.shape)} and {list(b.shape)} along axis {axis}",
                fix="the axis has three elements in both",
            )
        kind = promote(a.dtype, b.dtype)
        inner = float32 if is_half(kind) else kind
        a, b = (moveaxis(cast(each, inner), axis, -1) for each in (a, b))
        return moveaxis(narrow(_crossed(a, b), kind), -1, axis)


def _crossed(a: Tensor, b: Tensor) -> Tensor:
    """Along the last axis."""
    x, y = ([each[..., i] for i in range(3)] for each in (a, b))
    return stack([x[i - 2] * y[i - 1] - x[i - 1] * y[i - 2] for i in range(3)], -1)


def addmm(x: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta·x + alpha·A B, with x repeated to the shape of the product.

    >>> addmm([1.0, 2.0], [[1.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]).tolist()
    [[2.0, 3.0]]
    """
    a, b = front.as_tensor(a), front.as_tensor(b)
    with locating():
        if a.ndim != 2 or b.ndim != 2:
            raise ShapeError(
                f"addmm of shapes {list(a.shape)} and {list(b.shape)}",
                fix="two matrices; x + a @ b takes any",
            )
        product = arithmetic.matmul(a, b)
        x = arithmetic.broadcast(front.as_tensor(x, product), product.shape)
        return binary("add", _times(x, beta), _times(product, alpha))


def _times(x: Tensor, factor: float) -> Tensor:
    return x if factor == 1 else binary("multiply", x, factor)


# ------------------------------------------------------------------------ read off a matrix


def diagonal(x: Any, *, offset: int = 0) -> Tensor:
    """The diagonal of each matrix (the last two axes), or one `offset` columns to the right of it.

    >>> diagonal([[1, 2, 3], [4, 5, 6]], offset=1).tolist()
    [2, 6]
    """
    x = front.as_tensor(x)
    with locating():
        require_matrices("diagonal", x)
        *batch, m, n = x.shape
        count = max(0, min(m + min(offset, 0), n - max(offset, 0)))
        start = offset if offset >= 0 else -offset * n
        line = arithmetic.reshape(x, (*batch, m * n))
        stop = start + (count - 1) * (n + 1) + 1 if count else 0
        return line[(..., slice(start if count else 0, stop, n + 1))]


def trace(x: Any, *, offset: int = 0, dtype: Any = None) -> Tensor:
    """The sum of the diagonal of each matrix; dtypes as in `kj.sum`.

    >>> trace([[1, 2], [3, 4]]).item()
    5
    """
    with locating():
        return total(diagonal(x, offset=offset), axis=-1, dtype=dtype)


# ------------------------------------------------------------------------ several products


def matrix_power(x: Any, n: int) -> Tensor:
    """Aⁿ for a whole number n by repeated squaring; negative powers are those of the inverse.

    >>> matrix_power([[1, 1], [0, 1]], 5).tolist()
    [[1, 5], [0, 1]]
    """
    x = front.as_tensor(x)
    with locating():
        require_square("matrix_power", x)
        kind = x.dtype
        power = wide(x)[0] if n < 0 or is_half(kind) else x
        kind = kind if is_half(kind) else power.dtype
        power = call("inv", power) if n < 0 else power
        return narrow(_powered(power, -n if n < 0 else n), kind)


def _powered(x: Tensor, n: int) -> Tensor:
    result = None
    while n:
        if n & 1:
            result = x if result is None else arithmetic.matmul(result, x)
        n >>= 1
        x = arithmetic.matmul(x, x) if n else x
    if result is not None:
        return result
    ones = cast(front.from_value(np.eye(x.shape[-1])), x.dtype)
    return arithmetic.broadcast(ones, x.shape)


def require_square(name: str, x: Tensor) -> None:
    """ShapeError unless x is a square matrix, or a batch of them."""
    require_matrices(name, x)
    if x.shape[-1] != x.shape[-2]:
        raise ShapeError(
            f"{name} of shape {list(x.shape)}: {x.shape[-2]} rows and {x.shape[-1]} columns",
            fix="the last two axes must be equal",
        )


def multi_dot(arrays: Sequence[Any]) -> Tensor:
    """A·B·C… in the order that needs the fewest multiplications; the ends may be vectors.

    Source: T. Cormen et al., *Introduction to algorithms*, section 15.2 (matrix chains).
    """
    tensors = [front.as_tensor(each) for each in arrays]
    with locating():
        if len(tensors) < 2:
            raise UsageError(f"multi_dot of {len(tensors)} arrays", fix="give at least two")
        ends = (tensors[0], tensors[-1])
        if any(each.ndim != 2 for each in tensors[1:-1]) or any(x.ndim not in (1, 2) for x in ends):
            shapes = " ".join(str(list(each.shape)) for each in tensors)
            raise ShapeError(
                f"multi_dot of shapes {shapes}", fix="matrices; the ends may be vectors"
            )
        return _chain(tensors)


def _chain(tensors: Sequence[Tensor]) -> Tensor:
    first, last = tensors[0], tensors[-1]
    columns = [each.shape[-1] for each in tensors[:-1]]
    ends = (1 if first.ndim == 1 else first.shape[0], 1 if last.ndim == 1 else last.shape[1])
    cuts = _cheapest([ends[0], *columns, ends[1]])

    def product(i: int, j: int) -> Tensor:
        if i == j:
            return tensors[i]
        cut = cuts[i, j]
        return arithmetic.matmul(product(i, cut), product(cut + 1, j))

    return product(0, len(tensors) - 1)


def _cheapest(extents: Sequence[int]) -> dict[tuple[int, int], int]:
    """For factors i … j, after which of them the product is cut: dynamic programming."""
    count = len(extents) - 1
    cost = {(i, i): 0 for i in range(count)}
    cuts: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            options = {
                cut: cost[i, cut]
                + cost[cut + 1, j]
                + extents[i] * extents[cut + 1] * extents[j + 1]
                for cut in range(i, j)
            }
            cuts[i, j] = min(options, key=options.__getitem__)
            cost[i, j] = options[cuts[i, j]]
    return cuts


def vander(x: Any, n: int | None = None) -> Tensor:
    """Vandermonde's matrix: columns 1, x, x² … x^(n−1); n is the number of elements by default.

    >>> vander([2.0, 3.0], 3).tolist()
    [[1.0, 2.0, 4.0], [1.0, 3.0, 9.0]]
    """
    x = front.as_tensor(x)
    with locating():
        if x.ndim == 0:
            raise ShapeError("vander of a scalar", fix="it needs at least one axis")
        count = x.shape[-1] if n is None else n
        columns = [arithmetic.broadcast(cast(front.Tensor(1), x.dtype), x.shape)]
        for _ in range(count - 1):
            columns.append(columns[-1] * x)
        return stack(columns, -1)[..., :count]
