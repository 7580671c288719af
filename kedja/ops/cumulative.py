"""Cumulative ops: y[i] combines x[0] … x[i] along one axis: sum, product, extremes, log-sum-exp.

The compiler takes log₂ n steps, each of which joins what the steps before have gathered:
    y ← y[i − width] ∘ y[i]   for width 1, 2, 4 …
so that no element waits for its neighbour, and rounding errors grow with log n. Not here: the same
by name (`kedja/front/cumulative.py`). Next: `indexing.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kedja.ground.dtypes import FLOATS, NUMBERS, highest, int64, is_float, lowest
from kedja.ground.errors import ShapeError
from kedja.ir.graph import Node, apply, full
from kedja.ir.op import ByExpansion, Case, Derivative, Forward, Linear, Op, Type, register
from kedja.ops.batching import moved
from kedja.ops.types import TypeRule, require_dtype

Combine = Callable[[Node, Node], Node]
Identity = Callable[[np.dtype], Any]

# ------------------------------------------------------------------------------ what they share


def cumulative_type(name: str, allowed: Sequence[np.dtype]) -> TypeRule:
    """The type of the input."""

    def rule(x: Type, *, axis: int, **attrs: Any) -> Type:
        require_dtype(name, x.dtype, allowed)
        if not 0 <= axis < len(x.shape):
            raise ShapeError(
                f"{name} along axis {axis} of shape {list(x.shape)}",
                fix="an axis that the array has, counted from the front",
            )
        return x

    return rule


def stepwise(combine: Combine, identity: Identity) -> Callable[..., Node]:
    """The expansion into log₂ n steps; with `reverse`, from the end."""

    def expand(x: Node, *, axis: int, reverse: bool = False) -> Node:
        width = 1
        while width < x.shape[axis]:
            x = combine(shifted(x, axis, width, identity(x.dtype), reverse), x)
            width *= 2
        return x

    return expand


def shifted(x: Node, axis: int, width: int, value: Any, reverse: bool) -> Node:
    """y[i] = x[i − width] (or x[i + width] in reverse), and `value` where there is none."""
    none = (0,) * len(x.shape)
    some = tuple(width if a == axis else 0 for a in range(len(none)))
    low, high, starts = (none, some, some) if reverse else (some, none, none)
    wide = apply("pad", x, low=low, high=high, interior=none, value=value)
    stops = tuple(start + n for start, n in zip(starts, x.shape, strict=True))
    return apply("slice", wide, starts=starts, stops=stops, steps=(1,) * len(none))


def accumulate(ufunc: np.ufunc) -> Callable[..., np.ndarray]:
    """NumPy's accumulation, in the input's dtype."""

    def call(x: np.ndarray, *, axis: int, reverse: bool = False) -> np.ndarray:
        with np.errstate(all="ignore"):
            turned = np.flip(x, axis) if reverse else x
            found = ufunc.accumulate(turned, axis=axis, dtype=x.dtype)
        return np.flip(found, axis) if reverse else np.asarray(found)

    return call


# ------------------------------------------------------------------------------ sum, extremes


def back_sum(g: Node, node: Node) -> Node:
    """Every element is in all sums that come after it."""
    attrs = node.attrs
    return apply("cumulative_sum", g, axis=attrs["axis"], reverse=not attrs["reverse"])


def forward_extremum(node: Node, tangents: Sequence[Node | None]) -> Node:
    """The tangent of the element that is the extremum so far: the latest of several."""
    (x,), axis, tangent = node.inputs, node.attrs["axis"], tangents[0]
    assert tangent is not None
    return apply("take_along_axis", tangent, extremum_place(x, node, axis), axis=axis)


def extremum_place(x: Node, y: Node, axis: int) -> Node:
    """Where the extremum so far stands (a NaN counts as one): the latest place of several."""
    hit = apply("equal", x, y)
    if is_float(x.dtype):
        hit = apply("bitwise_or", hit, apply("isnan", x))
    place = apply("iota", shape=x.shape, axis=axis, dtype=int64)
    held = apply("where", hit, place, full(0, x.shape, int64))
    return apply("cumulative_max", held, axis=axis)


# -------------------------------------------------------------------------------- log-sum-exp


def add_exponents(a: Node, b: Node) -> Node:
    """log(e^a + e^b), by the larger of both, so that nothing overflows."""
    peak = apply("stop_gradient", apply("maximum", a, b))
    peak = apply("where", apply("isfinite", peak), peak, full(0, peak.shape, peak.dtype))
    return apply("log", apply("exp", a - peak) + apply("exp", b - peak)) + peak


def numpy_logsumexp(x: np.ndarray, *, axis: int) -> np.ndarray:
    """The same steps with NumPy's logaddexp."""
    y = np.moveaxis(x.copy(), axis, 0)
    width = 1
    with np.errstate(all="ignore"):
        while width < len(y):
            y[width:] = np.logaddexp(y[:-width], y[width:])
            width *= 2
    return np.moveaxis(y, 0, axis)


