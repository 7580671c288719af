"""What turns raw examples into a network's inputs, recorded so that new examples meet the same.

Not here: reading files (`table.py`, `mnist.py`, `digits.py`). Next: `dataset.py`.

Two kinds, with the same face (`kind`, `input_shape`, `feature_names`, `target`, `shift`, `scale`,
`to_json`):

| kind     | stored inputs                            | the network sees (x − shift) · scale |
|----------|------------------------------------------|--------------------------------------|
| `images` | uint8 (N, H, W), 0 … `levels`            | floats 0 … 1, made inside the step   |
| `table`  | float32 (N, F), standardised by `encode` | the same numbers: shift 0, scale 1   |

Tables are standardised here, not in the step, because the means are taken off in float64: a column
of years or of seconds since 1970 would lose its digits in float32. All figures come from the
training rows alone. Sums are exact (`math.fsum`), so that they are the same on every machine.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np

from kedja.data import date_columns
from kedja.ground.errors import CheckpointError, DataError, ShapeError

Array = np.ndarray[Any, np.dtype[Any]]
# A column as it was read: float64 with NaN where a number is missing, datetime64 with NaT where a
# date is, or texts with None.
RawColumn = Array | Sequence[str | None]

OTHER = "other"

# Just inside float32: a new row's outlier must not overflow when it is cast.
_FLOAT32_END = 3e38


@dataclass(frozen=True)
class Target:
    """What the network answers: one of `classes`, or (none given) a number in standard units."""

    name: str
    classes: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 1.0

    @property
    def task(self) -> str:
        """`classification` or `regression`."""
        return "classification" if self.classes else "regression"

    def encode(self, values: Array) -> Array:
        """Numbers in their own units (N,) to standard units, float32 (N,): (y − mean) / std."""
        return _standard(values, self.mean, self.std).astype(np.float32)

    def restore(self, outputs: Array) -> Array:
        """Standard units back to the target's own: y · std + mean, float64. Errors scale by std."""
        return np.asarray(outputs, np.float64) * self.std + self.mean


