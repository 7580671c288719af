"""Dates among a table's columns: whether a column of texts holds them, and what numbers they are.

Not here: how a date is written (`dates.py`), series, whose rows are the dates (`series.py`).
Next: `spacing.py`.

| number  | is                                          |
|---------|---------------------------------------------|
| time    | days since 1970, with the part of a day     |
| month   | 1 … 12                                      |
| day     | of the month, 1 … 31                        |
| weekday | 0, Monday, … 6                              |
| hour    | of the day, with the part of an hour        |
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np

from kedja.data import dates
from kedja.data.dates import Dates
from kedja.ground.errors import DataError

Array = np.ndarray[Any, np.dtype[Any]]
SHARE = 0.95  # of the different cells are dates
TIME = "time"
_LOOKED_AT = 50
_DAY, _HOUR = 86_400e6, 3_600e6  # microseconds
_THURSDAY = 3  # 1970-01-01


def read(cells: Sequence[str | None], *, day_first: bool | None = None) -> Dates | None:
    """The dates in a column of texts; None where it holds something else.

    `day_first` says what 01/02/2024 is where the column does not show it; days come first if that
    is not given either, which is noted. Bare numbers are no dates.

    >>> read(["2024-02-01", None]).values.astype(str).tolist()
    ['2024-02-01T00:00:00.000000', 'NaT']
    >>> read(["red", "2024-02-01"]) is None
    True
    """
    known = list(dict.fromkeys(cell for cell in cells if cell is not None))
    if dates.share(known[:: max(1, len(known) // _LOOKED_AT)], numbers=False) < SHARE:
        return None
    found = _parsed(known, day_first)
    if found is None or len(found.bad) > (1 - SHARE) * len(known):
        return None
    times: dict[str | None, Any] = dict(zip(known, found.values, strict=True))
    wrong = {cell for _, cell in found.bad}
    nothing = np.datetime64("NaT", "us")
    values = np.array([times.get(cell, nothing) for cell in cells], "M8[us]")
    bad = [(row, cell) for row, cell in enumerate(cells) if cell is not None and cell in wrong]
    return found._replace(values=values, bad=bad)


def _parsed(known: Sequence[str], day_first: bool | None) -> Dates | None:
    """The dates; None where some contradict the others."""
    try:
        return dates.parse(known, numbers=False)
    except DataError:
        guess = True if day_first is None else day_first
    try:
        found = dates.parse(known, numbers=False, day_first=guess)
    except DataError:
        return None
    note = "it cannot be told whether days or months come first: days are taken to"
    return found._replace(notes=[*found.notes, *([note] if day_first is None else [])])


def of_objects(cells: Sequence[Any]) -> Array | None:
    """Python's or pandas' dates as datetime64[us] (N,), in UTC where they have a zone; else None.

    >>> of_objects([date(2024, 2, 1), None]).astype("M8[D]").tolist()
    [datetime.date(2024, 2, 1), None]
    """
    there = [not is_nothing(each) for each in cells]
    known = [each for each, is_there in zip(cells, there, strict=True) if is_there]
    if not known or not all(isinstance(each, date | np.datetime64) for each in known):
        return None
    values = np.full(len(cells), "NaT", "M8[us]")
    values[there] = [_plain(each) for each in known]
    return values


def is_nothing(cell: Any) -> bool:
    """Whether an object stands for no value: None, NaN, NaT, pandas' NA."""
    try:
        return cell is None or bool(cell != cell)  # NaN and NaT alone are not themselves
    except TypeError:
        return True  # NA says neither yes nor no


def _plain(moment: Any) -> Any:
    """A moment without its zone."""
    offset = moment.utcoffset() if hasattr(moment, "utcoffset") else None
    return moment if offset is None else moment.replace(tzinfo=None) - offset


def numbers(times: Array) -> dict[str, Array]:
    """What a network is told of moments, datetime64 (N,): the table's rows, float64 (N,).

    >>> found = numbers(np.array(["1970-02-02T12:00"], "M8"))
    >>> {name: each.tolist() for name, each in found.items()}
    {'time': [32.5], 'month': [2.0], 'day': [2.0], 'weekday': [0.0], 'hour': [12.0]}
    """
    moments = times.astype("M8[us]")
    days, months = moments.astype("M8[D]"), moments.astype("M8[M]")
    found = {
        TIME: moments.astype(np.int64) / _DAY,
        "month": months.astype(np.int64) % 12 + 1,
        "day": (days - months.astype("M8[D]")).astype(np.int64) + 1,
        "weekday": (days.astype(np.int64) + _THURSDAY) % 7,
        "hour": (moments - days).astype(np.int64) / _HOUR,
    }
    missing = np.isnat(moments)
    return {name: np.where(missing, np.nan, each) for name, each in found.items()}
