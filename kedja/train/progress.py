"""What a run shows of itself: a moving bar on a terminal, plain lines elsewhere, or nothing.

Everything goes to stderr; stdout belongs to results. Not here: the bar (`bar.py`, which is loaded
where there is a terminal), when something is told (`run.py`, about ten times a second, in the
middle of native work too). Next: `run.py`.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from kedja.train.history import Epoch

# Runs of more epochs than this leave out lines that would follow each other too closely.
MANY_EPOCHS = 100
LINE_SECONDS = 1.0
# Within a long epoch a line is written this often where there is no terminal.
WITHIN_SECONDS = 5.0


class Moment(NamedTuple):
    """Where a run stands: `phase` is "training" or "validation"; epochs count from 1.

    `step` of `steps` of this epoch are done; `loss` is the last step's.
    """

    phase: str
    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    steps_per_second: float


class Reporter:
    """Shows nothing; the base of those that do."""

    def begin(self, epochs: int) -> None:
        """The run starts, or goes on."""

    def moment(self, now: Moment) -> None:
        """The run moves; called about ten times a second."""

    def epoch(self, row: Epoch, epochs: int) -> None:
        """An epoch has ended."""

    def note(self, text: str) -> None:
        """Something that a person should know."""

    def close(self) -> None:
        """The run is over, for whatever reason."""


class Calls(Reporter):
    """Calls a function with every moment; what it raises ends the run."""

    def __init__(self, function: Callable[[Moment], object]) -> None:
        self._function = function

    def moment(self, now: Moment) -> None:
        """Hand the moment on."""
        self._function(now)


class Lines(Reporter):
    """One line for each epoch, and one every few seconds within long ones."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def moment(self, now: Moment) -> None:
        """A line, if the last one is some seconds old."""
        if time.monotonic() - self._last >= WITHIN_SECONDS:
            self._say(f"epoch {now.epoch}/{now.epochs}  {moment_text(now)}")

    def epoch(self, row: Epoch, epochs: int) -> None:
        """The epoch's line."""
        if is_due(row, epochs, time.monotonic() - self._last):
            self._say(epoch_text(row, epochs))

    def note(self, text: str) -> None:
        """The text as a line."""
        self._say(text)

    def _say(self, text: str) -> None:
        self._last = time.monotonic()
        with suppress(OSError, ValueError):  # a closed stderr does not end a training run
            print(text, file=sys.stderr, flush=True)


def reporter(progress: bool | Callable[[Moment], object]) -> Reporter:
    """The reporter that an argument `progress` asks for."""
    if callable(progress):
        return Calls(progress)
    if not progress or sys.stderr is None:
        return Reporter()
    if not sys.stderr.isatty():
        return Lines()
    bar: Reporter = importlib.import_module("kedja.train.bar").Bar()
    return bar


def is_due(row: Epoch, epochs: int, since: float) -> bool:
    """Whether an epoch's line is written: always the last one's; of many, not all."""
    return epochs <= MANY_EPOCHS or row.number == epochs or since >= LINE_SECONDS


def epoch_text(row: Epoch, epochs: int) -> str:
    """An epoch in one line.

    >>> epoch_text(Epoch(2, 0.25, {"loss": 0.3, "accuracy": 0.975}, 1.5, 3000.0), 5)
    'epoch 2/5  loss 0.25  validation: loss 0.3, accuracy 97.5 %  1.5 s  3,000 steps/s'
    """
    parts = [f"epoch {row.number}/{epochs}", f"loss {row.train_loss:.4g}"]
    if row.validation:
        figures = (figure_text(name, value) for name, value in row.validation.items())
        parts.append(f"validation: {', '.join(figures)}")
    speed = f"{row.steps_per_second:,.0f} steps/s"
    return "  ".join([*parts, seconds_text(row.seconds), speed])


def seconds_text(seconds: float) -> str:
    """A time with three digits, or in whole seconds where it is long.

    >>> seconds_text(0.012345), seconds_text(12.345), seconds_text(1234.5)
    ('0.0123 s', '12.3 s', '1,234 s')
    """
    return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:,.0f} s"


def figure_text(name: str, value: float) -> str:
    """A figure of quality with its name: accuracies as percentages."""
    if name == "accuracy":
        return f"{name} {value * 100:.4g} %"
    return f"{name} {value:.4g}"


def moment_text(now: Moment) -> str:
    """Where a run stands within its epoch, in a few words."""
    if now.phase != "training":
        return now.phase
    where = f"step {now.step:,}/{now.steps:,}"
    if now.step == 0 and now.epoch == 1:
        return where  # there is no loss yet
    return f"{where}  loss {now.loss:.4g}  {now.steps_per_second:,.0f} steps/s"
