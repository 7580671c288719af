"""Time series: a CSV file with a date column as one target and further columns, evenly spaced.

Not here: reading dates (`dates.py`), seasons (`seasons.py`), windows and training
(`kedja/train/forecasting.py`). Next: `seasons.py`.
Dimensions: N steps, C columns, K of them known in advance.

| what a file may have          | what is done                                                     |
|-------------------------------|------------------------------------------------------------------|
| rows in any order             | sorted by date, with a note                                      |
| a row twice                   | taken once, with a note                                          |
| a date twice, values differ   | DataError, unless `every` gathers them, or `only` takes some     |
| a row without a date          | left out, with a note                                            |
| missing dates, missing values | the last value before is carried on, never a later one; a note;  |
|-------------------------------|------------------------------------------------------------------|
| uneven spacing                | DataError, unless `every` gathers them                           |
| an empty target at the end    | the forecast begins there; known columns are read from these rows|
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kedja.data import csvfile, dates, several, spacing
from kedja.data.csvfile import Cells
from kedja.data.spacing import Spacing
from kedja.ground.described import Described
from kedja.ground.errors import DataError, UsageError
from kedja.ground.suggest import did_you_mean

Array = np.ndarray[Any, np.dtype[Any]]

GATHER = ("mean", "sum", "last")
SHARE = 0.95  # of a date column's cells are dates
DISTINCT = 0.9  # of the dates of a file that is recognised as a series
_SAMPLE = 50
_DATED = re.compile(r"date|time|day|month|year|week|quarter|period|^ds$|^t$", re.IGNORECASE)


@dataclass(frozen=True, eq=False, repr=False)
class Series(Described):
    """A target and further columns at evenly spaced dates.

    `columns` are the target, those whose past alone is known, and the `known` last ones, whose
    values are known in advance. `table` (N, C) float64 holds them without gaps; `there` (N,) says
    which targets are really in the file. `ahead` (A, K) are the known columns beyond the end.
    The date of row i is that with the number `first` + i of `spacing`.
    """

    name: str
    columns: tuple[str, ...]
    known: int
    spacing: Spacing
    first: int
    table: Array
    there: Array
    ahead: Array
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.table)

    @property
    def target(self) -> str:
        """The name of the column that is forecast."""
        return self.columns[0]

    @property
    def values(self) -> Array:
        """The target (N,)."""
        return np.asarray(self.table[:, 0])

    @property
    def times(self) -> Array:
        """The dates (N,) as datetime64[us]."""
        return self.dates(0, len(self))

    def dates(self, start: int, stop: int) -> Array:
        """The dates of some rows, beyond the end too."""
        return self.spacing.times(np.arange(self.first + start, self.first + stop))

    def until(self, stop: int) -> Series:
        """The series as it was known before row `stop`, with what is known in advance."""
        rest = self.table[stop:, self.table.shape[1] - self.known :]
        ahead = np.concatenate([rest, self.ahead])
        return replace(
            self, table=self.table[:stop], there=self.there[:stop], ahead=ahead, notes=()
        )

    def describe(self) -> list[str]:
        """What was recognised, a fact a line."""
        start, end = (stamp(each) for each in self.times[[0, -1]])
        lines = [
            f"{self.name}: a time series of {self.target!r}, {len(self):,} values, "
            f"{self.spacing.apart}, {start} to {end}"
        ]
        return [*lines, *self.notes]


def of_values(
    values: Any, start: str = "2000-01-01", every: str = "day", name: str = "value"
) -> Series:
    """A series of numbers (N,), or (N, C) with further columns known from the past alone.

    >>> of_values([1.0, 2.0, 3.0], "2024-01-31", "month").times.astype("M8[D]").tolist()[-1]
    datetime.date(2024, 3, 31)
    """
    table = np.asarray(values, np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or not table.size or not np.isfinite(table).all():
        what = f"values of shape {list(table.shape)}, or not all of them finite"
        raise DataError(what, fix="numbers (N,) or (N, C), without NaN")
    first = np.array([start], "M8[us]")
    anchor = int(first.astype(np.int64)[0])
    step = spacing.named(every)._replace(anchor=anchor)
    step = step._replace(last=step.kind == spacing.MONTHS and _is_last(first))
    columns = (name, *(f"{name} {each}" for each in range(2, table.shape[1] + 1)))
    there = np.ones(len(table), bool)
    return Series(name, columns, 0, step, 0, table, there, np.zeros((0, 0)))


def _is_last(time: Array) -> bool:
    month = time.astype("M8[M]")
    return bool((month + 1).astype("M8[D]")[0] - time.astype("M8[D]")[0] == np.timedelta64(1, "D"))


def stamp(time: Any) -> str:
    """A date as people write it, with the time of day where it has one.

    >>> stamp(np.datetime64("2024-03-01")), stamp(np.datetime64("2024-03-01T06:30"))
    ('2024-03-01', '2024-03-01 06:30')
    """
    text = str(np.datetime64(time, "us")).replace("T", " ")
    for zeros in (" 00:00:00.000000", ":00.000000", ".000000"):
        if text.endswith(zeros):
            return text.removesuffix(zeros)
    return text


# ----------------------------------------------------------------------------------- reading


def is_in(path: str | os.PathLike[str]) -> bool:
    """Whether a CSV file looks like a series: a column of different dates, another of numbers."""
    try:
        cells = csvfile.head(path)
        name = _date_column(cells, None)
    except DataError:
        return False
    texts = [text for text in csvfile.texts(cells, name) if text is not None]
    distinct = len(set(texts)) >= DISTINCT * max(3, len(texts))
    others = [each for each in cells.columns if each != name]
    return distinct and any(_is_nearly_numeric(cells, each) for each in others)


def several_in(path: str | os.PathLike[str]) -> tuple[str, str] | None:
    """The column, and one of its values, by which series in a CSV file are told apart.

    None where a look at the file's head finds no such column, or no dates.
    """
    try:
        cells = csvfile.head(path)
        return several.told_apart_by(cells, _date_column(cells, None))
    except DataError:
        return None


def read(
    path: str | os.PathLike[str],
    *,
    target: str | None = None,
    date: str | None = None,
    known: Sequence[str] = (),
    past: Sequence[str] = (),
    every: str | None = None,
    gather: str = "mean",
    day_first: bool | None = None,
    only: Mapping[str, str] | None = None,
) -> Series:
    """Read a CSV file as a series of the column `target` (the last one of numbers, if None).

    `known` are columns whose values are known in advance (holidays, planned prices), `past` those
    that are not; other columns are not used. `every` (`day`, `15min`, `month`) gathers rows into
    steps of that length, by their `mean`, `sum` or `last` value. `day_first` says what 01/02/2024
    is. `only` takes the rows in which columns have some values, where a file holds several series
    one below the other. What is done about gaps, duplicates and the like stands at the top of this
    file. Raises DataError for a file that is no such series, UsageError for a column that is not
    there.
    """
    if gather not in GATHER:
        raise UsageError(f"gather is {gather!r}", fix=f"one of {', '.join(GATHER)}")
    cells = several.rows_of(csvfile.read(path), only or {})
    name = _date_column(cells, date)
    columns = _columns(cells, name, target, past, known)
    found = _dates(cells, name, day_first)
    if found.bad:
        _refuse_bad_date(cells, name, found.bad)
    table = np.stack([_numbers(cells, each) for each in columns], 1)
    times, table, notes = _sorted(cells, name, found.values, table)
    if every is None:
        times, table, more = _single(cells, name, times, table)
        step = _even(cells.where, times)
    else:
        step, more = spacing.named(every), []
    numbers, table = _gathered(step.numbers(times), table, gather)
    unused = [each for each in cells.columns if each not in (name, *columns)]
    notes = [*found.notes, *notes, *more, *_unused(unused)]
    made = Series(Path(path).stem, columns, len(known), step, int(numbers[0]), *_NOTHING)
    return _filled(made, cells.where, numbers, table, notes)


_NOTHING = (np.zeros((0, 0)), np.zeros(0, bool), np.zeros((0, 0)))


def _date_column(cells: Cells, given: str | None) -> str:
    if given is not None:
        if given not in cells.columns:
            fix = did_you_mean(given, cells.columns)
            raise UsageError(f"there is no column {given!r}", where=cells.where, fix=fix)
        return given
    for place, name in enumerate(cells.columns):
        texts = [text for text in csvfile.texts(cells, name) if text is not None]
        sample = texts[:_SAMPLE]
        bare = place == 0 and bool(_DATED.search(name))
        if sample and dates.share(sample, numbers=bare) >= min(SHARE, 1 - 1.5 / len(sample)):
            return name
    what = "there is no column of dates"
    raise DataError(what, where=cells.where, fix="write dates as 2024-12-31, or name their column")


def _dates(cells: Cells, name: str, day_first: bool | None) -> dates.Dates:
    return dates.parse(csvfile.texts(cells, name), day_first=day_first, where=cells.where)


def _is_numeric(cells: Cells, name: str) -> bool:
    found = csvfile.numbers(cells, name)
    return not found.bad and not np.isnan(found.values).all()


def _columns(
    cells: Cells, date: str, target: str | None, past: Sequence[str], known: Sequence[str]
) -> tuple[str, ...]:
    """The target and the further columns. UsageError for names that are not there or there twice"""
    others = [name for name in cells.columns if name != date]
    if target is None:
        given = {*past, *known}
        numeric = [name for name in others if name not in given and _is_numeric(cells, name)]
        if not numeric:
            _refuse_nearly_numeric(cells, others)
            what = "there is no column of numbers beside the dates"
            raise DataError(what, where=cells.where, fix="name the column: --target COLUMN")
        target = numeric[-1]
    names = (target, *past, *known)
    for name in names:
        if name not in others:
            fix = did_you_mean(name, others)
            raise UsageError(f"there is no column {name!r}", where=cells.where, fix=fix)
        if names.count(name) > 1:
            raise UsageError(f"the column {name!r} is named twice", fix="name it once")
    return names


def _refuse_nearly_numeric(cells: Cells, names: Sequence[str]) -> None:
    """Raise DataError for a column in which few cells are no numbers: these are mistakes."""
    for name in reversed(names):
        bad = csvfile.numbers(cells, name).bad
        if bad and _is_nearly_numeric(cells, name):
            csvfile.refuse_bad_number(cells, name, bad)


def _is_nearly_numeric(cells: Cells, name: str) -> bool:
    """Whether a column holds numbers, but for a few cells."""
    found = csvfile.numbers(cells, name)
    few = len(found.bad) <= (1 - SHARE) * len(found.values)
    return few and not np.isnan(found.values).all()


def _numbers(cells: Cells, name: str) -> Array:
    found = csvfile.numbers(cells, name)
    if found.bad:
        csvfile.refuse_bad_number(cells, name, found.bad)
    return found.values


def _refuse_bad_date(cells: Cells, name: str, bad: list[tuple[int, str]]) -> None:
    row, cell = bad[0]
    raise DataError(
        f"column {name!r} holds dates, but here stands {cell!r}",
        where=f"{cells.where}, line {cells.lines[row]}",
        fix="write it as 2024-12-31, or leave the row out",
    )


def _unused(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    shown = ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
    return [f"not used: {shown} (--past and --known name columns to learn from)"]


# ------------------------------------------------------------------------- order and spacing


def _sorted(cells: Cells, name: str, times: Array, table: Array) -> tuple[Array, Array, list[str]]:
    """The rows with a date, by date."""
    dated = np.flatnonzero(~np.isnat(times))
    notes = []
    if len(dated) < len(times):
        notes.append(f"{len(times) - len(dated):,} rows have no date in {name!r}: left out")
    if not len(dated):
        raise DataError(f"the column {name!r} has no dates", where=cells.where)
    times, table = times[dated], table[dated]
    if (np.diff(times.astype(np.int64)) < 0).any():
        notes.append("the rows are not in the order of their dates: sorted")
    order = np.argsort(times, kind="stable")
    return times[order], table[order], notes


def _single(cells: Cells, name: str, times: Array, table: Array) -> tuple[Array, Array, list[str]]:
    """Each date once; DataError where rows of one date differ."""
    again = np.flatnonzero(times[1:] == times[:-1]) + 1
    if not len(again):
        return times, table, []
    same = (table[again] == table[again - 1]) | np.isnan(table[again]) & np.isnan(table[again - 1])
    if not same.all():
        date = stamp(times[again[np.argmin(same.all(1))]])
        what = f"there are rows with the same date and different values: {date}"
        column = several.told_apart_by(cells, name)
        fix = "" if column is None else f"take one series, --only '{column[0]}={column[1]}', or "
        raise DataError(what, where=cells.where, fix=f"{fix}gather: --every day --gather sum")
    keep = np.setdiff1d(np.arange(len(times)), again)
    return times[keep], table[keep], [f"{len(again):,} rows are there twice: taken once"]


def _even(where: str, times: Array) -> Spacing:
    if len(times) < 3:
        raise DataError(f"{len(times)} dates are no series", where=where, fix="give more rows")
    step = spacing.find(times)
    if step is not None and step.gaps(times) < len(times):
        return step
    steps = np.diff(times.astype(np.int64)) / spacing.DAY
    what = f"the dates are not evenly spaced: {steps.min():.6g} to {steps.max():.6g} days apart"
    fix = "gather the rows: --every day, hour, week, month …; or --model mlp, if this is no series"
    raise DataError(what, where=where, fix=fix)


def _gathered(numbers: Array, table: Array, how: str) -> tuple[Array, Array]:
    """One row for each number, of the rows that have it; missing values do not count."""
    each, group = np.unique(numbers, return_inverse=True)
    made = np.full((len(each), table.shape[1]), np.nan)
    for column in range(table.shape[1]):
        there = np.flatnonzero(~np.isnan(table[:, column]))
        values, groups = table[there, column], group[there]
        if how == "last":
            made[groups, column] = values  # later rows replace earlier ones
            continue
        counts = np.bincount(groups, minlength=len(each))
        sums = np.bincount(groups, values, len(each))
        some = counts > 0
        made[some, column] = sums[some] / (counts[some] if how == "mean" else 1)
    return each, made


# ------------------------------------------------------------------------------------ gaps


def _filled(made: Series, where: str, numbers: Array, table: Array, notes: list[str]) -> Series:
    """The series without gaps, from its first whole row to its last target."""
    count = int(numbers[-1] - numbers[0]) + 1
    whole = np.full((count, table.shape[1]), np.nan)
    whole[numbers - numbers[0]] = table
    there = ~np.isnan(whole[:, 0])
    carried = _carried(whole)
    starts = np.flatnonzero(~np.isnan(carried).any(1))
    if not there.any() or not len(starts):
        what = f"the column {made.target!r} has no values"
        raise DataError(what, where=where, fix="choose another target")
    start, end = int(starts[0]), int(np.flatnonzero(there)[-1]) + 1
    notes += _gap_notes(made, whole[start:end], numbers[-1] - numbers[0] + 1 - end)
    ahead = carried[end:, carried.shape[1] - made.known :]
    return replace(
        made,
        first=made.first + start,
        table=carried[start:end],
        there=there[start:end],
        ahead=ahead if made.known else np.zeros((0, 0)),
        notes=tuple(notes),
    )


def _carried(table: Array) -> Array:
    """Each missing value replaced by the last one before it; NaN where there is none."""
    rows = np.where(np.isnan(table), 0, np.arange(len(table))[:, None])
    last = np.maximum.accumulate(rows, axis=0)
    return np.take_along_axis(table, last, axis=0)


def _gap_notes(made: Series, table: Array, beyond: int) -> list[str]:
    notes = []
    for name, column in zip(made.columns, table.T, strict=True):
        missing = int(np.isnan(column).sum())
        if missing:
            notes.append(
                f"{name!r}: {missing:,} of {len(column):,} values are missing; the last one "
                f"before is carried on" + (", and not learned" if name == made.target else "")
            )
    if beyond:
        notes.append(f"the last {beyond:,} rows have no {made.target!r}: forecasts begin there")
    return notes
