"""Adagrad, Adadelta and Rprop: steps from the history of each number alone. Next: `adafactor.py`.

Letters: p parameter, g gradient, s sum of its squares, v running mean of its square, d that of the
steps' squares, t updates made with this one, η rate, λ weight decay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from kedja.front import functions
from kedja.front.arithmetic import where
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import float64, int64
from kedja.ground.errors import UsageError
from kedja.optim.base import (
    UNBOUNDED,
    Leafwise,
    Rate,
    Slots,
    State,
    require_range,
    require_rate,
    scalar,
    wide,
)


@dataclass(frozen=True)
class Adagrad(Leafwise):
    """Steps divided by the root of all squares so far, as in PyTorch:

        g ← g + λ p
        s ← s + g²                  (s starts at `initial_accumulator_value`)
        p ← p − η/(1 + (t − 1) δ) · g/(√s + ε)

    `lr_decay` is δ. With `maximize` g ← −g first. Raises UsageError for options out of range.
    Source: J. Duchi et al.: Adaptive subgradient methods for online learning (2011).
    """

    lr: Rate = 1e-2
    lr_decay: float = 0.0
    weight_decay: float = 0.0
    initial_accumulator_value: float = 0.0
    eps: float = 1e-10
    maximize: bool = False

    slots: ClassVar[tuple[str, ...]] = ("sum",)

    def __post_init__(self) -> None:
        require_rate("Adagrad", self.lr)
        for option in ("lr_decay", "weight_decay", "initial_accumulator_value", "eps"):
            require_range("Adagrad", option, getattr(self, option), 0, UNBOUNDED)

    def start(self, slot: str, p: Tensor) -> Tensor:
        """The same small number everywhere."""
        return functions.full(p.shape, self.initial_accumulator_value, p.dtype)

    def moment(self, step: Tensor, state: State) -> Any:
        """η/(1 + (t − 1) δ)."""
        rate = self.rate(step)
        return rate / (1 + step.astype(float64) * self.lr_decay) if self.lr_decay else rate

    def rule(self, p: Tensor, g: Tensor, slots: Slots, now: Any) -> tuple[Tensor, Slots]:
        """See the class."""
        if self.weight_decay:
            g = g + self.weight_decay * p
        s = slots["sum"] + functions.square(g)
        return p - scalar(now, p) * (g / (functions.sqrt(s) + self.eps)), {"sum": s}


@dataclass(frozen=True)
class Adadelta(Leafwise):
    """Steps in the parameters' own units, as in PyTorch:

        g ← g + λ p
        v ← ρ v + (1 − ρ) g²
        Δ = √(d + ε)/√(v + ε) · g
        d ← ρ d + (1 − ρ) Δ²
        p ← p − η Δ

    With `maximize` g ← −g first. Raises UsageError for options out of range.
    Source: M. Zeiler: Adadelta, an adaptive learning rate method (2012).
    """

    lr: Rate = 1.0
    rho: float = 0.9
    eps: float = 1e-6
    weight_decay: float = 0.0
    maximize: bool = False

    slots: ClassVar[tuple[str, ...]] = ("square", "moved")

    def __post_init__(self) -> None:
        require_rate("Adadelta", self.lr)
        require_range("Adadelta", "rho", self.rho, 0, 1)
        for option in ("eps", "weight_decay"):
            require_range("Adadelta", option, getattr(self, option), 0, UNBOUNDED)

    def rule(self, p: Tensor, g: Tensor, slots: Slots, now: Any) -> tuple[Tensor, Slots]:
        """See the class."""
        if self.weight_decay:
            g = g + self.weight_decay * p
        v = self.rho * slots["square"] + (1 - self.rho) * functions.square(g)
        size = functions.sqrt(slots["moved"] + self.eps) / functions.sqrt(v + self.eps)
        delta = size * g
        d = self.rho * slots["moved"] + (1 - self.rho) * functions.square(delta)
        return p - scalar(now, p) * delta, {"square": v, "moved": d}


@dataclass(frozen=True)
class Rprop(Leafwise):
    """Steps by the gradient's sign, each number with a step size of its own, as in PyTorch:

        where g has the sign it had before:   size ← min(size · η₊, largest)
        where it has changed:                 size ← max(size · η₋, smallest),  g ← 0
        p ← p − sign(g) · size

    `lr` is the first step size, `etas` (η₋, η₊), `step_sizes` (smallest, largest). It is meant for
    the gradient over all examples. With `maximize` g ← −g first. Raises UsageError for options out
    of range. Source: M. Riedmiller, H. Braun: A direct adaptive method for faster backpropagation
    learning, the RPROP algorithm (1993).
    """

    lr: Rate = 1e-2
    etas: tuple[float, float] = (0.5, 1.2)
    step_sizes: tuple[float, float] = (1e-6, 50.0)
    maximize: bool = False

    slots: ClassVar[tuple[str, ...]] = ("before", "size")

    def __post_init__(self) -> None:
        require_rate("Rprop", self.lr)
        for option in ("etas", "step_sizes"):
            pair = getattr(self, option)
            if not isinstance(pair, tuple | list) or len(pair) != 2 or not pair[0] <= pair[1]:
                raise UsageError(f"Rprop with {option}={pair!r}", fix="two numbers, smaller first")
        if not 0 < self.etas[0] < 1 < self.etas[1]:
            raise UsageError(f"Rprop with etas={self.etas!r}", fix="0 < η₋ < 1 < η₊: (0.5, 1.2)")

    def start(self, slot: str, p: Tensor) -> Tensor:
        """No gradient before; the rate as step size."""
        if slot == "before":
            return functions.zeros_like(p)
        return functions.zeros_like(p) + wide(self.rate(Tensor(0, int64))).astype(p.dtype)

    def rule(self, p: Tensor, g: Tensor, slots: Slots, now: Any) -> tuple[Tensor, Slots]:
        """See the class."""
        agreed = g * slots["before"]
        grown, shrunk = (slots["size"] * eta for eta in (self.etas[1], self.etas[0]))
        size = where(agreed > 0, grown, where(agreed < 0, shrunk, slots["size"]))
        size = functions.clip(size, *self.step_sizes)
        g = where(agreed < 0, 0.0, g)
        return p - functions.sign(g) * size, {"before": g, "size": size}
