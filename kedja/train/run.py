"""One training run: epochs of steps, validation, checkpoints, and how it ends or is cut short.

Not here: the compiled steps (`stepper.py`), the checkpoint's file (`checkpoint.py`).
Next: `trainer.py`.

Where a run stands is read from the carry (`step`) and from the list of finished epochs; both are
whole at every moment at which Ctrl-C can arrive. An epoch whose steps are done but which is not
in the list still has its validation before it.
"""

from __future__ import annotations

import time
from functools import cached_property
from typing import Any

import numpy as np

from kedja.front import tree
from kedja.front.digest import digest
from kedja.front.tensor import as_tensor, from_value
from kedja.ground.errors import Interrupted, NonFiniteError, StorageError, UsageError
from kedja.train import checkpoint, nonfinite
from kedja.train.evaluation import Evaluation
from kedja.train.examples import Examples
from kedja.train.history import Epoch, History
from kedja.train.objective import loss_dtype
from kedja.train.progress import Moment, Reporter
from kedja.train.settings import Settings
from kedja.train.stepper import Stepper
from kedja.train.watch import watchers

# A native call is cut at least this often, so that little is replayed after a NaN.
CALL_SECONDS = 10.0
# Epochs may end many times a second; the checkpoint at their end is not written more often.
EPOCH_SAVE_SECONDS = 1.0


class _Cut(Exception):  # it is no error
    """Raised from `progress` to end a native call early; where that is changes no bit."""


