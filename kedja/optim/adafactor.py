"""Adafactor: Adam's squares kept as one row and one column of each matrix. Next: `lion.py`.

Letters: p parameter, g gradient, R and C the running means of g² over rows and columns, V that of
g² for vectors, t updates made with this one, η rate, λ weight decay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from kedja.front import functions
from kedja.front.arithmetic import where
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import bfloat16, float64
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
class Adafactor(Leafwise):
    """Adaptive steps at the price of one row and one column for each matrix, as in PyTorch:

        α = max(ε₂, rms(p)) · min(η, 1/√t)
        p ← (1 − η λ) p
        R ← R + t^τ (mean of g² over each row − R),  C likewise over each column
        V = R C / max(mean R, ε₁)        (vectors: V ← V + t^τ (g² − V))
        U = g / max(√V, ε₁)
        p ← p − α U / max(1, rms(U)/d)

    `beta2_decay` is τ, `eps` (ε₁, ε₂), where None stands for the spacing of the dtype at 1. The
    last two axes are rows and columns. With `maximize` g ← −g first. Raises UsageError for options
    out of range.
    Source: N. Shazeer, M. Stern: Adafactor, adaptive learning rates with sublinear memory cost
    (2018); as PyTorch, the mean of squares stands for the sum, and ε₁ bounds V.
    """

    lr: Rate = 1e-2
    beta2_decay: float = -0.8
    eps: tuple[float | None, float] = (None, 1e-3)
    d: float = 1.0
    weight_decay: float = 0.0
    maximize: bool = False

    slots: ClassVar[tuple[str, ...]] = ("row", "column", "square")

    def __post_init__(self) -> None:
        require_rate("Adafactor", self.lr)
        require_range("Adafactor", "weight_decay", self.weight_decay, 0, UNBOUNDED)
        if not isinstance(self.eps, tuple | list) or len(self.eps) != 2:
            raise UsageError(f"Adafactor with eps={self.eps!r}", fix="a pair: (None, 1e-3)")
        for each in self.eps if self.eps[0] is not None else self.eps[1:]:
            require_range("Adafactor", "eps", each, 0, UNBOUNDED)
        if not self.d >= 1:
            raise UsageError(f"Adafactor with d={self.d!r}", fix="a number from 1")
        if not self.beta2_decay <= 0:
            raise UsageError(
                f"Adafactor with beta2_decay={self.beta2_decay!r}", fix="a number up to 0: -0.8"
            )

    def start(self, slot: str, p: Tensor) -> Tensor:
        """Zeros: a column and a row for matrices, the whole for vectors; else a single 0."""
        used = ("row", "column") if p.ndim > 1 else ("square",)
        if slot not in used:
            return functions.zeros((), p.dtype)
        if slot == "square":
            return functions.zeros_like(p)
        rows, columns = p.shape[-2:]
        last = (rows, 1) if slot == "row" else (1, columns)
        return functions.zeros((*p.shape[:-2], *last), p.dtype)

    def moment(self, step: Tensor, state: State) -> Any:
        """η, t^τ and min(η, 1/√t)."""
        count = (step + 1).astype(float64)
        rate = self.rate(step)
        share = functions.exp(self.beta2_decay * functions.log(count))
        least = functions.minimum(wide(rate), 1 / functions.sqrt(count))
        return rate, share, least

    def rule(self, p: Tensor, g: Tensor, slots: Slots, now: Any) -> tuple[Tensor, Slots]:
        """See the class."""
        rate, share, least = (scalar(each, p) for each in now)
        first, second = self.eps
        smallest = spacing(p.dtype) if first is None else first
        stride = functions.maximum(rms(p), second) * least
        if self.weight_decay:
            p = p * (1 - rate * self.weight_decay)
        moved, estimate = self._estimated(g, slots, share, smallest)
        u = g / functions.sqrt(functions.maximum(estimate, smallest * smallest))
        return p - (stride / functions.maximum(rms(u) / self.d, 1.0)) * u, moved

    def _estimated(
        self, g: Tensor, slots: Slots, share: Tensor, smallest: float
    ) -> tuple[Slots, Tensor]:
        """The new slots, and V."""
        squares = functions.square(g)
        if g.ndim < 2:
            v = _nearer(slots["square"], squares, share)
            return {**slots, "square": v}, v
        row = _nearer(slots["row"], functions.mean(squares, -1, keepdims=True), share)
        column = _nearer(slots["column"], functions.mean(squares, -2, keepdims=True), share)
        size = functions.maximum(functions.mean(row, -2, keepdims=True), smallest)
        return {**slots, "row": row, "column": column}, row * column / size


def _nearer(average: Tensor, x: Tensor, share: Tensor) -> Tensor:
    """average + share·(x − average), exactly x where the share is 1."""
    apart = x - average
    return where(share < 0.5, average + share * apart, x - (1 - share) * apart)


def rms(x: Tensor) -> Tensor:
    """√(mean x²)."""
    return functions.sqrt(functions.mean(functions.square(x)))


def spacing(dtype: np.dtype[Any]) -> float:
    """The distance from 1 to the next larger number of a dtype."""
    return math.ldexp(1, -7) if dtype == bfloat16 else float(np.finfo(dtype).eps)
