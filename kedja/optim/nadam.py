"""NAdam, which looks ahead, and RAdam, which begins carefully: two variants of Adam.

Letters as in `adam.py`; μ the momentum of an update. Next: `rmsprop.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from kedja.front import functions
from kedja.front.arithmetic import where
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import float64
from kedja.optim.adam import decayed, require_betas
from kedja.optim.base import (
    UNBOUNDED,
    Leafwise,
    Rate,
    Slots,
    State,
    at,
    averaged,
    remaining,
    require_range,
    require_rate,
    scalar,
)


@dataclass(frozen=True)
class NAdam(Leafwise):
    """Adam with Nesterov's momentum, as in PyTorch:

        g ← g + λ p
        μ_t = β₁ (1 − ½·0.96^(ψ t)),  Π_t = μ₁ μ₂ … μ_t
        m ← β₁ m + (1 − β₁) g
        v ← β₂ v + (1 − β₂) g²
        p ← p − η (μ_{t+1}/(1 − Π_{t+1}) m + (1 − μ_t)/(1 − Π_t) g) / (√(v/(1 − β₂ᵗ)) + ε)

    `momentum_decay` is ψ; the state's "product" is Π. `decoupled_weight_decay` takes η λ p off p
    and leaves g alone. With `maximize` g ← −g first. Raises UsageError for options out of range.
    Source: T. Dozat: Incorporating Nesterov momentum into Adam (2016).
    """

    lr: Rate = 2e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum_decay: float = 4e-3
    decoupled_weight_decay: bool = False
    maximize: bool = False

    slots: ClassVar[tuple[str, ...]] = ("mean", "square")

    def __post_init__(self) -> None:
        require_rate("NAdam", self.lr)
        require_betas("NAdam", self.betas)
        for option in ("eps", "weight_decay", "momentum_decay"):
            require_range("NAdam", option, getattr(self, option), 0, UNBOUNDED)

    def init(self, params: Any) -> State:
        """As others, with Π = 1."""
        return {**super().init(params), "product": Tensor(1.0, float64)}

    def moment(self, step: Tensor, state: State) -> Any:
        """Π_t, η, the factors of g and of m, and 1 − β₂ᵗ."""
        mu, ahead = self._momentum(step + 1), self._momentum(step + 2)
        product = as_tensor(state["product"]) * mu
        rate = self.rate(step)
        of_g = rate * (1 - mu) / (1 - product)
        of_m = rate * ahead / (1 - product * ahead)
        return product, rate, of_g, of_m, remaining(self.betas[1], step)

    def _momentum(self, count: Tensor) -> Tensor:
        """μ of an update, counted from 1."""
        power = functions.exp(count.astype(float64) * (self.momentum_decay * math.log(0.96)))
        return self.betas[0] * (1 - 0.5 * power)

    def counted(self, state: State, now: Any) -> State:
        """One more update, and Π."""
        return {**super().counted(state, now), "product": now[0]}

    def rule(self, p: Tensor, g: Tensor, slots: Slots, now: Any) -> tuple[Tensor, Slots]:
        """See the class."""
        rate, of_g, of_m, second = (scalar(each, p) for each in now[1:])
        p, g = decayed(self, p, g, rate)
        m = averaged(slots["mean"], g, self.betas[0])
        v = self.betas[1] * slots["square"] + (1 - self.betas[1]) * functions.square(g)
        size = functions.sqrt(v / second) + self.eps
        return p - of_g * (g / size) - of_m * (m / size), {"mean": m, "square": v}


@dataclass(frozen=True)
class RAdam(Leafwise):
    """Adam that goes by the mean alone until the square is known well enough, as in PyTorch:

        g ← g + λ p
        m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²
        ρ_∞ = 2/(1 − β₂) − 1,  ρ = ρ_∞ − 2 t β₂ᵗ/(1 − β₂ᵗ)
        r = √((ρ − 4)(ρ − 2) ρ_∞ / ((ρ_∞ − 4)(ρ_∞ − 2) ρ)) · √(1 − β₂ᵗ)/(√v + ε)   if ρ > 5, else 1
        p ← p − η/(1 − β₁ᵗ) · m · r

    `decoupled_weight_decay` takes η λ p off p and leaves g alone. With `maximize` g ← −g first.
    Raises UsageError for options out of range.
    Source: L. Liu et al.: On the variance of the adaptive learning rate and beyond (2019).
    """

    lr: Rate = 1e-3
    betas: tuple[Rate, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    decoupled_weight_decay: bool = False
    maximize: bool = False

    slots: ClassVar[tuple[str, ...]] = ("mean", "square")

    def __post_init__(self) -> None:
        require_rate("RAdam", self.lr)
        require_betas("RAdam", self.betas)
        for option in ("eps", "weight_decay"):
            require_range("RAdam", option, getattr(self, option), 0, UNBOUNDED)

    def moment(self, step: Tensor, state: State) -> Any:
        """β₁, η, η/(1 − β₁ᵗ), whether the square counts, and what it is multiplied by."""
        beta = at(self.betas[0], step)
        second = remaining(self.betas[1], step)
        most = 2 / (1 - self.betas[1]) - 1
        count = (step + 1).astype(float64)
        length = most - 2 * count * (1 - second) / second
        known = length > 5
        held = where(known, length, 5.0)  # the root of the other branch must not be NaN
        least = (most - 4) * (most - 2)
        ratio = (held - 4) * (held - 2) * most / (least * held) if most > 5 else held * 0
        rate = self.rate(step)
        stride = rate / remaining(beta, step)
        return beta, rate, stride, known, functions.sqrt(ratio * second)

    def rule(self, p: Tensor, g: Tensor, slots: Slots, now: Any) -> tuple[Tensor, Slots]:
        """See the class."""
        beta, rate, stride, known, factor = now
        p, g = decayed(self, p, g, scalar(rate, p))
        m = averaged(slots["mean"], g, scalar(beta, p))
        v = self.betas[1] * slots["square"] + (1 - self.betas[1]) * functions.square(g)
        r = where(known, scalar(factor, p) / (functions.sqrt(v) + self.eps), 1.0)
        return p - scalar(stride, p) * (m * r), {"mean": m, "square": v}
