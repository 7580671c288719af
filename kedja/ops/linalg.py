"""Linear systems: Cholesky factors, triangular and general solves, inverses, determinants.

The derivatives are those of M. Giles, *Collected matrix derivative results for forward and reverse
mode algorithmic differentiation* (2008), and, for Cholesky's factor, of I. Murray,
*Differentiation of the Cholesky decomposition* (2016), section 3. Not here: factorisations
with several outputs (`decompositions.py`). Next: `decompositions.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.ground.errors import DataError, ShapeError
from kedja.ir.graph import Node, apply
from kedja.ir.op import Bundle, Case, Forward, Leading, Op, Type, register
from kedja.ops.contract import swapped
from kedja.ops.matrices import (
    LAPACK,
    WIDE,
    Tangents,
    by_lapack,
    half_lower,
    half_sum,
    matmul,
    positive_definite,
    require_square,
    square_type,
    symmetric,
    triangle,
    well_conditioned,
    which,
)
from kedja.ops.types import require_dtype

# --------------------------------------------------------------------------------- Cholesky

numpy_cholesky = by_lapack(
    np.linalg.cholesky,
    "cholesky",
    "is not positive definite",
    "check that it is symmetric, or add a small multiple of the identity",
)


def forward_cholesky(node: Node, tangents: Tangents) -> Node:
    """dL = L·Φ(L⁻¹ dA L⁻ᵀ), Φ the lower triangle with half the diagonal."""
    (tangent,) = tangents
    assert tangent is not None
    left = solved(node, symmetric(tangent))
    both = swapped(solved(node, swapped(left)))
    return matmul(node, half_lower(both))


def solved(factor: Node, b: Node, *, transposed: bool = False) -> Node:
    """L⁻¹·B, or L⁻ᵀ·B, for a lower triangle L."""
    return apply(
        "triangular_solve", factor, b, lower=True, transposed=transposed, unit_diagonal=False
    )


def sample_positive(rng: np.random.Generator) -> Sequence[Case]:
    """One matrix, a batch, and a number."""
    return [Case((positive_definite(rng, shape),)) for shape in ((4, 4), (2, 3, 3), (1, 1))]


# -------------------------------------------------------------------------- triangular solve


def solve_type(name: str) -> Any:
    """(… n n), (… n k) -> (… n k)."""

    def rule(a: Type, b: Type, **attrs: bool) -> Type:
        require_square(name, a)
        require_dtype(f"{name}'s right side", b.dtype, (a.dtype,))
        if len(b.shape) < 2 or b.shape[:-1] != a.shape[:-1]:
            raise ShapeError(
                f"{name} of matrices {list(a.shape)} and right sides {list(b.shape)}",
                fix="both need the same batch axes and the same number of rows",
            )
        return b

    return rule


BLOCK = 32  # rows that are solved one by one before the rest is brought up to date by a product


def numpy_triangular_solve(
    a: np.ndarray, b: np.ndarray, *, lower: bool, transposed: bool, unit_diagonal: bool
) -> np.ndarray:
    """Substitution in blocks, from the top of a lower triangle or the bottom of an upper one."""
    _require_diagonal(a, unit_diagonal)
    if transposed:
        a, lower = np.swapaxes(a, -1, -2), not lower
    if lower:
        return _substituted(a, b, unit_diagonal)
    turned = _substituted(a[..., ::-1, ::-1], b[..., ::-1, :], unit_diagonal)
    return np.ascontiguousarray(turned[..., ::-1, :])


def _require_diagonal(a: np.ndarray, unit_diagonal: bool) -> None:
    zero = np.diagonal(a, axis1=-2, axis2=-1) == 0
    if zero.any() and not unit_diagonal:
        *batch, row = np.argwhere(zero)[0]
        raise DataError(
            f"triangular_solve: {which(batch)} is singular, element {row} of its diagonal is 0",
            fix="check the matrix, or add a small multiple of the identity",
        )


def _substituted(a: np.ndarray, b: np.ndarray, unit_diagonal: bool) -> np.ndarray:
    """L⁻¹·B; only the lower triangle of `a` is read."""
    x, n = b.copy(), a.shape[-1]
    with np.errstate(all="ignore"):
        for start in range(0, n, BLOCK):
            stop = min(start + BLOCK, n)
            for i in range(start, stop):
                if i > start:
                    x[..., i : i + 1, :] -= a[..., i : i + 1, start:i] @ x[..., start:i, :]
                if not unit_diagonal:
                    x[..., i, :] /= a[..., i, i, None]
            if stop < n:
                x[..., stop:, :] -= a[..., stop:, start:stop] @ x[..., start:stop, :]
    return x


def _other_solve(node: Node, b: Node) -> Node:
    """The solve by the transposed triangle."""
    a, attrs = node.inputs[0], dict(node.attrs)
    return apply(node.op.name, a, b, **{**attrs, "transposed": not attrs["transposed"]})


def _own_part(node: Node, x: Node) -> Node:
    """The elements that a triangular solve reads, zeros elsewhere."""
    return triangle(x, lower=node.attrs["lower"], strict=node.attrs["unit_diagonal"])


def forward_triangular(node: Node, tangents: Tangents) -> Node:
    """X = T⁻¹B: dX = T⁻¹(dB − dT·X)."""
    moved, right = tangents
    if moved is not None:
        change = _own_part(node, moved)
        change = swapped(change) if node.attrs["transposed"] else change
        product = matmul(change, node)
        right = -product if right is None else right - product
    assert right is not None
    return apply(node.op.name, node.inputs[0], right, **node.attrs)


def back_triangle(g: Node, node: Node) -> Node:
    """−T⁻ᵀg·Xᵀ, in the triangle that was read."""
    outer = -matmul(_other_solve(node, g), swapped(node))
    return _own_part(node, swapped(outer) if node.attrs["transposed"] else outer)


def sample_triangular(rng: np.random.Generator) -> Sequence[Case]:
    """All four triangles; what stands in the other half is not read."""
    cases = []
    for place, lower in enumerate((True, False, True, False)):
        shape = ((4, 4), (2, 3, 3), (1, 1), (3, 3))[place]
        a = rng.uniform(-1, 1, shape) + 3 * np.eye(shape[-1])
        b = rng.uniform(-1, 1, (*shape[:-1], 2))
        attrs = {"lower": lower, "transposed": place > 1, "unit_diagonal": place == 3}
        cases.append(Case((a, b), attrs))
    return cases


# ---------------------------------------------------------------------------- solve, inverse

SINGULAR = ("is singular", "use kj.linalg.lstsq or kj.linalg.pinv for the least-squares solution")
numpy_solve = by_lapack(np.linalg.solve, "solve", *SINGULAR)
numpy_inv = by_lapack(np.linalg.inv, "inv", *SINGULAR)


def forward_solve(node: Node, tangents: Tangents) -> Node:
    """X = A⁻¹B: dX = A⁻¹(dB − dA·X)."""
    moved, right = tangents
    if moved is not None:
        product = matmul(moved, node)
        right = -product if right is None else right - product
    assert right is not None
    return apply("solve", node.inputs[0], right)


def back_right_side(g: Node, node: Node) -> Node:
    """A⁻ᵀg."""
    return apply("solve", swapped(node.inputs[0]), g)


def back_matrix(g: Node, node: Node) -> Node:
    """−A⁻ᵀg·Xᵀ."""
    return -matmul(back_right_side(g, node), swapped(node))


def forward_inv(node: Node, tangents: Tangents) -> Node:
    """−A⁻¹·dA·A⁻¹."""
    (tangent,) = tangents
    assert tangent is not None
    return -matmul(matmul(node, tangent), node)


def sample_systems(rng: np.random.Generator) -> Sequence[Case]:
    """Several right sides and one, a batch, and a number."""
    shapes = (((4, 4), 3), ((2, 3, 3), 1), ((1, 1), 2))
    return [
        Case((well_conditioned(rng, shape), rng.uniform(-1, 1, (*shape[:-1], k))))
        for shape, k in shapes
    ]


def sample_square(rng: np.random.Generator) -> Sequence[Case]:
    """One matrix, a batch, and a number."""
    return [Case((well_conditioned(rng, shape),)) for shape in ((4, 4), (2, 3, 3), (1, 1))]


# ----------------------------------------------------------------------------- determinants


def det_type(x: Type) -> Type:
    """(… n n) -> (…)."""
    require_square("det", x)
    return Type(x.shape[:-2], x.dtype)


def forward_det(node: Node, tangents: Tangents) -> Node:
    """d det A = Σ cofactor(A) ∘ dA, which holds for singular matrices too."""
    (tangent,) = tangents
    assert tangent is not None
    return summed(apply("cofactor", node.inputs[0]) * tangent)


def summed(x: Node) -> Node:
    """The sum over the last two axes."""
    rank = len(x.shape)
    return apply("sum", x, axes=(rank - 2, rank - 1))


def cofactors(np_: Any, x: Any) -> Any:
    """det(A)·A⁻ᵀ without division: A = U S Vᵀ has det(U)·det(V)·U·diag(Π_{j≠i} s_j)·Vᵀ."""
    u, s, vh = np_.linalg.svd(x, full_matrices=True)
    ones = np_.ones_like(s[..., :1])
    before = np_.cumprod(np_.concatenate([ones, s[..., :-1]], -1), -1)
    after = np_.cumprod(np_.concatenate([ones, s[..., :0:-1]], -1), -1)[..., ::-1]
    sign = np_.linalg.slogdet(np_.matmul(u, vh))[0]
    return sign[..., None, None] * np_.matmul(u * (before * after)[..., None, :], vh)


def numpy_cofactor(x: np.ndarray) -> np.ndarray:
    """The cofactors; NaN where a matrix holds NaN or infinity."""
    if x.size == 0:
        return x.copy()
    bad = ~np.isfinite(x).all(axis=(-2, -1), keepdims=True)
    with np.errstate(all="ignore"):
        return np.where(bad, np.nan, cofactors(np, np.where(bad, 0, x))).astype(x.dtype)


def xla_cofactor(x: Any, value: Any) -> Any:
    """The same by JAX."""
    return cofactors(x.np, value) if value.size else value


def forward_cofactor(node: Node, tangents: Tangents) -> Node:
    """C = det(A)·Y with Y = A⁻ᵀ: dC = Σ(Y ∘ dA)·C − Y·dAᵀ·C; the matrix must not be singular."""
    (tangent,) = tangents
    assert tangent is not None
    y = swapped(apply("inv", node.inputs[0]))
    trace = summed(y * tangent)
    wide = apply("broadcast", apply("reshape", trace, shape=(*trace.shape, 1, 1)), shape=y.shape)
    return wide * node - matmul(matmul(y, swapped(tangent)), node)


def slogdet_type(x: Type) -> Bundle:
    """(… n n) -> the sign (…) and the logarithm (…)."""
    require_square("slogdet", x)
    each = Type(x.shape[:-2], x.dtype)
    return Bundle((each, each))


def numpy_slogdet(x: np.ndarray) -> tuple[np.ndarray, ...]:
    """NumPy's slogdet."""
    with np.errstate(all="ignore"):
        return tuple(np.linalg.slogdet(x))


