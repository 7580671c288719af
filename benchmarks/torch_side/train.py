"""Training and answering with PyTorch, as its documentation writes it.

The examples are slices of one tensor, which cost PyTorch nothing; kedja's `fit` gathers its own.
Variant "fused" asks for the optimiser's fused update, "compile" for that and `torch.compile`.
Not here: the networks (`networks.py`). Next: `small.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.side import Runner, Spec, Timed
from benchmarks.torch_side.networks import network

OPTIMIZERS: Mapping[str, Callable[..., Any]] = {
    "sgd": torch.optim.SGD,
    "adamw": torch.optim.AdamW,
}
FUSED = ("fused", "compile")


class OfTorch(Runner):
    """A kind whose steps are counted from Python."""

    version = torch.__version__

    def one(self, number: int) -> Any:
        """Step number `number`."""

    def run(self, mode: str, steps: int) -> Timed:
        """See `Runner`."""
        start = time.perf_counter()
        for number in range(steps):
            self.one(number)
        return Timed(time.perf_counter() - start, steps)


def made(spec: Spec, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, compiled if the variant says so."""
    found: Callable[..., Any] = function
    if spec.variant == "compile":
        found = torch.compile(function)
    return found


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Of one answer for each example, or for each position of each example."""
    return functional.cross_entropy(logits.view(-1, logits.shape[-1]), y.view(-1))


LOSSES: Mapping[str, Callable[..., Any]] = {
    "cross_entropy": cross_entropy,
    "mse": functional.mse_loss,
}


class Train(OfTorch):
    """zero_grad, loss, backward, step."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.x, self.y = (torch.from_numpy(spec.arrays[name]) for name in "xy")
        self.batch, self.precision = spec.options["batch"], spec.options["precision"]
        self.loss = LOSSES[spec.options["loss"]]
        self.model = network(spec.options["network"], spec.arrays)
        self.start = {name: each.clone() for name, each in self.model.state_dict().items()}
        self.predict = made(spec, self.model)
        self.restart()

    def restart(self) -> None:
        """Back to the case's weights."""
        options = self.spec.options
        fused = {"fused": True} if self.spec.variant in FUSED else {}
        self.model.load_state_dict(self.start)
        make, more = OPTIMIZERS[options["optimizer"]], options["optimizer_options"]
        self.optimizer = make(self.model.parameters(), lr=options["rate"], **more, **fused)

    def autocast(self) -> AbstractContextManager[Any]:
        """bfloat16 products, where the case asks for them."""
        if self.precision is None:
            return nullcontext()
        found: AbstractContextManager[Any] = torch.autocast("cpu", getattr(torch, self.precision))
        return found

    def one(self, number: int) -> Any:
        """See `OfTorch`."""
        first = number * self.batch % len(self.x)
        x, y = self.x[first : first + self.batch], self.y[first : first + self.batch]
        self.optimizer.zero_grad()
        with self.autocast():
            loss = self.loss(self.predict(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def losses(self, mode: str, steps: int) -> list[float]:
        """See `Runner`."""
        self.restart()
        return [self.one(number).item() for number in range(steps)]


class Forward(OfTorch):
    """One example through a network in inference mode; of a sequence the last position's answer."""

    def __init__(self, spec: Spec) -> None:
        self.x = torch.from_numpy(spec.arrays["x"])
        self.predict = made(spec, network(spec.options["network"], spec.arrays).eval())

    def one(self, number: int) -> Any:
        """See `OfTorch`."""
        row = number % len(self.x)
        y = self.predict(self.x[row : row + 1])
        return y if y.ndim == 2 else y[:, -1]

    @torch.inference_mode()
    def losses(self, mode: str, steps: int) -> list[float]:
        """The first output of each example."""
        return [self.one(number)[0, 0].item() for number in range(steps)]

    @torch.inference_mode()
    def run(self, mode: str, steps: int) -> Timed:
        """See `Runner`."""
        return super().run(mode, steps)
