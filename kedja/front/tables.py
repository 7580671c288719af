"""Rows of text as a table: with colours on a terminal, aligned columns elsewhere, or HTML.

Not here: what the rows say (`derivation.py`, `explanation.py`). Next: `kedja/cli/output.py`.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Collection, Sequence
from html import escape
from typing import Literal

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


def plain(header: Sequence[str], rows: Rows, numbers: Collection[str] = ()) -> str:
    """Columns two spaces apart; columns that are empty throughout are left out.

    The columns whose names are in `numbers` are flush right.
    """
    header, rows = _used(header, rows)
    return aligned([header, *rows], [name in numbers for name in header])


def aligned(rows: Rows, right: Sequence[bool] = ()) -> str:
    """Columns two spaces apart, those that are `right` flush right; signs of two columns count so.

    >>> print(aligned([["猫", "cat"], ["hund", "dog"]]))
    猫    cat
    hund  dog
    """
    widths = [max(map(_columns, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths, right or [False] * len(row)) for row in rows)


def _used(header: Sequence[str], rows: Rows) -> tuple[Sequence[str], Rows]:
    places = [i for i in range(len(header)) if not rows or any(row[i] for row in rows)]
    return [header[i] for i in places], [[row[i] for i in places] for row in rows]


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (_padded(*each) for each in zip(cells, widths, right, strict=True))
    return "  ".join(padded).rstrip()


def _padded(cell: str, width: int, right: bool) -> str:
    space = " " * (width - _columns(cell))
    return space + cell if right else cell + space


def rich_table(
    header: Sequence[str],
    rows: Rows,
    styles: Sequence[str] = (),
    numbers: Collection[str] = (),
) -> Table:
    """A table for rich's console; `styles` are those of the columns, `numbers` flush right."""
    kept, rows = _used(header, rows)
    by_name = dict(zip(header, styles, strict=False))
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in kept:
        side: Literal["left", "right"] = "right" if name in numbers else "left"
        table.add_column(name, style=by_name.get(name, ""), overflow="fold", justify=side)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def rendered(
    header: Sequence[str],
    rows: Rows,
    styles: Sequence[str] = (),
    numbers: Collection[str] = (),
) -> str:
    """The table for standard output: rich's on a terminal without NO_COLOR, else plain columns."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return plain(header, rows, numbers)
    console = Console()
    with console.capture() as captured:
        console.print(rich_table(header, rows, styles, numbers))
    return captured.get().rstrip("\n")


def html(header: Sequence[str], rows: Rows, numbers: Collection[str] = ()) -> str:
    """The table as HTML that needs nothing else; what cells begin with keeps its indentation."""
    header, rows = _used(header, rows)
    sides = [' style="text-align:right"' if name in numbers else "" for name in header]
    head = "".join(f"<th{side}>{escape(c)}</th>" for c, side in zip(header, sides, strict=True))
    body = "".join(f"<tr>{_html_cells(row, sides)}</tr>" for row in rows)
    return f'{HTML_STYLE}<table class="kj-table"><tr>{head}</tr>{body}</table>'


def _html_cells(row: Sequence[str], sides: Sequence[str]) -> str:
    return "".join(f"<td{side}>{_indented(c)}</td>" for c, side in zip(row, sides, strict=True))


def _indented(cell: str) -> str:
    inside = cell.lstrip(" ")
    return "&nbsp;" * (len(cell) - len(inside)) + escape(inside)
