"""When to stop training because the validation no longer improves.

Not here: where the best weights are kept (`run.py`). Next: `history.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kedja.ground.errors import UsageError
from kedja.train.history import Epoch

# Figures that are better when they are larger; all others are better when they are smaller.
LARGER_IS_BETTER = frozenset({"accuracy", "r2"})


@dataclass(frozen=True)
class EarlyStopping:
    """Stop after `patience` epochs in a row without a new best value of `monitor`.

    A value is a new best if it beats the old one by more than `min_delta`. `monitor` is "loss"
    (of the validation) or one of the metrics; accuracy and r2 should rise, all others fall. With
    `restore_best` the trained model has the weights of the best epoch, not of the last.
    """

    patience: int = 5
    min_delta: float = 0.0
    restore_best: bool = True
    monitor: str = "loss"

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise UsageError(f"patience is {self.patience}", fix="give 1 epoch or more")
        if not self.min_delta >= 0:
            raise UsageError(f"min_delta is {self.min_delta}", fix="give 0 or more")

    def best(self, epochs: Sequence[Epoch]) -> int:
        """The number of the best epoch so far (from 1), 0 if there is none yet."""
        sign = -1.0 if self.monitor in LARGER_IS_BETTER else 1.0
        best, number = math.inf, 0
        for epoch in epochs:
            value = sign * self._value(epoch)
            if not number or value < best - self.min_delta or math.isnan(best) > math.isnan(value):
                best, number = value, epoch.number
        return number

    def is_over(self, epochs: Sequence[Epoch]) -> bool:
        """Whether the last `patience` epochs brought no new best."""
        return bool(epochs) and epochs[-1].number - self.best(epochs) >= self.patience

    def _value(self, epoch: Epoch) -> float:
        if self.monitor not in epoch.validation:
            names = ", ".join(epoch.validation)
            raise UsageError(
                f"early stopping watches {self.monitor!r}, which is not measured",
                fix=f"one of {names}" if names else "give validation data",
            )
        return epoch.validation[self.monitor]
