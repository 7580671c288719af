"""Figures and axes of matplotlib, for views that draw. Not here: any view. Next: a view's file.

Figures are made without pyplot: nothing is shown, and no window or global state is touched.
"""

from __future__ import annotations

from typing import Any

from kedja.ground.errors import MissingExtra


def figure(**options: Any) -> Any:
    """A new figure; MissingExtra without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtra("matplotlib", "plots", "drawing") from error
    return Figure(layout="constrained", **options)


def axes(ax: Any = None) -> Any:
    """The given axes, or those of a figure of their own."""
    return figure().subplots() if ax is None else ax
