"""Each column, the labels and the lengths of texts in a few figures and a histogram.

Not here: what is wrong with them (the checks). Next: `page.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from kedja.inspection.balance import counts
from kedja.inspection.finding import Bars, Summary
from kedja.inspection.subject import Array, Column, Labels, Subject

BINS = 20
MOST_BARS = 12


def of(data: Subject) -> Iterator[Summary]:
    """A summary of everything that has a distribution."""
    if data.labels is not None:
        yield _labels(data.labels)
    if data.kind == "texts" and data.texts:
        yield _lengths([len(text) for text in data.texts])
    for column in data.columns:
        yield column_summary(column)


def _labels(labels: Labels) -> Summary:
    if labels.values is not None:
        return _numbers(f"{labels.name} (label)", "number", labels.values)
    found = counts(labels)
    figures = {"distinct": len(found), "missing": int((labels.codes < 0).sum())}
    return Summary(f"{labels.name} (label)", "category", figures, _bars(Counter(found)))


def _lengths(lengths: list[int]) -> Summary:
    return _numbers("characters", "number", np.array(lengths, np.float64))


def column_summary(column: Column) -> Summary:
    """A column in a few figures."""
    if column.kind == "number" and column.numbers is not None:
        return _numbers(column.name, "number", column.numbers)
    if column.kind == "date" and column.numbers is not None:
        known = column.known
        figures = {
            "distinct": len(np.unique(known)),
            "missing": int(column.missing.sum()),
            "first": _date(known.min()),
            "last": _date(known.max()),
        }
        return Summary(column.name, "date", figures, _histogram(known, _date))
    found = Counter(
        cell.strip() for cell, gone in zip(column.cells, column.missing, strict=True) if not gone
    )
    figures = {"distinct": len(found), "missing": int(column.missing.sum())}
    bars = _bars(found) if column.kind == "category" else Bars((), ())
    return Summary(column.name, column.kind, figures, bars)


def _numbers(name: str, kind: str, values: Array) -> Summary:
    known = values[np.isfinite(values)]
    figures: dict[str, float | int | None] = {
        "distinct": len(np.unique(known)),
        "missing": int(len(values) - len(known)),
    }
    if len(known):
        figures |= {
            "mean": float(known.mean()),
            "std": float(known.std()),
            "min": float(known.min()),
            "median": float(np.median(known)),
            "max": float(known.max()),
        }
    return Summary(name, kind, figures, _histogram(known, lambda value: f"{value:.4g}"))


def _histogram(known: Array, name: Callable[[float], str]) -> Bars:
    if not len(known):
        return Bars((), ())
    found, edges = np.histogram(known, BINS if len(np.unique(known)) > 1 else 1)
    return Bars(tuple(found.tolist()), tuple(name(edge) for edge in edges))


def _bars(found: Counter[str]) -> Bars:
    top = found.most_common(MOST_BARS)
    rest = sum(found.values()) - sum(count for _, count in top)
    names = [name for name, _ in top] + (["others"] if rest else [])
    return Bars(tuple([count for _, count in top] + ([rest] if rest else [])), tuple(names))


def _date(days: float) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=float(days))).date().isoformat()
