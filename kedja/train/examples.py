"""The examples that a run trains on: rows of arrays here, divided, and recognised again.

All that a step, a validation and a checkpoint need of examples stands in `Examples`; what an
example is, is up to the kind. Not here: windows and documents of a text (`windows.py`), reading
files (`kedja/data`). Next: `objective.py`.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import kedja.front.functions as kj
from kedja.data.batches import epoch_order, split_order
from kedja.front.tensor import Tensor, from_value
from kedja.ground.dtypes import ALL, DType, convert, is_float, is_integer
from kedja.ground.errors import DataError, DtypeError, ShapeError, UsageError
from kedja.nn.losses.reduction import IGNORED

Array = np.ndarray[Any, np.dtype[Any]]
Batch = dict[str, Tensor]


class Kind(NamedTuple):
    """Shape and dtype of what one example has of something."""

    shape: tuple[int, ...]
    dtype: DType


class Examples(ABC):
    """Examples by number: inputs x and, where there are any, targets y or further inputs.

    The arrays that they lie in are given to the compiled step as they are, never copied; the step
    draws the numbers of its batch from the epoch's order and gathers the examples itself.
    """

    @property
    @abstractmethod
    def count(self) -> int:
        """N, how many examples an epoch has."""

    @property
    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """The arrays that the examples are gathered from, by name."""

    @property
    @abstractmethod
    def kinds(self) -> dict[str, Kind]:
        """Shape and dtype of one example: of x, of y where there are targets, of further inputs."""

    @abstractmethod
    def batch(self, data: Mapping[str, Tensor], numbers: Tensor) -> Batch:
        """The examples of some numbers (B,), gathered from `data`, which are `arrays`."""

    @property
    def tensors(self) -> Batch:
        """The arrays as tensors, not copied: what a step is given."""
        return {name: from_value(array) for name, array in self.arrays.items()}

    @property
    def positions(self) -> int:
        """For how many answers the network computes as for one of a row: the places of a text."""
        return 1

    @property
    def targets(self) -> Array | None:
        """All targets (N, …), for metrics that are made of them; None where there are none."""
        return None

    def order(self, epoch: int, seed: int, shuffle: bool) -> Array:
        """The numbers (N,) of the examples of an epoch (from 0), in the order of drawing."""
        if not shuffle:
            return np.arange(self.count, dtype=np.uint32)
        return epoch_order(self.count, epoch, seed).astype(np.uint32)

    def weight(self, batch: Batch) -> Any:
        """Over how many things the mean loss of a batch is taken: its examples."""
        return batch["x"].shape[0]

    def figures(self, loss: float) -> dict[str, float]:
        """What else follows from the mean loss on these examples."""
        return {}

    @abstractmethod
    def require_labels(self, classes: int) -> None:
        """Raise DataError where a target is not the number of one of so many classes."""

    def fingerprint(self) -> dict[str, str]:
        """For each array its dtype, shape and SHA-256: other data has another fingerprint."""
        return {name: digest_of(array) for name, array in self.arrays.items()}


@dataclass(frozen=True, eq=False)
class Rows(Examples):
    """Inputs (N, …) and targets (N, …); no targets where the inputs are all there is."""

    x: Array
    y: Array | None

    @property
    def count(self) -> int:
        """N."""
        return len(self.x)

    @property
    def arrays(self) -> dict[str, Array]:
        """x, and y where there is one."""
        return {"x": self.x} if self.y is None else {"x": self.x, "y": self.y}

    @property
    def kinds(self) -> dict[str, Kind]:
        """Those of a row."""
        return {name: Kind(each.shape[1:], each.dtype) for name, each in self.arrays.items()}

    @property
    def targets(self) -> Array | None:
        """y."""
        return self.y

    def batch(self, data: Mapping[str, Tensor], numbers: Tensor) -> Batch:
        """The rows of these numbers."""
        return {name: kj.take(array, numbers, axis=0) for name, array in data.items()}

    def require_labels(self, classes: int) -> None:
        """Class numbers must be those of the network's outputs."""
        y = self.y
        if y is None or not is_integer(y.dtype):
            return
        wrong = np.argwhere(((y < 0) | (y >= classes)) & (y != IGNORED))
        if len(wrong):
            place = tuple(int(i) for i in wrong[0])
            raise DataError(
                f"label {y[place]} at row {place[0]} of y is outside the network's {classes} "
                f"outputs (0 to {classes - 1})",
                fix="number the classes from 0, or give the network more outputs",
            )


def examples(x: Any, y: Any, dtype: DType, what: str = "training data") -> Examples:
    """Examples that a compiled step can take; the floats of arrays become `dtype`, the network's.

    Raises ShapeError where x and y differ in length, DataError where there are no examples,
    DtypeError for arrays of texts or objects.
    """
    if isinstance(x, Examples):
        if y is not None:
            raise UsageError(f"y beside x of the {what}, which has its targets", fix="leave y out")
        return x
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
    return Rows(inputs, targets)


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
    if not isinstance(whole, Rows):
        what = f"validation={fraction} of {type(whole).__name__}, which are not divided by chance"
        raise UsageError(what, fix="give examples of their own to validate on")
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


def _rows(whole: Rows, rows: Array) -> Rows:
    return Rows(whole.x[rows], None if whole.y is None else whole.y[rows])


def digest_of(array: Array) -> str:
    """Dtype, shape and SHA-256 of an array."""
    little = np.asarray(array, array.dtype.newbyteorder("<"))
    digest = hashlib.sha256(little.reshape(-1).view(np.uint8).data).hexdigest()
    return f"{array.dtype.name}{list(array.shape)} {digest[:32]}"
