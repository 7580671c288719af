"""What is wrong with single columns: what is missing, and what cannot help.

Not here: how cells are written (`written.py`), a measuring instrument that broke (`breaks.py`),
values far from all others (`outliers.py`). Next: `breaks.py`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from kedja.ground.suggest import counted, listed
from kedja.inspection.cells import WORDS
from kedja.inspection.finding import Finding, Severity
from kedja.inspection.look import Look
from kedja.inspection.subject import Array, Column
from kedja.inspection.tables import numbers_rows

# Numbers that people write where a value is missing.
_CODES = (-1, -9, -99, -999, -9999, -99999, 99, 999, 9999, 99999, 999999, -32768, 65535)

_NUMBER = re.compile(r"\d+")
_MANY_ALIKE = 16
_FEW = 0.001  # so few other values leave a column nearly constant


# ----------------------------------------------------------------------------------- missing values


def missing(look: Look) -> Iterator[Finding]:
    """How many values are missing, and the numbers and words that stand for missing ones."""
    columns = look.data.columns
    for column in columns:
        count = int(column.missing.sum())
        if count and column.kind != "empty":
            yield _absent(look, column, count)
        yield from _words(look, column)
        if column.kind == "number":
            yield from _codes(look, column)


def _absent(look: Look, column: Column, count: int) -> Finding:
    rows = np.flatnonzero(column.missing)
    return Finding(
        "missing values",
        "notice",
        f"column {column.name!r} lacks {counted(count, 'value')}, {count / len(column.cells):.1%}",
        "kedja fills them and marks them; ask why they are missing",
        look.data.named(rows),
        rows.tolist(),
        figures={"column": column.name, "missing": count},
    )


def _words(look: Look, column: Column) -> Iterator[Finding]:
    """Words like `unknown`, where they are no cells that are told already."""
    if column.kind == "text":
        return
    rows = [row for row, cell in enumerate(column.cells) if cell.strip().lower() in WORDS]
    rows = [] if column.kind == "category" and _is_common(column, rows) else rows
    if rows:
        words = list(dict.fromkeys(column.cells[row].strip() for row in rows))
        yield _disguised(look, column, rows, words)


def _is_common(column: Column, rows: list[int]) -> bool:
    """Whether `none` and its like may be a category as others are: it is no rare one."""
    count = len({cell.strip() for cell in column.cells})
    return len(rows) * count >= len(column.cells)


def codes(values: Array) -> list[float]:
    """-999 and its like in numbers (N,): outside of all others by more than their whole range."""
    found = []
    for code in _CODES:
        count, rest = int((values == code).sum()), values[np.isfinite(values) & (values != code)]
        often = count > 1 or (count == 1 and str(abs(code)).strip("9") == "")
        if often and len(rest) >= 10 and _stands_apart(code, rest):
            found.append(float(code))
    return found


def _codes(look: Look, column: Column) -> Iterator[Finding]:
    assert column.numbers is not None
    for code in codes(column.numbers):
        rows = np.flatnonzero(column.numbers == code).tolist()
        yield _disguised(look, column, rows, [f"{code:.0f}"])


def _stands_apart(code: float, rest: Array) -> bool:
    """Whether a code is farther from the others than the others are from each other."""
    low, high = float(rest.min()), float(rest.max())
    gap = low - code if code < low else code - high
    return gap > max(high - low, 1e-300)


def _disguised(look: Look, column: Column, rows: list[int], words: list[str]) -> Finding:
    shown = listed([repr(word) for word in words], 3)
    return Finding(
        "missing values",
        "defect",
        f"column {column.name!r} says {shown} in {counted(len(rows), 'cell')}, which seems to mean "
        "missing",
        "leave these cells empty",
        look.data.named(rows),
        rows,
        sure="no other value is near" if words[0].lstrip("-").isdigit() else "by the word",
        figures={"column": column.name, "values": words, "cells": len(rows)},
    )


# ------------------------------------------------------------------------------- of no use


def useless(look: Look) -> Iterator[Finding]:
    """Columns without values, with one value, and those that number the rows."""
    grid = _numbered([each.name for each in look.data.columns])
    for column in look.data.columns:
        found = _useless(column, column.name in grid)
        if found:
            severity, why = found
            yield Finding(
                "columns",
                severity,
                f"column {column.name!r} {why}",
                "leave it out" if severity == "notice" else "find out why, or leave it out",
                [column.name],
                figures={"column": column.name},
            )


def _numbered(names: Sequence[str]) -> set[str]:
    """The names of columns that are numbered alike, as pixels are: some are always 0."""
    stems = Counter(_NUMBER.sub("", name) for name in names)
    return {name for name in names if stems[_NUMBER.sub("", name)] >= _MANY_ALIKE}


def _useless(column: Column, in_grid: bool) -> tuple[Severity, str] | None:
    """Why a column cannot help, if it cannot."""
    if column.kind == "empty":
        return "defect", "has no values"
    counts = Counter(cell.strip() for cell in column.cells)
    value, most = counts.most_common(1)[0]
    rows = len(column.cells)
    if len(counts) == 1 and rows > 1:
        severity: Severity = "notice" if in_grid else "defect"
        return severity, f"is constant: every row has the same value, {value[:40]!r}"
    if numbers_rows(column):
        return "notice", "gives each row a value of its own, which tells nothing of other rows"
    if rows - most < max(2, _FEW * rows) and rows >= 100:
        return "notice", f"is nearly constant: {most:,} of {rows:,} rows have {value[:40]!r}"
    return None
