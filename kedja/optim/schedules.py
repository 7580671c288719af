"""Learning rates as functions of the number of updates made before: step ↦ rate.

    opt = optim.AdamW(optim.CosineAnnealingLR(1e-3, T_max=1000))

A schedule is a value; it is called with an int64 tensor (inside `jit`, `fit`) or a whole number,
and returns a float64 scalar. Names, options and values are those of `torch.optim.lr_scheduler`,
which are called once after each update; here the rate that they scale is the first argument, `lr`.
Any function of the step serves as well. Not here: rates that follow a figure of quality
(`plateau.py`), cycles (`cycles.py`). Next: `cycles.py`.

Letters: t the step, η the rate `lr`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kedja.front import functions
from kedja.front.arithmetic import where
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import float64
from kedja.optim.base import UNBOUNDED, require_count, require_range


class Schedule(ABC):
    """The base of schedules: `at` is the formula, of a step in float64."""

    def __call__(self, step: Any) -> Tensor:
        """The rate after so many updates."""
        t = as_tensor(step).astype(float64)
        rate: Tensor = self.at(t) + functions.zeros_like(t)
        return rate

    @abstractmethod
    def at(self, t: Tensor) -> Any:
        """The rate at step t."""


@dataclass(frozen=True)
class Scaled(Schedule):
    """The base of schedules that multiply a rate `lr` by `scale(t)`."""

    lr: float

    def __post_init__(self) -> None:
        require_range(type(self).__name__, "lr", self.lr, 0, UNBOUNDED)
        self.require()

    def require(self) -> None:
        """Raise UsageError for options out of range."""

    def at(self, t: Tensor) -> Any:
        """η · scale."""
        return self.lr * self.scale(t)

    @abstractmethod
    def scale(self, t: Tensor) -> Any:
        """What the rate is multiplied by at step t."""


# ------------------------------------------------------------------------------- in stairs


@dataclass(frozen=True)
class ConstantLR(Scaled):
    """η·factor before step `total_iters`, then η.

    >>> [round(ConstantLR(0.4, factor=0.5, total_iters=2)(t).item(), 3) for t in range(4)]
    [0.2, 0.2, 0.4, 0.4]
    """

    factor: float = 1 / 3
    total_iters: int = 5

    def require(self) -> None:
        """A factor from 0."""
        require_range("ConstantLR", "factor", self.factor, 0, UNBOUNDED)
        require_count("ConstantLR", "total_iters", self.total_iters, 0)

    def scale(self, t: Tensor) -> Any:
        """See the class."""
        return where(t < self.total_iters, self.factor * functions.ones_like(t), 1.0)


@dataclass(frozen=True)
class StepLR(Scaled):
    """η·gamma^⌊t/step_size⌋.

    >>> [round(StepLR(1.0, step_size=2, gamma=0.1)(t).item(), 3) for t in range(5)]
    [1.0, 1.0, 0.1, 0.1, 0.01]
    """

    step_size: int
    gamma: float = 0.1

    def require(self) -> None:
        """A stair has at least one step."""
        require_count("StepLR", "step_size", self.step_size)
        require_range("StepLR", "gamma", self.gamma, 0, UNBOUNDED)

    def scale(self, t: Tensor) -> Any:
        """See the class."""
        return power(self.gamma, functions.floor(t / self.step_size))


@dataclass(frozen=True)
class MultiStepLR(Scaled):
    """η·gamma^n, n how many of the milestones are reached."""

    milestones: tuple[int, ...]
    gamma: float = 0.1

    def require(self) -> None:
        """Milestones are whole numbers."""
        object.__setattr__(self, "milestones", tuple(self.milestones))
        for each in self.milestones:
            require_count("MultiStepLR", "milestones", each, 0)
        require_range("MultiStepLR", "gamma", self.gamma, 0, UNBOUNDED)

    def scale(self, t: Tensor) -> Any:
        """See the class."""
        value = functions.ones_like(t)
        for each in self.milestones:
            value = where(t >= each, value * self.gamma, value)
        return value


# ----------------------------------------------------------------------------------- smooth


@dataclass(frozen=True)
class ExponentialLR(Scaled):
    """η·gammaᵗ."""

    gamma: float

    def require(self) -> None:
        """A positive base."""
        require_range("ExponentialLR", "gamma", self.gamma, 0, UNBOUNDED)

    def scale(self, t: Tensor) -> Any:
        """See the class."""
        return power(self.gamma, t)


@dataclass(frozen=True)
class LinearLR(Scaled):
    """From η·start_factor to η·end_factor in `total_iters` steps: a linear warm-up, or its reverse.

    Source of the warm-up: P. Goyal et al.: Accurate, large minibatch SGD (2017).

    >>> [round(LinearLR(1.0, start_factor=0.5, total_iters=2)(t).item(), 3) for t in range(4)]
    [0.5, 0.75, 1.0, 1.0]
    """

    start_factor: float = 1 / 3
    end_factor: float = 1.0
    total_iters: int = 5

    def require(self) -> None:
        """Factors from 0."""
        require_count("LinearLR", "total_iters", self.total_iters)
        for option in ("start_factor", "end_factor"):
            require_range("LinearLR", option, getattr(self, option), 0, UNBOUNDED)

    def scale(self, t: Tensor) -> Any:
        """See the class."""
        share = share_of(t, self.total_iters)
        return self.start_factor + (self.end_factor - self.start_factor) * share


@dataclass(frozen=True)
class PolynomialLR(Scaled):
    """η·(1 − t/total_iters)^power, 0 from `total_iters` on."""

    total_iters: int = 5
    power: float = 1.0

    def require(self) -> None:
        """A positive power."""
        require_count("PolynomialLR", "total_iters", self.total_iters)
        require_range("PolynomialLR", "power", self.power, 0, UNBOUNDED)

    def scale(self, t: Tensor) -> Any:
        """See the class."""
        left = 1 - share_of(t, self.total_iters)
        return left if self.power == 1 else power(left, self.power)


@dataclass(frozen=True)
class LambdaLR(Scaled):
    """η·lr_lambda(t): a function of the step, which is a float64 scalar."""

    lr_lambda: Callable[[Tensor], Any]

    def scale(self, t: Tensor) -> Any:
        """See the class."""
        return self.lr_lambda(t)


@dataclass(frozen=True)
class CosineAnnealingLR(Scaled):
    """Half a cosine from η to `eta_min` in `T_max` steps, and up again after them.

        η_min + (η − η_min)(1 + cos(π t/T_max))/2

    Source: I. Loshchilov, F. Hutter: SGDR, stochastic gradient descent with warm restarts (2016).
    """

    T_max: int
    eta_min: float = 0.0

    def require(self) -> None:
        """A length from 1."""
        require_count("CosineAnnealingLR", "T_max", self.T_max)
        require_range("CosineAnnealingLR", "eta_min", self.eta_min, 0, UNBOUNDED)

    def scale(self, t: Tensor) -> Any:
        """See the class."""
        return self.at(t) / self.lr

    def at(self, t: Tensor) -> Any:
        """See the class."""
        return along_cosine(self.lr, self.eta_min, t / self.T_max)


@dataclass(frozen=True)
class WarmupCosineLR(Scaled):
    """Linearly from 0 to η in `warmup` steps, then half a cosine to `eta_min` at step `total`.

    The first rate is η/(warmup + 1), so that no update is lost; after `total` it stays. It is the
    usual one for transformers.

    >>> [round(WarmupCosineLR(1.0, warmup=1, total=5)(t).item(), 3) for t in range(7)]
    [0.5, 1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    warmup: int
    total: int
    eta_min: float = 0.0

    def require(self) -> None:
        """The warm-up is shorter than the whole."""
        require_count("WarmupCosineLR", "warmup", self.warmup, 0)
        require_count("WarmupCosineLR", "total", self.total, self.warmup + 1)
        require_range("WarmupCosineLR", "eta_min", self.eta_min, 0, UNBOUNDED)

    def scale(self, t: Tensor) -> Any:
        """See the class."""
        return self.at(t) / self.lr

    def at(self, t: Tensor) -> Any:
        """See the class."""
        rising = self.lr * (t + 1) / (self.warmup + 1)
        share = share_of(t - self.warmup, self.total - self.warmup)
        return where(t < self.warmup, rising, along_cosine(self.lr, self.eta_min, share))


# ------------------------------------------------------------------------------- arithmetic


def power(base: Any, exponent: Any) -> Tensor:
    """base^exponent."""
    return functions.pow(base, exponent)


def share_of(t: Tensor, total: float) -> Tensor:
    """t/total, held between 0 and 1."""
    return functions.clip(t / total, 0.0, 1.0)


def along_cosine(start: float, end: float, share: Any) -> Any:
    """From start (share 0) to end (share 1) along half a cosine."""
    return end + (start - end) * (1 + functions.cos(math.pi * share)) / 2
