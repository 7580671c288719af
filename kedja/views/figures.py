"""Figures and axes of matplotlib, for views that draw. Not here: any view. Next: a view's file.

Figures are made without pyplot: nothing is shown, and no window or global state is touched. A
notebook shows them all the same, since they are pictures of themselves (`_repr_png_`).
"""

from __future__ import annotations

import io
import textwrap
from functools import cache
from pathlib import Path
from typing import Any

from kedja.ground.errors import MissingExtra, StorageError, UsageError
from kedja.views import lettering

SUFFIXES = (".png", ".svg", ".pdf")
SCREEN = 80  # dots an inch, in a notebook
LETTERS = 11.0  # of a title, an inch


def figure(**options: Any) -> Any:
    """A new figure; MissingExtra without matplotlib."""
    return _class()(layout="constrained", **options)


@cache
def _class() -> Any:
    """matplotlib's figure, as a picture in notebooks."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "plots", "drawing") from error

    class Drawn(Figure):  # type: ignore[misc, unused-ignore]
        """A figure that a notebook shows without pyplot."""

        def _repr_png_(self) -> bytes:
            file = io.BytesIO()
            with lettering.prepared(self):
                self.savefig(file, format="png", dpi=SCREEN)
            return file.getvalue()

    return Drawn


def title(drawn: Any, text: str) -> None:
    """Write a title above all panels, in as many lines as the figure's width asks for."""
    drawn.suptitle(textwrap.fill(text, max(20, int(LETTERS * drawn.get_figwidth()))))


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
        with lettering.prepared(drawn):
            drawn.savefig(path, dpi=dpi)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise StorageError(f"cannot write {path}: {reason}", fix="choose another file") from None
