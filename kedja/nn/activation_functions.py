"""Activations as functions of tensors: formula, shapes and source of each.

All are elementwise (any shape in, the same out) but those along one axis: softmax and its like,
glu, maxout, and prelu with one slope for each channel. Integers become float32. Where PyTorch has
the function, names, arguments and slopes at the corners are its own. Not here: the same as layers
(`activations.py`). Next: `activations.py`.
"""

from __future__ import annotations

from typing import Any

from kedja.front import functions, random
from kedja.front.arithmetic import broadcast, cast, reshape, where
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import float32, is_float
from kedja.ground.errors import ShapeError, UsageError
from kedja.ir.graph import locating
from kedja.nn import state
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


def logsigmoid(x: Any) -> Tensor:
    """y = log(1/(1 + e^(−x))) = −log(1 + e^(−x)), without overflow."""
    return -functions.softplus(-floating(x))


def hardsigmoid(x: Any) -> Tensor:
    """y = x/6 + 1/2 held between 0 and 1; flat where |x| ≥ 3.

    Source: M. Courbariaux et al.: BinaryConnect (2015).
    """
    x = floating(x)
    return _between(x, -3.0, 3.0, x / 6 + 0.5, 0.0, 1.0)


def tanh(x: Any) -> Tensor:
    """y = (e^x − e^(−x))/(e^x + e^(−x)), in −1 … 1, centred on 0; its slope is 1 − y².

    Source: Y. LeCun et al.: Efficient backprop (1998), for its use in networks.
    """
    return functions.tanh(floating(x))


def hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """y = x held between `min_val` and `max_val`; its slope at both is 0.

    Raises UsageError unless min_val ≤ max_val. Source: R. Collobert: Large scale machine learning
    (2004).
    """
    if not min_val <= max_val:
        raise UsageError(f"hardtanh between {min_val} and {max_val}", fix="min_val ≤ max_val")
    x = floating(x)
    return _between(x, min_val, max_val, x, min_val, max_val)


def softsign(x: Any) -> Tensor:
    """y = x/(1 + |x|), in −1 … 1, which nears its ends more slowly than tanh.

    Source: J. Bergstra et al.: Quadratic polynomials learn better image features (2009).
    """
    x = floating(x)
    y: Tensor = x / (1 + abs(x))
    return y


def tanhshrink(x: Any) -> Tensor:
    """y = x − tanh x: flat around 0."""
    x = floating(x)
    y: Tensor = x - functions.tanh(x)
    return y


def _between(x: Tensor, low: float, high: float, inside: Tensor, left: Any, right: Any) -> Tensor:
    """`inside` where low < x < high (and where x is NaN), `left` and `right` beyond."""
    return where(x <= low, left, where(x >= high, right, inside))


# -------------------------------------------------------------------------------- rectifiers


def relu(x: Any) -> Tensor:
    """y = max(x, 0); the derivative at 0 is 0.

    Source: V. Nair, G. Hinton: Rectified linear units improve restricted Boltzmann machines (2010).

    >>> relu([-1.0, 0.0, 2.0])
    Tensor([0., 0., 2.], float32)
    """
    return functions.relu(floating(x))


def relu6(x: Any) -> Tensor:
    """y = min(max(x, 0), 6).

    Source: A. Krizhevsky: Convolutional deep belief networks on CIFAR-10 (2010).
    """
    return hardtanh(x, 0.0, 6.0)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Tensor:
    """y = x where x > 0, else negative_slope·x, so that no unit can die.

    Source: A. Maas et al.: Rectifier nonlinearities improve neural network acoustic models (2013).
    """
    x = floating(x)
    return where(x > 0, x, negative_slope * x)


def prelu(x: Any, weight: Any) -> Tensor:
    """y = x where x > 0, else w·x with a learned slope w, one for all or one for each channel.

    Shapes: x (N, C, …) → the same; `weight` (1,) or (C,). Raises ShapeError for another one.
    Source: K. He et al.: Delving deep into rectifiers (2015).
    """
    x, weight = floating(x), as_tensor(weight)
    with locating():
        channels = x.shape[1] if x.ndim > 1 else 1
        if weight.shape not in ((1,), (channels,), ()):
            raise ShapeError(
                f"prelu of {list(x.shape)} with slopes {list(weight.shape)}",
                fix=f"one slope for all, (1,), or one for each channel of axis 1, ({channels},)",
            )
    spread = (1, -1) + (1,) * (x.ndim - 2) if x.ndim > 1 else (-1,) * x.ndim
    slope = reshape(weight, spread)  # (1 C 1 …)
    return where(x > 0, x, slope * x)


