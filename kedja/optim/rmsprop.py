"""RMSprop: steps divided by the running size of the gradient. Next: `adagrad.py`.

Letters: p parameter, g gradient, v running mean of its square, a that of itself, b velocity,
η rate, α decay, μ momentum, λ weight decay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from kedja.front import functions
from kedja.front.tensor import Tensor
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
class RMSprop(Leafwise):
    """As in PyTorch:

        g ← g + λ p
        v ← α v + (1 − α) g²
        a ← α a + (1 − α) g        (centered; else a = 0)
        b ← μ b + g/(√(v − a²) + ε)
        p ← p − η b

    With `maximize` g ← −g first. Raises UsageError for options out of range.
    Sources: T. Tieleman, G. Hinton: Lecture 6.5, RMSprop (2012); centered: A. Graves: Generating
    sequences with recurrent neural networks (2013).

    >>> import kedja as kj
    >>> opt, w = RMSprop(0.1, alpha=0.75), kj.tensor(1.0)
    >>> w, state = opt.update(w, kj.tensor(50.0), opt.init(w))
    >>> round(w.item(), 6)
    0.8
    """

    lr: Rate = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0
    centered: bool = False
    weight_decay: float = 0.0
    maximize: bool = False

    slots: ClassVar[tuple[str, ...]] = ("square", "mean", "velocity")

    def __post_init__(self) -> None:
        require_rate("RMSprop", self.lr)
        require_range("RMSprop", "alpha", self.alpha, 0, 1)
        for option in ("eps", "momentum", "weight_decay"):
            require_range("RMSprop", option, getattr(self, option), 0, UNBOUNDED)

    def _used(self) -> tuple[str, ...]:
        mean = ("mean",) if self.centered else ()
        return ("square", *mean, *(("velocity",) if self.momentum else ()))

    def rule(self, p: Tensor, g: Tensor, slots: Slots, now: Any) -> tuple[Tensor, Slots]:
        """See the class."""
        if self.weight_decay:
            g = g + self.weight_decay * p
        v = self.alpha * slots["square"] + (1 - self.alpha) * functions.square(g)
        moved = {"square": v}
        if self.centered:
            moved["mean"] = averaged(slots["mean"], g, self.alpha)
            v = v - functions.square(moved["mean"])
        stride = g / (functions.sqrt(v) + self.eps)
        if self.momentum:
            stride = self.momentum * slots["velocity"] + stride
            moved["velocity"] = stride
        return p - scalar(now, p) * stride, moved
