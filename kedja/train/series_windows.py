"""Examples that are windows of a series: T past steps and the H after them.

Not here: what stands in the table (`kedja/models/forecasts.py`). Next: `forecasting.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

import kedja.front.functions as kj
from kedja.front.tensor import Tensor
from kedja.ground.errors import DataError
from kedja.train.examples import Array, Batch, Examples, Kind


class SeriesWindows(Examples):
    """The windows of a table (N, F) float32 whose forecasts begin at the rows `origins` (O,).

    x (T + H, F) has the coming steps too, since some columns are known in advance: a forecaster
    looks at no others of them (`models.forecaster.seen`). y (H,) is the first column there; where
    `there` (N,) says that a row has no value of its own, y is NaN.
    Raises DataError where there is no window, or one that leaves the table.
    """

    def __init__(
        self, table: Array, origins: Any, past: int, horizon: int, there: Array | None = None
    ) -> None:
        self._table = np.ascontiguousarray(table, np.float32)
        self._there = None if there is None else np.ascontiguousarray(there, bool)
        self._origins = np.ascontiguousarray(origins, np.int64)
        self._past, self._horizon = past, horizon
        if not len(self._origins):
            what = f"no window of {past} past and {horizon} coming steps has room"
            raise DataError(what, fix="give more rows, or a smaller context and horizon")
        if self._origins.min() < past or self._origins.max() + horizon > len(table):
            raise DataError("a window leaves the table", fix="origins from T to N − H")

    def has(self, rows: Array) -> Array:
        """Whether rows, of any shape, have values of their own: bool of that shape."""
        return np.ones(rows.shape, bool) if self._there is None else self._there[rows]

    @property
    def count(self) -> int:
        """O."""
        return len(self._origins)

    @property
    def arrays(self) -> dict[str, Array]:
        """The table, where forecasts begin, and which rows have values, if not all have."""
        found: dict[str, Array] = {"table": self._table, "origins": self._origins}
        return found if self._there is None else {**found, "there": self._there}

    @property
    def kinds(self) -> dict[str, Kind]:
        """x (T + H, F) and y (H,)."""
        dtype, width = self._table.dtype, self._table.shape[1]
        length = self._past + self._horizon
        return {"x": Kind((length, width), dtype), "y": Kind((self._horizon,), dtype)}

    @property
    def positions(self) -> int:
        """T + H."""
        return self._past + self._horizon

    def batch(self, data: Mapping[str, Tensor], numbers: Tensor) -> Batch:
        """The windows of these numbers (B,)."""
        starts = kj.take(data["origins"], numbers).reshape(-1, 1) - self._past  # (B 1)
        places = starts + kj.arange(self._past + self._horizon)  # (B T+H)
        x = kj.take(data["table"], places, axis=0)  # (B T+H F)
        y = x[:, self._past :, 0]  # (B H)
        if self._there is not None:
            y = kj.where(kj.take(data["there"], places[:, self._past :]), y, math.nan)
        return {"x": x, "y": y}

    def fingerprint(self) -> dict[str, str]:
        """The arrays, and how long windows are."""
        return {**super().fingerprint(), "windows": f"{self._past} and {self._horizon}"}

    def require_labels(self, classes: int) -> None:
        """Targets are numbers, not classes."""
