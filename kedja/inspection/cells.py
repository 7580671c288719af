"""Cells as columns: numbers, dates, categories or texts; what stands in disguise for a missing one.

Not here: reading files (`reading.py`), what is wrong with a column (`columns.py`).
Next: `reading.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.data import csvfile, dates
from kedja.ground.errors import DataError
from kedja.inspection.subject import Array, Column, Labels

# A column in which so many of the cells are numbers is one of numbers; so for dates.
SHARE = 0.95
# A number with so few different values, whole ones seen twice on average, may name classes.
MOST_NUMBER_CLASSES = 20
# Texts with more different values than this are no categories.
MOST_CATEGORIES = 100

# Words for "missing" that `csvfile.MISSING` does not take for it, in lower case.
WORDS = frozenset((
    "none", "unknown", "missing", "undefined", "n.a.", "na.", "nil", "#n/a", "#na", "#value!",
    "#ref!", "#div/0!", "..", "...", "--", "---", "??", "???", "inf", "-inf", "not available",
    "not known", "no data", "nodata", "tbd", "unbekannt", "(null)", "<na>",
))  # fmt: skip

_DAY = 86_400e6  # microseconds
_LOOKED_AT = 50  # cells that are looked at for dates
_UNIT = re.compile(r"^\s*[€$£¥]?\s*([-+]?\d[\d ,.'’]*)\s*(?:[€$£¥%]|[a-zA-Z°²³/]{1,6})?\s*$")


def column(name: str, cells: Sequence[str], *, decimal_comma: bool = False) -> Column:
    """A column from its cells, of the kind that nearly all of them are."""
    missing = np.array([_is_missing(cell) for cell in cells], bool)
    if missing.all():
        return Column(name, "empty", cells, missing)
    numbers, bad = _numbers(cells, decimal_comma)
    good = int(np.isfinite(numbers).sum())
    if good and (not bad or good >= SHARE * (good + len(bad)) or (len(bad) == 1 and good > 9)):
        return Column(name, "number", cells, missing, numbers, tuple(bad))
    return _dates(name, cells, missing) or _of_texts(name, cells, missing)


def _of_texts(name: str, cells: Sequence[str], missing: Array, unclear: str = "") -> Column:
    distinct = len({cell.strip() for cell in cells})
    few = distinct <= min(MOST_CATEGORIES, max(2, len(cells) // 2))
    return Column(name, "category" if few else "text", cells, missing, unclear=unclear)


def _is_missing(cell: str) -> bool:
    return cell.strip().lower() in csvfile.MISSING


def _numbers(cells: Sequence[str], comma: bool) -> tuple[Array, list[tuple[int, str]]]:
    texts = [cell.replace(",", ".") for cell in cells] if comma else cells
    values = [_number(text) for text in texts]
    bad = [(row, cells[row]) for row, value in enumerate(values) if value is None]
    return np.array([math.nan if v is None else v for v in values], np.float64), bad


def _number(text: str) -> float | None:
    """A number that is not beyond all reason, NaN for a missing one, None for anything else."""
    if _is_missing(text):
        return math.nan
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) <= csvfile.LARGEST and "_" not in text else None


def is_number(cell: str) -> bool:
    """Whether a cell is a number as it stands."""
    value = _number(cell)
    return value is not None and not math.isnan(value)


def plain_number(cell: str) -> float | None:
    """The number in a cell that is written with a unit, a currency or thousands' marks.

    >>> plain_number("1,234 kg"), plain_number("$5"), plain_number("B12")
    (1234.0, 5.0, None)
    """
    match = _UNIT.match(cell)
    if not match:
        return None
    digits = re.sub(r"[ '’]|,(?=\d{3}\b)", "", match.group(1)).replace(",", ".")
    return _number(digits)


# --------------------------------------------------------------------------------------- dates


def _dates(name: str, cells: Sequence[str], missing: Array) -> Column | None:
    """The column where nearly all cells are dates; None where they are not.

    Where days and months cannot be told apart, days are taken to come first, and that is noted.
    """
    known = [None if gone else cell for cell, gone in zip(cells, missing.tolist(), strict=True)]
    there = [cell for cell in known if cell is not None]
    if dates.share(there[:: max(1, len(there) // _LOOKED_AT)], numbers=False) < SHARE:
        return None
    unclear = ""
    try:
        found = dates.parse(known, numbers=False)
    except DataError as error:
        unclear = error.what
        try:
            found = dates.parse(known, numbers=False, day_first=True)
        except DataError:
            return _of_texts(name, cells, missing, unclear)
    if len(found.bad) > (1 - SHARE) * len(there) + 1 or (unclear and found.bad):
        return _of_texts(name, cells, missing, unclear) if unclear else None
    days = found.values.astype("M8[us]").astype(np.int64) / _DAY
    numbers = np.where(np.isnat(found.values), np.nan, days)
    return Column(name, "date", cells, missing, numbers, tuple(found.bad), unclear)


# -------------------------------------------------------------------------------------- labels


def labels(found: Column) -> Labels:
    """A column as labels: classes, or numbers to be predicted where they are many or no whole."""
    if found.kind == "number" and found.numbers is not None and not _few(found.known):
        return Labels(found.name, (), np.empty(0, np.int64), found.numbers)
    return classes(found.name, [None if gone else cell.strip() for gone, cell in _pairs(found)])


def _pairs(found: Column) -> list[tuple[bool, str]]:
    return list(zip(found.missing.tolist(), found.cells, strict=True))


def classes(name: str, names: Sequence[str | None]) -> Labels:
    """Labels from the name of each example's class, None where there is none."""
    known = {each for each in names if each is not None}
    ordered = sorted(known, key=_by_value)
    codes = {each: code for code, each in enumerate(ordered)}
    return Labels(
        name,
        tuple(ordered),
        np.array([-1 if each is None else codes[each] for each in names], np.int64),
    )


def _by_value(name: str) -> tuple[float, str]:
    value: Any = _number(name)
    return (value, name) if value is not None and not math.isnan(value) else (math.inf, name)


def _few(values: Array) -> bool:
    """Whether numbers name classes: few whole ones, each seen twice on average."""
    distinct = np.unique(values)
    few = len(distinct) <= min(MOST_NUMBER_CLASSES, max(2, len(values) // 2))
    return few and bool((distinct == np.rint(distinct)).all())
