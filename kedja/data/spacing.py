"""How far apart the dates of a series are: seconds to weeks, days of business, months to years.

A `Spacing` numbers dates, so that neighbours differ by one, and turns numbers back into dates.
Not here: reading dates (`dates.py`), what is done about gaps (`series.py`). Next: `series.py`.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from kedja.ground.errors import UsageError

Array = np.ndarray[Any, np.dtype[Any]]

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 24 * 3600 * SECOND
FIXED, BUSINESS, MONTHS = "fixed", "business", "months"

NAMES = {
    "second": SECOND,
    "minute": MINUTE,
    "hour": HOUR,
    "day": DAY,
    "week": 7 * DAY,
}
MONTH_NAMES = {"month": 1, "quarter": 3, "year": 12}
_SHORT = {"s": "second", "min": "minute", "h": "hour", "d": "day", "w": "week"}
MONDAY = np.datetime64("1970-01-05T00:00:00", "us")  # weeks begin then

# At least this share of the distances must be a step long; the others are gaps.
COMMON = 0.5


class Spacing(NamedTuple):
    """A step between dates.

    `kind` is FIXED (`size` microseconds), BUSINESS (days from Monday to Friday) or MONTHS (`size`
    of them). `anchor` is a date of the series in microseconds since 1970: dates are so many steps
    from it, on the same day of the month (the last where `last`).
    """

    kind: str
    size: int
    anchor: int = 0
    last: bool = False

    @property
    def name(self) -> str:
        """In words: `day`, `15 minutes`, `business day`, `month`."""
        if self.kind == BUSINESS:
            return "business day"
        table = MONTH_NAMES if self.kind == MONTHS else NAMES
        for name, unit in reversed(table.items()):
            if self.size % unit == 0:
                count = self.size // unit
                return name if count == 1 else f"{count} {name}s"
        return f"{self.size / SECOND:g} seconds"

    @property
    def apart(self) -> str:
        """How far apart the dates are: `a day apart`, `an hour apart`, `15 minutes apart`."""
        name = self.name
        article = "" if name[0].isdigit() else "an " if name == "hour" else "a "
        return f"{article}{name} apart"

    def numbers(self, times: Array) -> Array:
        """The number of each date, int64; dates between two steps get that of the earlier one."""
        if self.kind == MONTHS:
            return _floor(_months(times) - _months(self._start)[0], self.size)
        if self.kind == BUSINESS:
            days = times.astype("M8[D]")
            return np.asarray(np.busday_count(self._start.astype("M8[D]")[0], days), np.int64)
        return _floor(_micro(times) - self.anchor, self.size)

    def times(self, numbers: Array) -> Array:
        """The dates of these numbers: datetime64[us]."""
        numbers = np.asarray(numbers, np.int64)
        if self.kind == MONTHS:
            return self._of_months(numbers)
        if self.kind == BUSINESS:
            start = self._start.astype("M8[D]")[0]
            days = np.busday_offset(start, numbers, roll="forward")
            return np.asarray(days.astype("M8[us]") + self._of_day)
        return (self.anchor + numbers * self.size).astype("M8[us]")

    def gaps(self, times: Array) -> int:
        """How many steps are missing between the first and the last of ascending dates."""
        numbers = self.numbers(times)
        return int(numbers[-1] - numbers[0] + 1 - len(np.unique(numbers)))

    @property
    def _start(self) -> Array:
        return np.array([self.anchor], "M8[us]")

    @property
    def _of_day(self) -> Any:
        return self._start[0] - self._start.astype("M8[D]")[0]

    def _of_months(self, numbers: Array) -> Array:
        months = _months(self._start)[0] + numbers * self.size
        first = months.astype("M8[M]")
        length = ((first + 1).astype("M8[D]") - first.astype("M8[D]")).astype(np.int64)
        start = self._start[0]
        day = int((start.astype("M8[D]") - start.astype("M8[M]").astype("M8[D]")).astype(int))
        offset = length - 1 if self.last else np.minimum(day, length - 1)
        days = first.astype("M8[D]") + offset.astype("m8[D]")
        return np.asarray(days.astype("M8[us]") + self._of_day)


def _micro(times: Array) -> Array:
    return np.asarray(times.astype("M8[us]").astype(np.int64))


def _months(times: Array) -> Array:
    return np.asarray(times.astype("M8[M]").astype(np.int64))


def _floor(distance: Array, size: int) -> Array:
    return np.asarray(distance // size, np.int64)


def find(times: Array) -> Spacing | None:
    """The spacing of ascending, different dates; None where they have none in common.

    >>> find(np.array(["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"], "M8[us]")).name
    'month'
    >>> find(np.array(["2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09"], "M8[us]")).name
    'business day'
    """
    if len(times) < 3:
        return None
    found = _monthly(times) or _fixed(times)
    return _business(times, found) if found is not None and found.size == DAY else found


def _monthly(times: Array) -> Spacing | None:
    """Every date on the same day of its month, or each on the last one, at the same time."""
    days = times.astype("M8[D]")
    if len(np.unique(_micro(times) - _micro(days))) > 1:
        return None
    months = times.astype("M8[M]")
    day = (days - months.astype("M8[D]")).astype(np.int64) + 1
    length = ((months + 1).astype("M8[D]") - months.astype("M8[D]")).astype(np.int64)
    last = bool((day == length).all())
    if not last and not (day == np.minimum(day.max(), length)).all():
        return None
    steps = np.diff(_months(times))
    if (steps == 0).any():
        return None
    size = _commonest(steps)
    if size is None or (steps % size).any():
        return None
    where = int(np.argmax(day))  # a day that short months do not have
    return Spacing(MONTHS, size, int(_micro(times)[where]), last)


def _fixed(times: Array) -> Spacing | None:
    """Every distance a multiple of the commonest one."""
    steps = np.diff(_micro(times))
    size = _commonest(steps)
    if size is None or (steps % size).any():
        return None
    return Spacing(FIXED, size, int(_micro(times)[0]))


def _business(times: Array, daily: Spacing) -> Spacing:
    """Days of which none is a Saturday or a Sunday, over a fortnight or with a gap of a weekend."""
    weekdays = (times.astype("M8[D]").astype(np.int64) + 3) % 7  # 0 is Monday
    gap = bool((np.diff(_micro(times)) > DAY).any())
    return Spacing(BUSINESS, DAY, daily.anchor) if (weekdays < 5).all() and gap else daily


def _commonest(steps: Array) -> int | None:
    """The commonest distance, if at least half of them are that long."""
    values, counts = np.unique(steps, return_counts=True)
    best = int(np.argmax(counts))
    return int(values[best]) if counts[best] >= COMMON * len(steps) else None


def named(text: str) -> Spacing:
    """`hour`, `15min`, `day`, `week` (from Monday), `business day`, `month`, `quarter`, `year`.

    >>> named("15 minutes").name, named("2h").name, named("quarter").name
    ('15 minutes', '2 hours', 'quarter')
    """
    match = re.fullmatch(r"(\d*) *([a-z ]+?)", text.strip().lower())
    count = int(match[1] or 1) if match else 0
    unit = match[2] if match else ""
    unit = _SHORT.get(unit, unit.removesuffix("s") if unit != "s" else unit)
    if unit == "business day" and count == 1:
        return Spacing(BUSINESS, DAY, int(_micro(np.array([MONDAY]))[0]))
    if unit in MONTH_NAMES and count:
        return Spacing(MONTHS, count * MONTH_NAMES[unit])
    if unit in NAMES and count:
        anchor = int(_micro(np.array([MONDAY]))[0]) if unit == "week" else 0
        return Spacing(FIXED, count * NAMES[unit], anchor)
    known = ", ".join((*NAMES, "business day", *MONTH_NAMES))
    raise UsageError(f"there is no step {text!r}", fix=f"one of {known}, or so many: 15min")
