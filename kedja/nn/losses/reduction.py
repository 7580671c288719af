"""What all losses share: reductions, and the checks of outputs, targets and labels.

Next: `regression.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kedja.front import functions
from kedja.front.arithmetic import where
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import float32, is_half, is_integer
from kedja.ground.errors import DataError, DtypeError, ShapeError, UsageError
from kedja.ir.graph import locating
from kedja.nn.activation_functions import floating

REDUCTIONS = ("mean", "sum", "none")
IGNORED = -100  # the label that counts for nothing, as in PyTorch


def wide(x: Any) -> Tensor:
    """x as floats of at least 32 bits: a mean over thousands of examples needs them."""
    values: Tensor = floating(x)
    return values.astype(float32) if is_half(values.dtype) else values


def reduced(each: Tensor, reduction: str) -> Tensor:
    """The mean or the sum of the losses of all examples, or these themselves."""
    require_reduction(reduction)
    if reduction == "none":
        return each
    return functions.mean(each) if reduction == "mean" else functions.sum(each)


def require_reduction(reduction: str, allowed: tuple[str, ...] = REDUCTIONS) -> None:
    """Raise UsageError for another word."""
    if reduction not in allowed:
        raise UsageError(f"reduction {reduction!r}", fix=f"one of {', '.join(allowed)}")


def averaged(each: Tensor, counts: Tensor | None, reduction: str) -> Tensor:
    """As `reduced`, the mean being Σ each/Σ counts, where the losses are multiplied by counts.

    The mean of nothing is NaN, its gradient 0, as in PyTorch.
    """
    if counts is None or reduction != "mean":
        return reduced(each, reduction)
    whole = functions.sum(counts)
    nothing = whole == 0
    mean = functions.sum(each) / where(nothing, 1.0, whole)
    return where(nothing, math.nan, mean)


def pair(name: str, outputs: Any, targets: Any) -> tuple[Tensor, Tensor]:
    """Outputs and targets as floats of one shape: nothing is broadcast, which hides mistakes."""
    x, y = wide(outputs), as_tensor(targets)
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


def scaled(name: str, each: Tensor, weight: Any) -> Tensor:
    """Losses times a weight that broadcasts to them."""
    if weight is None:
        return each
    scale = as_tensor(weight).astype(each.dtype)
    with locating():
        if not broadcasts(scale, each):
            raise ShapeError(
                f"{name} with a weight {list(scale.shape)} for losses {list(each.shape)}",
                fix="a shape that broadcasts to that of the losses",
            )
    return each * scale


def broadcasts(x: Tensor, to: Tensor) -> bool:
    """Whether x can be repeated to the shape of another tensor."""
    pairs = zip(reversed(x.shape), reversed(to.shape), strict=False)
    return x.ndim <= to.ndim and all(mine in (1, theirs) for mine, theirs in pairs)


# ----------------------------------------------------------------------------------- labels


def labels_of(name: str, logits: Tensor, labels: Any, ignored: int | None = None) -> Tensor:
    """Labels as they are, checked: whole numbers, one for each example, each of them a class."""
    label = as_tensor(labels)
    with locating():
        if not is_integer(label.dtype):
            raise DtypeError(
                f"{name} with labels of {label.dtype.name}", fix=_label_fix(logits, label)
            )
        if not logits.shape or label.shape != logits.shape[:-1]:
            raise ShapeError(
                f"{name} of outputs {list(logits.shape)} and labels {list(label.shape)}",
                fix=_label_fix(logits, label),
            )
        _require_classes(name, label, logits.shape[-1], ignored)
    return label


def _label_fix(logits: Tensor, label: Tensor) -> str:
    if label.ndim and label.shape == logits.shape and logits.ndim > 1:
        return "the labels look one-hot: kj.argmax(labels, axis=-1)"
    if label.shape == logits.shape[:-1]:
        return "labels are classes, whole numbers: labels.astype(kj.int64)"
    if logits.ndim > 2 and label.shape == (logits.shape[0], *logits.shape[2:]):
        return "the classes stand on axis 1, as in PyTorch: say so with axis=1"
    if logits.ndim and label.shape == (*logits.shape[:-1], 1):
        return "drop the last axis: labels.reshape(-1)"
    return "one label for each example: the outputs' shape without the last axis (the classes)"


def _require_classes(name: str, label: Tensor, count: int, ignored: int | None) -> None:
    """Where labels are at hand, all of them lie within the classes."""
    values = at_hand(label)
    if values is None:
        return
    wrong = (values < 0) | (values >= count)
    if ignored is not None:
        wrong &= values != ignored
    if wrong.any():
        raise DataError(
            f"{name}: label {values[wrong][0]} with {count} classes",
            fix=f"labels go from 0 to {count - 1}; the last layer has one output for each class",
        )


def at_hand(x: Tensor) -> np.ndarray[Any, np.dtype[Any]] | None:
    """The value of a tensor that was given as an array; None where it would have to be computed."""
    return x.node.attrs["value"] if x.node.op.name == "constant" else None


def class_weight(name: str, weight: Any, logits: Tensor) -> Tensor:
    """One weight for each class, checked."""
    scale = as_tensor(weight).astype(logits.dtype)
    with locating():
        if scale.shape != logits.shape[-1:]:
            raise ShapeError(
                f"{name} with weights {list(scale.shape)} for {logits.shape[-1]} classes",
                fix="one weight for each class",
            )
    return scale
