"""Gradient descent, and the stochastic one with momentum or averaging. Next: `adam.py`.

Letters: p parameter, g gradient, v velocity, a average, t updates made with this one, η rate,
λ weight decay, μ momentum, τ dampening.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from kedja.front import functions, tree
from kedja.front.arithmetic import where
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import float64
from kedja.ground.errors import UsageError
from kedja.optim.base import (
    UNBOUNDED,
    Leafwise,
    Rate,
    Slots,
    State,
    at,
    exchanged,
    require_range,
    require_rate,
    scalar,
    trained,
    wide,
)


@dataclass(frozen=True)
class GradientDescent(Leafwise):
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
class SGD(Leafwise):
    """Stochastic gradient descent with momentum μ, as in PyTorch:

        g ← g + λ p
        v ← μ v + (1 − τ) g        (v ← g the first time)
        p ← p − η v                (nesterov: p ← p − η (g + μ v))

    Without momentum, p ← p − η g. The momentum may be a schedule, as the rate. With `maximize` the
    objective is climbed: g ← −g first. Raises UsageError for options out of range.
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
    momentum: Rate = 0.0
    nesterov: bool = False
    dampening: float = 0.0
    weight_decay: float = 0.0
    maximize: bool = False

    slots: ClassVar[tuple[str, ...]] = ("velocity",)

    def __post_init__(self) -> None:
        require_rate("SGD", self.lr)
        require_rate("SGD", self.momentum, "momentum")
        require_range("SGD", "dampening", self.dampening, -UNBOUNDED, UNBOUNDED)
        require_range("SGD", "weight_decay", self.weight_decay, 0, UNBOUNDED)
        if self.nesterov and not (self._has_momentum and self.dampening == 0):
            raise UsageError(
                "SGD with nesterov needs momentum and no dampening",
                fix="for instance SGD(lr, momentum=0.9, nesterov=True)",
            )

    @property
    def _has_momentum(self) -> bool:
        return not isinstance(self.momentum, int | float) or self.momentum > 0

    def _used(self) -> tuple[str, ...]:
        return self.slots if self._has_momentum else ()

    def moment(self, step: Tensor, state: State) -> Any:
        """The rate, the momentum, and the number of updates before."""
        return self.rate(step), at(self.momentum, step), step

    def rule(self, p: Tensor, g: Tensor, slots: Slots, now: Any) -> tuple[Tensor, Slots]:
        """See the class."""
        rate, momentum, step = now
        if self.weight_decay:
            g = g + self.weight_decay * p
        if not self._has_momentum:
            return p - scalar(rate, p) * g, slots
        momentum = scalar(momentum, p)
        v = momentum * slots["velocity"] + (1 - self.dampening) * g
        if self.dampening:  # without it, the first v is g by itself, as v starts at 0
            v = where(step == 0, g, v)
        ahead = g + momentum * v if self.nesterov else v
        return p - scalar(rate, p) * ahead, {"velocity": v}


@dataclass(frozen=True)
class ASGD(Leafwise):
    """Averaged stochastic gradient descent, as in PyTorch:

        g ← g + λ p
        p ← (1 − Λ η_t) p − η_t g                 with η_t = η/(1 + Λ η (t − 1))^α
        a ← a + (p − a)/max(1, t − 1 − t₀)        (a ← p where the divisor is 1)

    `averaged(params, state)` gives the averages a, with which to predict. `lambd` is Λ. Raises
    UsageError for options out of range.
    Source: B. Polyak, A. Juditsky: Acceleration of stochastic approximation by averaging (1992).
    """

    lr: Rate = 1e-2
    lambd: float = 1e-4
    alpha: float = 0.75
    t0: float = 1e6
    weight_decay: float = 0.0
    maximize: bool = False

    slots: ClassVar[tuple[str, ...]] = ("average",)

    def __post_init__(self) -> None:
        require_rate("ASGD", self.lr)
        require_range("ASGD", "weight_decay", self.weight_decay, 0, UNBOUNDED)
        for option in ("lambd", "alpha", "t0"):
            require_range("ASGD", option, getattr(self, option), -UNBOUNDED, UNBOUNDED)

    def moment(self, step: Tensor, state: State) -> Any:
        """η_t, 1 − Λ η_t and the divisor of the average."""
        done, rate = step.astype(float64), wide(self.rate(step))
        eta = rate / (1 + self.lambd * rate * done) ** self.alpha
        return eta, 1 - self.lambd * eta, functions.maximum(done - self.t0, 1.0)

    def rule(self, p: Tensor, g: Tensor, slots: Slots, now: Any) -> tuple[Tensor, Slots]:
        """See the class."""
        eta, kept, divisor = (scalar(each, p) for each in now)
        if self.weight_decay:
            g = g + self.weight_decay * p
        new = p * kept - eta * g
        average = slots["average"] + (new - slots["average"]) / divisor
        return new, {"average": where(divisor == 1, new, average)}

    def averaged(self, params: Any, state: State) -> Any:
        """The averages; the parameters themselves before the first update."""
        begun = as_tensor(state["step"]) > 0
        pairs = zip(trained(params), tree.leaves(state["average"]), strict=True)
        return exchanged(params, [where(begun, average, p) for (_, p), average in pairs])
