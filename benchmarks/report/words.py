"""Figures in words: times, ratios, rates, sizes. Next: `tables.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def seconds(value: float) -> str:
    """A time in the unit that suits it."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= 0.9995 * scale:  # three figures of less would be 1000
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def times(ratio: float) -> str:
    """A ratio in as many digits as mean something."""
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def share(value: float) -> str:
    """A share in per cent."""
    return f"{100 * value:.0f} %"


def share_of(rate: float, limit: float | None) -> str:
    """What share of a limit a rate is; nothing where one of them is unknown."""
    return share(rate / limit) if rate and limit else ""


def rate(value: float | None, unit: str) -> str:
    """Operations or bytes per second, in billions."""
    return "unknown" if value is None else f"{value / 1e9:.3g} G{unit}/s"


def megabytes(count: float) -> str:
    """Bytes in MB (of 2²⁰)."""
    return f"{count / 2**20:.0f} MB"


def apart(found: Mapping[str, Any] | None) -> Iterator[str]:
    """How far the cores were from each other, in a line; none where that was not looked at."""
    if found is None:
        return
    yield (
        f"a cache line goes from core to core and back in {found['near']:.0f} ns; of "
        f"{found['samples']} samples {found['again']} were taken again because the cores were far "
        f"({found['farthest']:.0f} ns at most), and {found['far']} still are"
    )
