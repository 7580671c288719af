"""Sliding windows: what convolution and pooling look at, as index arithmetic.

`windows` shows every place of a kernel as trailing axes and copies nothing: the compiler reads
through it. `unwindows` adds overlapping windows back together, its transpose.
Dimension letters: … leading axes, S spatial axes, O places of the window, K places inside it.
Next: `window_max.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from kedja.ground.dtypes import ALL, NUMBERS
from kedja.ground.errors import ShapeError
from kedja.ir.graph import Node, apply
from kedja.ir.op import (
    ByExpansion,
    Case,
    Leading,
    Linear,
    Op,
    Reindex,
    Shape,
    Type,
    register,
)
from kedja.ops.types import require_dtype

Ints = tuple[int, ...]

# ----------------------------------------------------------------------------------- extents


def span(kernel: int, dilation: int) -> int:
    """The elements from the first to the last that a window covers, both counted."""
    return dilation * (kernel - 1) + 1


def places(extent: int, kernel: int, stride: int, dilation: int) -> int:
    """How many windows fit into an axis; none where the window is longer."""
    return max(0, (extent - span(kernel, dilation)) // stride + 1)


def spatial(x: Type | Node, kernel: Sequence[int]) -> Shape:
    """The trailing axes, one for each axis of the kernel."""
    return x.shape[len(x.shape) - len(kernel) :]


def require_windows(name: str, kernel: Ints, strides: Ints, dilation: Ints) -> None:
    """Raise ShapeError unless the kernel's attributes make sense together."""
    if not len(kernel) == len(strides) == len(dilation):
        raise ShapeError(
            f"{name} of kernel {list(kernel)}, strides {list(strides)}, dilation {list(dilation)}",
            fix="one number for each spatial axis in all three",
        )
    if min((*kernel, *strides, *dilation), default=1) < 1:
        raise ShapeError(
            f"{name} of kernel {list(kernel)}, strides {list(strides)}, dilation {list(dilation)}",
            fix="all of them are 1 or more",
        )


def placed(name: str, x: Type, kernel: Ints, strides: Ints, dilation: Ints) -> Shape:
    """The places of a window along each spatial axis; ShapeError where it does not fit."""
    require_windows(name, kernel, strides, dilation)
    if len(x.shape) < len(kernel):
        raise ShapeError(
            f"{name} with a kernel of {len(kernel)} axes over shape {list(x.shape)}",
            fix="the last axes are the spatial ones",
        )
    facts = zip(spatial(x, kernel), kernel, strides, dilation, strict=True)
    found = tuple(places(*each) for each in facts)
    if 0 in found:
        covered = [span(k, d) for k, d in zip(kernel, dilation, strict=True)]
        raise ShapeError(
            f"{name}: a window of {covered} elements does not fit into {list(spatial(x, kernel))} "
            f"(shape {list(x.shape)})",
            fix="make the kernel or the dilation smaller, or pad the input",
        )
    return found


# ---------------------------------------------------------------------------------- windows


def windows_type(x: Type, *, kernel: Ints, strides: Ints, dilation: Ints) -> Type:
    """(… S) -> (… O K)."""
    found = placed("windows", x, kernel, strides, dilation)
    lead = x.shape[: len(x.shape) - len(kernel)]
    return Type((*lead, *found, *kernel), x.dtype)


def numpy_windows(x: np.ndarray, *, kernel: Ints, strides: Ints, dilation: Ints) -> np.ndarray:
    """NumPy's sliding windows, which are a view."""
    spans = tuple(span(k, d) for k, d in zip(kernel, dilation, strict=True))
    axes = tuple(range(x.ndim - len(kernel), x.ndim))
    every = np.lib.stride_tricks.sliding_window_view(x, spans, axis=axes)
    steps: Any = tuple(slice(None, None, step) for step in (*strides, *dilation))
    return every[(..., *steps)]


