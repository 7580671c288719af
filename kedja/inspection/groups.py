"""Error by group: how wrong a network is for each speaker, class or column, and how sure that is.

A mean over all hides that some fare worse. Not here: what the network answered; any numbers with
a group beside each do. Next: `kedja/cli/sound.py`, which prints such tables.
Dimensions: N examples, G groups.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from kedja.ground.dtypes import is_float, is_integer
from kedja.ground.errors import DataError, ShapeError, UsageError

Array = np.ndarray[Any, np.dtype[Any]]

DRAWS = 2000  # of the bootstrap
BLOCK = 2**20  # numbers that are drawn at once
FEW = 12  # a column of more different numbers is cut into quarters
MISSING = "(missing)"


class Interval(NamedTuple):
    """Where the true value lies, at the confidence that was asked for."""

    low: float
    high: float


def wilson(hits: int, count: int, confidence: float = 0.95) -> Interval:
    """Wilson's interval of a share p of which hits/count was seen.

        (p̂ + z²/2n ± z·√(p̂(1 − p̂)/n + z²/4n²)) / (1 + z²/n),   p̂ = hits/n

    where z is the normal distribution's quantile of (1 + confidence)/2. It stays within 0 and 1 and
    is honest for few examples and for shares of 0 and 1, where p̂ ± z·√(p̂(1 − p̂)/n) is not.
    Raises UsageError for counts that are no counts.
    Source: E. Wilson: Probable inference, the law of succession, and statistical inference (1927).

    >>> [round(each, 3) for each in wilson(9, 10)]
    [0.596, 0.982]
    """
    _require_confidence(confidence)
    if not 0 <= hits <= count or count < 1:
        raise UsageError(
            f"{hits} of {count}", fix="a number from 0 to the count, which is 1 or more"
        )
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, width = hits / count, z * z / count
    middle = share + width / 2
    reach = z * math.sqrt(share * (1 - share) / count + width / (4 * count))
    low, high = (middle - reach) / (1 + width), (middle + reach) / (1 + width)
    return Interval(0.0 if hits == 0 else low, 1.0 if hits == count else high)


def bootstrap(values: Any, confidence: float = 0.95, draws: int = DRAWS, seed: int = 0) -> Interval:
    """The bootstrap's interval of a mean of values (N,): quantiles of means of N drawn again.

    Each of `draws` means is of N values drawn with replacement; the interval leaves out
    (1 − confidence)/2 of the means at either end. One value alone has the interval (−∞, ∞).
    Raises ShapeError where the values are not of one axis, DataError where there are none.
    Source: B. Efron: Bootstrap methods: another look at the jackknife (1979), by percentiles.

    >>> low, high = bootstrap([1.0, 2.0, 3.0, 4.0])
    >>> 1.0 <= low < 2.5 < high <= 4.0
    True
    """
    _require_confidence(confidence)
    found = np.asarray(values, np.float64)
    if found.ndim != 1:
        raise ShapeError(f"values of shape {list(found.shape)}", fix="one number for each example")
    if not len(found):
        raise DataError("there are no values", fix="give at least one")
    if len(found) == 1:
        return Interval(-math.inf, math.inf)
    drawn, means = np.random.default_rng(seed), np.empty(draws)
    at_once = max(1, BLOCK // len(found))
    for start in range(0, draws, at_once):
        size = (min(at_once, draws - start), len(found))
        means[start : start + at_once] = found[drawn.integers(0, len(found), size)].mean(1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


# ------------------------------------------------------------------------------ the facility


@dataclass(frozen=True)
class Group:
    """The examples that have something in common: how many, their mean, and its interval."""

    name: str
    count: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Groups:
    """What `by_group` found: the groups, the highest value first, and all examples together.

    `share` says that values are shares of yes and no. `print` shows a table.
    """

    what: str
    by: str
    confidence: float
    share: bool
    rows: tuple[Group, ...]
    whole: Group

    def unlike(self, row: Group) -> str:
        """`higher` or `lower` where a group's interval leaves out the mean of all, else nothing.

        Of many groups, a share of 1 − confidence does so by chance alone.
        """
        if row.low > self.whole.value:
            return "higher"
        return "lower" if row.high < self.whole.value else ""

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON's types; an infinite end of an interval is None."""
        return {
            **{name: getattr(self, name) for name in ("what", "by", "confidence", "share")},
            "groups": [{**_plain(row), "unlike": self.unlike(row)} for row in self.rows],
            "all": _plain(self.whole),
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Groups:
        """Read back what `to_json` gave."""
        rows = tuple(_group_of(each) for each in value["groups"])
        about = {name: value[name] for name in ("what", "by", "confidence", "share")}
        return Groups(**about, rows=rows, whole=_group_of(value["all"]))

    def __str__(self) -> str:
        """A table, a line for each group."""
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """The table's lines."""
        head = (self.by, "count", self.what, f"{self.confidence:.0%} interval", "")
        cells = [head, *((*self._cells(row), self.unlike(row)) for row in self.rows)]
        cells.append((*self._cells(self.whole), ""))
        widths = [max(len(row[place]) for row in cells) for place in range(5)]
        return [_line(row, widths) for row in cells]

    def _cells(self, row: Group) -> tuple[str, str, str, str]:
        interval = f"{self._text(row.low)} to {self._text(row.high)}"
        return row.name, f"{row.count:,}", self._text(row.value), interval

    def _text(self, value: float) -> str:
        return f"{value:.1%}" if self.share else f"{value:.4g}"


def by_group(
    values: Any,
    groups: Any,
    *,
    by: str = "group",
    what: str = "error",
    confidence: float = 0.95,
    seed: int = 0,
) -> Groups:
    """The mean of values (N,) for each of the groups (N,) that the examples belong to.

    Values of yes and no (bool) give shares with Wilson's interval, numbers give means with the
    bootstrap's. Groups are names or whole numbers; numbers of more than 12 kinds are cut into
    quarters of equal size, and what is missing (None, NaN) is a group of its own. `by` and `what`
    name the two in the table.

    Raises ShapeError where the two differ in length, DataError where there are no examples or a
    value is no number, UsageError for a confidence outside 0 to 1.

    >>> wrong = [True, False, False, False, True, True]
    >>> print(by_group(wrong, ["anna", "anna", "anna", "ben", "ben", "ben"], by="speaker"))
    speaker  count  error    95% interval
    ben          3  66.7%  20.8% to 93.9%
    anna         3  33.3%   6.1% to 79.2%
    all          6  50.0%  18.8% to 81.2%
    """
    found, names = np.asarray(values), labels_of(groups)
    _require(found, names)
    share = found.dtype == bool
    order = np.array(names, object)
    made = [_group(name, found[order == name], confidence, seed) for name in dict.fromkeys(names)]
    rows = tuple(sorted(made, key=lambda row: (-row.value, row.name)))
    return Groups(what, by, confidence, share, rows, _group("all", found, confidence, seed))


def by_groups(values: Any, columns: Mapping[str, Any], **options: Any) -> list[Groups]:
    """The same for several columns: a table for each, the most uneven first.

    Uneven is measured by how far the groups' means lie from that of all: √(Σ n_g (m_g − m)² / N).
    """
    found = [by_group(values, column, by=name, **options) for name, column in columns.items()]
    return sorted(found, key=lambda each: -_spread(each))


def _spread(of: Groups) -> float:
    return math.sqrt(
        sum(row.count * (row.value - of.whole.value) ** 2 for row in of.rows) / of.whole.count
    )


def labels_of(column: Any) -> list[str]:
    """A column as names of groups; many different numbers become their quarters.

    >>> labels_of([1, 2, None])
    ['1', '2', '(missing)']
    """
    given = list(column)
    numbers = [each for each in given if _is_number(each)]
    if len(numbers) > 0 and all(_is_number(each) or _is_missing(each) for each in given):
        if len(set(numbers)) > FEW:
            return _quarters(given, numbers)
        return [MISSING if _is_missing(each) else f"{each:g}" for each in given]
    return [MISSING if _is_missing(each) else str(each) for each in given]


def _quarters(given: Sequence[Any], numbers: Sequence[float]) -> list[str]:
    """The quarter of each number, by its bounds."""
    edges = np.unique(np.quantile(numbers, [0, 0.25, 0.5, 0.75, 1]))
    names = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
    inner = edges[1:-1]
    return [
        MISSING if _is_missing(each) else names[int(np.searchsorted(inner, each, "left"))]
        for each in given
    ]


def _is_missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _is_number(value: Any) -> bool:
    plain = isinstance(value, int | float | np.integer | np.floating)
    return plain and not isinstance(value, bool) and not _is_missing(float(value))


def _group(name: str, values: Array, confidence: float, seed: int) -> Group:
    count, mean = len(values), float(values.mean())
    if values.dtype == bool:
        low, high = wilson(int(values.sum()), count, confidence)
    else:
        low, high = bootstrap(values, confidence, seed=seed)
    return Group(name, count, mean, low, high)


def _plain(row: Group) -> dict[str, Any]:
    ends = {name: getattr(row, name) for name in ("low", "high")}
    finite = {name: end if math.isfinite(end) else None for name, end in ends.items()}
    return {**asdict(row), **finite}


def _group_of(value: Mapping[str, Any]) -> Group:
    low = -math.inf if value["low"] is None else value["low"]
    high = math.inf if value["high"] is None else value["high"]
    return Group(value["name"], value["count"], value["value"], low, high)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = cells
    mark = others.pop()
    right = [each.rjust(width) for each, width in zip(others, widths[1:], strict=False)]
    return "  ".join([first.ljust(widths[0]), *right, mark]).rstrip()


def _require(values: Array, names: Sequence[str]) -> None:
    if values.ndim != 1 or len(values) != len(names):
        what = f"values of shape {list(values.shape)} for {len(names)} groups"
        raise ShapeError(what, fix="give one value and one group for each example")
    if not len(values):
        raise DataError("there are no examples", fix="give at least one")
    if values.dtype == bool:
        return
    if not (is_float(values.dtype) or is_integer(values.dtype)) or not np.isfinite(values).all():
        raise DataError("some values are no numbers", fix="give finite numbers, or True and False")


def _require_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise UsageError(f"confidence {confidence}", fix="between 0 and 1, such as 0.95")
