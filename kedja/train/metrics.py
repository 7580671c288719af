"""Figures of quality beside the loss: accuracy, rmse, mae, r2, and the user's own.

Not here: the loop over the data (`evaluation.py`). Next: `evaluation.py`.

A metric is a sum over examples that any number of batches add to, and what is made of the sum in
the end. p are the predictions, t the targets, N the number of examples:

| name     | sum over the examples       | in the end                               |
|----------|-----------------------------|------------------------------------------|
| accuracy | how many are right          | / N                                      |
| rmse     | (p − t)²                    | √(/ N), over all outputs                 |
| mae      | abs(p − t)                  | / N, over all outputs                    |
| r2       | (p − t)², each output apart | 1 − / Σ(t − mean t)², mean over outputs  |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import kedja.front.functions as kj
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import float64, is_float
from kedja.ground.errors import ShapeError, UsageError

Array = np.ndarray[Any, np.dtype[Any]]
Total = Callable[[Tensor, Tensor], Tensor]


class Metric(NamedTuple):
    """`total(p, t)` is a batch's float64 sum; `finish(sum over all, all targets)` the figure."""

    name: str
    total: Total
    finish: Callable[[Array, Array], float]


def metric(given: str | Callable[..., Any]) -> Metric:
    """The metric of a name, or of a function `(prediction, target) → scalar`, a batch's mean.

    Raises UsageError for an unknown name.
    """
    if callable(given):
        return _own(given)
    if given not in BY_NAME:
        raise UsageError(f"unknown metric {given!r}", fix=f"one of {', '.join(BY_NAME)}")
    return BY_NAME[given]


def _own(function: Callable[..., Any]) -> Metric:
    def total(p: Tensor, t: Tensor) -> Tensor:
        value: Tensor = function(p, t)
        if getattr(value, "shape", None) != ():
            raise ShapeError(f"the metric {name} returned no scalar", fix="return its batch's mean")
        return value.astype(float64) * t.shape[0]

    name = getattr(function, "__name__", type(function).__name__)
    return Metric(name, total, lambda total, targets: float(total) / len(targets))


def _right(p: Tensor, t: Tensor, threshold: float = 0.0) -> Tensor:
    """How many predictions are right, and how many there are: float64 (2,).

    Logits (N, C) against class numbers (N,) or one-hot rows (N, C): the largest wins. One number
    for each example (N,) or (N, 1) against 0 and 1: above the threshold it means 1.
    """
    if p.ndim == t.ndim + 1:
        hits = kj.argmax(p, -1) == t
    elif p.ndim >= 2 and p.shape[-1] > 1:
        hits = kj.argmax(p, -1) == kj.argmax(t, -1)
    else:
        hits = (p > threshold) == (t > 0.5 if is_float(t.dtype) else t > 0)
    right: Tensor = kj.stack([kj.sum(hits.astype(float64)), kj.full((), hits.size, float64)])
    return right


def _right_probabilities(p: Tensor, t: Tensor) -> Tensor:
    return _right(p, t, 0.5)


def _squares(p: Tensor, t: Tensor) -> Tensor:
    """Σ(p − t)² of each output: float64, (…)."""
    apart = p.astype(float64) - t.astype(float64)  # (N …)
    return kj.sum(apart * apart, axis=0)


def _distances(p: Tensor, t: Tensor) -> Tensor:
    """Σ|p − t| of each output: float64, (…)."""
    return kj.sum(kj.abs(p.astype(float64) - t.astype(float64)), axis=0)


def _share(total: Array, targets: Array) -> float:
    return float(total[0] / total[1])


def _rmse(total: Array, targets: Array) -> float:
    return math.sqrt(float(total.sum()) / targets.size)


def _mae(total: Array, targets: Array) -> float:
    return float(total.sum()) / targets.size


def _r2(total: Array, targets: Array) -> float:
    """The mean over the outputs; an output whose targets are all equal counts 1 or 0."""
    t = targets.astype(np.float64)
    spread = ((t - t.mean(axis=0)) ** 2).sum(axis=0)
    constant = spread == 0
    each = 1 - total / np.where(constant, 1, spread)
    return float(np.where(constant, total == 0, each).mean())


BY_NAME = {
    each.name: each
    for each in (
        Metric("accuracy", _right, _share),
        Metric("rmse", _squares, _rmse),
        Metric("mae", _distances, _mae),
        Metric("r2", _squares, _r2),
    )
}


def metrics(
    given: Sequence[str | Callable[..., Any]], *, probabilities: bool = False
) -> tuple[Metric, ...]:
    """Several metrics, each name once.

    A single output is a logit, which means yes above 0; with `probabilities`, above 1/2.
    """
    if isinstance(given, str):
        given = (given,)
    found = tuple(metric(each) for each in given)
    names = [each.name for each in found]
    twice = {name for name in names if names.count(name) > 1 or name == "loss"}
    if twice:
        raise UsageError(f"two figures are called {sorted(twice)[0]!r}", fix="name them apart")
    if probabilities:
        accuracy = Metric("accuracy", _right_probabilities, _share)
        return tuple(accuracy if each.total is _right else each for each in found)
    return found
