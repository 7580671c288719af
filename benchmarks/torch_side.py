"""PyTorch's side of each case: eager, as its documentation writes a training loop.

`variant` "fused" asks for the optimiser's fused update. The examples are slices of one tensor,
which cost PyTorch nothing; kedja's `fit` gathers its own. Not here: the protocol (`side.py`).
Next: `sklearn_side.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, ClassVar

import torch

from benchmarks.cases import Array
from benchmarks.side import Runner, Spec, Timed, spread

ACTIVATIONS = {"relu": torch.nn.ReLU, "sigmoid": torch.nn.Sigmoid}
LOSSES: dict[str, Callable[..., Any]] = {
    "cross_entropy": torch.nn.functional.cross_entropy,
    "mse": torch.nn.functional.mse_loss,
}
OPTIMIZERS: dict[str, Callable[..., Any]] = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}


def network(options: Mapping[str, Any], arrays: Mapping[str, Array]) -> torch.nn.Sequential:
    """The case's network with the case's weights."""
    layers: list[torch.nn.Module] = []
    for inputs, outputs in pairwise(options["sizes"]):
        layers += [torch.nn.Linear(inputs, outputs), ACTIVATIONS[options["activation"]]()]
    model = torch.nn.Sequential(*layers[:-1])
    names = [name for name in arrays if name.startswith("model.")]
    state = {name.removeprefix("model."): torch.from_numpy(arrays[name].copy()) for name in names}
    model.load_state_dict(state)
    return model


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


class Train(OfTorch):
    """zero_grad, loss, backward, step."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.x, self.y = (torch.from_numpy(spec.arrays[name]) for name in "xy")
        self.batch = spec.options["batch"]
        self.loss = LOSSES[spec.options["loss"]]
        self.restart()

    def restart(self) -> None:
        """Back to the case's weights."""
        options = self.spec.options
        fused = {"fused": True} if self.spec.variant == "fused" else {}
        self.model = network(options, self.spec.arrays)
        make = OPTIMIZERS[options["optimizer"]]
        self.optimizer = make(self.model.parameters(), lr=options["rate"], **fused)

    def one(self, number: int) -> Any:
        """See `OfTorch`."""
        first = number * self.batch % len(self.x)
        x, y = self.x[first : first + self.batch], self.y[first : first + self.batch]
        self.optimizer.zero_grad()
        loss = self.loss(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def losses(self, mode: str, steps: int) -> list[float]:
        """See `Runner`."""
        self.restart()
        return [self.one(number).item() for number in range(steps)]


class Forward(OfTorch):
    """One example through a network in inference mode."""

    def __init__(self, spec: Spec) -> None:
        self.x = torch.from_numpy(spec.arrays["x"])
        self.model = network(spec.options, spec.arrays).eval()

    def one(self, number: int) -> Any:
        """See `OfTorch`."""
        row = number % len(self.x)
        return self.model(self.x[row : row + 1])

    @torch.inference_mode()
    def losses(self, mode: str, steps: int) -> list[float]:
        """The first output of each example."""
        return [self.one(number)[0, 0].item() for number in range(steps)]

    @torch.inference_mode()
    def run(self, mode: str, steps: int) -> Timed:
        """See `Runner`."""
        return super().run(mode, steps)


class Descent(OfTorch):
    """Two scalars with gradients."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.restart()

    def restart(self) -> None:
        """Back to the start."""
        start = self.spec.options["start"]
        self.a, self.b = (torch.tensor(each, requires_grad=True) for each in start)

    def one(self, number: int) -> Any:
        """See `OfTorch`."""
        a, b, rate = self.a, self.b, self.spec.options["rate"]
        value = torch.sin(0.8 * a) * torch.sin(0.6 * b) * torch.exp(0.1 * a)
        da, db = torch.autograd.grad(value, (a, b))
        with torch.no_grad():
            a -= rate * da
            b -= rate * db
        return value

    def losses(self, mode: str, steps: int) -> list[float]:
        """See `Runner`."""
        self.restart()
        return [self.one(number).item() for number in range(steps)]


class Product(OfTorch):
    """`torch.mm`; in the mode "loop" into memory that is there already, which is faster."""

    modes: ClassVar[tuple[str, ...]] = ("step", "loop")

    def __init__(self, spec: Spec) -> None:
        a, b = (torch.from_numpy(spec.arrays[name]) for name in "ab")
        self.a = a.T if spec.options["layout"] == "AtB" else a
        self.b = b.T if spec.options["layout"] == "ABt" else b
        self.c = torch.empty(self.a.shape[0], self.b.shape[1])

    def one(self, number: int) -> Any:
        """See `OfTorch`."""
        return torch.mm(self.a, self.b)

    def run(self, mode: str, steps: int) -> Timed:
        """See `Runner`."""
        if mode == "step":
            return super().run(mode, steps)
        start = time.perf_counter()
        for _ in range(steps):
            torch.mm(self.a, self.b, out=self.c)
        return Timed(time.perf_counter() - start, steps)

    def losses(self, mode: str, steps: int) -> list[float]:
        """Numbers from all over the result."""
        return spread(self.one(0).numpy(), steps)


KINDS: dict[str, Callable[[Spec], Runner]] = {
    "train": Train,
    "forward": Forward,
    "descent": Descent,
    "product": Product,
}


def runner(spec: Spec) -> Runner:
    """The case made ready."""
    torch.set_num_threads(spec.threads)
    return KINDS[spec.kind](spec)
