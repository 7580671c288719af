"""One example after the other through a network. Not here: training. Next: `loops.py`."""

from __future__ import annotations

import time
from typing import Any

import kedja as kj
from benchmarks.kedja_side.launches import OfKedja
from benchmarks.kedja_side.networks import network
from benchmarks.side import Spec, Timed


def answer(model: Any, x: Any) -> Any:
    """What the network says; at the last place of a sequence only, to choose the next token."""
    y = model(x)
    return y if y.ndim == 2 else y[:, -1]


class Forward(OfKedja):
    """A compiled call for each example, and all examples in one compiled loop."""

    modes: tuple[str, ...] = ("step", "loop")

    def __init__(self, spec: Spec) -> None:
        self.x = spec.arrays["x"]
        self.model = network(spec.options["network"], spec.arrays)
        self.answer = kj.jit(answer)
        self._loop: kj.Loop | None = None

    def one(self, number: int) -> kj.Tensor:
        """The answer to example number `number`."""
        row = number % len(self.x)
        found: kj.Tensor = self.answer(self.model, self.x[row : row + 1])
        return found

    def loop(self) -> kj.Loop:
        """The loop over the examples: its carry is a counter and the last answer."""
        if self._loop is None:
            start = kj.zeros(self.one(0).shape)
            self._loop = kj.Loop(self.advance, (kj.tensor(0), start), (self.model, self.x))
        return self._loop

    def advance(self, carry: Any, fixed: Any) -> Any:
        """The next example's answer."""
        number, _ = carry
        model, x = fixed
        row = kj.take(x, kj.reshape(kj.remainder(number, len(self.x)), (1,)), axis=0)
        return number + 1, answer(model, row)

    def losses(self, mode: str, steps: int) -> list[float]:
        """The first output of each example."""
        if mode == "step":
            return [float(self.one(number).numpy()[0, 0]) for number in range(steps)]
        loop, found = self.loop(), []
        loop.write("0", 0)
        for _ in range(steps):
            loop.run(1)
            found.append(float(loop.carry[1].numpy()[0, 0]))
        return found

    def run(self, mode: str, steps: int) -> Timed:
        """See `Runner`."""
        loop = self.loop() if mode == "loop" else None
        start = time.perf_counter()
        if loop is not None:
            loop.run(steps)
        else:
            for number in range(steps):
                self.one(number).numpy()
        return Timed(time.perf_counter() - start, steps)
