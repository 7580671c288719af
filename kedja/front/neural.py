"""Functions of networks: softmax and its relatives, gelu, cross-entropy.

Not here: layers and losses with their options (`kedja/nn`). Next: `transforms.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kedja.front import arithmetic
from kedja.front import tensor as front
from kedja.front.arithmetic import call
from kedja.front.reductions import floating
from kedja.ground.dtypes import is_float
from kedja.ground.errors import DtypeError
from kedja.ir.graph import locating
from kedja.ops.reduce import kept_shape
from kedja.ops.types import normal_axes

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor


def gelu(x: Any, approximate: str = "none") -> Tensor:
    """x·Φ(x), Φ the normal distribution function; `approximate="tanh"` as GPT-2 has it.

    Source: D. Hendrycks, K. Gimpel: Gaussian error linear units (2016).
    """
    return call("gelu", floating(x), approximate=approximate)


def _over_axes(name: str, x: Any, axis: Any) -> Tensor:
    x = floating(x)
    with locating():
        return call(name, x, axes=normal_axes(name, axis, x.ndim))


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """log Σ e^x, without overflow."""
    x = floating(x)
    result = _over_axes("logsumexp", x, axis)
    if not keepdims:
        return result
    return arithmetic.reshape(result, kept_shape(x.shape, normal_axes("", axis, x.ndim)))


def softmax(x: Any, axis: Any = -1) -> Tensor:
    """e^x / Σ e^x: positive numbers of sum 1 along the axis, by x − max(x) without overflow.

    Shapes: any → the same; `axis` may be several.

    >>> softmax([0.0, 1000.0]).tolist()
    [0.0, 1.0]
    """
    return _over_axes("softmax", x, axis)


def log_softmax(x: Any, axis: Any = -1) -> Tensor:
    """x − logsumexp(x)."""
    return _over_axes("log_softmax", x, axis)


def cross_entropy_each(logits: Any, labels: Any) -> Tensor:
    """logsumexp(z) − z[label] for each example: −log softmax(z)[label], stable.

    logits (… C) float, labels (…) any integers.
    """
    z, label = front.as_tensor(logits), front.as_tensor(labels)
    with locating():
        if is_float(label.dtype):
            raise DtypeError(
                f"labels of {label.dtype.name}", fix="labels are whole numbers: labels.astype(int)"
            )
        return call("cross_entropy", z, label)
