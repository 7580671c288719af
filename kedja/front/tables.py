"""Rows of text as a table: with colours on a terminal, aligned columns elsewhere, or HTML.

Not here: what the rows say (`derivation.py`, `explanation.py`).
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Sequence
from html import escape

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

Rows = Sequence[Sequence[str]]

HTML_STYLE = (
    "<style>.kj-table{border-collapse:collapse;font-size:13px}"
    ".kj-table th,.kj-table td{text-align:left;padding:3px 12px 3px 0;vertical-align:top}"
    ".kj-table th{border-bottom:1px solid #8f8e89;font-weight:600}"
    ".kj-table td{font-family:ui-monospace,Menlo,Consolas,monospace}</style>"
)


def plain(header: Sequence[str], rows: Rows) -> str:
    """Columns two spaces apart; columns that are empty throughout are left out."""
    header, rows = _used(header, rows)
    lines = [header, *rows]
    widths = [max(map(_columns, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_line(line, widths) for line in lines)


def _used(header: Sequence[str], rows: Rows) -> tuple[Sequence[str], Rows]:
    places = [i for i in range(len(header)) if not rows or any(row[i] for row in rows)]
    return [header[i] for i in places], [[row[i] for i in places] for row in rows]


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell + " " * (width - _columns(cell)) for cell, width in zip(cells, widths, strict=True)
    )
    return "  ".join(padded).rstrip()


def rich_table(header: Sequence[str], rows: Rows, styles: Sequence[str] = ()) -> Table:
    """A table for rich's console; `styles` are those of the columns."""
    kept, rows = _used(header, rows)
    by_name = dict(zip(header, styles, strict=False))
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in kept:
        table.add_column(name, style=by_name.get(name, ""), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def rendered(header: Sequence[str], rows: Rows, styles: Sequence[str] = ()) -> str:
    """The table for standard output: rich's on a terminal without NO_COLOR, else plain columns."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return plain(header, rows)
    console = Console()
    with console.capture() as captured:
        console.print(rich_table(header, rows, styles))
    return captured.get().rstrip("\n")


def html(header: Sequence[str], rows: Rows) -> str:
    """The table as HTML that needs nothing else."""
    header, rows = _used(header, rows)
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f'{HTML_STYLE}<table class="kj-table"><tr>{head}</tr>{body}</table>'
