"""Dropout: in training some numbers become 0, others grow, so that the mean stays.

Not here: where the random keys come from (`state.py`). Next: `embedding.py`.
Dimensions: N examples, C channels, `…` places.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from kedja.front import random
from kedja.front.arithmetic import broadcast, cast, where
from kedja.front.tensor import Tensor, as_tensor
from kedja.nn import state
from kedja.nn.activation_functions import SELU_ALPHA, SELU_SCALE, floating
from kedja.nn.checks import require_probability
from kedja.nn.module import Module, layer_error

# -------------------------------------------------------------------------------- functions


def dropout(
    x: Any, p: float = 0.5, training: bool | None = None, *, key: Tensor | None = None
) -> Tensor:
    """In training y = x/(1 − p), or 0 with probability p, element by element; else y = x.

    `nn.training`'s being open decides unless `training` is given; the numbers come from `key`,
    else from the key of `nn.training`. Raises UsageError where there is none.
    Source: N. Srivastava et al.: Dropout (2014).
    """
    x = floating(x)
    return _dropped("dropout", x, x.shape, p, training, key, _scaled)


def feature_dropout(
    x: Any, p: float = 0.5, training: bool | None = None, *, key: Tensor | None = None
) -> Tensor:
    """As `dropout`, whole channels at a time: x (N, C, …) → the same.

    Source: J. Tompson et al.: Efficient object localization using convolutional networks (2015).
    """
    x = floating(x)
    shape = x.shape[:2] + (1,) * (x.ndim - 2)
    return _dropped("feature_dropout", x, shape, p, training, key, _scaled)


def dropout1d(
    x: Any, p: float = 0.5, training: bool | None = None, *, key: Tensor | None = None
) -> Tensor:
    """`feature_dropout` of signals: x (N, C, L) or (C, L) → the same."""
    return _of_examples(floating(x), 2, p, training, key)


def dropout2d(
    x: Any, p: float = 0.5, training: bool | None = None, *, key: Tensor | None = None
) -> Tensor:
    """`feature_dropout` of pictures: x (N, C, H, W) or (N, C, L) → the same, as in PyTorch."""
    return feature_dropout(x, p, training, key=key)


def dropout3d(
    x: Any, p: float = 0.5, training: bool | None = None, *, key: Tensor | None = None
) -> Tensor:
    """`feature_dropout` of volumes: x (N, C, D, H, W) or (C, D, H, W) → the same."""
    return _of_examples(floating(x), 4, p, training, key)


def _of_examples(
    x: Tensor, alone: int, p: float, training: bool | None, key: Tensor | None
) -> Tensor:
    """Channels dropped, where `alone` axes mean one example without a batch axis."""
    if x.ndim == alone:
        return feature_dropout(x[None], p, training, key=key)[0]
    return feature_dropout(x, p, training, key=key)


def alpha_dropout(
    x: Any, p: float = 0.5, training: bool | None = None, *, key: Tensor | None = None
) -> Tensor:
    """Dropout for selu: y = a·(x, or −1.7581… with probability p) + b, of x's mean and variance.

    −1.7581… is selu's value at −∞; a and b keep mean 0 and variance 1.
    Source: G. Klambauer et al.: Self-normalizing neural networks (2017).
    """
    x = floating(x)
    return _dropped("alpha_dropout", x, x.shape, p, training, key, _saturated)


def feature_alpha_dropout(
    x: Any, p: float = 0.5, training: bool | None = None, *, key: Tensor | None = None
) -> Tensor:
    """As `alpha_dropout`, whole channels at a time: x (N, C, …) → the same."""
    x = floating(x)
    shape = x.shape[:2] + (1,) * (x.ndim - 2)
    return _dropped("feature_alpha_dropout", x, shape, p, training, key, _saturated)


def drops(p: float, training: bool | None = None) -> bool:
    """Whether dropout with probability p changes anything here."""
    return p != 0 and (state.is_training() if training is None else training)


def _dropped(
    name: str,
    x: Tensor,
    shape: tuple[int, ...],
    p: float,
    training: bool | None,
    key: Tensor | None,
    joined: Callable[[Tensor, Tensor, float], Tensor],
) -> Tensor:
    """Dropout of blocks: `shape` broadcasts to that of x; `joined(x, kept, p)` is the result."""
    require_probability(name, p)
    if not drops(p, training):
        return x
    return x * 0.0 if p == 1 else joined(x, _kept(key, p, shape, x), p)


def _scaled(x: Tensor, kept: Tensor, p: float) -> Tensor:
    """0 where dropped, what is left larger."""
    return x * (cast(kept, x.dtype) * (1 / (1 - p)))


def _saturated(x: Tensor, kept: Tensor, p: float) -> Tensor:
    """selu's lowest value where dropped, then mean 0 and variance 1 again."""
    low = -SELU_SCALE * SELU_ALPHA
    a = 1 / math.sqrt((1 - p) * (1 + p * low * low))
    return a * where(kept, x, low) - a * low * p


