"""Sample inputs from which the tests of an op's record are built. Next: `elementwise.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kedja.ir.op import Case

Sampler = Callable[[np.random.Generator], Sequence[Case]]


def uniform(low: float, high: float, arity: int = 1, shape: tuple[int, ...] = (3, 5)) -> Sampler:
    """`arity` float64 inputs of one shape, uniform between two bounds."""

    def sample(rng: np.random.Generator) -> Sequence[Case]:
        return [Case(tuple(rng.uniform(low, high, shape) for _ in range(arity)))]

    return sample


def integers(low: int, high: int, arity: int = 1, shape: tuple[int, ...] = (3, 5)) -> Sampler:
    """`arity` int64 inputs of one shape, uniform in low … high − 1."""

    def sample(rng: np.random.Generator) -> Sequence[Case]:
        return [Case(tuple(rng.integers(low, high, shape) for _ in range(arity)))]

    return sample


def booleans(arity: int = 1, shape: tuple[int, ...] = (3, 5)) -> Sampler:
    """`arity` bool inputs of one shape."""

    def sample(rng: np.random.Generator) -> Sequence[Case]:
        return [Case(tuple(rng.integers(0, 2, shape).astype(bool) for _ in range(arity)))]

    return sample


def each(shapes: Sequence[tuple[int, ...]], attrs: Sequence[dict[str, Any]]) -> Sampler:
    """One float64 input of each shape with the attributes beside it."""

    def sample(rng: np.random.Generator) -> Sequence[Case]:
        pairs = zip(shapes, attrs, strict=True)
        return [Case((rng.uniform(-2, 2, shape),), each_attrs) for shape, each_attrs in pairs]

    return sample


def nothing(attrs: dict[str, Any]) -> Sampler:
    """No inputs, the given attributes."""
    return lambda rng: [Case((), attrs)]