class Run:
    """The state of one run of `fit`; used once."""

    def __init__(
        self,
        settings: Settings,
        model: Any,
        given: Examples,
        validation: Examples | None,
        epochs: int,
        report: Reporter,
    ) -> None:
        self.settings = settings
        self.epochs = epochs
        self.rows: list[Epoch] = []
        self.stopped = ""
        self.notes: list[str] = []
        self._model = model
        self._given = given
        self._validation = validation
        self._report = report
        self._best: Any = None
        self._seconds = dict.fromkeys(("train", "stepping", "epoch", "epoch_stepping"), 0.0)
        self._since = time.perf_counter()
        self._saved = time.monotonic()
        self._deadline = 0.0
        self._stepper: Stepper | None = None
        self._evaluation: Evaluation | None = None
        self._losses = np.zeros(0, np.float32)  # before there is a stepper
        self._require_monitor()

    def _require_monitor(self) -> None:
        """Early stopping must watch something that is measured."""
        early = self.settings.early_stopping
        if early is None:
            return
        names = ["loss", *(each.name for each in self.settings.measured)]
        measured = names if self._validation is not None else []
        early.best([Epoch(1, 0.0, dict.fromkeys(measured, 0.0), 0.0, 0.0)])

    # ------------------------------------------------------------------ start and end

    def start(self, resume: bool) -> None:
        """Compile the steps and go to where the checkpoint stands, or write the first one."""
        found = self._found() if resume else None
        if found is not None and self._is_finished(found[1]):
            self._take_finished(*found)
            return
        self._compile()
        self._since = time.perf_counter()  # compiling is not training
        if found is not None:
            self._take(*found)
        elif self.settings.checkpoint is not None:
            self.save()

    def _compile(self) -> None:
        settings, objective = self.settings, self.settings.objective
        batch = min(settings.batch_size, self._given.count)
        if batch < settings.batch_size:
            self.note(
                f"batch_size {settings.batch_size} is more than the {batch} examples: "
                f"every epoch is one step on all of them"
            )
        kind = loss_dtype(objective, self._model, self._given, batch)
        if self._validation is not None:
            loss_dtype(objective, self._model, self._validation, 1)
            self._evaluation = Evaluation(
                objective, settings.measured, self._model, self._validation
            )
        self._stepper = Stepper(
            objective,
            settings.stepped(self._steps(batch)),
            self._model,
            self._given,
            batch=batch,
            loss_dtype=kind,
            seed=settings.seed,
        )

    def _steps(self, batch: int) -> int:
        """How many steps the whole run has."""
        return self.epochs * -(-self._given.count // batch)

    @property
    def stepper(self) -> Stepper:
        """The compiled steps."""
        assert self._stepper is not None
        return self._stepper

    def go(self) -> None:
        """Train until the run ends.

        Raises Interrupted on Ctrl-C, NonFiniteError, or what `progress` or a callback raised;
        but for a loss that is not finite, a last checkpoint is written before.
        """
        if self.stopped:
            return
        self._since = time.perf_counter()
        try:
            while not self._is_over():
                self._one_epoch()
        except (NonFiniteError, StorageError):
            raise  # the checkpoint on the disk is the last good one
        except BaseException:
            self.save()
            raise
        self.save()

    def interrupted(self) -> Interrupted:
        """The error that tells where Ctrl-C stopped the run."""
        folder = self.settings.checkpoint
        saved = folder is not None and checkpoint.exists(folder)
        kept = f"the checkpoint is in {folder}" if saved else "nothing is saved"
        where = "before the first step"
        if self._stepper is not None:
            epoch, step = divmod(self.stepper.step, self.stepper.steps)
            where = f"in epoch {epoch + 1} of {self.epochs}, after {step} of its steps"
            if len(self.rows) < epoch:
                where = f"at the end of epoch {epoch} of {self.epochs}"
            elif epoch >= self.epochs:
                where = f"after the last of {self.epochs} epochs"
        error = Interrupted(f"{where}; {kept}", str(folder) if saved else None)
        error.history = self.history()
        return error

    def history(self) -> History:
        """What there is when the run is over: its model lies in the carry's own memory."""
        ready = self._stepper is not None
        stepping = self._seconds["stepping"]
        losses = self.stepper.losses if ready else self._losses
        return History(
            self._result(),
            losses,
            list(self.rows),
            self._compile_seconds(),
            self._seconds["train"],
            len(losses) / stepping if stepping else 0.0,
            self.stopped,
            tuple(self.notes),
        )

    def _compile_seconds(self) -> float:
        parts = (self._stepper, self._evaluation)
        return sum(each.compile_seconds for each in parts if each is not None)

    def _result(self) -> Any:
        """The model that the run gives: the best epoch's, where that is asked, else the last."""
        if self._restores and self._best is not None and self.stopped:
            return self._best
        if self._stepper is None:
            return self._model
        return self.stepper.averaged()

    @property
    def _restores(self) -> bool:
        early = self.settings.early_stopping
        return early is not None and early.restore_best

    def note(self, text: str) -> None:
        """Tell the user now, and keep it in the history."""
        self.notes.append(text)
        self._report.note(text)

    # ------------------------------------------------------------------ epochs

    def _is_over(self) -> bool:
        early = self.settings.early_stopping
        if not self.stopped and early is not None and early.is_over(self.rows):
            self.stopped = "early stopping"
        if not self.stopped and len(self.rows) >= self.epochs:
            self.stopped = "epochs"
        return bool(self.stopped)

    def _one_epoch(self) -> None:
        epoch = len(self.rows)
        self._set_order(epoch)
        while self.stepper.epochs <= epoch:
            self._one_call()
        self._end_epoch(epoch)

    def _set_order(self, epoch: int) -> None:
        settings = self.settings
        self.stepper.set_order(self._given.order(epoch, settings.seed, settings.shuffle))

    def _one_call(self) -> None:
        """One native call: to the epoch's end, unless something cuts it."""
        self._tick()
        before = self.stepper.step
        self._deadline = time.monotonic() + CALL_SECONDS
        if self.settings.checkpoint is not None:
            due = self._saved + self.settings.checkpoint_seconds
            self._deadline = min(self._deadline, due)
        ran = self.stepper.advance(lambda done: self._within(before, done))
        self._tick(stepping=True)
        if ran.status == "nonfinite":
            raise nonfinite.explain(self.stepper)
        if ran.interrupt is not None and not isinstance(ran.interrupt, _Cut):
            raise ran.interrupt
        self._show("training", self.stepper.step)
        if self._is_save_due(self.settings.checkpoint_seconds):
            self.save()

    def _within(self, before: int, done: int) -> None:
        """Called about ten times a second in the middle of native work."""
        self._show("training", before + done)
        if done and time.monotonic() >= self._deadline:
            raise _Cut

    def _show(self, phase: str, step: int) -> None:
        steps, epoch = self.stepper.steps, len(self.rows)
        done = step - epoch * steps
        stepping = self._seconds["epoch_stepping"]
        passed = time.perf_counter() - self._since if phase == "training" else 0.0
        speed = self._speed(done, stepping + passed)
        loss = float(self.stepper.carry["loss"].numpy())
        self._report.moment(Moment(phase, epoch + 1, self.epochs, done, steps, loss, speed))

    @staticmethod
    def _speed(steps: int, seconds: float) -> float:
        return steps / seconds if seconds > 0 else 0.0

    def _end_epoch(self, epoch: int) -> None:
        loss = self.stepper.epoch_loss(epoch)
        figures: dict[str, float] = {}
        model = self.stepper.averaged()
        if self._evaluation is not None:
            step = self.stepper.step
            self._show("validation", step)
            figures = self._evaluation.run(model, lambda done: self._show("validation", step))
        self._tick()
        speed = self._speed(self.stepper.steps, self._seconds["epoch_stepping"])
        row = Epoch(epoch + 1, loss, figures, self._seconds["epoch"], speed)
        early = self.settings.early_stopping
        if early is not None and self._restores and early.best([*self.rows, row]) == row.number:
            self._best = _copy(model)
        self._close(row, self.stepper.observed(figures.get("loss", loss)))
        self._seconds["epoch"] = self._seconds["epoch_stepping"] = 0.0
        self._report.epoch(row, self.epochs)
        self._call_back(row)
        if self._is_save_due(min(EPOCH_SAVE_SECONDS, self.settings.checkpoint_seconds)):
            self.save()

    def _close(self, row: Epoch, changes: dict[str, Any]) -> None:
        """Book an epoch and what the optimiser makes of it, both or neither."""
        try:
            self._book(row, changes)
        except KeyboardInterrupt:
            self._book(row, changes)
            raise

    def _book(self, row: Epoch, changes: dict[str, Any]) -> None:
        self.stepper.write_state(changes)
        if len(self.rows) < row.number:
            self.rows.append(row)

    def _call_back(self, row: Epoch) -> None:
        for each in (*self.settings.callbacks, *watchers()):
            if each(row, _copy(self.stepper.averaged())) is True:
                self.stopped = "callback"

    def _tick(self, stepping: bool = False) -> None:
        """Book the time since the last tick."""
        now = time.perf_counter()
        passed, self._since = now - self._since, now
        for name in ("train", "epoch"):
            self._seconds[name] += passed
        if stepping:
            for name in ("stepping", "epoch_stepping"):
                self._seconds[name] += passed

    # ------------------------------------------------------------------ checkpoints

    def _is_save_due(self, seconds: float) -> bool:
        wanted = self.settings.checkpoint is not None
        return wanted and time.monotonic() - self._saved >= seconds

    def save(self) -> None:
        """Write the checkpoint, if one is wanted."""
        folder = self.settings.checkpoint
        if folder is None:
            return
        self._tick()
        carry = self.stepper.carry
        arrays = {"losses": self.stepper.losses, **_without_ring(carry)}
        if self._best is not None:
            arrays["best"] = self._best
        if self.stopped and (self._best is not None or self.stepper.keeps_average):
            arrays["last"], arrays["model"] = arrays["model"], self._result()
            arrays.pop("best", None)
        checkpoint.save(folder, arrays, self._state())
        self._saved = time.monotonic()

    def _state(self) -> checkpoint.State:
        return checkpoint.State(
            self._options, self._program, list(self.rows), self.stopped, dict(self._seconds)
        )

    @property
    def _program(self) -> str:
        """What the steps compute, by which a changed program is noticed; empty before they are."""
        return "" if self._stepper is None else self._digest

    @cached_property
    def _digest(self) -> str:
        return digest(self.stepper.loops[0].traced.outputs)

    @cached_property
    def _options(self) -> dict[str, str]:
        """All that shapes the result, the data included."""
        options = self.settings.texts(self._model)
        batch = min(self.settings.batch_size, self._given.count)
        options |= self.settings.schedule_texts(self._steps(batch))
        for what, given in (("data", self._given), ("validation", self._validation)):
            for name, text in ({} if given is None else given.fingerprint()).items():
                options[f"{what} {name}"] = text
        return options

    def _found(self) -> tuple[dict[str, Any], checkpoint.State] | None:
        """The checkpoint to resume from, if there is one; it must be of this run."""
        folder = self.settings.checkpoint
        if folder is None:
            raise UsageError("resume without a checkpoint folder", fix="give checkpoint=folder")
        if not checkpoint.exists(folder):
            self.note(f"{folder} holds no checkpoint: training starts from the beginning")
            return None
        arrays, state = checkpoint.load(folder)
        mine = self._state()
        checkpoint.require_same(checkpoint.State(mine.options, state.program), state, self._where)
        return arrays, state

    @property
    def _where(self) -> str:
        assert self.settings.checkpoint is not None
        return str(checkpoint.path(self.settings.checkpoint))

    def _is_finished(self, state: checkpoint.State) -> bool:
        ended = state.stopped not in ("", "epochs")
        return ended or (state.stopped == "epochs" and len(state.epochs) >= self.epochs)

    def _take_finished(self, arrays: dict[str, Any], state: checkpoint.State) -> None:
        """A run that is over already: its model and its history, nothing to compile."""
        self._model = checkpoint.restored(self._model, arrays, "model", self._where)
        self.rows, self.stopped = state.epochs, state.stopped
        self._losses = arrays["losses"]
        self._seconds = {**self._seconds, **state.seconds}
        why = "all its epochs are done" if state.stopped == "epochs" else f"by {state.stopped}"
        self.note(f"this run is finished ({why}, {len(self.rows)} epochs): nothing to resume")

    def _take(self, arrays: dict[str, Any], state: checkpoint.State) -> None:
        """Go to where the checkpoint stands."""
        mine = self._state()
        if mine.version != state.version:
            self.note(
                f"the checkpoint was written by kedja {state.version}: from here on, bits may "
                f"differ from an uninterrupted run"
            )
        carry = self.stepper.carry
        found = {
            name: checkpoint.restored(part, arrays, name, self._where)
            for name, part in _without_ring(carry).items()
        }
        checkpoint.require_same(mine, state, self._where)
        self._best = self._best_of(arrays, carry["model"])
        if "best" not in _heads(arrays) and "last" in _heads(arrays):
            found["model"] = checkpoint.restored(carry["model"], arrays, "last", self._where)
        self.stepper.restore({**found, "losses": carry["losses"]}, arrays["losses"])
        self.rows = state.epochs
        self._seconds = {**self._seconds, **state.seconds}
        step = self.stepper.step - len(self.rows) * self.stepper.steps
        self.note(f"resumed in epoch {len(self.rows) + 1}, after {step} of its steps")

    def _best_of(self, arrays: dict[str, Any], model: Any) -> Any:
        heads = _heads(arrays)
        if "best" in heads:
            return checkpoint.restored(model, arrays, "best", self._where)
        if "last" in heads and self._restores:
            return checkpoint.restored(model, arrays, "model", self._where)
        return None


def _heads(arrays: dict[str, Any]) -> set[str]:
    return {name.split(".")[0] for name in arrays}


def _without_ring(carry: Any) -> dict[str, Any]:
    """The carry without the losses, which the stepper keeps elsewhere."""
    return {name: part for name, part in carry.items() if name != "losses"}


def _copy(model: Any) -> Any:
    return tree.map(lambda leaf: from_value(as_tensor(leaf).numpy().copy()), model)
