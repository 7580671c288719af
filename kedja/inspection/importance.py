"""Which columns a trained model leans on: how much worse it gets when one of them is shuffled.

    importance of c = score − score with the rows of c in another order

so that c keeps its values but loses what it says of a row. Of two columns that say the same, each
seems to matter little, since the other is still there. Not here: models. Next: `checks.py`.
Source: L. Breiman: Random forests (2001), section 10.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kedja.ground.errors import UsageError

Array = np.ndarray[Any, np.dtype[Any]]
SHARE = 0.95  # of the repeats lies between the ends that are told


@dataclass(frozen=True)
class Importance:
    """By how much the score falls where a column is shuffled: the mean over the repeats.

    95 % of the repeats lie between `low` and `high`; an interval around 0 says that the column
    did not matter.
    """

    name: str
    mean: float
    low: float
    high: float


def permutation_importance(
    score: Callable[[Array], float],
    x: Array,
    columns: Mapping[str, Sequence[int]],
    *,
    repeats: int = 10,
    seed: int = 0,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> list[Importance]:
    """The importance of each column, the largest first.

    `score(x)` says how good the model is on the rows x (N, F), larger being better (the negative of
    an error); `columns` names the features, by their places in x, that are shuffled together: all
    that one column of a table became. `progress(done, total)` is told of each shuffle. Use rows
    that the model was not trained on. Raises UsageError for fewer than two rows or no repeats.

    >>> x = np.random.default_rng(0).normal(size=(100, 2))
    >>> found = permutation_importance(
    ...     lambda rows: -float(np.abs(rows[:, 0] - x[:, 0]).mean()), x, {"used": [0], "other": [1]}
    ... )
    >>> [(each.name, each.mean > 0.5) for each in found]
    [('used', True), ('other', False)]
    """
    if len(x) < 2 or repeats < 1:
        what = f"{repeats} repeats on {len(x)} rows"
        raise UsageError(what, fix="give two rows or more, and at least one repeat")
    outside = [name for name, places in columns.items() if max(places, default=0) >= x.shape[1]]
    if outside:
        what = f"the column {outside[0]!r} stands beyond the {x.shape[1]} features of x"
        raise UsageError(what, fix="give places from 0")
    random, whole = np.random.default_rng(seed), score(x)
    found: list[Importance] = []
    total = repeats * len(columns)
    for name, places in columns.items():
        drops = []
        for _ in range(repeats):
            drops.append(whole - score(_shuffled(x, places, random)))
            progress(repeats * len(found) + len(drops), total)
        low, high = np.quantile(drops, [(1 - SHARE) / 2, (1 + SHARE) / 2])
        found.append(Importance(name, float(np.mean(drops)), float(low), float(high)))
    return sorted(found, key=lambda each: -each.mean)


def _shuffled(x: Array, places: Sequence[int], random: np.random.Generator) -> Array:
    """The rows with these features in another order, the same for all of them."""
    other, order = x.copy(), random.permutation(len(x))
    for place in places:
        other[:, place] = x[order, place]
    return other
