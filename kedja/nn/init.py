"""Initialisers: `(key, shape, …) -> Tensor`, named as in PyTorch, without its underscores.

Weights have the shape (out, in, …); fan-in and fan-out count the inputs and outputs of one unit,
times the extents of any further axes (a convolution's window). Not here: which layer uses which
(`linear.py` has PyTorch's default, `builders.py` chooses by activation). Next: `linear.py`.

Sources: X. Glorot, Y. Bengio: Understanding the difficulty of training deep feedforward neural
networks (2010). K. He et al.: Delving deep into rectifiers (2015). Y. LeCun et al.: Efficient
backprop (1998). A. Saxe et al.: Exact solutions to the nonlinear dynamics of learning (2014).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from kedja.front import drawing, functions, random
from kedja.front.later import Later
from kedja.front.tensor import Tensor, from_later
from kedja.ground.dtypes import DType, float32
from kedja.ground.errors import ShapeError, UsageError
from kedja.ir.graph import locating
from kedja.ops.types import extents

Shape = Sequence[int]
Initializer = Callable[[Tensor | None, Shape], Tensor]

# ----------------------------------------------------------------------------------- plain


def zeros(key: Tensor | None, shape: Shape, dtype: DType = float32) -> Tensor:
    """Zeros; the key is not used."""
    return functions.zeros(shape, dtype)


def ones(key: Tensor | None, shape: Shape, dtype: DType = float32) -> Tensor:
    """Ones; the key is not used."""
    return functions.ones(shape, dtype)


def constant(key: Tensor | None, shape: Shape, value: float, dtype: DType = float32) -> Tensor:
    """One value everywhere; the key is not used."""
    return functions.full(shape, value, dtype)


def uniform(
    key: Tensor, shape: Shape, low: float = 0.0, high: float = 1.0, dtype: DType = float32
) -> Tensor:
    """Uniform in [low, high)."""
    return _drawn(key, shape, dtype, lambda: random.uniform(key, shape, low, high, dtype))


def normal(
    key: Tensor, shape: Shape, mean: float = 0.0, std: float = 1.0, dtype: DType = float32
) -> Tensor:
    """Normal with this mean and standard deviation."""
    return _drawn(key, shape, dtype, lambda: random.normal(key, shape, dtype) * std + mean)


def _drawn(given: Tensor, shape: Shape, dtype: DType, draw: Callable[[], Tensor]) -> Tensor:
    """A weight that is drawn when somebody looks at it, and once: not again in each graph.

    `given` is what it is drawn from: a key, or another weight.
    """
    with locating():
        whole, kind = extents(shape), random.float_dtype(dtype)
    if drawing.is_plain(given):
        return from_later(Later(whole, kind, lambda: draw().numpy()))
    drawn = draw()
    if drawn.is_known:
        drawn.numpy()
    return drawn


# ----------------------------------------------------------------------- by fan-in and fan-out


def fans(shape: Shape) -> tuple[int, int]:
    """Fan-in and fan-out of a weight of shape (out, in, …).

    >>> fans((128, 784)), fans((16, 3, 5, 5))
    ((784, 128), (75, 400))
    """
    if len(shape) < 2:
        raise ShapeError(
            f"fan-in and fan-out of shape {list(shape)}",
            fix="a weight has at least two axes (out, in); use zeros or uniform for others",
        )
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def xavier_uniform(key: Tensor, shape: Shape, gain: float = 1.0, dtype: DType = float32) -> Tensor:
    """U(−a, a) with a = gain·√(6/(fan_in + fan_out)). Source: Glorot and Bengio (2010)."""
    bound = gain * math.sqrt(6 / max(sum(fans(shape)), 1))
    return uniform(key, shape, -bound, bound, dtype)


def xavier_normal(key: Tensor, shape: Shape, gain: float = 1.0, dtype: DType = float32) -> Tensor:
    """N(0, σ²) with σ = gain·√(2/(fan_in + fan_out)). Source: Glorot and Bengio (2010)."""
    return normal(key, shape, 0.0, gain * math.sqrt(2 / max(sum(fans(shape)), 1)), dtype)


def kaiming_uniform(
    key: Tensor,
    shape: Shape,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    dtype: DType = float32,
) -> Tensor:
    """U(−b, b) with b = gain·√(3/fan); `a` is leaky ReLU's slope. Source: He et al. (2015)."""
    bound = math.sqrt(3) * _kaiming_std(shape, a, mode, nonlinearity)
    return uniform(key, shape, -bound, bound, dtype)


