"""Examples of rows whose answers are known, for a network of a run to be judged by.

They are the rows of the run's own data that were held out of its training, or those of another
file. Not here: what is said of the answers (`errors.py`, `importance.py`). Next: `errors.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kedja.cli import runs
from kedja.data import source, table
from kedja.data.dataset import Dataset
from kedja.data.prepare import Preparation, RawColumn, TablePreparation, Target
from kedja.ground.errors import DataError, UsageError
from kedja.inspection.judged import CLASS, Judged

Array = np.ndarray[Any, np.dtype[Any]]
Columns = Mapping[str, RawColumn]


class Rows(NamedTuple):
    """Inputs, targets (class numbers, or standard units), and all columns there are of them."""

    inputs: Array
    targets: Array
    columns: Columns


def rows(
    run: Path,
    preparation: Preparation,
    own: str,
    read: Callable[[], Dataset],
    data: str | None = None,
) -> Rows:
    """The held-out rows of a run's `own` data, which `read()` gives, or the rows of `data`.

    Raises UsageError where the run's own data are not what it was trained on any more, DataError
    as the readers do.
    """
    if data is not None:
        return _of(preparation, data)
    found = read()
    if found.preparation != preparation:
        what = f"{own} is not what {run} was trained on any more"
        raise UsageError(what, fix="name the data to look at after the run")
    return _held_out(found, own)


def _of(preparation: Preparation, data: str) -> Rows:
    """All rows of a file, or the test pictures of a data set."""
    if isinstance(preparation, TablePreparation):
        given = table.read_examples(data, preparation)
        columns = _taken(table.read_columns(data), given.rows)
        return Rows(given.inputs, given.targets, columns)
    found = source.load(data)
    if found.preparation != preparation:
        what = f"{data} holds other pictures than the run was trained on"
        raise DataError(what, fix="give pictures of the same size and classes")
    return _held_out(found, data)


def _held_out(found: Dataset, file: str) -> Rows:
    x, y = found.test.inputs, found.test.targets
    if found.test_rows is None:
        names = found.preparation.target.classes
        return Rows(x, y, {found.target_name: [names[int(code)] for code in y]})
    return Rows(x, y, _taken(table.read_columns(file), found.test_rows))


def _taken(columns: Columns, places: Array) -> Columns:
    """These rows of each column."""

    def taken(column: RawColumn) -> RawColumn:
        if isinstance(column, np.ndarray):
            return column[places]
        return [column[place] for place in places.tolist()]

    return {name: taken(column) for name, column in columns.items()}


def by_numbers(data: str, target: Target, given: Rows, answers: Array) -> Judged:
    """Answers (N,), class numbers or standard units, as what they are worth."""
    if target.classes:
        values = answers != given.targets
    else:
        values = np.abs(answers - given.targets).astype(np.float64) * target.std
    return Judged(data, target.name, values, given.columns)


def by_names(
    data: str,
    true: Sequence[str],
    said: Sequence[str],
    columns: Mapping[str, Sequence[Any] | Array],
    files: Sequence[str] = (),
) -> Judged:
    """Answers by name, beside what is true."""
    values = np.array([one != other for one, other in zip(said, true, strict=True)], bool)
    return Judged(data, CLASS, values, {CLASS: list(true), **columns}, files)


def require_same(run: Path, data: str, count: int) -> None:
    """UsageError where a run's own data do not have as many examples to test on as they had."""
    results = runs.read(run, lambda content: content["results"] or {})
    if count != results.get("test_examples", count):
        what = f"{data} is not what {run} was trained on any more"
        raise UsageError(what, fix="name the data to look at after the run")
