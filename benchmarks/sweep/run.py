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

from benchmarks.limits.distance import Cores, summary
from benchmarks.machine import DISTURBED
from benchmarks.measure import (
    Measured,
    Mode,
    Result,
    Settings,
    Turn,
    require_equal,
    sample,
    steps_for,
    take_again,
)
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


def measured(places: Sequence[Place], settings: Settings, cores: Cores, note: Note) -> Json:
    """The figures of all points, and the cliffs among them. Raises SideError.

    Samples with far cores are taken again at the end, when the cores may have been moved back.
    """
    quick = settings.rounds < FEWER
    points = grid(QUICK_WIDTHS, QUICK_BATCHES) if quick else grid(WIDTHS, BATCHES)
    with prepared(sweep_case(points), settings.threads) as ready, ExitStack() as stack:
        workers = [stack.enter_context(working(place, ready)) for place in places]
        turns = []
        for number, point in enumerate(points, 1):
            note(f"[{number}/{len(points)}] width {point.width}, batch {point.batch}")
            turns.append(one(workers, point, settings.rounds, cores))
        every = [turn for of_point in turns for turn in of_point]
        take_again(every, workers, cores, cores.patience, note)
    pairs = zip(points, turns, strict=True)
    found = [figures(point, modes_of(of_point), cores) for point, of_point in pairs]
    modes = [mode for turn in every for mode in turn.found.modes.values()]
    return {"points": found, "cliffs": cliffs(found), "distance": summary(modes, cores)}


def one(workers: Sequence[Worker], point: Point, rounds: int, cores: Cores) -> list[Turn]:
    """A point: equal losses first, then rounds. Raises SideError."""
    name, result, turns = point.name, Result(point.case()), []
    for worker in workers:
        losses = worker.ask(do="losses", mode=name, steps=COMPARED)["losses"]
        require_equal(worker.side.name, losses, result)
        steps, _ = steps_for(worker, name, SAMPLE_SECONDS)
        turns.append(Turn(worker, Measured(worker.side.name), name, steps))
    for _ in range(rounds):
        for turn in turns:
            sample(turn, workers, cores)
    return turns


def modes_of(turns: Sequence[Turn]) -> dict[str, Mode]:
    """What the sides have shown at a point."""
    return {turn.found.name: turn.found.modes[turn.mode] for turn in turns}


def figures(point: Point, modes: Mapping[str, Mode], cores: Cores) -> Json:
    """A point's figures; `far` are the samples, of all sides, that were taken with far cores."""
    seconds = {side: mode.median for side, mode in modes.items()}
    disturbed = any(mode.disturbance > DISTURBED for mode in modes.values())
    far = sum(cores.are_far(each) for mode in modes.values() for each in mode.distances)
    size = {"width": point.width, "batch": point.batch, "flops": point.case().flops}
    return {**size, "seconds": seconds, "disturbed": disturbed, "far": far}


# ------------------------------------------------------------------------------------ cliffs


def cliffs(points: Sequence[Json]) -> list[Json]:
    """The points where a step of kedja's takes much longer than its neighbours let expect."""
    times = {(each["width"], each["batch"]): each["seconds"]["kedja"] for each in points}
    marks = {(p["width"], p["batch"]): (p["disturbed"], bool(p.get("far"))) for p in points}
    found = []
    for (width, batch), time in times.items():
        expected = [
            *_between({other: t for (other, b), t in times.items() if b == batch}, width),
            *_between({other: t for (w, other), t in times.items() if w == width}, batch),
        ]
        height = time / statistics.median(expected) if expected else 1.0
        if height > CLIFF:
            disturbed, far = marks[width, batch]
            place = {"width": width, "batch": batch, "height": height}
            found.append({**place, "disturbed": disturbed, "far": far})
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
