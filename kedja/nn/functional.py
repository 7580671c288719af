"""Activations as functions of tensors: formula, shapes and source of each.

All are elementwise (any shape in, the same out) but softmax, log_softmax and maxout, which work
along one axis. Integers become float32. Not here: the same as layers (`activations.py`).
Next: `losses.py`.
"""

from __future__ import annotations

from typing import Any

from kedja.front import functions
from kedja.front.arithmetic import cast, reshape, where
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import float32, is_float
from kedja.ground.errors import ShapeError, UsageError
from kedja.ir.graph import locating
from kedja.ops.types import normal_axis


def floating(x: Any) -> Tensor:
    """x as a tensor of floats: anything else becomes float32."""
    x = as_tensor(x)
    return x if is_float(x.dtype) else cast(x, float32)


def identity(x: Any) -> Tensor:
    """y = x."""
    return as_tensor(x)


# ------------------------------------------------------------------------------- saturating


def sigmoid(x: Any) -> Tensor:
    """y = 1/(1 + e^(−x)), in 0 … 1; its slope y(1 − y) is at most 1/4 and vanishes at both ends.

    Its values are never centred on 0. Source: P.-F. Verhulst: Notice sur la loi que la population
    poursuit dans son accroissement (1838).
    """
    return functions.sigmoid(floating(x))


def tanh(x: Any) -> Tensor:
    """y = (e^x − e^(−x))/(e^x + e^(−x)), in −1 … 1, centred on 0; its slope is 1 − y².

    Source: Y. LeCun et al.: Efficient backprop (1998), for its use in networks.
    """
    return functions.tanh(floating(x))


# -------------------------------------------------------------------------------- rectifiers


def relu(x: Any) -> Tensor:
    """y = max(x, 0); the derivative at 0 is 0.

    Source: V. Nair, G. Hinton: Rectified linear units improve restricted Boltzmann machines (2010).

    >>> relu([-1.0, 0.0, 2.0])
    Tensor([0., 0., 2.], float32)
    """
    return functions.relu(floating(x))


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Tensor:
    """y = x where x > 0, else negative_slope·x, so that no unit can die.

    Source: A. Maas et al.: Rectifier nonlinearities improve neural network acoustic models (2013).
    """
    x = floating(x)
    return where(x > 0, x, negative_slope * x)


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """y = x where x > 0, else alpha·(e^x − 1).

    Source: D.-A. Clevert et al.: Fast and accurate deep network learning by exponential linear
    units (2015).
    """
    x = floating(x)
    below = where(x > 0, 0.0, x)  # e^x must not overflow where it is not taken
    return where(x > 0, x, alpha * functions.expm1(below))


SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717


def selu(x: Any) -> Tensor:
    """y = 1.0507…·elu(x, 1.6733…): keeps mean 0 and variance 1 from layer to layer.

    Source: G. Klambauer et al.: Self-normalizing neural networks (2017).
    """
    return SELU_SCALE * elu(x, SELU_ALPHA)


# ------------------------------------------------------------------------------------ smooth


def gelu(x: Any, approximate: str = "none") -> Tensor:
    """y = x·Φ(x), Φ the normal distribution function.

    With `approximate="tanh"` (as in GPT-2) y = x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))).
    Source: D. Hendrycks, K. Gimpel: Gaussian error linear units (2016).
    """
    if approximate not in ("none", "tanh"):
        raise UsageError(f"gelu with approximate={approximate!r}", fix="'none' or 'tanh'")
    return functions.gelu(floating(x), approximate)


def silu(x: Any) -> Tensor:
    """y = x·sigmoid(x), also called swish.

    Sources: S. Elfwing et al.: Sigmoid-weighted linear units (2017); P. Ramachandran et al.:
    Searching for activation functions (2017).
    """
    return functions.silu(floating(x))


def softplus(x: Any, beta: float = 1.0) -> Tensor:
    """y = log(1 + e^(beta·x))/beta, a smooth relu; exact for any x, without a threshold.

    Source: C. Dugas et al.: Incorporating second-order functional knowledge (2000).
    """
    x = floating(x)
    return functions.softplus(x) if beta == 1 else functions.softplus(beta * x) / beta


# ------------------------------------------------------------------------------ along an axis


def softmax(x: Any, axis: int = -1) -> Tensor:
    """y_i = e^(x_i)/Σ_j e^(x_j): positive numbers with Σ y_i = 1 along the axis.

    Source: J. Bridle: Probabilistic interpretation of feedforward classification network outputs
    (1990).

    >>> softmax([0.0, 0.0])
    Tensor([0.5, 0.5], float32)
    """
    return functions.softmax(floating(x), axis)


def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """y_i = x_i − log Σ_j e^(x_j): the logarithm of softmax, without overflow."""
    return functions.log_softmax(floating(x), axis)


def maxout(x: Any, pieces: int, axis: int = -1) -> Tensor:
    """The largest of each group of `pieces` neighbours along the axis.

    Shapes: (… H·K …) → (… H …), K = `pieces`. Raises ShapeError where K does not divide the axis.
    Source: I. Goodfellow et al.: Maxout networks (2013).

    >>> maxout([1.0, 5.0, 4.0, 2.0], pieces=2)
    Tensor([5., 4.], float32)
    """
    x = as_tensor(x)
    with locating():
        place = normal_axis("maxout", axis, x.ndim)
        if pieces < 1 or x.shape[place] % pieces:
            raise ShapeError(
                f"maxout of {pieces} pieces over axis {axis} of shape {list(x.shape)}",
                fix="the extent of the axis is a multiple of the pieces",
            )
    groups = (x.shape[place] // pieces, pieces)
    split = reshape(x, (*x.shape[:place], *groups, *x.shape[place + 1 :]))  # (… H K …)
    return functions.max(split, axis=place + 1)
