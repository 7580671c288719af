"""Indexing by data: take and scatter-add, along an axis or element by element.

Indices count from the front and must lie inside the axis: the interpreter raises an error
otherwise, compiled programs hold them inside the axis (reading the nearest element) and never
touch memory outside. The front turns negative indices into these. Next: `random.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.ground.dtypes import ALL, INTEGERS, NUMBERS
from kedja.ground.errors import DataError, ShapeError
from kedja.ir.graph import Node, apply
from kedja.ir.op import BatchRule, Case, Kernel, Linear, Op, Reindex, Rule, Type, register
from kedja.ops import xla_rules
from kedja.ops.batching import in_front, moved
from kedja.ops.reduce import kept_shape
from kedja.ops.types import require_dtype


def taken_shape(x: Type, index: Type, axis: int) -> tuple[int, ...]:
    """The axis is replaced by the axes of the index."""
    return (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


def take_type(x: Type, index: Type, *, axis: int) -> Type:
    """y[…, i…, …] = x[…, index[i…], …]."""
    require_dtype("take", index.dtype, INTEGERS)
    if x.shape[axis] == 0 and index.size:
        raise ShapeError(f"take from an axis without elements, shape {list(x.shape)}")
    return Type(taken_shape(x, index, axis), x.dtype)


def checked(index: np.ndarray, extent: int, name: str) -> np.ndarray:
    """The index itself; DataError where it leaves the axis."""
    if index.size and (index.min() < 0 or index.max() >= extent):
        wrong = int(index.min()) if index.min() < 0 else int(index.max())
        raise DataError(
            f"{name}: index {wrong} is outside an axis of {extent} elements",
            fix=f"indices from 0 to {extent - 1}",
        )
    return index.astype(np.int64)


def numpy_take(x: np.ndarray, index: np.ndarray, *, axis: int) -> np.ndarray:
    """NumPy's take."""
    return np.take(x, checked(index, x.shape[axis], "take"), axis=axis)


def take_index(space: Any, node: Node, out: Sequence[Any]) -> list[Any]:
    """The element that the index names."""
    x, index = node.inputs
    axis = node.attrs["axis"]
    rank = len(index.shape)
    chosen = space.value(index, tuple(out[axis : axis + rank]), x.shape[axis])
    return [(0, (*out[:axis], chosen, *out[axis + rank :]), ())]


def scatter_add_type(x: Type, index: Type, updates: Type, *, axis: int) -> Type:
    """y = x with updates added at the places that the index names."""
    require_dtype("scatter_add", x.dtype, NUMBERS)
    require_dtype("scatter_add's indices", index.dtype, INTEGERS)
    expected = Type(taken_shape(x, index, axis), x.dtype)
    require_dtype("scatter_add's updates", updates.dtype, (x.dtype,))
    if updates != expected:
        raise ShapeError(f"scatter_add of {updates} where {expected} fits")
    return x


def numpy_scatter_add(
    x: np.ndarray, index: np.ndarray, updates: np.ndarray, *, axis: int
) -> np.ndarray:
    """np.add.at, in the order of the updates."""
    out = x.copy()
    place: Any = (*(slice(None),) * axis, checked(index, x.shape[axis], "scatter_add"))
    np.add.at(out, place, updates)
    return out


def along_type(x: Type, index: Type, *, axis: int) -> Type:
    """y[i, j] = x[i, index[i, j]] (for axis 1): all axes but one agree."""
    require_dtype("take_along_axis", index.dtype, INTEGERS)
    if kept_shape(x.shape, (axis,)) != kept_shape(index.shape, (axis,)):
        raise ShapeError(
            f"take_along_axis of {list(x.shape)} by {list(index.shape)} along axis {axis}",
            fix="all other axes must be equal",
        )
    if x.shape[axis] == 0 and index.size:
        raise ShapeError(f"take_along_axis over an axis without elements, {list(x.shape)}")
    return Type(index.shape, x.dtype)


