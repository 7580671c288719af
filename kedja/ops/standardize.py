"""Standardizing: mean 0 and variance 1 over some axes, the middle of every norm.

    y = (x − m)·r     m = mean(x)     r = 1/√(mean((x − m)²) + epsilon)

An op of its own for its derivative, which is symmetric and takes two sums, g ↦ r·(g − mean(g) −
y·mean(y·g)), where differentiating the formula by its parts would take five. Not here: layers with
weight and bias (`kedja/nn/norm.py`, `kedja/nn/batch_norm.py`). Next: `random.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kedja.ground.dtypes import float32, float64
from kedja.ir.graph import Node, apply, full
from kedja.ir.op import ByExpansion, Case, Forward, Op, Type, register
from kedja.ops.batching import moved
from kedja.ops.reduce import Axes, spread
from kedja.ops.types import require_dtype

DTYPES = (float32, float64)


def standardize_type(x: Type, *, axes: Axes, epsilon: float) -> Type:
    """The type of x; half dtypes are widened by those who call it, also on the way back."""
    require_dtype("standardize", x.dtype, DTYPES)
    return x


def numpy_standardize(x: np.ndarray, *, axes: Axes, epsilon: float) -> np.ndarray:
    """The meaning of standardize."""
    count = x.dtype.type(math.prod(x.shape[axis] for axis in axes))
    with np.errstate(all="ignore"):
        apart = x - np.sum(x, axis=axes, keepdims=True) / count
        var = np.sum(apart * apart, axis=axes, keepdims=True) / count
        one, small = x.dtype.type(1), x.dtype.type(epsilon)
        return np.asarray(apart * (one / np.sqrt(var + small)))


class Standard(NamedTuple):
    """What standardizing multiplies: x − m, and r at every element."""

    apart: Node
    scale: Node


def standard(x: Node, axes: Axes, epsilon: float) -> Standard:
    """The factors of the standardized value."""
    apart = x - spread(mean(x, axes), x, axes)
    var = mean(apart * apart, axes)
    return Standard(apart, spread(1 / apply("sqrt", var + epsilon), x, axes))


def mean(x: Node, axes: Axes) -> Node:
    """Σx/n over some axes, which are dropped."""
    total = apply("sum", x, axes=axes)
    return total / full(math.prod(x.shape[axis] for axis in axes), total.shape, x.dtype)


def expand_standardize(x: Node, *, axes: Axes, epsilon: float) -> Node:
    """(x − m)·r."""
    factors = standard(x, axes, epsilon)
    return factors.apart * factors.scale


def back_standardize(g: Node, node: Node) -> Node:
    """r·(g − mean(g) − y·mean(y·g)): what is constant, and what is along y, does not change y."""
    (x,), axes = node.inputs, node.attrs["axes"]
    straight = spread(mean(g, axes), x, axes)
    along = node * spread(mean(node * g, axes), x, axes)
    return standard(x, axes, node.attrs["epsilon"]).scale * (g - straight - along)


def forward_standardize(node: Node, tangents: Sequence[Node | None]) -> Node:
    """The same: the derivative is symmetric."""
    (tangent,) = tangents
    assert tangent is not None
    return back_standardize(tangent, node)


def sample_standardize(rng: np.random.Generator) -> Sequence[Case]:
    """The last axis, all but the second, the first."""
    shapes, axes = ((3, 5), (2, 3, 4), (4, 6)), ((1,), (0, 2), (0,))
    arrays = [rng.uniform(-2, 2, shape) for shape in shapes]
    return [
        Case((x,), {"axes": each, "epsilon": 1e-3}) for x, each in zip(arrays, axes, strict=True)
    ]


register(
    (
        Op(
            "standardize",
            type=standardize_type,
            numpy=numpy_standardize,
            derivative=Forward(forward_standardize, (back_standardize,)),
            lowering=ByExpansion(),
            batch=moved("axes"),
            xla=ByExpansion(),
            formula="standardize({0}, axes={axes})",
            sample=sample_standardize,
            dtypes=DTYPES,
            expand=expand_standardize,
            gate="1/√(var + epsilon) scales what is neither constant nor along the result",
        ),
    ),
    "standardize",
)
