"""What is looked at: examples with the place of each, their labels, and what they consist of.

| kind         | an example is | it has                                                          |
|--------------|---------------|-----------------------------------------------------------------|
| `table`      | a row         | `columns`; the label is a column of its own                     |
| `texts`      | a text        | `texts`, and as `columns` what else stands beside each          |
| `pictures`   | a picture     | `pixels`, small and of one size                                 |
| `recordings` | a recording   | `pixels`, a small spectrogram, and as `columns` what is known   |

Not here: how files become one (`reading.py`), numbers for models and distances (`features.py`).
Next: `cells.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from kedja.inspection.finding import Finding

Array = np.ndarray[Any, np.dtype[Any]]
Kind = Literal["number", "category", "text", "date", "empty"]
SIDE = 16  # of small pictures, at most


@dataclass(frozen=True)
class Column:
    """The values of one name: cells as they stand, and as numbers where they are numbers or dates.

    `numbers`: float64 (N,), NaN where missing or no number; days since 1970 for dates; None for
    other kinds. `bad`: (row, cell) of what is no number, or no date, among numbers or dates.
    `unclear`: why dates cannot be told for sure, where they cannot.
    """

    name: str
    kind: Kind
    cells: Sequence[str]
    missing: Array
    numbers: Array | None = None
    bad: tuple[tuple[int, str], ...] = ()
    unclear: str = ""

    @property
    def known(self) -> Array:
        """The numbers that there are."""
        assert self.numbers is not None
        return self.numbers[np.isfinite(self.numbers)]

    def taken(self, rows: Array) -> Column:
        """The same column of these rows, int64 (n,)."""
        chosen = rows.tolist()
        place = {row: new for new, row in enumerate(chosen)}
        bad = tuple((place[row], cell) for row, cell in self.bad if row in place)
        numbers = None if self.numbers is None else self.numbers[rows]
        cells = [self.cells[row] for row in chosen]
        return Column(self.name, self.kind, cells, self.missing[rows], numbers, bad, self.unclear)


@dataclass(frozen=True)
class Labels:
    """The class of each example: `codes`, int64 (N,), places in `classes`, −1 where there is none.

    Where classes were not meant but a number is, `codes` is empty and `values` (N,) holds it.
    """

    name: str
    classes: tuple[str, ...]
    codes: Array
    values: Array | None = None

    @property
    def are_classes(self) -> bool:
        """Whether the label names a class, and is no number to be predicted."""
        return self.values is None

    def text(self, row: int) -> str:
        """The label of an example as people read it."""
        if self.values is not None:
            return f"{self.values[row]:g}"
        code = int(self.codes[row])
        return self.classes[code] if code >= 0 else "none"


@dataclass(frozen=True)
class Subject:
    """A data set to be looked at. `keys` are equal where the inputs are, bytes for each example.

    `items` and `annotators`, where given, say which thing was labelled by whom: one item may
    stand in several examples. `found` is what was found while reading.
    """

    name: str
    kind: Literal["table", "texts", "pictures", "recordings"]
    places: Sequence[str]
    keys: Sequence[bytes]
    labels: Labels | None = None
    columns: tuple[Column, ...] = ()
    texts: Sequence[str] = ()
    pixels: Array | None = None
    items: Sequence[str] | None = None
    annotators: Sequence[str] | None = None
    found: tuple[Finding, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.places)

    def named(self, rows: Sequence[int] | Array) -> tuple[str, ...]:
        """Where these examples stand."""
        return tuple(self.places[int(row)] for row in rows)
