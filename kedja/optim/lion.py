"""Lion: steps of one size, by the sign of a mean. Next: `muon.py`.

Letters: p parameter, g gradient, m its running mean, η rate, λ weight decay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from kedja.front import functions
from kedja.front.tensor import Tensor
from kedja.optim.adam import require_betas
from kedja.optim.base import (
    UNBOUNDED,
    Leafwise,
    Rate,
    Slots,
    averaged,
    require_range,
    require_rate,
    scalar,
)


@dataclass(frozen=True)
class Lion(Leafwise):
    """Every number moves by η, against the sign of a mean of gradients:

        c = β₁ m + (1 − β₁) g
        p ← p − η (sign(c) + λ p)
        m ← β₂ m + (1 − β₂) g

    One slot where Adam has two; rates are 3 to 10 times smaller than Adam's, weight decays as much
    larger. With `maximize` g ← −g first. Raises UsageError for options out of range.
    Source: X. Chen et al.: Symbolic discovery of optimization algorithms (2023), algorithm 2.

    >>> import kedja as kj
    >>> opt, w = Lion(0.5), kj.tensor([1.0, -1.0])
    >>> w, state = opt.update(w, kj.tensor([1000.0, -0.001]), opt.init(w))
    >>> w.tolist()
    [0.5, -0.5]
    """

    lr: Rate = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    maximize: bool = False

    slots: ClassVar[tuple[str, ...]] = ("mean",)

    def __post_init__(self) -> None:
        require_rate("Lion", self.lr)
        require_betas("Lion", self.betas)
        require_range("Lion", "weight_decay", self.weight_decay, 0, UNBOUNDED)

    def rule(self, p: Tensor, g: Tensor, slots: Slots, now: Any) -> tuple[Tensor, Slots]:
        """See the class."""
        stride = functions.sign(averaged(slots["mean"], g, self.betas[0]))
        if self.weight_decay:
            stride = stride + self.weight_decay * p
        return p - scalar(now, p) * stride, {"mean": averaged(slots["mean"], g, self.betas[1])}
