"""The learned part of data alone: who chooses between networks must not look at the test part.

Inside `learned_alone()`, what reads data gives the part that would be learned, divided once more:
into a part to learn and one to choose by. Not here: the search (`kedja/tuning`). Next: `source.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

from kedja.data.dataset import Dataset, Split, divide

_ALONE: ContextVar[bool] = ContextVar("kedja_learned_alone", default=False)


@contextmanager
def learned_alone() -> Iterator[None]:
    """Within, test parts are not given."""
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


def is_alone() -> bool:
    """Whether the learned part is asked for alone."""
    return _ALONE.get()


def without_test(found: Dataset, seed: int) -> Dataset:
    """A data set whose test part is a fifth of what was learned, drawn by the seed."""
    x, y = found.train.inputs, found.train.targets
    rows, held = divide(len(y), seed, y if found.classes else None)
    parts = Split(x[rows], y[rows]), Split(x[held], y[held])
    return replace(found, train=parts[0], test=parts[1], test_rows=None)
