"""`Trainer` and `fit`: the training loop that people expect.

Not here: how it works inside (`run.py`, `stepper.py`). Next: `kedja/cli/train.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from kedja.ground.errors import UsageError
from kedja.ground.flags import scope
from kedja.train import checkpoint as checkpoints
from kedja.train.early_stopping import EarlyStopping
from kedja.train.evaluation import Evaluation, predict
from kedja.train.examples import Array, Examples, divide, examples
from kedja.train.history import History
from kedja.train.objective import float_dtype, loss_dtype
from kedja.train.progress import Moment, reporter
from kedja.train.run import Run
from kedja.train.settings import Settings

Validation = tuple[Any, Any] | Examples | float | None


class Trainer:
    """Trains a model; `fit` is the short way.

    Steps run inside `nn.training`, so that batch norm and dropout do as in training; validation,
    `evaluate` and `predict` are inference.

    - `loss` is a name (`cross_entropy`, `mse`, `binary_cross_entropy_with_logits` …) or a
      function `(prediction, target) → scalar`, the mean over the batch. Without targets it is
      `(model, x) → scalar`.
    - `optimizer` is one of `kj.optim`.
    - `metrics` are measured on the validation data: `accuracy`, `rmse`, `mae`, `r2`, or functions
      `(prediction, target) → scalar`, the mean over the batch.
    - `prepare` turns a raw batch into the network's input, inside the compiled step: pictures
      stay bytes in memory.
    - `seed` gives the order of the examples in each epoch, the validation's share, and the key of
      each step from which dropout draws. The same seed gives the same bits, with any number of
      threads, interrupted or not.
    - `checkpoint` is a folder. The checkpoint in it is replaced every `checkpoint_seconds`, at the
      end of epochs (at most once a second), on Ctrl-C and at the end.
    - `progress` shows the run on stderr, or is a function that is called with a `Moment` about
      ten times a second. What it raises ends the run, after a last checkpoint.
    - `threads` sets the flag of that name for this run.
    - `callbacks` are called with `(epoch, model)` after each epoch; True ends the run.
    - `schedule` takes the optimiser's rate through the run: `cosine`, `linear`, `one_cycle`,
      `step`, `constant`, or a function (rate, updates) → schedule; `warmup` is how many updates
      the rate rises linearly before. Schedules of your own go into the optimiser's `lr`.
    - `clip_norm` and `clip_value` bound the gradients; `accumulate` makes one update of so many
      batches; `ema` keeps a running average of the parameters, with which the run validates and
      which it gives.
    - `precision="bfloat16"` computes products in bfloat16; parameters stay as they are.

    `history` holds the last run, also after an error or Ctrl-C.
    """

    def __init__(
        self,
        model: Any,
        *,
        loss: str | Callable[..., Any],
        optimizer: Any,
        batch_size: int = 64,
        metrics: Sequence[str | Callable[..., Any]] = (),
        prepare: Callable[..., Any] | None = None,
        shuffle: bool = True,
        seed: int = 0,
        early_stopping: EarlyStopping | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_seconds: float = 10.0,
        progress: bool | Callable[[Moment], object] = True,
        threads: int | None = None,
        callbacks: Sequence[Callable[..., Any]] = (),
        schedule: str | Callable[[float, int], Any] | None = None,
        warmup: int = 0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        accumulate: int = 1,
        ema: float | None = None,
        precision: str | None = None,
    ) -> None:
        self.model = model
        self.history: History | None = None
        self._settings = Settings(
            loss,
            optimizer,
            batch_size,
            metrics,
            prepare,
            shuffle,
            seed,
            early_stopping,
            checkpoint,
            checkpoint_seconds,
            progress,
            threads,
            callbacks,
            schedule,
            warmup,
            clip_norm,
            clip_value,
            accumulate,
            ema,
            precision,
        )
        self._settings.measured  # noqa: B018  # an unknown metric is an error here, not later

    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        epochs: int = 1,
        validation: Validation = None,
        resume: bool = False,
    ) -> History:
        """Train on inputs x (N, …) and targets y (N, …) until `epochs` epochs are done.

        Floats are converted to the dtype of the model's parameters. x may be `Examples` of another
        kind (`windows.py`), with their targets. `validation` is a pair (x, y), such examples, or
        the fraction of the rows to hold out. The last batch of an epoch is
        smaller where the batch size does not divide N. With `resume`, the run goes on from its
        checkpoint and ends with the same bits as if it had never stopped; a larger `epochs`
        extends it.

        Raises ShapeError and DataError where data and model do not fit, CheckpointError where a
        checkpoint cannot be resumed, NonFiniteError where the loss becomes NaN or infinite,
        Interrupted on Ctrl-C.
        """
        if epochs < 1:
            raise UsageError(f"epochs is {epochs}", fix="give 1 or more")
        self._require_free(resume)
        given, held = self._data(x, y, validation)
        report = reporter(self._settings.progress)
        run = Run(self._settings, self.model, given, held, epochs, report)
        report.begin(epochs)
        try:
            with self._threads():
                run.start(resume)
                run.go()
        except KeyboardInterrupt:
            raise run.interrupted() from None
        finally:
            report.close()
            self.history = run.history()
            self.model = self.history.model
        return self.history

    def evaluate(self, x: Any, y: Any = None) -> dict[str, float]:
        """The loss and the metrics of the present model on a data set."""
        settings = self._settings
        given = examples(x, y, float_dtype(self.model), "test data")
        loss_dtype(settings.objective, self.model, given, 1)
        with self._threads():
            return Evaluation(settings.objective, settings.measured, self.model, given).run(
                self.model
            )

    def predict(self, x: Any) -> Array:
        """The present model's answers to raw inputs (N, …), after `prepare`."""
        given = examples(x, None, float_dtype(self.model), "inputs")
        settings = self._settings
        return predict(self.model, given.arrays["x"], settings.prepare, policy=settings.policy)

    def _data(self, x: Any, y: Any, validation: Validation) -> tuple[Examples, Examples | None]:
        dtype = float_dtype(self.model)
        whole = examples(x, y, dtype)
        if validation is None:
            return whole, None
        if isinstance(validation, tuple):
            if len(validation) != 2:
                what = f"validation data of {len(validation)} parts"
                raise UsageError(what, fix="give a pair (x, y), or the share to hold out")
            held_x, held_y = validation
            held = examples(held_x, held_y, dtype, "validation data")
            if held.kinds.keys() != whole.kinds.keys():
                raise UsageError("targets in only one of training and validation data")
            return whole, held
        if isinstance(validation, Examples):
            return whole, validation
        return divide(whole, validation, self._settings.seed)

    def _require_free(self, resume: bool) -> None:
        """A run does not overwrite another one's checkpoint."""
        folder = self._settings.checkpoint
        if folder is not None and not resume and checkpoints.exists(folder):
            raise UsageError(
                f"{folder} holds the checkpoint of another run",
                fix="resume=True goes on with it; to start anew, remove it or name another folder",
            )

    def _threads(self) -> AbstractContextManager[Any]:
        threads = self._settings.threads
        return nullcontext() if threads is None else scope(threads=threads)


