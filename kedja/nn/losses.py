"""Losses: how far predictions are from the answers, as one number to go down on.

`reduction` is "mean" over the examples, "sum", or "none" (one loss for each). Not here: metrics
such as accuracy (`kedja/train`). Next: `builders.py`. Dimensions: C classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kedja.front import functions
from kedja.front.arithmetic import where
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import is_integer
from kedja.ground.errors import DataError, DtypeError, ShapeError, UsageError
from kedja.ir.graph import locating
from kedja.nn.activation_functions import floating

REDUCTIONS = ("mean", "sum", "none")


def reduced(each: Tensor, reduction: str) -> Tensor:
    """The mean or the sum of the losses of all examples, or these themselves."""
    if reduction not in REDUCTIONS:
        raise UsageError(f"reduction {reduction!r}", fix=f"one of {', '.join(REDUCTIONS)}")
    if reduction == "none":
        return each
    return functions.mean(each) if reduction == "mean" else functions.sum(each)


def _pair(name: str, outputs: Any, targets: Any) -> tuple[Tensor, Tensor]:
    """Outputs and targets as floats of one shape: nothing is broadcast, which hides mistakes."""
    x, y = floating(outputs), as_tensor(targets)
    with locating():
        if x.shape != y.shape:
            raise ShapeError(
                f"{name} of outputs {list(x.shape)} and targets {list(y.shape)}",
                fix=_pair_fix(x, y),
            )
    return x, y.astype(x.dtype)


def _pair_fix(x: Tensor, y: Tensor) -> str:
    if x.size == y.size:
        return f"bring one to the other's shape: targets.reshape{tuple(x.shape)}"
    if is_integer(y.dtype) and x.shape[:-1] == y.shape:
        return f"the targets look like classes: kj.one_hot(targets, {x.shape[-1]})"
    return "both have the same shape"


# ------------------------------------------------------------------------------- of numbers


def mse_loss(outputs: Any, targets: Any, reduction: str = "mean") -> Tensor:
    """(o − y)², averaged over all elements: the mean squared error.

    Shapes: both (…). Source: A.-M. Legendre: Nouvelles méthodes pour la détermination des
    orbites des comètes (1805).

    >>> mse_loss([1.0, 2.0], [1.0, 4.0]).item()
    2.0
    """
    x, y = _pair("mse_loss", outputs, targets)
    return reduced(functions.square(x - y), reduction)


def squared_error(outputs: Any, targets: Any, reduction: str = "sum") -> Tensor:
    """Σ_i (o_i − y_i)², the sum over the last axis, not the mean.

    Shapes: outputs (…, C); targets (…, C), or whole numbers (…) that stand for classes, whose y
    is 1 at the class and 0 elsewhere. `reduction` is over the examples.

    >>> outputs = [0.54, 0.24, 0.92, 0.61, 0.51, 0.14, 0.42, 0.32, 0.51, 0.87]
    >>> [round(squared_error(outputs, label).item(), 4) for label in (2, 9)]
    [2.3032, 2.4032]
    """
    x, y = floating(outputs), as_tensor(targets)
    if is_integer(y.dtype) and y.shape == x.shape[:-1] != x.shape:
        y = functions.one_hot(_labels("squared_error", x, y), x.shape[-1], x.dtype)  # (…, C)
    x, y = _pair("squared_error", x, y)
    return reduced(functions.sum(functions.square(x - y), axis=-1), reduction)


# ------------------------------------------------------------------------------- of classes


def cross_entropy(
    logits: Any,
    labels: Any,
    reduction: str = "mean",
    *,
    weight: Any = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """−log softmax(z)[label], computed from the logits z without overflow.

    Shapes: logits (…, C), labels (…) of any integer dtype. With `weight` (C,), an example counts
    as its class weighs, and the mean is divided by the sum of these weights. With
    `label_smoothing` ε, the answer is 1 − ε at the label plus ε/C at every class. Raises
    ShapeError, DtypeError, and DataError for a label that is no class.
    Source (smoothing): C. Szegedy et al.: Rethinking the inception architecture (2015).

    >>> cross_entropy([[0.0, 0.0]], [1]).item()
    0.6931471824645996
    """
    z = floating(logits)
    label = _labels("cross_entropy", z, labels)
    each = functions.cross_entropy_each(z, label)
    scale = None if weight is None else _class_weight("cross_entropy", weight, z)
    if scale is not None:
        each = each * functions.take(scale, label)
    if label_smoothing:
        each = _smoothed(each, z, scale, label_smoothing)
    return _weighted(each, scale, label, reduction)


def _smoothed(each: Tensor, z: Tensor, scale: Tensor | None, amount: float) -> Tensor:
    if not 0 <= amount <= 1:
        raise UsageError(f"label_smoothing {amount}", fix="a number from 0 to 1")
    far = -functions.log_softmax(z)  # (…, C)
    spread = functions.sum(far if scale is None else far * scale, axis=-1)
    return (1 - amount) * each + (amount / z.shape[-1]) * spread


def nll_loss(
    log_probabilities: Any, labels: Any, reduction: str = "mean", *, weight: Any = None
) -> Tensor:
    """−p[label], where p are log-probabilities, as log_softmax gives them.

    Shapes: (…, C) and (…) of any integer dtype; `weight` (C,) as for `cross_entropy`.
    """
    p = floating(log_probabilities)
    label = _labels("nll_loss", p, labels)
    column = label.reshape(*label.shape, 1)
    each = -functions.take_along_axis(p, column, -1).reshape(label.shape)
    scale = None if weight is None else _class_weight("nll_loss", weight, p)
    if scale is not None:
        each = each * functions.take(scale, label)
    return _weighted(each, scale, label, reduction)


def _weighted(each: Tensor, scale: Tensor | None, label: Tensor, reduction: str) -> Tensor:
    if scale is None or reduction != "mean":
        return reduced(each, reduction)
    return functions.sum(each) / functions.sum(functions.take(scale, label))


def _class_weight(name: str, weight: Any, logits: Tensor) -> Tensor:
    scale = as_tensor(weight).astype(logits.dtype)
    with locating():
        if scale.shape != logits.shape[-1:]:
            raise ShapeError(
                f"{name} with weights {list(scale.shape)} for {logits.shape[-1]} classes",
                fix="one weight for each class",
            )
    return scale


def _labels(name: str, logits: Tensor, labels: Any) -> Tensor:
    """Labels as they are, checked: whole numbers, one for each example, each of them a class."""
    label = as_tensor(labels)
    with locating():
        if not is_integer(label.dtype):
            raise DtypeError(
                f"{name} with labels of {label.dtype.name}",
                fix=_label_fix(logits, label),
            )
        if not logits.shape or label.shape != logits.shape[:-1]:
            raise ShapeError(
                f"{name} of outputs {list(logits.shape)} and labels {list(label.shape)}",
                fix=_label_fix(logits, label),
            )
        _require_classes(name, label, logits.shape[-1])
    return label


def _label_fix(logits: Tensor, label: Tensor) -> str:
    if label.ndim and label.shape == logits.shape and logits.ndim > 1:
        return "the labels look one-hot: kj.argmax(labels, axis=-1)"
    if label.shape == logits.shape[:-1]:
        return "labels are classes, whole numbers: labels.astype(kj.int64)"
    if logits.ndim and label.shape == (*logits.shape[:-1], 1):
        return "drop the last axis: labels.reshape(-1)"
    return "one label for each example: the outputs' shape without the last axis (the classes)"


def _require_classes(name: str, label: Tensor, count: int) -> None:
    """Where labels are at hand, all of them lie within the classes."""
    values = _at_hand(label)
    if values is None or not values.size:
        return
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= count:
        wrong = low if low < 0 else high
        raise DataError(
            f"{name}: label {wrong} with {count} classes",
            fix=f"labels go from 0 to {count - 1}; the last layer has one output for each class",
        )


def _at_hand(x: Tensor) -> np.ndarray | None:
    """The value of a tensor that was given as an array; None where it would have to be computed."""
    return x.node.attrs["value"] if x.node.op.name == "constant" else None


# ----------------------------------------------------------------------------- of yes and no

_LEAST = -100.0  # log 0 counts as this, as in PyTorch


def binary_cross_entropy(probabilities: Any, targets: Any, reduction: str = "mean") -> Tensor:
    """−y·log p − (1 − y)·log(1 − p), with logarithms held at −100 or above, as in PyTorch.

    Shapes: both (…); y in 0 … 1. Where p is so far wrong that the logarithm is held, no gradient
    passes: prefer `binary_cross_entropy_with_logits`. Raises ShapeError, and DataError for given
    values outside 0 … 1; computed ones out there give NaN.

    >>> binary_cross_entropy([0.5, 0.0], [1, 1], reduction="none")
    Tensor([  0.6931472, 100.       ], float32)
    """
    p, y = _pair("binary_cross_entropy", probabilities, targets)
    with locating():
        _require_probabilities(p)
    return reduced(-(y * _held_log(p) + (1 - y) * _held_log_of_rest(p)), reduction)


def _held_log(p: Tensor) -> Tensor:
    """max(log p, −100), whose derivative at 0 is 0 rather than NaN; NaN below 0."""
    zero = p == 0
    logs = functions.maximum(functions.log(where(zero, 1.0, p)), _LEAST)
    return where(zero, _LEAST, logs)


def _held_log_of_rest(p: Tensor) -> Tensor:
    """max(log(1 − p), −100) in the same way, exact for small p; NaN above 1."""
    one = p == 1
    logs = functions.maximum(functions.log1p(where(one, 0.0, -p)), _LEAST)
    return where(one, _LEAST, logs)


def _require_probabilities(p: Tensor) -> None:
    values = _at_hand(p)
    if values is not None and not ((values >= 0) & (values <= 1)).all():
        raise DataError(
            "binary_cross_entropy of values outside 0 … 1, which are no probabilities",
            fix="use binary_cross_entropy_with_logits, or apply nn.Sigmoid() first",
        )


def binary_cross_entropy_with_logits(
    logits: Any, targets: Any, reduction: str = "mean", *, pos_weight: Any = None
) -> Tensor:
    """y·softplus(−z) + (1 − y)·softplus(z): binary cross-entropy of sigmoid(z), exact for any z.

    Shapes: both (…); y in 0 … 1. `pos_weight` multiplies the first term, for rare positives.

    >>> binary_cross_entropy_with_logits([0.0, 200.0], [1, 0], reduction="none")
    Tensor([  0.6931472, 200.       ], float32)
    """
    z, y = _pair("binary_cross_entropy_with_logits", logits, targets)
    yes = y * functions.softplus(-z)
    if pos_weight is not None:
        yes = yes * as_tensor(pos_weight, z).astype(z.dtype)
    return reduced(yes + (1 - y) * functions.softplus(z), reduction)
