"""What is minimised: the loss of a network's predictions, and the checks before the first step.

Not here: the loss functions (`kedja/nn`), the steps (`stepper.py`). Next: `stepper.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from kedja.front import tree
from kedja.front.jit import without_value
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import DType, is_float
from kedja.ground.errors import DtypeError, ShapeError, UsageError
from kedja.nn.precision import Policy
from kedja.train.examples import Batch, Examples

Function = Callable[..., Any]


class Objective(NamedTuple):
    """A loss and what comes before the network.

    `loss(prediction, target)`, or `loss(model, x)` where there are no targets, is the mean over
    the batch; further inputs are given to the latter by their names. `prepare` turns a raw batch
    into the network's input, inside the step. `policy` says in which dtype the network's products
    are computed.
    """

    loss: Function
    prepare: Function | None = None
    policy: Policy | None = None

    def predict(self, model: Any, x: Tensor) -> Tensor:
        """The network's answer to a raw batch."""
        if not callable(model):
            raise UsageError(
                f"the model ({type(model).__name__}) cannot be called",
                fix="give a module, or leave y out and a loss of (model, x)",
            )
        with self._scope():
            return as_tensor(model(self._prepared(x)))

    def of_batch(self, model: Any, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """The loss, a scalar, and the predictions that it is of (None without targets)."""
        if "y" not in batch:
            further = {name: each for name, each in batch.items() if name != "x"}
            with self._scope():
                return as_tensor(self.loss(model, self._prepared(batch["x"]), **further)), None
        prediction = self.predict(model, batch["x"])
        _require_rows(prediction, batch["x"].shape[0])
        prediction = aligned(prediction, batch["y"])
        return as_tensor(self.loss(prediction, batch["y"])), prediction

    def _scope(self) -> AbstractContextManager[None]:
        return nullcontext() if self.policy is None else self.policy.scope()

    def _prepared(self, x: Tensor) -> Tensor:
        return x if self.prepare is None else self.prepare(x)


def aligned(prediction: Tensor, target: Tensor) -> Tensor:
    """A prediction (N, 1) of numbers (N,) as (N,): subtracting them would make (N, N)."""
    if prediction.shape == (*target.shape, 1):
        return prediction.reshape(*target.shape)
    return prediction


def float_dtype(model: Any) -> DType:
    """The dtype of a network's parameters: that of its first float array.

    Raises UsageError where there is none: nothing could be trained.
    """
    for leaf in tree.leaves(model):
        dtype = as_tensor(leaf).dtype
        if is_float(dtype):
            return dtype
    raise UsageError(
        f"the model ({type(model).__name__}) has no parameters",
        fix="give a module with layers, or a tree of float arrays",
    )


def probes(given: Examples, batch: int) -> Batch:
    """A batch of the right shapes and dtypes, without values."""
    return {
        name: without_value(name, (batch, *kind.shape), kind.dtype)
        for name, kind in given.kinds.items()
    }


def loss_dtype(objective: Objective, model: Any, given: Examples, batch: int) -> DType:
    """The dtype of the loss, found without computing anything; errors name the layer.

    Raises ShapeError or DtypeError where data, network and loss do not fit together, DataError
    for labels that the network has no output for.
    """
    loss, prediction = objective.of_batch(model, probes(given, batch))
    y = given.kinds.get("y")
    if prediction is not None and y is not None and prediction.ndim == len(y.shape) + 2:
        given.require_labels(prediction.shape[-1])
    if loss.shape != ():
        raise ShapeError(
            f"the loss has shape {list(loss.shape)}", fix="return the mean over the batch"
        )
    if not is_float(loss.dtype):
        raise DtypeError(f"the loss has dtype {loss.dtype.name}", fix="return a float")
    return loss.dtype


def _require_rows(prediction: Tensor, batch: int) -> None:
    if prediction.shape[:1] != (batch,):
        raise ShapeError(
            f"{batch} examples in a batch, but a prediction of shape {list(prediction.shape)}",
            fix="the model keeps the first axis, one row for each example",
        )
