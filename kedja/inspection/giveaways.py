"""Columns that give the target away: written down after the fact, or the target in other words.

Two guessers are compared, neither of which sees an example's own label: the column alone, by the
commonest class (the mean) of the examples next to each in its order, and out-of-fold networks on
all other columns. For classes count only the examples on which exactly one of them is right, so
that labels that are wrong, which both miss, do not matter: of those the column must miss at most a
tenth, and one in a hundred of all that the others get right; and there must be so many that equal
guessers would hardly differ as much (Q. McNemar, 1947).
For numbers, it must leave at most a tenth of the variance that the others leave. The networks are
trained only where a column alone is right nearly always.

Not here: what is said about it (`leaks.py`). Next: `look.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from kedja.inspection import features, model
from kedja.inspection.chance import LEVEL, chi2_tail
from kedja.inspection.subject import Array, Column, Labels, Subject

LEFT = 0.1
NEARLY_ALL = 0.95  # right, or explained, by the column alone
MISSED = 0.01  # of what the others get right
FEWEST_ROWS = 60
_FEW_VALUES = 50
_REACH = 2  # examples on either side of one, in the order of a column


class GivenAway(NamedTuple):
    """A column, and the shares of errors (of variance) left by it alone and by the others."""

    column: str
    alone: float
    others: float


def giveaways(data: Subject, rows: Array, groups: Array) -> Iterator[GivenAway]:
    """The columns that alone tell the target of these rows; `groups` (N,) are equal for copies."""
    labels = data.labels
    if labels is None or len(rows) < FEWEST_ROWS or _same(labels, rows):
        return
    compare = _by_class if labels.are_classes else _by_number
    for column in data.columns:
        if column.kind not in ("text", "empty") and features.useful(column):
            found = compare(data, column, rows, groups)
            if found is not None:
                yield found


def _same(labels: Labels, rows: Array) -> bool:
    values = labels.codes if labels.values is None else labels.values
    return len(np.unique(values[rows])) < 2


# ---------------------------------------------------------------------------- the column by itself


def _by_class(data: Subject, column: Column, rows: Array, groups: Array) -> GivenAway | None:
    assert data.labels is not None
    codes = data.labels.codes[rows]
    votes = np.eye(len(data.labels.classes))[codes]  # (n, K)
    alone = _from_others(column.taken(rows), votes).argmax(1) == codes
    if alone.mean() < NEARLY_ALL:
        return None
    x = _without(data, column, rows)
    others = codes == np.bincount(codes).argmax()
    if x.shape[1]:
        p = model.out_of_fold(x, codes, len(data.labels.classes), groups[rows], repeats=1)
        others = p.argmax(1) == codes
    missed, won = int((others & ~alone).sum()), int((alone & ~others).sum())
    differ = chi2_tail((won - missed) ** 2 / max(won + missed, 1))
    if missed > min(LEFT * won, MISSED * int(others.sum())) or differ > LEVEL / len(data.columns):
        return None
    return GivenAway(column.name, float(1 - alone.mean()), float(1 - others.mean()))


def _by_number(data: Subject, column: Column, rows: Array, groups: Array) -> GivenAway | None:
    assert data.labels is not None
    assert data.labels.values is not None
    values = data.labels.values[rows]
    alone = _left(values, _from_others(column.taken(rows), values[:, None])[:, 0])
    if alone > 1 - NEARLY_ALL:
        return None
    x, others = _without(data, column, rows), 1.0
    if x.shape[1]:
        others = _left(values, model.out_of_fold_numbers(x, values, groups[rows]))
    return GivenAway(column.name, alone, others) if alone <= LEFT * others else None


def _left(values: Array, guess: Array) -> float:
    """The share of the variance that a guess leaves."""
    return float(np.mean((values - guess) ** 2) / max(values.var(), 1e-300))


def _without(data: Subject, column: Column, rows: Array) -> Array:
    """These rows as numbers, without the column: (n, F)."""
    x: Array = features.encoder(data, without=[column.name])(data)[rows]
    return x


def _from_others(column: Column, values: Array) -> Array:
    """The mean of `values` (n, K) over the examples like each in this column, but itself."""
    if column.numbers is None or len(np.unique(column.known)) <= _FEW_VALUES:
        return _equal(
            np.unique([cell.strip() for cell in column.cells], return_inverse=True)[1], values
        )
    return _next_to(column.numbers, values)


def _equal(codes: Array, values: Array) -> Array:
    """Over those with an equal cell; over all where there is none."""
    sums = np.zeros((int(codes.max()) + 1, values.shape[1]))
    np.add.at(sums, codes, values)
    counts = np.bincount(codes)[codes][:, None] - 1
    means: Array = np.where(
        counts > 0, (sums[codes] - values) / np.maximum(counts, 1), values.mean(0)
    )
    return means


def _next_to(numbers: Array, values: Array) -> Array:
    """Over the nearest on both sides in the order of the numbers, missing ones last."""
    order = np.argsort(numbers, kind="stable")
    ordered = values[order]
    total, count = np.zeros_like(ordered), np.zeros((len(ordered), 1))
    for step in range(1, _REACH + 1):
        total[step:] += ordered[:-step]
        total[:-step] += ordered[step:]
        count[step:] += 1
        count[:-step] += 1
    means = np.empty_like(total)
    means[order] = total / np.maximum(count, 1)
    return means
