"""Columns that broke on the way: a value that got stuck, and units that changed.

*Stuck.* A value repeats that of the row before with some probability, measured where the column is
not stuck: the largest of how often rows repeat, how often this value repeats, and how common it is.
A run of L equal values then has a chance of at most N · p^(L − 1). Where numbers are cut off at a
bound (`capped.py`), rows that have it are not stuck.

*Units.* From one row on, or here and there, numbers are larger by a known factor (1000, 2.54 …).
Here and there, they must lie beyond a gap that their own tail does not explain.
Said only where the parts differ beyond chance, are alike after division by the factor, and neither
the labels nor most of the other columns differ between the same rows.

Not here: single values far from all others (`outliers.py`). Next: `outliers.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from kedja.inspection.capped import caps
from kedja.inspection.chance import LEVEL, said, same_distribution
from kedja.inspection.finding import Finding
from kedja.inspection.look import Look
from kedja.inspection.subject import Array, Column

FACTORS = {
    **{f"{10**power:,}": 10.0**power for power in range(1, 7)},
    "2.54 (inches and centimetres)": 2.54,
    "25.4 (inches and millimetres)": 25.4,
    "3.281 (metres and feet)": 3.2808,
    "30.48 (feet and centimetres)": 30.48,
    "1.609 (miles and kilometres)": 1.6093,
    "2.205 (kilograms and pounds)": 2.2046,
    "28.35 (ounces and grams)": 28.3495,
    "60": 60.0,
    "3600": 3600.0,
}
_NEAR = 0.06  # how far a ratio of medians may be from a factor, as a logarithm
_FEWEST_VALUES = 20
_FEWEST = 5  # rows of each part
_OTHERS = 50  # columns that are asked whether they change, too, at most
_ALIKE = 0.05  # the chance above which two parts pass for one


def broken(look: Look) -> Iterator[Finding]:
    """Columns with a stuck value or with changed units."""
    columns = [
        each
        for each in look.data.columns
        if each.kind == "number" and len(np.unique(each.known)) >= _FEWEST_VALUES
    ]
    for column in columns:
        yield from _stuck(look, column, LEVEL / len(columns))
        yield from _units(look, column, LEVEL / len(columns))


# ----------------------------------------------------------------------------------------- stuck


class Run(NamedTuple):
    """A run of equal values: its first row, its length, and its chance."""

    start: int
    length: int
    chance: float


def longest_run(values: Array) -> Run:
    """The longest run of equal numbers, and how probable one as long is."""
    same = values[1:] == values[:-1]
    starts = np.flatnonzero(np.r_[True, ~same])
    lengths = np.diff(np.r_[starts, len(values)])
    place = int(lengths.argmax())
    start, length = int(starts[place]), int(lengths[place])
    rest = np.r_[same[:start], same[start + length - 1 :]]
    others = np.r_[values[:start], values[start + length :]]
    alike = others == values[start]
    again = rest[: len(others)] & alike[: len(rest)]
    rates = (
        (int(rest.sum()) + 1) / (len(rest) + 2),
        (int(alike.sum()) + 1) / (len(others) + 2),
        int(again.sum()) / max(int(alike.sum()), 1),
    )
    return Run(start, length, min(1.0, len(values) * max(rates) ** (length - 1)))


def _stuck(look: Look, column: Column, level: float) -> Iterator[Finding]:
    assert column.numbers is not None
    found = longest_run(column.numbers)
    if found.chance >= level or column.numbers[found.start] in caps(column.numbers):
        return
    rows = range(found.start, found.start + found.length)
    first, last = look.data.places[rows[0]], look.data.places[rows[-1]]
    yield Finding(
        "broken columns",
        "defect",
        f"column {column.name!r} is stuck at {column.cells[rows[0]].strip()} in {len(rows):,} rows "
        f"in a row, {first} to {last}",
        "leave these cells empty, or these rows out",
        look.data.named(rows),
        list(rows),
        found.chance,
        said(found.chance),
        {"column": column.name, "first": rows[0], "length": len(rows)},
    )


# ----------------------------------------------------------------------------------------- units


class Change(NamedTuple):
    """Rows whose numbers are larger or smaller than the others by a factor."""

    rows: Array
    factor: str
    larger: bool
    chance: float
    at: int | None


def _units(look: Look, column: Column, level: float) -> Iterator[Finding]:
    assert column.numbers is not None
    rows = np.flatnonzero(column.numbers > 0)
    if len(rows) < 0.9 * len(column.known) or len(rows) < 4 * _FEWEST:
        return
    logs = np.log(column.numbers[rows])
    both = (found for found in (_jump(logs, rows), _scattered(logs, rows)) if found is not None)
    surely = (each for each in both if each.chance < level)
    found = next((each for each in surely if not _others_differ(look, column, each)), None)
    if found is None:
        return
    where = "scattered rows"
    if found.at is not None:
        where = f"rows from {look.data.places[found.at]} on"
    yield Finding(
        "broken columns",
        "defect",
        f"column {column.name!r} seems to change its unit: {len(found.rows):,} {where} are "
        f"{'larger' if found.larger else 'smaller'} by the factor {found.factor}",
        "write all rows in one unit",
        look.data.named(found.rows),
        found.rows.tolist(),
        found.chance,
        f"no change at all, {said(found.chance)}",
        {"column": column.name, "factor": found.factor, "larger": found.larger},
    )


def _factor(ratio: float) -> str | None:
    """The known factor that a logarithm of a ratio is near to, if any."""
    near = {name: abs(abs(ratio) - math.log(value)) for name, value in FACTORS.items()}
    best = min(near, key=lambda name: near[name])
    return best if near[best] < _NEAR else None


def _jump(logs: Array, rows: Array) -> Change | None:
    """A change at one row: where the sums of what is above the mean are largest."""
    sums = np.cumsum(logs - logs.mean())[:-1]
    at = int(np.abs(sums).argmax()) + 1
    found = _change(logs[:at], logs[at:])
    if found is None:
        return None
    factor, larger, chance = found
    chance *= len(rows)  # of so many places, the likeliest was chosen
    second = len(rows) - at <= at  # the smaller part is called the changed one
    changed = rows[at:] if second else rows[:at]
    return Change(changed, factor, larger == second, chance, int(rows[at]) if second else None)


def _change(before: Array, after: Array) -> tuple[str, bool, float] | None:
    """The factor between two parts, whether the second is larger, and the chance of none."""
    if min(len(before), len(after)) < _FEWEST:
        return None
    ratio = float(np.median(after) - np.median(before))
    factor = _factor(ratio)
    if factor is None:
        return None
    step = math.copysign(math.log(FACTORS[factor]), ratio)
    chance = same_distribution(before, after)
    return (factor, step > 0, chance) if same_distribution(before, after - step) > _ALIKE else None


def _others_differ(look: Look, column: Column, found: Change) -> bool:
    """Whether the labels, or most of the other columns, differ between the changed rows and the
    others: then they are examples of another kind.
    """
    places = np.arange(len(look.data))
    changed = places >= found.at if found.at is not None else np.isin(places, found.rows)
    labels = look.data.labels
    if labels is not None:
        values = labels.codes if labels.values is None else labels.values
        if same_distribution(values[changed], values[~changed]) < LEVEL:
            return True
    others = [each.numbers for each in look.data.columns if each is not column]
    others = others[:: -(-len(others) // _OTHERS)] if others else others
    numbers = [each for each in others if each is not None]
    differ = [
        same_distribution(_finite(each[changed]), _finite(each[~changed])) < LEVEL
        for each in numbers
    ]
    return bool(differ) and 2 * sum(differ) > len(differ)


def _finite(values: Array) -> Array:
    kept: Array = values[np.isfinite(values)]
    return kept


def _scattered(logs: Array, rows: Array) -> Change | None:
    """Two heaps with a gap between them that is as wide as the larger heap."""
    order = np.argsort(logs, kind="stable")
    gaps = np.diff(logs[order])
    cut = int(gaps.argmax()) + 1
    low, high = order[:cut], order[cut:]
    fewer, more = (low, high) if len(low) < len(high) else (high, low)
    found = _change(logs[more], logs[fewer])
    if found is None or gaps[cut - 1] < np.ptp(np.percentile(logs[more], (2, 98))) / 2:
        return None
    factor, larger, _ = found
    chance = _gap_by_chance(gaps if fewer is low else gaps[::-1], len(fewer))
    return Change(np.sort(rows[fewer]), factor, larger, chance, None)


def _gap_by_chance(gaps: Array, place: int) -> float:
    """How probable a gap as wide is, of any, with so many values beyond it; `gaps` from the end.

    In a tail that falls as a power, i times the gap with i values beyond it is exponential, with
    one mean for all i (A. Rényi, 1953); tails that fall faster err towards silence.
    """
    widths = gaps[: max(len(gaps) // 2, place)] * np.arange(1, max(len(gaps) // 2, place) + 1)
    mean = float(np.delete(widths, place - 1).mean())
    return min(1.0, len(gaps) * math.exp(-float(widths[place - 1]) / max(mean, 1e-300)))
