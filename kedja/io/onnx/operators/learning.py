"""Steps of optimisers (`ai.onnx.preview.training`) and features of tables (`ai.onnx.ml`).

Inputs of the optimisers: rate, step count, then all parameters, all gradients, all states.
Next: `left_out.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kedja.front import functions
from kedja.front.arithmetic import cast
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import float32, int64
from kedja.io.onnx.call import Call, tensor_of
from kedja.io.onnx.plan import Operator, Rule

Step = Callable[..., tuple[Tensor, ...]]


def optimiser(step: Step, states: int) -> Rule:
    """`step(call, rate, count, x, g, *states)` for each parameter; outputs in groups as inputs."""

    def rule(call: Call, rate: Tensor, count: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        size = len(given) // (2 + states)
        groups = [given[place * size : (place + 1) * size] for place in range(2 + states)]
        found = [step(call, rate, count, *each) for each in zip(*groups, strict=True)]
        return tuple(each for group in zip(*found, strict=True) for each in group)

    return rule


def adagrad(call: Call, rate: Any, t: Any, x: Any, g: Any, h: Any) -> tuple[Tensor, ...]:
    """h ← h + g²; x ← x − r·g/(√h + ε)."""
    rate = rate / (1 + cast(t, x.dtype) * call.get("decay_factor", 0.0))
    g = g + x * call.get("norm_coefficient", 0.0)
    h = h + g * g
    return x - rate * g / (functions.sqrt(h) + call.get("epsilon", 1e-6)), h


def adam(call: Call, rate: Any, t: Any, x: Any, g: Any, v: Any, h: Any) -> tuple[Tensor, ...]:
    """v ← α·v + (1 − α)·g; h ← β·h + (1 − β)·g²; x ← x − r'·v/(√h + ε)."""
    alpha, beta = call.get("alpha", 0.9), call.get("beta", 0.999)
    g = g + x * call.get("norm_coefficient", 0.0)
    v = v * alpha + g * (1 - alpha)
    h = h * beta + g * g * (1 - beta)
    number = cast(t, x.dtype)
    right = functions.sqrt(1 - beta**number) / (1 - alpha**number)
    rate = functions.where(functions.greater(t, 0), rate * right, rate)
    x = x - rate * v / (functions.sqrt(h) + call.get("epsilon", 1e-6))
    return x * (1 - call.get("norm_coefficient_post", 0.0)), v, h


def momentum(call: Call, rate: Any, t: Any, x: Any, g: Any, v: Any) -> tuple[Tensor, ...]:
    """v ← α·v + β·g (β = 1 at first); x ← x − r·v, or x − r·(g + α·v) after Nesterov."""
    mode = call.choice("mode", "standard", ("standard", "nesterov"))
    g = g + x * call.get("norm_coefficient", 0.0)
    first = functions.where(functions.greater(t, 0), call.need("beta"), 1.0)
    v = v * call.need("alpha") + g * cast(first, x.dtype)
    return x - rate * (v if mode == "standard" else g + v * call.need("alpha")), v


# ----------------------------------------------------------------------------------- tables


def extracted(call: Call, x: Tensor, columns: Tensor) -> Tensor:
    """Columns (the last axis) by their places."""
    found = functions.take(x, functions.reshape(columns, -1), x.ndim - 1)
    return functions.reshape(found, (1, -1)) if x.ndim == 1 else found


def binarized(call: Call, x: Tensor) -> Tensor:
    """1 above a threshold, else 0."""
    return cast(functions.greater(x, call.get("threshold", 0.0)), x.dtype)


def standardised(call: Call, x: Tensor) -> Tensor:
    """(x − offset)·scale."""
    offset, scale = (np.asarray(call.need(each), np.float32) for each in ("offset", "scale"))
    return (cast(x, float32) - tensor_of(offset)) * tensor_of(scale)


def regressed(call: Call, x: Tensor) -> Tensor:
    """x·W + b."""
    if call.get("post_transform", "NONE") != "NONE":
        call.refuse(f"post_transform={call.get('post_transform')}")
    targets = call.get("targets", 1)
    weights = np.asarray(call.need("coefficients"), np.float32).reshape(targets, -1)
    y = functions.matmul(cast(x, float32), tensor_of(weights.T))
    start = call.get("intercepts")
    return y if start is None else y + tensor_of(np.asarray(start, np.float32))


def normalized(call: Call, x: Tensor) -> Tensor:
    """Rows divided by their largest size, their sum of sizes, or their length."""
    mode = call.choice("norm", "MAX", ("MAX", "L1", "L2"))
    x = cast(x, float32)
    size = {
        "MAX": lambda: functions.max(x, -1, keepdims=True),
        "L1": lambda: functions.sum(functions.abs(x), -1, keepdims=True),
        "L2": lambda: functions.sqrt(functions.sum(x * x, -1, keepdims=True)),
    }[mode]()
    return x / functions.where(functions.equal(size, 0), 1, size)


def labelled(call: Call, x: Tensor) -> Tensor:
    """Numbers replaced by other numbers, through a table of keys and values."""
    keys, values = _column(call, "keys"), _column(call, "values")
    default = _default(call, values.dtype)
    place = functions.reshape(tensor_of(keys.astype(x.dtype)), (-1, *(1,) * x.ndim))
    hit = functions.equal(functions.expand_dims(x, 0), place)
    if keys.dtype.kind == "f":
        both = functions.logical_and(
            functions.isnan(functions.expand_dims(x, 0)), functions.isnan(place)
        )
        hit = functions.logical_or(hit, both)
    first = cast(functions.argmax(cast(hit, int64), 0), int64)
    found = functions.take(tensor_of(values), first, 0)
    return functions.where(functions.any(hit, 0), found, tensor_of(default))


def _column(call: Call, name: str) -> np.ndarray:
    for ending, dtype in (("floats", np.float32), ("int64s", np.int64)):
        if call.get(f"{name}_{ending}") is not None:
            return np.asarray(call.need(f"{name}_{ending}"), dtype)
    tensor = call.get(f"{name}_tensor")
    if tensor is None:
        call.refuse("texts")
    return np.asarray(tensor)


def _default(call: Call, dtype: np.dtype) -> np.ndarray:
    tensor = call.get("default_tensor")
    if tensor is not None:
        return np.asarray(tensor).reshape(())
    number = call.get("default_float", -0.0) if dtype.kind == "f" else call.get("default_int64", -1)
    return np.asarray(number, dtype)


# fmt: off
OPERATORS = (
    Operator("ai.onnx.ml.ArrayFeatureExtractor", extracted),
    Operator("ai.onnx.ml.Binarizer",             binarized),
    Operator("ai.onnx.ml.LabelEncoder",          labelled),
    Operator("ai.onnx.ml.LinearRegressor",       regressed),
    Operator("ai.onnx.ml.Normalizer",            normalized),
    Operator("ai.onnx.ml.Scaler",                standardised),
    Operator("ai.onnx.preview.training.Adagrad",  optimiser(adagrad, 1)),
    Operator("ai.onnx.preview.training.Adam",     optimiser(adam, 2)),
    Operator("ai.onnx.preview.training.Momentum", optimiser(momentum, 1)),
)
# fmt: on
