"""Reductions, cumulative sums and products, the largest and smallest elements.

Not here: softmax (`activations.py`). Next: `movement.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from kedja.front import arithmetic, functions, sorting
from kedja.front.arithmetic import cast
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import bool_, float32, highest, int8, int64, is_float, is_half, lowest
from kedja.io.onnx.call import Call, Value
from kedja.io.onnx.operators.elementwise import divide
from kedja.io.onnx.plan import Operator, Rule
from kedja.ops.types import normal_axis

# ------------------------------------------------------------------------------- reductions

# The version since which the axes are an input instead of an attribute.
AXES_AS_INPUT = {"ReduceSum": 13}
AXES_AS_INPUT_OF_OTHERS = 18


def reduction(function: Callable[..., Tensor]) -> Rule:
    """`function(x, axes, keepdims)`, whose result has the dtype of x."""

    def rule(call: Call, x: Tensor, axes: Value = None) -> Tensor:
        chosen = call.axes(axes, AXES_AS_INPUT.get(call.operator, AXES_AS_INPUT_OF_OTHERS))
        if not chosen:
            chosen = [] if call.get("noop_with_empty_axes", 0) else list(range(x.ndim))
        found = function(x, tuple(chosen), bool(call.get("keepdims", 1)))
        return cast(found, x.dtype)

    return rule


def wide(x: Tensor) -> Tensor:
    """Half dtypes as float32, so that a chain of ops is rounded once."""
    return cast(x, float32) if is_half(x.dtype) else x


def l1(x: Tensor, axes: Any, keepdims: bool) -> Tensor:
    """Σ|x|."""
    return functions.sum(functions.abs(wide(x)), axes, keepdims)


def squares(x: Tensor, axes: Any, keepdims: bool) -> Tensor:
    """Σx²."""
    return functions.sum(functions.square(wide(x)), axes, keepdims)


def l2(x: Tensor, axes: Any, keepdims: bool) -> Tensor:
    """√Σx²."""
    return functions.sqrt(squares(x, axes, keepdims))


def log_sum(x: Tensor, axes: Any, keepdims: bool) -> Tensor:
    """log Σx."""
    return functions.log(functions.sum(wide(x), axes, keepdims))


def extremum(
    function: Callable[..., Tensor], identity: Callable[..., Any]
) -> Callable[..., Tensor]:
    """The largest or smallest element; over an axis without elements the identity."""

    def rule(x: Tensor, axes: Any, keepdims: bool) -> Tensor:
        if all(x.shape[axis] for axis in axes):
            return function(x, axes, keepdims)
        start = identity(int8) > 0 if x.dtype == bool_ else identity(x.dtype)
        return functions.full(functions.sum(x, axes, keepdims).shape, start, x.dtype)

    return rule


def log_sum_exp(x: Tensor, axes: Any, keepdims: bool) -> Tensor:
    """log Σe^x, without overflow."""
    if not all(x.shape[axis] for axis in axes):
        return log_sum(x, axes, keepdims)
    if not axes:
        return functions.log(functions.exp(wide(x)))
    return functions.logsumexp(wide(x), axes, keepdims)


def mean(x: Tensor, axes: Any, keepdims: bool) -> Tensor:
    """The mean; that of whole numbers is cut off."""
    if not axes or is_float(x.dtype):
        return functions.mean(x, axes, keepdims) if axes else x
    count = math.prod(x.shape[axis] for axis in axes)
    total = functions.sum(x, axes, keepdims)
    return divide(total, functions.full((), count, total.dtype))


# ------------------------------------------------------------------------ places of extrema


def place(function: Callable[..., Tensor]) -> Rule:
    """The place of the largest or smallest element, the first or the last of several."""

    def rule(call: Call, x: Tensor) -> Tensor:
        axis = normal_axis(call.operator, call.get("axis", 0), x.ndim)
        keepdims = bool(call.get("keepdims", 1))
        if not call.get("select_last_index", 0):
            return function(x, axis, keepdims=keepdims)
        return x.shape[axis] - 1 - function(functions.flip(x, axis), axis, keepdims=keepdims)

    return rule


def top_k(call: Call, x: Tensor, k: Value = None) -> tuple[Tensor, Tensor]:
    """The k largest or smallest elements along an axis, and their places."""
    count = call.need("k") if k is None else call.integer(k, "k")
    found = sorting.top_k(x, count, call.get("axis", -1), bool(call.get("largest", 1)))
    return found[0], cast(found[1], int64)


# ------------------------------------------------------------------------------- cumulative


def cumulative(name: str, start: int) -> Rule:
    """Sums or products of all elements up to each, or (`exclusive`) of those before it."""

    def rule(call: Call, x: Tensor, axis: Value) -> Tensor:
        along = normal_axis(call.operator, call.integer(axis, "axis"), x.ndim)
        backwards, exclusive = call.get("reverse", 0), call.get("exclusive", 0)
        if backwards:
            x = functions.flip(x, along)
        found = arithmetic.call(name, x, axis=along, **EXTRA.get(name, {}))
        if exclusive:
            found = _moved_on(found, along, start)
        return functions.flip(found, along) if backwards else found

    return rule


EXTRA: dict[str, dict[str, Any]] = {"cumulative_sum": {"reverse": False}}


def _moved_on(x: Tensor, axis: int, start: int) -> Tensor:
    """y[0] = start, y[i] = x[i − 1]."""
    widths = [(1, 0) if each == axis else (0, 0) for each in range(x.ndim)]
    key = [slice(0, n) for n in x.shape]
    return functions.pad(x, widths, start)[tuple(key)]


# fmt: off
OPERATORS = (
    Operator("ArgMax",          place(functions.argmax)),
    Operator("ArgMin",          place(functions.argmin)),
    Operator("CumProd",         cumulative("cumulative_prod", 1), known=(1,)),
    Operator("CumSum",          cumulative("cumulative_sum", 0), known=(1,)),
    Operator("ReduceL1",        reduction(l1), known=(1,)),
    Operator("ReduceL2",        reduction(l2), known=(1,)),
    Operator("ReduceLogSum",    reduction(log_sum), known=(1,)),
    Operator("ReduceLogSumExp", reduction(log_sum_exp), known=(1,)),
    Operator("ReduceMax",       reduction(extremum(functions.max, lowest)), known=(1,)),
    Operator("ReduceMean",      reduction(mean), known=(1,)),
    Operator("ReduceMin",       reduction(extremum(functions.min, highest)), known=(1,)),
    Operator("ReduceProd",      reduction(functions.prod), known=(1,)),
    Operator("ReduceSum",       reduction(functions.sum), known=(1,)),
    Operator("ReduceSumSquare", reduction(squares), known=(1,)),
    Operator("TopK",            top_k, known=(1,)),
)
# fmt: on
