"""Which token comes next: the choice from a model's logits, as a part of compiled steps.

temperature    logits / T: below 1 the probable tokens get more, above 1 the others; 0 takes the
               most probable token
top_k          only the k most probable tokens, and those that are as probable as the k-th
top_p          of these, the fewest most probable ones that have the probability p together, and
               those that are as probable as the last of them

The bounds of top_k and top_p are found without sorting, by halving: the k-th largest logit is the
largest number that k logits reach. Source of top_p: A. Holtzman et al.: The curious case of neural
text degeneration (2019). Not here: the loop of steps (`stepping.py`). Next: `stepping.py`.
Dimensions: B samples, V tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import kedja as kj
from kedja import Tensor
from kedja.ground.errors import UsageError

MINUS_INFINITY = float("-inf")


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen; see the module's text. None leaves a rule out."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            what = f"temperature {self.temperature}"
            raise UsageError(what, fix="0 takes the most probable token, 1 draws as the model says")
        if self.top_k is not None and self.top_k < 1:
            raise UsageError(f"top_k {self.top_k}", fix="at least 1 token to choose from")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise UsageError(f"top_p {self.top_p}", fix="a probability: above 0, at most 1")

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers of the rules that hold: inputs of one compiled step for all their values."""
        if self.temperature == 0:
            return {}
        given = {"temperature": float(self.temperature), "top_k": self.top_k, "top_p": self.top_p}
        return {name: value for name, value in given.items() if value is not None}


def chosen(logits: Tensor, key: Tensor, numbers: Mapping[str, Any]) -> Tensor:
    """The next token of each sample: logits (B, V) float32 → (B,) integers."""
    if "temperature" not in numbers:
        return kj.argmax(logits, -1)
    scaled = logits / numbers["temperature"]
    for name, rule in (("top_k", most_probable), ("top_p", nucleus)):
        if name in numbers:
            scaled = kj.where(rule(scaled, numbers[name]), scaled, MINUS_INFINITY)
    return kj.random.categorical(key, scaled)


def most_probable(logits: Tensor, k: Any) -> Tensor:
    """Where the k largest logits of a row stand, and those equal to the k-th: (B, V), bool."""
    lowest = kj.max(logits, -1, keepdims=True) - LEAST  # below it no token is ever drawn
    held = kj.maximum(logits, lowest)

    def enough(bound: Tensor) -> Tensor:
        return kj.sum((held >= bound).astype("int32"), -1, keepdims=True) >= k

    return held >= largest(enough, lowest, kj.max(held, -1, keepdims=True) + 1)


def nucleus(logits: Tensor, p: Any) -> Tensor:
    """Where the fewest tokens stand that have the probability p together: (B, V), bool."""
    shares = kj.softmax(logits, -1)

    def enough(bound: Tensor) -> Tensor:
        return kj.sum(kj.where(shares >= bound, shares, 0.0), -1, keepdims=True) >= p

    first = kj.zeros_like(shares[..., :1])
    return shares >= largest(enough, first, first + 2)


# e^−100 of the most probable token's share: beyond what 32 random bits can draw.
LEAST = 100.0


def largest(enough: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """The largest number for which `enough` holds, as it does for `low` and does not for `high`.

    Halving ends where no float lies between the two: the number is exact.
    """

    def middle(bounds: tuple[Tensor, Tensor]) -> Tensor:
        return bounds[0] + (bounds[1] - bounds[0]) * 0.5

    def goes_on(bounds: tuple[Tensor, Tensor]) -> Tensor:
        at = middle(bounds)
        return kj.any(kj.logical_and(at > bounds[0], at < bounds[1]))

    def halved(bounds: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        at = middle(bounds)
        holds = enough(at)
        return kj.where(holds, at, bounds[0]), kj.where(holds, bounds[1], at)

    found: Tensor = kj.while_loop(goes_on, halved, (low, high))[0]
    return found
