"""Reductions: the named axes are folded into one value, in a fixed order, and disappear.

Not here: mean, logsumexp, softmax, argmax (`composite.py`), which are built from these.
Next: `movement.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kedja.ground.dtypes import NUMBERS, bool_, highest, lowest
from kedja.ground.errors import ShapeError
from kedja.ir.graph import Node, apply, full
from kedja.ir.op import (
    ByExpansion,
    Case,
    Derivative,
    Fold,
    Forward,
    Linear,
    NoDerivative,
    Op,
    Rule,
    Type,
    register,
)
from kedja.ops import xla_rules
from kedja.ops.batching import moved
from kedja.ops.samples import Sampler
from kedja.ops.types import TypeRule, require_dtype

Axes = tuple[int, ...]


def kept_shape(shape: Sequence[int], axes: Axes) -> tuple[int, ...]:
    """The shape after the reduction, with the reduced axes left in as 1."""
    return tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))


def reduced_type(name: str, allowed: Sequence[np.dtype], empty: bool) -> TypeRule:
    """The reduced axes are dropped; an op without identity refuses axes of no elements."""

    def rule(x: Type, *, axes: Axes) -> Type:
        require_dtype(name, x.dtype, allowed)
        if not empty and any(x.shape[axis] == 0 for axis in axes):
            raise ShapeError(f"{name} over an axis without elements, shape {list(x.shape)}")
        return Type(tuple(n for axis, n in enumerate(x.shape) if axis not in axes), x.dtype)

    return rule


def spread(value: Node, like: Node, axes: Axes) -> Node:
    """A reduced value at every index of the axes that were reduced."""
    kept = apply("reshape", value, shape=kept_shape(like.shape, axes))
    return apply("broadcast", kept, shape=like.shape)


def back_sum(g: Node, node: Node) -> Node:
    """Every summand gets the whole gradient."""
    return spread(g, node.inputs[0], node.attrs["axes"])


def forward_extremum(node: Node, tangents: Sequence[Node | None]) -> Node:
    """The mean tangent of the elements that attain the extremum: half to each of two."""
    (x,), axes, tangent = node.inputs, node.attrs["axes"], tangents[0]
    assert tangent is not None
    hit = apply("cast", apply("equal", x, spread(node, x, axes)), dtype=x.dtype)
    count = apply("sum", hit, axes=axes)
    return apply("sum", tangent * hit, axes=axes) / count


def expand_prod(x: Node, *, axes: Axes) -> Node:
    """Halves multiplied again and again: right to every order where factors are 0."""
    kept = tuple(axis for axis in range(len(x.shape)) if axis not in axes)
    shape = tuple(x.shape[axis] for axis in kept)
    count = math.prod(x.shape[axis] for axis in axes)
    if count == 0:
        return full(1, shape, x.dtype)
    lines = apply("transpose", x, axes=(*kept, *axes))
    lines = apply("reshape", lines, shape=(*shape, count))  # (… n)
    while lines.shape[-1] > 1:
        half = lines.shape[-1] // 2
        pairs = [part_of(lines, 0, half) * part_of(lines, half, 2 * half)]
        if lines.shape[-1] > 2 * half:
            pairs.append(part_of(lines, 2 * half, lines.shape[-1]))
        lines = apply("concatenate", *pairs, axis=len(shape)) if len(pairs) > 1 else pairs[0]
    return apply("reshape", lines, shape=shape)


def part_of(x: Node, start: int, stop: int) -> Node:
    """A range of the last axis."""
    rank = len(x.shape)
    starts, stops = (*(0,) * (rank - 1), start), (*x.shape[:-1], stop)
    return apply("slice", x, starts=starts, stops=stops, steps=(1,) * rank)


def with_axes(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """NumPy's reduction under the name `axes`, in the input's dtype."""

    def call(x: np.ndarray, *, axes: Axes) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(function(x, axis=axes)).astype(x.dtype)

    return call


def several(kind: type) -> Sampler:
    """The last, the first, two and all axes of small arrays."""

    def sample(rng: np.random.Generator) -> Sequence[Case]:
        axes = ((1,), (0,), (0, 2), (0, 1, 2))
        shapes = ((3, 5), (3, 5), (2, 3, 4), (2, 3, 2))
        arrays = [rng.uniform(-2, 2, shape) for shape in shapes]
        values = [array > 0 if kind is bool else array for array in arrays]
        return [Case((x,), {"axes": a}) for x, a in zip(values, axes, strict=True)]

    return sample


def reduction(
    name: str,
    numpy: Callable[..., Any],
    derivative: Derivative,
    fold: Fold,
    dtypes: Sequence[np.dtype] = NUMBERS,
    *,
    empty: bool = True,
    gate: str = "",
    xla: Rule | None = None,
    expand: Rule | None = None,
) -> Op:
    """One entry of the table below."""
    return Op(
        name,
        type=reduced_type(name, dtypes, empty),
        numpy=with_axes(numpy),
        derivative=derivative,
        lowering=fold,
        batch=moved("axes"),
        xla=xla or xla_rules.over_axes(name),
        formula=name + "({0}, axes={axes})",
        sample=several(bool if bool_ in dtypes else float),
        dtypes=tuple(dtypes),
        gate=gate,
        expand=expand,
    )


LOGICAL = NoDerivative("its values are true or false")
ADD = Fold(lambda dtype: 0, lambda e, a, b: e.add(a, b))
TIMES = Fold(lambda dtype: 1, lambda e, a, b: e.multiply(a, b))
MAX = Fold(lowest, lambda e, a, b: e.maximum(a, b))
MIN = Fold(highest, lambda e, a, b: e.minimum(a, b))
ANY = Fold(lambda dtype: False, lambda e, a, b: e.bitwise_or(a, b))
ALL_OF = Fold(lambda dtype: True, lambda e, a, b: e.bitwise_and(a, b))
ROUTES = (
    "routes: the gradient goes to the element that was chosen, in equal parts where several tie"
)

register(
    (
        reduction(
            "sum",
            np.sum,
            Linear((back_sum,)),
            ADD,
            gate="sum distributes the gradient to all",
            xla=xla_rules.total,
        ),
        reduction(
            "prod",
            np.prod,
            ByExpansion(),
            TIMES,
            gate="multiply swaps: each factor gets the gradient times the product of the others",
            xla=xla_rules.product,
            expand=expand_prod,
        ),
        reduction("max", np.max, Forward(forward_extremum), MAX, empty=False, gate=f"max {ROUTES}"),
        reduction("min", np.min, Forward(forward_extremum), MIN, empty=False, gate=f"min {ROUTES}"),
        reduction("any", np.any, LOGICAL, ANY, (bool_,)),
        reduction("all", np.all, LOGICAL, ALL_OF, (bool_,)),
    ),
    "reduce",
)