def kaiming_normal(
    key: Tensor,
    shape: Shape,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    dtype: DType = float32,
) -> Tensor:
    """N(0, σ²) with σ = gain/√fan; `a` is leaky ReLU's slope. Source: He et al. (2015)."""
    return normal(key, shape, 0.0, _kaiming_std(shape, a, mode, nonlinearity), dtype)


def _kaiming_std(shape: Shape, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise UsageError(f"mode {mode!r}", fix="'fan_in' or 'fan_out'")
    fan = fans(shape)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))


def lecun_normal(key: Tensor, shape: Shape, gain: float = 1.0, dtype: DType = float32) -> Tensor:
    """N(0, σ²) with σ = gain/√fan_in. Sources: LeCun et al. (1998); for SELU, Klambauer (2017)."""
    return normal(key, shape, 0.0, gain / math.sqrt(max(fans(shape)[0], 1)), dtype)


def orthogonal(key: Tensor, shape: Shape, gain: float = 1.0, dtype: DType = float32) -> Tensor:
    """gain·Q with orthonormal rows (or columns, were there more rows than columns).

    Q comes from the QR decomposition of a normal matrix (out, in·…), with R's diagonal made
    positive so that Q is uniform over the orthogonal matrices. Source: Saxe et al. (2014).
    """
    fans(shape)
    rows, columns = shape[0], math.prod(shape[1:])
    tall = (max(rows, columns), min(rows, columns))
    drawn = random.normal(key, tall, np.dtype(np.float64)).numpy()
    q, r = np.linalg.qr(drawn)
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    square = q if rows >= columns else q.T
    return Tensor((gain * square).reshape(tuple(shape)), dtype)


# ---------------------------------------------------------------------------- by activation

_GAINS = {
    "linear": 1.0,
    "identity": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 3 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights before an activation are enlarged; PyTorch's values.

    √2 for relu, √(2/(1 + slope²)) for leaky_relu (`param`, 0.01 unless given), 5/3 for tanh,
    3/4 for selu, 1 for sigmoid and identity.
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2 / (1 + slope * slope))
    if nonlinearity not in _GAINS:
        known = ", ".join(sorted([*_GAINS, "leaky_relu"]))
        raise UsageError(f"no gain is known for {nonlinearity!r}", fix=f"one of {known}")
    return _GAINS[nonlinearity]


_RELU_LIKE = (
    *("relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "celu"),
    *("gelu", "silu", "hardswish", "mish", "softplus", "logsigmoid"),
)
_LINEAR = ("identity", "softmax", "log_softmax", "softmin", "hardshrink", "softshrink")
_TANH_LIKE = ("tanh", "hardtanh", "softsign", "tanhshrink")
_TANH = calculate_gain("tanh")

_BY_ACTIVATION: dict[str, Any] = {
    **dict.fromkeys(_RELU_LIKE, partial(kaiming_uniform, nonlinearity="relu")),
    **dict.fromkeys(_LINEAR, xavier_uniform),
    **dict.fromkeys(_TANH_LIKE, partial(xavier_uniform, gain=_TANH)),
    **dict.fromkeys(("sigmoid", "hardsigmoid"), partial(xavier_uniform, gain=2 * _TANH)),
    "selu": lecun_normal,
}


def for_activation(name: str, after: str = "identity") -> Initializer:
    """The initialiser of weights between two activations: `name` follows, `after` came before.

    He's for relu and its relatives, LeCun's for selu, Xavier's for the others, with gain 5/3 for
    tanh. As sigmoid(x) = ½ + ½·tanh(x/2), weights are doubled where a sigmoid follows and doubled
    again where one came before; with `centring_bias` the network then starts as the tanh network
    would. Deep sigmoid networks hardly learn with the plain ones (the slope of a sigmoid is at
    most 1/4). Raises UsageError for a name that is not there.
    """
    if name not in _BY_ACTIVATION:
        known = ", ".join(_BY_ACTIVATION)
        raise UsageError(f"no initialiser is known for {name!r}", fix=f"one of: {known}")
    chosen: Initializer = _BY_ACTIVATION[name]
    return _doubled(chosen) if after == "sigmoid" else chosen


def _doubled(initializer: Initializer) -> Initializer:
    def draw(key: Tensor | None, shape: Shape) -> Tensor:
        drawn = initializer(key, shape)
        return _drawn(drawn, shape, drawn.dtype, lambda: 2 * drawn)

    return draw


def centring_bias(weight: Tensor) -> Tensor:
    """b = −½ Σ_j W_ij, so that inputs of ½, a sigmoid's middle, give 0.

    Shapes: weight (H, C) → (H,).
    """
    shape = weight.shape[:1]
    return _drawn(weight, shape, weight.dtype, lambda: -0.5 * functions.sum(weight, axis=1))
