"""Memory stays where it is: over ten thousand compilations, and a hundred thousand steps.

What a process holds at most is looked at after a first part, when caches and pools are warm, and
again at the end. Small ones of the same tests run with every commit.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import kedja as kj
from kedja import nn, optim

STATM = Path("/proc/self/statm")
PAGE = 4096
ALLOWED = 8e6  # bytes: allocators keep some of what they got back

pytestmark = pytest.mark.skipif(not STATM.exists(), reason="reads memory from /proc")


def resident() -> int:
    """The bytes of this process that are in memory."""
    gc.collect()
    return int(STATM.read_text().split()[1]) * PAGE


def growth(one: Callable[[int], object], first: int, count: int) -> int:
    """How much memory grows while `one` runs `count` times, after `first` times."""
    for number in range(first):
        one(number)
    before = resident()
    for number in range(first, first + count):
        one(number)
    return resident() - before


def compile_another(number: int) -> None:
    """A program that was never compiled before: product, gradient, reduction."""
    factor = 1.0 + number * 2.0**-20
    w = kj.ones((3, 4))

    @kj.jit
    def step(w: kj.Tensor, x: kj.Tensor) -> kj.Tensor:
        return w - kj.grad(lambda w: kj.mean(kj.tanh(x @ w * factor)))(w)

    step(w, kj.ones((2, 3)))


def test_compilations_leave_nothing():
    with kj.scope(use_cache=False):
        assert growth(compile_another, 50, 150) < ALLOWED


@pytest.mark.slow
def test_ten_thousand_compilations_leave_nothing():
    with kj.scope(use_cache=False):
        assert growth(compile_another, 500, 10_000) < ALLOWED


def training() -> Callable[[int], object]:
    """A compiled step, called as a user's loop calls it."""
    optimizer = optim.AdamW(1e-3)
    model = nn.mlp([8, 16, 3], "relu")
    state = optimizer.init(model)
    x, y = np.ones((5, 8), np.float32), np.zeros(5, np.int64)

    @kj.jit
    def step(model, state):
        value, grads = kj.value_and_grad(lambda m: nn.cross_entropy(m(kj.tensor(x)), y))(model)
        return *optimizer.update(model, grads, state), value

    def one(number: int) -> None:
        nonlocal model, state
        model, state, value = step(model, state)
        assert number % 1000 or np.isfinite(value.item())

    return one


def test_steps_leave_nothing():
    assert growth(training(), 500, 2_000) < ALLOWED


@pytest.mark.slow
def test_a_hundred_thousand_steps_leave_nothing():
    assert growth(training(), 1_000, 100_000) < ALLOWED


def test_a_native_loop_leaves_nothing():
    x = np.random.default_rng(0).random((64, 4), np.float32)
    loop = kj.Loop(lambda w, x: w - 0.1 * kj.grad(lambda w: kj.mean((x @ w) ** 2))(w),
                   kj.ones((4, 1)), x)  # fmt: skip
    assert growth(lambda _: loop.run(1_000), 2, 100) < ALLOWED


def fit_again(number: int) -> None:
    """A whole run of `fit`, with the same network: its program comes from the disk cache."""
    x, y = np.ones((32, 4), np.float32), np.ones((32, 1), np.float32)
    model = nn.Linear(4, 1)
    kj.fit(model, x, y, loss="mse", optimizer=optim.SGD(0.01), batch_size=5, progress=False)


def test_runs_of_fit_leave_nothing():
    assert growth(fit_again, 10, 60) < ALLOWED


@pytest.mark.slow
def test_many_runs_of_fit_leave_nothing():
    assert growth(fit_again, 50, 1_500) < ALLOWED


def test_modules_that_are_gone_leave_nothing():
    """Programs kept for the structure of a module do not keep the module."""
    f = kj.jit(lambda model, x: model(x))
    x = kj.ones((1, 256))

    def one(number: int) -> None:
        f(nn.Linear(256, 256), x)

    assert growth(one, 20, 200) < ALLOWED


def test_what_is_measured_can_grow():
    """The measure itself sees a leak."""
    kept: list[np.ndarray] = []
    assert growth(lambda _: kept.append(np.ones(1 << 20)), 1, 40) > ALLOWED
    assert sys.getrefcount(kept) > 0
