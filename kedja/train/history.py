"""What a training run leaves behind: the model, and what was measured on the way.

At a prompt it is a table of the epochs, in a notebook also the curves of its losses
(`loss_curve.py`). Not here: the run itself (`run.py`), what is on the disk (`checkpoint.py`).
Next: `trainer.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from kedja.front import tables
from kedja.ground.errors import UsageError
from kedja.train import loss_curve

Array = np.ndarray[Any, np.dtype[Any]]
SHOWN = 5  # of many epochs so many are printed of the first, and of the last
OWN = ("train_loss", "seconds", "steps_per_second")  # figures of every epoch


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


@dataclass(repr=False)
class History:
    """A training run, finished or interrupted.

    `model` is the trained model (the best epoch's, if early stopping restores it); `losses` is
    the loss of each step, float (steps,); `stopped` says why the run ended: "epochs" (all are
    done), "early stopping", "callback", or "" while it has not ended. Printed it is a table of its
    epochs, whose columns `column` gives as lists; `svg()` draws the losses.

    >>> rows = [Epoch(1, 2.3, {"loss": 1.9}, 0.1, 900.0), Epoch(2, 1.5, {"loss": 1.6}, 0.1, 900.0)]
    >>> History(None, np.zeros(90), rows, train_seconds=0.2, stopped="epochs")
    2 epochs, 90 steps in 0.2 s, ended by: epochs
    epoch  train_loss  loss  seconds
        1         2.3   1.9      0.1
        2         1.5   1.6      0.1
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
        if name in OWN:
            return [getattr(epoch, name) for epoch in self.epochs]
        missing = [epoch for epoch in self.epochs if name not in epoch.validation]
        if missing:
            names = [*OWN, *missing[0].validation]
            raise UsageError(f"no figure {name!r} was recorded", fix=f"one of {', '.join(names)}")
        return [epoch.validation[name] for epoch in self.epochs]

    # ------------------------------------------------------------------------------- views

    def __repr__(self) -> str:
        header, rows = self._table()
        return "\n".join([self._title(), tables.plain(header, rows, header)])

    def svg(self) -> str:
        """The losses by epoch as a picture: the training's, and the validation's where there is."""
        curves = {"training": self.column("train_loss")}
        if self.epochs and all("loss" in epoch.validation for epoch in self.epochs):
            curves["validation"] = self.column("loss")
        return loss_curve.svg(curves)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        header, rows = self._table()
        table = tables.html(header, rows, header)
        return {
            "text/plain": repr(self),
            "text/html": f"<p>{self._title()}</p>{self.svg()}{table}",
        }

    def _title(self) -> str:
        ended = f", ended by: {self.stopped}" if self.stopped else ""
        taken = f"{self.steps:,} steps in {self.train_seconds:.3g} s{ended}"
        return f"{len(self.epochs):,} epochs, {taken}"

    def _table(self) -> tuple[list[str], list[list[str]]]:
        """The names of the figures, and the epochs: the first and the last of many."""
        figures = list(dict.fromkeys(name for each in self.epochs for name in each.validation))
        header = ["epoch", "train_loss", *figures, "seconds"]
        rows = [_cells(each, figures) for each in self.epochs]
        if len(rows) > 2 * SHOWN + 1:
            rows = [*rows[:SHOWN], ["…"] * len(header), *rows[-SHOWN:]]
        return header, rows


def _cells(epoch: Epoch, figures: list[str]) -> list[str]:
    asked = (epoch.validation.get(name) for name in figures)
    measured = ("" if each is None else f"{each:.4g}" for each in asked)
    return [str(epoch.number), f"{epoch.train_loss:.4g}", *measured, f"{epoch.seconds:.3g}"]
