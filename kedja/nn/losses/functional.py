"""Losses with the arguments of `torch.nn.functional`: classes on axis 1, options by name.

They are the losses of this package; only where the layout or the order of arguments differs is
there a function here. Next: `kedja/nn/functional.py`, which offers them.
"""

from __future__ import annotations

from typing import Any

from kedja.front import functions
from kedja.front.tensor import Tensor
from kedja.nn.losses import binary, classes, margins, regression
from kedja.nn.losses.reduction import IGNORED, wide


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int | None = IGNORED,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """−log softmax(z)[label] for logits (C,), (N, C) or (N, C, d₁ …); see `nn.cross_entropy`."""
    return classes.cross_entropy(
        input,
        target,
        reduction,
        weight=weight,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        axis=1,
    )


def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int | None = IGNORED,
    reduction: str = "mean",
) -> Tensor:
    """−p[label] for log-probabilities (C,), (N, C) or (N, C, d₁ …); see `nn.nll_loss`."""
    return classes.nll_loss(
        input, target, reduction, weight=weight, ignore_index=ignore_index, axis=1
    )


def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, *, reduction: str = "mean"
) -> Tensor:
    """See `nn.binary_cross_entropy`."""
    return binary.binary_cross_entropy(input, target, reduction, weight=weight)


def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    *,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Tensor:
    """See `nn.binary_cross_entropy_with_logits`."""
    return binary.binary_cross_entropy_with_logits(
        input, target, reduction, weight=weight, pos_weight=pos_weight
    )


def multilabel_soft_margin_loss(
    input: Any, target: Any, weight: Any = None, *, reduction: str = "mean"
) -> Tensor:
    """See `nn.multilabel_soft_margin_loss`."""
    return binary.multilabel_soft_margin_loss(input, target, reduction, weight=weight)


def gaussian_nll_loss(
    input: Any,
    target: Any,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """See `nn.gaussian_nll_loss`; input and target may be of shapes that broadcast."""
    x, y = functions.broadcast_arrays(wide(input), wide(target))
    return regression.gaussian_nll_loss(x, y, var, full, eps, reduction)


def multi_margin_loss(
    input: Any,
    target: Any,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    *,
    reduction: str = "mean",
) -> Tensor:
    """See `nn.multi_margin_loss`; a single example may have its label in a vector of one."""
    x, label = functions.asarray(input), functions.asarray(target)
    if x.ndim < 2:
        x, label = x.reshape(-1), label.reshape(())
    return margins.multi_margin_loss(x, label, p, margin, weight, reduction)


def multilabel_margin_loss(input: Any, target: Any, *, reduction: str = "mean") -> Tensor:
    """See `nn.multilabel_margin_loss`; a single class needs no axis."""
    x, label = functions.asarray(input), functions.asarray(target)
    if not x.shape:
        x, label = x.reshape(1), label.reshape(1)
    return margins.multilabel_margin_loss(x, label, reduction)


def kl_div(input: Any, target: Any, *, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """See `nn.kl_div`."""
    return classes.kl_div(input, target, reduction, log_target)


def smooth_l1_loss(
    input: Any, target: Any, *, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """See `nn.smooth_l1_loss`."""
    return regression.smooth_l1_loss(input, target, reduction, beta)
