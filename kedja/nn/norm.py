"""Normalisation of each example by itself: over its last axes, groups of channels, neighbours.

Not here: norms with running statistics (`batch_norm.py`). Next: `dropout.py`.
Dimensions: N examples, C channels, G groups of them, `…` places.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kedja.front import functions
from kedja.front.arithmetic import cast, reshape
from kedja.front.kinds import finfo
from kedja.front.tensor import Tensor
from kedja.ground.errors import ShapeError, UsageError
from kedja.ir.graph import locating
from kedja.nn import init
from kedja.nn.activation_functions import floating
from kedja.nn.batch_norm import scaled, standardized, wide
from kedja.nn.checks import extents, require_positive
from kedja.nn.module import Module, layer_error

Shape = int | Sequence[int]

# ----------------------------------------------------------------------- over the last axes


def _last_axes(name: str, x: Tensor, shape: tuple[int, ...]) -> tuple[int, ...]:
    with locating():
        if not shape or x.shape[-len(shape) :] != shape:
            raise ShapeError(
                f"{name} over {list(shape)} of shape {list(x.shape)}",
                fix="the last axes of the input must have these extents",
            )
    return tuple(range(x.ndim - len(shape), x.ndim))


def _affine(x: Tensor, y: Tensor, weight: Any, bias: Any) -> Tensor:
    """y·weight + bias over the last axes, in the dtype of x."""
    y = y if weight is None else y * weight
    y = y if bias is None else y + bias
    return cast(y, x.dtype)


def layer_norm(
    x: Any, normalized_shape: Shape, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    """y = (x − mean)/√(var + eps)·weight + bias, mean and variance over the last axes.

    Shapes: x (…, *normalized_shape) → the same; `weight` and `bias` of `normalized_shape`.
    The variance is divided by the number of elements. Raises ShapeError where the axes differ.
    Source: J. L. Ba et al.: Layer normalization (2016).
    """
    x = floating(x)
    axes = _last_axes("layer_norm", x, extents("layer_norm", "normalized_shape", normalized_shape))
    return _affine(x, standardized(x, axes, eps), weight, bias)


def rms_norm(
    x: Any, normalized_shape: Shape, weight: Any = None, eps: float | None = None
) -> Tensor:
    """y = x/√(mean(x²) + eps)·weight, the mean over the last axes.

    Shapes: x (…, *normalized_shape) → the same; `weight` of `normalized_shape`. `eps` is the
    smallest difference from 1 in the dtype of x unless given. Raises ShapeError where the axes
    differ. Source: B. Zhang, R. Sennrich: Root mean square layer normalization (2019).
    """
    x = floating(x)
    axes = _last_axes("rms_norm", x, extents("rms_norm", "normalized_shape", normalized_shape))
    values = wide(x)
    small = float(finfo(x.dtype).eps) if eps is None else eps
    mean = functions.mean(values * values, axes, keepdims=True)
    return _affine(x, values / functions.sqrt(mean + small), weight, None)


class LayerNorm(Module):
    """y = (x − mean)/√(var + eps)·weight + bias over the last axes; see `functional.layer_norm`.

    Shapes: x (…, *normalized_shape) → the same; `weight` and `bias` of `normalized_shape` (none
    without `elementwise_affine`; no bias without `bias`).
    Source: J. L. Ba et al.: Layer normalization (2016).

    >>> LayerNorm(2)([1.0, 3.0]).numpy().round(3).tolist()
    [-1.0, 1.0]
    """

    weight: Tensor | None
    bias: Tensor | None
    normalized_shape: tuple[int, ...]
    eps: float

    def __init__(
        self,
        normalized_shape: Shape,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        shape = extents("LayerNorm", "normalized_shape", normalized_shape)
        self.weight = init.ones(None, shape) if elementwise_affine else None
        self.bias = init.zeros(None, shape) if elementwise_affine and bias else None
        self.normalized_shape, self.eps = shape, eps

    @property
    def elementwise_affine(self) -> bool:
        """Whether there is a weight."""
        return self.weight is not None

    def __call__(self, x: Any) -> Tensor:
        """(…, *normalized_shape) → the same."""
        return layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The options, as PyTorch prints them."""
        return f"{self.normalized_shape}, eps={self.eps}, " + (
            f"elementwise_affine={self.elementwise_affine}"
        )


