"""What a training run leaves behind: the model, and what was measured on the way.

Not here: the run itself (`run.py`), what is on the disk (`checkpoint.py`). Next: `trainer.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from kedja.ground.errors import UsageError

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Epoch:
    """One pass over the training examples. `number` counts from 1.

    `train_loss` is the mean over the examples, each measured just before the step that it took
    part in. `validation` holds the loss and the metrics on the validation data after the epoch
    (empty without such data). `seconds` is wall time, validation included;
    `steps_per_second` counts the steps' time alone.
    """

    number: int
    train_loss: float
    validation: Mapping[str, float]
    seconds: float
    steps_per_second: float

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON's types."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Epoch:
        """Read back what `to_json` gave."""
        return Epoch(**value)


@dataclass
class History:
    """A training run, finished or interrupted.

    `model` is the trained model (the best epoch's, if early stopping restores it); `losses` is
    the loss of each step, float (steps,); `stopped` says why the run ended: "epochs" (all are
    done), "early stopping", "callback", or "" while it has not ended.
    """

    model: Any
    losses: Array
    epochs: list[Epoch] = field(default_factory=list)
    compile_seconds: float = 0.0
    train_seconds: float = 0.0
    steps_per_second: float = 0.0
    stopped: str = ""
    notes: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return len(self.losses)

    @property
    def train_loss(self) -> float:
        """The mean loss over the last epoch's examples; NaN before the first epoch's end."""
        return self.epochs[-1].train_loss if self.epochs else float("nan")

    @property
    def validation(self) -> Mapping[str, float]:
        """The last epoch's loss and metrics on the validation data."""
        return self.epochs[-1].validation if self.epochs else {}

    def column(self, name: str) -> list[float]:
        """One figure of each epoch: "train_loss", "seconds", or one of the validation's.

        >>> rows = [Epoch(1, 0.5, {"accuracy": 0.8}, 0.1, 900.0)]
        >>> History(None, np.zeros(1), rows).column("accuracy")
        [0.8]
        """
        if name in ("train_loss", "seconds", "steps_per_second"):
            return [getattr(epoch, name) for epoch in self.epochs]
        missing = [epoch for epoch in self.epochs if name not in epoch.validation]
        if missing:
            names = ["train_loss", "seconds", "steps_per_second", *missing[0].validation]
            raise UsageError(f"no figure {name!r} was recorded", fix=f"one of {', '.join(names)}")
        return [epoch.validation[name] for epoch in self.epochs]
