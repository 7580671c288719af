"""The points of the sweep: a perceptron of some width, trained in batches of some size.

Not here: how they are measured (`run.py`). Next: `run.py`.

One process of each side holds all points, each made when it is first asked for: starting a process
for each would take an hour. A point is told by its name, which stands for a way of running.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.cases.case import Case
from benchmarks.cases.table import mlp
from benchmarks.cases.training import training
from benchmarks.side import Runner, Spec, Timed

# Widths around the multiples of a vector's length and far from them, and odd ones.
WIDTHS = (45, 46, 47, 48, 63, 64, 65, 100, 127, 128, 129, 255, 256, 257)
BATCHES = (1, 2, 3, 4, 6, 8, 12, 16, 17, 24, 32, 33, 48, 64, 65, 96, 100, 127, 128)
QUICK_WIDTHS, QUICK_BATCHES = (47, 48, 128, 129), (1, 8, 32, 33, 128)
EPOCH = 32  # batches


class Point(NamedTuple):
    """A perceptron width-width-width-10 and a batch size."""

    width: int
    batch: int

    @property
    def name(self) -> str:
        """By which a side is told which point to run."""
        return f"{self.width}x{self.batch}"

    def case(self) -> Case:
        """The point as a case of its own."""
        network = mlp(self.width, self.width, self.width, 10)
        return training(self.name, network, batch=self.batch, batches=EPOCH, tolerance=1e-3)


def grid(widths: Sequence[int] = WIDTHS, batches: Sequence[int] = BATCHES) -> list[Point]:
    """All points, the batches of a width together."""
    return [Point(width, batch) for width in widths for batch in batches]


def sweep_case(points: Sequence[Point]) -> Case:
    """What the sides are told."""
    options = {"points": [list(point) for point in points]}
    return Case("sweep", "sweep", "perceptrons of many widths and batches", options, dict)


class Points(Runner):
    """All points of a side; `way` is how it runs each of them."""

    def __init__(self, spec: Spec, make: Callable[[Spec], Runner], way: str) -> None:
        self.spec, self.make, self.way = spec, make, way
        points = [Point(*each) for each in spec.options["points"]]
        self.points: Mapping[str, Point] = {point.name: point for point in points}
        self.modes = tuple(self.points)
        self.runners: dict[str, Runner] = {}

    def runner(self, mode: str) -> Runner:
        """The training of a point."""
        if mode not in self.runners:
            case = self.points[mode].case()
            told: Any = self.spec._replace(kind="train", options=case.options, arrays=case.arrays())
            self.runners[mode] = self.make(told)
        return self.runners[mode]

    def losses(self, mode: str, steps: int) -> list[float]:
        """See `Runner`."""
        return self.runner(mode).losses(self.way, steps)

    def run(self, mode: str, steps: int) -> Timed:
        """See `Runner`."""
        return self.runner(mode).run(self.way, steps)
