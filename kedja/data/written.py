"""Numbers as people write them: 1,234.50, 1 234, $99, 12 %.

One writing for a column: cells with other marks or another unit than the first are no numbers.
Plain numbers may stand among them. Not here: plain numbers and files (`csvfile.py`).
Next: `csvfile.py`.

| where a decimal is written with | thousands are parted by          |
|---------------------------------|----------------------------------|
| a point                         | comma, blank, apostrophe         |
| a comma (semicolons separate)   | point, blank, apostrophe         |
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

UNITS = "€$£¥%"
_BLANKS = " \u00a0\u202f"
_QUOTES = "'\u2019"
_SAME = {**dict.fromkeys(_BLANKS, " "), **dict.fromkeys(_QUOTES, "'")}


class Written(NamedTuple):
    """A number with what marks its thousands and what unit it has, empty where it has none."""

    value: float
    mark: str
    unit: str


def _pattern(point: str, group: str) -> re.Pattern[str]:
    marks = f"[{re.escape(group)}{_BLANKS}{_QUOTES}]"
    digits = rf"\d{{1,3}}(?:(?P<mark>{marks})\d{{3}}(?:(?P=mark)\d{{3}})*)?|\d+"
    tail = rf"(?:{re.escape(point)}\d*)?"
    unit, blank = f"[{UNITS}]?", f"[{_BLANKS}]?"
    return re.compile(
        rf"(?P<sign>[-+]?)(?P<before>{unit}){blank}(?P<digits>(?:{digits}){tail}){blank}"
        rf"(?P<behind>{unit})"
    )


_POINT, _COMMA = _pattern(".", ","), _pattern(",", ".")


def number(cell: str, *, decimal_comma: bool = False) -> Written | None:
    """What a cell says; None where it is no number.

    >>> number("1,234.50"), number("$ 5"), number("12,34")
    (Written(value=1234.5, mark=',', unit=''), Written(value=5.0, mark='', unit='$'), None)
    >>> number("-1.234,5 %", decimal_comma=True)
    Written(value=-1234.5, mark='.', unit='%')
    """
    match = (_COMMA if decimal_comma else _POINT).fullmatch(cell.strip())
    if match is None or (match["before"] and match["behind"]):
        return None
    mark = match["mark"] or ""
    digits = match["digits"].replace(mark, "") if mark else match["digits"]
    value = float(match["sign"] + digits.replace(",", "."))
    return Written(value, _SAME.get(mark, mark), match["before"] or match["behind"])


def usual(found: Sequence[Written | None]) -> tuple[str, str]:
    """The mark and the unit of a column: those of the first cell that has one."""
    mark = next((each.mark for each in found if each and each.mark), "")
    unit = next((each.unit for each in found if each and each.unit), "")
    return mark, unit


def fits(found: Written, mark: str, unit: str) -> bool:
    """Whether a number is written as its column is: with that mark and unit, or without."""
    return found.mark in ("", mark) and found.unit in ("", unit)


def told(mark: str, unit: str) -> str:
    """What was taken off the numbers of a column, for people; empty for nothing.

    >>> told(",", "$")
    "',' between thousands and '$'"
    """
    parts = [f"{mark!r} between thousands"] if mark else []
    return " and ".join([*parts, *([repr(unit)] if unit else [])])
