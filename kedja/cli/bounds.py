"""Where the numbers that options give make sense, one row for each option.

Not here: whether a model has the option at all (`families.py`). Next: `families.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from kedja import nn, optim
from kedja.ground.errors import UsageError


class Bound(NamedTuple):
    """Which values an option may have, as a test and in words."""

    holds: Callable[[Any], bool]
    fix: str


FROM_ONE = Bound(lambda n: n >= 1, "a whole number from 1")
FROM_ZERO = Bound(lambda n: n >= 0, "a whole number from 0")
ABOVE_ZERO = Bound(lambda x: 0 < x < float("inf"), "a number above 0")

BOUNDS = {
    "threads": Bound(lambda n: n >= 0, "a number of threads, or 0 for one per core"),
    "seed": Bound(lambda n: 0 <= n < 2**64, "a whole number from 0 to 2**64 - 1"),
    "batch": FROM_ONE,
    "epochs": FROM_ONE,
    "accumulate": FROM_ONE,
    "warmup": FROM_ZERO,
    "lr": ABOVE_ZERO,
    **dict.fromkeys(("c", "gamma"), ABOVE_ZERO),
    "clip": ABOVE_ZERO,
    **dict.fromkeys(("layers", "heads", "width", "context", "steps", "evaluations"), FROM_ONE),
    **dict.fromkeys(("patience", "lora", "depth", "horizon", "season"), FROM_ONE),
    "level": Bound(lambda x: 0 < x < 1, "a share between 0 and 1, such as 0.9"),
    "vocabulary": Bound(lambda n: n > 256, "a whole number above 256, the number of bytes"),
    "samples": FROM_ZERO,
    "noise": Bound(lambda x: 0 <= x < float("inf"), "a number from 0"),
    **dict.fromkeys(("generations", "episodes", "limit"), FROM_ONE),
    **dict.fromkeys(("copies", "rollout", "updates", "memory"), FROM_ONE),
    **dict.fromkeys(("target_every", "explore"), FROM_ONE),
    "lam": Bound(lambda x: 0 <= x <= 1, "a number from 0 to 1"),
    "epsilon": Bound(lambda x: 0 < x < 1, "a number between 0 and 1, such as 0.2"),
    "entropy": Bound(lambda x: 0 <= x < float("inf"), "a number from 0"),
    "spread": ABOVE_ZERO,
    **dict.fromkeys(("iterations", "games", "simulations"), FROM_ONE),
    "population": Bound(lambda n: n >= 4, "a whole number from 4"),
    "sigma": ABOVE_ZERO,
    "least": Bound(lambda x: 0 <= x <= 1, "a share of sigma, from 0 to 1"),
    "goal": Bound(lambda x: x == x, "a number"),
    "weight_decay": Bound(lambda x: 0 <= x < float("inf"), "a number from 0"),
    "dropout": Bound(lambda x: 0 <= x < 1, "a number from 0, below 1"),
    "seconds": Bound(lambda x: 0 < x <= 60, "a number above 0, at most 60"),
    "rate": Bound(lambda n: 1000 <= n <= 768_000, "samples a second, 1000 to 768000"),
    "ema": Bound(lambda x: 0 < x < 1, "a number between 0 and 1, such as 0.999"),
}


def require(given: Mapping[str, Any]) -> None:
    """Raise UsageError for the first option, of those that were given, that makes no sense."""
    for name, value in given.items():
        bound = BOUNDS.get(name)
        if bound is not None and not bound.holds(value):
            raise UsageError(f"--{name.replace('_', '-')} {value}", fix=bound.fix)
    warmup = given.get("warmup", 0)
    optim.schedule(given.get("schedule", "constant"), 1.0, warmup + 1, warmup)
    nn.Policy(given.get("precision", "float32"))