def _kept(key: Tensor | None, p: float, shape: tuple[int, ...], x: Tensor) -> Tensor:
    """True with probability 1 − p, for each block."""
    key = state.next_key() if key is None else key
    return broadcast(random.uniform(key, shape) >= p, x.shape)


# ----------------------------------------------------------------------------------- layers


class _Dropout(Module):
    p: float = 0.5
    inplace: bool = False  # taken so that PyTorch's code runs; nothing is changed in place

    _ranks: ClassVar[tuple[int, ...]] = ()
    _shapes: ClassVar[str] = ""

    def __post_init__(self) -> None:
        require_probability(type(self).__name__, self.p)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}"

    def _checked(self, x: Any) -> Tensor:
        """x as floats, of a shape that the layer takes."""
        x = floating(x)
        if self._ranks and x.ndim not in self._ranks:
            what = f"expects {self._shapes}, got shape {list(x.shape)}"
            raise layer_error(self, what, f"shapes are {self._shapes}")
        return as_tensor(x)


class Dropout(_Dropout):
    """In training y = x/(1 − p), or 0 with probability p; else y = x. See `functional.dropout`.

    Shapes: any → the same. Raises UsageError in training without a key.

    >>> import kedja as kj
    >>> from kedja import nn
    >>> nn.Dropout(0.5)([1.0, 1.0])
    Tensor([1., 1.], float32)
    >>> with nn.training(kj.random.key(3)):
    ...     nn.Dropout(0.5)([1.0, 1.0, 1.0, 1.0])
    Tensor([0., 2., 2., 0.], float32)
    """

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return dropout(x, self.p)


class Dropout1d(_Dropout):
    """Dropout of whole channels: x (N, C, L) or (C, L) → the same. See `functional.dropout1d`.

    Source: J. Tompson et al.: Efficient object localization using convolutional networks (2015).
    """

    _ranks: ClassVar[tuple[int, ...]] = (2, 3)
    _shapes: ClassVar[str] = "(N, C, L) or (C, L)"

    def __call__(self, x: Any) -> Tensor:
        """(N, C, L) or (C, L) → the same."""
        return dropout1d(self._checked(x), self.p)


class Dropout2d(_Dropout):
    """Dropout of whole channels: x (N, C, H, W) or (N, C, L) → the same, as in PyTorch."""

    _ranks: ClassVar[tuple[int, ...]] = (3, 4)
    _shapes: ClassVar[str] = "(N, C, H, W) or (N, C, L)"

    def __call__(self, x: Any) -> Tensor:
        """(N, C, H, W) or (N, C, L) → the same."""
        return dropout2d(self._checked(x), self.p)


class Dropout3d(_Dropout):
    """Dropout of whole channels: x (N, C, D, H, W) or (C, D, H, W) → the same."""

    _ranks: ClassVar[tuple[int, ...]] = (4, 5)
    _shapes: ClassVar[str] = "(N, C, D, H, W) or (C, D, H, W)"

    def __call__(self, x: Any) -> Tensor:
        """(N, C, D, H, W) or (C, D, H, W) → the same."""
        return dropout3d(self._checked(x), self.p)


class AlphaDropout(_Dropout):
    """Dropout that keeps mean and variance of selu's outputs; see `functional.alpha_dropout`.

    Shapes: any → the same. Source: G. Klambauer et al. (2017).
    """

    def __call__(self, x: Any) -> Tensor:
        """Any shape → the same."""
        return alpha_dropout(x, self.p)


class FeatureAlphaDropout(_Dropout):
    """As `AlphaDropout`, whole channels at a time: x (N, C, …) → the same."""

    def __call__(self, x: Any) -> Tensor:
        """(N, C, …) → the same."""
        return feature_alpha_dropout(x, self.p)
