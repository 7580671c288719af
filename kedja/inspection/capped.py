"""Numbers that were cut off at a bound: many rows share the largest value, or the smallest.

A house of 500,001 may have cost two millions, a measure of 0.05 may be "below 0.05". Not here:
values that are far from all others (`outliers.py`), a value that got stuck (`breaks.py`).
Next: `breaks.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kedja.inspection.columns import codes
from kedja.inspection.finding import Finding
from kedja.inspection.look import Look
from kedja.inspection.subject import Array, Column

_FEWEST_VALUES = 20
_FEWEST = 10  # rows at the bound
_SHARE = 0.01
_TIMES = 3  # as many rows as have the commonest of the other values
_NATURAL = (0.0, 1.0, 100.0)  # where shares, counts and percentages end by themselves


def caps(values: Array) -> list[float]:
    """The bounds at which numbers (N,) seem to be cut off; equal ones in a row count once.

    >>> values = np.random.default_rng(0).normal(size=1000)
    >>> caps(values), caps(np.minimum(values, 2))
    ([], [2.0])
    """
    known = values[~np.isnan(values)]
    apart = known[np.r_[True, known[1:] != known[:-1]]] if len(known) else known
    distinct, counts = np.unique(apart, return_counts=True)
    if len(distinct) < _FEWEST_VALUES:
        return []
    left_out = {*_NATURAL, *codes(values)}
    found = []
    for place in (0, len(distinct) - 1):
        needed = max(_FEWEST, _SHARE * len(apart), _TIMES * np.delete(counts, place).max())
        if counts[place] >= needed and distinct[place] not in left_out:
            found.append(float(distinct[place]))
    return found


def capped(look: Look) -> Iterator[Finding]:
    """Columns of numbers that were cut off."""
    for column in look.data.columns:
        if column.kind == "number":
            assert column.numbers is not None
            for bound in caps(column.numbers):
                yield _capped(look, column, bound)


def _capped(look: Look, column: Column, bound: float) -> Finding:
    assert column.numbers is not None
    rows = np.flatnonzero(column.numbers == bound)
    beyond = "larger" if bound == np.nanmax(column.numbers) else "smaller"
    return Finding(
        "cut off",
        "notice",
        f"column {column.name!r} seems to be cut off at {column.cells[rows[0]].strip()}: "
        f"{len(rows):,} rows ({len(rows) / len(column.known):.1%}) have just this value, none a "
        f"{beyond} one",
        f"ask whether {beyond} ones were written as this; if so, they teach a wrong number",
        look.data.named(rows),
        rows.tolist(),
        sure="no other value has a third as many rows",
        figures={"column": column.name, "bound": bound, "rows": len(rows)},
    )
