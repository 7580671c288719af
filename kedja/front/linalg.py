"""`kj.linalg`: the linear-algebra extension of the Python Array API standard 2024.12, and more.

Matrices stand in the last two axes, all other axes are batches. float16 and bfloat16 are computed
in float32 and rounded once; integers become float32. Everything has derivatives of any order; where
signs and bases are a free choice (QR, eigenvectors, singular vectors), of what does not depend on
that choice. There are no complex numbers, so that `eig` and `eigvals` are errors.
Next: `matrix_products.py`, `norms.py`, and for the mathematics `kedja/ops/linalg.py`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from kedja.front import arithmetic
from kedja.front import tensor as front
from kedja.front.arithmetic import call, matmul
from kedja.front.creation import tril, triu
from kedja.front.matrix_products import (
    cross,
    diagonal,
    kron,
    matrix_power,
    multi_dot,
    outer,
    require_square,
    trace,
    vander,
)
from kedja.front.movement import matrix_transpose
from kedja.front.norms import (
    cond,
    matrix_norm,
    matrix_rank,
    norm,
    require_matrices,
    tolerance,
    vector_norm,
)
from kedja.front.products import tensordot, vecdot
from kedja.front.selection import one_hot
from kedja.front.wide import narrow, wide, wide_together
from kedja.ground.errors import DtypeError, ShapeError, UsageError
from kedja.ir.graph import apply, locating, parts
from kedja.ops.types import broadcast_shapes

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor

__all__ = [
    "cholesky",
    "cholesky_solve",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "kron",
    "lstsq",
    "lu",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "multi_dot",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensordot",
    "tensorinv",
    "tensorsolve",
    "trace",
    "vander",
    "vecdot",
    "vector_norm",
]


class QRResult(NamedTuple):
    """What `qr` returns."""

    Q: Tensor
    R: Tensor


class LUResult(NamedTuple):
    """What `lu` returns."""

    P: Tensor
    L: Tensor
    U: Tensor


class EighResult(NamedTuple):
    """What `eigh` returns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class SVDResult(NamedTuple):
    """What `svd` returns."""

    U: Tensor
    S: Tensor
    Vh: Tensor


class SlogdetResult(NamedTuple):
    """What `slogdet` returns."""

    sign: Tensor
    logabsdet: Tensor


