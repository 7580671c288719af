"""Error by group: how wrong a network is for each speaker, class or column, and how sure that is.

A mean over all hides that some fare worse. Not here: what the network answered; any numbers with
a group beside each do. Next: `kedja/cli/sound.py`, which prints such tables.
Dimensions: N examples, G groups.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from kedja.ground.dtypes import is_float, is_integer
from kedja.ground.errors import DataError, ShapeError
from kedja.inspection.intervals import bootstrap, require_confidence, wilson

Array = np.ndarray[Any, np.dtype[Any]]

FEW = 12  # a column of more different numbers is cut into quarters
MISSING, OTHERS = "(missing)", "(others)"
MOST = 50  # groups; of more, the smallest are one
_SHUFFLES, _NUMBERS = 2000, 2**25  # of the values, and how many numbers they may be in all


# ------------------------------------------------------------------------------ the facility


@dataclass(frozen=True)
class Group:
    """The examples that have something in common: how many, their mean, and its interval."""

    name: str
    count: int
    value: float
    low: float
    high: float


_ABOUT = ("what", "by", "confidence", "share", "chance")


@dataclass(frozen=True)
class Groups:
    """What `by_group` found: the groups, the highest value first, and all examples together.

    `share` says that values are shares of yes and no. `chance` is how probable it is that groups
    drawn by lot differ as much. `print` shows a table.
    """

    what: str
    by: str
    confidence: float
    share: bool
    rows: tuple[Group, ...]
    whole: Group
    chance: float = 1.0

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
            **{name: getattr(self, name) for name in _ABOUT},
            "groups": [{**_plain(row), "unlike": self.unlike(row)} for row in self.rows],
            "all": _plain(self.whole),
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Groups:
        """Read back what `to_json` gave."""
        rows = tuple(_group_of(each) for each in value["groups"])
        about = {name: value[name] for name in _ABOUT}
        return Groups(**about, rows=rows, whole=_group_of(value["all"]))

    def __str__(self) -> str:
        """A table, a line for each group."""
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """The table's lines."""
        head = (self.by, "count", self.what, f"{self.confidence:.0%} interval", "")
        cells = [head, *((*self.cells(row), self.unlike(row)) for row in self.rows)]
        cells.append((*self.cells(self.whole), ""))
        widths = [max(len(row[place]) for row in cells) for place in range(5)]
        return [_line(row, widths) for row in cells]

    def cells(self, row: Group) -> tuple[str, str, str, str]:
        """A row as it is printed: name, count, value, interval."""
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
    bootstrap's. Groups are names or numbers; numbers of more than 12 kinds are cut into quarters of
    equal size, dates (datetime64) are joined to days, months or years, the smallest of more than 50
    groups are one, and what is missing (None, NaN, NaT) is a group of its own. `by` and `what` name
    the two in the table.

    Raises ShapeError where the two differ in length, DataError where there are no examples or a
    value is no number, UsageError for a confidence outside 0 to 1.

    >>> wrong = [True, False, False, False, True, True]
    >>> print(by_group(wrong, ["anna", "anna", "anna", "ben", "ben", "ben"], by="speaker"))
    speaker  count  error    95% interval
    ben          3  66.7%  20.8% to 93.9%
    anna         3  33.3%   6.1% to 79.2%
    all          6  50.0%  18.8% to 81.2%
    """
    require_confidence(confidence)
    found, names = np.asarray(values), _few(labels_of(groups))
    _require(found, names)
    share = found.dtype == bool
    order = np.array(names, object)
    parts = {name: found[order == name] for name in dict.fromkeys(names)}
    made = [_group(name, part, confidence, seed) for name, part in parts.items()]
    rows = tuple(sorted(made, key=lambda row: (-row.value, row.name)))
    whole, chance = _group("all", found, confidence, seed), _chance(list(parts.values()), seed)
    return Groups(what, by, confidence, share, rows, whole, chance)


def _few(names: Sequence[str]) -> list[str]:
    """The names, the rarest of more than `MOST` joined."""
    counts = Counter(names)
    if len(counts) <= MOST:
        return list(names)
    kept = {name for name, _ in counts.most_common(MOST - 1)}
    return [name if name in kept else OTHERS for name in names]


def _chance(parts: Sequence[Array], seed: int) -> float:
    """How probable it is that groups of these sizes, drawn by lot, differ as much.

    The test by permutation of Σ n_g (m_g − m)², each count being the draw itself once more.
    Source: E. Pitman: Significance tests which may be applied to samples from any populations
    (1937).
    """
    if len(parts) < 2:
        return 1.0
    counts = np.array([len(part) for part in parts])
    sums = np.array([part.sum(dtype=np.float64) for part in parts])
    drawn = _by_lot(np.concatenate(parts), counts, np.random.default_rng(seed))  # (D, G)
    far = (drawn**2 / counts).sum(1) >= (sums**2 / counts).sum() * (1 - 1e-12)
    return float((1 + far.sum()) / (1 + len(far)))


def _by_lot(values: Array, counts: Array, draw: np.random.Generator) -> Array:
    """The sums of groups drawn by lot: float64 (D, G)."""
    if values.dtype == bool:
        hits = draw.multivariate_hypergeometric(counts, int(values.sum()), _SHUFFLES, "marginals")
        return hits.astype(np.float64)
    starts = np.r_[0, np.cumsum(counts)[:-1]]
    times = int(np.clip(_NUMBERS // len(values), 100, _SHUFFLES))
    shuffled = (draw.permutation(values).astype(np.float64) for _ in range(times))
    return np.array([np.add.reduceat(each, starts) for each in shuffled])


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
    """A column as names of groups; many different numbers become their quarters, dates years,
    months or days.

    >>> labels_of([1, 2, None])
    ['1', '2', '(missing)']
    >>> labels_of(np.array(["2024-02-27", "2024-03-01"], "M8[D]"))
    ['2024-02-27', '2024-03-01']
    """
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        return _periods(column)
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


def _periods(times: Array) -> list[str]:
    """The day of each time; the month, or the year, where there would be more than `FEW`."""
    known = ~np.isnat(times)
    units = ("M8[D]", "M8[M]", "M8[Y]")
    few = (unit for unit in units if len(np.unique(times[known].astype(unit))) <= FEW)
    chosen = times.astype(next(few, units[-1]))
    return [str(each) if there else MISSING for each, there in zip(chosen, known, strict=True)]


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
