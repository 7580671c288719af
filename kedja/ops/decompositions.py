"""Factorisations with several outputs: QR, symmetric eigenvalues, singular values, pseudo-inverse.

Signs are LAPACK's: what does not depend on them has the derivatives given here. Where two
eigenvalues or singular values are equal, their vectors have no derivative: it comes out as
infinity or NaN. The values themselves, and what uses nothing but them, have theirs. The columns
that only complete a basis (`mode="complete"`, `full_matrices=True`) move so that they stay
orthogonal to the others. Not here: solves and determinants (`linalg.py`). Next: `linalg.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.ground.errors import ShapeError
from kedja.ir.graph import Node, apply, parts
from kedja.ir.op import Bundle, Case, Forward, Leading, Op, Type, register
from kedja.ops.contract import swapped
from kedja.ops.matrices import (
    LAPACK,
    WIDE,
    Tangents,
    by_lapack,
    column_scaled,
    columns,
    diagonal,
    differences,
    extents_of,
    half_sum,
    matmul,
    off_diagonal_inverse,
    positive_definite,
    require_finite,
    require_matrix,
    require_square,
    row_scaled,
    symmetric,
    triangle,
    well_conditioned,
)
from kedja.ops.types import require_dtype

Moved = list[Node | None]
NOT_CONVERGED = ("did not converge", "scale the matrix, or look for very large elements")

# --------------------------------------------------------------------------------------- QR


def qr_type(x: Type, *, mode: str) -> Bundle:
    """(… m n) -> Q (… m k), R (… k n), k = min(m, n), or m where the basis is complete."""
    require_matrix("qr", x)
    batch, m, n = extents_of(x)
    k = m if mode == "complete" else min(m, n)
    return Bundle((Type((*batch, m, k), x.dtype), Type((*batch, k, n), x.dtype)))


def numpy_qr(x: np.ndarray, *, mode: Any) -> tuple[np.ndarray, ...]:
    """NumPy's qr."""
    with np.errstate(all="ignore"):
        return tuple(np.linalg.qr(x, mode=mode))


def forward_qr(node: Node, tangents: Tangents) -> Moved:
    """S. Walter, L. Lehmann, *Algorithmic differentiation of linear algebra functions* (2010).

    A wide matrix is [X Y]: X = Q·U is square, and R = [U, QᵀY], as in D. Roberts, L. Roberts,
    *QR and LQ decomposition matrix backpropagation algorithms* (2020). A must have full rank.
    """
    (x,), (tangent,) = node.inputs, tangents
    assert tangent is not None
    _, m, n = extents_of(x.type)
    q, r = parts(node)
    k = min(m, n)
    if m < n:
        dq, du = _tall_qr(q, columns(r, 0, m), columns(tangent, 0, m))
        right = matmul(swapped(dq), columns(x, m, n))
        right = right + matmul(swapped(q), columns(tangent, m, n))
        return [dq, apply("concatenate", du, right, axis=len(x.shape) - 1)]
    dq, dr = _tall_qr(columns(q, 0, k), _top(r, k), tangent)
    if q.shape[-1] == k:
        return [dq, dr]
    return [completed(q, dq), _filled(dr, m)]


def _top(r: Node, k: int) -> Node:
    return swapped(columns(swapped(r), 0, k)) if r.shape[-2] != k else r


def _filled(x: Node, extent: int) -> Node:
    """Rows of zeros below."""
    rank = len(x.shape)
    high = tuple(extent - x.shape[-2] if axis == rank - 2 else 0 for axis in range(rank))
    zeros = (0,) * rank
    return apply("pad", x, low=zeros, high=high, interior=zeros, value=0)


def _tall_qr(q: Node, r: Node, tangent: Node) -> tuple[Node, Node]:
    """M = dA·R⁻¹, Ω = L − Lᵀ with L the strict lower triangle of QᵀM: dQ = M − Q(QᵀM − Ω)."""
    attrs = {"lower": False, "transposed": True, "unit_diagonal": False}
    moved = swapped(apply("triangular_solve", r, swapped(tangent), **attrs))
    inner = matmul(swapped(q), moved)
    below = triangle(inner, lower=True, strict=True)
    symmetric_part = inner - (below - swapped(below))
    return moved - matmul(q, symmetric_part), matmul(symmetric_part, r)