class LstsqResult(NamedTuple):
    """What `lstsq` returns."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


def _one(name: str, x: Any, **attrs: Any) -> Tensor:
    """An op with one output on matrices of any dtype."""
    values, kind = wide(x)
    with locating():
        return narrow(call(name, values, **attrs), kind)


def _several(name: str, x: Any, **attrs: Any) -> list[Tensor]:
    """An op with several outputs on matrices of any dtype."""
    values, kind = wide(x)
    with locating():
        node = apply(name, values.node, **attrs)
        return [narrow(front.from_node(each, values.tracks), kind) for each in parts(node)]


# --------------------------------------------------------------------------- factorisations


def cholesky(x: Any, *, upper: bool = False) -> Tensor:
    """The lower triangle L with A = L·Lᵀ, or the upper one Lᵀ, of positive definite matrices.

    What is factorised is the symmetric part (A + Aᵀ)/2; its gradient is symmetric. Raises
    DataError, which names the matrix, where one is not positive definite.

    >>> cholesky([[4.0, 2.0], [2.0, 5.0]]).tolist()
    [[2.0, 0.0], [1.0, 2.0]]
    """
    factor = _one("cholesky", x)
    return matrix_transpose(factor) if upper else factor


def qr(x: Any, mode: str = "reduced") -> QRResult:
    """A = Q·R with orthonormal columns in Q and an upper triangle R.

    (… m n) -> Q (… m k), R (… k n) with k = min(m, n), or k = m for `mode="complete"`. The signs
    are LAPACK's. Derivatives need full rank.
    """
    if mode not in ("reduced", "complete"):
        with locating():
            raise UsageError(f"qr in mode {mode!r}", fix="'reduced' or 'complete'")
    return QRResult(*_several("qr", x, mode=mode))


def lu(x: Any) -> LUResult:
    """A = P·L·U: a permutation P (… m m), a lower triangle L (… m k), an upper one U (… k n).

    L has ones on its diagonal, and k = min(m, n). By Gaussian elimination, whose pivot is the
    largest element of each column.

    >>> P, L, U = lu([[0.0, 2.0], [1.0, 1.0]])
    >>> (P @ L @ U).tolist()
    [[0.0, 2.0], [1.0, 1.0]]
    """
    values, kind = wide(x)
    with locating():
        node = apply("lu", values.node)
        order, lower, upper = (front.from_node(each, values.tracks) for each in parts(node))
        exchanged = matrix_transpose(one_hot(order, order.shape[-1], values.dtype))
        return LUResult(narrow(exchanged, kind), narrow(lower, kind), narrow(upper, kind))


def eigh(x: Any, UPLO: str | None = None) -> EighResult:
    """Eigenvalues in ascending order (… n) and eigenvectors in columns (… n n): A = V·diag(λ)·Vᵀ.

    Of the symmetric part (A + Aᵀ)/2, or with `UPLO` "L" or "U" of the matrix that the lower or
    upper triangle describes. Raises DataError where a matrix holds NaN or infinity.
    """
    return EighResult(*_several("eigh", _by_triangle("eigh", x, UPLO)))


def eigvalsh(x: Any, UPLO: str | None = None) -> Tensor:
    """The eigenvalues (… n) of symmetric matrices in ascending order; see `eigh`.

    >>> eigvalsh([[2.0, 0.0], [0.0, 1.0]]).tolist()
    [1.0, 2.0]
    """
    return _one("eigvalsh", _by_triangle("eigvalsh", x, UPLO))


def _by_triangle(name: str, x: Any, triangle: str | None) -> Any:
    """The symmetric matrix that a triangle describes."""
    if triangle is None:
        return x
    with locating():
        if triangle not in ("L", "U"):
            raise UsageError(f"{name} of the triangle {triangle!r}", fix="'L' or 'U'")
        x = front.as_tensor(x)
        require_square(name, x)
        half = triangular(x, upper=triangle == "U")
        return half + triangular(matrix_transpose(half), upper=triangle == "L", strict=True)


def triangular(x: Tensor, *, upper: bool, strict: bool = False) -> Tensor:
    """One triangle of each matrix, zeros elsewhere; `strict` leaves the diagonal out."""
    offset = int(strict)
    return triu(x, k=offset) if upper else tril(x, k=-offset)


def svd(x: Any, full_matrices: bool = True) -> SVDResult:
    """A = U·diag(S)·Vh with orthonormal columns in U and rows in Vh, and S descending.

    (… m n) -> U (… m m), S (… k), Vh (… n n) with k = min(m, n); U (… m k) and Vh (… k n) without
    `full_matrices`. The signs are LAPACK's. Raises DataError where a matrix holds NaN or infinity.
    """
    return SVDResult(*_several("svd", x, full_matrices=bool(full_matrices)))


def svdvals(x: Any) -> Tensor:
    """The singular values (… min(m, n)) of each matrix, descending.

    >>> svdvals([[3.0, 0.0], [0.0, -4.0]]).tolist()
    [4.0, 3.0]
    """
    return _one("svdvals", x)


def eig(x: Any) -> NoReturn:
    """An error: the eigenvalues of general matrices are complex numbers, which kedja has not."""
    _refuse("eig")


def eigvals(x: Any) -> NoReturn:
    """An error: the eigenvalues of general matrices are complex numbers, which kedja has not."""
    _refuse("eigvals")


def _refuse(name: str) -> NoReturn:
    with locating():
        raise DtypeError(
            f"{name}: the eigenvalues of a general matrix are complex, and kedja has no complex "
            "numbers",
            fix="symmetric matrices have real ones: kj.linalg.eigh, kj.linalg.eigvalsh",
        )


# ------------------------------------------------------------------ inverses and determinants


def inv(x: Any) -> Tensor:
    """A⁻¹ of square matrices; to solve A·x = b, `solve` is faster and more exact.

    Raises DataError, which names the matrix, where one is singular.

    >>> inv([[2.0, 0.0], [0.0, 4.0]]).tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    return _one("inv", x)


def pinv(x: Any, *, rtol: Any = None) -> Tensor:
    """The pseudo-inverse (… n m) of matrices (… m n) of any shape and rank.

    Singular values up to `rtol` (a number, or one for each matrix) times the largest count as 0;
    the default is max(m, n)·ε of the dtype. The derivative holds where the rank does not change.
    """
    values, kind = wide(x)
    with locating():
        require_matrices("pinv", values)
        return narrow(call("pinv", values, tolerance(rtol, values)), kind)


def det(x: Any) -> Tensor:
    """The determinant (…) of square matrices (… n n); its gradient holds for singular ones too.

    >>> det([[1.0, 2.0], [3.0, 5.0]]).item()
    -1.0
    """
    return _one("det", x)


def slogdet(x: Any) -> SlogdetResult:
    """The sign (−1, 0, 1) and the logarithm of the size of the determinant, without overflow."""
    return SlogdetResult(*_several("slogdet", x))


# ------------------------------------------------------------------------------------ solves


def solve(x1: Any, x2: Any) -> Tensor:
    """X with A·X = B: A (… n n) and B a vector (n) or matrices (… n k); batches are broadcast.

    Raises DataError, which names the matrix, where one is singular.

    >>> solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0]).tolist()
    [1.0, 0.5]
    """
    a, b, kind = wide_together(x1, x2)
    with locating():
        require_square("solve", a)
        return narrow(_by_columns("solve", a, b), kind)


