"""Muon: momentum whose matrix is made orthogonal before it is a step. Next: `lbfgs.py`.

Letters: p parameter, g gradient, v its running mean, X matrix, η rate, λ weight decay, μ momentum,
A rows, B columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from kedja.front import functions
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import as_dtype, float32, is_float, is_half
from kedja.ground.errors import ShapeError, UsageError
from kedja.optim.base import (
    UNBOUNDED,
    Leafwise,
    Rate,
    Slots,
    averaged,
    named,
    require_range,
    require_rate,
    scalar,
)

ADJUSTMENTS = ("original", "match_rms_adamw")


@dataclass(frozen=True)
class Muon(Leafwise):
    """For the matrices of hidden layers, as in PyTorch:

        v ← μ v + (1 − μ) g
        X = orthogonalized(v)          (nesterov: of μ v + (1 − μ) g)
        p ← (1 − η λ) p − η c X

    where c is √max(1, A/B), with `adjust_lr_fn="match_rms_adamw"` 0.2·√max(A, B), by which Adam's
    rates serve. All singular values of X are near 1, so that rare directions move as much as
    common ones. Everything that is no matrix (biases, embeddings, the head) is for another
    optimiser: see `Groups`. As in PyTorch, the orthogonalization works in bfloat16, whatever the
    parameters are; `ns_dtype="float32"` makes it exact, None leaves it in their dtype.

    Raises ShapeError for a parameter that is no matrix, UsageError for options out of range.
    Sources: K. Jordan et al.: Muon, an optimizer for hidden layers in neural networks (2024);
    J. Liu et al.: Muon is scalable for LLM training (2025).
    """

    lr: Rate = 1e-3
    weight_decay: float = 0.1
    momentum: float = 0.95
    nesterov: bool = True
    ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315)
    eps: float = 1e-7
    ns_steps: int = 5
    adjust_lr_fn: str | None = None
    maximize: bool = False
    ns_dtype: str | None = "bfloat16"

    slots: ClassVar[tuple[str, ...]] = ("velocity",)

    def __post_init__(self) -> None:
        require_rate("Muon", self.lr)
        for option in ("weight_decay", "momentum", "eps"):
            require_range("Muon", option, getattr(self, option), 0, UNBOUNDED)
        if len(self.ns_coefficients) != 3:
            raise UsageError(f"Muon with ns_coefficients={self.ns_coefficients!r}", fix="three")
        if not (isinstance(self.ns_steps, int) and 0 <= self.ns_steps < 100):
            raise UsageError(f"Muon with ns_steps={self.ns_steps!r}", fix="a number up to 99")
        if self.adjust_lr_fn not in (None, *ADJUSTMENTS):
            fix = f"one of {', '.join(ADJUSTMENTS)}"
            raise UsageError(f"Muon with adjust_lr_fn={self.adjust_lr_fn!r}", fix=fix)
        if self.ns_dtype is not None and not is_float(as_dtype(self.ns_dtype)):
            raise UsageError(f"Muon with ns_dtype={self.ns_dtype!r}", fix="a float dtype, or None")

    def require(self, path: str, p: Tensor) -> None:
        """Matrices alone."""
        super().require(path, p)
        if p.ndim != 2:
            raise ShapeError(
                f"Muon is for matrices; {named(path)} has shape {list(p.shape)}",
                fix="give it to another optimizer: kj.optim.Groups({'muon': …, 'other': …}, by)",
            )

    def rule(self, p: Tensor, g: Tensor, slots: Slots, now: Any) -> tuple[Tensor, Slots]:
        """See the class."""
        rate = scalar(now, p)
        v = averaged(slots["velocity"], g, self.momentum)
        ahead = averaged(v, g, self.momentum) if self.nesterov else v
        x = self._orthogonalized(ahead).astype(p.dtype)
        kept = p * (1 - rate * self.weight_decay) if self.weight_decay else p
        return kept - rate * self._factor(p.shape) * x, {"velocity": v}

    def _orthogonalized(self, x: Tensor) -> Tensor:
        dtype = None if self.ns_dtype is None else as_dtype(self.ns_dtype)
        return orthogonalized(x, self.ns_coefficients, self.ns_steps, self.eps, dtype)

    def _factor(self, shape: tuple[int, ...]) -> float:
        """c: how much larger a step is by the matrix's shape."""
        rows, columns = shape
        if self.adjust_lr_fn == "match_rms_adamw":
            return 0.2 * math.sqrt(max(rows, columns))
        return math.sqrt(max(1.0, rows / columns)) if columns else 1.0


def orthogonalized(
    x: Tensor,
    coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
    steps: int = 5,
    eps: float = 1e-7,
    dtype: Any = None,
) -> Tensor:
    """A matrix with the singular vectors of x (A, B), whose singular values are near 1.

    X ← x/max(|x|, ε), then `steps` times X ← a X + (b S + c S²) X with S = X Xᵀ: Newton and
    Schulz's iteration, with coefficients that climb fast from 0 and end between 0.7 and 1.2. Half
    dtypes are those in which every result is rounded; the products add up in float32.

    Sources: Å. Björck, C. Bowie: An iterative algorithm for computing the best estimate of an
    orthogonal matrix (1971); K. Jordan et al.: Muon (2024).
    """
    a, b, c = coefficients
    kind = x.dtype if dtype is None else dtype
    x = _rounded(x.astype(float32) if is_half(kind) else x.astype(kind), kind)
    tall = x.shape[0] > x.shape[1]
    x = x.mT if tall else x  # (A, B) with A ≤ B: the smaller of the two products
    norm = _rounded(functions.sqrt(functions.sum(functions.square(x))), kind)
    x = _rounded(x / functions.maximum(norm, eps), kind)
    for _ in range(steps):
        s = _rounded(x @ x.mT, kind)  # (A, A)
        s = _rounded(b * s + c * (s @ s), kind)
        x = _rounded(a * x + s @ x, kind)
    return x.mT if tall else x


def _rounded(x: Tensor, dtype: Any) -> Tensor:
    """x with every number rounded to a half dtype, kept in float32; other dtypes as they are."""
    return x.astype(dtype).astype(x.dtype) if is_half(dtype) else x