def forward_slogdet(node: Node, tangents: Tangents) -> list[Node | None]:
    """d log|det A| = tr(A⁻¹ dA); the sign does not move."""
    (tangent,) = tangents
    assert tangent is not None
    return [None, summed(swapped(apply("inv", node.inputs[0])) * tangent)]


# --------------------------------------------------------------------------------- the table


def record(name: str, **facets: Any) -> Op:
    """One entry of the table below: batched by its leading axes, run on the host."""
    return Op(name, lowering=LAPACK, batch=Leading(), dtypes=WIDE, **facets)


def xla_triangular(x: Any, a: Any, b: Any, *, lower: bool, transposed: bool, **attrs: bool) -> Any:
    """JAX's triangular solve."""
    return x.lax.linalg.triangular_solve(
        a, b, left_side=True, lower=lower, transpose_a=transposed, **attrs
    )


register(
    (
        record(
            "cholesky",
            type=square_type("cholesky"),
            numpy=lambda x: numpy_cholesky(half_sum(x)),
            derivative=Forward(forward_cholesky),
            formula="cholesky({0})",
            sample=sample_positive,
            xla=lambda x, value: x.np.linalg.cholesky(value, symmetrize_input=True),
        ),
        record(
            "triangular_solve",
            type=solve_type("triangular_solve"),
            numpy=numpy_triangular_solve,
            derivative=Forward(
                forward_triangular, (back_triangle, lambda g, node: _other_solve(node, g))
            ),
            formula="triangular_solve({0}, {1}, lower={lower}, transposed={transposed})",
            sample=sample_triangular,
            xla=xla_triangular,
        ),
        record(
            "solve",
            type=solve_type("solve"),
            numpy=numpy_solve,
            derivative=Forward(forward_solve, (back_matrix, back_right_side)),
            formula="solve({0}, {1})",
            sample=sample_systems,
            xla=lambda x, a, b: x.np.linalg.solve(a, b),
        ),
        record(
            "inv",
            type=square_type("inv"),
            numpy=numpy_inv,
            derivative=Forward(forward_inv),
            formula="inv({0})",
            sample=sample_square,
            xla=lambda x, value: x.np.linalg.inv(value),
        ),
        record(
            "det",
            type=det_type,
            numpy=np.linalg.det,
            derivative=Forward(forward_det),
            formula="det({0})",
            sample=sample_square,
            xla=lambda x, value: x.np.linalg.det(value),
        ),
        record(
            "cofactor",
            type=square_type("cofactor"),
            numpy=numpy_cofactor,
            derivative=Forward(forward_cofactor),
            formula="cofactor({0})",
            sample=sample_square,
            xla=xla_cofactor,
        ),
        record(
            "slogdet",
            type=slogdet_type,
            numpy=numpy_slogdet,
            derivative=Forward(forward_slogdet),
            formula="slogdet({0})",
            sample=sample_square,
            xla=lambda x, value: tuple(x.np.linalg.slogdet(value)),
        ),
    ),
    "linalg",
)
