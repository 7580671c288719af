"""Training and answering with JAX: a jitted step, and an epoch of steps in one `lax.scan`.

Not here: the networks (`networks.py`). Next: `small.py`.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.jax_side.networks import network, split
from benchmarks.jax_side.optimizers import OPTIMIZERS
from benchmarks.side import Runner, Spec, Timed

wait_for: Callable[[Any], Any] = jax.block_until_ready


class OfJax(Runner):
    """What the sides of all kinds share; a sample ends when its last result is there."""

    version = jax.__version__

    @abstractmethod
    def one(self, number: int) -> Any:
        """Step number `number`."""

    def run(self, mode: str, steps: int) -> Timed:
        """See `Runner`."""
        start = time.perf_counter()
        for number in range(steps):
            found = self.one(number)
        wait_for(found)
        return Timed(time.perf_counter() - start, steps)


def cross_entropy(logits: Any, y: Any) -> Any:
    """The mean of −log softmax at the labels."""
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), y[..., None], axis=-1)
    return -jnp.mean(chosen)


def mse(prediction: Any, y: Any) -> Any:
    """The mean of the squared differences."""
    return jnp.mean((prediction - y) ** 2)


LOSSES: Mapping[str, Callable[[Any, Any], Any]] = {"cross_entropy": cross_entropy, "mse": mse}


class Train(OfJax):
    """The carry is (parameters, buffers, the optimiser's state)."""

    modes: tuple[str, ...] = ("step", "loop")

    def __init__(self, spec: Spec) -> None:
        options = spec.options
        self.arrays, self.batch = spec.arrays, options["batch"]
        self.x, self.y = spec.arrays["x"], spec.arrays["y"]
        self.network, self.loss = network(options["network"]), LOSSES[options["loss"]]
        make = OPTIMIZERS[options["optimizer"]]
        self.optimizer = make(options["rate"], **options["optimizer_options"])
        self.step = jax.jit(self.advance, donate_argnums=0)
        self.epoch = jax.jit(partial(lax.scan, self.advance), donate_argnums=0)
        batches = len(self.x) // self.batch
        self.batches = tuple(
            jnp.asarray(each.reshape(batches, self.batch, *each.shape[1:]))
            for each in (self.x, self.y)
        )
        self.restart()

    def restart(self) -> None:
        """Back to the case's weights."""
        p, buffers = split(self.arrays)
        self.carry = (p, buffers, self.optimizer.init(p))

    def advance(self, carry: Any, batch: Any) -> Any:
        """One step: the new carry and the loss."""
        p, buffers, state = carry

        def objective(p: Any) -> Any:
            prediction, after = self.network(p, buffers, batch[0], True)
            return self.loss(prediction, batch[1]), after

        (loss, buffers), grads = jax.value_and_grad(objective, has_aux=True)(p)
        p, state = self.optimizer.update(p, grads, state)
        return (p, buffers, state), loss

    def one(self, number: int) -> Any:
        """Step number `number`: its loss."""
        first = number * self.batch % len(self.x)
        rows = slice(first, first + self.batch)
        self.carry, loss = self.step(self.carry, (self.x[rows], self.y[rows]))
        return loss

    def all_batches(self) -> Any:
        """An epoch: the losses of its steps."""
        self.carry, losses = self.epoch(self.carry, self.batches)
        return losses

    def losses(self, mode: str, steps: int) -> list[float]:
        """See `Runner`."""
        self.restart()
        if mode == "step":
            return [self.one(number).item() for number in range(steps)]
        epochs = -(-steps // len(self.batches[0]))
        found = np.concatenate([self.all_batches() for _ in range(epochs)])
        return [float(each) for each in found[:steps]]

    def run(self, mode: str, steps: int) -> Timed:
        """See `Runner`."""
        if mode == "step":
            return super().run(mode, steps)
        batches = len(self.batches[0])
        epochs = -(-steps // batches)
        start = time.perf_counter()
        for _ in range(epochs):
            losses = self.all_batches()
        wait_for(losses)
        return Timed(time.perf_counter() - start, epochs * batches)


class Forward(OfJax):
    """One example through a network; of a sequence the last position's answer.

    In the mode "loop" all examples, one by one, in one `lax.map`.
    """

    modes: tuple[str, ...] = ("step", "loop")

    def __init__(self, spec: Spec) -> None:
        self.x = spec.arrays["x"]
        self.p, self.buffers = split(spec.arrays)
        run = network(spec.options["network"])

        def answer(p: Any, buffers: Any, x: Any) -> Any:
            y, _ = run(p, buffers, x, False)
            return y if y.ndim == 2 else y[:, -1]

        def answers(p: Any, buffers: Any, x: Any) -> Any:
            return lax.map(lambda row: answer(p, buffers, row[None]), x)

        self.answer, self.answers = jax.jit(answer), jax.jit(answers)

    def one(self, number: int) -> Any:
        """See `OfJax`; each answer is waited for, as a person would who asks one by one."""
        row = number % len(self.x)
        return self.answer(self.p, self.buffers, self.x[row : row + 1]).block_until_ready()

    def all_examples(self) -> Any:
        """Every example's answer: (examples, 1, outputs)."""
        return self.answers(self.p, self.buffers, self.x)

    def losses(self, mode: str, steps: int) -> list[float]:
        """The first output of each example."""
        if mode == "step":
            return [self.one(number)[0, 0].item() for number in range(steps)]
        return [float(each) for each in self.all_examples()[:steps, 0, 0]]

    def run(self, mode: str, steps: int) -> Timed:
        """See `Runner`."""
        if mode == "step":
            return super().run(mode, steps)
        calls = -(-steps // len(self.x))
        start = time.perf_counter()
        for _ in range(calls):
            found = self.all_examples()
        wait_for(found)
        return Timed(time.perf_counter() - start, calls * len(self.x))
