"""The largest element of each window, and where it stands.

`window_max` is max pooling, with the gradient to the first of several: `window_pick` reads another
value at the places of the largest elements, `window_put` adds values there; each is the other's
transpose. Dimension letters as in `windows.py`. Next: `convolution.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.ground.dtypes import NUMBERS, int32, is_float, lowest
from kedja.ground.errors import ShapeError
from kedja.ir.graph import Node, apply, full, zeros_like
from kedja.ir.op import ByExpansion, Case, Forward, Leading, Op, Type, register
from kedja.ops.types import require_dtype
from kedja.ops.windows import (
    CASES,
    Ints,
    numpy_unwindows,
    numpy_windows,
    placed,
    sample_windows,
    spatial,
)

# ------------------------------------------------------------------------------- window_max


def window_max_type(x: Type, *, kernel: Ints, strides: Ints, dilation: Ints) -> Type:
    """(… S) -> (… O)."""
    require_dtype("window_max", x.dtype, NUMBERS)
    found = placed("window_max", x, kernel, strides, dilation)
    return Type((*x.shape[: len(x.shape) - len(kernel)], *found), x.dtype)


def numpy_window_max(x: np.ndarray, *, kernel: Ints, strides: Ints, dilation: Ints) -> np.ndarray:
    """NumPy's maximum over its sliding windows."""
    view = numpy_windows(x, kernel=kernel, strides=strides, dilation=dilation)
    with np.errstate(all="ignore"):
        return np.asarray(view.max(axis=inner_axes(view.ndim, len(kernel))))


def inner_axes(rank: int, count: int) -> Ints:
    """The last axes, those inside the window."""
    return tuple(range(rank - count, rank))


def expand_window_max(x: Node, **attrs: Any) -> Node:
    """The maximum over the windows' elements."""
    seen = apply("windows", x, **attrs)
    return apply("max", seen, axes=inner_axes(len(seen.shape), len(attrs["kernel"])))


def forward_window_max(node: Node, tangents: Sequence[Node | None]) -> Node:
    """The tangent of the first element in each window that is as large as the maximum."""
    tangent = tangents[0]
    assert tangent is not None
    return apply("window_pick", node.inputs[0], tangent, **node.attrs)


def lined(x: Node, node: Node) -> Node:
    """The axes inside the window as one."""
    inside = math.prod(x.shape[len(node.shape) :])
    return apply("reshape", x, shape=(*node.shape, inside))


def first_hit(x: Node, peak: Node) -> Node:
    """Where along the last axis the peak (or a NaN) stands first, as truth; x (… K), peak (…)."""
    last = len(x.shape) - 1
    column = apply("reshape", peak, shape=(*peak.shape, 1))
    hit = apply("equal", x, apply("broadcast", column, shape=x.shape))
    if is_float(x.dtype):
        hit = apply("bitwise_or", hit, apply("isnan", x))
    place = apply("iota", shape=x.shape, axis=last, dtype=int32)
    first = apply("where", hit, place, full(x.shape[last], x.shape, int32))
    first = apply("reshape", apply("min", first, axes=(last,)), shape=column.shape)
    return apply("equal", place, apply("broadcast", first, shape=x.shape))


# ------------------------------------------------------------------ window_pick, window_put


def window_pick_type(x: Type, t: Type, **attrs: Any) -> Type:
    """(… S), (… S) -> (… O)."""
    require_dtype("window_pick's second input", t.dtype, (x.dtype,))
    if x.shape != t.shape:
        raise ShapeError(f"window_pick of {list(x.shape)} and {list(t.shape)}: both are the same")
    return window_max_type(x, **attrs)


def window_put_type(x: Type, g: Type, **attrs: Any) -> Type:
    """(… S), (… O) -> (… S)."""
    require_dtype("window_put's second input", g.dtype, (x.dtype,))
    if window_max_type(x, **attrs).shape != g.shape:
        raise ShapeError(
            f"window_put of {list(g.shape)} into {list(x.shape)}",
            fix="one element for each window",
        )
    return x


def numpy_first(x: np.ndarray, attrs: dict[str, Any]) -> tuple[np.ndarray, Any]:
    """x in lines (… O K), and where along each the largest (or a NaN) stands first (… O 1)."""
    view = numpy_windows(x, **attrs)
    outside = view.shape[: view.ndim - len(attrs["kernel"])]
    lines = view.reshape(*outside, math.prod(attrs["kernel"]))
    return lines, lines.argmax(-1)[..., None]


def numpy_window_pick(x: np.ndarray, t: np.ndarray, **attrs: Any) -> np.ndarray:
    """t where the largest of each window of x stands."""
    _, place = numpy_first(x, attrs)
    lines, _ = numpy_first(t, attrs)
    return np.asarray(np.take_along_axis(lines, place, -1)[..., 0])


