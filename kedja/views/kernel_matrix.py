"""The matrix of a kernel as a picture: which examples are alike, class by class.

Not here: kernels (`kedja/estimators/kernels.py`). Next: `boundaries.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.ground.errors import ShapeError
from kedja.views import figures

Array = np.ndarray[Any, np.dtype[Any]]


def plot_kernel_matrix(matrix: Any, labels: Sequence[Any] | None = None, *, ax: Any = None) -> Any:
    """Draw K(xᵢ, xⱼ), (N, N), light where two examples are alike; the axes are given back.

    With `labels` (N,) the examples are sorted by class, and lines part the classes: a kernel that
    suits the task shows light squares along the diagonal. Raises ShapeError for a matrix that is
    not square, or labels of another number; MissingExtra without matplotlib.
    """
    values = np.asarray(matrix, np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        what = f"a kernel matrix of shape {list(values.shape)}"
        raise ShapeError(what, fix="give K of the examples with themselves: (N, N)")
    ax = figures.axes(ax)
    order, names, counts = _sorted(labels, len(values))
    picture = ax.imshow(values[np.ix_(order, order)], cmap="viridis", interpolation="nearest")
    ax.figure.colorbar(picture, ax=ax, label="K(xᵢ, xⱼ)")
    _mark(ax, names, counts)
    return ax


def _sorted(labels: Sequence[Any] | None, rows: int) -> tuple[Array, list[str], Array]:
    """The order of the examples by class, the classes, and how many examples each has."""
    if labels is None:
        return np.arange(rows), [], np.zeros(0, np.int64)
    given = np.asarray(labels)
    if given.shape != (rows,):
        what = f"labels of shape {list(given.shape)} for {rows} examples"
        raise ShapeError(what, fix="give one label for each example")
    names, counts = np.unique(given, return_counts=True)
    return np.argsort(given, kind="stable"), [str(name) for name in names.tolist()], counts


def _mark(ax: Any, names: list[str], counts: Array) -> None:
    """The classes along both axes, lines between them."""
    ends = np.cumsum(counts)
    for end in ends[:-1]:
        ax.axhline(end - 0.5, color="white", linewidth=0.8)
        ax.axvline(end - 0.5, color="white", linewidth=0.8)
    if names:
        middles = ends - counts / 2 - 0.5
        ax.set_xticks(middles, names)
        ax.set_yticks(middles, names)
    else:
        ax.set(xlabel="example j", ylabel="example i")