def windows_index(space: Any, node: Node, out: Sequence[Any]) -> list[Any]:
    """stride·place + dilation·offset along each spatial axis."""
    strides, dilation = node.attrs["strides"], node.attrs["dilation"]
    count = len(strides)
    lead = out[: len(out) - 2 * count]
    pairs = zip(out[len(lead) :], out[len(lead) + count :], strides, dilation, strict=False)
    return [(0, (*lead, *(o * step + k * gap for o, k, step, gap in pairs)), ())]


def back_windows(g: Node, node: Node) -> Node:
    """The gradients of all windows that an element stands in are added."""
    shape = spatial(node.inputs[0], node.attrs["kernel"])
    strides, dilation = node.attrs["strides"], node.attrs["dilation"]
    return apply("unwindows", g, shape=shape, strides=strides, dilation=dilation)


def xla_windows(x: Any, value: Any, *, kernel: Ints, strides: Ints, dilation: Ints) -> Any:
    """One gather for each axis, whose windows then move behind the other axes."""
    first = value.ndim - len(kernel)
    for axis, (k, step, gap) in enumerate(zip(kernel, strides, dilation, strict=True)):
        count = places(value.shape[first + axis], k, step, gap)
        index = np.arange(count)[:, None] * step + np.arange(k) * gap  # (O, K)
        value = x.np.moveaxis(x.np.take(value, index, axis=first + axis), first + axis + 1, -1)
    return value


# -------------------------------------------------------------------------------- unwindows


def unwindows_type(x: Type, *, shape: Shape, strides: Ints, dilation: Ints) -> Type:
    """(… O K) -> (… S), with S = `shape`."""
    require_dtype("unwindows", x.dtype, NUMBERS)
    count = len(shape)
    if len(x.shape) < 2 * count:
        raise ShapeError(
            f"unwindows of shape {list(x.shape)} to {count} axes",
            fix="the places of the windows and their elements are two axes for each spatial axis",
        )
    lead, out, kernel = parted(x, count)
    whole = Type((*lead, *shape), x.dtype)
    if windows_type(whole, kernel=kernel, strides=strides, dilation=dilation).shape != x.shape:
        raise ShapeError(
            f"unwindows of {list(out)} windows of {list(kernel)} elements to {list(shape)}, "
            f"strides {list(strides)}, dilation {list(dilation)}",
            fix="give the shape from which the windows were taken",
        )
    return whole


def parted(x: Type | Node, count: int) -> tuple[Shape, Shape, Shape]:
    """The leading axes, the places of the windows and the places inside them."""
    first = len(x.shape) - 2 * count
    return x.shape[:first], x.shape[first : first + count], x.shape[first + count :]


def numpy_unwindows(x: np.ndarray, *, shape: Shape, strides: Ints, dilation: Ints) -> np.ndarray:
    """Overlap and add, one place inside all windows after the other, or one window if fewer."""
    lead, out, kernel = parted(Type(x.shape, x.dtype), len(shape))
    result = np.zeros((*lead, *shape), x.dtype)
    inner = math.prod(kernel) <= math.prod(out)
    counted, steps = (kernel, dilation) if inner else (out, strides)
    along, gaps = (out, strides) if inner else (kernel, dilation)
    for offset in product(*map(range, counted)):
        starts = [o * step for o, step in zip(offset, steps, strict=True)]
        region: Any = tuple(
            slice(start, start + span(n, gap), gap)
            for start, n, gap in zip(starts, along, gaps, strict=True)
        )
        rest: list[Any] = [] if inner else [slice(None)] * len(kernel)
        result[(..., *region)] += x[(..., *offset, *rest)]
    return result


def expand_unwindows(x: Node, *, shape: Shape, strides: Ints, dilation: Ints) -> Node:
    """One axis after the other, so that the terms of their sums add up instead of multiplying."""
    first = len(x.shape) - 2 * len(shape)
    inside = first + len(shape)  # the places inside the window, along the first axis still to come
    for axis, facts in enumerate(zip(shape, strides, dilation, strict=True), start=first):
        x = joined(x, axis, inside, *facts)
    return x


