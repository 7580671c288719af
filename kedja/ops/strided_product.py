"""Products of strided views: the matrix products that a convolution is, without its columns.

    y[r, n] = Σ_k a[start + Σ_i r_i·step_i + Σ_j k_j·step_j] · b[start + Σ_j k_j·step_j + n]
over the memory of a and b: rows r and the summed places k have several axes each, with a step
along every one, so that pixels × (places in the window × channels) is read where it lies. The
compiler makes these (`kedja/compiler/layouts.py`); users call `convolution`.
Next: `kedja/compiler/strided_plan.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from kedja.ground.dtypes import float32, float64, int64
from kedja.ground.errors import DtypeError, ShapeError
from kedja.ir.graph import Node, apply, full
from kedja.ir.op import ByExpansion, Case, Kernel, Op, Shape, Type, register

Ints = tuple[int, ...]


class Row(NamedTuple):
    """One axis of the rows: its extent, and the step in a."""

    extent: int
    a: int


class Depth(NamedTuple):
    """One axis of the sum: its extent, and the steps in a and b."""

    extent: int
    a: int
    b: int


Rows = tuple[Row, ...]
Depths = tuple[Depth, ...]


def strided_product_type(
    a: Type,
    b: Type,
    *,
    rows: Rows,
    depth: Depths,
    columns: int,
    starts: tuple[int, int],
    pieces: int,
) -> Type:
    """(*rows columns); with more pieces than one (pieces *rows columns), each a part of the sum.

    Piece p sums the places from ⌊p·K/pieces⌋ to ⌊(p+1)·K/pieces⌋ along the first summed axis.
    """
    if a.dtype != b.dtype or a.dtype not in (float32, float64):
        raise DtypeError(f"strided_product of {a.dtype.name} and {b.dtype.name}")
    last_a = _last(starts[0], in_a(rows, depth))
    last_b = _last(starts[1], in_b(depth, columns))
    fits = min(starts) >= 0 and last_a < a.size and last_b < b.size
    if not fits or not depth or not 1 <= pieces <= depth[0].extent:
        raise ShapeError(
            f"strided_product of rows {rows}, depth {depth} over {a} and {b}",
            fix="every place that is read lies in memory",
        )
    extents = tuple(each.extent for each in rows)
    return Type((*((pieces,) if pieces > 1 else ()), *extents, columns), a.dtype)


def in_a(rows: Rows, depth: Depths) -> list[tuple[int, int]]:
    """The extents and steps of all axes in a."""
    return [*((row.extent, row.a) for row in rows), *((each.extent, each.a) for each in depth)]


def in_b(depth: Depths, columns: int) -> list[tuple[int, int]]:
    """Those in b, whose columns lie side by side."""
    return [*((each.extent, each.b) for each in depth), (columns, 1)]


def _last(start: int, axes: Sequence[tuple[int, int]]) -> int:
    return start + sum((extent - 1) * step for extent, step in axes)


def bounds(extent: int, pieces: int) -> list[tuple[int, int]]:
    """Where each piece of an axis begins and ends."""
    cuts = [piece * extent // pieces for piece in range(pieces + 1)]
    return list(pairwise(cuts))


def numpy_strided_product(
    a: np.ndarray,
    b: np.ndarray,
    *,
    rows: Rows,
    depth: Depths,
    columns: int,
    starts: tuple[int, int],
    pieces: int,
) -> np.ndarray:
    """NumPy's product of the views."""
    left = _view(a, starts[0], in_a(rows, depth))
    right = _view(b, starts[1], in_b(depth, columns))
    extents = tuple(each.extent for each in rows)
    parts = []
    for low, high in bounds(depth[0].extent, pieces):
        cut: Any = (slice(None),) * len(rows) + (slice(low, high),)
        x = left[cut].reshape(math.prod(extents), -1)
        parts.append(np.matmul(x, right[low:high].reshape(-1, columns)).reshape(*extents, columns))
    return parts[0] if pieces == 1 else np.stack(parts)


