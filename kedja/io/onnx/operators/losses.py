"""Losses: negative log-likelihood and cross-entropy, with weights of classes and ignored labels.

Next: `recurrent.py`.
"""

from __future__ import annotations

from typing import Any

from kedja.front import functions
from kedja.front.arithmetic import cast
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import int64
from kedja.io.onnx.call import Call, Value
from kedja.io.onnx.plan import Operator


def negative_log_likelihood(
    call: Call, scores: Tensor, labels: Tensor, weight: Value = None
) -> Tensor:
    """−weight[y]·x[y] along axis 1; its mean is weighted, its sum or each one are not divided.

    Shapes: scores (N, C, …), labels (N, …), weight (C,). Labels equal to `ignore_index` count 0.
    """
    label, ignored = cast(labels, int64), call.get("ignore_index")
    mask = None
    if ignored is not None:
        mask = functions.not_equal(label, ignored)
        label = functions.where(mask, label, 0)
    chosen = functions.take_along_axis(scores, functions.expand_dims(label, 1), 1)
    each = functions.negative(functions.squeeze(chosen, 1))  # (N …)
    factor = None if weight is None else functions.take(weight, label, 0)
    if mask is not None:
        kept = cast(mask, scores.dtype)
        factor = kept if factor is None else factor * kept
    each = each if factor is None else each * factor
    reduction = call.choice("reduction", "mean", ("none", "mean", "sum"))
    if reduction == "none":
        return each
    total = functions.sum(each)
    if reduction == "sum":
        return total
    return total / (each.size if factor is None else functions.sum(factor))


def cross_entropy(
    call: Call, scores: Tensor, labels: Tensor, weight: Value = None
) -> tuple[Any, ...]:
    """The negative log-likelihood of log softmax along axis 1; and these logarithms."""
    logarithms = functions.log_softmax(scores, 1)
    return negative_log_likelihood(call, logarithms, labels, weight), logarithms


# fmt: off
OPERATORS = (
    Operator("NegativeLogLikelihoodLoss", negative_log_likelihood),
    Operator("SoftmaxCrossEntropyLoss",   cross_entropy),
)
# fmt: on
