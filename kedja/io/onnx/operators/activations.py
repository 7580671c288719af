"""Activations, softmax and its relatives, dropout. Next: `reduce.py`."""

from __future__ import annotations

import math
from typing import Any

from kedja.front import functions
from kedja.front.arithmetic import cast
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import bool_
from kedja.io.onnx.call import Call, Value
from kedja.io.onnx.operators.drawing import dropout_mask
from kedja.io.onnx.plan import Operator, Rule
from kedja.nn import functional

# ------------------------------------------------------------------------------ elementwise


def scaled(function: Any, **defaults: float) -> Rule:
    """A function of a tensor and of attributes, which are numbers."""

    def rule(call: Call, x: Tensor) -> Tensor:
        given = [call.get(name, default) for name, default in defaults.items()]
        result: Tensor = function(x, *given)
        return result

    return rule


def elu(x: Tensor, alpha: float) -> Tensor:
    """x, and alpha·(e^x − 1) below 0."""
    return functional.elu(x, alpha)


def celu(x: Tensor, alpha: float) -> Tensor:
    """x, and alpha·(e^(x/alpha) − 1) below 0."""
    return functional.celu(x, alpha)


def selu(x: Tensor, alpha: float, gamma: float) -> Tensor:
    """gamma·x, and gamma·alpha·(e^x − 1) below 0."""
    return functional.elu(x, alpha) * gamma


SELU_ALPHA = 1.67326319217681884765625  # the numbers of ONNX, which are those of float32
SELU_GAMMA = 1.05070102214813232421875


def hard_sigmoid(x: Tensor, alpha: float, beta: float) -> Tensor:
    """alpha·x + beta between 0 and 1."""
    return functions.clip(x * alpha + beta, 0, 1)


def hard_swish(x: Tensor) -> Tensor:
    """x·min(max(x/6 + ½, 0), 1)."""
    return x * hard_sigmoid(x, 1 / 6, 0.5)


def leaky_relu(x: Tensor, alpha: float) -> Tensor:
    """x, and alpha·x below 0."""
    return functional.leaky_relu(x, alpha)


def thresholded_relu(x: Tensor, alpha: float) -> Tensor:
    """x above alpha, else 0."""
    return functions.where(functions.greater(x, alpha), x, 0)


def shrink(x: Tensor, lambd: float, bias: float) -> Tensor:
    """x moved towards 0 by the bias beyond ±lambd, 0 between."""
    inside = functions.where(functions.greater(x, lambd), x - _as(bias, x), 0)
    return functions.where(functions.less(x, -lambd), x + _as(bias, x), inside)


def _as(number: float, x: Tensor) -> float | int:
    return number if x.dtype.kind not in "iu" else int(number)


def swish(x: Tensor, alpha: float) -> Tensor:
    """x·σ(alpha·x)."""
    return functional.silu(x) if alpha == 1 else x * functions.sigmoid(x * alpha)


def scaled_tanh(x: Tensor, alpha: float, beta: float) -> Tensor:
    """alpha·tanh(beta·x)."""
    return functions.tanh(x * beta) * alpha


def affine(x: Tensor, alpha: float, beta: float) -> Tensor:
    """alpha·x + beta."""
    return x * alpha + beta


def prelu(call: Call, x: Tensor, slope: Tensor) -> Tensor:
    """x, and slope·x below 0."""
    if call.version < 7 and slope.ndim == 1 and x.ndim > 2:
        slope = functions.reshape(slope, (-1, *(1,) * (x.ndim - 2)))
    return functions.where(functions.less(x, 0), slope * x, x)


def gelu(call: Call, x: Tensor) -> Tensor:
    """x·Φ(x), or its approximation by tanh."""
    return functions.gelu(x, call.choice("approximate", "none", ("none", "tanh")))


# ------------------------------------------------------------------------------- along axes


def along(function: Any) -> Rule:
    """Softmax and the like: along one axis since version 13, before over all from an axis on."""

    def rule(call: Call, x: Tensor) -> Tensor:
        if call.version >= 13:
            result: Tensor = function(x, call.get("axis", -1))
            return result
        axis = call.get("axis", 1)
        lead = math.prod(x.shape[: axis % max(x.ndim, 1) if axis < x.ndim else axis])
        return functions.reshape(function(functions.reshape(x, (lead, -1)), -1), x.shape)

    return rule


def hardmax(x: Tensor, axis: int) -> Tensor:
    """1 at the largest element (the first of several), 0 elsewhere."""
    place = functions.argmax(x, axis)
    hot = functions.one_hot(place, x.shape[axis], x.dtype)
    return functions.moveaxis(hot, -1, axis)


# ---------------------------------------------------------------------------------- dropout


def dropout(call: Call, x: Tensor, ratio: Value = None, training: Value = None) -> tuple[Any, ...]:
    """x as it is, or in training with elements left out; and the mask of those that are kept."""
    part = call.get("ratio", 0.5)
    if ratio is not None:
        part = float(call.array(ratio, "ratio"))
    is_training = call.version < 7 and not call.get("is_test", 0)
    if training is not None:
        is_training = bool(call.array(training, "training_mode"))
    if not is_training or part == 0:
        return x, functions.ones(x.shape, bool_ if call.version >= 10 else x.dtype)
    mask = dropout_mask(call, x, part)
    return x * cast(mask, x.dtype) * (1 / (1 - part)), mask


# fmt: off
OPERATORS = (
    Operator("Celu",            scaled(celu, alpha=1.0)),
    Operator("Dropout",         dropout, known=(1, 2)),
    Operator("Elu",             scaled(elu, alpha=1.0)),
    Operator("Gelu",            gelu),
    Operator("HardSigmoid",     scaled(hard_sigmoid, alpha=0.2, beta=0.5)),
    Operator("HardSwish",       scaled(hard_swish)),
    Operator("Hardmax",         along(hardmax)),
    Operator("LeakyRelu",       scaled(leaky_relu, alpha=0.01)),
    Operator("LogSoftmax",      along(functions.log_softmax)),
    Operator("Mish",            scaled(functional.mish)),
    Operator("PRelu",           prelu),
    Operator("Relu",            scaled(functions.relu)),
    Operator("Selu",            scaled(selu, alpha=SELU_ALPHA, gamma=SELU_GAMMA)),
    Operator("Shrink",          scaled(shrink, lambd=0.5, bias=0.0)),
    Operator("Sigmoid",         scaled(functions.sigmoid)),
    Operator("Softmax",         along(functions.softmax)),
    Operator("Softplus",        scaled(functions.softplus)),
    Operator("Softsign",        scaled(functional.softsign)),
    Operator("Swish",           scaled(swish, alpha=1.0)),
    Operator("ThresholdedRelu", scaled(thresholded_relu, alpha=1.0)),
)
# fmt: on
