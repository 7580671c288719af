"""Adam, and AdamW with decoupled weight decay. Next: `rmsprop.py`.

Letters: p parameter, g gradient, m its running mean, v that of its square, t updates made with
this one, η rate, λ weight decay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from kedja.front import functions
from kedja.front.tensor import Tensor
from kedja.ground.errors import UsageError
from kedja.optim.base import (
    Optimizer,
    Rate,
    Slots,
    averaged,
    remaining,
    require_range,
    require_rate,
    scalar,
)

UNBOUNDED = float("inf")


@dataclass(frozen=True)
class Adam(Optimizer):
    """Steps scaled by the running mean and the running square of the gradient, as in PyTorch:

        g ← g + λ p
        m ← β₁ m + (1 − β₁) g
        v ← β₂ v + (1 − β₂) g²
        p ← p − η/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε)

    The corrections 1 − βᵗ are computed in float64. Raises UsageError for options out of range.
    Source: D. Kingma, J. Ba: Adam, a method for stochastic optimization (2014).

    >>> import kedja as kj
    >>> opt, w = Adam(0.1), kj.tensor([1.0, -1.0])
    >>> w, state = opt.update(w, kj.tensor([100.0, -0.01]), opt.init(w))
    >>> [round(each, 6) for each in w.tolist()]
    [0.9, -0.9]
    """

    lr: Rate = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    slots: ClassVar[tuple[str, ...]] = ("mean", "square")

    def __post_init__(self) -> None:
        name = type(self).__name__
        require_rate(name, self.lr)
        if len(self.betas) != 2:
            raise UsageError(f"{name} with betas={self.betas!r}", fix="two numbers: (0.9, 0.999)")
        for beta in self.betas:
            require_range(name, "betas", beta, 0, 1)
        require_range(name, "eps", self.eps, 0, UNBOUNDED)
        require_range(name, "weight_decay", self.weight_decay, 0, UNBOUNDED)

    def moment(self, step: Tensor) -> Any:
        """η, η/(1 − β₁ᵗ) and √(1 − β₂ᵗ), shared by all parameters."""
        first, second = (remaining(beta, step) for beta in self.betas)
        rate = self.rate(step)
        return rate, rate / first, functions.sqrt(second)

    def rule(self, p: Tensor, g: Tensor, slots: Slots, now: Any) -> tuple[Tensor, Slots]:
        """See the class."""
        rate, stride, root = now
        p, g = self.decayed(p, g, scalar(rate, p))
        m = averaged(slots["mean"], g, self.betas[0])
        v = self.betas[1] * slots["square"] + (1 - self.betas[1]) * functions.square(g)
        size = functions.sqrt(v) / scalar(root, p) + self.eps
        return p - scalar(stride, p) * (m / size), {"mean": m, "square": v}

    def decayed(self, p: Tensor, g: Tensor, rate: Any) -> tuple[Tensor, Tensor]:
        """Parameter and gradient after weight decay: here g + λ p, as a penalty λ/2·p² gives."""
        return p, g + self.weight_decay * p if self.weight_decay else g


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam whose weight decay leaves the gradient alone: p ← (1 − η λ) p, then Adam's step.

    Source: I. Loshchilov, F. Hutter: Decoupled weight decay regularization (2017).
    """

    weight_decay: float = 1e-2

    def decayed(self, p: Tensor, g: Tensor, rate: Any) -> tuple[Tensor, Tensor]:
        """(1 − η λ) p, and the gradient as it is."""
        return p * (1 - rate * self.weight_decay) if self.weight_decay else p, g
