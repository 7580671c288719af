"""CSV files as columns of text cells, and the cells of one column as numbers or texts.

Not here: numbers with marks and units (`written.py`), which column is what (`table.py`).
Next: `written.py`.

UTF-8, with or without a byte-order mark; separated by commas, semicolons, tabs or bars, whichever
divides the header into most names; quoted as spreadsheets do; the first line names the columns.
Where semicolons separate, a comma inside a number is a decimal point, as such files are written.
Every error names the line (from 1, as editors count) and, where there is one, the column.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from kedja.data import written
from kedja.ground.errors import DataError

Array = np.ndarray[Any, np.dtype[Any]]

# Cells are held as Python texts: short ones take some twenty times the file's size in memory,
# 2.4 GB for a file of this size.
MAX_BYTES = 128 * 1024**2
HEAD_BYTES = 64 * 1024

DELIMITERS = (",", ";", "\t", "|")

# How a missing value is written, in any case.
MISSING = frozenset({"", "na", "n/a", "nan", "null", "?", "-"})

# Numbers beyond this are mistakes, and their squares would overflow.
LARGEST = 1e100

_FIX_TABLE = "give a CSV file: one line of column names, then one line per row"


@dataclass(frozen=True)
class Cells:
    """A table of texts: `columns` by name, in the file's order, and each row's first line."""

    where: str
    columns: dict[str, list[str]]
    lines: list[int]
    decimal_comma: bool

    def __len__(self) -> int:
        return len(self.lines)


@dataclass(frozen=True)
class Numbers:
    """One column read as numbers: float64 (N,), NaN where missing, and the cells that are none.

    `bad` holds (row, cell); their values are NaN too. `told` says what was taken off the numbers,
    such as marks of thousands, empty for nothing.
    """

    values: Array
    bad: list[tuple[int, str]]
    told: str = ""


def read(path: str | os.PathLike[str]) -> Cells:
    """Read a CSV file into text cells.

    Raises DataError for a missing, empty, binary, oversized or wrongly encoded file, for a
    missing or ambiguous header, and for rows of another length than the header's.
    """
    where = os.fspath(path)
    return _cells(_decode(_load(where), where), where)


def head(path: str | os.PathLike[str]) -> Cells:
    """The first rows of a CSV file, enough to see what it is; raises as `read` does."""
    where = os.fspath(path)
    try:
        with open(where, "rb") as file:
            start = file.read(HEAD_BYTES)
    except OSError as error:
        raise DataError(f"cannot read: {error.strerror}", where=where) from error
    whole = len(start) < HEAD_BYTES
    return _cells(_decode(start if whole else start[: start.rfind(b"\n") + 1], where), where)


@contextmanager
def _cells_of_any_length() -> Iterator[None]:
    """Without the csv module's own bound of 128 KiB: a review, a page of HTML may be longer."""
    before = csv.field_size_limit(MAX_BYTES)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _cells(text: str, where: str) -> Cells:
    with _cells_of_any_length():
        return _divided(text, where)


def _divided(text: str, where: str) -> Cells:
    delimiter = _delimiter(text)
    records = _records(text, delimiter, where)
    names = _header(*next(records), where)
    lines, rows = [], []
    for line, row in records:
        if len(row) != len(names):
            _refuse_ragged(row, names, f"{where}, line {line}")
        lines.append(line)
        rows.append(row)
    if not rows:
        raise DataError("there are no rows after the header", where=where, fix=_FIX_TABLE)
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    return Cells(where, columns, lines, delimiter == ";")


def numbers(cells: Cells, name: str) -> Numbers:
    """Read a column as numbers; what is neither a number nor missing is listed in `bad`."""
    texts = cells.columns[name]
    if cells.decimal_comma:
        texts = [text.replace(",", ".") for text in texts]
    # Python would take 12_3 for 123.
    if not any("_" in text for text in texts):
        try:
            values = np.array([float(text) for text in texts], np.float64)
        except ValueError:
            pass
        else:
            if not (np.abs(values) > LARGEST).any():
                return Numbers(values, [])
    known = {text: _number(text) for text in set(texts)}  # texts of categories come again
    return _as_written(cells, name, [known[text] for text in texts])


def texts(cells: Cells, name: str) -> list[str | None]:
    """Read a column as texts, without surrounding blanks, None where missing."""
    stripped = (cell.strip() for cell in cells.columns[name])
    return [None if text.lower() in MISSING else text for text in stripped]


def refuse_bad_number(cells: Cells, name: str, bad: list[tuple[int, str]]) -> NoReturn:
    """Raise DataError for the first cell of a number column that holds no number."""
    fix = "correct the cell, or leave it empty if the value is missing"
    refuse_bad(cells, name, bad, "numbers", fix)


