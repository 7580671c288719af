"""Adam, AdamW with decoupled weight decay, and Adamax. Next: `nadam.py`.

Letters: p parameter, g gradient, m its running mean, v that of its square, u its running size,
t updates made with this one, η rate, λ weight decay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from kedja.front import functions
from kedja.front.tensor import Tensor
from kedja.ground.errors import UsageError
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
class Adam(Leafwise):
    """Steps scaled by the running mean and the running square of the gradient, as in PyTorch:

        g ← g + λ p
        m ← β₁ m + (1 − β₁) g
        v ← β₂ v + (1 − β₂) g²
        p ← p − η/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε)

    The corrections 1 − βᵗ are computed in float64. `amsgrad` divides by the largest v so far;
    `decoupled_weight_decay` leaves g alone and takes η λ p off p first, which is AdamW. β₁ may be
    a schedule, as the rate. With `maximize` g ← −g first. Raises UsageError for options out of
    range. Sources: D. Kingma, J. Ba: Adam, a method for stochastic optimization (2014); amsgrad:
    S. Reddi et al.: On the convergence of Adam and beyond (2018).

    >>> import kedja as kj
    >>> opt, w = Adam(0.1), kj.tensor([1.0, -1.0])
    >>> w, state = opt.update(w, kj.tensor([100.0, -0.01]), opt.init(w))
    >>> [round(each, 6) for each in w.tolist()]
    [0.9, -0.9]
    """

    lr: Rate = 1e-3
    betas: tuple[Rate, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    amsgrad: bool = False
    maximize: bool = False
    decoupled_weight_decay: bool = False

    slots: ClassVar[tuple[str, ...]] = ("mean", "square", "largest")

    def __post_init__(self) -> None:
        name = type(self).__name__
        require_rate(name, self.lr)
        require_betas(name, self.betas)
        require_range(name, "eps", self.eps, 0, UNBOUNDED)
        require_range(name, "weight_decay", self.weight_decay, 0, UNBOUNDED)

    def _used(self) -> tuple[str, ...]:
        return self.slots if self.amsgrad else self.slots[:2]

    def moment(self, step: Tensor, state: State) -> Any:
        """β₁, η, η/(1 − β₁ᵗ) and √(1 − β₂ᵗ), shared by all parameters."""
        decays = (at(self.betas[0], step), self.betas[1])
        first, second = (remaining(beta, step) for beta in decays)
        rate = self.rate(step)
        return decays[0], rate, rate / first, functions.sqrt(second)

    def rule(self, p: Tensor, g: Tensor, slots: Slots, now: Any) -> tuple[Tensor, Slots]:
        """See the class."""
        beta, rate, stride, root = now
        p, g = decayed(self, p, g, scalar(rate, p))
        m = averaged(slots["mean"], g, scalar(beta, p))
        v = self.betas[1] * slots["square"] + (1 - self.betas[1]) * functions.square(g)
        moved = {"mean": m, "square": v}
        if self.amsgrad:
            v = moved["largest"] = functions.maximum(slots["largest"], v)
        size = functions.sqrt(v) / scalar(root, p) + self.eps
        return p - scalar(stride, p) * (m / size), moved


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam whose weight decay leaves the gradient alone: p ← (1 − η λ) p, then Adam's step.

    Source: I. Loshchilov, F. Hutter: Decoupled weight decay regularization (2017).
    """

    weight_decay: float = 1e-2
    decoupled_weight_decay: bool = True


@dataclass(frozen=True)
class Adamax(Leafwise):
    """Adam with the largest size of the gradient in place of the root of its square:

        g ← g + λ p
        m ← β₁ m + (1 − β₁) g
        u ← max(β₂ u, |g| + ε)
        p ← p − η/(1 − β₁ᵗ) · m / u

    as in PyTorch. Raises UsageError for options out of range.
    Source: D. Kingma, J. Ba: Adam, a method for stochastic optimization (2014), section 7.
    """

    lr: Rate = 2e-3
    betas: tuple[Rate, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    maximize: bool = False

    slots: ClassVar[tuple[str, ...]] = ("mean", "size")

    def __post_init__(self) -> None:
        require_rate("Adamax", self.lr)
        require_betas("Adamax", self.betas)
        for option in ("eps", "weight_decay"):
            require_range("Adamax", option, getattr(self, option), 0, UNBOUNDED)

    def moment(self, step: Tensor, state: State) -> Any:
        """β₁ and η/(1 − β₁ᵗ)."""
        beta = at(self.betas[0], step)
        return beta, self.rate(step) / remaining(beta, step)

    def rule(self, p: Tensor, g: Tensor, slots: Slots, now: Any) -> tuple[Tensor, Slots]:
        """See the class."""
        beta, stride = (scalar(each, p) for each in now)
        if self.weight_decay:
            g = g + self.weight_decay * p
        m = averaged(slots["mean"], g, beta)
        u = functions.maximum(self.betas[1] * slots["size"], functions.abs(g) + self.eps)
        return p - stride * (m / u), {"mean": m, "size": u}


def decayed(opt: Any, p: Tensor, g: Tensor, rate: Any) -> tuple[Tensor, Tensor]:
    """Parameter and gradient after weight decay.

    It is either g + λ p, as a penalty λ/2·p² gives, or decoupled, (1 − η λ) p.
    """
    if not opt.weight_decay:
        return p, g
    if opt.decoupled_weight_decay:
        return p * (1 - rate * opt.weight_decay), g
    return p, g + opt.weight_decay * p


def require_betas(name: str, betas: Any) -> None:
    """Raise UsageError unless these are two decays from 0 to below 1, or a schedule and one."""
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise UsageError(f"{name} with betas={betas!r}", fix="two numbers: (0.9, 0.999)")
    for beta in betas if not callable(betas[0]) else betas[1:]:
        require_range(name, "betas", beta, 0, 1)
