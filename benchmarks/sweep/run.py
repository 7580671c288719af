"""Measuring the sweep: both sides in turns at each point; then the search for cliffs.

Not here: the points (`points.py`), the table and the chart (`show.py`). Next: `show.py`.

A cliff is a point whose step takes more than 1.5 times as long as its neighbours let expect. Each
pair of neighbours, one below and one above (next, and next but one; along widths, and along
batches), gives an expectation: what a power law through the two says in between. Their median
counts. So a time that grows, however steeply, is no cliff, and one that stands out is.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from benchmarks.machine import DISTURBED
from benchmarks.measure import Measured, Result, Settings, Turn, require_equal, sample, steps_for
from benchmarks.sweep.points import (
    BATCHES,
    QUICK_BATCHES,
    QUICK_WIDTHS,
    WIDTHS,
    Point,
    grid,
    sweep_case,
)
from benchmarks.worker import Place, Worker, prepared, working

Json = dict[str, Any]
Note = Callable[[str], None]

CLIFF = 1.5
REACH = 2  # neighbours on each side
COMPARED = 20
SAMPLE_SECONDS = 0.05
FEWER = 5  # rounds below which the small grid is taken, as `--quick` asks for


def measured(places: Sequence[Place], settings: Settings, note: Note) -> Json:
    """The figures of all points, and the cliffs among them. Raises SideError."""
    quick = settings.rounds < FEWER
    points = grid(QUICK_WIDTHS, QUICK_BATCHES) if quick else grid(WIDTHS, BATCHES)
    with prepared(sweep_case(points), settings.threads) as ready, ExitStack() as stack:
        workers = [stack.enter_context(working(place, ready)) for place in places]
        found = []
        for number, point in enumerate(points, 1):
            note(f"[{number}/{len(points)}] width {point.width}, batch {point.batch}")
            found.append(one(workers, point, settings.rounds))
    return {"points": found, "cliffs": cliffs(found)}


def one(workers: Sequence[Worker], point: Point, rounds: int) -> Json:
    """A point's figures: equal losses first, then rounds. Raises SideError."""
    case, name = point.case(), point.name
    result = Result(case)
    turns = []
    for worker in workers:
        losses = worker.ask(do="losses", mode=name, steps=COMPARED)["losses"]
        require_equal(worker.side.name, losses, result)
        steps, _ = steps_for(worker, name, SAMPLE_SECONDS)
        turns.append(Turn(worker, Measured(worker.side.name), name, steps))
    for _ in range(rounds):
        for turn in turns:
            sample(turn, workers)
    modes = {turn.found.name: turn.found.modes[name] for turn in turns}
    seconds = {side: mode.median for side, mode in modes.items()}
    disturbed = any(mode.disturbance > DISTURBED for mode in modes.values())
    size = {"width": point.width, "batch": point.batch, "flops": case.flops}
    return {**size, "seconds": seconds, "disturbed": disturbed}


# ------------------------------------------------------------------------------------ cliffs


def cliffs(points: Sequence[Json]) -> list[Json]:
    """The points where a step of kedja's takes much longer than its neighbours let expect."""
    times = {(each["width"], each["batch"]): each["seconds"]["kedja"] for each in points}
    disturbed = {(each["width"], each["batch"]) for each in points if each["disturbed"]}
    found = []
    for (width, batch), time in times.items():
        expected = [
            *_between({other: t for (other, b), t in times.items() if b == batch}, width),
            *_between({other: t for (w, other), t in times.items() if w == width}, batch),
        ]
        height = time / statistics.median(expected) if expected else 1.0
        if height > CLIFF:
            unsure = (width, batch) in disturbed
            found.append({"width": width, "batch": batch, "height": height, "disturbed": unsure})
    return found


def _between(times: Mapping[int, float], at: int) -> Iterator[float]:
    """What the neighbours on both sides, next and next but one, let expect at a place between."""
    places = sorted(times)
    middle = places.index(at)
    for reach in range(1, REACH + 1):
        if middle >= reach and middle + reach < len(places):
            low, high = places[middle - reach], places[middle + reach]
            share = math.log(at / low) / math.log(high / low)
            yield times[low] ** (1 - share) * times[high] ** share
