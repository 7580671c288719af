"""Checks of what layers are made with, shared by all families. Next: `linear.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kedja.ground.errors import UsageError


def require_positive(name: str, **extents: int) -> None:
    """Raise UsageError for an extent that is no whole number from 1."""
    for what, extent in extents.items():
        if isinstance(extent, bool) or not isinstance(extent, int) or extent < 1:
            raise UsageError(f"{name} with {what}={extent!r}", fix=f"{what} is 1 or more")


def require_probability(name: str, p: float) -> None:
    """Raise UsageError unless 0 ≤ p ≤ 1."""
    if not 0 <= p <= 1:
        raise UsageError(f"{name} with p={p!r}", fix="a probability from 0 to 1")


def extents(name: str, what: str, given: int | Sequence[int]) -> tuple[int, ...]:
    """A whole number or several as a tuple of extents; raises UsageError for others."""
    found: Any = (given,) if isinstance(given, int) else tuple(given)
    if not found:
        raise UsageError(f"{name} with {what}={given!r}", fix="at least one extent")
    require_positive(name, **{f"{what}[{place}]": each for place, each in enumerate(found)})
    return tuple(found)
