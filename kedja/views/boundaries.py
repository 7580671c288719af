"""Where classifiers of two numbers draw their borders, several of them side by side.

Not here: the classifiers (`kedja/estimators`), kernels' matrices (`kernel_matrix.py`).
Next: `figures.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kedja.ground.errors import ShapeError, UsageError
from kedja.views import figures

Array = np.ndarray[Any, np.dtype[Any]]
Predict = Callable[[Array], Any]

COLOURS = ("#4c72b0", "#dd8452", "#55a868", "#c44e52", "#8172b3", "#937860", "#da8bc3", "#8c8c8c")
AROUND = 0.15  # of the data's width is shown beyond it
GRID = 200


def plot_boundaries(
    predict: Predict, x: Any, labels: Sequence[Any], *, title: str = "", ax: Any = None
) -> Any:
    """Colour the plane by what a classifier says, with the examples as points; gives the axes.

    `predict` takes rows (N, 2) and gives a class for each, as estimators' `predict` does; x (N, 2),
    `labels` (N,). Raises ShapeError for rows that are not of two numbers, UsageError for more
    classes than there are colours, MissingExtra without matplotlib.
    """
    rows, given = np.asarray(x, np.float64), np.asarray(labels)
    if rows.ndim != 2 or rows.shape[1] != 2 or given.shape != rows.shape[:1]:
        what = f"rows of shape {list(rows.shape)}, labels of shape {list(given.shape)}"
        raise ShapeError(what, fix="give rows (N, 2) and a label for each")
    classes = np.unique(given)
    if len(classes) > len(COLOURS):
        raise UsageError(f"{len(classes)} classes", fix=f"at most {len(COLOURS)} can be drawn")
    ax = figures.axes(ax)
    across, up = _plane(rows)
    points = np.stack([each.ravel() for each in np.meshgrid(across, up)], axis=1)  # (G², 2)
    said = np.searchsorted(classes, np.asarray(predict(points))).reshape(GRID, GRID)
    colours = COLOURS[: len(classes)]
    levels = np.arange(len(classes) + 1) - 0.5
    ax.contourf(across, up, said, levels=levels, colors=colours, alpha=0.3)
    for colour, name in zip(colours, classes.tolist(), strict=True):
        mine = rows[given == name]
        ax.scatter(mine[:, 0], mine[:, 1], s=10, color=colour, label=str(name))
    ax.set(title=title, xlim=(across[0], across[-1]), ylim=(up[0], up[-1]))
    return ax


def _plane(rows: Array) -> tuple[Array, Array]:
    """The places at which the classifier is asked, along both axes."""
    low, high = rows.min(axis=0), rows.max(axis=0)
    wide = np.maximum(high - low, 1e-9) * AROUND
    first, last = low - wide, high + wide
    return np.linspace(first[0], last[0], GRID), np.linspace(first[1], last[1], GRID)


def compare_boundaries(classifiers: Mapping[str, Predict], x: Any, labels: Sequence[Any]) -> Any:
    """The boundaries of several classifiers on the same examples, one panel each: the figure.

    Each title has the share of the examples that the classifier names rightly.
    """
    figure = figures.figure(figsize=(4 * len(classifiers), 4))
    panels = figure.subplots(1, len(classifiers), squeeze=False)[0]
    for panel, (name, predict) in zip(panels, classifiers.items(), strict=True):
        right = float(np.mean(np.asarray(predict(np.asarray(x))) == np.asarray(labels)))
        plot_boundaries(predict, x, labels, title=f"{name}\n{right:.1%} right", ax=panel)
    return figure
