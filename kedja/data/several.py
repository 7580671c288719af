"""Several series in one CSV file, one below the other: the rows of one of them.

    date,store,sales        `{"store": "north"}` are the rows of that store
    2024-01-01,north,12
    2024-01-01,south,31

Not here: what is made of the rows (`series.py`), the file (`csvfile.py`). Next: `series.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from kedja.data.csvfile import Cells
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean, listed

SHOWN = 5  # values that a message names


def rows_of(cells: Cells, only: Mapping[str, str]) -> Cells:
    """The rows in which each of some columns has a value; UsageError where there is none."""
    for name, value in only.items():
        if name not in cells.columns:
            fix = did_you_mean(name, cells.columns)
            raise UsageError(f"there is no column {name!r}", where=cells.where, fix=fix)
        found = [each.strip() for each in cells.columns[name]]
        if value not in found:
            fix = f"one of {listed(sorted(set(found)), SHOWN)}"
            raise UsageError(f"{name} is nowhere {value!r}", where=cells.where, fix=fix)
        rows = [row for row, each in enumerate(found) if each == value]
        columns = {name: [of[row] for row in rows] for name, of in cells.columns.items()}
        cells = replace(cells, columns=columns, lines=[cells.lines[row] for row in rows])
    return cells


def told_apart_by(cells: Cells, date: str) -> tuple[str, str] | None:
    """The column that tells series apart, and its commonest value: with it no date is there twice.

    Of several such columns the one of fewest values; None where there is none, and where no date is
    there twice anyway.
    """
    dates, found = cells.columns[date], []
    if len(set(dates)) == len(dates):
        return None
    for name, values in cells.columns.items():
        counts = Counter(values)
        alone = len(set(zip(dates, values, strict=True))) == len(dates)
        if name != date and alone and 1 < len(counts) <= len(dates) // 3:
            found.append((len(counts), name, counts.most_common(1)[0][0]))
    return min(found)[1:] if found else None
