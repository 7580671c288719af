"""Loss and metrics over a whole data set, compiled, in batches; and predictions.

Not here: what is trained (`stepper.py`), the metrics themselves (`metrics.py`).
Next: `nonfinite.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import kedja.front.functions as kj
from kedja.front.loop import Loop, Progress
from kedja.front.tensor import Tensor, from_value
from kedja.ground.dtypes import float64, int64, uint32
from kedja.ground.errors import UsageError
from kedja.nn.precision import Policy
from kedja.train.examples import Array, Examples
from kedja.train.metrics import Metric
from kedja.train.objective import Objective, probes

# A batch of about this size keeps what the network computes in the processor's caches. A batch of
# texts has about so many places together.
SMALLEST, LARGEST = 64, 512
PLACES = 2048


class Evaluation:
    """The loss and the metrics of a network on one set of examples, ready to be measured often."""

    def __init__(
        self, objective: Objective, metrics: Sequence[Metric], model: Any, given: Examples
    ) -> None:
        if metrics and given.targets is None:
            raise UsageError(f"the metric {metrics[0].name!r} needs targets", fix="give y")
        self._objective = objective
        self._metrics = metrics
        self._given = given
        self._batch = batch_size(given.count, given.positions)
        whole, rest = divmod(given.count, self._batch)
        carry = self._start(model)
        sizes = [(self._batch, whole)] + ([(rest, 1)] if rest else [])
        self._loops = [(self._loop(size, carry, model), count) for size, count in sizes]
        for loop, _ in self._loops[1:]:
            loop.share(self._loops[0][0])
        self._first = self._loops[0][0].carry
        self._model = model

    @property
    def compile_seconds(self) -> float:
        """What tracing and compiling cost."""
        return sum(loop.compile_seconds for loop, _ in self._loops)

    def run(self, model: Any, progress: Progress | None = None) -> dict[str, float]:
        """The loss (the mean over all examples) and each metric, of a model's present weights.

        Ctrl-C, and whatever `progress` raises, end it.
        """
        self._loops[0][0].replace(self._first)
        if model is not self._model:
            self._model = model
            for loop, _ in self._loops:
                loop.set_fixed(self._fixed(model))
        for loop, count in self._loops:
            ran = loop.run(count, progress=progress, cancellable=True)
            if ran.interrupt is not None:
                raise ran.interrupt
        found = self._loops[0][0].live
        loss = float(found["loss"].numpy()) / float(found["weight"].numpy())
        figures = {"loss": loss, **self._given.figures(loss)}
        targets = self._given.targets
        for each in self._metrics:
            assert targets is not None
            figures[each.name] = each.finish(found["totals"][each.name].numpy(), targets)
        return figures

    def _fixed(self, model: Any) -> dict[str, Any]:
        return {"data": self._given.tensors, "model": model}

    def _start(self, model: Any) -> dict[str, Any]:
        """The carry before the first batch: zeros of the totals' shapes."""
        _, totals = self._measured(model, probes(self._given, 1))
        zeros = {name: np.zeros(each.shape, np.float64) for name, each in totals.items()}
        none = {name: np.zeros(()) for name in ("loss", "weight")}
        return {**none, "step": np.zeros((), np.int64), "totals": zeros}

    def _measured(self, model: Any, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean loss of one batch, and its metrics as sums over its examples."""
        loss, prediction = self._objective.of_batch(model, batch)
        if prediction is None:
            return loss, {}
        return loss, {each.name: each.total(prediction, batch["y"]) for each in self._metrics}

    def _loop(self, size: int, carry: Any, model: Any) -> Loop:
        def step(carry: Any, fixed: Any) -> Any:
            rows = (carry["step"] * self._batch + kj.arange(size)).astype(uint32)
            batch = self._given.batch(fixed["data"], rows)
            loss, totals = self._measured(fixed["model"], batch)
            weight = self._given.weight(batch)
            return {
                "loss": carry["loss"] + loss.astype(float64) * weight,
                "step": carry["step"] + kj.full((), 1, int64),
                "totals": {name: carry["totals"][name] + each for name, each in totals.items()},
                "weight": carry["weight"] + weight,
            }

        return Loop(step, carry, self._fixed(model))


def batch_size(count: int, positions: int = 1) -> int:
    """The largest divisor of `count` in a good range; where there is none, a good size.

    With a divisor no odd batch is left, for which another program would be compiled. `positions` is
    how long an example is.

    >>> batch_size(360), batch_size(10_000), batch_size(20), batch_size(1009)
    (360, 500, 20, 512)
    >>> batch_size(1000, positions=64), batch_size(1000, positions=1024)
    (25, 2)
    """
    largest = LARGEST if positions == 1 else max(1, min(LARGEST, PLACES // positions))
    if count <= largest:
        return count
    sizes = range(largest, largest * SMALLEST // LARGEST, -1)
    return next((size for size in sizes if count % size == 0), largest)


def predict(
    model: Any, x: Array, prepare: Any = None, batch: int = 1024, policy: Policy | None = None
) -> Array:
    """The network's answers to raw inputs (N, …), computed at once, in batches, uncompiled."""
    objective = Objective(lambda p, t: p, prepare, policy)
    parts = [
        objective.predict(model, from_value(x[start : start + batch])).numpy()
        for start in range(0, len(x), batch)
    ]
    return np.concatenate(parts)