def completed(basis: Node, moved: Node) -> Node:
    """The tangent of a complete basis [Q₁ Q₂] from that of Q₁: dQ₂ = −Q₁·dQ₁ᵀ·Q₂."""
    k, m = moved.shape[-1], basis.shape[-1]
    first, second = columns(basis, 0, k), columns(basis, k, m)
    rest = -matmul(first, matmul(swapped(moved), second))
    return apply("concatenate", moved, rest, axis=len(basis.shape) - 1)


def sample_qr(rng: np.random.Generator) -> Sequence[Case]:
    """Tall, wide and square matrices, batches, both modes."""
    shapes = ((5, 3), (3, 4), (2, 3, 3), (4, 2), (2, 4))
    modes = ("reduced", "reduced", "reduced", "complete", "complete")
    pairs = zip(shapes, modes, strict=True)
    return [Case((well_conditioned(rng, shape),), {"mode": mode}) for shape, mode in pairs]


# ------------------------------------------------------------------- symmetric eigenvalues


def eigh_type(x: Type) -> Bundle:
    """(… n n) -> eigenvalues (… n) in ascending order, eigenvectors (… n n) in columns."""
    require_square("eigh", x)
    return Bundle((Type(x.shape[:-1], x.dtype), x))


def eigvalsh_type(x: Type) -> Type:
    """(… n n) -> (… n)."""
    require_square("eigvalsh", x)
    return Type(x.shape[:-1], x.dtype)


lapack_eigh = by_lapack(np.linalg.eigh, "eigh", *NOT_CONVERGED)
lapack_eigvalsh = by_lapack(np.linalg.eigvalsh, "eigvalsh", *NOT_CONVERGED)


def forward_eigh(node: Node, tangents: Tangents) -> Moved:
    """With P = Vᵀ·dA·V: dλ = diag P, dV = V(F ∘ P), F_ij = 1/(λ_j − λ_i) (Giles 2008, 3.1)."""
    (tangent,) = tangents
    assert tangent is not None
    values, vectors = parts(node)
    inner = _inner(vectors, tangent)
    turned = matmul(vectors, off_diagonal_inverse(differences(values)) * inner)
    return [diagonal(inner), turned]


def _inner(vectors: Node, tangent: Node) -> Node:
    """Vᵀ·dA·V, of the symmetric part of dA."""
    return matmul(swapped(vectors), matmul(symmetric(tangent), vectors))


def forward_eigvalsh(node: Node, tangents: Tangents) -> Node:
    """dλ = diag(Vᵀ·dA·V)."""
    (tangent,) = tangents
    assert tangent is not None
    _, vectors = parts(apply("eigh", node.inputs[0]))
    return diagonal(_inner(vectors, tangent))


def sample_symmetric(rng: np.random.Generator) -> Sequence[Case]:
    """One matrix with distinct eigenvalues, a batch, and a number."""
    return [Case((positive_definite(rng, shape),)) for shape in ((4, 4), (2, 3, 3), (1, 1))]


# -------------------------------------------------------------------------- singular values


def svd_type(x: Type, *, full_matrices: bool) -> Bundle:
    """(… m n) -> U (… m k), s (… k) descending, Vᵀ (… k n), k = min(m, n), or m and n."""
    require_matrix("svd", x)
    batch, m, n = extents_of(x)
    k = min(m, n)
    left, right = (m, n) if full_matrices else (k, k)
    shapes = ((*batch, m, left), (*batch, k), (*batch, right, n))
    return Bundle(tuple(Type(shape, x.dtype) for shape in shapes))


def svdvals_type(x: Type) -> Type:
    """(… m n) -> (… min(m, n))."""
    require_matrix("svdvals", x)
    batch, m, n = extents_of(x)
    return Type((*batch, min(m, n)), x.dtype)


def numpy_svd(x: np.ndarray, *, full_matrices: bool) -> tuple[np.ndarray, ...]:
    """NumPy's svd."""

    def call(each: np.ndarray) -> Any:
        return np.linalg.svd(each, full_matrices=full_matrices)

    return tuple(by_lapack(call, "svd", *NOT_CONVERGED)(require_finite("svd", x)))