def rrelu(
    x: Any,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool | None = None,
    *,
    key: Tensor | None = None,
) -> Tensor:
    """y = x where x ≥ 0, else a·x: a uniform in lower … upper in training, else their middle.

    In training each element draws its own slope, from `key` or from that of `nn.training`, whose
    being open decides unless `training` is given. Raises UsageError unless lower ≤ upper.
    Source: B. Xu et al.: Empirical evaluation of rectified activations (2015).
    """
    if not lower <= upper:
        raise UsageError(f"rrelu with slopes from {lower} to {upper}", fix="lower ≤ upper")
    x = floating(x)
    if state.is_training() if training is None else training:
        key = state.next_key() if key is None else key
        slope = random.uniform(key, x.shape, lower, upper).astype(x.dtype)
        return where(x >= 0, x, slope * x)
    return leaky_relu(x, (lower + upper) / 2)


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """y = x where x > 0, else alpha·(e^x − 1).

    Source: D.-A. Clevert et al.: Fast and accurate deep network learning by exponential linear
    units (2015).
    """
    return _elu(floating(x), alpha, 1.0)


def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """y = x where x > 0, else alpha·(e^(x/alpha) − 1), which has no corner for any alpha.

    Raises UsageError for alpha = 0. Source: J. Barron: Continuously differentiable exponential
    linear units (2017).
    """
    if alpha == 0:
        raise UsageError("celu with alpha=0", fix="any other number")
    return _elu(floating(x), alpha, 1 / alpha)


def _elu(x: Tensor, alpha: float, rate: float) -> Tensor:
    below = where(x > 0, 0.0, x)  # e^x must not overflow where it is not taken
    return where(x > 0, x, alpha * functions.expm1(below if rate == 1 else rate * below))


SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717


def selu(x: Any) -> Tensor:
    """y = 1.0507…·elu(x, 1.6733…): keeps mean 0 and variance 1 from layer to layer.

    Source: G. Klambauer et al.: Self-normalizing neural networks (2017).
    """
    return SELU_SCALE * elu(x, SELU_ALPHA)


def threshold(x: Any, threshold: float, value: float) -> Tensor:
    """y = x where x > threshold, else `value`."""
    x = floating(x)
    return where(x <= threshold, value, x)


def hardshrink(x: Any, lambd: float = 0.5) -> Tensor:
    """y = x where |x| > lambd, else 0."""
    x = floating(x)
    return where(abs(x) <= lambd, 0.0, x)


def softshrink(x: Any, lambd: float = 0.5) -> Tensor:
    """y = x − lambd where x > lambd, x + lambd where x < −lambd, else 0.

    Raises UsageError for a negative lambd. Source: D. Donoho: De-noising by soft-thresholding
    (1995).
    """
    if lambd < 0:
        raise UsageError(f"softshrink with lambd={lambd}", fix="lambd is 0 or more")
    x = floating(x)
    return where(x > lambd, x - lambd, where(x < -lambd, x + lambd, 0.0 * x))


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


def hardswish(x: Any) -> Tensor:
    """y = x·min(max(x + 3, 0), 6)/6: silu made of straight pieces.

    Source: A. Howard et al.: Searching for MobileNetV3 (2019).
    """
    x = floating(x)
    return _between(x, -3.0, 3.0, x * (x + 3) / 6, 0.0, x)


def mish(x: Any) -> Tensor:
    """y = x·tanh(log(1 + e^x)).

    Source: D. Misra: Mish, a self regularized non-monotonic activation function (2019).
    """
    x = floating(x)
    y: Tensor = x * functions.tanh(functions.softplus(x))
    return y


def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """y = log(1 + e^(beta·x))/beta, a smooth relu; x itself where beta·x > threshold, as PyTorch.

    It cannot overflow: with `threshold=float("inf")` it is exact everywhere. Source: C. Dugas et
    al.: Incorporating second-order functional knowledge (2000).
    """
    x = floating(x)
    scaled = x if beta == 1 else beta * x
    smooth = functions.softplus(scaled)
    return where(scaled > threshold, x, smooth if beta == 1 else smooth / beta)


# ------------------------------------------------------------------------------ along an axis


