"""Figures and axes of matplotlib, for views that draw. Not here: any view. Next: a view's file.

Figures are made without pyplot: nothing is shown, and no window or global state is touched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedja.ground.errors import MissingExtra, StorageError, UsageError

SUFFIXES = (".png", ".svg", ".pdf")


def figure(**options: Any) -> Any:
    """A new figure; MissingExtra without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "plots", "drawing") from error
    return Figure(layout="constrained", **options)


def axes(ax: Any = None) -> Any:
    """The given axes, or those of a figure of their own."""
    return figure().subplots() if ax is None else ax


def require(path: Path) -> None:
    """Raise early what `save` would raise after the work: UsageError for other endings."""
    if path.suffix.lower() not in SUFFIXES:
        *most, last = SUFFIXES
        fix = f"end it in {', '.join(most)} or {last}"
        raise UsageError(f"--plot: {path.name} is no picture", fix=fix)


def save(drawn: Any, path: Path, dpi: int = 150) -> None:
    """Write a figure; the file's ending says the format.

    Raises UsageError for other endings, StorageError where the file cannot be written.
    """
    require(path)
    try:
        drawn.savefig(path, dpi=dpi)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise StorageError(f"cannot write {path}: {reason}", fix="choose another file") from None
