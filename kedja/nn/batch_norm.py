"""Normalisation with statistics of the batch, and of each example and channel; running ones.

Not here: norms without running statistics (`norm.py`), how these are carried (`state.py`).
Next: `norm.py`. Dimensions: N examples, C channels, `…` places (none, L, H W, or D H W).
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from kedja.front import functions
from kedja.front.arithmetic import call, cast, reshape
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import float32, int64, is_half
from kedja.ground.errors import ShapeError
from kedja.ir.graph import locating
from kedja.nn import init, state
from kedja.nn.activation_functions import floating
from kedja.nn.checks import require_positive
from kedja.nn.module import Buffer, Module, layer_error

# -------------------------------------------------------------------------------- functions


def wide(x: Tensor) -> Tensor:
    """x for sums over many elements: half dtypes as float32."""
    return cast(x, float32) if is_half(x.dtype) else x


def along_channels(x: Tensor, vector: Any) -> Tensor:
    """(C,) or (N, C) as an array that broadcasts over x (N, C, …)."""
    vector = as_tensor(vector)
    lead = (1,) * (2 - vector.ndim)
    return reshape(vector, (*lead, *vector.shape, *(1,) * (x.ndim - 2)))


def scaled(x: Tensor, y: Tensor, weight: Any, bias: Any) -> Tensor:
    """y·weight + bias for each channel, in the dtype of x."""
    if weight is not None:
        y = y * along_channels(x, weight)
    if bias is not None:
        y = y + along_channels(x, bias)
    return cast(y, x.dtype)


def normalised(x: Tensor, mean: Tensor, var: Tensor, eps: float) -> Tensor:
    """(x − mean)/√(var + eps), both (C,) or (N, C)."""
    apart = wide(x) - along_channels(x, mean)
    return apart / functions.sqrt(along_channels(x, var) + eps)


def standardized(x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
    """(x − mean)/√(var + eps), both of x itself over some axes."""
    return call("standardize", wide(x), axes=axes, epsilon=eps)


def _with_channels(name: str, given: Any) -> Tensor:
    """The array as floats, checked to have channels."""
    x: Tensor = floating(given)
    with locating():
        if x.ndim < 2:
            raise ShapeError(f"{name} of shape {list(x.shape)}", fix="examples, channels, places")
    return x


def batch_norm(
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """y = (x − mean)/√(var + eps)·weight + bias, with one mean and variance for each channel.

    Shapes: x (N, C, …) → the same, all others (C,). In training the mean and the variance (divided
    by the number of elements) are those of the batch, else the running ones. Nothing is changed in
    place: it is `nn.BatchNorm1d` and its like that record running statistics; `momentum` is taken
    so that calls written for PyTorch run. Source: S. Ioffe, C. Szegedy: Batch normalization (2015).
    """
    x = _with_channels("batch_norm", x)
    if training or running_mean is None or running_var is None:
        return scaled(x, standardized(x, (0, *range(2, x.ndim)), eps), weight, bias)
    mean, var = as_tensor(running_mean), as_tensor(running_var)
    return scaled(x, normalised(x, mean, var, eps), weight, bias)


def instance_norm(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """As `batch_norm`, with a mean and a variance for each example and channel.

    Shapes: x (N, C, …) → the same, all others (C,). Without `use_input_stats` the running ones are
    taken. Source: D. Ulyanov et al.: Instance normalization (2016).
    """
    x = _with_channels("instance_norm", x)
    if use_input_stats or running_mean is None or running_var is None:
        return scaled(x, standardized(x, tuple(range(2, x.ndim)), eps), weight, bias)
    mean, var = as_tensor(running_mean), as_tensor(running_var)
    return scaled(x, normalised(x, mean, var, eps), weight, bias)


def _moments(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Mean and variance (divided by the number of elements), by the formula of `standardized`."""
    values = wide(x)
    mean = functions.mean(values, axes)
    apart = values - along_channels(values, mean)
    return mean, functions.mean(apart * apart, axes)


# ---------------------------------------------------------------------------- what is shared


