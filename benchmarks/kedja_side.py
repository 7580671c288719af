"""kedja's side of each case, through its public API as a user would write it.

Not here: the protocol (`side.py`). Next: `torch_side.py`, which is this file for PyTorch.
"""

from __future__ import annotations

import gc
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import kedja as kj
from benchmarks.cases import Array
from benchmarks.peak import Peak
from benchmarks.side import Runner, Spec, Timed, spread
from kedja.compiler.runtime import Program

LOSSES = {"cross_entropy": kj.nn.cross_entropy, "mse": kj.nn.mse_loss}
OPTIMIZERS = {"sgd": kj.optim.SGD, "adamw": kj.optim.AdamW}


def network(options: Mapping[str, Any], arrays: Mapping[str, Array]) -> Any:
    """The case's network with the case's weights."""
    model = kj.nn.mlp(options["sizes"], options["activation"], init="default")
    names = [name for name in arrays if name.startswith("model.")]
    return model.load_state_dict({name.removeprefix("model."): arrays[name] for name in names})


def launches() -> list[dict[str, Any]]:
    """What each launch of the programs that were profiled has cost, in seconds per step.

    The programs are looked for in memory: `fit` and `jit` keep theirs to themselves.
    """
    programs = [each for each in gc.get_objects() if isinstance(each, Program)]
    return [
        {
            "label": each.launch.label,
            "kernel": each.launch.symbol,
            "tasks": each.launch.tasks,
            "flops": each.launch.flops,
            "seconds": each.nanoseconds * 1e-9 / each.calls,
        }
        for program in programs
        for each in program.profile()
        if each.calls
    ]


class OfKedja(Runner):
    """What the sides of all kinds share."""

    version = kj.__version__

    def profile(self, steps: int) -> list[dict[str, Any]]:
        """See `Runner`."""
        with kj.scope(debug=1):
            self.run(self.modes[-1], steps)
        return launches()


