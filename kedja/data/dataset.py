"""A data set: training and test examples as NumPy arrays, and what is known about them.

Not here: how they were read (`source.py` chooses the reader). Next: `source.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kedja.data.batches import split_order
from kedja.data.prepare import Preparation
from kedja.ground.described import Described
from kedja.ground.errors import DataError, ShapeError

Array = np.ndarray[Any, np.dtype[Any]]

TEST_SHARE = 0.2

# A class this many times rarer than the commonest one is worth a warning.
UNBALANCED = 10

_SHOWN_NAMES = 12


@dataclass(frozen=True)
class Split:
    """Examples and their targets, row by row.

    `inputs`: uint8 (N, H, W) or float32 (N, F). `targets`: int64 (N,) class numbers, or
    float32 (N,) in the standard units of `Target`. Raises ShapeError where N differs.
    """

    inputs: Array
    targets: Array

    def __post_init__(self) -> None:
        if self.inputs.shape[:1] != self.targets.shape:
            what = f"inputs of shape {self.inputs.shape}, targets of shape {self.targets.shape}"
            raise ShapeError(what, fix="give one target for each row of the inputs")

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, repr=False)
class Dataset(Described):
    """Everything that training needs to know about its data.

    `notes` are facts from the reading (columns left out, missing values filled) for people;
    `test_rows` are the rows of the file, from 0, that `test` holds, where there is a file of rows.
    """

    name: str
    train: Split
    test: Split
    preparation: Preparation
    notes: tuple[str, ...] = ()
    test_rows: Array | None = None

    @property
    def kind(self) -> str:
        """`images` or `table`."""
        return self.preparation.kind

    @property
    def task(self) -> str:
        """`classification` or `regression`."""
        return self.preparation.target.task

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each class number; empty for regression."""
        return self.preparation.target.classes

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The name of each feature of a table; empty for pictures."""
        return self.preparation.feature_names

    @property
    def target_name(self) -> str:
        """What is predicted."""
        return self.preparation.target.name

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example: (H, W) or (F,)."""
        return self.preparation.input_shape

    def describe(self) -> tuple[str, ...]:
        """What was recognised, one line per fact, warnings last."""
        sizes = f"{len(self.train):,} rows to train on, {len(self.test):,} to test on"
        facts = (f"{self.name}: {self._kind_fact()}", sizes, self._task_fact(), *self.notes)
        return (*facts, *self._warnings())

    def _kind_fact(self) -> str:
        if self.kind == "images":
            height, width = self.input_shape
            return f"pictures of {height} × {width} pixels, a byte each"
        return f"a table with {len(self.feature_names)} features: {_names(self.feature_names)}"

    def _task_fact(self) -> str:
        target = self.preparation.target
        if target.classes:
            found = f"{len(target.classes)} classes: {_names(target.classes)}"
            return f"classification of {target.name!r}, {found}"
        spread = f"mean {target.mean:.6g}, standard deviation {target.std:.6g}"
        return f"regression of {target.name!r}, {spread}"

    def _warnings(self) -> tuple[str, ...]:
        if not self.classes:
            return ()
        train = np.bincount(self.train.targets, minlength=len(self.classes))
        test = np.bincount(self.test.targets, minlength=len(self.classes))
        lines = [
            f"warning: no {part} row has {self.target_name!r} = {_names(absent)}"
            for part, counts in (("training", train), ("test", test))
            if (absent := [self.classes[i] for i in np.flatnonzero(counts == 0)])
        ]
        rare, common = int(train.argmin()), int(train.argmax())
        if train[common] > UNBALANCED * train[rare] > 0:
            lines.append(
                f"warning: unbalanced classes: {train[rare]:,} training rows of "
                f"{self.classes[rare]!r}, {train[common]:,} of {self.classes[common]!r}"
            )
        return tuple(lines)


def _names(names: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(names[:_SHOWN_NAMES])
    return f"{shown}, …" if len(names) > _SHOWN_NAMES else shown


def divide(n: int, seed: int, labels: Array | None = None) -> tuple[Array, Array]:
    """Draw the rows to train on and those to test on: two sorted int64 arrays.

    A fifth of the n rows is for testing, at least one. With `labels`, int (n,), each class is
    divided in that proportion, as nearly as whole rows allow, and never loses its last training
    row; where every class has but one row, the labels are ignored. The same seed gives the same
    rows on every machine. Raises DataError for fewer than two rows.
    """
    if n < 2:
        fix = "give at least two, one to train on and one to test on"
        raise DataError(f"too few usable rows: {n}", fix=fix)
    order = split_order(n, seed)
    wanted = max(1, round(n * TEST_SHARE))
    test = order[:wanted] if labels is None else _stratified(order, labels, wanted)
    if not test.size:
        test = order[:wanted]
    is_test = np.zeros(n, bool)
    is_test[test] = True
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def _stratified(order: Array, labels: Array, wanted: int) -> Array:
    """The first rows of each class in `order`, as many as its share of `wanted`."""
    drawn = labels[order]
    shares = _shares(np.bincount(drawn), wanted)
    rows = [order[drawn == label][:share] for label, share in enumerate(shares)]
    return np.concatenate(rows)


def _shares(counts: Array, wanted: int) -> list[int]:
    """Divide `wanted` test rows among classes of these sizes by the largest remainders."""
    exact = counts * (wanted / counts.sum())
    most = np.maximum(counts - 1, 0)
    shares = np.minimum(np.floor(exact).astype(np.int64), most)
    for label in np.argsort(shares - exact, kind="stable"):
        if shares.sum() < wanted and shares[label] < most[label]:
            shares[label] += 1
    return [int(share) for share in shares]
