"""How time is taken: sides in processes of their own, compared first, then timed in turns.

Not here: the processes (`worker.py`), what a side computes (`side.py` and after it), how results
are shown (`report`). Next: `report`.

For each case every side builds the same thing from the same arrays. kedja is started twice for
each way of running: with an empty cache, then with what the first start left there. The losses of
the first steps must agree. Then, in rounds, each side in turn runs for a fixed time (at least for
a step) while the others sleep (libraries let their threads spin for a while: that is waited for).
Samples during which the machine's cores were far from each other are taken again
(`limits/distance.py` says why), of all sides alike. What is reported are medians with quartiles
over the rounds, how far the cores were, and whether other programs took part of the machine
meanwhile. A peer that cannot do a case is left out, and said so with its reason; sides that
disagree, and a kedja that fails, end the case.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from benchmarks.cases import COMPARED, Case
from benchmarks.limits.distance import Cores
from benchmarks.machine import Others, Share, cores, settle
from benchmarks.peers import KEDJA
from benchmarks.worker import Place, Prepared, SideError, Worker, prepared, working

FEWEST_SHARE = 0.25  # a first look at the speed lasts this share of a sample
FEWEST_ROUNDS = 3  # of a peer whose one step takes far longer than its share of the time
MUCH_LONGER = 3.0
SMALL_SHARE = 0.2
LOOK_SECONDS = 10.0  # a peer's further ways of running are compared for about so long at most
ALWAYS = ("kedja", "torch")  # the sides that goals are about run in every round

Note = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """How long and how often is measured.

    `seconds` is of one sample, `budget` of all samples of a network's case (of a smaller one a
    fifth of it); `patience` is how long a peer's first step may take. Without `starts` no second
    process is started to see what a cache saves. `again` are the seconds, in a whole run, that
    samples with far cores may be waited for and taken again.
    """

    rounds: int
    seconds: float
    threads: int
    budget: float = 12.0
    patience: float = 120.0
    starts: bool = True
    again: float = 300.0

    def of(self, case: Case) -> Settings:
        """Those for a case."""
        small = case.kind not in ("train", "forward", "generate")
        return replace(self, budget=SMALL_SHARE * self.budget) if small else self


@dataclass
class Mode:
    """Seconds per step of one side in one way of running: one number per round.

    `others` is what other programs worked meanwhile, `distances` how far the cores were from each
    other, in nanoseconds; empty where that is not known. So many samples were taken `again`.
    """

    samples: list[float] = field(default_factory=list)
    others: list[Share] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)
    again: int = 0

    @property
    def disturbance(self) -> float:
        """How many cores other work used, on average over the rounds."""
        return cores(self.others)

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.samples)

    @property
    def quartiles(self) -> tuple[float, float]:
        """What a quarter, and three quarters, of the samples do not exceed."""
        low, high = np.percentile(self.samples, [25, 75])
        return float(low), float(high)


@dataclass
class Start:
    """Until the first step is done, after the import: with an empty cache, and a full one."""

    first_seconds: float = 0.0
    cached_seconds: float | None = None
    peak_bytes: int = 0


@dataclass
class Measured:
    """One side of one case. `starts` and `modes` are by the way of running."""

    name: str
    version: str = ""
    import_seconds: float = 0.0
    starts: dict[str, Start] = field(default_factory=dict)
    modes: dict[str, Mode] = field(default_factory=dict)

    @property
    def peak_bytes(self) -> int:
        """The most memory that any of its processes has held."""
        return max((start.peak_bytes for start in self.starts.values()), default=0)


@dataclass
class Result:
    """One case: all sides, or the error that ended it.

    `left_out` says why a peer could not take part; `losses` are kedja's, in the steps that were
    compared; `difference` is the largest of any side's, as a share of the largest loss.
    """

    case: Case
    sides: list[Measured] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    difference: float = 0.0
    error: str = ""


# --------------------------------------------------------------------------------- one case


def measure(
    case: Case, places: Sequence[Place], settings: Settings, cores: Cores, note: Note
) -> Result:
    """All of a case; see the module's text."""
    result = Result(case)
    try:
        with prepared(case, settings.threads) as ready, ExitStack() as stack:
            workers = _started(stack, ready, places, settings, note, result)
            note(f"{COMPARED} losses are compared")
            agreement(workers, result)
            take_rounds(workers, result.sides, settings.of(case), cores, note)
            for worker, found in zip(workers, result.sides, strict=True):
                _end(worker, found)
    except SideError as problem:
        result.error = str(problem)
    return result


