"""Training with kedja: `kj.fit`, and a compiled step called from Python.

Not here: the networks (`networks.py`), other kinds of cases. Next: `forward.py`.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar

import kedja as kj
from benchmarks.kedja_side.launches import OfKedja, launches
from benchmarks.kedja_side.networks import network
from benchmarks.side import Spec, Timed
from kedja import nn

LOSSES: Mapping[str, Callable[..., Any]] = {"cross_entropy": nn.cross_entropy, "mse": nn.mse_loss}
OPTIMIZERS: Mapping[str, Callable[..., Any]] = {"sgd": kj.optim.SGD, "adamw": kj.optim.AdamW}


class Train(OfKedja):
    """Both ways of training the case's network."""

    modes: tuple[str, ...] = ("step", "loop")
    starts_apart: ClassVar[bool] = True

    def __init__(self, spec: Spec) -> None:
        options = spec.options
        self.x, self.y = spec.arrays["x"], spec.arrays["y"]
        self.batch: int = options["batch"]
        self.precision = options["precision"]
        self.loss = LOSSES[options["loss"]]
        make = OPTIMIZERS[options["optimizer"]]
        self.optimizer = make(options["rate"], **options["optimizer_options"])
        self.spec = spec
        self.step = training_step(self.loss, self.optimizer)
        self.model: Any = None  # until the first step is taken from Python

    @cached_property
    def start(self) -> Any:
        """The model that every `fit` starts from."""
        return network(self.spec.options["network"], self.spec.arrays)

    def restart(self) -> None:
        """Back to the case's weights; steps give up the memory of the model that they are given."""
        self.model = network(self.spec.options["network"], self.spec.arrays)
        if self.precision is not None:
            self.model = kj.mixed_precision(self.model, self.precision)
        self.state = self.optimizer.init(self.model)

    def losses(self, mode: str, steps: int) -> list[float]:
        """See `Runner`."""
        if mode == "loop":
            gc.collect()
            history = self.trainer().fit(self.x, self.y, epochs=self.epochs(steps))
            return [float(each) for each in history.losses[:steps]]
        self.restart()
        return [self.one(number).item() for number in range(steps)]

    def first(self, mode: str) -> None:
        """See `Runner`; `fit` takes its one step on one batch."""
        if mode == "step":
            self.one(0).item()
        else:
            self.trainer().fit(self.x[: self.batch], self.y[: self.batch])

    def run(self, mode: str, steps: int) -> Timed:
        """See `Runner`."""
        if mode == "loop":
            return self.fit(steps)
        start = time.perf_counter()
        for number in range(steps):
            loss = self.one(number)
        loss.item()
        return Timed(time.perf_counter() - start, steps)

    # ------------------------------------------------------------------- step by step

    def one(self, number: int) -> kj.Tensor:
        """Step number `number`: its loss."""
        if self.model is None:
            self.restart()
        first = number * self.batch % len(self.x)
        x, y = self.x[first : first + self.batch], self.y[first : first + self.batch]
        self.model, self.state, loss = self.step(self.model, self.state, x, y)
        return loss  # type: ignore[no-any-return, unused-ignore]

    # ------------------------------------------------------------------------- in fit

    def trainer(self, **more: Any) -> kj.Trainer:
        """A trainer that takes the examples in their order, as the other side does."""
        return kj.Trainer(
            self.start,
            loss=self.loss,
            optimizer=self.optimizer,
            batch_size=self.batch,
            precision=self.precision,
            shuffle=False,
            progress=False,
            **more,
        )

    def epochs(self, steps: int) -> int:
        """The least number of epochs that have so many steps."""
        return -(-steps // (len(self.x) // self.batch))

    def fit(self, steps: int, **more: Any) -> Timed:
        """Whole epochs, after one that does not count: in it memory is touched for the first time.

        All that `fit` does between the end of that epoch and its own end counts. Nothing is left
        of the last trainer: a person who trains once never has two in memory.
        """
        gc.collect()
        trainer = self.trainer(**more)
        rows = trainer.fit(self.x, self.y, epochs=1 + self.epochs(steps)).epochs[1:]
        return Timed(sum(row.seconds for row in rows), len(rows) * len(self.x) // self.batch)

    def profile(self, steps: int) -> list[dict[str, Any]]:
        """Of `fit`, looked at after each epoch: its program goes when it ends."""
        found: list[dict[str, Any]] = []

        def look(epoch: Any, model: Any) -> None:
            found[:] = launches()

        with kj.scope(debug=1):
            self.fit(steps, callbacks=[look])
        return found


def training_step(loss: Callable[..., Any], optimizer: Any) -> Callable[..., Any]:
    """Loss, gradient and update, compiled; the old model and state give up their memory."""

    def step(model: Any, state: Any, x: Any, y: Any) -> Any:
        def objective(model: Any) -> Any:
            with nn.training() as layers:
                value = loss(model(x), y)
            return value, layers.updated(model)

        (value, model), grads = kj.value_and_grad(objective, has_aux=True)(model)
        model, state = optimizer.update(model, grads, state)
        return model, state, value

    compiled: Callable[..., Any] = kj.jit(step, donate=("model", "state"))
    return compiled
