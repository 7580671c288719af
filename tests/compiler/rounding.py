"""How far two executors of one graph may drift apart: a running bound of their rounding errors.

Each node adds its own rounding to what its inputs' errors become, to first order, by the op's own
derivative. Decisions (comparisons, floor, casts to integers) are taken to be made on exact values
only, as the generator of the graphs sees to. Next: `random_graphs.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kedja.ground.dtypes import bfloat16, float16, float32, float64, is_float, is_half
from kedja.ground.limits import float_limits
from kedja.interpret.reference import node_value, run
from kedja.ir.graph import Node, expanded, rebuild, topological, transform, variable
from kedja.ir.op import ByExpansion, Forward, Linear, Multilinear, NoDerivative, Partials

Arrays = Mapping[Node, np.ndarray]
FLUSHED = {float16: 0.0, bfloat16: 1e-37, float32: 1e-37, float64: 1e-307}
ROUNDED = {"add", "subtract", "multiply", "divide", "sqrt", "cast"}  # half an ulp each
STEEPEST_ONE = {"abs", "relu", "maximum", "minimum"}  # slopes of at most 1 on both sides of a kink
ULPS = 8  # of a transcendental function, in both executors together


def bounds(outputs: Sequence[Node], bound: Arrays) -> list[np.ndarray]:
    """For each output the largest difference that rounding can explain, element by element."""
    outputs = transform(outputs, _without_composites, {node: node for node in bound})
    values: dict[Node, np.ndarray] = dict(bound)
    errors = {node: np.zeros(node.shape) for node in bound}
    for node in topological(outputs, leaves=bound):
        if node not in values:
            inputs = [values[each] for each in node.inputs]
            values[node] = node_value(node, inputs)
            with np.errstate(all="ignore"):
                errors[node] = _error(node, values[node], inputs, [errors[e] for e in node.inputs])
    return [2 * errors[node] for node in outputs]  # each executor errs once


def _without_composites(node: Node, inputs: Sequence[Node]) -> Node:
    if node.op.expand is None:
        return rebuild(node, inputs)
    return transform([expanded(node, inputs)], _without_composites, {x: x for x in inputs})[0]


def _error(
    node: Node, y: np.ndarray, xs: Sequence[np.ndarray], errors: Sequence[np.ndarray]
) -> np.ndarray:
    if not is_float(node.dtype):
        return np.zeros(node.shape)
    own = _own(node, y, xs) + FLUSHED[node.dtype]
    passed_on = _passed_on(node, y, xs, errors)
    return passed_on if _only_moves(node) else passed_on + own


def _own(node: Node, y: np.ndarray, xs: Sequence[np.ndarray]) -> np.ndarray:
    """What this node rounds; half dtypes are computed in float32, then rounded once."""
    if not is_half(node.dtype):
        return float_limits(node.dtype).eps * _rounded(node, y, xs)
    facts = float_limits(node.dtype)
    last = facts.eps * np.maximum(np.abs(y.astype(np.float64)), facts.smallest_normal)
    return float_limits(float32).eps * _rounded(node, y, xs) + last


def _only_moves(node: Node) -> bool:
    return node.op.flops == 0 or node.op.name in ("where", "copy", "stop_gradient", "full")


def _rounded(node: Node, y: np.ndarray, xs: Sequence[np.ndarray]) -> np.ndarray:
    """What is rounded in this node alone, times the number of roundings."""
    sizes = [np.abs(x.astype(np.float64)) if is_float(x.dtype) else x for x in xs]
    match node.op.name:
        case "sum":
            return _terms(xs[0], y) * np.asarray(node.op.numpy(sizes[0], **node.attrs))
        case "matmul":
            return xs[0].shape[-1] * (sizes[0] @ sizes[1])
        case "scatter_add" | "scatter_add_along_axis":
            return (xs[2].size + 1) * node.op.numpy(*sizes, **node.attrs)
    return (1 if node.op.name in ROUNDED else ULPS) * np.abs(y).astype(np.float64)


def _terms(x: np.ndarray, y: np.ndarray) -> int:
    return x.size // max(1, y.size)


def _passed_on(
    node: Node, y: np.ndarray, xs: Sequence[np.ndarray], errors: Sequence[np.ndarray]
) -> np.ndarray:
    match node.op.derivative:
        case _ if not errors:
            return np.zeros(node.shape)
        case Partials(rules):
            return _by_partials(node, rules, y, xs, errors)
        case Linear():
            return _by_linearity(node, xs, errors)
        case Multilinear():
            left, right = (
                np.abs(x.astype(np.float64)) + e for x, e in zip(xs, errors, strict=True)
            )
            return left @ errors[1] + errors[0] @ right
        case Forward():
            return np.max(errors[0], axis=node.attrs["axes"])
        case NoDerivative():
            return errors[0]
        case ByExpansion():
            raise AssertionError(f"{node} should have been expanded")


def _by_partials(
    node: Node,
    rules: Sequence,
    y: np.ndarray,
    xs: Sequence[np.ndarray],
    errors: Sequence[np.ndarray],
) -> np.ndarray:
    if node.op.name in STEEPEST_ONE:
        return np.max(errors, axis=0)
    given = [variable("x", each.type) for each in (node, *node.inputs)]
    known = dict(zip(given, (y, *xs), strict=True))
    whole = np.zeros(node.shape)
    for rule, error in zip(rules, errors, strict=True):
        if rule is not None and error.any():
            (slope,) = run([rule(*given)], known)
            whole += np.where(error == 0, 0, np.abs(slope).astype(np.float64) * error)
    return whole


def _by_linearity(node: Node, xs: Sequence[np.ndarray], errors: Sequence[np.ndarray]) -> np.ndarray:
    """The op itself on the errors; indices and conditions stay as they are."""
    if node.op.name == "subtract":
        return errors[0] + errors[1]
    if node.op.name == "cast":
        return errors[0]
    moved = [e if is_float(x.dtype) else x for x, e in zip(xs, errors, strict=True)]
    attrs = {**node.attrs, "value": 0} if node.op.name == "pad" else node.attrs
    return np.asarray(node.op.numpy(*moved, **attrs))
