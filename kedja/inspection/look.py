"""One look at a data set: what several checks share, computed when the first of them asks.

Not here: the checks (`checks.py`). Next: `duplicates.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from kedja.inspection import features, model
from kedja.inspection.chance import unlikely
from kedja.inspection.giveaways import GivenAway, giveaways
from kedja.inspection.neighbours import MOST, Neighbours, nearest
from kedja.inspection.shingles import near_texts
from kedja.inspection.subject import Array, Subject

FEWEST = 10  # examples of a class that can be learned at all, in five folds
FEWEST_ROWS = 60  # examples of which anything can be said by comparing them


def groups_of(keys: list[bytes]) -> Array:
    """The number of the first example with the same key, int64 (N,)."""
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(key, row) for row, key in enumerate(keys)], np.int64)


@dataclass(frozen=True)
class Look:
    """The data, the test data if there are any, and what is computed of them once."""

    data: Subject
    test: Subject | None = None
    progress: model.Progress | None = field(default=None, compare=False)

    @cached_property
    def groups(self) -> Array:
        """Equal where inputs are: the number of the first such example, int64 (N,)."""
        return groups_of(list(self.data.keys))

    @cached_property
    def firsts(self) -> Array:
        """One example of each group, at most `MOST`, int64 (n,)."""
        rows = np.flatnonzero(self.groups == np.arange(len(self.data)))
        return rows[:: -(-len(rows) // MOST)]

    @cached_property
    def encode(self) -> features.Encoder:
        """What turns examples into numbers."""
        return features.encoder(self.data)

    @cached_property
    def rows(self) -> Array:
        """The examples as numbers, float32 (N, F)."""
        return self.encode(self.data)

    @cached_property
    def given_away(self) -> tuple[GivenAway, ...]:
        """The columns that alone tell the target, which all others do not."""
        return tuple(giveaways(self.data, self.labelled, self.groups))

    @cached_property
    def honest(self) -> Array:
        """The examples as numbers, without the columns that give the target away."""
        if not self.given_away:
            return self.rows
        names = [each.column for each in self.given_away]
        return features.encoder(self.data, without=names)(self.data)

    @cached_property
    def measure(self) -> features.Encoder:
        """What turns examples into numbers between which there are distances."""
        return features.encoder(self.data, measured=True)

    @cached_property
    def neighbours(self) -> Neighbours | None:
        """The nearest neighbours among `firsts`; rows are places in it."""
        return nearest(self.measure(self.data)[self.firsts])

    @cached_property
    def near(self) -> tuple[list[tuple[int, int]], Array]:
        """Pairs of examples that are nearly equal, and a number for each.

        The number is the share of words in which texts differ, else the chance that two examples
        are as near each other.
        """
        if self.data.kind == "texts":
            pairs, alike = near_texts(self.data.texts, self.firsts)
            return pairs, 1 - alike
        found = self.neighbours
        if found is None or len(self.firsts) < FEWEST_ROWS:
            return [], np.empty(0)
        chances = found.chances(found.dimension)
        close = np.flatnonzero(unlikely(chances) & self.apart(found))
        unique: dict[tuple[int, int], float] = {}
        for a, b in zip(self.firsts[close], self.firsts[found.rows[close, 0]], strict=True):
            pair = (int(min(a, b)), int(max(a, b)))
            unique.setdefault(pair, float(chances[np.searchsorted(self.firsts, a)]))
        return list(unique), np.array(list(unique.values()))

    def apart(self, found: Neighbours) -> Array:
        """Which nearest neighbours are told to be near, bool (N,): rows of a table with the same
        numbers differ in what is not measured.
        """
        apart: Array = (found.distances[:, 0] > 0) | (self.data.kind != "table")
        return apart

    @cached_property
    def labelled(self) -> Array:
        """The examples whose label is known, int64 (n,)."""
        labels = self.data.labels
        if labels is None:
            return np.empty(0, np.int64)
        return np.flatnonzero(
            np.isfinite(labels.values) if labels.values is not None else labels.codes >= 0
        )

    def _different(self, rows: Array) -> int:
        """How many of these examples are no copies of each other: folds divide no copies."""
        return len(np.unique(self.groups[rows]))

    @cached_property
    def residuals(self) -> Array | None:
        """The number to be predicted less what networks answer that did not see it: (N,).

        NaN where the number is missing; None where no number is to be predicted, or of too few.
        """
        labels = self.data.labels
        if labels is None or labels.values is None or not self.honest.shape[1]:
            return None
        rows = self.labelled
        if self._different(rows) < FEWEST_ROWS:
            return None
        found = np.full(len(self.data), np.nan)
        answers = model.out_of_fold_numbers(
            self.honest[rows], labels.values[rows], self.groups[rows], progress=self.progress
        )
        found[rows] = labels.values[rows] - answers
        return found

    @cached_property
    def probabilities(self) -> Array | None:
        """Of each class for each of `labelled`, by networks that did not see its label.

        None where there are too few examples, classes or features for that.
        """
        labels = self.data.labels
        rows = self.labelled
        if labels is None or not labels.are_classes or not self.honest.shape[1]:
            return None
        codes = labels.codes[rows]
        counts = np.bincount(codes, minlength=len(labels.classes))
        if len(labels.classes) < 2 or (counts >= FEWEST).sum() < 2:
            return None
        if self._different(rows) < FEWEST_ROWS:
            return None
        return model.out_of_fold(
            *(self.honest[rows], codes, len(labels.classes), self.groups[rows]),
            progress=self.progress,
        )
