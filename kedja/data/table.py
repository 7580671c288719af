"""CSV files as data sets: what each column is, which one is the target, which are of no use.

Not here: reading the text (`csvfile.py`), turning columns into features (`prepare.py`).
Next: `source.py`.

| a column is | if                                                   | it becomes               |
|-------------|------------------------------------------------------|--------------------------|
| numeric     | all its cells are numbers or missing                 | one standardised feature |
| an error    | 95 % of its cells are numbers, or all but one        | DataError with the line  |
| dated       | else, if so many of its different cells are dates    | time, month, weekday …   |
| categorical | else, with at most `MAX_CATEGORIES` different texts  | a feature for each text  |
| left out    | it is constant, empty, numbers the rows, or has more | a note                   |
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from kedja.data import csvfile, date_columns, dates, prepare
from kedja.data.csvfile import Cells
from kedja.data.dataset import Dataset, Split, divide
from kedja.data.prepare import (
    Categorical,
    Coded,
    Column,
    Dated,
    Numeric,
    RawColumn,
    TablePreparation,
    Target,
)
from kedja.ground.errors import DataError, UsageError
from kedja.ground.suggest import did_you_mean

Array = np.ndarray[Any, np.dtype[Any]]

MAX_CATEGORIES = 100
# Where texts become vectors, there may be more; texts of fewer rows are one category, the others,
# unless there are few rows altogether.
MAX_CODES = 10_000
RARE, RARE_ROWS = 3, 1000
# A whole-number target with at most so many values, each seen twice on average, names classes.
MAX_NUMBER_CLASSES = 20
MAX_TEXT_CLASSES = 1000
NUMERIC_SHARE = 0.95
# One feature per category can make a small file large.
MAX_INPUT_BYTES = 4 * 1024**3

# Texts that are all different are kept as categories only in tables smaller than this.
_FEW_ROWS = 20

CLASSIFICATION, REGRESSION = "classification", "regression"
_TASK_FIX = "name the other task, or another target"

# Whole numbers that are all different number the rows if the column is called like one of these.
_ID_NAME = re.compile(
    r"(?:^|[_.\s-])(?:id|index|idx|uuid|row|nr|key)$|^(?:unnamed: |column )\d+$|[a-z]I[dD]$",
)


def load(
    path: str | os.PathLike[str],
    *,
    target: str | None = None,
    seed: int = 0,
    pieces: int | None = None,
    task: str | None = None,
) -> Dataset:
    """Read a CSV file as a data set that predicts the column `target` (the last, if None).

    With `pieces` it is prepared for `kedja.models.TabularMLP`: numbers with the edges of at most so
    many pieces (0: as suits the number of rows), texts as category numbers, of which there may be
    more.

    Unless `task` says so, it is classification if the target holds texts or few whole numbers, else
    regression.
    Rows without a target are left out; a fifth of the others, drawn by `seed`, is for testing.
    Missing values are allowed everywhere else. Raises DataError, with the line where there is
    one, for files that cannot be read as such a table, and UsageError for an unknown target.
    """
    cells = csvfile.read(path)
    name = _target_name(cells, target)
    read = {column: typed(cells, column, dated=column != name) for column in cells.columns}
    columns = {column: each.values for column, each in read.items()}
    rows = np.flatnonzero(~_missing(columns[name]))
    with _located(cells.where):
        columns = {column: _take(raw, rows) for column, raw in columns.items()}
        classes, answers = _answers(name, columns.pop(name), task)
        train, test = divide(len(rows), seed, answers if classes else None)
        kept, notes = choose(columns, MAX_CATEGORIES if pieces is None else MAX_CODES)
        pieces = prepare.pieces_for(len(train)) if pieces == 0 else pieces
        first = {column: each.day_first for column, each in read.items()}
        fitted = fit({name: _take(raw, train) for name, raw in kept.items()}, pieces, first)
        _check_size(fitted, len(rows))
    if classes:
        goal = Target(name, classes)
        targets = answers
    else:
        goal = prepare.fit_number_target(name, answers[train])
        targets = goal.encode(answers)
    preparation = TablePreparation(fitted, goal)
    inputs = preparation.encode(kept)
    notes += read_notes(read, {*kept, name})
    notes += [*_target_notes(name, len(cells) - len(rows)), *_missing_notes(fitted, kept)]
    return Dataset(
        Path(path).stem,
        Split(inputs[train], targets[train]),
        Split(inputs[test], targets[test]),
        preparation,
        tuple(notes),
        rows[test],
    )


def read_inputs(path: str | os.PathLike[str], preparation: TablePreparation) -> Array:
    """Read the rows of a CSV file as inputs for a trained network: float32 (N, F).

    Columns that the network was not trained on, the target among them, are ignored. Raises
    DataError, naming file and column, for a missing column, and with the line for text where a
    number is expected.
    """
    cells = csvfile.read(path)
    raw = {
        column.name: _like(cells, column)
        for column in preparation.columns
        if column.name in cells.columns
    }
    with _located(cells.where):
        return preparation.encode(raw)


class Examples(NamedTuple):
    """Rows that have a target: inputs float32 (N, F), targets (N,), and which of the file's rows.

    Targets are class numbers, int64, or float32 in standard units.
    """

    inputs: Array
    targets: Array
    rows: Array


def read_examples(path: str | os.PathLike[str], preparation: TablePreparation) -> Examples:
    """The rows of a CSV file that have a target.

    Raises DataError as `read_inputs` does, and for a missing target column or classes that training
    did not have.
    """
    target, cells = preparation.target, csvfile.read(path)
    if target.name not in cells.columns:
        what = f"the target column {target.name!r} is missing"
        raise DataError(what, where=cells.where, fix="give rows whose target is known")
    inputs = read_inputs(path, preparation)
    if not target.classes:
        found = csvfile.numbers(cells, target.name)
        if found.bad:
            csvfile.refuse_bad_number(cells, target.name, found.bad)
        rows = np.flatnonzero(~np.isnan(found.values))
        return Examples(inputs[rows], target.encode(found.values[rows]), rows)
    codes = {text: code for code, text in enumerate(target.classes)}
    texts = [_class_text(text) for text in csvfile.texts(cells, target.name)]
    unknown = sorted({text for text in texts if text is not None and text not in codes})
    if unknown:
        what = f"{target.name!r} has values that training did not have: {', '.join(unknown[:5])}"
        raise DataError(what, where=cells.where)
    rows = np.flatnonzero([text is not None for text in texts])
    numbers = np.array([codes[text] for text in texts if text is not None], np.int64)
    return Examples(inputs[rows], numbers, rows)


def read_columns(path: str | os.PathLike[str]) -> dict[str, RawColumn]:
    """All columns of a CSV file: numbers or dates where all cells are, else texts with None."""
    cells = csvfile.read(path)
    found: dict[str, RawColumn] = {}
    for name in cells.columns:
        numbers = csvfile.numbers(cells, name)
        texts = csvfile.texts(cells, name) if numbers.bad else []
        times = date_columns.read(texts) if texts else None
        if times is not None and not times.bad:
            found[name] = times.values
        else:
            found[name] = texts or numbers.values
    return found


def _class_text(text: str | None) -> str | None:
    """A class as it is named: whole numbers without a point."""
    try:
        whole = text is not None and float(text).is_integer()
    except ValueError:
        return text
    return f"{float(text or 0):.0f}" if whole else text


@contextmanager
def _located(where: str) -> Iterator[None]:
    """Add the file to data errors that do not know it."""
    try:
        yield
    except DataError as error:
        if error.where is not None:
            raise
        raise DataError(error.what, where=where, fix=error.fix) from error


def _target_name(cells: Cells, target: str | None) -> str:
    names = list(cells.columns)
    if target is None:
        return names[-1]
    if target not in cells.columns:
        fix = did_you_mean(target, names)
        raise UsageError(f"there is no column {target!r}", where=cells.where, fix=fix)
    return target


class Typed(NamedTuple):
    """A column as it was read, what is to be told of the reading, and `Dates.day_first`."""

    values: RawColumn
    note: str = ""
    day_first: bool | None = None


def typed(cells: Cells, name: str, *, dated: bool = True) -> Typed:
    """A column as numbers if it is one of numbers, else (if `dated`) as dates, else as texts."""
    found = csvfile.numbers(cells, name)
    if not found.bad:
        return Typed(found.values, f"read without {found.told}" if found.told else "")
    good = int((~np.isnan(found.values)).sum())
    slips = len(found.bad)
    if good >= NUMERIC_SHARE * (good + slips) or (slips == 1 and good > 1):
        csvfile.refuse_bad_number(cells, name, found.bad)
    texts = csvfile.texts(cells, name)
    times = date_columns.read(texts) if dated else None
    if times is None:
        return Typed(texts)
    if times.bad:
        _refuse_bad_date(cells, name, times.bad)
    return Typed(times.values, "; ".join(times.notes), times.day_first)


def _refuse_bad_date(cells: Cells, name: str, bad: list[tuple[int, str]]) -> NoReturn:
    csvfile.refuse_bad(cells, name, bad, "dates", "write it as 2024-12-31, or leave it empty")


def _like(cells: Cells, column: Column) -> RawColumn:
    """A column of new rows, of the type that it had in training."""
    if isinstance(column, Categorical | Coded):
        return csvfile.texts(cells, column.name)
    if isinstance(column, Dated):
        return _dates_like(cells, column)
    found = csvfile.numbers(cells, column.name)
    if found.bad:
        csvfile.refuse_bad_number(cells, column.name, found.bad)
    return found.values


def _dates_like(cells: Cells, column: Dated) -> RawColumn:
    texts = csvfile.texts(cells, column.name)
    found = dates.parse(texts, numbers=False, day_first=column.day_first, where=cells.where)
    if found.bad:
        _refuse_bad_date(cells, column.name, found.bad)
    return found.values


def _missing(column: RawColumn) -> Array:
    """Which values are missing: bool (N,)."""
    if isinstance(column, np.ndarray):
        return np.isnat(column) if column.dtype.kind == "M" else np.isnan(column)
    return np.array([text is None for text in column])


def _distinct(column: RawColumn) -> list[Any]:
    """The different values of a column that lacks none, sorted."""
    if isinstance(column, np.ndarray):
        return np.unique(column).tolist()  # type: ignore[no-any-return]
    return sorted(set(column))  # type: ignore[arg-type]


def _take(column: RawColumn, rows: Array) -> RawColumn:
    if isinstance(column, np.ndarray):
        return column[rows]
    return [column[row] for row in rows.tolist()]


def _answers(
    name: str, column: RawColumn, task: str | None = None
) -> tuple[tuple[str, ...], Array]:
    """The classes and each row's class number, int64; or no classes and each row's number."""
    if not len(column):
        fix = "choose another target"
        raise DataError(f"the target column {name!r} is empty", fix=fix)
    if isinstance(column, np.ndarray) and _task(name, column, task) == REGRESSION:
        return (), column
    if task == REGRESSION:
        raise UsageError(f"{name!r} holds texts: there is no regression of them", fix=_TASK_FIX)
    values = _distinct(column)
    if len(values) == 1 < len(column):
        what = f"every row has the same target, {name} = {values[0]}"
        raise DataError(what, fix="choose another target")
    if len(values) > MAX_TEXT_CLASSES:
        what = f"the target column {name!r} has {len(values):,} different texts"
        raise DataError(what, fix=f"choose a target with at most {MAX_TEXT_CLASSES:,} classes")
    codes = {value: code for code, value in enumerate(values)}
    classes = tuple(v if isinstance(v, str) else f"{v:.0f}" for v in values)
    return classes, np.array([codes[value] for value in column], np.int64)


def _task(name: str, values: Array, task: str | None) -> str:
    """Which task a target of numbers is for: what is asked for, or else what they look like."""
    if task == CLASSIFICATION and (values != np.rint(values)).any():
        raise UsageError(f"{name!r} holds fractions, which name no classes", fix=_TASK_FIX)
    return task or (CLASSIFICATION if _are_classes(values) else REGRESSION)


def _are_classes(values: Array) -> bool:
    """Whether a number target names classes: it is constant, or few whole numbers, repeated."""
    distinct = np.unique(values)
    if len(distinct) == 1:
        return True
    few = len(distinct) <= min(MAX_NUMBER_CLASSES, max(2, len(values) // 2))
    return few and bool((distinct == np.rint(distinct)).all())


def choose(
    columns: Mapping[str, RawColumn], most: int = MAX_CATEGORIES
) -> tuple[dict[str, RawColumn], list[str]]:
    """The columns worth learning from, and a note for each of the others.

    Raises DataError where none is left.
    """
    reasons = {name: _useless(name, column, most) for name, column in columns.items()}
    kept = {name: column for name, column in columns.items() if reasons[name] is None}
    notes = [f"column {name!r} is left out: {why}" for name, why in reasons.items() if why]
    if not kept:
        what = "; ".join(["no column is left to learn from", *notes])
        raise DataError(what, fix="give a table with columns besides the target")
    return kept, notes


def _useless(name: str, column: RawColumn, most: int) -> str | None:
    """Why a column cannot help to predict, if it cannot."""
    missing = _missing(column)
    known = _take(column, np.flatnonzero(~missing))
    distinct = len(_distinct(known))
    rows = len(column)
    if distinct == 0:
        return "it has no values"
    if distinct == 1 and not missing.any():
        return "every row has the same value"
    if isinstance(known, np.ndarray):
        if known.dtype.kind == "M":
            return None
        whole = bool((known == np.rint(known)).all())
        return "it numbers the rows" if whole and distinct == rows and _is_id(name) else None
    if distinct > most:
        return f"it has {distinct:,} different texts, more than {most:,}"
    return "every row has its own text" if distinct == rows >= _FEW_ROWS else None


def _is_id(name: str) -> bool:
    return bool(_ID_NAME.search(name) or _ID_NAME.search(name.lower()))


def fit(
    train: Mapping[str, RawColumn],
    pieces: int | None = None,
    day_first: Mapping[str, bool | None] | None = None,
) -> tuple[Column, ...]:
    """How each column becomes features, from the training rows alone; `pieces` as for `load`.

    `day_first` says how columns of dates were read, by name.
    """
    first = day_first or {}
    return tuple(_fit(name, column, pieces, first.get(name)) for name, column in train.items())


def _fit(name: str, train: RawColumn, pieces: int | None, day_first: bool | None) -> Column:
    if isinstance(train, np.ndarray) and train.dtype.kind == "M":
        return prepare.fit_dated(name, train, pieces or 0, day_first)
    if isinstance(train, np.ndarray):
        return prepare.fit_numeric(name, train, pieces or 0)
    if pieces is None:
        return prepare.fit_categorical(name, train)
    return prepare.fit_coded(name, train, RARE if len(train) >= RARE_ROWS else 1)


def _check_size(columns: Sequence[Column], rows: int) -> None:
    features = sum(len(column.features) for column in columns)
    if 4 * rows * features > MAX_INPUT_BYTES:
        what = f"{rows:,} rows of {features:,} features do not fit into {MAX_INPUT_BYTES:,} bytes"
        raise DataError(what, fix="leave columns of text out, or give a sample of the rows")


def _target_notes(name: str, absent: int) -> list[str]:
    return [f"{absent:,} rows are left out: their {name!r} is missing"] if absent else []


def read_notes(read: Mapping[str, Typed], used: Collection[str]) -> list[str]:
    """What is to be told of the columns that are used."""
    return [f"column {name!r}: {each.note}" for name, each in read.items()
            if each.note and name in used]  # fmt: skip


def _missing_notes(columns: Sequence[Column], raw: dict[str, RawColumn]) -> list[str]:
    counts = ((column, int(_missing(raw[column.name]).sum())) for column in columns)
    return [
        f"column {column.name!r}: {count:,} missing values, {_filling(column)}"
        for column, count in counts
        if count
    ]


def _filling(column: Column) -> str:
    if isinstance(column, Numeric):
        mark = ", and marked in a feature of their own" if column.indicator else ""
        return f"filled with the training rows' median, {column.median:.6g}{mark}"
    if isinstance(column, Dated):
        return "filled with the training rows' medians"
    return f"counted as {prepare.OTHER!r}"