def softmax(x: Any, dim: int = -1, *, dtype: Any = None) -> Tensor:
    """y_i = e^(x_i)/Σ_j e^(x_j): positive numbers with Σ y_i = 1 along the axis.

    With `dtype`, x is cast to it first. Source: J. Bridle: Probabilistic interpretation of
    feedforward classification network outputs (1990).

    >>> softmax([0.0, 0.0])
    Tensor([0.5, 0.5], float32)
    """
    return _along("softmax", x, dim, dtype)


def log_softmax(x: Any, dim: int = -1, *, dtype: Any = None) -> Tensor:
    """y_i = x_i − log Σ_j e^(x_j): the logarithm of softmax, without overflow."""
    return _along("log_softmax", x, dim, dtype)


def _along(name: str, given: Any, dim: int, dtype: Any) -> Tensor:
    """The function of that name; a number without axes counts as one with an axis of extent 1."""
    x = floating(given) if dtype is None else as_tensor(given).astype(dtype)
    if not x.size:
        return x
    flat = reshape(x, (1,)) if not x.ndim and dim in (0, -1) else x
    return reshape(getattr(functions, name)(flat, dim), x.shape)


def softmin(x: Any, dim: int = -1, *, dtype: Any = None) -> Tensor:
    """y_i = e^(−x_i)/Σ_j e^(−x_j): most weight on the smallest."""
    return softmax(-floating(x), dim, dtype=dtype)


def gumbel_softmax(
    logits: Any,
    tau: float = 1.0,
    hard: bool = False,
    dim: int = -1,
    *,
    key: Tensor | None = None,
) -> Tensor:
    """y = softmax((logits + g)/tau), g = −log(−log u): a draw from the classes, made soft.

    With `hard`, y is one-hot going forward, and its gradient is that of the soft one. The numbers
    come from `key`, else from that of `nn.training`. Sources: E. Jang et al., C. Maddison et al.
    (both 2016).
    """
    logits = floating(logits)
    u = random.uniform(state.next_key() if key is None else key, logits.shape)
    noise = -functions.log(-functions.log(u + 2.0**-25)).astype(logits.dtype)
    soft = softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    axis = normal_axis("gumbel_softmax", dim, logits.ndim)
    place = functions.expand_dims(functions.argmax(soft, axis), axis)
    order = functions.reshape(
        functions.arange(soft.shape[axis]), [-1 if i == axis else 1 for i in range(soft.ndim)]
    )
    sharp = cast(broadcast(place, soft.shape) == broadcast(order, soft.shape), soft.dtype)
    return sharp + soft - functions.stop_gradient(soft)


def glu(x: Any, dim: int = -1) -> Tensor:
    """y = a·sigmoid(b), a the first and b the second half of x along the axis.

    Shapes: (… 2·H …) → (… H …). Raises ShapeError for an odd extent.
    Source: Y. Dauphin et al.: Language modeling with gated convolutional networks (2016).
    """
    x = floating(x)
    with locating():
        place = normal_axis("glu", dim, x.ndim)
        if x.shape[place] % 2:
            raise ShapeError(
                f"glu of axis {dim} of shape {list(x.shape)}", fix="the extent must be even"
            )
    whole = (slice(None),) * place
    half = x.shape[place] // 2
    y: Tensor = x[(*whole, slice(half))] * functions.sigmoid(x[(*whole, slice(half, None))])
    return y


def maxout(x: Any, pieces: int, dim: int = -1) -> Tensor:
    """The largest of each group of `pieces` neighbours along the axis.

    Shapes: (… H·K …) → (… H …), K = `pieces`. Raises ShapeError where K does not divide the axis.
    Source: I. Goodfellow et al.: Maxout networks (2013).

    >>> maxout([1.0, 5.0, 4.0, 2.0], pieces=2)
    Tensor([5., 4.], float32)
    """
    x = as_tensor(x)
    with locating():
        place = normal_axis("maxout", dim, x.ndim)
        if pieces < 1 or x.shape[place] % pieces:
            raise ShapeError(
                f"maxout of {pieces} pieces over axis {dim} of shape {list(x.shape)}",
                fix="the extent of the axis is a multiple of the pieces",
            )
    groups = (x.shape[place] // pieces, pieces)
    split = reshape(x, (*x.shape[:place], *groups, *x.shape[place + 1 :]))  # (… H K …)
    return functions.max(split, axis=place + 1)
