"""A function of two numbers as a map of its heights, with the path of a descent on it.

Not here: descent itself (`kedja/cli/descent.py`). Next: `boundaries.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kedja.front.batching import vmap
from kedja.front.jit import jit
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import float64
from kedja.ground.errors import DataError, ShapeError, UsageError
from kedja.views import figures

Array = np.ndarray[Any, np.dtype[Any]]
Range = tuple[float, float]
LEVELS = 24
PATH, START, END = "#d1495b", "#f5f1e8", "#d1495b"
ON_TOP: dict[str, Any] = {"clip_on": False, "zorder": 5}  # also where the box ends


def plot_surface(
    f: Callable[..., Any],
    box: Sequence[Range],
    *,
    path: Any = None,
    points: int = 60,
    ax: Any = None,
) -> Any:
    """Draw f(x, y), a scalar, over a box ((x from, x to), (y from, y to)); the axes are given back.

    `f` is handed two scalar tensors of float64, and is asked at `points` × `points` places, a row
    of them at once. `path` (N, 2) are the places that a descent went through, first to last. For
    the loss of a network, let x and y be steps along two directions of its weights (H. Li et al.:
    Visualizing the loss landscape of neural nets, 2018).

    Raises UsageError for an empty box, ShapeError where f is not a scalar or the path not (N, 2),
    DataError where f is finite nowhere; MissingExtra without matplotlib.

    >>> ax = plot_surface(lambda x, y: x**2 + 3 * y**2, ((-2, 2), (-1, 1)), path=[(2, 1), (0, 0)])
    >>> ax.get_xlim() == (-2, 2)
    True
    """
    x, y = (_places(each, points) for each in _two(box))
    visited = None if path is None else _path(path)
    heights = _heights(f, x, y)
    ax = figures.axes(ax)
    filled = ax.contourf(x, y, heights, levels=LEVELS, cmap="viridis", alpha=0.9)
    ax.contour(x, y, heights, levels=LEVELS, colors="white", linewidths=0.4, alpha=0.6)
    ax.figure.colorbar(filled, ax=ax, label="f")
    if visited is not None:
        _draw_path(ax, visited)
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    return ax


def _two(box: Sequence[Range]) -> Sequence[Range]:
    if len(box) != 2:
        what = f"a surface has two axes, the box {len(box)}"
        raise UsageError(what, fix="give ((x from, x to), (y from, y to))")
    return box


def _places(ends: Range, points: int) -> Array:
    low, high = ends
    if not (np.isfinite([low, high]).all() and low < high) or points < 2:
        what = f"{points} points from {low} to {high}"
        raise UsageError(what, fix="give two numbers, the smaller first, and 2 points or more")
    return np.linspace(low, high, points)


def _path(path: Any) -> Array:
    visited = np.asarray(path, np.float64)
    if visited.ndim != 2 or visited.shape[1] != 2 or not len(visited):
        raise ShapeError(f"a path of shape {list(visited.shape)}", fix="give places (N, 2)")
    return visited


def _heights(f: Callable[..., Any], x: Array, y: Array) -> Array:
    """f on the grid, (rows of y, columns of x); what is not finite is left blank."""
    row = jit(vmap(f, in_axes=(0, None)))
    across = Tensor(x, float64)
    found = [row(across, Tensor(each, float64)).numpy() for each in y]
    if found[0].shape != x.shape:
        shape = list(found[0].shape[1:])
        raise ShapeError(f"f gives {shape} numbers", fix="give back a scalar, such as a mean")
    heights: Array = np.ma.masked_invalid(np.asarray(found, np.float64))
    if np.ma.count(heights) == 0:
        raise DataError("f is finite nowhere in the box", fix="choose another box")
    return heights


def _draw_path(ax: Any, visited: Array) -> None:
    x, y = visited.T
    ax.plot(x, y, color=PATH, linewidth=1.6, marker="o", markersize=2.6, label="path")
    start = {"color": START, "markeredgecolor": "#333333", "markersize": 8}
    ax.plot(x[0], y[0], "o", **start, **ON_TOP, label="start")
    end = {"color": END, "markeredgecolor": "white", "markersize": 15}
    ax.plot(x[-1], y[-1], "*", **end, **ON_TOP, label="end")
    ax.legend(loc="best", framealpha=0.85, fontsize=9)