def _view(x: np.ndarray, start: int, axes: Sequence[tuple[int, int]]) -> np.ndarray:
    flat = np.ascontiguousarray(x).reshape(-1)[start:]
    steps = [step * x.itemsize for _, step in axes]
    return np.lib.stride_tricks.as_strided(flat, [extent for extent, _ in axes], steps)


def expand_strided_product(
    a: Node,
    b: Node,
    *,
    rows: Rows,
    depth: Depths,
    columns: int,
    starts: tuple[int, int],
    pieces: int,
) -> Node:
    """The views gathered, then ordinary products."""
    deep = math.prod(each.extent for each in depth)
    extents = tuple(each.extent for each in rows)
    left = _gathered(a, starts[0], in_a(rows, depth))
    left = apply("reshape", left, shape=(math.prod(extents), deep))
    right = _gathered(b, starts[1], in_b(depth, columns))
    right = apply("reshape", right, shape=(deep, columns))
    whole, parts = deep // depth[0].extent, []
    for low, high in bounds(depth[0].extent, pieces):
        x = _cut(left, 1, low * whole, high * whole)
        part = apply("matmul", x, _cut(right, 0, low * whole, high * whole))
        parts.append(apply("reshape", part, shape=(1, *extents, columns)))
    if pieces == 1:
        return apply("reshape", parts[0], shape=(*extents, columns))
    return apply("concatenate", *parts, axis=0)


def _gathered(x: Node, start: int, axes: Sequence[tuple[int, int]]) -> Node:
    shape = tuple(extent for extent, _ in axes)
    place = full(start, shape, int64)
    for axis, (_, step) in enumerate(axes):
        place = place + apply("iota", shape=shape, axis=axis, dtype=int64) * step
    return apply("take", apply("reshape", x, shape=(x.type.size,)), place, axis=0)


def _cut(x: Node, axis: int, low: int, high: int) -> Node:
    starts = tuple(low if a == axis else 0 for a in range(2))
    stops = tuple(high if a == axis else n for a, n in enumerate(x.shape))
    return apply("slice", x, starts=starts, stops=stops, steps=(1, 1))


# (shape of a, shape of b, rows, depth, columns, starts, pieces)
CASES: tuple[tuple[Shape, Shape, Rows, Depths, int, tuple[int, int], int], ...] = (
    ((4, 6), (6, 5), (Row(4, 6),), (Depth(6, 1, 5),), 5, (0, 0), 1),
    ((6, 4), (6, 17), (Row(4, 1),), (Depth(6, 4, 17),), 17, (0, 0), 4),
    (
        (2, 5, 6, 3),
        (3, 2, 3, 4),
        (Row(2, 90), Row(3, 18), Row(2, 6)),
        (Depth(3, 18, 24), Depth(2, 3, 12), Depth(3, 1, 4)),
        4,
        (0, 0),
        1,
    ),
    ((9, 8), (4, 9), (Row(3, 16), Row(2, 2)), (Depth(2, 8, 18), Depth(2, 3, 9)), 8, (3, 1), 2),
)


def sample_strided_product(rng: np.random.Generator) -> Sequence[Case]:
    """A plain product; a transposed one in pieces; a small convolution; gaps and starts."""
    names = ("rows", "depth", "columns", "starts", "pieces")
    return [
        Case((rng.uniform(-1, 1, a), rng.uniform(-1, 1, b)), dict(zip(names, attrs, strict=True)))
        for a, b, *attrs in CASES
    ]


register(
    (
        Op(
            "strided_product",
            type=strided_product_type,
            numpy=numpy_strided_product,
            derivative=ByExpansion(),
            lowering=Kernel("strided_product"),
            batch=ByExpansion(),
            xla=ByExpansion(),
            formula="strided_product({0}, {1}, rows={rows}, depth={depth})",
            sample=sample_strided_product,
            dtypes=(float32, float64),
            flops=2,  # for each element of the output and each place of the sum
            gate="multiply swaps: as in a matrix product",
            expand=expand_strided_product,
        ),
    ),
    "strided product",
)
