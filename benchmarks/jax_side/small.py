"""Smaller cases with JAX: products, passes, a descent. Next: `benchmarks/sklearn_side.py`."""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.jax_side.networks import layer_norm
from benchmarks.jax_side.train import OfJax, wait_for
from benchmarks.side import Spec, Timed, spread

DESCENT_STEPS = 10_000  # of the descent, in one scan


class Descent(OfJax):
    """Two numbers; the carry is (a, b), what is watched the value before the step."""

    modes: tuple[str, ...] = ("step", "loop")

    def __init__(self, spec: Spec) -> None:
        self.options = spec.options
        self.step = jax.jit(self.advance)
        self.many = jax.jit(lambda carry: lax.scan(self.advance, carry, length=DESCENT_STEPS))
        self.restart()

    def restart(self) -> None:
        """Back to the start."""
        self.carry: Any = tuple(jnp.float32(each) for each in self.options["start"])

    def advance(self, carry: Any, nothing: Any = None) -> Any:
        """One step."""
        value, (da, db) = jax.value_and_grad(surface)(carry)
        a, b = carry
        rate = self.options["rate"]
        return (a - rate * da, b - rate * db), value

    def one(self, number: int) -> Any:
        """See `OfJax`."""
        self.carry, value = self.step(self.carry)
        return value

    def losses(self, mode: str, steps: int) -> list[float]:
        """See `Runner`."""
        self.restart()
        if mode == "step":
            return [self.one(number).item() for number in range(steps)]
        _, values = self.many(self.carry)
        return [float(each) for each in values[:steps]]

    def run(self, mode: str, steps: int) -> Timed:
        """See `Runner`."""
        if mode == "step":
            return super().run(mode, steps)
        calls = -(-steps // DESCENT_STEPS)
        start = time.perf_counter()
        for _ in range(calls):
            self.carry, values = self.many(self.carry)
        wait_for(values)
        return Timed(time.perf_counter() - start, calls * DESCENT_STEPS)


def surface(place: tuple[Any, Any]) -> Any:
    """The function that is descended."""
    a, b = place
    return jnp.sin(0.8 * a) * jnp.sin(0.6 * b) * jnp.exp(0.1 * a)


class Product(OfJax):
    """`jnp.matmul`; the transpose is part of the compiled function."""

    def __init__(self, spec: Spec) -> None:
        dtype, layout = spec.options["dtype"], spec.options["layout"]
        self.a, self.b = (jnp.asarray(spec.arrays[name]).astype(dtype) for name in "ab")

        def product(a: Any, b: Any) -> Any:
            return (a.T if layout == "AtB" else a) @ (b.T if layout == "ABt" else b)

        self.product = jax.jit(product)

    def one(self, number: int) -> Any:
        """See `OfJax`."""
        return self.product(self.a, self.b)

    def losses(self, mode: str, steps: int) -> list[float]:
        """Numbers from all over the result."""
        return spread(np.asarray(self.one(0).astype(jnp.float32)), steps)


class Pass(OfJax):
    """A pass over arrays."""

    def __init__(self, spec: Spec) -> None:
        self.arrays = {name: jnp.asarray(array) for name, array in spec.arrays.items()}
        operation = spec.options["operation"]

        def compute(x: Any, w: Any = None, weight: Any = None, bias: Any = None) -> Any:
            match operation:
                case "chain":
                    return jax.nn.silu(x * w + 0.5) + x
                case "softmax":
                    return jax.nn.softmax(x, axis=-1)
                case "layer_norm":
                    return layer_norm({"n.weight": weight, "n.bias": bias}, "n", x)
            return jnp.sum(x)

        self.compute = jax.jit(compute)

    def one(self, number: int) -> Any:
        """See `OfJax`."""
        return self.compute(**self.arrays)

    def losses(self, mode: str, steps: int) -> list[float]:
        """Numbers from all over the result."""
        return spread(self.one(0), steps)
