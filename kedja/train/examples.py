"""The examples that a run trains on: as arrays of the right kinds, divided, and recognised again.

Not here: reading files (`kedja/data`). Next: `objective.py`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from kedja.data.batches import split_order
from kedja.front.tensor import Tensor, from_value
from kedja.ground.dtypes import ALL, DType, convert, is_float
from kedja.ground.errors import DataError, DtypeError, ShapeError, UsageError

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs (N, …) and targets (N, …); no targets where the inputs are all there is."""

    x: Array
    y: Array | None

    @property
    def count(self) -> int:
        """N."""
        return len(self.x)

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays by name."""
        return {"x": self.x} if self.y is None else {"x": self.x, "y": self.y}

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The arrays as tensors, not copied: what a step is given."""
        return {name: from_value(array) for name, array in self.arrays.items()}


def examples(x: Any, y: Any, dtype: DType, what: str = "training data") -> Examples:
    """Arrays that a compiled step can take; floats become `dtype`, that of the network.

    Raises ShapeError where x and y differ in length, DataError where there are no examples,
    DtypeError for arrays of texts or objects.
    """
    inputs = _array(x, dtype, f"x of the {what}")
    targets = None if y is None else _array(y, dtype, f"y of the {what}")
    if not len(inputs):
        raise DataError(f"the {what} has no examples", fix="give at least one")
    if targets is not None and len(inputs) != len(targets):
        raise ShapeError(
            f"the {what} has {len(inputs)} inputs, x of shape {list(inputs.shape)}, "
            f"but {len(targets)} targets, y of shape {list(targets.shape)}",
            fix="give one target for each input",
        )
    return Examples(inputs, targets)


def _array(given: Any, dtype: DType, what: str) -> Array:
    array = given.numpy() if isinstance(given, Tensor) else np.asarray(given)
    if not array.ndim:
        raise ShapeError(f"{what} is a single number", fix="give an array with one row per example")
    if is_float(array.dtype) or array.dtype.kind == "f":  # NumPy's long double too
        return np.ascontiguousarray(convert(array, dtype))
    name = array.dtype.name
    if name not in {each.name for each in ALL}:
        raise DtypeError(
            f"{what} has dtype {array.dtype}",
            fix="give numbers: for classes their numbers, counted from 0",
        )
    return np.ascontiguousarray(array, name)


def divide(whole: Examples, fraction: float, seed: int) -> tuple[Examples, Examples]:
    """Examples to train on and a fraction of them, drawn by the seed, to validate on."""
    if not 0 < fraction < 1:
        raise UsageError(f"validation is {fraction}", fix="a fraction between 0 and 1, or (x, y)")
    held = round(whole.count * fraction)
    if not 0 < held < whole.count:
        raise UsageError(
            f"validation={fraction} of {whole.count} examples leaves one part empty",
            fix="give another fraction, or validation=(x, y)",
        )
    order = split_order(whole.count, seed)
    return _rows(whole, np.sort(order[held:])), _rows(whole, np.sort(order[:held]))


def _rows(whole: Examples, rows: Array) -> Examples:
    return Examples(whole.x[rows], None if whole.y is None else whole.y[rows])


def fingerprint(given: Examples | None) -> dict[str, str]:
    """For each array its dtype, shape and SHA-256: other data has another fingerprint."""
    if given is None:
        return {}
    return {name: _of_array(array) for name, array in given.arrays.items()}


def _of_array(array: Array) -> str:
    little = np.asarray(array, array.dtype.newbyteorder("<"))
    digest = hashlib.sha256(little.reshape(-1).view(np.uint8).data).hexdigest()
    return f"{array.dtype.name}{list(array.shape)} {digest[:32]}"
