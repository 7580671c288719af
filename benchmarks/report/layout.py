"""Rows as a table: drawn on a terminal, plain columns elsewhere; words left, figures right.

Not here: what stands in the cells (`tables.py`). This is the end.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

Row = tuple[str, ...]
ALARMS = ("LOSES", "MISSED")


def table(console: Console, head: Row, rows: Sequence[Row]) -> None:
    """A table without the columns that are empty; nothing where there are no rows."""
    if not rows:
        return
    kept = [place for place in range(len(head)) if any(row[place] for row in rows)]
    head = tuple(head[place] for place in kept)
    rows = [tuple(row[place] for place in kept) for row in rows]
    if console.is_terminal:
        _drawn(console, head, rows)
    else:
        _plain(console, head, rows)
        console.print()


def _drawn(console: Console, head: Row, rows: Sequence[Row]) -> None:
    drawn = Table()
    for title, right in zip(head, _numeric(rows), strict=True):
        drawn.add_column(title, justify="right" if right else "left")
    for row in rows:
        alarming = any(word in row[-1] for word in ALARMS)
        drawn.add_row(*row, style="bold red" if alarming else "")
    console.print(drawn)


def _plain(console: Console, head: Row, rows: Sequence[Row]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    right = _numeric(rows)
    for row in (head, *rows):
        cells = zip(row, widths, right, strict=True)
        texts = [cell.rjust(width) if to else cell.ljust(width) for cell, width, to in cells]
        console.print("  ".join(texts).rstrip(), markup=False, highlight=False, soft_wrap=True)


def _numeric(rows: Sequence[Row]) -> list[bool]:
    """Which columns hold figures: those whose cells all begin with a digit, or are empty."""
    return [
        all(not cell or cell[0].isdigit() for cell in column) for column in zip(*rows, strict=True)
    ]