class _Norm(Module):
    """What batch and instance norm have in common: C channels, and running statistics of each."""

    weight: Tensor | None
    bias: Tensor | None
    running_mean: Buffer | None
    running_var: Buffer | None
    num_batches_tracked: Buffer | None
    eps: float
    momentum: float | None

    _ranks: ClassVar[tuple[int, ...]] = ()
    _shapes: ClassVar[str] = ""

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        bias: bool,
    ) -> None:
        require_positive(type(self).__name__, num_features=num_features)
        shape = (num_features,)
        self.weight = init.ones(None, shape) if affine else None
        self.bias = init.zeros(None, shape) if affine and bias else None
        self.running_mean = init.zeros(None, shape) if track_running_stats else None
        self.running_var = init.ones(None, shape) if track_running_stats else None
        self.num_batches_tracked = Tensor(0, int64) if track_running_stats else None
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum

    @property
    def affine(self) -> bool:
        """Whether there is a weight (and a bias, unless it was left out)."""
        return self.weight is not None

    @property
    def track_running_stats(self) -> bool:
        """Whether there are running statistics, which inference then uses."""
        return self.running_mean is not None

    @property
    def _learns(self) -> bool:
        """Whether the statistics are the input's: in training, unless frozen."""
        return not self.track_running_stats or (state.is_training() and not self.is_frozen)

    def _checked(self, x: Any) -> Tensor:
        x = floating(x)
        if x.ndim not in self._ranks:
            fix = f"shapes are {self._shapes}"
            raise layer_error(self, f"expects {self._shapes}, got shape {list(x.shape)}", fix)
        return as_tensor(x)

    def _require_channels(self, x: Tensor, axis: int) -> None:
        if x.shape[axis] != self.num_features:
            raise layer_error(
                self,
                f"expects {self.num_features} channels in axis {axis}, got shape {list(x.shape)}",
                f"make the layer with num_features={x.shape[axis]}, or give it other inputs",
            )

    def _require_many(self, x: Tensor, axes: tuple[int, ...]) -> int:
        """How many elements a mean is taken over: one alone has no variance."""
        count = math.prod(x.shape[axis] for axis in axes)
        if count != 1:
            return count
        raise layer_error(
            self,
            f"takes a variance over one element in training, from shape {list(x.shape)}",
            "more than one example in every batch, the last one of an epoch too",
        )

    def _record(self, factor: Any, mean: Tensor, var: Tensor) -> None:
        """running ← (1 − factor)·running + factor·new."""
        for buffer, new in ((self.running_mean, mean), (self.running_var, var)):
            old = state.latest(buffer)
            state.record(buffer, old + (cast(new, old.dtype) - old) * factor)

    def extra_repr(self) -> str:
        """The options, as PyTorch prints them."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


# ------------------------------------------------------------------------------- batch norm


class _BatchNorm(_Norm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias)

    def __call__(self, x: Any) -> Tensor:
        """(N, C, …) → the same."""
        x = self._checked(x)
        self._require_channels(x, 1)
        if not self._learns:
            mean, var = state.latest(self.running_mean), state.latest(self.running_var)
            return scaled(x, normalised(x, mean, var, self.eps), self.weight, self.bias)
        axes = (0, *range(2, x.ndim))
        count = self._require_many(x, axes) if state.is_training() else 1
        if self.track_running_stats:
            self._track(*_moments(x, axes), count)
        return scaled(x, standardized(x, axes, self.eps), self.weight, self.bias)

    def _track(self, mean: Tensor, var: Tensor, count: int) -> None:
        """`momentum` says how far the running statistics move; None: they are plain averages."""
        seen = state.latest(self.num_batches_tracked) + 1
        state.record(self.num_batches_tracked, seen)
        if count:  # a batch without examples says nothing
            factor = 1 / cast(seen, mean.dtype) if self.momentum is None else self.momentum
            self._record(factor, mean, var * (count / (count - 1)))


class BatchNorm1d(_BatchNorm, init=False):
    """y = (x − mean)/√(var + eps)·weight + bias for each channel; see `functional.batch_norm`.

    Shapes: x (N, C) or (N, C, L) → the same; `weight`, `bias`, `running_mean`, `running_var` (C,),
    `num_batches_tracked` (). In training (`nn.training`) mean and variance are the batch's, and the
    running ones move towards them by `momentum` (the variance there is divided by n − 1); with
    `momentum=None` they become the averages over all batches. In inference, and when frozen, the
    running ones are taken. Raises ShapeError for other shapes, and for one element in training.
    Source: S. Ioffe, C. Szegedy: Batch normalization (2015).

    >>> BatchNorm1d(3)([[1.0, 2.0, 3.0]]).shape
    (1, 3)
    """

    _ranks: ClassVar[tuple[int, ...]] = (2, 3)
    _shapes: ClassVar[str] = "(N, C) or (N, C, L)"


class BatchNorm2d(_BatchNorm, init=False):
    """As `BatchNorm1d`, for pictures: x (N, C, H, W) → the same."""

    _ranks: ClassVar[tuple[int, ...]] = (4,)
    _shapes: ClassVar[str] = "(N, C, H, W)"


class BatchNorm3d(_BatchNorm, init=False):
    """As `BatchNorm1d`, for volumes: x (N, C, D, H, W) → the same."""

    _ranks: ClassVar[tuple[int, ...]] = (5,)
    _shapes: ClassVar[str] = "(N, C, D, H, W)"


# ---------------------------------------------------------------------------- instance norm


class _InstanceNorm(_Norm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias)

    def __call__(self, x: Any) -> Tensor:
        """(N, C, …) or (C, …) → the same."""
        x = self._checked(x)
        alone = x.ndim == self._ranks[0]
        self._require_channels(x, 0 if alone else 1)
        y = self._of_batch(x[None] if alone else x)
        return y[0] if alone else y

    def _of_batch(self, x: Tensor) -> Tensor:
        if not self._learns:
            mean, var = state.latest(self.running_mean), state.latest(self.running_var)
            return scaled(x, normalised(x, mean, var, self.eps), self.weight, self.bias)
        axes = tuple(range(2, x.ndim))
        count = self._require_many(x, axes) if state.is_training() else 1
        if self.track_running_stats:
            mean, var = _moments(x, axes)  # (N, C)
            factor = 0.0 if self.momentum is None else self.momentum
            spread = var * (count / (count - 1))
            self._record(factor, functions.mean(mean, 0), functions.mean(spread, 0))
        return scaled(x, standardized(x, axes, self.eps), self.weight, self.bias)


class InstanceNorm1d(_InstanceNorm, init=False):
    """y = (x − mean)/√(var + eps)·weight + bias, with the mean of each example and channel.

    Shapes: x (N, C, L) or (C, L) → the same; `weight` and `bias` (C,) with `affine`. With
    `track_running_stats` inference takes running statistics, as batch norm does.
    Source: D. Ulyanov et al.: Instance normalization (2016).

    >>> InstanceNorm1d(2)([[[1.0, 3.0], [10.0, 30.0]]]).numpy().round(3).tolist()
    [[[-1.0, 1.0], [-1.0, 1.0]]]
    """

    _ranks: ClassVar[tuple[int, ...]] = (2, 3)
    _shapes: ClassVar[str] = "(N, C, L) or (C, L)"


class InstanceNorm2d(_InstanceNorm, init=False):
    """As `InstanceNorm1d`, for pictures: x (N, C, H, W) or (C, H, W) → the same."""

    _ranks: ClassVar[tuple[int, ...]] = (3, 4)
    _shapes: ClassVar[str] = "(N, C, H, W) or (C, H, W)"


class InstanceNorm3d(_InstanceNorm, init=False):
    """As `InstanceNorm1d`, for volumes: x (N, C, D, H, W) or (C, D, H, W) → the same."""

    _ranks: ClassVar[tuple[int, ...]] = (4, 5)
    _shapes: ClassVar[str] = "(N, C, D, H, W) or (C, D, H, W)"
