"""Scikit-learn's bundled digits: 1,797 handwritten digits of 8 × 8 pixels with 17 grey levels.

Not here: other pictures (`mnist.py`). Next: `table.py`.

They need no network. The division into training and test rows is fixed, the same for every seed,
so that accuracies can be compared. Source: E. Alpaydin, C. Kaynak, "Optical Recognition of
Handwritten Digits", UCI Machine Learning Repository, 1998 (its test set).
"""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from kedja.data.dataset import Dataset, Split, divide
from kedja.data.prepare import PicturePreparation, Target
from kedja.ground.errors import MissingExtra

Array = np.ndarray[Any, np.dtype[Any]]

LEVELS = 16
_SPLIT_SEED = 0


def load() -> Dataset:
    """The digits as uint8 (N, 8, 8) with values 0 … 16, four fifths of each class to train on.

    Raises MissingExtra without scikit-learn.
    """
    rows = _read()  # (1797, 65)
    inputs = rows[:, :64].astype(np.uint8).reshape(-1, 8, 8)  # (1797, 8, 8)
    targets = rows[:, 64].astype(np.int64)  # (1797,)
    train, test = divide(len(rows), _SPLIT_SEED, targets)
    target = Target("label", tuple(map(str, range(10))))
    return Dataset(
        "digits",
        Split(inputs[train], targets[train]),
        Split(inputs[test], targets[test]),
        PicturePreparation((8, 8), LEVELS, target),
    )


def _read() -> Array:
    """Rows of 64 pixels and a label, from scikit-learn's own file.

    The file is opened without importing scikit-learn, which takes most of a second; where a
    version keeps it elsewhere, scikit-learn is asked.
    """
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise MissingExtra("scikit-learn", "learn", "the data set `digits`")
    path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if not path.is_file():
        return _ask_sklearn()
    with gzip.open(path, "rt") as file:
        return np.loadtxt(file, delimiter=",")


def _ask_sklearn() -> Array:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtra("scikit-learn", "learn", "the data set `digits`") from None
    found = load_digits()
    return np.column_stack([found.data, found.target])
