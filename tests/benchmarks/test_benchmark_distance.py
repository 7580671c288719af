"""Samples with far cores are taken again, of all sides alike, and never for longer than allowed.

Not here: the rest of how samples are taken (`test_benchmarks.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import pytest

from benchmarks import measure
from benchmarks.cases import CASES
from benchmarks.limits import distance
from benchmarks.limits.distance import Cores, cores_of, summary
from benchmarks.measure import Measured, Mode, Result, Settings, Turn, take_again, take_rounds
from benchmarks.report import figures
from benchmarks.report.tables import is_far
from benchmarks.report.words import apart
from benchmarks.sweep import run as sweep
from benchmarks.sweep.points import Point
from kedja.compiler.runtime_threads import usable_cores

NEAR, MIDDLE, FAR = 64.0, 145.0, 320.0
SETTINGS = Settings(4, 0.1, 2, budget=8.0)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "settle", lambda processes: None)
    monkeypatch.setattr(distance, "PAUSE", 0.0)


class Machine:
    """Cores whose distance is the next of a list at each look, the last one for ever."""

    def __init__(self, *distances: float) -> None:
        self.coming: Iterator[float] = chain(distances, repeat(distances[-1]))
        self.now = distances[0]

    def look(self) -> float:
        self.now = next(self.coming)
        return self.now


class Fake:
    """A side whose steps take so many seconds at the nearest distance, in proportion beyond."""

    modes = ("step",)

    def __init__(self, name: str, machine: Machine, seconds: float = 0.1) -> None:
        self.side: Any = type("side", (), {"name": name})
        self.process = os.getpid()
        self.machine, self.seconds = machine, seconds
        self.runs = 0

    def run(self, mode: str, steps: int) -> tuple[float, int]:
        self.runs += 1
        return self.seconds * steps * self.machine.now / NEAR, steps


def rounds(machine: Machine, patience: float = 60.0) -> tuple[list[Mode], list[Fake], Cores]:
    """Two sides in four rounds on a machine; what each has shown."""
    fakes = [Fake(name, machine) for name in ("kedja", "torch")]
    cores = Cores(machine.look, patience)
    sides = [Measured(fake.side.name) for fake in fakes]
    take_rounds(fakes, sides, SETTINGS, cores, lambda text: None)  # type: ignore[arg-type]
    return [side.modes["step"] for side in sides], fakes, cores


# ------------------------------------------------------------------------------- the look


@pytest.mark.skipif(usable_cores() < 2, reason="needs two cores")
def test_a_round_trip_takes_longer_than_a_cached_load_and_less_than_a_sleep() -> None:
    assert 5.0 < min(distance.distance() for _ in range(5)) < 50_000.0


def test_one_thread_or_one_core_has_no_distance() -> None:
    for cores in (cores_of(1, 2, 1.0), cores_of(2, 1, 1.0)):
        assert cores.look() is None and not cores.are_far(None)


def test_each_step_that_was_seen_is_far_beside_the_one_before() -> None:
    cores = Cores(Machine(FAR, MIDDLE, NEAR).look, 0.0)
    cores.look()
    assert not cores.are_far(FAR)  # nothing nearer is known
    for nearer, before in ((MIDDLE, FAR), (NEAR, MIDDLE)):
        cores.look()
        assert cores.are_far(before) and not cores.are_far(1.1 * nearer)


def test_a_rare_look_that_is_too_short_makes_nothing_far() -> None:
    cores = Cores(Machine(*[NEAR] * 30, 26.0, *[NEAR] * 30).look, 0.0)
    for _ in range(61):
        cores.look()
    assert cores.nearest == NEAR and not cores.are_far(NEAR)


# ----------------------------------------------------------------------------- taken again


def test_near_cores_cost_no_further_sample() -> None:
    modes, fakes, cores = rounds(Machine(NEAR))
    assert [fake.runs for fake in fakes] == [5, 5]  # one to learn the speed, four rounds
    assert summary(modes, cores) == {
        "nearest": NEAR, "near": NEAR, "farthest": NEAR, "samples": 8, "again": 0, "far": 0,
    }  # fmt: skip


def test_far_samples_of_both_sides_are_replaced_by_near_ones() -> None:
    # Two looks a sample: both sides' first is near, their second and third are far.
    modes, fakes, cores = rounds(Machine(*[NEAR] * 4, *[FAR] * 8, NEAR))
    assert [mode.again for mode in modes] == [2, 2]
    assert [fake.runs for fake in fakes] == [7, 7]
    for mode in modes:
        assert mode.samples == pytest.approx([0.1] * 4) and mode.distances == [NEAR] * 4
    assert cores.patience < 60.0


def test_a_sample_in_whose_middle_the_cores_went_away_is_far() -> None:
    (own, _), _, _ = rounds(Machine(NEAR, FAR, NEAR))
    assert own.again == 1


def test_what_was_near_is_far_once_nearer_cores_are_known() -> None:
    modes, _, _ = rounds(Machine(*[MIDDLE] * 12, NEAR))
    assert [mode.again for mode in modes] == [3, 3]
    assert all(mode.distances == [NEAR] * 4 for mode in modes)


def test_without_near_cores_the_time_is_limited_and_the_case_is_marked() -> None:
    modes, fakes, cores = rounds(Machine(NEAR, NEAR, FAR), patience=0.05)
    assert [fake.runs for fake in fakes] == [5, 5]
    assert cores.patience <= 0.0
    found = summary(modes, cores)
    assert found is not None and (found["far"], found["again"]) == (7, 0)
    assert modes[1].median == pytest.approx(0.1 * FAR / NEAR)  # what was measured counts


def test_a_sample_that_is_far_again_does_not_stand_for_the_first() -> None:
    machine = Machine(NEAR)
    cores = Cores(machine.look, 60.0)
    fake: Any = Fake("kedja", machine)
    found = Measured("kedja", modes={"step": Mode([7.0], [], [FAR])})
    cores.look()
    machine.coming = iter([NEAR, NEAR, FAR])  # near when it is waited for, far when it is over
    with pytest.raises(StopIteration):  # the next look, for one more
        take_again([Turn(fake, found, "step", 1)], [fake], cores, 9.0, lambda text: None)
    mode = found.modes["step"]
    assert (mode.samples, mode.distances, mode.again) == ([7.0], [FAR], 1)


# --------------------------------------------------------------------------------- figures


def test_the_figures_keep_distances_and_the_mark() -> None:
    cores = Cores(Machine(NEAR, FAR).look, 0.0)
    cores.look()
    cores.look()
    mode = Mode([1.0, 2.0], [], [NEAR, FAR], again=3)
    result = Result(CASES[0], [Measured("kedja", modes={"step": mode})], losses=[1.0])
    data = figures.of_case(result, cores)
    way = data["sides"][0]["modes"]["step"]
    assert (way["distances"], way["again"], way["far"]) == ([NEAR, FAR], 3, 1)
    assert is_far(data)
    (line,) = apart(summary([mode], cores))
    assert "64 ns; of 2 samples 3 were taken again" in line and "1 still are" in line
    assert list(apart(None)) == []


def test_a_cliff_with_far_cores_says_so() -> None:
    cores = Cores(Machine(NEAR).look, 0.0)
    cores.look()
    grid = [Point(width, 8) for width in (32, 64, 128)]
    far = {32: NEAR, 64: FAR, 128: NEAR}
    found = [
        sweep.figures(each, {"kedja": Mode([far[each.width]], [], [far[each.width]])}, cores)
        for each in grid
    ]
    assert [each["far"] for each in found] == [0, 1, 0]
    (cliff,) = sweep.cliffs(found)
    assert (cliff["width"], cliff["far"], cliff["disturbed"]) == (64, True, False)
