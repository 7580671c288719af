"""Calls of sorting and of linear algebra at odd sizes: lines with ties, well-conditioned matrices.

NaN and infinity are left out of matrices and sorted lines: factorisations refuse them, and a line
with NaN in front is not sorted. Next: `sized.py`, whose table these are part of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from kedja.ir.op import Case, Op
from kedja.ops.matrices import positive_definite, well_conditioned

Cases = Iterator[Case]
Rng = np.random.Generator

LINES = (((7,), 0), ((33, 17), 0), ((33, 17), 1), ((2, 5, 1), 2), ((2, 100, 3), 1), ((0, 3), 0))
SQUARES = ((1, 1), (2, 2), (7, 7), (17, 17), (33, 33), (2, 3, 5, 5), (0, 0), (2, 0, 0), (0, 3, 3))
SMALL_SQUARES = tuple(shape for shape in SQUARES if shape[-1] < 17)
TALL = ((7, 3), (17, 1), (2, 5, 4), (3, 0), (0, 4, 2), (9, 8))
WIDE = tuple((*shape[:-2], shape[-1], shape[-2]) for shape in TALL)


def takes_specials(op: Op) -> bool:
    """Whether an op is also called with NaN and infinities.

    Attention is not: whether a weight of 0 meets an infinite value that is masked is left open.
    """
    return op.family not in ("linalg", "decompositions", "attention") and op.name != "searchsorted"


def lines(rng: Rng) -> Cases:
    """Both directions, distinct values and few different ones."""
    for shape, axis in LINES:
        for descending in (False, True):
            attrs = {"axis": axis, "descending": descending}
            yield Case((rng.standard_normal(shape),), attrs)
            yield Case((rng.integers(-2, 3, shape).astype(float),), attrs)


def searches(rng: Rng) -> Cases:
    """Values within, between, beside and equal to those of a line; empty lines."""
    for shape, count in (((33,), 17), ((7,), 100), ((2, 3, 5), 4), ((0,), 3), ((4,), 0), ((1,), 1)):
        line = np.sort(rng.integers(1, 9, shape), axis=-1).astype(float)
        values = rng.integers(0, 20, (*shape[:-1], count)) / 2
        for side in ("left", "right"):
            yield Case((line, values), {"side": side})


def squares(rng: Rng) -> Cases:
    """General matrices."""
    for shape in SQUARES:
        yield Case((well_conditioned(rng, shape),))


def products(rng: Rng) -> Cases:
    """Small matrices, whose determinants and cofactors are no huge numbers."""
    for shape in SMALL_SQUARES:
        yield Case((well_conditioned(rng, shape),))


def positive(rng: Rng) -> Cases:
    """Symmetric matrices with positive eigenvalues that stand apart."""
    for shape in SMALL_SQUARES:
        yield Case((positive_definite(rng, shape),))


def systems(rng: Rng) -> Cases:
    """One, several and no right sides."""
    for shape in SQUARES:
        for count in (1, 5, 0):
            yield Case((well_conditioned(rng, shape), rng.standard_normal((*shape[:-1], count))))


def triangles(rng: Rng) -> Cases:
    """All eight kinds of triangles, beyond one block of rows."""
    sizes = (*SQUARES, (70, 70))
    for shape in sizes:
        a = np.asarray(well_conditioned(rng, shape) + 2 * np.eye(shape[-1]))
        b = rng.standard_normal((*shape[:-1], 3))
        for kind in range(8):
            attrs = {"lower": kind & 1 > 0, "transposed": kind & 2 > 0}
            unit = kind & 4 > 0 and shape[-1] < 17  # larger ones need a diagonal of weight
            yield Case((a, b), {**attrs, "unit_diagonal": unit})


def rectangles(name: str, *values: object) -> Callable[[Rng], Cases]:
    """Tall, wide and square matrices with each value of an attribute, if there is one."""

    def make(rng: Rng) -> Cases:
        for shape in (*SMALL_SQUARES, *TALL, *WIDE):
            for value in values or (None,):
                attrs = {name: value} if values else {}
                yield Case((well_conditioned(rng, shape),), attrs)

    return make


def inverses(rng: Rng) -> Cases:
    """Tall, wide and square matrices with tolerances of their own."""
    for shape in (*SMALL_SQUARES, *TALL, *WIDE):
        yield Case((well_conditioned(rng, shape), np.full(shape[:-2], 1e-3)))


MATRICES: dict[str, Callable[[Rng], Cases]] = {
    "argsort": lines,
    "sort": lines,
    "searchsorted": searches,
    "cholesky": positive,
    "triangular_solve": triangles,
    "solve": systems,
    "inv": squares,
    "det": products,
    "cofactor": products,
    "slogdet": products,
    "qr": rectangles("mode", "reduced", "complete"),
    "lu": rectangles(""),
    "eigh": positive,
    "eigvalsh": positive,
    "svd": rectangles("full_matrices", False, True),
    "svdvals": rectangles(""),
    "pinv": inverses,
}
