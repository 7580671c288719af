"""Losses of numbers: squared and absolute errors, and likelihoods of normal and Poisson counts.

Letters: o outputs, y targets. Next: `classes.py`. Dimensions: C classes.
"""

from __future__ import annotations

import math
from typing import Any

from kedja.front import functions
from kedja.front.arithmetic import where
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import is_integer
from kedja.ground.errors import DataError, ShapeError, UsageError
from kedja.ir.graph import locating
from kedja.nn.losses.reduction import at_hand, broadcasts, labels_of, pair, reduced, scaled, wide


def mse_loss(outputs: Any, targets: Any, reduction: str = "mean", *, weight: Any = None) -> Tensor:
    """(o − y)², averaged over all elements: the mean squared error.

    Shapes: both (…). With `weight`, which broadcasts to them, each square is multiplied by it, and
    the mean is Σ w (o − y)²/Σ w, as in PyTorch. Source: A.-M. Legendre: Nouvelles méthodes pour la
    détermination des orbites des comètes (1805).

    >>> mse_loss([1.0, 2.0], [1.0, 4.0]).item()
    2.0
    """
    x, y = pair("mse_loss", outputs, targets)
    return _weighted("mse_loss", functions.square(x - y), weight, reduction)


def _weighted(name: str, each: Tensor, weight: Any, reduction: str) -> Tensor:
    if weight is None:
        return reduced(each, reduction)
    if reduction != "mean":
        return reduced(scaled(name, each, weight), reduction)
    counts = scaled(name, functions.ones_like(each), weight)
    return functions.sum(each * counts) / functions.sum(counts)


def l1_loss(outputs: Any, targets: Any, reduction: str = "mean", *, weight: Any = None) -> Tensor:
    """|o − y|, averaged over all elements; its slope at 0 is 0. Shapes and `weight` as `mse_loss`.

    Source: R. Boscovich: De litteraria expeditione per pontificiam ditionem (1757).

    >>> l1_loss([1.0, 2.0], [1.0, 4.0]).item()
    1.0
    """
    x, y = pair("l1_loss", outputs, targets)
    return _weighted("l1_loss", functions.abs(x - y), weight, reduction)


def huber_loss(
    outputs: Any,
    targets: Any,
    reduction: str = "mean",
    delta: float = 1.0,
    *,
    weight: Any = None,
) -> Tensor:
    """½ (o − y)² where |o − y| ≤ delta, else delta (|o − y| − ½ delta): outliers pull less.

    Shapes: both (…). `weight` multiplies the losses, whose plain mean is taken, as in PyTorch.
    Source: P. Huber: Robust estimation of a location parameter (1964).

    >>> huber_loss([0.5, 3.0], [0.0, 0.0], "none").tolist()
    [0.125, 2.5]
    """
    if not delta > 0:
        raise UsageError(f"huber_loss with delta={delta}", fix="a number above 0")
    x, y = pair("huber_loss", outputs, targets)
    size = functions.abs(x - y)
    each = where(size <= delta, 0.5 * size * size, delta * (size - 0.5 * delta))
    return reduced(scaled("huber_loss", each, weight), reduction)


def smooth_l1_loss(
    outputs: Any, targets: Any, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """½ (o − y)²/beta where |o − y| < beta, else |o − y| − ½ beta; with beta 0 it is `l1_loss`.

    It is the Huber loss over beta. Shapes: both (…). Source: R. Girshick: Fast R-CNN (2015).

    >>> smooth_l1_loss([0.5, 3.0], [0.0, 0.0], "none").tolist()
    [0.125, 2.5]
    """
    if not beta >= 0:
        raise UsageError(f"smooth_l1_loss with beta={beta}", fix="a number from 0")
    x, y = pair("smooth_l1_loss", outputs, targets)
    size = functions.abs(x - y)
    if beta == 0:
        return reduced(size, reduction)
    each = where(size < beta, 0.5 * size * size / beta, size - 0.5 * beta)
    return reduced(each, reduction)


def squared_error(outputs: Any, targets: Any, reduction: str = "sum") -> Tensor:
    """Σ_i (o_i − y_i)², the sum over the last axis, not the mean.

    Shapes: outputs (…, C); targets (…, C), or whole numbers (…) that stand for classes, whose y
    is 1 at the class and 0 elsewhere. `reduction` is over the examples.

    >>> outputs = [0.54, 0.24, 0.92, 0.61, 0.51, 0.14, 0.42, 0.32, 0.51, 0.87]
    >>> [round(squared_error(outputs, label).item(), 4) for label in (2, 9)]
    [2.3032, 2.4032]
    """
    x, y = wide(outputs), as_tensor(targets)
    if is_integer(y.dtype) and y.shape == x.shape[:-1] != x.shape:
        y = functions.one_hot(labels_of("squared_error", x, y), x.shape[-1], x.dtype)  # (…, C)
    x, y = pair("squared_error", x, y)
    return reduced(functions.sum(functions.square(x - y), axis=-1), reduction)


# ------------------------------------------------------------------------------ likelihoods


def poisson_nll_loss(
    outputs: Any,
    targets: Any,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """e^o − y·o: minus the log-likelihood of counts y where o is the logarithm of their mean.

    Without `log_input`, o is the mean itself: o − y·log(o + eps). `full` adds Stirling's
    approximation of log y!, y log y − y + ½ log(2π y), where y > 1. Shapes: both (…).
    Source: P. McCullagh, J. Nelder: Generalized linear models (1989), chapter 6.
    """
    x, y = pair("poisson_nll_loss", outputs, targets)
    each = functions.exp(x) - y * x if log_input else x - y * functions.log(x + eps)
    if full:
        safe = where(y > 1, y, 1.0)
        stirling = y * functions.log(safe) - y + 0.5 * functions.log(2 * math.pi * safe)
        each = each + where(y > 1, stirling, 0.0)
    return reduced(each, reduction)


def gaussian_nll_loss(
    outputs: Any,
    targets: Any,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """½ (log v + (o − y)²/v), v = max(var, eps): minus the log-likelihood of normal errors.

    `full` adds ½ log 2π. Shapes: outputs and targets (…), var the same, a scalar, (…) without the
    last axis, or with an axis of 1. The gradient passes to var also where eps holds it, as in
    PyTorch. Raises DataError for a given variance below 0.
    Source: D. Nix, A. Weigend: Estimating the mean and variance of the target probability
    distribution (1994).
    """
    x, y = pair("gaussian_nll_loss", outputs, targets)
    v = _variance(x, as_tensor(var, x).astype(x.dtype))
    held = v + functions.stop_gradient(functions.maximum(v, eps) - v)
    each = 0.5 * (functions.log(held) + functions.square(x - y) / held)
    return reduced(each + 0.5 * math.log(2 * math.pi) if full else each, reduction)


def _variance(x: Tensor, v: Tensor) -> Tensor:
    """The variance in a shape that broadcasts to the outputs, checked."""
    with locating():
        values = at_hand(v)
        if values is not None and (values < 0).any():
            fix = "a variance is 0 or more: for instance kj.softplus of an output"
            raise DataError("gaussian_nll_loss with a variance below 0", fix=fix)
        if v.shape not in (x.shape, ()) and v.shape == x.shape[:-1]:
            return v.reshape(*v.shape, 1)
        if v.shape == () or (v.ndim == x.ndim and broadcasts(v, x)):
            return v
        raise ShapeError(
            f"gaussian_nll_loss of outputs {list(x.shape)} and variances {list(v.shape)}",
            fix="one variance for each output, or one for each row",
        )