class RMSNorm(Module):
    """y = x/√(mean(x²) + eps)·weight over the last axes; see `functional.rms_norm`.

    Shapes: x (…, *normalized_shape) → the same; `weight` of `normalized_shape`.
    Source: B. Zhang, R. Sennrich: Root mean square layer normalization (2019).

    >>> RMSNorm(2)([3.0, 3.0]).numpy().round(3).tolist()
    [1.0, 1.0]
    """

    weight: Tensor | None
    normalized_shape: tuple[int, ...]
    eps: float | None

    def __init__(
        self,
        normalized_shape: Shape,
        eps: float | None = None,
        elementwise_affine: bool = True,
    ) -> None:
        shape = extents("RMSNorm", "normalized_shape", normalized_shape)
        self.weight = init.ones(None, shape) if elementwise_affine else None
        self.normalized_shape, self.eps = shape, eps

    @property
    def elementwise_affine(self) -> bool:
        """Whether there is a weight."""
        return self.weight is not None

    def __call__(self, x: Any) -> Tensor:
        """(…, *normalized_shape) → the same."""
        return rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """The options, as PyTorch prints them."""
        return f"{self.normalized_shape}, eps={self.eps}, " + (
            f"elementwise_affine={self.elementwise_affine}"
        )


# ------------------------------------------------------------------------ groups of channels


def group_norm(
    x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    """y = (x − mean)/√(var + eps)·weight + bias, with the mean of each example and group.

    Shapes: x (N, C, …) → the same; `weight` and `bias` (C,). Raises ShapeError where `num_groups`
    does not divide C. Source: Y. Wu, K. He: Group normalization (2018).
    """
    x = floating(x)
    with locating():
        if x.ndim < 2 or num_groups < 1 or x.shape[1] % num_groups:
            raise ShapeError(
                f"group_norm of {num_groups} groups of shape {list(x.shape)}",
                fix="(N, C, …) with a C that num_groups divides",
            )
    count = math.prod(x.shape[1:]) // num_groups
    groups = reshape(wide(x), (x.shape[0], num_groups, count))  # (N G C/G·…)
    y = standardized(groups, (2,), eps)
    return scaled(x, reshape(y, x.shape), weight, bias)


class GroupNorm(Module):
    """y = (x − mean)/√(var + eps)·weight + bias in each group; see `functional.group_norm`.

    Shapes: x (N, C, …) → the same, C = `num_channels`; `weight` and `bias` (C,) with `affine`.
    Raises UsageError where `num_groups` does not divide C.
    Source: Y. Wu, K. He: Group normalization (2018).

    >>> GroupNorm(1, 2)([[1.0, 3.0]]).numpy().round(3).tolist()
    [[-1.0, 1.0]]
    """

    weight: Tensor | None
    bias: Tensor | None
    num_groups: int
    num_channels: int
    eps: float

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        bias: bool = True,
    ) -> None:
        require_positive("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise UsageError(
                f"GroupNorm of {num_channels} channels in {num_groups} groups",
                fix="num_groups divides num_channels",
            )
        self.weight = init.ones(None, (num_channels,)) if affine else None
        self.bias = init.zeros(None, (num_channels,)) if affine and bias else None
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps

    @property
    def affine(self) -> bool:
        """Whether there is a weight (and a bias, unless it was left out)."""
        return self.weight is not None

    def __call__(self, x: Any) -> Tensor:
        """(N, C, …) → the same."""
        x = floating(x)
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise layer_error(
                self,
                f"expects (N, {self.num_channels}, …), got shape {list(x.shape)}",
                "channels are axis 1: make the layer for as many, or move them there",
            )
        return group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The options, as PyTorch prints them."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


# ------------------------------------------------------------------- neighbouring channels


def local_response_norm(
    x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """y = x/(k + alpha·mean of x² over `size` neighbouring channels)^beta.

    Shapes: x (N, C, …) → the same. Channels beyond the ends count as 0.
    Source: A. Krizhevsky et al.: ImageNet classification with deep convolutional neural networks
    (2012).
    """
    x = floating(x)
    with locating():
        require_positive("local_response_norm", size=size)
        if x.ndim < 3:
            raise ShapeError(f"local_response_norm of {list(x.shape)}", fix="(N, C, …)")
    channels = x.shape[1]
    plain = ((0, 0),) * (x.ndim - 2)
    squares = functions.pad(x * x, ((0, 0), (size // 2, (size - 1) // 2), *plain))
    shifted = [squares[:, start : start + channels] for start in range(size)]
    total = sum(shifted[1:], start=shifted[0])
    y: Tensor = x / (total * (alpha / size) + k) ** beta
    return y


class LocalResponseNorm(Module):
    """y = x/(k + alpha·mean of neighbours' squares)^beta; see `functional.local_response_norm`.

    Shapes: x (N, C, …) → the same. Source: A. Krizhevsky et al. (2012).
    """

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def __call__(self, x: Any) -> Tensor:
        """(N, C, …) → the same."""
        return local_response_norm(x, self.size, self.alpha, self.beta, self.k)