lapack_svdvals = by_lapack(np.linalg.svdvals, "svdvals", *NOT_CONVERGED)


def forward_svd(node: Node, tangents: Tangents) -> Moved:
    """With P = Uᵀ·dA·V and F_ij = 1/(s_j² − s_i²): ds = diag P, dU = U(F ∘ (PS + SPᵀ)) + …

    and likewise dV; the dots are the parts of dA·V/s and dAᵀ·U/s outside of U and V.
    J. Townsend, *Differentiating the singular value decomposition* (2016).
    """
    (tangent,) = tangents
    assert tangent is not None
    u, s, vh = parts(node)
    k = s.shape[-1]
    left, right = columns(u, 0, k), columns(swapped(vh), 0, k)
    image, back = matmul(tangent, right), matmul(swapped(tangent), left)
    inner = matmul(swapped(left), image)
    gaps = off_diagonal_inverse(differences(s) * _sums(s))
    scaled, crossed = column_scaled(inner, s), row_scaled(s, inner)
    du = _turned(left, gaps * (scaled + swapped(scaled)), image, s)
    dv = _turned(right, gaps * (crossed + swapped(crossed)), back, s)
    du = du if u.shape[-1] == k else completed(u, du)
    dv = dv if vh.shape[-2] == k else completed(swapped(vh), dv)
    return [du, diagonal(inner), swapped(dv)]


def _sums(values: Node) -> Node:
    """s_j + s_i."""
    wide = (*values.shape, values.shape[-1])
    shape = values.shape
    down = apply("broadcast", apply("reshape", values, shape=(*shape, 1)), shape=wide)
    return down + swapped(down)


def _turned(basis: Node, rotation: Node, image: Node, s: Node) -> Node:
    """The rotation within the basis, and what leaves its span."""
    turned = matmul(basis, rotation)
    if basis.shape[-2] == basis.shape[-1]:
        return turned
    outside = image - matmul(basis, matmul(swapped(basis), image))
    return turned + column_scaled(outside, 1 / s)


def forward_svdvals(node: Node, tangents: Tangents) -> Node:
    """ds = diag(Uᵀ·dA·V)."""
    (tangent,) = tangents
    assert tangent is not None
    u, _, vh = parts(apply("svd", node.inputs[0], full_matrices=False))
    return diagonal(matmul(swapped(u), matmul(tangent, swapped(vh))))


def sample_svd(rng: np.random.Generator) -> Sequence[Case]:
    """Tall, wide and square matrices with distinct singular values, both kinds of bases."""
    shapes = (((5, 3), False), ((3, 4), False), ((2, 3, 3), False), ((4, 2), True), ((2, 3), True))
    return [
        Case((well_conditioned(rng, shape),), {"full_matrices": full}) for shape, full in shapes
    ]


def sample_any(rng: np.random.Generator) -> Sequence[Case]:
    """Tall, wide and square matrices."""
    return [Case((well_conditioned(rng, shape),)) for shape in ((4, 3), (2, 2, 3), (1, 1))]


# --------------------------------------------------------------------------- pseudo-inverse


def pinv_type(x: Type, rtol: Type) -> Type:
    """(… m n) and a relative tolerance (…) -> (… n m)."""
    require_matrix("pinv", x)
    batch, m, n = extents_of(x)
    require_dtype("pinv's tolerance", rtol.dtype, (x.dtype,))
    if rtol.shape != batch:
        raise ShapeError(
            f"pinv of {list(x.shape)} with tolerances {list(rtol.shape)}",
            fix="one tolerance for each matrix",
        )
    return Type((*batch, n, m), x.dtype)


def pseudo_inverse(np_: Any, x: Any, rtol: Any) -> Any:
    """V·diag(1/s)·Uᵀ over the singular values above rtol times the largest."""
    u, s, vh = np_.linalg.svd(x, full_matrices=False)
    kept = s > rtol[..., None] * s[..., :1]
    inverse = np_.where(kept, 1 / np_.where(kept, s, 1), 0)
    return np_.matmul(np_.swapaxes(vh, -1, -2) * inverse[..., None, :], np_.swapaxes(u, -1, -2))


