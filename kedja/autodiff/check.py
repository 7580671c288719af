"""Derivatives checked against finite differences, in float64.

Both modes are checked along random directions: with the central difference
    d(h) = (f(x + h·t) − f(x − h·t)) / 2h
Richardson's extrapolation (4·d(h/2) − d(h))/3 is right to O(h⁴). Next: `kedja/interpret`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kedja.autodiff.forward import jvp
from kedja.autodiff.reverse import vjp
from kedja.ground.dtypes import is_float
from kedja.interpret.reference import run
from kedja.ir.graph import Node, constant, variable
from kedja.ir.op import Type

Function = Callable[..., Node]


@dataclass(frozen=True)
class Finding:
    """The largest deviation of a derivative from finite differences, relative to its size."""

    forward: float
    reverse: float

    def worst(self) -> float:
        """The larger deviation of both modes."""
        return max(self.forward, self.reverse)


def check(
    f: Function, arrays: Sequence[np.ndarray], *, step: float = 1e-3, seed: int = 0
) -> Finding:
    """Compare both derivatives of `f` (nodes in, one node out) with finite differences.

    Float inputs must be float64. Inputs of other dtypes are held fixed.
    """
    rng = np.random.default_rng(seed)
    inputs = [variable(f"x{i}", Type(a.shape, a.dtype)) for i, a in enumerate(arrays)]
    output = f(*inputs)
    bound = dict(zip(inputs, arrays, strict=True))
    moving = [node for node in inputs if is_float(node.dtype)]
    directions = {node: rng.standard_normal(node.shape) for node in moving}
    expected = difference(output, bound, directions, step)
    tangents = {node: constant(t) for node, t in directions.items()}
    forward = run(jvp([output], tangents), bound)[0]
    weight = rng.standard_normal(output.shape)
    back = vjp([output], [constant(weight)], moving)
    reverse = sum(
        float(np.sum(run([g], bound)[0] * directions[node]))
        for node, g in zip(moving, back, strict=True)
        if g is not None
    )
    scale = float(np.max(np.abs(expected), initial=1.0))
    apart = float(np.max(np.abs(forward - expected), initial=0.0))
    product = float(np.sum(weight * expected))
    size = max(1.0, float(np.sum(np.abs(weight * expected))))
    return Finding(apart / scale, abs(reverse - product) / size)


def difference(
    output: Node,
    bound: dict[Node, np.ndarray],
    directions: dict[Node, np.ndarray],
    step: float,
) -> np.ndarray:
    """The directional derivative by extrapolated central differences."""

    def at(h: float) -> np.ndarray:
        moved = {node: bound[node] + h * t for node, t in directions.items()}
        return run([output], {**bound, **moved})[0]

    def central(h: float) -> np.ndarray:
        return np.asarray((at(h) - at(-h)) / (2 * h))

    return np.asarray((4 * central(step / 2) - central(step)) / 3)
