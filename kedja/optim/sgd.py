"""Gradient descent, and the stochastic one with momentum. Next: `adam.py`.

Letters: p parameter, g gradient, v velocity, η rate, λ weight decay, μ momentum, τ dampening.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from kedja.front.arithmetic import where
from kedja.front.tensor import Tensor
from kedja.ground.errors import UsageError
from kedja.optim.base import Optimizer, Rate, Slots, require_range, require_rate, scalar

UNBOUNDED = float("inf")


@dataclass(frozen=True)
class GradientDescent(Optimizer):
    """p ← p − η g: a step against the gradient, meant for the gradient over all examples.

    Source: A. Cauchy: Méthode générale pour la résolution des systèmes d'équations (1847).

    >>> import kedja as kj
    >>> opt, w = GradientDescent(0.1), kj.tensor(2.0)
    >>> w, state = opt.update(w, kj.grad(kj.square)(w), opt.init(w))
    >>> round(w.item(), 6)
    1.6
    """

    lr: Rate

    def __post_init__(self) -> None:
        require_rate("GradientDescent", self.lr)

    def rule(self, p: Tensor, g: Tensor, slots: Slots, now: Any) -> tuple[Tensor, Slots]:
        """p ← p − η g."""
        return p - scalar(now, p) * g, slots


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum μ, as in PyTorch:

        g ← g + λ p
        v ← μ v + (1 − τ) g        (v ← g the first time)
        p ← p − η v                (nesterov: p ← p − η (g + μ v))

    Without momentum, p ← p − η g. Raises UsageError for options out of range.
    Sources: H. Robbins, S. Monro: A stochastic approximation method (1951); B. Polyak: Some
    methods of speeding up the convergence of iteration methods (1964); I. Sutskever et al.: On
    the importance of initialization and momentum in deep learning (2013).

    >>> import kedja as kj
    >>> opt, w = SGD(0.1, momentum=0.9), kj.tensor(2.0)
    >>> state = opt.init(w)
    >>> for _ in range(2):
    ...     w, state = opt.update(w, kj.tensor(1.0), state)
    >>> round(w.item(), 6), state["step"].item()
    (1.71, 2)
    """

    lr: Rate
    momentum: float = 0.0
    nesterov: bool = False
    dampening: float = 0.0
    weight_decay: float = 0.0

    slots: ClassVar[tuple[str, ...]] = ("velocity",)

    def __post_init__(self) -> None:
        require_rate("SGD", self.lr)
        require_range("SGD", "momentum", self.momentum, 0, UNBOUNDED)
        require_range("SGD", "weight_decay", self.weight_decay, 0, UNBOUNDED)
        if self.nesterov and not (self.momentum > 0 and self.dampening == 0):
            raise UsageError(
                "SGD with nesterov needs momentum and no dampening",
                fix="for instance SGD(lr, momentum=0.9, nesterov=True)",
            )

    def _used(self) -> tuple[str, ...]:
        return self.slots if self.momentum else ()

    def moment(self, step: Tensor) -> Any:
        """The rate, and the number of updates before."""
        return self.rate(step), step

    def rule(self, p: Tensor, g: Tensor, slots: Slots, now: Any) -> tuple[Tensor, Slots]:
        """See the class."""
        rate, step = now
        if self.weight_decay:
            g = g + self.weight_decay * p
        if not self.momentum:
            return p - scalar(rate, p) * g, slots
        v = self.momentum * slots["velocity"] + (1 - self.dampening) * g
        if self.dampening:  # without it, the first v is g by itself, as v starts at 0
            v = where(step == 0, g, v)
        ahead = g + self.momentum * v if self.nesterov else v
        return p - scalar(rate, p) * ahead, {"velocity": v}
