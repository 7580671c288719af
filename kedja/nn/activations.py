"""Activations as layers, and the lookup by name that the builders and the command line use.

The formulas and their sources stand in `functional.py`. Next: `builders.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kedja.front.tensor import Tensor
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.nn import functional
from kedja.nn.module import Module


class Identity(Module):
    """y = x."""

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.identity(x)


# ------------------------------------------------------------------------------- saturating


class Sigmoid(Module):
    """y = 1/(1 + e^(−x)); see `functional.sigmoid`."""

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.sigmoid(x)


class Tanh(Module):
    """y = tanh x; see `functional.tanh`."""

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.tanh(x)


# -------------------------------------------------------------------------------- rectifiers


class ReLU(Module):
    """y = max(x, 0); see `functional.relu`.

    >>> ReLU()([-1.0, 2.0])
    Tensor([0., 2.], float32)
    """

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.relu(x)


class LeakyReLU(Module):
    """y = x where x > 0, else negative_slope·x; see `functional.leaky_relu`."""

    negative_slope: float = 0.01

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.leaky_relu(x, self.negative_slope)


class ELU(Module):
    """y = x where x > 0, else alpha·(e^x − 1); see `functional.elu`."""

    alpha: float = 1.0

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.elu(x, self.alpha)


class SELU(Module):
    """The scaled ELU that keeps mean 0 and variance 1; see `functional.selu`."""

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.selu(x)


# ------------------------------------------------------------------------------------ smooth


class GELU(Module):
    """y = x·Φ(x), or its tanh approximation; see `functional.gelu`."""

    approximate: str = "none"

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.gelu(x, self.approximate)


class SiLU(Module):
    """y = x·sigmoid(x); see `functional.silu`."""

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.silu(x)


class Softplus(Module):
    """y = log(1 + e^(beta·x))/beta; see `functional.softplus`."""

    beta: float = 1.0

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.softplus(x, self.beta)


# ------------------------------------------------------------------------------ along an axis


class Softmax(Module):
    """y_i = e^(x_i)/Σ_j e^(x_j) along the axis; see `functional.softmax`."""

    axis: int = -1

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.softmax(x, self.axis)


class LogSoftmax(Module):
    """The logarithm of softmax; see `functional.log_softmax`."""

    axis: int = -1

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.log_softmax(x, self.axis)


# ------------------------------------------------------------------------------------ by name

ACTIVATIONS: dict[str, Callable[..., Module]] = {
    "identity": Identity,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "selu": SELU,
    "gelu": GELU,
    "silu": SiLU,
    "softplus": Softplus,
    "softmax": Softmax,
    "log_softmax": LogSoftmax,
}


def activation(name: str, **options: Any) -> Module:
    """The activation of a name, in any spelling: `leaky_relu`, `leaky-relu`, `LeakyReLU`.

    Raises UsageError with the closest names for one that is not there.

    >>> activation("leaky-relu", negative_slope=0.2)
    LeakyReLU(negative_slope=0.2)
    """
    return ACTIVATIONS[activation_name(name)](**options)


def activation_name(name: str) -> str:
    """The name in `ACTIVATIONS` that a spelling means; raises UsageError where there is none."""
    spelled = {each.replace("_", ""): each for each in ACTIVATIONS}
    plain = name.lower().replace("_", "").replace("-", "")
    if plain in spelled:
        return spelled[plain]
    raise UsageError(f"unknown activation {name!r}", fix=did_you_mean(name, ACTIVATIONS))
