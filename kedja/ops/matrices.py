"""What the families of linear algebra share: types of matrices, triangles, errors by batch.

Matrices stand in the last two axes; leading axes are batches. All of it takes float32 and float64;
the front widens halves to float32 for a whole call and rounds its results once. Not here: the ops
(`linalg.py`, `decompositions.py`). Next: `linalg.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kedja.ground.dtypes import float32, float64, int64
from kedja.ground.errors import DataError, ShapeError
from kedja.ir.graph import Node, apply, full, zeros_like
from kedja.ir.op import OnHost, Shape, Type
from kedja.ops.contract import swapped
from kedja.ops.types import require_dtype

WIDE = (float32, float64)
LAPACK = OnHost("LAPACK's factorisations, through NumPy, are the best there are")
Tangents = Sequence[Node | None]

# ------------------------------------------------------------------------------------ types


def require_matrix(name: str, x: Type) -> None:
    """Raise unless x is a float32 or float64 matrix, or a batch of them."""
    require_dtype(name, x.dtype, WIDE)
    if len(x.shape) < 2:
        raise ShapeError(f"{name} of shape {list(x.shape)}", fix="matrices have two axes")


def require_square(name: str, x: Type) -> None:
    """Raise unless x is a square matrix, or a batch of them."""
    require_matrix(name, x)
    if x.shape[-1] != x.shape[-2]:
        raise ShapeError(
            f"{name} of shape {list(x.shape)}: {x.shape[-2]} rows and {x.shape[-1]} columns",
            fix="the last two axes must be equal",
        )


def square_type(name: str) -> Callable[[Type], Type]:
    """Square matrices in, the same type out."""

    def rule(x: Type) -> Type:
        require_square(name, x)
        return x

    return rule


def extents_of(x: Type) -> tuple[Shape, int, int]:
    """Batch axes, rows, columns."""
    return x.shape[:-2], x.shape[-2], x.shape[-1]


# --------------------------------------------------------------------------- graphs of matrices


def matmul(a: Node, b: Node) -> Node:
    """A·B."""
    return apply("matmul", a, b)


def symmetric(x: Node) -> Node:
    """(A + Aᵀ)/2."""
    return 0.5 * (x + swapped(x))


def column_scaled(x: Node, scale: Node) -> Node:
    """A·diag(s)."""
    return x * apply("broadcast", _with_axis(scale, -1), shape=x.shape)


def row_scaled(scale: Node, x: Node) -> Node:
    """diag(s)·A."""
    wide = apply("reshape", scale, shape=(*scale.shape, 1))
    return apply("broadcast", wide, shape=x.shape) * x


def _with_axis(x: Node, axis: int) -> Node:
    place = len(x.shape) + axis
    return apply("reshape", x, shape=(*x.shape[:place], 1, *x.shape[place:]))


def diagonal(x: Node) -> Node:
    """The diagonal of the square matrices, along a last axis."""
    rank = len(x.shape)
    kept = apply("where", _compared("equal", x), x, zeros_like(x))
    return apply("sum", kept, axes=(rank - 1,))


def triangle(x: Node, *, lower: bool, strict: bool = False) -> Node:
    """The triangle of a matrix, zeros elsewhere; `strict` leaves the diagonal out."""
    sign = ("greater" if lower else "less") + ("" if strict else "_equal")
    return apply("where", _compared(sign, x), x, zeros_like(x))


def half_lower(x: Node) -> Node:
    """Φ: the lower triangle with half the diagonal."""
    return triangle(x, lower=True) - 0.5 * on_diagonal(x)


def on_diagonal(x: Node) -> Node:
    """The diagonal in its place, zeros elsewhere."""
    return apply("where", _compared("equal", x), x, zeros_like(x))


def _compared(sign: str, x: Node) -> Node:
    """How the row's number compares with the column's, at every element of x."""
    rank = len(x.shape)
    row, column = (
        apply("iota", shape=x.shape, axis=axis, dtype=int64) for axis in (rank - 2, rank - 1)
    )
    return apply(sign, row, column)


def off_diagonal_inverse(x: Node) -> Node:
    """1/x, and 0 on the diagonal."""
    diagonal = _compared("equal", x)
    safe = apply("where", diagonal, full(1, x.shape, x.dtype), x)
    return apply("where", diagonal, zeros_like(x), 1 / safe)


def differences(values: Node) -> Node:
    """x_j − x_i at row i and column j."""
    shape = (*values.shape, values.shape[-1])
    along = apply("broadcast", _with_axis(values, -1), shape=shape)
    down = apply("reshape", values, shape=(*values.shape, 1))
    return along - apply("broadcast", down, shape=shape)


def columns(x: Node, start: int, stop: int) -> Node:
    """Columns start … stop − 1."""
    return _cut(x, len(x.shape) - 1, start, stop)


def rows(x: Node, start: int, stop: int) -> Node:
    """Rows start … stop − 1."""
    return _cut(x, len(x.shape) - 2, start, stop)


def _cut(x: Node, axis: int, start: int, stop: int) -> Node:
    starts, stops = [0] * len(x.shape), list(x.shape)
    starts[axis], stops[axis] = start, stop
    return apply("slice", x, starts=tuple(starts), stops=tuple(stops), steps=(1,) * len(x.shape))


# ---------------------------------------------------------------------------- NumPy meanings


def half_sum(x: np.ndarray) -> np.ndarray:
    """(A + Aᵀ)/2."""
    return np.asarray((x + np.swapaxes(x, -1, -2)) / 2)


def require_finite(name: str, x: np.ndarray) -> np.ndarray:
    """x itself; DataError, which says where, unless all its elements are finite."""
    wrong = ~np.isfinite(x).all(axis=(-2, -1))
    if wrong.any():
        raise DataError(
            f"{name}: {which(np.argwhere(wrong)[0])} holds NaN or infinity",
            fix="replace them first, or look where they come from",
        )
    return x


def by_lapack(function: Callable[..., Any], name: str, what: str, fix: str) -> Callable[..., Any]:
    """The function, whose LinAlgError becomes a DataError that names the matrix.

    `what` says of which matrices the function fails: "is singular".
    """

    def call(*arrays: np.ndarray) -> Any:
        try:
            with np.errstate(all="ignore"):
                return function(*arrays)
        except np.linalg.LinAlgError:
            failed = _first_failure(function, arrays)
            raise DataError(f"{name}: {failed} {what}", fix=fix) from None

    return call


def _first_failure(function: Callable[..., Any], arrays: Sequence[np.ndarray]) -> str:
    """Which matrix of the batch it is."""
    for batch in np.ndindex(arrays[0].shape[:-2]):
        try:
            with np.errstate(all="ignore"):
                function(*(each[batch] for each in arrays))
        except np.linalg.LinAlgError:
            return which(batch)
    return "a matrix of the batch"


def which(batch: Sequence[int]) -> str:
    """A matrix by its place among the leading axes."""
    numbers = [int(number) for number in batch]
    return f"matrix {numbers} of the batch" if numbers else "the matrix"


# ------------------------------------------------------------------------------------ samples


def well_conditioned(rng: np.random.Generator, shape: Shape, spread: float = 2.0) -> np.ndarray:
    """Matrices of these extents with distinct singular values from 1 to `spread`."""
    *batch, m, n = shape
    k = min(m, n)
    left, right = (
        np.linalg.qr(rng.standard_normal((*batch, extent, extent)))[0] for extent in (m, n)
    )
    scale = np.linspace(spread, 1, k) + rng.uniform(0, 0.1, k)
    return np.asarray((left[..., :k] * scale) @ np.swapaxes(right[..., :k], -1, -2))


def positive_definite(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Symmetric matrices with distinct eigenvalues from 1 to 3."""
    basis = np.linalg.qr(rng.standard_normal(shape))[0]
    scale = np.linspace(1, 3, shape[-1])
    return half_sum((basis * scale) @ np.swapaxes(basis, -1, -2))
