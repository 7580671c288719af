"""Gradient descent on an expression, held inside a box, with its path.

Each step is x <- clip(x - rate * df/dx, low, high), in float64. The steps run in `Loop`, a block
of them in one call; the block's part of the path is written into an array that the loop carries.
Not here: the command (`descend.py`) and the plot (`contour.py`). Next: `contour.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kedja.cli.expression import Expression
from kedja.front import functions
from kedja.front.arithmetic import where
from kedja.front.functions import arange, clip, stack
from kedja.front.loop import Loop
from kedja.front.tensor import Tensor
from kedja.front.transforms import value_and_grad
from kedja.ground.dtypes import float64, int64
from kedja.ground.errors import Interrupted, NonFiniteError

BLOCK = 256  # steps whose points are collected in one call

Box = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Descent:
    """The path (steps + 1, variables) with the value of f at each point, and the last gradient."""

    names: tuple[str, ...]
    path: np.ndarray
    values: np.ndarray
    gradient: np.ndarray
    box: Box | None
    compile_seconds: float

    @property
    def end(self) -> dict[str, float]:
        """The last point by name."""
        return dict(zip(self.names, self.path[-1].tolist(), strict=True))


def descend(
    expression: Expression,
    start: Mapping[str, float],
    rate: float,
    steps: int,
    box: Mapping[str, tuple[float, float]] | None = None,
) -> Descent:
    """Follow -rate * gradient for some steps.

    Raises NonFiniteError with the step and the point where f or its gradient stops being finite.
    """
    bounds = None if box is None else tuple(box[name] for name in expression.names)
    begin = np.array([start[name] for name in expression.names], np.float64)
    if bounds is not None:
        begin = np.clip(begin, *np.array(bounds, np.float64).T)
    first, gradient = _value_and_gradient(expression, begin)
    _require_finite(expression, 0, begin, first, gradient)
    loop = Loop(_step(expression, rate, bounds), _carry(begin, first))
    points, values = [begin[None]], [np.array([first])]
    for done in range(0, steps, BLOCK):
        count = min(BLOCK, steps - done)
        found = _advance(loop, count)
        points.append(found["path"][:count])
        values.append(found["values"][:count])
        _require_finite_block(expression, done, points[-1], values[-1])
    path, heights = np.concatenate(points), np.concatenate(values)
    _, gradient = _value_and_gradient(expression, path[-1])
    return Descent(expression.names, path, heights, gradient, bounds, loop.compile_seconds)


def _carry(begin: np.ndarray, first: float) -> dict[str, Any]:
    """The point, its place in the block, and the block's points and values."""
    return {
        "at": Tensor(np.int64(0), int64),
        "path": Tensor(np.zeros((BLOCK, begin.size)), float64),
        "values": Tensor(np.zeros(BLOCK), float64),
        "x": Tensor(begin, float64),
    }


def _step(expression: Expression, rate: float, box: Box | None) -> Any:
    def f(*xs: Tensor) -> Tensor:
        return expression(**dict(zip(expression.names, xs, strict=True)))

    places = tuple(range(len(expression.names)))

    def step(carry: dict[str, Tensor], fixed: None) -> dict[str, Tensor]:
        x = carry["x"]
        _, gradients = value_and_grad(f, places)(*(x[i] for i in places))
        moved = x - rate * stack([functions.reshape(g, ()) for g in gradients])
        if box is not None:
            low, high = (Tensor(np.array(each), float64) for each in zip(*box, strict=True))
            moved = clip(moved, low, high)
        here = arange(BLOCK) == carry["at"]
        return {
            "at": (carry["at"] + 1) % BLOCK,
            "path": where(here.reshape(BLOCK, 1), moved, carry["path"]),
            "values": where(here, f(*(moved[i] for i in places)), carry["values"]),
            "x": moved,
        }

    return step


def _advance(loop: Loop, count: int) -> dict[str, np.ndarray]:
    """One call of the loop, from the first place of a block."""
    ran = loop.run(count, cancellable=True)
    if ran.interrupt is not None:
        raise Interrupted("the descent") from ran.interrupt
    found = {name: each.numpy() for name, each in loop.carry.items()}
    loop.replace({**loop.carry, "at": Tensor(np.int64(0), int64)})
    return found


def _value_and_gradient(expression: Expression, point: np.ndarray) -> tuple[float, np.ndarray]:
    def f(*xs: Tensor) -> Tensor:
        return expression(**dict(zip(expression.names, xs, strict=True)))

    xs = [Tensor(np.float64(each), float64) for each in point]
    value, gradients = value_and_grad(f, tuple(range(len(xs))))(*xs)
    return value.item(), np.array([g.item() for g in gradients])


def _require_finite(
    expression: Expression, step: int, point: np.ndarray, value: float, gradient: np.ndarray
) -> None:
    if np.isfinite(value) and np.isfinite(gradient).all():
        return
    what = f"f is {value}" if not np.isfinite(value) else f"the gradient is {gradient.tolist()}"
    raise NonFiniteError(
        f"{what} {_where(expression, step, point)}",
        fix="another --start, or a --box that avoids it",
    )


def _require_finite_block(
    expression: Expression, done: int, path: np.ndarray, values: np.ndarray
) -> None:
    wrong = np.flatnonzero(~(np.isfinite(values) & np.isfinite(path).all(axis=1)))
    if wrong.size == 0:
        return
    first = int(wrong[0])
    raise NonFiniteError(
        f"f is {values[first]} {_where(expression, done + first + 1, path[first])}",
        fix="a smaller --rate, or a --box that keeps the path where f is finite",
    )


def _where(expression: Expression, step: int, point: np.ndarray) -> str:
    names = zip(expression.names, point.tolist(), strict=True)
    return f"after {step} steps, at {', '.join(f'{name}={each:.6g}' for name, each in names)}"