def numpy_window_put(x: np.ndarray, g: np.ndarray, **attrs: Any) -> np.ndarray:
    """g added where the largest of each window of x stands."""
    kernel = attrs["kernel"]
    lines, place = numpy_first(x, attrs)
    chosen = np.where(np.arange(lines.shape[-1]) == place, g[..., None], 0).astype(g.dtype)
    steps = {name: attrs[name] for name in ("strides", "dilation")}
    shape = x.shape[x.ndim - len(kernel) :]
    return numpy_unwindows(chosen.reshape(*g.shape, *kernel), shape=shape, **steps)


def expand_window_pick(x: Node, t: Node, **attrs: Any) -> Node:
    """The windows of t where those of x have their first largest element, summed."""
    peak = apply("window_max", x, **attrs)
    seen = lined(apply("windows", x, **attrs), peak)  # (… O K)
    moved = lined(apply("windows", t, **attrs), peak)
    chosen = apply("where", first_hit(seen, peak), moved, zeros_like(moved))
    return apply("sum", chosen, axes=(len(peak.shape),))


def expand_window_put(x: Node, g: Node, **attrs: Any) -> Node:
    """g in each window where x has its first largest element; the windows added back together."""
    peak = apply("window_max", x, **attrs)
    seen = lined(apply("windows", x, **attrs), peak)  # (… O K)
    column = apply("reshape", g, shape=(*g.shape, 1))
    wide = apply("broadcast", column, shape=seen.shape)
    chosen = apply("where", first_hit(seen, peak), wide, zeros_like(wide))
    chosen = apply("reshape", chosen, shape=(*g.shape, *attrs["kernel"]))
    steps = {name: attrs[name] for name in ("strides", "dilation")}
    return apply("unwindows", chosen, shape=spatial(x, attrs["kernel"]), **steps)


def tangent_of_second(node: Node, tangents: Sequence[Node | None]) -> Node | None:
    """The places stay where they are; what is read or put there changes."""
    moved = tangents[1]
    return None if moved is None else apply(node.op.name, node.inputs[0], moved, **node.attrs)


def back_pick(g: Node, node: Node) -> Node:
    """The gradient goes to the element that was picked."""
    return apply("window_put", node.inputs[0], g, **node.attrs)


def back_put(g: Node, node: Node) -> Node:
    """What was put somewhere gets the gradient from there."""
    return apply("window_pick", node.inputs[0], g, **node.attrs)


def xla_window_max(x: Any, value: Any, *, kernel: Ints, strides: Ints, dilation: Ints) -> Any:
    """XLA's reduction of windows."""
    ones = (1,) * (value.ndim - len(kernel))
    start = np.asarray(lowest(value.dtype), value.dtype)[()]
    steps, gaps = (*ones, *strides), (*ones, *dilation)
    return x.lax.reduce_window(
        value, start, x.lax.max, (*ones, *kernel), steps, "VALID", window_dilation=gaps
    )


# --------------------------------------------------------------------------------- the table


def sample_pick(rng: np.random.Generator) -> Sequence[Case]:
    """Two values of one shape."""
    return [
        Case((rng.uniform(-2, 2, shape), rng.uniform(-2, 2, shape)), attrs)
        for shape, attrs in CASES
    ]


def sample_put(rng: np.random.Generator) -> Sequence[Case]:
    """A value, and an element for each of its windows."""
    found = []
    for shape, attrs in CASES:
        out = window_max_type(Type(shape, np.dtype(np.float64)), **attrs).shape
        found.append(Case((rng.uniform(-2, 2, shape), rng.uniform(-2, 2, out)), attrs))
    return found


register(
    (
        Op(
            "window_max",
            type=window_max_type,
            numpy=numpy_window_max,
            derivative=Forward(forward_window_max),
            lowering=ByExpansion(),
            batch=Leading(),
            xla=xla_window_max,
            formula="window_max({0}, {kernel}, strides={strides}, dilation={dilation})",
            sample=sample_windows,
            dtypes=NUMBERS,
            expand=expand_window_max,
            gate="max routes: the gradient goes to the first of the largest in each window",
        ),
        Op(
            "window_pick",
            type=window_pick_type,
            numpy=numpy_window_pick,
            derivative=Forward(tangent_of_second, (None, back_pick)),
            lowering=ByExpansion(),
            batch=Leading(),
            xla=ByExpansion(),
            formula="window_pick({0}, {1}, {kernel}, strides={strides}, dilation={dilation})",
            sample=sample_pick,
            dtypes=NUMBERS,
            expand=expand_window_pick,
            gate="copy adds: the gradient goes where the element came from",
        ),
        Op(
            "window_put",
            type=window_put_type,
            numpy=numpy_window_put,
            derivative=Forward(tangent_of_second, (None, back_put)),
            lowering=ByExpansion(),
            batch=Leading(),
            xla=ByExpansion(),
            formula="window_put({0}, {1}, {kernel}, strides={strides}, dilation={dilation})",
            sample=sample_put,
            dtypes=NUMBERS,
            expand=expand_window_put,
            gate="add distributes: each window gets the gradient of its largest element",
        ),
    ),
    "windows",
)
