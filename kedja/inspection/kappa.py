"""How far annotators agree beyond chance: Cohen's and Fleiss' kappa, Krippendorff's alpha.

| measure | who                                    | disagreement between two labels             |
|---------|----------------------------------------|---------------------------------------------|
| Cohen   | two annotators, every item by both     | 0 or 1                                      |
| Fleiss  | the same number of labels on each item | 0 or 1                                      |
| α       | any number, some missing               | nominal, ordinal, interval or ratio         |

1 is perfect agreement, 0 what chance gives, below 0 is worse than chance. Not here: what is said
about data (`agreement.py`). Next: `agreement.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from kedja.ground.errors import DataError, ShapeError, UsageError
from kedja.inspection.subject import Array

Level = Literal["nominal", "ordinal", "interval", "ratio"]


def cohen_kappa(a: Sequence[Any], b: Sequence[Any]) -> float:
    """κ = (p_o − p_e) / (1 − p_e) of two annotators' labels for the same items.

    p_o is the share of equal labels, p_e what it would be if each drew labels as often as now, but
    without looking. NaN where both give one and the same label throughout. Raises ShapeError where
    the lengths differ, DataError for none. Source: J. Cohen, "A coefficient of agreement for
    nominal scales" (1960).

    >>> cohen_kappa([1, 1, 0, 0], [1, 1, 0, 1])
    0.5
    """
    if len(a) != len(b):
        raise ShapeError(f"{len(a)} labels of one annotator, {len(b)} of the other")
    if not len(a):
        raise DataError("there are no items to agree on")
    names = {name: code for code, name in enumerate(dict.fromkeys([*a, *b]))}
    counts = np.zeros((len(names), len(names)))
    for first, second in zip(a, b, strict=True):
        counts[names[first], names[second]] += 1
    shares = counts / len(a)
    chance = float(shares.sum(0) @ shares.sum(1))
    return _beyond(float(np.trace(shares)), chance)


def fleiss_kappa(counts: Any) -> float:
    """κ of `counts` (items, classes): how many annotators gave each item each class.

    κ = (P − Q) / (1 − Q), P the mean share of agreeing pairs of an item, Q = Σ p_j² from the shares
    p_j of the classes. Raises ShapeError unless every item has the same number of labels, at least
    2. Source: J. Fleiss, "Measuring nominal scale agreement among many raters" (1971).

    >>> round(fleiss_kappa([[3, 0], [0, 3], [2, 1]]), 3)
    0.55
    """
    table = np.asarray(counts, np.float64)
    if table.ndim != 2 or not table.size:
        raise ShapeError(f"counts of shape {table.shape}", fix="give (items, classes)")
    raters = table.sum(1)
    if raters.min() != raters.max() or raters[0] < 2:
        fix = "use krippendorff_alpha, which takes items with any number of labels"
        raise ShapeError("items with different numbers of labels, or fewer than 2", fix=fix)
    agree = float(((table * (table - 1)).sum(1) / (raters * (raters - 1))).mean())
    shares = table.sum(0) / table.sum()
    return _beyond(agree, float(shares @ shares))


def _beyond(found: float, chance: float) -> float:
    return (found - chance) / (1 - chance) if chance < 1 else float("nan")


def krippendorff_alpha(labels: Sequence[Sequence[Any]], level: Level = "nominal") -> float:
    """α = 1 − D_o / D_e of `labels` (annotators, items), None where one gave no label.

    D_o is the mean disagreement δ² of two labels of one item, D_e that of any two. With n_k labels
    of value k, δ² between c and k is 1 (nominal), (Σ_{g=c…k} n_g − (n_c + n_k)/2)² (ordinal),
    (c − k)² (interval) or ((c − k)/(c + k))² (ratio). Items with one label count for nothing. NaN
    where all labels are the same. Raises ShapeError for rows of different lengths, UsageError for
    another level, DataError where no item has two labels. Source: K. Krippendorff, "Computing
    Krippendorff's alpha-reliability" (2011).

    >>> round(krippendorff_alpha([[1, 2, 3, None], [1, 2, 4, 4]], "interval"), 3)
    0.878
    """
    if level not in ("nominal", "ordinal", "interval", "ratio"):
        raise UsageError(f"level={level!r}", fix="nominal, ordinal, interval or ratio")
    if len({len(row) for row in labels}) > 1:
        raise ShapeError(f"annotators with {[len(row) for row in labels]} items")
    items = [[each for each in item if each is not None] for item in zip(*labels, strict=True)]
    return alpha_of_items(items, level)


def alpha_of_items(items: Sequence[Sequence[Any]], level: Level = "nominal") -> float:
    """α of each item's labels, whoever gave them: see `krippendorff_alpha`."""
    pairable = [item for item in items if len(item) > 1]
    if not pairable:
        raise DataError("no item has two labels", fix="let several people label the same items")
    values = sorted({each for item in pairable for each in item})
    place = {value: code for code, value in enumerate(values)}
    together = np.zeros((len(values), len(values)))  # coincidences
    for item in pairable:
        counts = np.bincount([place[each] for each in item], minlength=len(values))
        together += (np.outer(counts, counts) - np.diag(counts)) / (len(item) - 1)
    totals = together.sum(1)
    away = _disagreement(values, totals, level)
    expected = (np.outer(totals, totals) * away).sum() / (totals.sum() - 1)
    return float(1 - (together * away).sum() / expected) if expected else float("nan")


def _disagreement(values: Sequence[Any], totals: Array, level: Level) -> Array:
    """δ² between any two values: (V, V)."""
    if level == "nominal":
        return 1 - np.eye(len(values))
    if level == "ordinal":
        upto = np.cumsum(totals)
        between = np.abs(upto[:, None] - upto[None, :])  # Σ from one after the lower to the upper
        half = (totals[:, None] - totals[None, :]) / 2
        sign = np.sign(np.arange(len(values))[:, None] - np.arange(len(values))[None, :])
        ranks: Array = (between - sign * half) ** 2
        return ranks
    numbers = np.array(values, np.float64)
    away = numbers[:, None] - numbers[None, :]
    if level == "ratio":
        sums = numbers[:, None] + numbers[None, :]
        away = np.divide(away, sums, out=np.zeros_like(away), where=sums != 0)
    squares: Array = away**2
    return squares
