"""Arrays to be looked at: rows of numbers as a table, pictures small.

Not here: files (`reading.py`). Next: `pictures.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.ground.errors import DataError, ShapeError
from kedja.inspection import cells, tables
from kedja.inspection.subject import SIDE, Array, Column, Labels, Subject


def subject(name: str, x: Any, y: Any = None, names: Sequence[str] | None = None) -> Subject:
    """Inputs x (N, F), (N, H, W) or (N, H, W, C), labels y (N,), to be looked at."""
    inputs = np.asarray(x)
    if inputs.ndim not in (2, 3, 4):
        fix = "give rows (N, F) or pictures (N, H, W) or (N, H, W, C)"
        raise ShapeError(f"inputs of shape {inputs.shape}", fix=fix)
    if inputs.dtype.kind not in "biuf":
        raise DataError(f"inputs of dtype {inputs.dtype}", fix="give numbers")
    labels = None if y is None else _labels(np.asarray(y), len(inputs))
    if inputs.ndim == 2:
        return _rows(name, inputs.astype(np.float64), labels, names)
    return pictures(name, inputs, labels)


def _labels(y: Array, count: int) -> Labels:
    if y.shape != (count,):
        fix = "give one label for each example"
        raise ShapeError(f"labels of shape {y.shape} for {count} examples", fix=fix)
    if y.dtype.kind == "f":
        return Labels("label", (), np.empty(0, np.int64), y.astype(np.float64))
    return cells.classes("label", [str(each) for each in y.tolist()])


def _rows(name: str, x: Array, labels: Labels | None, names: Sequence[str] | None) -> Subject:
    chosen = [f"x{place}" for place in range(1, x.shape[1] + 1)] if names is None else names
    if len(chosen) != x.shape[1]:
        raise ShapeError(f"{len(chosen)} names for {x.shape[1]} columns")
    columns = tuple(_column(each, x[:, place]) for place, each in enumerate(chosen))
    keys = tables.keys_of(columns, len(x))
    return Subject(name, "table", _places(len(x)), keys, labels, columns)


def _column(name: str, values: Array) -> Column:
    missing = ~np.isfinite(values)
    texts = ["" if gone else f"{v:.17g}" for v, gone in zip(values, missing, strict=True)]
    kind: Any = "empty" if missing.all() else "number"
    return Column(name, kind, texts, missing, np.where(missing, np.nan, values))


def pictures(name: str, x: Array, labels: Labels | None) -> Subject:
    """Pictures (N, H, W) or (N, H, W, C) to be looked at."""
    keys = [hashlib.blake2b(each.tobytes(), digest_size=16).digest() for each in x]
    facts = {"size": " × ".join(map(str, x.shape[1:3]))}
    places = _places(len(x))
    return Subject(name, "pictures", places, keys, labels, pixels=small(x), facts=facts)


def _places(count: int) -> list[str]:
    return [f"row {number}" for number in range(1, count + 1)]


def small(x: Array) -> Array:
    """Pictures (N, H, W) or (N, H, W, C) of at most `SIDE` pixels a side, as means of blocks."""
    count, height, width = x.shape[:3]
    step = max(-(-height // SIDE), -(-width // SIDE))
    if step == 1:
        return x
    high, wide = -(-height // step), -(-width // step)
    room = np.zeros((count, high * step, wide * step, *x.shape[3:]), np.float32)
    room[:, :height, :width] = x
    blocks = room.reshape(count, high, step, wide, step, *x.shape[3:])
    means: Array = blocks.mean((2, 4))  # (N, high, wide[, C])
    return means