def numpy_along(x: np.ndarray, index: np.ndarray, *, axis: int) -> np.ndarray:
    """NumPy's take_along_axis."""
    return np.take_along_axis(x, checked(index, x.shape[axis], "take_along_axis"), axis)


def along_index(space: Any, node: Node, out: Sequence[Any]) -> list[Any]:
    """The same index, with the axis replaced by the index's value."""
    x, index = node.inputs
    axis = node.attrs["axis"]
    chosen = space.value(index, tuple(out), x.shape[axis])
    return [(0, (*out[:axis], chosen, *out[axis + 1 :]), ())]


def scatter_along_type(x: Type, index: Type, updates: Type, *, axis: int) -> Type:
    """y = x with updates[i, j] added at [i, index[i, j]] (for axis 1)."""
    require_dtype("scatter_add_along_axis", x.dtype, NUMBERS)
    expected = along_type(x, index, axis=axis)
    require_dtype("scatter_add_along_axis's updates", updates.dtype, (x.dtype,))
    if updates != expected:
        raise ShapeError(f"scatter_add_along_axis of {updates} where {expected} fits")
    return x


def numpy_scatter_along(
    x: np.ndarray, index: np.ndarray, updates: np.ndarray, *, axis: int
) -> np.ndarray:
    """np.add.at, in the order of the updates."""
    out = x.copy()
    place: list[np.ndarray] = list(np.indices(index.shape, sparse=True))
    place[axis] = checked(index, x.shape[axis], "scatter_add_along_axis")
    np.add.at(out, tuple(place), updates)
    return out


def sample_take(rng: np.random.Generator) -> Sequence[Case]:
    """Rows, columns and a matrix of indices, with repetitions."""
    x = rng.uniform(-2, 2, (4, 5))
    shapes = (((7,), 0), ((2, 3), 1), ((), 0))
    return [
        Case((x, rng.integers(0, x.shape[axis], shape)), {"axis": axis}) for shape, axis in shapes
    ]


def sample_along(rng: np.random.Generator) -> Sequence[Case]:
    """One and several indices for each row and column."""
    x = rng.uniform(-2, 2, (4, 5))
    shapes = (((4, 1), 1), ((4, 3), 1), ((2, 5), 0))
    return [
        Case((x, rng.integers(0, x.shape[axis], shape)), {"axis": axis}) for shape, axis in shapes
    ]


def with_updates(cases: Sequence[Case], rng: np.random.Generator, along: bool) -> list[Case]:
    """The same cases with an array of updates as third input."""
    rule = along_type if along else take_type
    result = []
    for case in cases:
        types = (Type(each.shape, each.dtype) for each in case.inputs)
        updates = rng.uniform(-1, 1, rule(*types, **case.attrs).shape)
        result.append(Case((*case.inputs, updates), case.attrs))
    return result


def back_take(scatter: str) -> Rule:
    """The gradient is added into zeros, at the places from which the elements came."""

    def rule(g: Node, node: Node) -> Node:
        x, index = node.inputs
        zeros = apply("full", value=0, shape=x.shape, dtype=g.dtype)
        return apply(scatter, zeros, index, g, axis=node.attrs["axis"])

    return rule


def back_scatter(take: str) -> Rule:
    """Each update gets the gradient at the place where it was added."""
    return lambda g, node: apply(take, g, node.inputs[1], axis=node.attrs["axis"])


def batch_take(
    b: Any, node: Node, inputs: Sequence[Node], batched: Sequence[bool], size: int
) -> Node:
    """Where both are batched, the examples' own lines are taken along the axis."""
    (x, index), axis = inputs, node.attrs["axis"]
    if not batched[1]:
        return apply("take", x, index, axis=axis + 1)
    if not batched[0]:
        y = apply("take", x, index, axis=axis)  # the batch axis stands where the index begins
        rest = (place for place in range(len(y.shape)) if place != axis)
        return apply("transpose", y, axes=(axis, *rest)) if axis else y
    lines, place = in_lines(x, axis + 1), lines_index(index, x.shape, axis + 1)
    y = apply("take_along_axis", lines, place, axis=2)
    return apply("reshape", y, shape=(size, *node.shape))