def _end(worker: Worker, found: Measured) -> None:
    """A side without a cold start of its own shows its memory at the end of everything."""
    start = found.starts.setdefault(worker.modes[0], Start())
    if not worker.side.has_cache or not start.peak_bytes:
        start.peak_bytes = worker.memory()


def _started(
    stack: ExitStack,
    ready: Prepared,
    places: Sequence[Place],
    settings: Settings,
    note: Note,
    result: Result,
) -> list[Worker]:
    """The sides' processes, each after its first step; a peer that fails is left out."""
    workers = []
    for place in places:
        note(f"{place.side.name} starts")
        found = Measured(place.side.name)
        try:
            workers.append(_start(stack, ready, place, settings, found))
            result.sides.append(found)
        except SideError as problem:
            if place.side is KEDJA:
                raise
            result.left_out[place.side.name] = str(problem)
    return workers


def _start(
    stack: ExitStack, ready: Prepared, place: Place, settings: Settings, found: Measured
) -> Worker:
    """Start a side, cold first if it keeps a cache; what that took goes into `found`."""
    if not (place.side.has_cache and settings.starts):
        patience = replace(settings, patience=300.0) if place.side is KEDJA else settings
        worker = stack.enter_context(working(place, ready, "", patience.patience))
        _greet(found, worker, worker.modes[0])
        return worker
    for mode in _cold(ready, place, "", found):
        _cold(ready, place, mode, found)
        with working(place, ready, mode) as cached:
            found.starts[mode].cached_seconds = cached.hello["first_seconds"]
    worker = stack.enter_context(working(place, ready))
    found.starts[worker.modes[0]].cached_seconds = worker.hello["first_seconds"]
    return worker


def _cold(ready: Prepared, place: Place, first: str, found: Measured) -> list[str]:
    """A start with an empty cache, and some steps to see the memory; the further modes to see."""
    with working(place, ready, first) as cold:
        mode = first or cold.modes[0]
        _greet(found, cold, mode)
        cold.run(mode, 2)
        found.starts[mode].peak_bytes = cold.memory()
        return cold.modes[1:] if cold.hello["starts_apart"] else []


def _greet(found: Measured, worker: Worker, mode: str) -> None:
    found.version = worker.hello["version"]
    found.import_seconds = worker.hello["import_seconds"]
    found.starts[mode] = Start(worker.hello["first_seconds"])


# ------------------------------------------------------------------------------- agreement


def agreement(workers: Sequence[Worker], result: Result) -> None:
    """Compare the losses of all sides and ways of running with those of the first.

    Raises SideError where the difference is above the tolerance, or a loss is not finite.
    """
    for worker in workers:
        steps = COMPARED
        for mode in worker.modes:
            start = time.perf_counter()
            losses = worker.ask(do="losses", mode=mode, steps=steps)["losses"]
            require_equal(f"{worker.side.name} ({mode})", losses, result)
            pace = (time.perf_counter() - start) / steps
            if worker.side.name not in ALWAYS:
                steps = max(2, min(COMPARED, int(LOOK_SECONDS / pace)))


def require_equal(name: str, found: list[float], result: Result) -> None:
    """Compare a side's losses with those that came first, which stay in the result."""
    result.losses = result.losses or found
    losses, wanted = np.array(found), np.array(result.losses[: len(found)])
    apart = np.abs(losses - wanted)
    difference = float(apart.max() / max(float(np.abs(wanted).max()), 1e-30))
    tolerance = result.case.tolerance
    if not difference <= tolerance:  # NaN does not pass either
        step = int(np.argmax(apart))
        raise SideError(
            f"{name} disagrees: {losses[step]:.8g} against {wanted[step]:.8g} "
            f"in step {step + 1}, {difference:.2g} of the largest; allowed is {tolerance:g}"
        )
    result.difference = max(result.difference, difference)


# ----------------------------------------------------------------------------------- rounds


@dataclass
class Turn:
    """A side's turn in a round: it runs so many steps, in every so-many-th round."""

    worker: Worker
    found: Measured
    mode: str
    steps: int
    every: int = 1

    def far(self, cores: Cores) -> int | None:
        """The place of the first sample that was taken with far cores."""
        distances = self.found.modes[self.mode].distances
        return next((i for i, each in enumerate(distances) if cores.are_far(each)), None)


