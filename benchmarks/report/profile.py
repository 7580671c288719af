"""Where the time of a step goes: kedja's launches with their cost and their share of the limits.

Not here: how launches are timed (`kedja_side/launches.py`). Next: `chart.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from benchmarks.report.figures import Json
from benchmarks.report.layout import Row, table
from benchmarks.report.words import seconds, share, share_of

HEAD = (
    *("launch", "kernel", "tasks", "time", "share"),
    *("MFLOP", "GFLOP/s", "of FMA", "MB", "GB/s", "of memory"),
)


def show_profile(name: str, launches: Sequence[Json], limits: Json, console: Console) -> None:
    """Launch by launch, in the order in which they run; then what the whole step comes to."""
    total = sum(each["seconds"] for each in launches)
    console.print(f"{name}: {seconds(total)} a step in {len(launches)} launches", highlight=False)
    table(console, HEAD, [_row(each, total, limits) for each in launches])
    if launches:
        console.print(_sum(launches, total, limits), highlight=False, soft_wrap=True)


def _row(each: Json, total: float, limits: Json) -> Row:
    return (
        each["label"],
        each["kernel"].removeprefix("kedja_"),
        str(each["tasks"]),
        seconds(each["seconds"]),
        share(each["seconds"] / total) if total else "",
        *_rate(each, "flops", limits["fma_flops"]),
        *_rate(each, "bytes", limits["bytes"]),
    )


def _rate(each: Json, what: str, limit: float | None) -> Row:
    """How many millions, how many billions in a second, and what share of the limit that is."""
    if not each[what] or not each["seconds"]:
        return "", "", ""
    rate = each[what] / each["seconds"]
    return f"{each[what] / 1e6:.3g}", f"{rate / 1e9:.3g}", share_of(rate, limit)


def _sum(launches: Sequence[Json], total: float, limits: Json) -> str:
    """The whole step against the limits, and how long the work would take at them."""
    flops, moved = (sum(each[what] for each in launches) for what in ("flops", "bytes"))
    words = [f"{flops / 1e6:.4g} MFLOP", f"{moved / 1e6:.4g} MB through the launches"]
    for amount, name, limit in (
        (flops, "multiply-adds", limits["fma_flops"]),
        (moved, "memory", limits["bytes"]),
    ):
        if amount and limit:
            least = amount / limit
            words.append(f"{name} alone would take {seconds(least)} ({share(least / total)})")
    return "; ".join(words)
