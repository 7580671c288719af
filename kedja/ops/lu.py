"""Gaussian elimination with row exchanges: A[p] = L·U. NumPy has none, so it stands here.

Not here: solves and determinants, which LAPACK does as a whole (`linalg.py`). Next:
`decompositions.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.ground.dtypes import int64
from kedja.ir.graph import Node, apply, parts
from kedja.ir.op import Bundle, Case, Forward, Leading, OnHost, Op, Type, register
from kedja.ops.contract import swapped
from kedja.ops.linalg import numpy_triangular_solve
from kedja.ops.matrices import (
    WIDE,
    Tangents,
    columns,
    extents_of,
    matmul,
    require_matrix,
    rows,
    triangle,
    well_conditioned,
)

PANEL = 32  # columns that are eliminated one by one before the rest is brought up to date


def lu_type(x: Type) -> Bundle:
    """(… m n) -> rows p (… m) as int64, L (… m k) with ones on its diagonal, U (… k n)."""
    require_matrix("lu", x)
    batch, m, n = extents_of(x)
    k = min(m, n)
    return Bundle(
        (
            Type((*batch, m), int64),
            Type((*batch, m, k), x.dtype),
            Type((*batch, k, n), x.dtype),
        )
    )


def numpy_lu(x: np.ndarray) -> tuple[np.ndarray, ...]:
    """Elimination in panels of columns; the pivot is the first of the largest size."""
    *batch, m, n = x.shape
    k = min(m, n)
    work = np.array(x.reshape(-1, m, n)) if x.size else np.zeros((int(np.prod(batch)), m, n))
    order = np.tile(np.arange(m), (len(work), 1))
    with np.errstate(all="ignore"):
        for start in range(0, k, PANEL):
            stop = min(start + PANEL, k)
            for j in range(start, stop):
                _eliminate(work, order, j, stop)
            _update(work, start, stop)
    lower = np.tril(work[:, :, :k], -1) + np.eye(m, k)
    upper = np.triu(work[:, :k])
    return (
        order.reshape(*batch, m),
        lower.astype(x.dtype).reshape(*batch, m, k),
        upper.astype(x.dtype).reshape(*batch, k, n),
    )


def _eliminate(work: np.ndarray, order: np.ndarray, j: int, stop: int) -> None:
    """Column j: the pivot's row comes up, its multiples are taken from those below."""
    pivot = j + np.argmax(np.abs(work[:, j:, j]), axis=1)
    each = np.arange(len(work))
    for array in (work, order):
        above = array[:, j].copy()
        array[:, j] = array[each, pivot]
        array[each, pivot] = above
    head = work[:, j, j]
    work[:, j + 1 :, j] /= np.where(head == 0, 1, head)[:, None]
    work[:, j + 1 :, j + 1 : stop] -= work[:, j + 1 :, j, None] * work[:, j, None, j + 1 : stop]


def _update(work: np.ndarray, start: int, stop: int) -> None:
    """What stands right of a panel."""
    panel = work[:, start:stop, start:stop]
    attrs = {"lower": True, "transposed": False, "unit_diagonal": True}
    right = numpy_triangular_solve(panel, work[:, start:stop, stop:], **attrs)
    work[:, start:stop, stop:] = right
    work[:, stop:, stop:] -= work[:, stop:, start:stop] @ right


def xla_lu(x: Any, value: Any) -> tuple[Any, ...]:
    """The same by JAX."""
    *batch, m, n = value.shape
    k = min(m, n)
    if value.size == 0:
        order = x.np.broadcast_to(x.np.arange(m), (*batch, m))
        lower = x.np.broadcast_to(x.np.eye(m, k, dtype=value.dtype), (*batch, m, k))
        return order, lower, x.np.zeros((*batch, k, n), value.dtype)
    packed, _, order = x.lax.linalg.lu(value)
    lower = x.np.tril(packed[..., :, :k], -1) + x.np.eye(m, k, dtype=value.dtype)
    return order.astype(np.int64), lower, x.np.triu(packed[..., :k, :])


def forward_lu(node: Node, tangents: Tangents) -> list[Node | None]:
    """M = L⁻¹·dA[p]·U⁻¹ of the square part: dL = L·tril(M, −1), dU = triu(M)·U (Giles 2008).

    The rows below a tall and the columns beside a wide square part follow from dA[p] = dL·U + L·dU.
    """
    (tangent,) = tangents
    assert tangent is not None
    order, lower, upper = parts(node)
    _, m, n = extents_of(node.inputs[0].type)
    k, rank = min(m, n), len(tangent.shape)
    place = apply("reshape", order, shape=(*order.shape, 1))
    place = apply("broadcast", place, shape=tangent.shape)
    moved = apply("take_along_axis", tangent, place, axis=rank - 2)
    top, left = rows(lower, 0, k), columns(upper, 0, k)
    inner = _right_solved(left, _left_solved(top, columns(rows(moved, 0, k), 0, k)))
    d_top = matmul(top, triangle(inner, lower=True, strict=True))
    d_left = matmul(triangle(inner, lower=False), left)
    if m > k:
        rest = rows(moved, k, m) - matmul(rows(lower, k, m), d_left)
        d_top = apply("concatenate", d_top, _right_solved(left, rest), axis=rank - 2)
    if n > k:
        rest = columns(moved, k, n) - matmul(d_top, columns(upper, k, n))
        d_left = apply("concatenate", d_left, _left_solved(top, rest), axis=rank - 1)
    return [None, d_top, d_left]


def _left_solved(lower: Node, b: Node) -> Node:
    """L⁻¹·B, of ones on the diagonal."""
    attrs = {"lower": True, "transposed": False, "unit_diagonal": True}
    return apply("triangular_solve", lower, b, **attrs)


def _right_solved(upper: Node, b: Node) -> Node:
    """B·U⁻¹."""
    attrs = {"lower": False, "transposed": True, "unit_diagonal": False}
    return swapped(apply("triangular_solve", upper, swapped(b), **attrs))


def sample_lu(rng: np.random.Generator) -> Sequence[Case]:
    """Square, tall and wide matrices whose rows are exchanged."""
    shapes = ((4, 4), (2, 3, 3), (4, 2), (2, 4))
    return [Case((well_conditioned(rng, shape),)) for shape in shapes]


register(
    (
        Op(
            "lu",
            type=lu_type,
            numpy=numpy_lu,
            derivative=Forward(forward_lu),
            lowering=OnHost("its pivots depend on one another"),
            formula="lu({0})",
            sample=sample_lu,
            dtypes=WIDE,
            batch=Leading(),
            xla=xla_lu,
        ),
    ),
    "decompositions",
)