def batch_scatter_add(
    b: Any, node: Node, inputs: Sequence[Node], batched: Sequence[bool], size: int
) -> Node:
    """As for take: where the index is batched, into each example's own lines."""
    axis = node.attrs["axis"]
    x, index, updates = in_front(b, inputs, batched, size)
    if not batched[1]:
        return apply("scatter_add", x, inputs[1], updates, axis=axis + 1)
    place = lines_index(index, x.shape, axis + 1)
    mine = apply("reshape", updates, shape=place.shape)
    y = apply("scatter_add_along_axis", in_lines(x, axis + 1), place, mine, axis=2)
    return apply("reshape", y, shape=x.shape)


def in_lines(x: Node, axis: int) -> Node:
    """(S … n …) -> (S, before, n, after), where n is the extent of the axis."""
    before, after = math.prod(x.shape[1:axis]), math.prod(x.shape[axis + 1 :])
    return apply("reshape", x, shape=(x.shape[0], before, x.shape[axis], after))


def lines_index(index: Node, shape: Sequence[int], axis: int) -> Node:
    """(S i …) -> (S, before, i·…, after), the same for all lines of an example."""
    size, count = index.shape[0], math.prod(index.shape[1:])
    before, after = math.prod(shape[1:axis]), math.prod(shape[axis + 1 :])
    column = apply("reshape", index, shape=(size, 1, count, 1))
    return apply("broadcast", column, shape=(size, before, count, after))


TAKE_GATE = "scatters: the gradient is added where the element came from"
SCATTER_GATE = "add distributes: the base gets the gradient, each update the gradient at its place"

register(
    (
        Op(
            "take",
            type=take_type,
            numpy=numpy_take,
            derivative=Linear((back_take("scatter_add"), None)),
            lowering=Reindex(take_index),
            batch=BatchRule(batch_take),
            xla=xla_rules.take,
            formula="take({0}, {1}, axis={axis})",
            sample=sample_take,
            dtypes=ALL,
            flops=0,
            gate=TAKE_GATE,
        ),
        Op(
            "scatter_add",
            type=scatter_add_type,
            numpy=numpy_scatter_add,
            derivative=Linear((lambda g, node: g, None, back_scatter("take"))),
            lowering=Kernel("scatter", lambda e, a, b: e.add(a, b)),
            batch=BatchRule(batch_scatter_add),
            xla=xla_rules.scatter_add,
            formula="scatter_add({0}, {1}, {2}, axis={axis})",
            sample=lambda rng: with_updates(sample_take(rng), rng, along=False),
            dtypes=NUMBERS,
            gate=SCATTER_GATE,
        ),
        Op(
            "take_along_axis",
            type=along_type,
            numpy=numpy_along,
            derivative=Linear((back_take("scatter_add_along_axis"), None)),
            lowering=Reindex(along_index),
            batch=moved("axis"),
            xla=xla_rules.take_along,
            formula="take_along_axis({0}, {1}, axis={axis})",
            sample=sample_along,
            dtypes=ALL,
            flops=0,
            gate=TAKE_GATE,
        ),
        Op(
            "scatter_add_along_axis",
            type=scatter_along_type,
            numpy=numpy_scatter_along,
            derivative=Linear((lambda g, node: g, None, back_scatter("take_along_axis"))),
            lowering=Kernel("scatter", lambda e, a, b: e.add(a, b)),
            batch=moved("axis"),
            xla=xla_rules.scatter_along,
            formula="scatter_add_along_axis({0}, {1}, {2}, axis={axis})",
            sample=lambda rng: with_updates(sample_along(rng), rng, along=True),
            dtypes=NUMBERS,
            gate=SCATTER_GATE,
        ),
    ),
    "indexing",
)