def _by_columns(name: str, a: Tensor, b: Tensor, **attrs: bool) -> Tensor:
    """An op that solves for matrices, on matrices of broadcast batches or for one vector."""
    if b.ndim == 1:
        found = _by_columns(name, a, arithmetic.reshape(b, (-1, 1)), **attrs)
        return arithmetic.reshape(found, found.shape[:-1])
    if b.ndim == 0 or a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            f"{name} of matrices {list(a.shape)} and right sides {list(b.shape)}",
            fix="both need the same number of rows",
        )
    batch = broadcast_shapes(name, a.shape[:-2], b.shape[:-2])
    wide_a, wide_b = (arithmetic.broadcast(each, (*batch, *each.shape[-2:])) for each in (a, b))
    return call(name, wide_a, wide_b, **attrs)


def solve_triangular(
    A: Any,
    B: Any,
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
) -> Tensor:
    """X with A·X = B, or X·A = B where not `left`, for a triangle A; the other half is not read.

    `unitriangular` takes the diagonal for ones. B may be a vector (n) or matrices (… n k).
    """
    a, b, kind = wide_together(A, B)
    with locating():
        require_square("solve_triangular", a)
        b = b if left or b.ndim == 1 else matrix_transpose(b)
        attrs = {"lower": not upper, "transposed": not left, "unit_diagonal": bool(unitriangular)}
        found = _by_columns("triangular_solve", a, b, **attrs)
        return narrow(found if left or b.ndim == 1 else matrix_transpose(found), kind)


def cholesky_solve(B: Any, L: Any, *, upper: bool = False) -> Tensor:
    """X with A·X = B, given the factor of A = L·Lᵀ from `cholesky` (upper: A = Lᵀ·L)."""
    b, factor, kind = wide_together(B, L)
    with locating():
        require_square("cholesky_solve", factor)
        if b.ndim == 1:
            found = cholesky_solve(arithmetic.reshape(b, (-1, 1)), factor, upper=upper)
            return narrow(arithmetic.reshape(found, found.shape[:-1]), kind)
        for transposed in (upper, not upper):
            attrs = {"lower": not upper, "transposed": transposed, "unit_diagonal": False}
            b = _by_columns("triangular_solve", factor, b, **attrs)
        return narrow(b, kind)


def lstsq(a: Any, b: Any, rcond: Any = None) -> LstsqResult:
    """The smallest X that minimises ‖A·X − B‖, A (… m n) of any rank, B (m) or (… m k).

    With it the sums of squared residuals for each column of B, the rank of A and its singular
    values. Singular values up to `rcond` times the largest count as 0 (max(m, n)·ε by default).
    """
    matrix, right, kind = wide_together(a, b)
    with locating():
        require_matrices("lstsq", matrix)
        solution = matmul(call("pinv", matrix, tolerance(rcond, matrix)), right)
        rest = matmul(matrix, solution) - right
        axis = -1 if right.ndim == 1 else -2
        squares = arithmetic.reduce("sum", rest * rest, axis, False)
        rank = matrix_rank(matrix, rtol=rcond)
        values = call("svdvals", matrix)
        return LstsqResult(
            narrow(solution, kind), narrow(squares, kind), rank, narrow(values, kind)
        )


def tensorsolve(a: Any, b: Any) -> Tensor:
    """x with tensordot(a, x, x.ndim) = b; a has the shape of b, then that of x, of equal sizes."""
    matrix, right = front.as_tensor(a), front.as_tensor(b)
    with locating():
        unknown = matrix.shape[right.ndim :]
        count = math.prod(unknown)
        if matrix.shape[: right.ndim] != right.shape or count != right.size:
            raise ShapeError(
                f"tensorsolve of shapes {list(matrix.shape)} and {list(right.shape)}",
                fix="the shape of a starts with that of b and goes on with as many elements",
            )
        flat = arithmetic.reshape(matrix, (right.size, count))
        return arithmetic.reshape(solve(flat, arithmetic.reshape(right, (-1,))), unknown)


def tensorinv(a: Any, ind: int = 2) -> Tensor:
    """The inverse with respect to tensordot over the first `ind` axes, which come last in it."""
    x = front.as_tensor(a)
    with locating():
        first, rest = x.shape[:ind], x.shape[ind:]
        count = math.prod(first)
        if ind <= 0 or count != math.prod(rest):
            raise ShapeError(
                f"tensorinv of shape {list(x.shape)} with ind={ind}",
                fix="the axes before ind and those after it need the same number of elements",
            )
        return arithmetic.reshape(inv(arithmetic.reshape(x, (count, count))), (*rest, *first))
