"""Losses of classes: cross-entropy, negative log-likelihood, divergence.

The classes stand on the last axis; `axis=1` is PyTorch's layout (N, C, d₁ …). The functions of
`nn.functional` and the losses as layers (`modules.py`) have that layout. Next: `binary.py`.

Letters: z logits, y answers as probabilities, w weights. Dimensions: N examples, C classes.
"""

from __future__ import annotations

from typing import Any

from kedja.front import functions
from kedja.front.arithmetic import where
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import is_float
from kedja.ground.errors import ShapeError, UsageError
from kedja.ir.graph import locating
from kedja.nn.losses.reduction import (
    IGNORED,
    REDUCTIONS,
    at_hand,
    averaged,
    class_weight,
    labels_of,
    pair,
    reduced,
    require_reduction,
    wide,
)
from kedja.ops.types import normal_axis


def cross_entropy(
    logits: Any,
    labels: Any,
    reduction: str = "mean",
    *,
    weight: Any = None,
    ignore_index: int | None = IGNORED,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """−log softmax(z)[label], computed from the logits z without overflow.

    Shapes: logits (…, C), or with C on `axis`; labels (…) of any integer dtype, or probabilities,
    floats of the logits' shape, for −Σ y log softmax(z). With `weight` (C,), an example counts as
    its class weighs, and the mean is divided by the sum of these weights (for probabilities by the
    number of examples). A label `ignore_index` counts for nothing (None ignores none). With
    `label_smoothing` ε, the answer is 1 − ε at the label plus ε/C at every class. Raises
    ShapeError, DtypeError, and DataError for a label that is no class.
    Source (smoothing): C. Szegedy et al.: Rethinking the inception architecture (2015).

    >>> cross_entropy([[0.0, 0.0]], [1]).item()
    0.6931471824645996
    >>> cross_entropy([[0.0, 0.0]], [[0.5, 0.5]]).item()
    0.6931471824645996
    """
    z = classes_last("cross_entropy", logits, axis)
    scale = None if weight is None else class_weight("cross_entropy", weight, z)
    _require_smoothing(label_smoothing)
    y = as_tensor(labels)
    if is_float(y.dtype) and y.ndim == z.ndim:
        y = classes_last("cross_entropy", y, axis)
        return _of_probabilities(z, y, scale, label_smoothing, reduction)
    label, counted = _counted("cross_entropy", z, y, ignore_index)
    each = functions.cross_entropy_each(z, label)
    counts = _counts(each, label, scale, counted)
    each = each if counts is None else each * counts
    if label_smoothing:
        each = _smoothed(each, z, scale, counted, label_smoothing)
    return averaged(each, counts, reduction)


def classes_last(name: str, x: Any, axis: int) -> Tensor:
    """x with the axis of the classes moved to the end; axis 1 of a vector is its only one."""
    x = wide(x)
    with locating():
        if x.ndim < 1:
            raise ShapeError(f"{name} of a single number", fix="one output for each class")
        place = 0 if axis == 1 and x.ndim == 1 else normal_axis(name, axis, x.ndim)
    return x if place == x.ndim - 1 else functions.moveaxis(x, place, -1)


def _counted(
    name: str, z: Tensor, labels: Tensor, ignored: int | None
) -> tuple[Tensor, Tensor | None]:
    """Labels that are all classes, and where they count (None: everywhere)."""
    label = labels_of(name, z, labels, ignored)
    if ignored is None or (ignored < 0 and label.dtype.kind == "u"):
        return label, None
    values = at_hand(label)
    if values is not None and not (values == ignored).any():
        return label, None
    counted = label != ignored
    return where(counted, label, 0), counted


def _counts(
    each: Tensor, label: Tensor, scale: Tensor | None, counted: Tensor | None
) -> Tensor | None:
    """What each example counts; None where it is 1 everywhere."""
    counts = None if scale is None else functions.take(scale, label)
    if counted is None:
        return counts
    mask = counted.astype(each.dtype)
    return mask if counts is None else counts * mask


def _require_smoothing(amount: float) -> None:
    if not 0 <= amount <= 1:
        raise UsageError(f"label_smoothing {amount}", fix="a number from 0 to 1")


def _smoothed(
    each: Tensor, z: Tensor, scale: Tensor | None, counted: Tensor | None, amount: float
) -> Tensor:
    far = -functions.log_softmax(z)  # (…, C)
    spread = functions.sum(far if scale is None else far * scale, axis=-1)
    if counted is not None:
        spread = spread * counted.astype(spread.dtype)
    return (1 - amount) * each + (amount / z.shape[-1]) * spread


def _of_probabilities(
    z: Tensor, y: Tensor, scale: Tensor | None, smoothing: float, reduction: str
) -> Tensor:
    """−Σ y log softmax(z), y being probabilities (…, C)."""
    z, y = pair("cross_entropy", z, y)
    if smoothing:
        y = (1 - smoothing) * y + smoothing / z.shape[-1]
    far = -functions.log_softmax(z)
    return reduced(functions.sum(y * (far if scale is None else far * scale), axis=-1), reduction)


def nll_loss(
    log_probabilities: Any,
    labels: Any,
    reduction: str = "mean",
    *,
    weight: Any = None,
    ignore_index: int | None = IGNORED,
    axis: int = -1,
) -> Tensor:
    """−p[label], where p are log-probabilities, as log_softmax gives them.

    Shapes: (…, C), or with C on `axis`, and (…) of any integer dtype; `weight` (C,) and
    `ignore_index` as for `cross_entropy`.

    >>> nll_loss([[-1.0, -2.0], [-3.0, -4.0]], [0, 1]).item()
    2.5
    """
    p = classes_last("nll_loss", log_probabilities, axis)
    scale = None if weight is None else class_weight("nll_loss", weight, p)
    label, counted = _counted("nll_loss", p, as_tensor(labels), ignore_index)
    column = label.reshape(*label.shape, 1)
    each = -functions.take_along_axis(p, column, -1).reshape(label.shape)
    counts = _counts(each, label, scale, counted)
    return averaged(each if counts is None else each * counts, counts, reduction)


def kl_div(
    log_probabilities: Any, targets: Any, reduction: str = "mean", log_target: bool = False
) -> Tensor:
    """y (log y − p): how far the distribution y is from the one whose logarithms are p.

    Shapes: both (…); with `log_target` the targets are log y. Where y is 0 the loss is 0. The
    divergence itself is the sum over the classes: `reduction="batchmean"` gives its mean over the
    first axis, "mean" that over all elements.
    Source: S. Kullback, R. Leibler: On information and sufficiency (1951).

    >>> kl_div([-0.6931472, -0.6931472], [1.0, 0.0], "sum").item()
    0.6931471824645996
    """
    require_reduction(reduction, (*REDUCTIONS, "batchmean"))
    p, y = pair("kl_div", log_probabilities, targets)
    if log_target:
        each = functions.exp(y) * (y - p)
    else:
        each = where(y == 0, 0.0, y * functions.log(where(y == 0, 1.0, y))) - y * p
    if reduction == "batchmean":
        return functions.sum(each) / (p.shape[0] if p.shape else 1)
    return reduced(each, reduction)
