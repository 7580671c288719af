"""Margin losses: nothing to pay once the right answer leads by enough. Next: `pairs.py`.

Letters: o outputs, y answers. Dimensions: N examples, C classes.
"""

from __future__ import annotations

from typing import Any

from kedja.front import functions
from kedja.front.arithmetic import where
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import is_integer
from kedja.ground.errors import DataError, DtypeError, ShapeError, UsageError
from kedja.ir.graph import locating
from kedja.nn.losses.binary import require_signs
from kedja.nn.losses.reduction import at_hand, class_weight, labels_of, pair, reduced, wide


def hinge_loss(
    outputs: Any,
    targets: Any,
    reduction: str = "mean",
    *,
    margin: float = 1.0,
    squared: bool = False,
) -> Tensor:
    """max(0, margin − y·o), y being −1 or 1: what support vector machines minimise.

    `squared` squares it, which makes it smooth. Shapes: both (…). Raises DataError for given
    targets other than −1 and 1. Source: C. Cortes, V. Vapnik: Support-vector networks (1995).

    >>> hinge_loss([2.0, 0.5, 0.5], [1, 1, -1], "none").tolist()
    [0.0, 0.5, 1.5]
    """
    require_signs("hinge_loss", targets)
    x, y = pair("hinge_loss", outputs, targets)
    each = functions.relu(margin - y * x)
    return reduced(functions.square(each) if squared else each, reduction)


def hinge_embedding_loss(
    outputs: Any, targets: Any, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """o where y is 1, max(0, margin − o) where it is −1: o is how far two things are apart.

    Shapes: both (…). Source: R. Hadsell et al.: Dimensionality reduction by learning an invariant
    mapping (2006).

    >>> hinge_embedding_loss([0.3, 0.3], [1, -1], reduction="sum").item()
    1.0
    """
    x, y = pair("hinge_embedding_loss", outputs, targets)
    near = where(y == -1, 0.0, x)
    far = where(y == 1, 0.0, functions.relu(margin - x))
    return reduced(near + far, reduction)


def multi_margin_loss(
    outputs: Any,
    labels: Any,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Σ_{i ≠ y} max(0, margin − o_y + o_i)^p / C: the hinge loss of several classes.

    Shapes: outputs (…, C), labels (…) of any integer dtype; p is 1 or 2; `weight` (C,) multiplies
    the terms of an example by the weight of its class. Source: K. Crammer, Y. Singer: On the
    algorithmic implementation of multiclass kernel-based vector machines (2001).

    >>> round(multi_margin_loss([[0.1, 0.2, 0.4, 0.8]], [3]).item(), 6)
    0.325
    """
    if p not in (1, 2):
        raise UsageError(f"multi_margin_loss with p={p!r}", fix="1 or 2")
    x = wide(outputs)
    label = labels_of("multi_margin_loss", x, labels)
    right = functions.take_along_axis(x, label.reshape(*label.shape, 1), -1)  # (…, 1)
    far = functions.relu(margin - right + x)  # (…, C)
    far = functions.square(far) if p == 2 else far
    if weight is not None:
        scale = functions.take(class_weight("multi_margin_loss", weight, x), label)
        far = far * scale.reshape(*label.shape, 1)
    others = functions.one_hot(label, x.shape[-1], x.dtype) == 0
    return reduced(functions.sum(where(others, far, 0.0), axis=-1) / x.shape[-1], reduction)


def multilabel_margin_loss(outputs: Any, labels: Any, reduction: str = "mean") -> Tensor:
    """Σ_j Σ_i max(0, 1 − (o_{y_j} − o_i)) / C over the right classes y_j and the wrong ones i.

    Shapes: outputs (…, C), labels (…, C) whole numbers: each row lists its right classes and then
    −1, after which nothing counts.

    >>> round(multilabel_margin_loss([[0.1, 0.2, 0.4, 0.8]], [[3, 0, -1, 1]]).item(), 6)
    0.85
    """
    x, label = wide(outputs), as_tensor(labels)
    _require_lists(x, label)
    number = functions.arange(label.shape[-1])  # (C,)
    end = functions.min(where(label < 0, number, label.shape[-1]), axis=-1, keepdims=True)
    listed = number < end  # (…, C)
    place = where(listed, label, 0)
    hits = functions.one_hot(place, x.shape[-1], x.dtype)  # (…, C, C)
    hits = hits * listed.astype(x.dtype).reshape(*listed.shape, 1)
    wrong = functions.max(hits, axis=-2) == 0  # (…, C)
    right = functions.take_along_axis(x, place, -1)
    apart = functions.expand_dims(right, -1) - functions.expand_dims(x, -2)  # (…, C, C)
    counted = functions.expand_dims(listed, -1) & functions.expand_dims(wrong, -2)
    each = functions.sum(where(counted, functions.relu(1 - apart), 0.0), axis=(-2, -1))
    return reduced(each / x.shape[-1], reduction)


def _require_lists(x: Tensor, label: Tensor) -> None:
    with locating():
        if not is_integer(label.dtype):
            raise DtypeError(
                f"multilabel_margin_loss with labels of {label.dtype.name}",
                fix="whole numbers: the right classes, then -1",
            )
        if x.shape != label.shape or not x.shape:
            raise ShapeError(
                f"multilabel_margin_loss of outputs {list(x.shape)} and labels {list(label.shape)}",
                fix="both have the same shape; fill the rows up with -1",
            )
        values = at_hand(label)
        if values is not None and ((values < -1) | (values >= x.shape[-1])).any():
            fix = f"from 0 to {x.shape[-1] - 1}, then -1"
            raise DataError("multilabel_margin_loss: a label that is no class", fix=fix)
