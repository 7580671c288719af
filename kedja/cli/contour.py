"""The path of a descent, drawn on the contour plot of its function. Needs matplotlib.

Not here: the descent (`descent.py`), how a surface is drawn (`kedja/views/surfaces.py`).
Next: `descend.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kedja.cli.descent import Descent
from kedja.cli.expression import Expression
from kedja.ground.errors import UsageError
from kedja.views import figures
from kedja.views.surfaces import plot_surface

POINTS = 160  # of the grid, along each axis
MARGIN = 0.15  # of the path's extent, where there is no box


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
    first, second = expression.names

    def f(x: Any, y: Any) -> Any:
        return expression(**{first: x, second: y})

    box = [_range(descent, place) for place in (0, 1)]
    plot_surface(f, box, path=descent.path, points=POINTS, ax=axes)
    axes.set(xlabel=first, ylabel=second)
    title = expression.text if len(expression.text) <= 70 else expression.text[:69] + "…"
    axes.set_title(title, fontsize=10, family="monospace", parse_math=False)
    return figure


def _range(descent: Descent, place: int) -> tuple[float, float]:
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
    return ends[0], ends[1]
