"""Numbers that cannot be: a person of 250 years, a latitude of 95 degrees, by a column's name.

Only names that mean one thing are known, and only columns are judged of which nearly all values
are possible: an age may count days, an hour may be one of a week. Not here: values that are far
from all others, whatever they mean (`outliers.py`). Next: `outliers.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from kedja.ground.suggest import counted, listed
from kedja.inspection.columns import codes
from kedja.inspection.finding import Finding
from kedja.inspection.look import Look
from kedja.inspection.subject import Column

# The least and the largest value of what a word in a column's name stands for.
RANGES = {
    "age": (0, 125),
    "latitude": (-90, 90),
    "lat": (-90, 90),
    "longitude": (-180, 360),
    "lon": (-180, 360),
    "lng": (-180, 360),
    "humidity": (0, 100),
    "month": (0, 12),
    "weekday": (0, 7),
    "hour": (0, 24),
    "ph": (-2, 16),
}
_NEARLY_ALL = 0.95
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")


def bounds(name: str) -> tuple[float, float] | None:
    """Between what the values of a column of this name must be, where that is known.

    >>> bounds("patient_age"), bounds("Latitude"), bounds("average"), bounds("age_months")
    ((0, 125), (-90, 90), None, None)
    """
    words = [each.lower() for each in _WORD.findall(name)]
    return RANGES.get(words[-1]) if words else None


def impossible(look: Look) -> Iterator[Finding]:
    """Values outside of what a column's name allows."""
    for column in look.data.columns:
        allowed = bounds(column.name)
        if allowed is not None and column.kind == "number":
            yield from _impossible(look, column, *allowed)


def _impossible(look: Look, column: Column, low: float, high: float) -> Iterator[Finding]:
    assert column.numbers is not None
    values = column.numbers
    outside = ((values < low) | (values > high)) & ~np.isin(values, codes(values))
    rows = np.flatnonzero(outside).tolist()
    if len(rows) and len(rows) <= (1 - _NEARLY_ALL) * len(column.known):
        shown = [f"{values[row]:g} in {look.data.places[row]}" for row in rows]
        yield Finding(
            "impossible values",
            "defect",
            f"column {column.name!r} has {counted(len(rows), 'value')} that cannot be: "
            f"{listed(shown, 3)}",
            "correct them, or leave these cells empty",
            look.data.named(rows),
            rows,
            sure=f"if it means what it says: from {low} to {high}",
            figures={"column": column.name, "low": low, "high": high},
        )
