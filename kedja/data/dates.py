"""Texts as points in time: the usual ways of writing a date, told apart for a column as a whole.

Not here: how far apart the dates are (`spacing.py`), dates in tables (`date_columns.py`).
Next: `date_columns.py`.

| written like                                        | is                                      |
|-----------------------------------------------------|-----------------------------------------|
| 2024-03-01, 2024/3/1, 2024.03.01                    | year, month, day                        |
| 01.03.2024                                          | day, month, year                        |
| 01/03/2024, 01-03-2024, 01/03/24, 01.03.24          | whichever the column shows, see below   |
| 1 Mar 2024, March 1, 2024, 01-Mar-2024, 01-Mar-24   | English names of months                 |
| 2024-03, Mar 2024, 2024-Q1, Q1 2024, 2024-W09       | the first day of it (weeks from Monday) |
| 2024, 20240301, 1709251200, 1709251200000           | year, day, Unix seconds, milliseconds   |
| a date and 14:05, 14:05:10.5, 2:05 pm, Z, +01:00    | a time on that day, and its zone        |

Day or month first is decided by a number above 12, else by which of both gives an even spacing;
where neither decides, or they contradict each other, that is an error. Years of two digits are 1969
to 2068, as POSIX has it. Dates with offsets from UTC
keep their local time where all have the same, and become UTC otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from kedja.data import spacing
from kedja.ground.errors import DataError

Array = np.ndarray[Any, np.dtype[Any]]

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
UNDECIDED, DAY_FIRST, FIXED = "undecided", "day first", "fixed"

_NAME = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,? +)?"
_TIME = re.compile(
    r"(?:T| +|, *)(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)? *(am|pm)?"
    r" *(z|utc|gmt|[+-]\d{2}:?\d{2}|[+-]\d{2})?$",
    re.IGNORECASE,
)


class Moment(NamedTuple):
    """A cell that was understood: three numbers, in which order they stand, time and offset.

    `order` is FIXED for year, month, day; else the numbers are two of day and month, and the year.
    """

    numbers: tuple[int, int, int]
    order: str = FIXED
    time: timedelta = timedelta()
    offset: timedelta | None = None


class Dates(NamedTuple):
    """A column of dates: datetime64[us] (N,), NaT where missing or not understood.

    `bad` are (row, cell) of the latter; `notes` say what was decided. `day_first` is how dates like
    01/02/2024 were read, None where there are none.
    """

    values: Array
    bad: list[tuple[int, str]]
    notes: list[str]
    day_first: bool | None = None


Form = tuple[re.Pattern[str], Callable[..., Moment]]


def _form(pattern: str, made: Callable[..., Moment], *, whole: bool = False) -> Form:
    """A way of writing; `whole` ones have no time behind them."""
    return re.compile(pattern + ("$" if whole else ""), re.IGNORECASE), made


def _month(name: str) -> int:
    return MONTHS.index(name[:3].lower()) + 1


def _week(year: str, week: str) -> Moment:
    monday = datetime.strptime(f"{year} {week} 1", "%G %V %u")
    return Moment((monday.year, monday.month, monday.day))


def _unix(seconds: float) -> Moment:
    return Moment((1970, 1, 1), time=timedelta(seconds=seconds))


def _two(a: str, mark: str, b: str, year: str) -> Moment:
    return Moment((int(a), int(b), _year(year)), DAY_FIRST if mark == "." else UNDECIDED)


def _year(text: str) -> int:
    """Two digits are those of a year from 1969 to 2068."""
    year = int(text)
    return year if len(text) > 2 else year + (1900 if year >= 69 else 2000)


TEXTS: tuple[Form, ...] = (
    _form(
        r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})",
        lambda y, _, m, d: Moment((int(y), int(m), int(d))),
    ),
    _form(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})", _two),
    _form(r"(\d{1,2})([/.])(\d{1,2})\2(\d{2})(?!\d)", _two),
    _form(
        rf"{_WEEKDAY}(\d{{1,2}})[- ]{_NAME}[-, ]+(\d{{4}}|\d{{2}})(?![\d:])",
        lambda d, m, y: Moment((_year(y), _month(m), int(d))),
    ),
    _form(
        rf"{_WEEKDAY}{_NAME} (\d{{1,2}}),? (\d{{4}})",
        lambda m, d, y: Moment((int(y), _month(m), int(d))),
    ),
    _form(r"(\d{4})[-/](\d{1,2})", lambda y, m: Moment((int(y), int(m), 1)), whole=True),
    _form(rf"{_NAME}[- ](\d{{4}})", lambda m, y: Moment((int(y), _month(m), 1)), whole=True),
    _form(r"(\d{4})[- ]?q([1-4])", lambda y, q: Moment((int(y), 3 * int(q) - 2, 1)), whole=True),
    _form(r"q([1-4])[- ]?(\d{4})", lambda q, y: Moment((int(y), 3 * int(q) - 2, 1)), whole=True),
    _form(r"(\d{4})-?w(\d{2})", _week, whole=True),
)
NUMBERS: tuple[Form, ...] = (
    _form(r"(1[5-9]\d\d|2[01]\d\d)", lambda y: Moment((int(y), 1, 1)), whole=True),
    _form(
        r"(1[5-9]\d\d|2[01]\d\d)(\d\d)(\d\d)",
        lambda y, m, d: Moment((int(y), int(m), int(d))),
        whole=True,
    ),
    _form(r"(\d{9,10}(?:\.\d+)?)", lambda s: _unix(float(s)), whole=True),
    _form(r"(\d{12,13})", lambda s: _unix(int(s) / 1000), whole=True),
)


def parse(
    cells: Sequence[str | None],
    *,
    numbers: bool = True,
    day_first: bool | None = None,
    where: str | None = None,
) -> Dates:
    """Read a column; `numbers` allows forms that are bare numbers, `day_first` decides 01/03/2024.

    Raises DataError where the order of day and month is unknown or contradictory, and where some
    cells have an offset from UTC and others have none.

    >>> parse(["25/12/2023", "26/12/2023", None]).values.astype("M8[D]").tolist()[:2]
    [datetime.date(2023, 12, 25), datetime.date(2023, 12, 26)]
    """
    forms = TEXTS + (NUMBERS if numbers else ())
    found = [None if cell is None else _moment(cell.strip(), forms) for cell in cells]
    order, notes = _order([each for each in found if each], day_first, where)
    zones = _zones([each for each in found if each], where)
    notes += [zones] if zones else []
    values = np.full(len(cells), "NaT", "M8[us]")
    bad = []
    for row, (cell, moment) in enumerate(zip(cells, found, strict=True)):
        time = None if moment is None else _time(moment, order, bool(zones))
        if time is not None:
            values[row] = time
        elif cell is not None:
            bad.append((row, cell))
    unsure = any(each is not None and each.order == UNDECIDED for each in found)
    return Dates(values, bad, notes, order == DAY_FIRST if unsure else None)


def share(cells: Sequence[str | None], *, numbers: bool = True) -> float:
    """How large a part of the cells that are not missing look like dates; 0 for none at all."""
    there = [cell.strip() for cell in cells if cell is not None]
    forms = TEXTS + (NUMBERS if numbers else ())
    return sum(_moment(cell, forms) is not None for cell in there) / max(1, len(there))


def _moment(text: str, forms: Sequence[Form]) -> Moment | None:
    """What a cell says, None where no form fits."""
    for pattern, made in forms:
        match = pattern.match(text)
        if match is None:
            continue
        rest = text[match.end() :]
        try:
            moment = made(*match.groups())
            return moment if not rest else _with_time(moment, rest)
        except (ValueError, OverflowError):
            return None
    return None


def _with_time(moment: Moment, rest: str) -> Moment | None:
    match = _TIME.match(rest)
    if match is None:
        return None
    hour, minute, second, fraction, half, zone = match.groups()
    number = int(hour)
    if half is not None:
        number = number % 12 + (12 if half.lower() == "pm" else 0)
    if number > 23 or int(minute) > 59 or int(second or 0) > 59:
        return None
    micro = int(f"{fraction or '0':0<6}"[:6])
    time = timedelta(
        hours=number, minutes=int(minute), seconds=int(second or 0), microseconds=micro
    )
    return moment._replace(time=time, offset=None if zone is None else _offset(zone))


def _offset(zone: str) -> timedelta:
    if zone[0] not in "+-":
        return timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -size if zone[0] == "-" else size


def _time(moment: Moment, order: str, to_utc: bool) -> datetime | None:
    """The point in time; None for a day that no month has."""
    a, b, c = moment.numbers
    if moment.order != FIXED:
        first = moment.order == DAY_FIRST or order == DAY_FIRST
        a, b, c = (c, b, a) if first else (c, a, b)
    try:
        time = datetime(a, b, c) + moment.time
        return time - moment.offset if to_utc and moment.offset is not None else time
    except (ValueError, OverflowError):
        return None


# ------------------------------------------------------------------------ day or month first


def _order(
    found: Sequence[Moment], day_first: bool | None, where: str | None
) -> tuple[str, list[str]]:
    """Whether days come first where that is not written, and what is to be told of it."""
    unsure = [each for each in found if each.order == UNDECIDED]
    if not unsure:
        return FIXED, []
    if day_first is not None:
        return (DAY_FIRST if day_first else FIXED), []
    days = any(each.numbers[0] > 12 for each in unsure)
    months = any(each.numbers[1] > 12 for each in unsure)
    if days and months:
        what = "some dates have the day first, others the month"
        raise DataError(what, where=where, fix="write all of them as 2024-12-31")
    if not days and not months:
        days = _even(unsure, where)
    first = "day" if days else "month"
    return (DAY_FIRST if days else FIXED), [f"dates like 01/02/2024 have the {first} first"]


def _even(unsure: Sequence[Moment], where: str | None) -> bool:
    """Whether the dates are evenly spaced with days first, and not with months first."""
    both = []
    for order in (DAY_FIRST, FIXED):
        times = [_time(each, order, False) for each in unsure]
        array = np.unique(np.array(times, "M8[us]"))
        step = spacing.find(array)
        both.append(step is not None and step.gaps(array) == 0)
    if both[0] == both[1]:
        what = "it cannot be told whether days or months come first: none is above 12"
        raise DataError(what, where=where, fix="--day-first or --month-first")
    return both[0]


def _zones(found: Sequence[Moment], where: str | None) -> str:
    """What is to be told of zones: empty where there are none, or all are the same."""
    offsets = {each.offset for each in found}
    if None in offsets and len(offsets) > 1:
        what = "some dates have an offset from UTC, others have none"
        raise DataError(what, where=where, fix="give all of them an offset, or none")
    return "dates have different offsets from UTC and are told in UTC" if len(offsets) > 1 else ""