def fit(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    loss: str | Callable[..., Any],
    optimizer: Any,
    epochs: int = 1,
    batch_size: int = 64,
    validation: Validation = None,
    resume: bool = False,
    **options: Any,
) -> History:
    """Train a model on inputs x (N, …) and targets y (N, …), minibatch by minibatch.

    `loss` is a name (`cross_entropy` for classes 0, 1, … (N,), `mse` for numbers (N, …), …) or a
    function (prediction, target) → scalar; `optimizer` one of `kj.optim`; `epochs` how often all
    rows are seen; `validation` a pair (x, y), or the share of the rows that is held out and
    measured after each epoch. The `options` are those of `Trainer`, such as metrics, checkpoint,
    schedule and seed.

    Returns the history, whose `model` is the trained model; the one that was given stays as it is.
    Raises what `Trainer.fit` raises: ShapeError and DataError where data and model do not fit,
    NonFiniteError where the loss becomes NaN.

    >>> import kedja as kj
    >>> x = [[0.0], [1.0], [2.0], [3.0]]
    >>> y = [[1.0], [3.0], [5.0], [7.0]]
    >>> history = kj.fit(
    ...     kj.nn.Linear(1, 1), x, y, loss="mse", optimizer=kj.optim.SGD(0.1), epochs=500,
    ...     batch_size=4, progress=False,
    ... )
    >>> [round(each.item(), 3) for each in (history.model.weight, history.model.bias)]
    [2.0, 1.0]
    """
    trainer = Trainer(model, loss=loss, optimizer=optimizer, batch_size=batch_size, **options)
    return trainer.fit(x, y, epochs=epochs, validation=validation, resume=resume)
