"""The table of checks, and the report that they make.

Each check is a function from a look at the data to findings, in a file of its own topic. A check
that has nothing to say about a kind of data says nothing.

Not here: how a report is shown (`page.py`, `kedja/cli/inspect.py`). Next: `columns.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kedja.inspection import (
    agreement,
    arrays,
    balance,
    breaks,
    capped,
    columns,
    duplicates,
    leaks,
    model,
    outliers,
    pictures,
    possible,
    reading,
    summaries,
    written,
    wrong_labels,
)
from kedja.inspection.finding import Finding, Report
from kedja.inspection.look import Look
from kedja.inspection.subject import Subject

Check = Callable[[Look], Iterator[Finding]]


def _read(look: Look) -> Iterator[Finding]:
    """What was found while the files were read."""
    yield from look.data.found


# The first ones spoil most: in this order findings are told.
CHECKS: dict[str, Check] = {
    "files that cannot be read": _read,
    "a line of names": written.headless,
    "columns that give the target away": leaks.given_away,
    "test examples seen in training": leaks.seen,
    "groups and times on both sides": leaks.both_sides,
    "labels that a model doubts": wrong_labels.doubted_labels,
    "equal inputs with different labels": duplicates.conflicts,
    "agreement of annotators": agreement.agreement,
    "equal examples": duplicates.exact_duplicates,
    "nearly equal examples": duplicates.near_duplicates,
    "columns that broke": breaks.broken,
    "numbers cut off at a bound": capped.capped,
    "missing values": columns.missing,
    "types of cells": written.types,
    "damaged letters": written.damaged,
    "impossible values": possible.impossible,
    "pictures of one colour, silence": pictures.blank,
    "balance of labels": balance.balance,
    "columns that tell nothing": columns.useless,
    "numbers that a model doubts": outliers.doubted_numbers,
    "values far from all others": outliers.far_values,
    "examples far from all others": outliers.far_examples,
}


def inspect(
    data: str | os.PathLike[str],
    *,
    test: str | os.PathLike[str] | None = None,
    label: str | None = None,
    progress: model.Progress | None = None,
    reading_progress: model.Progress | None = None,
) -> Report:
    """Look at a data set: a file, a folder, `digits` or `mnist`; `test` is what is tested on.

    `label` names the column to be predicted (by default the last of a table, `label` of JSON
    Lines; `none` for none). `progress(done, total)` is told of each network that was trained,
    `reading_progress` of each file of a folder. The same data give the same report.

    Raises UsageError where nothing of that name or kind is found, DataError where it cannot be
    read, MissingExtra for pictures without Pillow and recordings without soundfile.
    """
    found, held = reading.load(data, test=test, label=label, progress=reading_progress)
    return report(found, held, progress)


def inspect_arrays(
    x: Any,
    y: Any = None,
    *,
    test: tuple[Any, Any] | None = None,
    names: Sequence[str] | None = None,
    progress: model.Progress | None = None,
) -> Report:
    """Look at inputs x, rows (N, F) or pictures (N, H, W) or (N, H, W, C), with labels y (N,).

    Labels are whole numbers or texts for classes, floats for numbers to be predicted. `test` is
    a pair (x, y) that is tested on, `names` are those of the F columns. Raises ShapeError and
    DataError for what does not fit.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(50, 3))
    >>> report = inspect_arrays(np.concatenate([x, x[:2]]))
    >>> [finding.check for finding in report.defects], list(report.defects[0].rows)
    (['duplicates'], [50, 51])
    """
    data = arrays.subject("arrays", x, y, names)
    held = None if test is None else arrays.subject("test arrays", *test, names)
    return report(data, held, progress)


def report(
    data: Subject, test: Subject | None = None, progress: model.Progress | None = None
) -> Report:
    """What all checks find, defects first."""
    return of(Look(data, test, progress))


def of(look: Look) -> Report:
    """The same of a look, which keeps what was computed for it."""
    data, test = look.data, look.test
    found = [each for check in CHECKS.values() for each in check(look)]
    found.sort(key=lambda each: each.severity != "defect")
    return Report(
        data.name,
        data.kind,
        _facts(data, test),
        tuple(summaries.of(data)),
        tuple(found),
        tuple(CHECKS),
    )


def _facts(data: Subject, test: Subject | None) -> dict[str, Any]:
    facts: dict[str, Any] = {"examples": len(data), "test_examples": len(test) if test else 0}
    labels = data.labels
    facts["label"] = None if labels is None else labels.name
    facts["labels"] = balance.counts(labels) if labels is not None and labels.are_classes else None
    return {**facts, "about": dict(data.facts)}