class Train(OfKedja):
    """`kj.fit`, and a compiled step called from Python."""

    modes: ClassVar[tuple[str, ...]] = ("step", "loop")

    def __init__(self, spec: Spec) -> None:
        options = spec.options
        self.x, self.y = spec.arrays["x"], spec.arrays["y"]
        self.batch = options["batch"]
        self.loss = LOSSES[options["loss"]]
        self.optimizer: Any = OPTIMIZERS[options["optimizer"]](options["rate"])
        self.start = network(options, spec.arrays)
        self.step = training_step(self.loss, self.optimizer)
        self.restart()

    def restart(self) -> None:
        """Back to the case's weights."""
        self.model, self.state = self.start, self.optimizer.init(self.start)

    def trainer(self, model: Any, **more: Any) -> kj.Trainer:
        """A trainer that takes the examples in their order, as the other side does."""
        return kj.Trainer(
            model,
            loss=self.loss,
            optimizer=self.optimizer,
            batch_size=self.batch,
            shuffle=False,
            progress=False,
            **more,
        )

    def losses(self, mode: str, steps: int) -> list[float]:
        """See `Runner`."""
        if mode == "loop":
            history = self.trainer(self.start).fit(self.x, self.y, epochs=1)
            return [float(each) for each in history.losses[:steps]]
        self.restart()
        return [self.one(number).item() for number in range(steps)]

    def one(self, number: int) -> kj.Tensor:
        """Step number `number`: its loss."""
        first = number * self.batch % len(self.x)
        x, y = self.x[first : first + self.batch], self.y[first : first + self.batch]
        self.model, self.state, loss = self.step(self.model, self.state, x, y)
        return loss  # type: ignore[no-any-return]

    def run(self, mode: str, steps: int) -> Timed:
        """See `Runner`."""
        if mode == "loop":
            return self.fit(steps)
        start = time.perf_counter()
        for number in range(steps):
            self.one(number)
        return Timed(time.perf_counter() - start, steps)

    def fit(self, steps: int, **more: Any) -> Timed:
        """Whole epochs; all that `fit` does once it has compiled counts."""
        epochs = -(-steps * self.batch // len(self.x))
        history = self.trainer(self.start, **more).fit(self.x, self.y, epochs=epochs)
        return Timed(history.train_seconds, history.steps)

    def profile(self, steps: int) -> list[dict[str, Any]]:
        """Of `fit`, looked at after each epoch: its program goes when it ends."""
        found: list[dict[str, Any]] = []

        def look(epoch: Any, model: Any) -> None:
            found[:] = launches()

        with kj.scope(debug=1):
            self.fit(steps, callbacks=[look])
        return found


def training_step(loss: Callable[..., Any], optimizer: Any) -> Callable[..., Any]:
    """Loss, gradient and update, compiled."""

    def step(model: Any, state: Any, x: Any, y: Any) -> Any:
        value, grads = kj.value_and_grad(lambda model: loss(model(x), y))(model)
        model, state = optimizer.update(model, grads, state)
        return model, state, value

    compiled: Callable[..., Any] = kj.jit(step)
    return compiled


class Forward(OfKedja):
    """One example through a compiled network."""

    def __init__(self, spec: Spec) -> None:
        self.x = spec.arrays["x"]
        self.model = network(spec.options, spec.arrays)
        self.answer = kj.jit(lambda model, x: model(x))

    def losses(self, mode: str, steps: int) -> list[float]:
        """The first output of each example."""
        rows = range(steps)
        return [float(self.answer(self.model, self.x[i : i + 1]).numpy()[0, 0]) for i in rows]

    def run(self, mode: str, steps: int) -> Timed:
        """See `Runner`."""
        count = len(self.x)
        start = time.perf_counter()
        for number in range(steps):
            row = number % count
            self.answer(self.model, self.x[row : row + 1])
        return Timed(time.perf_counter() - start, steps)


class InLoop(OfKedja):
    """A kind whose loop is a `kj.Loop` and whose step is the same function under `jit`."""

    modes: ClassVar[tuple[str, ...]] = ("step", "loop")

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.step = kj.jit(self.advance)
        self.carry, self.fixed = self.begin()
        self._loop: kj.Loop | None = None

    @abstractmethod
    def begin(self) -> tuple[Any, Any]:
        """The carry's start, and what does not change."""

    @abstractmethod
    def advance(self, carry: Any, fixed: Any) -> Any:
        """One step."""

    def loop(self) -> kj.Loop:
        """The compiled loop, made when it is first needed."""
        if self._loop is None:
            self._loop = kj.Loop(self.advance, *self.begin())
        return self._loop

    def run(self, mode: str, steps: int) -> Timed:
        """See `Runner`."""
        carry, fixed, step = self.carry, self.fixed, self.step
        loop = self.loop() if mode == "loop" else None
        start = time.perf_counter()
        if loop is not None:
            loop.run(steps)
        else:
            for _ in range(steps):
                carry = step(carry, fixed)
        return Timed(time.perf_counter() - start, steps)

    def carries(self, mode: str, steps: int) -> list[Any]:
        """The carry after each of the first steps."""
        carry, fixed = self.begin()
        loop = kj.Loop(self.advance, carry, fixed)
        found = []
        for _ in range(steps):
            if mode == "loop":
                loop.run(1)
                carry = loop.carry
            else:
                carry = self.step(carry, fixed)
            found.append(carry)
        return found


class Descent(InLoop):
    """Two numbers and a rate; the carry is (a, b, the value before the step)."""

    def begin(self) -> tuple[Any, Any]:
        """See `InLoop`."""
        a, b = (kj.tensor(each) for each in self.spec.options["start"])
        return (a, b, kj.tensor(0.0)), ()

    def advance(self, carry: Any, fixed: Any) -> Any:
        """See `InLoop`."""
        rate = self.spec.options["rate"]
        a, b, _ = carry
        value, (da, db) = kj.value_and_grad(surface)((a, b))
        return a - rate * da, b - rate * db, value

    def losses(self, mode: str, steps: int) -> list[float]:
        """See `Runner`."""
        return [value.item() for _, _, value in self.carries(mode, steps)]


def surface(place: tuple[kj.Tensor, kj.Tensor]) -> kj.Tensor:
    """The function that is descended."""
    a, b = place
    return kj.sin(0.8 * a) * kj.sin(0.6 * b) * kj.exp(0.1 * a)


class Product(InLoop):
    """A product of two matrices; the carry is the result, computed anew in each step."""

    def begin(self) -> tuple[Any, Any]:
        """See `InLoop`."""
        a, b = (kj.tensor(self.spec.arrays[name]) for name in "ab")
        layout = self.spec.options["layout"]
        m = a.shape[1] if layout == "AtB" else a.shape[0]
        n = b.shape[0] if layout == "ABt" else b.shape[1]
        return kj.zeros((m, n)), (a, b)

    def advance(self, carry: Any, fixed: Any) -> Any:
        """See `InLoop`."""
        a, b = fixed
        layout = self.spec.options["layout"]
        a = kj.matrix_transpose(a) if layout == "AtB" else a
        b = kj.matrix_transpose(b) if layout == "ABt" else b
        return a @ b

    def losses(self, mode: str, steps: int) -> list[float]:
        """Numbers from all over the result."""
        return spread(self.carries(mode, 1)[0].numpy(), steps)


KINDS: dict[str, Callable[[Spec], Runner]] = {
    "train": Train,
    "forward": Forward,
    "descent": Descent,
    "product": Product,
    "peak": Peak,
}


def runner(spec: Spec) -> Runner:
    """The case made ready."""
    return KINDS[spec.kind](spec)