@dataclass(frozen=True)
class Numeric:
    """A column of numbers: (x − mean) / std, a missing x being the training rows' median.

    `indicator` adds a feature that is 1 where x was missing; training rows have to lack some.
    `edges`, in standard units, part the training rows into pieces, for networks that ask for them.
    """

    type: ClassVar[str] = "numeric"
    name: str
    median: float
    mean: float
    std: float
    indicator: bool
    edges: tuple[float, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features that the column becomes."""
        return (self.name, f"{self.name} missing") if self.indicator else (self.name,)

    def encode(self, column: RawColumn, out: Array) -> None:
        """Fill `out` (N, features) from float64 (N,) with NaN where a number is missing."""
        values = np.asarray(column, np.float64)
        missing = np.isnan(values)
        out[:, 0] = _standard(np.where(missing, self.median, values), self.mean, self.std)
        if self.indicator:
            out[:, 1] = missing


@dataclass(frozen=True)
class Categorical:
    """A column of texts: one feature per text of the training rows, and one for all others.

    The last feature stands for texts that training did not have, and for missing ones.
    """

    type: ClassVar[str] = "categorical"
    name: str
    categories: tuple[str, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features that the column becomes."""
        return tuple(f"{self.name}={text}" for text in (*self.categories, OTHER))

    def encode(self, column: RawColumn, out: Array) -> None:
        """Fill `out` (N, features) with a 1 in each row, from N texts (None where missing)."""
        places: dict[object, int] = {text: place for place, text in enumerate(self.categories)}
        other = len(self.categories)
        chosen = [places.get(text, other) for text in column]
        out[:] = 0
        out[np.arange(len(chosen)), chosen] = 1


@dataclass(frozen=True)
class Coded:
    """A column of texts as one feature, the number of its text, for a network with vectors.

    The last number stands for texts that training did not have, and for missing ones.
    """

    type: ClassVar[str] = "coded"
    name: str
    categories: tuple[str, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """The name of the feature."""
        return (self.name,)

    def encode(self, column: RawColumn, out: Array) -> None:
        """Fill `out` (N, 1) with a number for each of N texts (None where missing)."""
        places: dict[object, int] = {text: place for place, text in enumerate(self.categories)}
        other = len(self.categories)
        out[:, 0] = [places.get(text, other) for text in column]


@dataclass(frozen=True)
class Dated:
    """A column of dates as numbers: the time itself, month, weekday … (`date_columns.numbers`).

    `day_first` is how dates like 01/02/2024 were read in training, None where there were none.
    """

    type: ClassVar[str] = "dated"
    name: str
    parts: tuple[Numeric, ...]
    day_first: bool | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features that the column becomes."""
        return tuple(f"{self.name} {feature}" for part in self.parts for feature in part.features)

    def encode(self, column: RawColumn, out: Array) -> None:
        """Fill `out` (N, features) from datetime64 (N,), NaT where a date is missing."""
        found = date_columns.numbers(np.asarray(column))
        start = 0
        for part in self.parts:
            end = start + len(part.features)
            part.encode(found[part.name], out[:, start:end])
            start = end


Column = Numeric | Categorical | Coded | Dated


@dataclass(frozen=True)
class TablePreparation:
    """How the columns of a table become the features of a network."""

    kind: ClassVar[str] = "table"
    shift: ClassVar[np.float32] = np.float32(0)
    scale: ClassVar[np.float32] = np.float32(1)
    columns: tuple[Column, ...]
    target: Target

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One name per feature, in order."""
        return tuple(name for column in self.columns for name in column.features)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example: (F,)."""
        return (len(self.feature_names),)

    def encode(self, raw: Mapping[str, RawColumn]) -> Array:
        """Turn raw columns by name into inputs, float32 (N, F). Columns not known are ignored.

        Raises DataError where a column is missing.
        """
        for column in self.columns:
            if column.name not in raw:
                fix = "give the columns that the network was trained on"
                raise DataError(f"column {column.name!r} is missing", fix=fix)
        rows = len(raw[self.columns[0].name])
        inputs = np.empty((rows, *self.input_shape), np.float32)  # (N, F)
        start = 0
        for column in self.columns:
            end = start + len(column.features)
            column.encode(raw[column.name], inputs[:, start:end])
            start = end
        return inputs

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON's types, which `from_json` reads back."""
        columns = [{"type": column.type, **asdict(column)} for column in self.columns]
        return {"kind": self.kind, "columns": columns, "target": asdict(self.target)}


@dataclass(frozen=True)
class PicturePreparation:
    """How grey bytes become the inputs of a network: 0 … `levels` is stored, 0 … 1 is seen."""

    kind: ClassVar[str] = "images"
    shift: ClassVar[np.float32] = np.float32(0)
    feature_names: ClassVar[tuple[str, ...]] = ()
    shape: tuple[int, int]
    levels: int
    target: Target

    @property
    def scale(self) -> np.float32:
        """The factor inside the step: 1 / levels."""
        return np.float32(1 / self.levels)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example: (H, W)."""
        return self.shape

    def encode(self, grey: Array) -> Array:
        """Turn greys 0 … 255, uint8 (…, H, W), into stored inputs 0 … levels, uint8 (…, H, W).

        Raises ShapeError for pictures of another size.
        """
        if grey.shape[-2:] != self.shape:
            what = f"pictures of shape {grey.shape[-2:]}, expected {self.shape} (height, width)"
            raise ShapeError(what, fix="crop and scale the pictures")
        return np.rint(grey * (self.levels / 255)).astype(np.uint8)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON's types, which `from_json` reads back."""
        return {"kind": self.kind, **asdict(self)}


Preparation = TablePreparation | PicturePreparation


def pieces_for(rows: int) -> int:
    """Into how many pieces the numbers of a column are parted where nothing else is asked."""
    return min(32, max(2, rows // 25))


def fit_numeric(name: str, train: Array, pieces: int = 0) -> Numeric:
    """Median, mean and standard deviation of the training rows, float64 (N,) with NaN.

    With `pieces`, also the edges that part the known values into so many parts of equal size, or
    fewer where values repeat.
    """
    missing = np.isnan(train)
    known = train[~missing]
    median = float(np.median(known)) if known.size else 0.0
    mean, std = _moments(np.where(missing, median, train))
    edges = _edges(_standard(known, mean, std), pieces) if pieces and known.size else ()
    return Numeric(name, median, mean, std, bool(missing.any()), edges)


def _edges(known: Array, pieces: int) -> tuple[float, ...]:
    """Quantiles, those that float32 tells apart; none where there is one value only."""
    places = np.linspace(0, 1, pieces + 1)
    edges = np.unique(np.quantile(known, places).astype(np.float32))
    return tuple(edges.astype(np.float64).tolist()) if len(edges) > 1 else ()


def fit_dated(name: str, train: Array, pieces: int = 0, day_first: bool | None = None) -> Dated:
    """Of the training rows' dates, datetime64 (N,), the numbers that are not all the same."""
    parts = [
        fit_numeric(what, values, pieces)
        for what, values in date_columns.numbers(train).items()
        if what == date_columns.TIME or len(np.unique(values[~np.isnan(values)])) > 1
    ]
    # The first says what is missing.
    parts = [parts[0], *(replace(each, indicator=False) for each in parts[1:])]
    return Dated(name, tuple(parts), day_first)


def fit_categorical(name: str, train: Sequence[str | None]) -> Categorical:
    """The texts of the training rows, sorted."""
    return Categorical(name, tuple(sorted({text for text in train if text is not None})))


def fit_coded(name: str, train: Sequence[str | None], fewest: int = 1) -> Coded:
    """The texts that at least so many training rows have, sorted."""
    counts = Counter(text for text in train if text is not None)
    return Coded(name, tuple(sorted(text for text, n in counts.items() if n >= fewest)))


def fit_number_target(name: str, train: Array) -> Target:
    """A target in standard units of the training rows, float64 (N,)."""
    mean, std = _moments(train)
    return Target(name, mean=mean, std=std)


def from_json(value: Any) -> Preparation:
    """Read back what `to_json` gave, also after a way through a JSON file.

    Raises CheckpointError where it is damaged or incomplete.
    """
    try:
        if value["kind"] == PicturePreparation.kind:
            height, width = map(int, value["shape"])
            return PicturePreparation(
                (height, width), int(value["levels"]), _target(value["target"])
            )
        if value["kind"] == TablePreparation.kind:
            columns = tuple(_column(entry) for entry in value["columns"])
            if columns:
                return TablePreparation(columns, _target(value["target"]))
        reason = f"kind {value['kind']!r} without columns"
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__} {error}"
    what = f"the recorded preparation of the data is damaged ({reason})"
    raise CheckpointError(what, fix="use another copy of the run, or train again")


def _target(value: Any) -> Target:
    mean, std = float(value["mean"]), float(value["std"])
    return Target(str(value["name"]), _texts(value["classes"]), mean, std)


def _column(value: Any) -> Column:
    if value["type"] == Categorical.type:
        return Categorical(str(value["name"]), _texts(value["categories"]))
    if value["type"] == Coded.type:
        return Coded(str(value["name"]), _texts(value["categories"]))
    if value["type"] == Dated.type:
        first = value["day_first"]
        parts = tuple(map(_numeric, value["parts"]))
        return Dated(str(value["name"]), parts, first if first is None else bool(first))
    return _numeric(value)


def _numeric(value: Any) -> Numeric:
    median, mean, std = (float(value[key]) for key in ("median", "mean", "std"))
    edges = tuple(map(float, value.get("edges", ())))
    return Numeric(str(value["name"]), median, mean, std, bool(value["indicator"]), edges)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"expected a list, found {value!r}")
    return tuple(map(str, value))


def _moments(values: Array) -> tuple[float, float]:
    """Mean and standard deviation (of the population), (value, 1) where all values are equal."""
    if not values.size or values.min() == values.max():
        return (float(values[0]) if values.size else 0.0), 1.0
    mean = math.fsum(values.tolist()) / values.size
    variance = math.fsum(((values - mean) ** 2).tolist()) / values.size
    return mean, math.sqrt(variance) or 1.0


def _standard(values: Array, mean: float, std: float) -> Array:
    return np.clip((values - mean) / std, -_FLOAT32_END, _FLOAT32_END)
