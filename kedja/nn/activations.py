"""Activations as layers, and the lookup by name that the builders and the command line use.

The formulas and their sources stand in `activation_functions.py`. `inplace` is taken where PyTorch
has it, so that its code runs; nothing is ever changed in place. Next: `builders.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kedja.front.tensor import Tensor
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.nn import activation_functions as functional
from kedja.nn.init import constant
from kedja.nn.module import Module


class _Activation(Module):
    """One that is made with `inplace`, which means nothing here."""

    def extra_repr(self) -> str:
        """The options without `inplace`."""
        hidden = ("inplace", "_frozen")
        return ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if k not in hidden)


class Identity(Module):
    """y = x; whatever it is made with is not used."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.identity(x)


# ------------------------------------------------------------------------------- saturating


class Sigmoid(Module):
    """y = 1/(1 + e^(−x)); see `functional.sigmoid`."""

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.sigmoid(x)


class LogSigmoid(Module):
    """y = log(1/(1 + e^(−x))); see `functional.logsigmoid`."""

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.logsigmoid(x)


class Hardsigmoid(_Activation):
    """y = x/6 + 1/2 held between 0 and 1; see `functional.hardsigmoid`."""

    inplace: bool = False

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.hardsigmoid(x)


class Tanh(Module):
    """y = tanh x; see `functional.tanh`."""

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.tanh(x)


class Hardtanh(_Activation):
    """y = x held between `min_val` and `max_val`; see `functional.hardtanh`."""

    min_val: float = -1.0
    max_val: float = 1.0
    inplace: bool = False

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.hardtanh(x, self.min_val, self.max_val)


class Softsign(Module):
    """y = x/(1 + |x|); see `functional.softsign`."""

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.softsign(x)


class Tanhshrink(Module):
    """y = x − tanh x; see `functional.tanhshrink`."""

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.tanhshrink(x)


# -------------------------------------------------------------------------------- rectifiers


class ReLU(_Activation):
    """y = max(x, 0); see `functional.relu`.

    >>> ReLU()([-1.0, 2.0])
    Tensor([0., 2.], float32)
    """

    inplace: bool = False

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.relu(x)


class ReLU6(_Activation):
    """y = min(max(x, 0), 6); see `functional.relu6`."""

    inplace: bool = False

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.relu6(x)


class LeakyReLU(_Activation):
    """y = x where x > 0, else negative_slope·x; see `functional.leaky_relu`."""

    negative_slope: float = 0.01
    inplace: bool = False

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.leaky_relu(x, self.negative_slope)


class PReLU(Module):
    """y = x where x > 0, else w·x with a learned slope; see `functional.prelu`.

    Shapes: x (N, C, …) → the same; `weight` (1,), or (C,) with `num_parameters=C`, all `init` at
    the start.
    """

    weight: Tensor

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        self.weight = constant(None, (num_parameters,), init)

    def __call__(self, x: Any) -> Tensor:
        """(N, C, …) → the same."""
        return functional.prelu(x, self.weight)

    def extra_repr(self) -> str:
        """How many slopes."""
        return f"num_parameters={self.weight.shape[0]}"


class RReLU(_Activation):
    """y = x where x ≥ 0, else a·x, a random in training; see `functional.rrelu`."""

    lower: float = 1 / 8
    upper: float = 1 / 3
    inplace: bool = False

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.rrelu(x, self.lower, self.upper)


class ELU(_Activation):
    """y = x where x > 0, else alpha·(e^x − 1); see `functional.elu`."""

    alpha: float = 1.0
    inplace: bool = False

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.elu(x, self.alpha)


class CELU(_Activation):
    """y = x where x > 0, else alpha·(e^(x/alpha) − 1); see `functional.celu`."""

    alpha: float = 1.0
    inplace: bool = False

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.celu(x, self.alpha)


class SELU(_Activation):
    """The scaled ELU that keeps mean 0 and variance 1; see `functional.selu`."""

    inplace: bool = False

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.selu(x)


class Threshold(_Activation):
    """y = x where x > threshold, else `value`; see `functional.threshold`."""

    threshold: float
    value: float
    inplace: bool = False

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.threshold(x, self.threshold, self.value)


class Hardshrink(Module):
    """y = x where |x| > lambd, else 0; see `functional.hardshrink`."""

    lambd: float = 0.5

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.hardshrink(x, self.lambd)


class Softshrink(Module):
    """y = x moved by lambd towards 0; see `functional.softshrink`."""

    lambd: float = 0.5

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.softshrink(x, self.lambd)


# ------------------------------------------------------------------------------------ smooth


class GELU(Module):
    """y = x·Φ(x), or its tanh approximation; see `functional.gelu`."""

    approximate: str = "none"

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.gelu(x, self.approximate)


class SiLU(_Activation):
    """y = x·sigmoid(x); see `functional.silu`."""

    inplace: bool = False

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.silu(x)


class Hardswish(_Activation):
    """y = x·min(max(x + 3, 0), 6)/6; see `functional.hardswish`."""

    inplace: bool = False

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.hardswish(x)


class Mish(_Activation):
    """y = x·tanh(log(1 + e^x)); see `functional.mish`."""

    inplace: bool = False

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.mish(x)


class Softplus(Module):
    """y = log(1 + e^(beta·x))/beta, or x if large; see `functional.softplus`."""

    beta: float = 1.0
    threshold: float = 20.0

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.softplus(x, self.beta, self.threshold)


# ------------------------------------------------------------------------------ along an axis


class Softmax(Module):
    """y_i = e^(x_i)/Σ_j e^(x_j) along the axis `dim`; see `functional.softmax`."""

    dim: int = -1

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.softmax(x, self.dim)


class Softmax2d(Module):
    """Softmax over the channels: (N, C, H, W) or (C, H, W) → the same."""

    def __call__(self, x: Any) -> Tensor:
        """Softmax along the third axis from the end."""
        return functional.softmax(x, -3)


class LogSoftmax(Module):
    """The logarithm of softmax; see `functional.log_softmax`."""

    dim: int = -1

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.log_softmax(x, self.dim)


class Softmin(Module):
    """Softmax of −x; see `functional.softmin`."""

    dim: int = -1

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return functional.softmin(x, self.dim)


class GLU(Module):
    """y = a·sigmoid(b), a and b the halves of x along `dim`; see `functional.glu`."""

    dim: int = -1

    def __call__(self, x: Any) -> Tensor:
        """(… 2·H …) → (… H …)."""
        return functional.glu(x, self.dim)


# ------------------------------------------------------------------------------------ by name

ACTIVATIONS: dict[str, Callable[..., Module]] = {
    "identity": Identity,
    "sigmoid": Sigmoid,
    "logsigmoid": LogSigmoid,
    "hardsigmoid": Hardsigmoid,
    "tanh": Tanh,
    "hardtanh": Hardtanh,
    "softsign": Softsign,
    "tanhshrink": Tanhshrink,
    "relu": ReLU,
    "relu6": ReLU6,
    "leaky_relu": LeakyReLU,
    "prelu": PReLU,
    "rrelu": RReLU,
    "elu": ELU,
    "celu": CELU,
    "selu": SELU,
    "hardshrink": Hardshrink,
    "softshrink": Softshrink,
    "gelu": GELU,
    "silu": SiLU,
    "hardswish": Hardswish,
    "mish": Mish,
    "softplus": Softplus,
    "softmax": Softmax,
    "log_softmax": LogSoftmax,
    "softmin": Softmin,
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
