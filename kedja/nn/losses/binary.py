"""Losses of yes and no, alone or several side by side. Next: `margins.py`.

Letters: p probabilities, z logits, y answers. Dimensions: N examples, C questions.
"""

from __future__ import annotations

from typing import Any

from kedja.front import functions
from kedja.front.arithmetic import where
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.errors import DataError
from kedja.ir.graph import locating
from kedja.nn.losses.reduction import at_hand, pair, reduced, scaled

_LEAST = -100.0  # log 0 counts as this, as in PyTorch


def binary_cross_entropy(
    probabilities: Any, targets: Any, reduction: str = "mean", *, weight: Any = None
) -> Tensor:
    """−y·log p − (1 − y)·log(1 − p), with logarithms held at −100 or above, as in PyTorch.

    Shapes: both (…); y in 0 … 1; `weight` broadcasts to them and multiplies the losses. Where p is
    so far wrong that the logarithm is held, no gradient passes: prefer
    `binary_cross_entropy_with_logits`. Raises ShapeError, and DataError for given values outside
    0 … 1; computed ones out there give NaN.

    >>> binary_cross_entropy([0.5, 0.0], [1, 1], reduction="none")
    Tensor([  0.6931472, 100.       ], float32)
    """
    p, y = pair("binary_cross_entropy", probabilities, targets)
    with locating():
        _require_probabilities(p)
    each = -(y * _held_log(p) + (1 - y) * _held_log_of_rest(p))
    return reduced(scaled("binary_cross_entropy", each, weight), reduction)


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
    values = at_hand(p)
    if values is not None and not ((values >= 0) & (values <= 1)).all():
        raise DataError(
            "binary_cross_entropy of values outside 0 … 1, which are no probabilities",
            fix="use binary_cross_entropy_with_logits, or apply nn.Sigmoid() first",
        )


def binary_cross_entropy_with_logits(
    logits: Any,
    targets: Any,
    reduction: str = "mean",
    *,
    weight: Any = None,
    pos_weight: Any = None,
) -> Tensor:
    """y·softplus(−z) + (1 − y)·softplus(z): binary cross-entropy of sigmoid(z), exact for any z.

    Shapes: both (…); y in 0 … 1. `pos_weight` multiplies the first term, for rare positives,
    `weight` the whole; both broadcast.

    >>> binary_cross_entropy_with_logits([0.0, 200.0], [1, 0], reduction="none")
    Tensor([  0.6931472, 200.       ], float32)
    """
    name = "binary_cross_entropy_with_logits"
    z, y = pair(name, logits, targets)
    yes = scaled(name, y * functions.softplus(-z), pos_weight)
    each = yes + (1 - y) * functions.softplus(z)
    return reduced(scaled(name, each, weight), reduction)


def soft_margin_loss(outputs: Any, targets: Any, reduction: str = "mean") -> Tensor:
    """log(1 + e^(−y·z)), y being −1 or 1: logistic regression. Shapes: both (…).

    >>> soft_margin_loss([0.0, 200.0], [1.0, -1.0], "none").tolist()
    [0.6931471824645996, 200.0]
    """
    z, y = pair("soft_margin_loss", outputs, targets)
    return reduced(functions.softplus(-y * z), reduction)


def multilabel_soft_margin_loss(
    outputs: Any, targets: Any, reduction: str = "mean", *, weight: Any = None
) -> Tensor:
    """The mean over C questions of the binary cross-entropy with logits: one loss per example.

    Shapes: both (…, C), y being 0 or 1; `weight` (C,) multiplies the questions' losses.
    """
    name = "multilabel_soft_margin_loss"
    z, y = pair(name, outputs, targets)
    each = y * functions.softplus(-z) + (1 - y) * functions.softplus(z)
    return reduced(functions.mean(scaled(name, each, weight), axis=-1), reduction)


def require_signs(name: str, targets: Any) -> None:
    """Raise DataError for given targets other than −1 and 1."""
    with locating():
        values = at_hand(as_tensor(targets))
        if values is not None and not ((values == 1) | (values == -1)).all():
            raise DataError(
                f"{name} with targets other than -1 and 1", fix="turn 0 into -1: 2*targets - 1"
            )