def take_rounds(
    workers: Sequence[Worker],
    sides: Sequence[Measured],
    settings: Settings,
    cores: Cores,
    note: Note,
) -> None:
    """The sides in turns; each sample lasts about as long as any other."""
    note("speeds are estimated")
    places = [(w, side, mode) for w, side in zip(workers, sides, strict=True) for mode in w.modes]
    share = settings.budget / (settings.rounds * len(places))
    seconds = min(settings.seconds, share)
    turns = [_turn(*place, seconds, share, settings.rounds) for place in places]
    for number in range(settings.rounds):
        note(f"round {number + 1} of {settings.rounds}")
        for turn in turns:
            if number % turn.every == 0:
                sample(turn, workers, cores)
    take_again(turns, workers, cores, settings.budget, note)


def _turn(
    worker: Worker, found: Measured, mode: str, seconds: float, share: float, rounds: int
) -> Turn:
    steps, lasts = steps_for(worker, mode, seconds)
    often = worker.side.name in ALWAYS or lasts <= MUCH_LONGER * share
    return Turn(worker, found, mode, steps, 1 if often else max(1, rounds // FEWEST_ROUNDS))


def sample(turn: Turn, workers: Sequence[Worker], cores: Cores) -> None:
    """One more sample."""
    seconds, share, distance = _taken(turn, workers, cores)
    found = turn.found.modes.setdefault(turn.mode, Mode())
    found.samples.append(seconds)
    if share is not None:
        found.others.append(share)
    if distance is not None:
        found.distances.append(distance)


def _taken(
    turn: Turn, workers: Sequence[Worker], cores: Cores
) -> tuple[float, Share | None, float | None]:
    """Seconds per step when nobody else is at work; others' work; the cores' distance at most."""
    settle([each.process for each in workers])
    before = cores.look()
    others = Others(turn.worker.process)
    seconds, done = turn.worker.run(turn.mode, turn.steps)
    share, after = others.passed(), cores.look()
    distance = None if before is None or after is None else max(before, after)
    return seconds / done, share, distance


def take_again(
    turns: Sequence[Turn], workers: Sequence[Worker], cores: Cores, seconds: float, note: Note
) -> None:
    """Put samples with near cores in the place of those with far ones, for so long at most."""
    start = time.perf_counter()
    until = start + min(seconds, cores.patience)
    while left := [turn for turn in turns if turn.far(cores) is not None]:
        note(f"the cores were far in samples of {len(left)} turns: these are taken again")
        for turn in left:
            if not cores.wait(until):
                cores.patience -= time.perf_counter() - start
                return
            _replace(turn, workers, cores)
    cores.patience -= time.perf_counter() - start


def _replace(turn: Turn, workers: Sequence[Worker], cores: Cores) -> None:
    """A sample once more; one that is far again leaves the first as it is."""
    seconds, share, distance = _taken(turn, workers, cores)
    found, place = turn.found.modes[turn.mode], turn.far(cores)
    found.again += 1
    if place is None or distance is None or cores.are_far(distance):
        return
    found.samples[place], found.distances[place] = seconds, distance
    if share is not None:
        found.others[place] = share


def steps_for(worker: Worker, mode: str, wanted: float) -> tuple[int, float]:
    """How many steps last about so many seconds, and how long they really do.

    That is longer where the library runs in larger pieces: whole epochs, or slow steps.
    """
    steps = 1
    while True:
        seconds, done = worker.run(mode, steps)
        if seconds >= wanted * FEWEST_SHARE:
            found = max(1, round(done * wanted / seconds))
            piece = done if done > steps else 1
            return found, max(found, piece) * seconds / done
        guess = done * wanted * FEWEST_SHARE / max(seconds, 1e-9)
        steps = max(2 * done, min(100 * done, int(1.2 * guess)))


# ------------------------------------------------------------------------------- the limits


def best_rate(case: Case, place: Place, settings: Settings) -> float:
    """The most work per second that a side reaches in any way: a limit, so the best counts."""
    with prepared(case, settings.threads) as ready, working(place, ready) as worker:
        rates = []
        for mode in worker.modes:
            steps, _ = steps_for(worker, mode, settings.seconds)
            runs = [worker.run(mode, steps) for _ in range(settings.rounds)]
            work: int = case.flops or worker.hello["work"][mode]
            rates += [work * done / seconds for seconds, done in runs]
        return max(rates)


def profile(case: Case, place: Place, settings: Settings) -> list[dict[str, Any]]:
    """What each part of a step of a case costs."""
    with prepared(case, settings.threads) as ready, working(place, ready) as worker:
        mode = worker.modes[-1]
        steps, _ = steps_for(worker, mode, settings.seconds)
        launches: list[dict[str, Any]] = worker.ask(do="profile", steps=steps)["launches"]
        return launches
