"""A graph as nested lists that a reader folds and unfolds, in HTML without scripts.

Everything is there, however deep the picture above it goes; blocks that repeat stand there once.
Not here: the picture (`svg.py`). Next: `show.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from kedja.ir.frame import Frame
from kedja.ir.outline import DEEPEST, Line, outline
from kedja.ir.text import returned, words

MOST = 4000  # rows; a graph of more is opened less deep
STYLE = (
    "<style>.kj-fold{font:13px ui-monospace,Menlo,Consolas,monospace;white-space:pre}"
    ".kj-fold details,.kj-fold div{margin-left:1.2em}.kj-fold summary{cursor:pointer}"
    ".kj-fold i{color:#767570;font-style:normal}</style>"
)


def details(frame: Frame) -> str:
    """All rows of a graph, modules and graphs inside nodes closed until they are opened."""
    lines = _deepest(frame)
    rows = "".join(_row(line) for line in lines)
    return f'{STYLE}<div class="kj-fold">{rows}<div>{escape(returned(frame))}</div></div>'


def _deepest(frame: Frame) -> list[Line]:
    lines = outline(frame, DEEPEST)
    for depth in (3, 2, 1):
        if sum(line.count for line in lines) <= MOST:
            break
        lines = outline(frame, depth)
    return lines


def _row(line: Line) -> str:
    text = _text(line)
    if not line.inside:
        return f"<div>{text}</div>"
    return f"<details><summary>{text}</summary>{_rows(line.inside)}</details>"


def _rows(lines: Iterable[Line]) -> str:
    return "".join(map(_row, lines))


def _text(line: Line) -> str:
    row = words(line)
    beside = "  ".join(each for each in (row.kind, row.note) if each)
    return f"{escape(row.statement.removesuffix(':'))}  <i>{escape(beside)}</i>"