def refuse_bad(
    cells: Cells, name: str, bad: list[tuple[int, str]], kind: str, fix: str
) -> NoReturn:
    """Raise DataError for the first cell of a column that does not hold what the others do."""
    row, cell = bad[0]
    also = f" (and {len(bad) - 1} more in this column)" if len(bad) > 1 else ""
    raise DataError(
        f"column {name!r} holds {kind}, but here {_shown(cell)}{also}",
        where=f"{cells.where}, line {cells.lines[row]}",
        fix=fix,
    )


def _load(where: str) -> bytes:
    try:
        with open(where, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:
                what = f"the file has {size:,} bytes; CSV files up to {MAX_BYTES:,} are read"
                raise DataError(what, where=where, fix="give a sample of its rows")
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"cannot read: {reason}", where=where, fix="check the path") from error


def _decode(data: bytes, where: str) -> str:
    if not data.strip():
        raise DataError("the file is empty", where=where, fix=_FIX_TABLE)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError("the text is UTF-16, not UTF-8", where=where, fix="save the file as UTF-8")
    if data.startswith(b"\x1f\x8b") or b"\0" in data:
        raise DataError("this is a binary file, not CSV", where=where, fix=_FIX_TABLE)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + data.count(b"\n", 0, error.start)
        what = f"byte {data[error.start]:#04x} is not UTF-8 text"
        raise DataError(
            what, where=f"{where}, line {line}", fix="save the file as UTF-8"
        ) from error
    if not text.strip():
        raise DataError("the file is empty", where=where, fix=_FIX_TABLE)
    return text


def _delimiter(text: str) -> str:
    """The delimiter that divides the header into most names; a comma if none does."""
    first = re.match(r"\s*(.*)", text)
    header = first.group(1) if first else ""
    return max(DELIMITERS, key=lambda mark: _count_names(header, mark))


def _count_names(header: str, mark: str) -> int:
    try:
        return len(next(csv.reader([header], delimiter=mark)))
    except csv.Error:
        return 0


def _records(text: str, delimiter: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """Each record and the line on which it starts. Empty lines are passed over."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for row in reader:
            if row:
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        what = f"the row that starts here cannot be read: {error}"
        raise DataError(what, where=f"{where}, line {line}", fix="check its quotes") from error


def _header(line: int, row: list[str], file: str) -> list[str]:
    """The columns' names; one without a name is called by its number."""
    where = f"{file}, line {line}"
    names = [cell.strip() or f"column {number}" for number, cell in enumerate(row, 1)]
    if all(_number(cell) is not None for cell in row):
        what = f"the first line holds numbers ({', '.join(row[:3])}), not the names of the columns"
        raise DataError(what, where=where, fix="add a line of column names at the top")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        what = f"{count} columns are called {name!r}"
        raise DataError(what, where=where, fix="give each column its own name")
    return names


def _refuse_ragged(row: list[str], names: list[str], where: str) -> NoReturn:
    what = f"the row has {len(row)} cells, the header has {len(names)}"
    fix = "add or remove cells; quote a cell that holds the separator"
    raise DataError(what, where=where, fix=fix)


def _number(text: str) -> float | None:
    """The number that a cell holds: NaN where it is missing, None where it holds something else."""
    if text.strip().lower() in MISSING:
        return np.nan
    try:
        value = float(text)
    except ValueError:
        return None
    return None if "_" in text or not abs(value) <= LARGEST else value


def _as_written(cells: Cells, name: str, plain: list[float | None]) -> Numbers:
    """Plain numbers, and those with marks and units, if all of the column have the same."""
    given, comma = cells.columns[name], cells.decimal_comma
    unclear = {cell for cell, value in zip(given, plain, strict=True) if value is None}
    found = {cell: written.number(cell, decimal_comma=comma) for cell in unclear}
    mark, unit = written.usual([found[cell] for cell in given if cell in unclear])
    if mark == ".":  # then 1.234 is no plain number either
        found = {cell: written.number(cell, decimal_comma=True) for cell in set(given)}
    taken = {
        cell: each.value
        for cell, each in found.items()
        if each is not None and written.fits(each, mark, unit)
    }
    values = [taken.get(cell, value) for cell, value in zip(given, plain, strict=True)]
    bad = [(row, given[row]) for row, value in enumerate(values) if value is None]
    numbers = np.array([np.nan if v is None else v for v in values], np.float64)
    return Numbers(numbers, bad, written.told(mark, unit))


def _shown(cell: str) -> str:
    return f"stands {cell!r}" if len(cell) <= 40 else f"stands {cell[:40]!r}…"
