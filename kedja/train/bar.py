"""The moving bar on a terminal, drawn by rich, which takes longer to load than many a first step.

Not here: what else a run may show (`progress.py`). Next: `run.py`.
"""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from kedja.train.history import Epoch
from kedja.train.progress import Moment, Reporter, epoch_text, is_due, moment_text


class Bar(Reporter):
    """A bar that moves within the epoch, above it a line for each epoch that is done."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
            expand=True,
        )
        self._task = self._bar.add_task("", total=None, epoch="1", text="")
        self._last = 0.0

    def begin(self, epochs: int) -> None:
        """Draw the bar."""
        self._bar.start()

    def moment(self, now: Moment) -> None:
        """Move the bar, which counts the steps of all epochs."""
        self._bar.update(
            self._task,
            completed=(now.epoch - 1) * now.steps + now.step,
            total=now.epochs * now.steps,
            epoch=f"{now.epoch}/{now.epochs}",
            text=moment_text(now),
        )

    def epoch(self, row: Epoch, epochs: int) -> None:
        """The epoch's line above the bar."""
        if is_due(row, epochs, time.monotonic() - self._last):
            self._last = time.monotonic()
            self.note(epoch_text(row, epochs))

    def note(self, text: str) -> None:
        """The text as a line above the bar."""
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away; the lines stay."""
        self._bar.stop()
