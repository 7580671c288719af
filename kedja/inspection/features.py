"""Examples as rows of numbers, for distances and for the model that doubts labels.

| kind     | features                                                                            |
|----------|-------------------------------------------------------------------------------------|
| table    | numbers standardised (±5 at most), dates as numbers, categories one by one          |
| texts    | words and pairs of words by hash, TF-IDF, of length 1                               |
| pictures | pixels, less their mean, in units of the spread of all                              |

An encoder is fitted to one data set and used for another, so that both are in the same units.
Not here: the model (`model.py`), distances (`neighbours.py`). Next: `neighbours.py`.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from kedja.inspection.subject import Array, Column, Subject
from kedja.inspection.tables import numbers_rows

Encoder = Callable[[Subject], Array]

MOST_STANDARD = 5.0
TEXT_FEATURES = 1024
_FLAT = 0.05  # of the deviation of all pixels: below, a picture's own contrast is noise
_WORD = re.compile(r"\w+")


def encoder(subject: Subject, *, without: Sequence[str] = (), measured: bool = False) -> Encoder:
    """What turns examples like those of `subject` into float32 (N, F); `without` these columns.

    With `measured`, of a table only numbers and dates: between categories there is no distance
    that is comparable to that of numbers; and pictures whatever their light. F is 0 where nothing
    is left that could be compared.
    """
    if subject.kind == "table":
        left_out = {each.name for each in subject.columns if measured and each.numbers is None}
        return _table(subject, left_out | set(without))
    return _texts(subject) if subject.kind == "texts" else _pictures(subject, measured)


def useful(column: Column) -> bool:
    """Whether a column can help to compare examples: it varies, and no row has its own value."""
    if column.kind in ("empty", "text") or numbers_rows(column):
        return False
    return len({cell.strip() for cell in column.cells}) > 1


# ---------------------------------------------------------------------------------------- tables


def _table(subject: Subject, without: set[str]) -> Encoder:
    chosen = [each for each in subject.columns if useful(each) and each.name not in without]
    parts = [_numeric(each) if each.numbers is not None else _category(each) for each in chosen]

    def encode(other: Subject) -> Array:
        by_name = {each.name: each for each in other.columns}
        columns = [part(by_name.get(each.name)) for each, part in zip(chosen, parts, strict=True)]
        usable = [each for each in columns if each is not None]
        if len(usable) < len(columns) or not columns:
            return np.empty((len(other), 0), np.float32)
        return np.concatenate(usable, 1)  # (N, F)

    return encode


def _numeric(fitted: Column) -> Callable[[Column | None], Array | None]:
    """Standardised by median and interquartile range, by the deviation where that is 0."""
    low, middle, high = np.percentile(fitted.known, (25, 50, 75))
    spread = (high - low) / 1.349 or float(fitted.known.std()) or 1.0  # 1.349: that of a normal

    def encode(column: Column | None) -> Array | None:
        if column is None or column.numbers is None:
            return None
        standard = (column.numbers - middle) / spread
        kept = np.clip(np.nan_to_num(standard), -MOST_STANDARD, MOST_STANDARD)
        out: Array = kept[:, None].astype(np.float32)
        return out

    return encode


def _category(fitted: Column) -> Callable[[Column | None], Array | None]:
    names = sorted({each.strip() for each in fitted.cells})
    place = {name: code for code, name in enumerate(names)}

    def encode(column: Column | None) -> Array | None:
        if column is None:
            return None
        out = np.zeros((len(column.cells), len(names)), np.float32)
        codes = [place.get(cell.strip(), -1) for cell in column.cells]
        known = [(row, code) for row, code in enumerate(codes) if code >= 0]
        if known:
            rows, columns = zip(*known, strict=True)
            out[list(rows), list(columns)] = 1
        return out

    return encode


# ----------------------------------------------------------------------------------------- texts


def _texts(subject: Subject) -> Encoder:
    counts = _counts(subject.texts)
    seen = (counts > 0).sum(0)
    weight = np.log((1 + len(counts)) / (1 + seen)) + 1  # (F,) the inverse document frequency

    def encode(other: Subject) -> Array:
        rows = (counts if other is subject else _counts(other.texts)) * weight
        length = np.sqrt((rows * rows).sum(1, keepdims=True))
        scale = math.sqrt(TEXT_FEATURES) / 4
        out: Array = (rows / np.maximum(length, 1e-12) * scale).astype(np.float32)
        return out

    return encode


def _counts(texts: Sequence[str]) -> Array:
    """1 + log of how often words and pairs of words stand in each text, by hash: (N, F)."""
    out = np.zeros((len(texts), TEXT_FEATURES), np.float32)
    for row, text in enumerate(texts):
        words = _WORD.findall(text.casefold())
        grams = words + [f"{a} {b}" for a, b in pairwise(words)]
        places = [zlib.crc32(gram.encode()) % TEXT_FEATURES for gram in grams]
        np.add.at(out[row], places, 1)
    return np.log1p(out)


# -------------------------------------------------------------------------------------- pictures


def _pictures(subject: Subject, measured: bool) -> Encoder:
    """Pixels in common units; `measured`, each picture in its own, so that a copy that is brighter
    or has less contrast is near: less its mean, by its deviation.
    """
    assert subject.pixels is not None
    flat = subject.pixels.reshape(len(subject), -1)
    mean = flat.mean(0, dtype=np.float64)
    spread = float(flat.std(dtype=np.float64)) or 1.0

    def encode(other: Subject) -> Array:
        assert other.pixels is not None
        rows = other.pixels.reshape(len(other), -1)
        if rows.shape[1] != len(mean):
            return np.empty((len(other), 0), np.float32)
        if not measured:
            out: Array = ((rows - mean) / spread).astype(np.float32)
            return out
        level = rows.mean(1, keepdims=True, dtype=np.float64)
        contrast = rows.std(1, keepdims=True, dtype=np.float64)
        own: Array = ((rows - level) / np.maximum(contrast, _FLAT * spread)).astype(np.float32)
        return own

    return encode
