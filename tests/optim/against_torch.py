"""Steps of an optimiser, ours and PyTorch's, from the same start with the same gradients.

Not a test itself. Next: `test_optim_torch.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import kedja as kj

Arrays = dict[str, np.ndarray]


def start(seed: int = 0) -> Arrays:
    """A matrix, a vector, a number and a stack of matrices, in float64."""
    rng = np.random.default_rng(seed)
    shapes = {"w": (3, 4), "b": (4,), "s": (), "k": (2, 3, 2)}
    return {name: np.asarray(rng.standard_normal(shape)) for name, shape in shapes.items()}


def matrices(seed: int = 0) -> Arrays:
    """A wide, a tall and a square matrix."""
    rng = np.random.default_rng(seed)
    shapes = {"a": (3, 5), "b": (6, 2), "c": (3, 3)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def gradients(params: Arrays, steps: int, seed: int = 0) -> list[Arrays]:
    """Gradients of all sizes, some of them zero."""
    rng = np.random.default_rng([seed, 1])  # other numbers than the parameters'

    def one(shape: tuple[int, ...]) -> np.ndarray:
        sized = rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 3)
        return np.asarray(np.where(rng.random(shape) < 0.1, 0.0, sized))

    return [{name: one(each.shape) for name, each in params.items()} for _ in range(steps)]


def ours(opt: Any, params: Arrays, grads: list[Arrays], dtype: str = "float64") -> list[Arrays]:
    """The parameters after each step."""
    steps = []
    now = {name: kj.tensor(each, dtype) for name, each in params.items()}
    state = opt.init(now)
    for each in grads:
        now, state = opt.update(now, {k: kj.tensor(g, dtype) for k, g in each.items()}, state)
        steps.append({name: p.numpy() for name, p in now.items()})
    return steps


@contextmanager
def in_float64(torch: Any) -> Iterator[None]:
    """PyTorch keeps some scalars of its states in the default dtype."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def theirs(
    torch: Any,
    name: str,
    options: dict[str, Any],
    params: Arrays,
    grads: list[Arrays],
    dtype: str = "float64",
) -> list[Arrays]:
    """The same with PyTorch."""
    steps = []
    kind = getattr(torch, dtype)
    leaves = {k: torch.tensor(v, dtype=kind, requires_grad=True) for k, v in params.items()}
    with in_float64(torch):
        opt = getattr(torch.optim, name)(list(leaves.values()), **options)
        for each in grads:
            for k, leaf in leaves.items():
                leaf.grad = torch.tensor(each[k], dtype=kind)
            opt.step()
            steps.append({k: leaf.detach().numpy().copy() for k, leaf in leaves.items()})
    return steps


def assert_same_steps(mine: list[Arrays], expected: list[Arrays], rtol: float) -> None:
    """Every parameter after every step, relative to the largest of them."""
    for step, (one, other) in enumerate(zip(mine, expected, strict=True)):
        size = max(np.abs(each).max() for each in other.values())
        for name, each in one.items():
            np.testing.assert_allclose(
                each, other[name], rtol=rtol, atol=rtol * size, err_msg=f"{name} at step {step}"
            )