lapack_pinv = by_lapack(lambda x, rtol: pseudo_inverse(np, x, rtol), "pinv", *NOT_CONVERGED)


def numpy_pinv(x: np.ndarray, rtol: np.ndarray) -> np.ndarray:
    """The pseudo-inverse by singular values."""
    if x.size == 0:
        return np.zeros((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype)
    return np.asarray(lapack_pinv(require_finite("pinv", x), rtol), dtype=x.dtype)


def xla_pinv(x: Any, value: Any, rtol: Any) -> Any:
    """The same by JAX."""
    if value.size == 0:
        return x.np.swapaxes(value, -1, -2)
    return pseudo_inverse(x.np, value, rtol)


def forward_pinv(node: Node, tangents: Tangents) -> Node | None:
    """−B·dA·B + B·Bᵀ·dAᵀ·(I − A·B) + (I − B·A)·dAᵀ·Bᵀ·B, where the rank stays the same.

    G. Golub, V. Pereyra, *The differentiation of pseudo-inverses* (1973).
    """
    x, tangent, b = node.inputs[0], tangents[0], node
    if tangent is None:  # only the tolerance moves
        return None
    back = swapped(tangent)
    first = matmul(b, matmul(swapped(b), back))
    first = first - matmul(matmul(first, x), b)
    second = matmul(back, matmul(swapped(b), b))
    second = second - matmul(b, matmul(x, second))
    return first + second - matmul(b, matmul(tangent, b))


def sample_pinv(rng: np.random.Generator) -> Sequence[Case]:
    """Tall, wide and square matrices."""
    cases = []
    for shape in ((4, 3), (2, 2, 3), (3, 3)):
        x = well_conditioned(rng, shape)
        cases.append(Case((x, np.full(shape[:-2], 1e-6))))
    return cases


# --------------------------------------------------------------------------------- the table


def record(name: str, **facets: Any) -> Op:
    """One entry of the table below: batched by its leading axes, run on the host."""
    return Op(name, lowering=LAPACK, batch=Leading(), dtypes=WIDE, **facets)


register(
    (
        record(
            "qr",
            type=qr_type,
            numpy=numpy_qr,
            derivative=Forward(forward_qr),
            formula="qr({0}, {mode})",
            sample=sample_qr,
            xla=lambda x, value, *, mode: tuple(x.np.linalg.qr(value, mode=mode)),
        ),
        record(
            "eigh",
            type=eigh_type,
            numpy=lambda x: tuple(lapack_eigh(half_sum(require_finite("eigh", x)))),
            derivative=Forward(forward_eigh),
            formula="eigh({0})",
            sample=sample_symmetric,
            xla=lambda x, value: tuple(x.np.linalg.eigh(value, symmetrize_input=True)),
        ),
        record(
            "eigvalsh",
            type=eigvalsh_type,
            numpy=lambda x: lapack_eigvalsh(half_sum(require_finite("eigvalsh", x))),
            derivative=Forward(forward_eigvalsh),
            formula="eigvalsh({0})",
            sample=sample_symmetric,
            xla=lambda x, value: x.np.linalg.eigvalsh(value, symmetrize_input=True),
        ),
        record(
            "svd",
            type=svd_type,
            numpy=numpy_svd,
            derivative=Forward(forward_svd),
            formula="svd({0}, full_matrices={full_matrices})",
            sample=sample_svd,
            xla=lambda x, value, *, full_matrices: tuple(
                x.np.linalg.svd(value, full_matrices=full_matrices)
            ),
        ),
        record(
            "svdvals",
            type=svdvals_type,
            numpy=lambda x: lapack_svdvals(require_finite("svdvals", x)),
            derivative=Forward(forward_svdvals),
            formula="svdvals({0})",
            sample=sample_any,
            xla=lambda x, value: x.np.linalg.svdvals(value),
        ),
        record(
            "pinv",
            type=pinv_type,
            numpy=numpy_pinv,
            derivative=Forward(forward_pinv),
            formula="pinv({0}, rtol={1})",
            sample=sample_pinv,
            xla=xla_pinv,
        ),
    ),
    "decompositions",
)