# --------------------------------------------------------------------------------- the table


def along_axes(rng: np.random.Generator) -> Sequence[Case]:
    """The last axis and the first; an axis of one element."""
    shapes = (((3, 5), 1), ((4, 2), 0), ((1, 3), 0))
    return [Case((rng.uniform(-2, 2, shape),), {"axis": axis}) for shape, axis in shapes]


def both_ways(rng: np.random.Generator) -> Sequence[Case]:
    """The same from the front and from the end."""
    return [
        Case(case.inputs, {**case.attrs, "reverse": reverse})
        for case in along_axes(rng)
        for reverse in (False, True)
    ]


def with_zeros(rng: np.random.Generator) -> Sequence[Case]:
    """The same, and products with one zero and with two."""
    zeros = np.array([[1.5, 0.0, -2.0, 0.5], [0.0, 3.0, 0.0, 2.0]])
    return [*along_axes(rng), Case((zeros,), {"axis": 1})]


def cumulative(
    name: str,
    numpy: Callable[..., np.ndarray],
    xla: str,
    derivative: Derivative,
    steps: tuple[Combine, Identity],
    gate: str,
    *,
    dtypes: Sequence[np.dtype] = NUMBERS,
    sample: Callable[[np.random.Generator], Sequence[Case]] = along_axes,
) -> Op:
    """One entry of the table below."""
    return Op(
        name,
        type=cumulative_type(name, dtypes),
        numpy=numpy,
        derivative=derivative,
        lowering=ByExpansion(),
        batch=moved("axis"),
        xla=lambda x, value, **attrs: getattr(x.lax, xla)(value, **attrs),
        formula=name + "({0}, axis={axis})",
        sample=sample,
        dtypes=tuple(dtypes),
        gate=gate,
        expand=stepwise(*steps),
    )


def binary(name: str) -> Combine:
    """An elementwise op of two values."""
    return lambda a, b: apply(name, a, b)


ROUTES = "routes: the gradient goes to the element that was chosen, the latest of several"

# fmt: off
register(
    (
        cumulative("cumulative_sum", accumulate(np.add), "cumsum", Linear((back_sum,)),
                   (binary("add"), lambda dtype: 0),
                   "every element gets the gradients of all sums that come after it",
                   sample=both_ways),
        cumulative("cumulative_prod", accumulate(np.multiply), "cumprod", ByExpansion(),
                   (binary("multiply"), lambda dtype: 1),
                   "multiply swaps, in each product that the element is part of",
                   sample=with_zeros),
        cumulative("cumulative_max", accumulate(np.maximum), "cummax", Forward(forward_extremum),
                   (binary("maximum"), lowest), f"max {ROUTES}"),
        cumulative("cumulative_min", accumulate(np.minimum), "cummin", Forward(forward_extremum),
                   (binary("minimum"), highest), f"min {ROUTES}"),
        cumulative("cumulative_logsumexp", numpy_logsumexp, "cumlogsumexp", ByExpansion(),
                   (add_exponents, lambda dtype: -np.inf),
                   "each element gets its share of every sum that comes after it", dtypes=FLOATS),
    ),
    "cumulative",
)
# fmt: on
