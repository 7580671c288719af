"""Smaller cases: the same function under `kj.jit`, call by call, and as the step of a `kj.Loop`.

Not here: networks. Next: `benchmarks/limits/peak.py`.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import Any

import kedja as kj
from benchmarks.cases import Array
from benchmarks.kedja_side.launches import OfKedja
from benchmarks.side import Spec, Timed, spread


class InLoop(OfKedja):
    """A kind whose loop is a `kj.Loop` and whose step is the same function under `jit`."""

    modes: tuple[str, ...] = ("step", "loop")

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
            self._loop = kj.Loop(self.advance, self.carry, self.fixed)
        return self._loop

    def run(self, mode: str, steps: int) -> Timed:
        """See `Runner`."""
        fixed, step = self.fixed, self.step
        loop = self.loop() if mode == "loop" else None
        carry, self.carry = self.carry, None  # each result is freed when the next one is there
        start = time.perf_counter()
        if loop is not None:
            loop.run(steps)
        else:
            for _ in range(steps):
                carry = step(carry, fixed)
        seconds = time.perf_counter() - start
        self.carry = carry
        return Timed(seconds, steps)

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


class Anew(InLoop):
    """A kind whose carry is a result that each step computes anew from what does not change."""

    @abstractmethod
    def result(self, fixed: Any) -> kj.Tensor:
        """What is computed."""

    @abstractmethod
    def given(self) -> Any:
        """What it is computed from."""

    def begin(self) -> tuple[Any, Any]:
        """See `InLoop`."""
        fixed = self.given()
        like = self.result(fixed)  # nothing is computed: only its type is looked at
        return kj.zeros_like(like), fixed

    def advance(self, carry: Any, fixed: Any) -> Any:
        """See `InLoop`."""
        return self.result(fixed)

    def losses(self, mode: str, steps: int) -> list[float]:
        """Numbers from all over the result."""
        result = kj.astype(self.carries(mode, 1)[0], kj.float32)
        return spread(result.numpy(), steps)


def shared(array: Array) -> kj.Tensor:
    """An array as it stands in memory, as `torch.from_numpy` gives it to the other side."""
    return kj.asarray(array, copy=False)


class Product(Anew):
    """A product of two matrices."""

    def given(self) -> Any:
        """See `Anew`."""
        dtype = getattr(kj, self.spec.options["dtype"])
        return tuple(kj.astype(shared(self.spec.arrays[name]), dtype) for name in "ab")

    def result(self, fixed: Any) -> kj.Tensor:
        """See `Anew`."""
        a, b = fixed
        layout = self.spec.options["layout"]
        a = kj.matrix_transpose(a) if layout == "AtB" else a
        b = kj.matrix_transpose(b) if layout == "ABt" else b
        return a @ b


class Pass(Anew):
    """A pass over arrays."""

    def given(self) -> Any:
        """See `Anew`."""
        return {name: shared(array) for name, array in self.spec.arrays.items()}

    def result(self, fixed: Any) -> kj.Tensor:
        """See `Anew`."""
        x = fixed["x"]
        match self.spec.options["operation"]:
            case "chain":
                return kj.silu(x * fixed["w"] + 0.5) + x
            case "softmax":
                return kj.softmax(x, axis=-1)
            case "layer_norm":
                layer_norm = kj.nn.functional.layer_norm
                return layer_norm(x, x.shape[-1:], fixed["weight"], fixed["bias"])
        return kj.sum(x)
