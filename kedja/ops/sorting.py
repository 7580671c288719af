"""Order: argsort, sort, and the places of values in sorted lines. NumPy runs them on the host.

NaN counts as the largest value, as in NumPy, PyTorch and JAX: the last of an ascending order, the
first of a descending one. Every order is stable. Not here: what the front builds from these
(`top_k`, `median`, `quantile`, `histogram`). Next: `linalg.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.ground.dtypes import ALL, NUMBERS, int64
from kedja.ground.errors import DtypeError, ShapeError
from kedja.ir.graph import Node, apply
from kedja.ir.op import ByExpansion, Case, Leading, NoDerivative, OnHost, Op, Type, register
from kedja.ops.batching import moved
from kedja.ops.types import require_dtype

PLACES = NoDerivative("its values are places: whole numbers")
BRANCHES = OnHost("comparisons that depend on one another are NumPy's work, not that of loops")

# ------------------------------------------------------------------------------ sort, argsort


def argsort_type(x: Type, *, axis: int, descending: bool) -> Type:
    """A place for each element."""
    require_dtype("argsort", x.dtype, ALL)
    return Type(x.shape, int64)


def numpy_argsort(x: np.ndarray, *, axis: int, descending: bool) -> np.ndarray:
    """NumPy's stable argsort; descending, that of the line turned round, turned back."""
    if not descending:
        return np.argsort(x, axis=axis, kind="stable")
    turned = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
    return np.asarray(x.shape[axis] - 1 - np.flip(turned, axis))


def sort_type(x: Type, *, axis: int, descending: bool) -> Type:
    """The type of x."""
    require_dtype("sort", x.dtype, ALL)
    return x


def numpy_sort(x: np.ndarray, *, axis: int, descending: bool) -> np.ndarray:
    """NumPy's vectorised sort: of values alone, no one sees the order of equal ones."""
    ordered = np.sort(x, axis=axis)
    return np.flip(ordered, axis) if descending else ordered


def expand_sort(x: Node, *, axis: int, descending: bool) -> Node:
    """The elements at the places that argsort gives: gradients go back to where they were."""
    order = apply("argsort", x, axis=axis, descending=descending)
    return apply("take_along_axis", x, order, axis=axis)


def sample_lines(rng: np.random.Generator) -> Sequence[Case]:
    """Every axis, both directions, repeated values."""
    matrix, cube = rng.uniform(-3, 3, (4, 5)), rng.uniform(-3, 3, (2, 3, 4))
    return [
        Case((matrix,), {"axis": 1, "descending": False}),
        Case((matrix,), {"axis": 0, "descending": True}),
        Case((cube,), {"axis": 1, "descending": False}),
    ]


# ------------------------------------------------------------------------------- searchsorted


def searchsorted_type(line: Type, values: Type, *, side: str) -> Type:
    """(… n) sorted along the last axis, (… k) -> (… k): for each value a place from 0 to n."""
    require_dtype("searchsorted", line.dtype, NUMBERS)
    if values.dtype != line.dtype:
        both = f"{values.dtype.name} in {line.dtype.name}"
        raise DtypeError(f"searchsorted of {both}", fix="cast one of them with astype")
    if not line.shape or line.shape[:-1] != values.shape[:-1] or not values.shape:
        raise ShapeError(
            f"searchsorted of {list(values.shape)} in {list(line.shape)}",
            fix="all axes but the last must be equal",
        )
    return Type(values.shape, int64)


def numpy_searchsorted(line: np.ndarray, values: np.ndarray, *, side: Any) -> np.ndarray:
    """NumPy's searchsorted, line by line."""
    out = np.empty(values.shape, np.int64)
    for batch in np.ndindex(line.shape[:-1]):
        out[batch] = np.searchsorted(line[batch], values[batch], side)
    return out


def xla_searchsorted(x: Any, line: Any, values: Any, *, side: str) -> Any:
    """JAX's searchsorted, mapped over the leading axes."""

    def one(a: Any, v: Any) -> Any:
        return x.np.searchsorted(a, v, side=side)

    if not values.size:
        return x.np.zeros(values.shape, np.int64)
    flat = (each.reshape((-1, each.shape[-1])) for each in (line, values))
    found = x.jax.vmap(one)(*flat) if line.shape[:-1] else one(line, values)
    return found.reshape(values.shape).astype(np.int64)


def sample_searchsorted(rng: np.random.Generator) -> Sequence[Case]:
    """One line and several, with values that tie; positive, so that unsigned lines are sorted."""
    cases: list[Case] = []
    for shape, count in (((7,), 5), ((2, 4), 3)):
        line = np.sort(rng.uniform(0.1, 9, shape), axis=-1)
        values = rng.uniform(0.1, 9, (*shape[:-1], count))
        values[..., 0] = line[..., 1]
        cases.extend(Case((line, values), {"side": side}) for side in ("left", "right"))
    return cases


register(
    (
        Op(
            "argsort",
            type=argsort_type,
            numpy=numpy_argsort,
            derivative=PLACES,
            lowering=BRANCHES,
            formula="argsort({0}, axis={axis}, descending={descending})",
            sample=sample_lines,
            dtypes=ALL,
            batch=moved("axis"),
            xla=lambda x, value, *, axis, descending: x.np.argsort(
                value, axis=axis, stable=True, descending=descending
            ).astype(np.int64),
        ),
        Op(
            "sort",
            type=sort_type,
            numpy=numpy_sort,
            derivative=ByExpansion(),
            lowering=BRANCHES,
            formula="sort({0}, axis={axis}, descending={descending})",
            sample=sample_lines,
            dtypes=ALL,
            expand=expand_sort,
            gate="routes: the gradient goes back to the place from which the element came",
            batch=moved("axis"),
            xla=lambda x, value, *, axis, descending: x.np.sort(
                value, axis=axis, descending=descending
            ),
        ),
        Op(
            "searchsorted",
            type=searchsorted_type,
            numpy=numpy_searchsorted,
            derivative=PLACES,
            lowering=BRANCHES,
            formula="searchsorted({0}, {1}, {side})",
            sample=sample_searchsorted,
            dtypes=NUMBERS,
            batch=Leading(),
            xla=xla_searchsorted,
        ),
    ),
    "sorting",
)
