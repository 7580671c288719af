"""Small problems that the tests of training share, and the tiers on which they run.

Not a test itself. Next: `test_train_stepper.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import kedja as kj
from kedja.train.progress import Moment


@pytest.fixture(params=["interpret", "compile"])
def tier(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a test on both tiers."""
    with kj.scope(tier=request.param):
        yield request.param


@pytest.fixture
def interpreted() -> Iterator[None]:
    """Run a test in the interpreter, where nothing has to be compiled."""
    with kj.scope(tier="interpret"):
        yield


def blobs(count: int = 45, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 4) around one centre for each class, and the classes (N,)."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, 4))
    y = np.arange(count) % classes
    x = centres[y] + 0.4 * rng.normal(size=(count, 4))
    return x.astype(np.float32), y


def plane(count: int = 50, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 3) and the numbers (N,) of a plane through them, with a little noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 3)).astype(np.float32)
    y = x @ np.array([1.0, -2.0, 0.5]) + 3 + 0.01 * rng.normal(size=count)
    return x, y.astype(np.float32)


def network(outputs: int = 3, inputs: int = 4, seed: int = 0) -> Any:
    """A small network, the same for the same seed."""
    return kj.nn.mlp([inputs, 5, outputs], "tanh", key=kj.random.key(seed))


def bits(history: Any) -> list[bytes]:
    """All that a run has produced, as bytes: the model's arrays and the losses."""
    leaves = [leaf.numpy() for leaf in kj.tree.leaves(history.model)]
    return [each.tobytes() for each in (*leaves, history.losses)]


class StopError(Exception):
    """What a progress function raises to end a run early."""


class StopAt:
    """A progress function that raises at the given call."""

    def __init__(self, call: int, error: BaseException | None = None) -> None:
        self.left = call
        self.error = error if error is not None else StopError()

    def __call__(self, now: Moment) -> None:
        """Count down."""
        self.left -= 1
        if self.left <= 0:
            raise self.error