def joined(x: Node, axis: int, inside: int, extent: int, stride: int, dilation: int) -> Node:
    """y[p] = Σ x[o, k] over all o·stride + k·dilation = p, for one pair of axes."""
    x = to_end(x, inside)  # (… O … K)
    if x.shape[axis] < x.shape[-1]:  # the sum is taken over the shorter of both axes
        x, stride, dilation = exchanged(x, axis), dilation, stride
    if dilation == 1:
        return _interleaved(x, axis, extent, stride)
    return _phases(x, axis, extent, stride, dilation)


def _interleaved(x: Node, axis: int, extent: int, stride: int) -> Node:
    """With k = stride·m + r, p = stride·(o + m) + r: o + m and r are neighbouring axes of y."""
    count = -(-x.shape[-1] // stride)
    x = padded(x, len(x.shape) - 1, 0, count * stride - x.shape[-1])
    x = apply("reshape", x, shape=(*x.shape[:-1], count, stride))
    total = _shifted_sum(to_end(x, len(x.shape) - 2), axis, 1)  # (… O + M − 1 … R)
    order = [*range(len(total.shape) - 1)]
    order.insert(axis + 1, len(order))
    total = apply("transpose", total, axes=tuple(order))
    flat = total.shape[axis] * stride
    total = apply("reshape", total, shape=(*total.shape[:axis], flat, *total.shape[axis + 2 :]))
    return resized(total, axis, extent)


def _phases(x: Node, axis: int, extent: int, stride: int, dilation: int) -> Node:
    """With k = S·m + r, p = stride·(o + D·m) + dilation·r: a sum over m, spread, for each r."""
    common = math.gcd(stride, dilation)
    steps, last = stride // common, len(x.shape) - 1
    total = None
    for phase in range(min(steps, x.shape[last])):
        mine = cut(x, last, phase, x.shape[last], steps)
        mine = _shifted_sum(mine, axis, dilation // common)
        low = dilation * phase
        high = extent - low - span(mine.shape[axis], stride)
        mine = padded(mine, axis, low, high, stride - 1)
        total = mine if total is None else total + mine
    assert total is not None
    return total


def _shifted_sum(x: Node, axis: int, step: int) -> Node:
    """y[q] = Σ_m x[q − step·m, m], m the last axis."""
    count, total = x.shape[-1], None
    for place in range(count):
        one = cut(x, len(x.shape) - 1, place, place + 1)
        one = apply("reshape", one, shape=x.shape[:-1])
        one = padded(one, axis, step * place, step * (count - 1 - place))
        total = one if total is None else total + one
    assert total is not None
    return total


# ------------------------------------------------------------------------ moving along an axis


def to_end(x: Node, axis: int) -> Node:
    """One axis becomes the last."""
    others = (a for a in range(len(x.shape)) if a != axis)
    return apply("transpose", x, axes=(*others, axis))


def exchanged(x: Node, axis: int) -> Node:
    """One axis and the last in each other's place."""
    order = [*range(len(x.shape))]
    order[axis], order[-1] = order[-1], axis
    return apply("transpose", x, axes=tuple(order))


def padded(x: Node, axis: int, low: int, high: int, interior: int = 0) -> Node:
    """Zeros before, after and between the elements of one axis."""
    if not (low or high or interior):
        return x
    widths = {"low": low, "high": high, "interior": interior}
    only = {name: _at(axis, width, len(x.shape)) for name, width in widths.items()}
    return apply("pad", x, **only, value=0)


def _at(axis: int, value: int, rank: int) -> Ints:
    return tuple(value if a == axis else 0 for a in range(rank))


def cut(x: Node, axis: int, start: int, stop: int, step: int = 1) -> Node:
    """A slice of one axis."""
    rank = len(x.shape)
    stops = tuple(stop if a == axis else n for a, n in enumerate(x.shape))
    steps = tuple(step if a == axis else 1 for a in range(rank))
    return apply("slice", x, starts=_at(axis, start, rank), stops=stops, steps=steps)


def resized(x: Node, axis: int, extent: int) -> Node:
    """One axis cut, or filled with zeros, to an extent."""
    if x.shape[axis] > extent:
        return cut(x, axis, 0, extent)
    return padded(x, axis, 0, extent - x.shape[axis])


# --------------------------------------------------------------------------------- the table

CASES = (
    ((2, 7), {"kernel": (3,), "strides": (1,), "dilation": (1,)}),
    ((2, 5, 6), {"kernel": (2, 3), "strides": (2, 1), "dilation": (1, 2)}),
    ((8, 7), {"kernel": (2, 2), "strides": (3, 2), "dilation": (2, 3)}),
    ((1, 9), {"kernel": (4,), "strides": (2,), "dilation": (1,)}),
)


def sample_windows(rng: np.random.Generator) -> Sequence[Case]:
    """One and two axes; windows that overlap, that do not, and with gaps."""
    return [Case((rng.uniform(-2, 2, shape),), attrs) for shape, attrs in CASES]


def sample_unwindows(rng: np.random.Generator) -> Sequence[Case]:
    """What `windows` gives for the same cases."""
    return [back_case(rng, shape, attrs) for shape, attrs in CASES]


def back_case(rng: np.random.Generator, shape: Shape, attrs: dict[str, Any]) -> Case:
    """An input of `unwindows` that gives this shape."""
    taken = windows_type(Type(shape, np.dtype(np.float64)), **attrs).shape
    back = {name: attrs[name] for name in ("strides", "dilation")}
    back["shape"] = shape[len(shape) - len(attrs["kernel"]) :]
    return Case((rng.uniform(-2, 2, taken),), back)


def back_unwindows(g: Node, node: Node) -> Node:
    """Each window gets the gradients of the elements that it was added to."""
    strides, dilation = node.attrs["strides"], node.attrs["dilation"]
    _, _, kernel = parted(node.inputs[0], len(strides))
    return apply("windows", g, kernel=kernel, strides=strides, dilation=dilation)


def xla_unwindows(x: Any, value: Any, *, shape: Shape, strides: Ints, dilation: Ints) -> Any:
    """One scatter-add for each axis."""
    first = value.ndim - 2 * len(shape)
    for axis, (extent, step, gap) in enumerate(zip(shape, strides, dilation, strict=True), first):
        ends = x.np.moveaxis(value, (axis, first + len(shape)), (-2, -1))  # (… O K)
        count, k = ends.shape[-2:]
        index = np.arange(count)[:, None] * step + np.arange(k) * gap
        zeros = x.np.zeros((*ends.shape[:-2], extent), value.dtype)
        value = x.np.moveaxis(zeros.at[..., index].add(ends), -1, axis)
    return value


register(
    (
        Op(
            "windows",
            type=windows_type,
            numpy=numpy_windows,
            derivative=Linear((back_windows,)),
            lowering=Reindex(windows_index),
            batch=Leading(),
            xla=xla_windows,
            formula="windows({0}, {kernel}, strides={strides}, dilation={dilation})",
            sample=sample_windows,
            dtypes=ALL,
            flops=0,
            gate="copy adds: the gradients of all windows that an element stands in are added",
        ),
        Op(
            "unwindows",
            type=unwindows_type,
            numpy=numpy_unwindows,
            derivative=Linear((back_unwindows,)),
            lowering=ByExpansion(),
            batch=Leading(),
            xla=xla_unwindows,
            formula="unwindows({0}, {shape}, strides={strides}, dilation={dilation})",
            sample=sample_unwindows,
            dtypes=NUMBERS,
            expand=expand_unwindows,
            gate="add distributes: each window gets the gradients of its elements",
        ),
    ),
    "windows",
)
