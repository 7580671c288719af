"""Factors that do not vary along a sum are taken out of it.

    Σ_i c·x_i    is    c·Σ_i x_i

A norm's way back asks for Σ w·r·g and Σ r·x·g beside Σ g and Σ x·g, which are the gradients of its
bias and weight: with the factors outside, two sums are left of four, and w·g need not be stored.
Sums are rounded at other places, which is why this is no rule of `simplify.py`; half dtypes keep
their sums, which could overflow without a small factor. Why here: composites are open, and sums
not yet cut. Next: `carried_sums.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kedja.ground.dtypes import float32, float64
from kedja.ir.graph import Node, apply, full, is_full
from kedja.ir.rewrite import Rule, rewrite

Axes = tuple[int, ...]


def taken_out(outputs: Sequence[Node]) -> list[Node]:
    """The same values, constant factors multiplied after the sums."""
    return rewrite(outputs, RULES)


class Factors(NamedTuple):
    """A product: what varies along the axes of a sum (or nothing), and what is left without them,
    constant along them."""

    varying: Node | None
    constant: tuple[Node, ...]


def _sum(node: Node) -> Node | None:
    (x,), axes = node.inputs, node.attrs["axes"]
    if node.dtype not in (float32, float64) or x.type.size == 0:
        return None
    found = _factors(x, axes)
    if found.varying is None or not found.constant:
        return None
    total = apply("sum", found.varying, axes=axes)
    for each in found.constant:
        total = total * each
    return total


def _factors(x: Node, axes: Axes) -> Factors:
    """The factors of a product; one without constant ones stays as it is."""
    without = _without(x, axes)
    if without is not None:
        return Factors(None, (without,))
    if x.op.name != "multiply":
        return Factors(x, ())
    parts = [_factors(each, axes) for each in x.inputs]
    constant = tuple(each for part in parts for each in part.constant)
    if not constant:
        return Factors(x, ())
    varying = [part.varying for part in parts if part.varying is not None]
    return Factors(varying[0] * varying[1] if len(varying) == 2 else varying[0], constant)


def _without(x: Node, axes: Axes) -> Node | None:
    """A value without some axes, along which it is the same everywhere; None where it varies."""
    kept = tuple(n for axis, n in enumerate(x.shape) if axis not in axes)
    if is_full(x):
        return full(x.attrs["value"], kept, x.dtype)
    if x.op.name != "broadcast":
        return None
    (source,) = x.inputs
    lead = len(x.shape) - len(source.shape)
    if any(axis >= lead and source.shape[axis - lead] != 1 for axis in axes):
        return None
    shape = tuple(n for axis, n in enumerate(source.shape) if axis + lead not in axes)
    return apply("broadcast", apply("reshape", source, shape=shape), shape=kept)


RULES = (Rule("Σc·x -> c·Σx", ("sum",), _sum),)
