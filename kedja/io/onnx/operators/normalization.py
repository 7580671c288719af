"""Normalisation: of batches, examples, groups, last axes, neighbours, vectors.

Next: `losses.py`.
"""

from __future__ import annotations

import math
from typing import Any

from kedja.front import functions
from kedja.front.arithmetic import cast
from kedja.front.tensor import Tensor
from kedja.io.onnx import elements
from kedja.io.onnx.call import Call, Value
from kedja.io.onnx.operators.pooling import p_norm
from kedja.io.onnx.operators.reduce import wide
from kedja.io.onnx.plan import Operator
from kedja.nn import functional
from kedja.nn.batch_norm import along_channels, normalised


def scaled(x: Tensor, y: Tensor, scale: Value, bias: Value) -> Tensor:
    """y·scale + bias for each channel, in the dtype of x."""
    y = y * cast(along_channels(x, scale), y.dtype) + cast(along_channels(x, bias), y.dtype)
    return cast(y, x.dtype)


# -------------------------------------------------------------------------------- batch norm


def batch_norm(
    call: Call, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor
) -> tuple[Tensor, ...]:
    """(x − mean)/√(var + epsilon)·scale + bias; in training with the batch's own statistics."""
    if not call.get("spatial", 1):
        call.refuse("spatial=0")
    epsilon, momentum = call.get("epsilon", 1e-5), call.get("momentum", 0.9)
    if not _is_training(call):
        y = normalised(x, cast(mean, wide(mean).dtype), cast(var, wide(var).dtype), epsilon)
        return (scaled(x, y, scale, bias),)
    axes = (0, *range(2, x.ndim))
    own_mean, own_var = functions.mean(wide(x), axes), functions.var(wide(x), axes)
    y = scaled(x, normalised(x, own_mean, own_var, epsilon), scale, bias)
    running = [
        cast(old * momentum + new * (1 - momentum), old.dtype)
        for old, new in ((mean, own_mean), (var, own_var))
    ]
    return y, *running, cast(own_mean, mean.dtype), cast(own_var, var.dtype)


def _is_training(call: Call) -> bool:
    if call.version >= 14:
        return bool(call.get("training_mode", 0))
    if call.version < 7:
        return not call.get("is_test", 0)
    return any(call.wants(place) for place in range(1, 5))


# ------------------------------------------------------------------------- examples and groups


def instance_norm(call: Call, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """As batch norm, with the mean and variance of each example and channel."""
    return functional.instance_norm(x, weight=scale, bias=bias, eps=call.get("epsilon", 1e-5))


def group_norm(call: Call, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """As instance norm, over groups of channels; before version 21 scaled by group."""
    groups = call.need("num_groups")
    if call.version < 21:
        each = x.shape[1] // groups
        scale, bias = functions.repeat(scale, each, 0), functions.repeat(bias, each, 0)
    return functional.group_norm(x, groups, scale, bias, call.get("epsilon", 1e-5))


# ---------------------------------------------------------------------------- the last axes


def layer_norm(
    call: Call, x: Tensor, scale: Tensor, bias: Value = None
) -> tuple[Tensor, Tensor, Tensor]:
    """(x − mean)/√(var + epsilon)·scale + bias over the axes from one on; mean and 1/√… too."""
    axes = tuple(range(call.get("axis", -1) % x.ndim, x.ndim))
    values = cast(x, elements.dtype_of(call.get("stash_type", 1)))
    mean = functions.mean(values, axes, keepdims=True)
    apart = values - mean
    var = functions.mean(functions.square(apart), axes, keepdims=True)
    inverse = 1 / functions.sqrt(var + call.get("epsilon", 1e-5))
    y = cast(apart * inverse, x.dtype) * scale
    return (y if bias is None else y + bias), mean, inverse


def rms_norm(call: Call, x: Tensor, scale: Tensor) -> Tensor:
    """x/√(mean(x²) + epsilon)·scale over the axes from one on."""
    axes = tuple(range(call.get("axis", -1) % x.ndim, x.ndim))
    values = cast(x, elements.dtype_of(call.get("stash_type", 1)))
    mean = functions.mean(functions.square(values), axes, keepdims=True)
    y = values / functions.sqrt(mean + call.get("epsilon", 1e-5))
    return cast(y, x.dtype) * scale


def mean_variance(call: Call, x: Tensor) -> Tensor:
    """(x − mean)/(standard deviation + 1e-9) over some axes."""
    axes = tuple(call.get("axes", (0, 2, 3)))
    values = wide(x)
    apart = values - functions.mean(values, axes, keepdims=True)
    deviation = functions.sqrt(functions.mean(functions.square(apart), axes, keepdims=True))
    return cast(apart / (deviation + 1e-9), x.dtype)


# -------------------------------------------------------------------- neighbours and vectors


def neighbours(call: Call, x: Tensor) -> Tensor:
    """x/(bias + alpha/size·Σx² over neighbouring channels)^beta."""
    size = call.need("size")
    low, high = (size - 1) // 2, math.ceil((size - 1) / 2)
    rest = ((0, 0),) * (x.ndim - 2)
    squares = functions.pad(functions.square(wide(x)), ((0, 0), (low, high), *rest))
    total: Any = sum(squares[:, start : start + x.shape[1]] for start in range(size))
    alpha, beta = call.get("alpha", 1e-4), call.get("beta", 0.75)
    return cast(wide(x) / (total * (alpha / size) + call.get("bias", 1.0)) ** beta, x.dtype)


def unit_vectors(call: Call, x: Tensor) -> Tensor:
    """x/‖x‖ along an axis; 0 where the norm is 0."""
    norm = p_norm(wide(x), call.get("p", 2), (call.get("axis", -1) % x.ndim,), keepdims=True)
    nothing = functions.equal(norm, 0)
    safe = functions.where(nothing, 1, norm)
    return cast(functions.where(nothing, 0, wide(x) / safe), x.dtype)


# fmt: off
OPERATORS = (
    Operator("BatchNormalization",        batch_norm, statistics=(3, 4)),
    Operator("GroupNormalization",        group_norm),
    Operator("InstanceNormalization",     instance_norm),
    Operator("LRN",                       neighbours),
    Operator("LayerNormalization",        layer_norm),
    Operator("LpNormalization",           unit_vectors),
    Operator("MeanVarianceNormalization", mean_variance),
    Operator("RMSNormalization",          rms_norm),
)
# fmt: on
