"""CSV files and JSON Lines without texts as tables to be looked at.

Not here: what kind a column is of (`cells.py`). Next: `texts.py`.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Mapping, Sequence

import numpy as np

from kedja.data import csvfile
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.inspection import cells
from kedja.inspection.subject import Array, Column, Subject

NO_LABEL = "none"

# Columns with these names say who labelled, or which thing an example is about.
ANNOTATOR = re.compile(r"annotator|rater|coder|labell?er|worker(_?id)?", re.IGNORECASE)
ITEM = re.compile(r"item(_?id)?|id", re.IGNORECASE)


def from_csv(path: str | os.PathLike[str], label: str | None) -> Subject:
    """A CSV file; the label is the column of that name, the last where it is None."""
    read = csvfile.read(path)
    places = [f"line {line}" for line in read.lines]
    return table(read.where, read.columns, places, label, decimal_comma=read.decimal_comma)


def table(
    where: str,
    columns: Mapping[str, Sequence[str]],
    places: Sequence[str],
    label: str | None,
    *,
    decimal_comma: bool = False,
) -> Subject:
    """Columns of cells as a table to be looked at."""
    name = _label(where, list(columns), label)
    made = {
        each: cells.column(each, values, decimal_comma=decimal_comma)
        for each, values in columns.items()
    }
    target = made.pop(name) if name is not None else None
    annotators, items = _who(made, target is not None)
    inputs = tuple(made.values())
    return Subject(
        os.path.basename(where),
        "table",
        places,
        keys_of(inputs, len(places)),
        None if target is None else cells.labels(target),
        inputs,
        items=items,
        annotators=annotators,
    )


def _label(where: str, names: list[str], label: str | None) -> str | None:
    if label == NO_LABEL and NO_LABEL not in names:
        return None
    if label is None:
        return names[-1] if len(names) > 1 else None
    if label not in names:
        fix = did_you_mean(label, names)
        raise UsageError(f"there is no column {label!r}", where=where, fix=fix)
    return label


def _who(
    made: dict[str, Column], labelled: bool
) -> tuple[Sequence[str] | None, Sequence[str] | None]:
    """Who labelled what, where a column says so and one thing was labelled more than once."""
    who = next((each for each in made if ANNOTATOR.fullmatch(each)), None)
    if who is None or not labelled:
        return None, None
    which = next((each for each in made if ITEM.fullmatch(each) and each != who), None)
    rest = [made[each] for each in made if each not in (who, which)]
    length = len(made[who].cells)
    items = made[which].cells if which else [key.hex() for key in keys_of(rest, length)]
    if len(set(items)) == length:
        return None, None
    annotators = made.pop(who).cells
    if which:
        made.pop(which)
    return annotators, items


def keys_of(columns: Sequence[Column], count: int) -> list[bytes]:
    """The same 16 bytes for rows whose cells are the same, columns that number rows left out.

    Numbers and dates are the same however they are written: 1,50 in one file and 1.5 in another.
    """
    used = [_written(each) for each in columns if not numbers_rows(each)]
    keys = []
    for row in range(count):
        text = "\x1f".join(cells[row] for cells in used)
        keys.append(hashlib.blake2b(text.encode(), digest_size=16).digest())
    return keys if used else [row.to_bytes(16) for row in range(count)]


def _written(column: Column) -> Sequence[str]:
    """The cells of a column, each value in one way of writing; those that are none as they are."""
    if column.numbers is None:
        return [cell.strip() for cell in column.cells]
    values = column.numbers.tolist()
    return [
        cell.strip() if math.isnan(value) else repr(value)
        for cell, value in zip(column.cells, values, strict=True)
    ]


_ID_NAME = re.compile(
    r"(?:^|[_.\s-])(?:id|uuid|guid|index|idx|row|nr|no|key)$|^(?:unnamed: |column )\d+$|[a-z]I[dD]$"
)


def is_named_id(name: str) -> bool:
    """Whether a column is called as those that say which thing a row is about.

    >>> [is_named_id(name) for name in ("patient_id", "userId", "Unnamed: 0", "paid")]
    [True, True, True, False]
    """
    return bool(_ID_NAME.search(name) or _ID_NAME.search(name.lower()))


def numbers_rows(column: Column) -> bool:
    """Whether a column gives each row a name or a number of its own.

    Whole numbers that are all different do so if they are called like it or follow each other
    by one; texts that are all different if they are called like it.
    """
    if column.missing.any() or len(set(column.cells)) < len(column.cells):
        return False
    if column.numbers is None:
        return is_named_id(column.name)
    whole = bool((column.numbers == np.rint(column.numbers)).all())
    return whole and (is_named_id(column.name) or counts_up(column.numbers))


def counts_up(values: Array) -> bool:
    """Whether each number is one more, or one less, than that of the row before."""
    return len(values) > 2 and bool((np.abs(np.diff(values)) == 1).all())
