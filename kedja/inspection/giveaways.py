"""Columns that give the target away: written down after the fact, or the target in other words.

Two guessers are compared, neither of which sees an example's own label: the column alone, by the
commonest class (the mean) of the examples next to each in its order, and out-of-fold networks on
all other columns. For classes count only the examples on which exactly one of them is right, so
that labels that are wrong, which both miss, do not matter: of those the column must miss at most a
tenth, and one in a hundred of all that the others get right; and there must be so many that equal
guessers would hardly differ as much (Q. McNemar, 1947).
For numbers, it must leave at most a tenth of the variance that the others leave. The networks are
trained only where a column alone is right nearly always. Several such columns would hide each
other, so the others are those that are not; but where most are, the task is an easy one, and each
is compared with all others.

Not here: what is said about it (`leaks.py`). Next: `look.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kedja.inspection import features, model
from kedja.inspection.chance import LEVEL, chi2_tail
from kedja.inspection.features import useful
from kedja.inspection.subject import Array, Column, Labels, Subject

LEFT = 0.1
NEARLY_ALL = 0.95  # right, or explained, by the column alone
MISSED = 0.01  # of what the others get right
SOME = 0.5  # of the columns; where more tell the target, it is easy to tell
FEWEST_ROWS = 60
_FEW_VALUES = 50
_REACH = 2  # examples on either side of one, in the order of a column


class GivenAway(NamedTuple):
    """A column, and the shares of errors (of variance) left by it alone and by the others."""

    column: str
    alone: float
    others: float


@dataclass(frozen=True)
class _Target:
    """What is to be told of n rows: class numbers (n,), or numbers where there are no classes."""

    values: Array
    classes: int
    columns: int

    def from_column(self, column: Column) -> Array:
        """The guess by a column of these rows, (n,)."""
        if not self.classes:
            return _from_others(column, self.values[:, None])[:, 0]
        votes = _from_others(column, np.eye(self.classes)[self.values])  # (n, K)
        guess: Array = votes.argmax(1)
        return guess

    def from_rows(self, x: Array, groups: Array) -> Array:
        """The guess of networks that did not see the rows x (n, F); the usual one if F is 0."""
        if not self.classes:
            mean = np.full(len(x), self.values.mean())
            return model.out_of_fold_numbers(x, self.values, groups) if x.shape[1] else mean
        if not x.shape[1]:
            return np.full(len(x), np.bincount(self.values).argmax())
        p = model.out_of_fold(x, self.values, self.classes, groups, repeats=1)
        found: Array = p.argmax(1)
        return found

    def left(self, guess: Array) -> float:
        """The share of wrong guesses, or of the variance that they leave."""
        if self.classes:
            return float((guess != self.values).mean())
        return float(np.mean((self.values - guess) ** 2) / max(self.values.var(), 1e-300))

    def gives_away(self, alone: Array, others: Array) -> bool:
        """Whether the guess of a column alone is so much better than that of the others."""
        if not self.classes:
            return self.left(alone) <= LEFT * self.left(others)
        mine, theirs = alone == self.values, others == self.values
        missed, won = int((theirs & ~mine).sum()), int((mine & ~theirs).sum())
        differ = chi2_tail((won - missed) ** 2 / max(won + missed, 1))
        few = missed <= min(LEFT * won, MISSED * int(theirs.sum()))
        return few and differ <= LEVEL / self.columns


def giveaways(data: Subject, rows: Array, groups: Array) -> Iterator[GivenAway]:
    """The columns that alone tell the target of these rows; `groups` (N,) are equal for copies."""
    labels = data.labels
    if labels is None or len(np.unique(groups[rows])) < FEWEST_ROWS or _same(labels, rows):
        return
    values = labels.codes if labels.values is None else labels.values
    target = _Target(values[rows], len(labels.classes), len(data.columns))
    usable = [each for each in data.columns if each.kind not in ("text", "empty") and useful(each)]
    guesses = {each.name: target.from_column(each.taken(rows)) for each in usable}
    strong = [name for name, guess in guesses.items() if target.left(guess) <= 1 - NEARLY_ALL]
    asked: dict[tuple[str, ...], Array] = {}
    for name in strong:
        without = tuple(strong) if len(strong) <= SOME * len(usable) else (name,)
        if without not in asked:
            x = features.encoder(data, without=without)(data)[rows]  # (n, F)
            asked[without] = target.from_rows(x, groups[rows])
        if target.gives_away(guesses[name], asked[without]):
            yield GivenAway(name, target.left(guesses[name]), target.left(asked[without]))


def _same(labels: Labels, rows: Array) -> bool:
    values = labels.codes if labels.values is None else labels.values
    return len(np.unique(values[rows])) < 2


# ---------------------------------------------------------------------------- the column by itself


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
