"""The path of a descent, drawn on the contour plot of its function. Needs matplotlib.

Not here: the descent (`descent.py`). Next: `descend.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kedja.cli.descent import Descent
from kedja.cli.expression import Expression
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import float64
from kedja.ground.errors import UsageError
from kedja.views import figures

POINTS = 240  # of the grid, along each axis
LEVELS = 24
MARGIN = 0.15  # of the path's extent, where there is no box
PATH, START, END = "#d1495b", "#f5f1e8", "#d1495b"
ON_TOP: dict[str, Any] = {"clip_on": False, "zorder": 5}  # also where the box ends


def draw(path: Path, expression: Expression, descent: Descent) -> None:
    """Write the plot; the file's ending says the format (png, svg, pdf).

    Raises MissingExtra without matplotlib, UsageError for other endings and for functions that
    do not have two variables, StorageError where the file cannot be written.
    """
    require(path, expression)
    figures.save(_figure(expression, descent), path)


def require(path: Path, expression: Expression) -> None:
    """Raise early what would make `draw` fail, before the descent has run."""
    if len(expression.names) != 2:
        count = len(expression.names)
        raise UsageError(f"--plot draws functions of two variables, not of {count}")
    figures.require(path)
    figures.figure()


def _figure(expression: Expression, descent: Descent) -> Any:
    figure = figures.figure(figsize=(7.2, 5.4))
    axes = figure.add_subplot()
    x, y = (_range(descent, place) for place in (0, 1))
    heights = _heights(expression, x, y)
    filled = axes.contourf(x, y, heights, levels=LEVELS, cmap="viridis", alpha=0.9)
    axes.contour(x, y, heights, levels=LEVELS, colors="white", linewidths=0.4, alpha=0.6)
    _draw_path(axes, descent)
    axes.set(xlabel=expression.names[0], ylabel=expression.names[1])
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    title = expression.text if len(expression.text) <= 70 else expression.text[:69] + "…"
    axes.set_title(title, fontsize=10, family="monospace", parse_math=False)
    figure.colorbar(filled, ax=axes, label="f")
    return figure


def _range(descent: Descent, place: int) -> np.ndarray:
    """The box along one axis; where it has no end, the path with a margin."""
    visited = descent.path[:, place]
    low, high = visited.min(), visited.max()
    margin = MARGIN * (high - low) or 1.0
    bounds = descent.box[place] if descent.box else (-np.inf, np.inf)
    ends = [
        bound if np.isfinite(bound) else other
        for bound, other in zip(bounds, (low - margin, high + margin), strict=True)
    ]
    if ends[0] == ends[1]:
        ends = [ends[0] - 0.5, ends[1] + 0.5]
    return np.linspace(ends[0], ends[1], POINTS)


def _heights(expression: Expression, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """f on the grid (rows y, columns x); what is not finite is left blank."""
    grid = np.meshgrid(x, y)
    values = dict(zip(expression.names, (Tensor(each, float64) for each in grid), strict=True))
    heights = np.broadcast_to(expression(**values).numpy(), grid[0].shape)
    return np.ma.masked_invalid(heights)


def _draw_path(axes: Any, descent: Descent) -> None:
    x, y = descent.path.T
    axes.plot(x, y, color=PATH, linewidth=1.6, marker="o", markersize=2.6, label="path")
    axes.plot(
        x[0],
        y[0],
        "o",
        color=START,
        markeredgecolor="#333333",
        markersize=8,
        **ON_TOP,
        label="start",
    )
    axes.plot(
        x[-1], y[-1], "*", color=END, markeredgecolor="white", markersize=15, **ON_TOP, label="end"
    )
    axes.legend(loc="best", framealpha=0.85, fontsize=9)
