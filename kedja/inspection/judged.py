"""What a network answered where the answers are known, to be looked at group by group.

Not here: the means and intervals (`groups.py`), networks. Next: `groups_page.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kedja.data import dates
from kedja.ground.errors import DataError, UsageError
from kedja.ground.suggest import did_you_mean
from kedja.inspection.groups import Groups, by_group

Array = np.ndarray[Any, np.dtype[Any]]

CLASS = "class"  # what the target is called where nothing else is
_DATES = 0.95  # so many cells make a column one of dates
_MOST = 200  # names in a column that is looked at without being asked for


@dataclass(frozen=True)
class Judged:
    """N answers: `values` bool (N,) are wrong or not, or float (N,) how far they are off.

    `columns` are what the examples can be grouped by: N cells each, numbers or texts, None or NaN
    where missing. `target` names the one that was to be answered, `files` the examples that are
    files.
    """

    data: str
    target: str
    values: Array
    columns: Mapping[str, Sequence[Any] | Array]
    files: Sequence[str] = ()

    @property
    def what(self) -> str:
        """What the values are called."""
        return "wrong" if self.values.dtype == bool else "absolute error"

    def by(self, *names: str, confidence: float = 0.95) -> list[Groups]:
        """A table for each of the columns; `class` is the target where no column is called so.

        Raises UsageError for a column that there is not, DataError where there are no examples.

        >>> judged = Judged("pets", "kind", np.array([True, False]), {"kind": ["cat", "dog"]})
        >>> print(judged.by("class")[0].lines()[1])
        cat       1  100.0%  20.7% to 100.0%
        """
        return [self._by(self._named(name), confidence) for name in names]

    def by_all(self, confidence: float = 0.95) -> list[Groups]:
        """A table for each column that makes groups, those first that differ least by chance."""
        names = [name for name in self.columns if self._makes_groups(name)]
        found = [self._by(name, confidence) for name in names]
        return sorted(found, key=lambda each: each.chance)

    def _by(self, name: str, confidence: float) -> Groups:
        column = _as_dates(self.columns[name])
        return by_group(self.values, column, by=name, what=self.what, confidence=confidence)

    def _named(self, name: str) -> str:
        if name in self.columns:
            return name
        if name == CLASS and self.target in self.columns:
            return self.target
        fix = did_you_mean(name, self.columns)
        raise UsageError(f"there is no column {name!r}", where=self.data, fix=fix)

    def _makes_groups(self, name: str) -> bool:
        """Whether a column has several values, and is no name or text of each example."""
        column = _as_dates(self.columns[name])
        if isinstance(column, np.ndarray):
            return len(np.unique(column[column == column])) > 1  # but NaN and NaT
        count = len({each for each in column if each is not None})
        return 1 < count <= min(_MOST, max(2, len(column) // 2))


def _as_dates(column: Sequence[Any] | Array) -> Sequence[Any] | Array:
    """A column of texts as points in time where nearly all of them are dates."""
    if isinstance(column, np.ndarray) or not all(
        each is None or isinstance(each, str) for each in column
    ):
        return column
    if dates.share(column, numbers=False) < _DATES:
        return column
    try:
        return dates.parse(column, numbers=False).values
    except DataError:
        return column  # days and months cannot be told apart: the texts are the groups
