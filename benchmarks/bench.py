"""One call of the command: sides are found, limits measured, cases taken one after the other.

Not here: how one case is measured (`measure.py`). Next: `measure.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from compileall import compile_dir
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks import machine, measure, peers
from benchmarks.cases import CASES, COMPARED, MM_PEAK, PEAK, STREAM, Case, named
from benchmarks.limits.distance import cores_of, summary
from benchmarks.measure import ALWAYS, Settings
from benchmarks.report import figures
from benchmarks.report.figures import Json
from benchmarks.report.profile import show_profile
from benchmarks.sweep import run as sweep
from benchmarks.worker import Place
from kedja.compiler.runtime_threads import usable_cores
from kedja.ground.errors import UsageError

LIMIT_ROUNDS = 5


def cases_of(names: Sequence[str] | None) -> list[Case]:
    """The cases of these names, each once, in their order. Raises UsageError."""
    if names is None:
        return list(CASES)
    for name in names:
        if not named(name):
            known = ", ".join(case.name for case in CASES)
            raise UsageError(f"no case is called {name!r}", fix=f"one of {known}")
    return [case for case in CASES if any(case in named(name) for name in names)]


def note(text: str) -> None:
    """Where the benchmark is: a line on standard error, written over on a terminal."""
    end = "\r\x1b[K" if sys.stderr.isatty() else "\n"
    sys.stderr.write(f"{end}{text}" if sys.stderr.isatty() else f"{text}{end}")
    sys.stderr.flush()


class Bench:
    """The sides that are there, the cases to measure, and the machine's limits."""

    def __init__(
        self,
        settings: Settings,
        cases: Sequence[Case],
        sides: Sequence[peers.Side],
        given: Mapping[str, Path],
    ) -> None:
        self.settings = settings
        self.cases = list(cases)
        compile_dir(peers.ROOT / "kedja", quiet=2)  # as installing it does, and did for the peers
        found = [(side, peers.interpreter(side, given)) for side in sides]
        self.places = [Place(side, python) for side, python in found if python is not None]
        self.missing = sorted({side.environment for side, python in found if python is None})
        self.cores = cores_of(settings.threads, usable_cores(), settings.again)
        self.limits: dict[str, float | None] = dict.fromkeys(("fma_flops", "mm_flops", "bytes"))

    def run(self, one_thread: bool = False) -> Json:
        """Measure all cases; the figures."""
        self.look_at_limits()
        results = self.measured()
        self.look_at_limits()
        data = self.frame() | {"cases": [figures.of_case(each, self.cores) for each in results]}
        modes = [mode for each in results for side in each.sides for mode in side.modes.values()]
        data["distance"] = summary(modes, self.cores)
        if one_thread:
            data["one_thread"] = self.alone()
        return data

    def measured(self) -> list[measure.Result]:
        """All cases, or those that were done when Ctrl-C came: they are shown and written, too."""
        results: list[measure.Result] = []
        try:
            for number, case in enumerate(self.cases, 1):
                results.append(self.one(number, case))
        except KeyboardInterrupt:
            if not results:
                raise
            note(f"interrupted: {len(results)} of {len(self.cases)} cases are shown\n")
        return results

    def frame(self) -> Json:
        """What stands beside the cases."""
        return {
            "format": figures.FORMAT,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine.describe(),
            "settings": {**vars(self.settings), "compared": COMPARED},
            "limits": self.limits,
            "missing": self.missing,
        }

    def one(self, number: int, case: Case) -> measure.Result:
        """One case, with its place among all in what is noted."""
        places = [place for place in self.places if place.side.takes(case)]
        head = f"[{number}/{len(self.cases)}] {case.name}: "
        return measure.measure(
            case, places, self.settings, self.cores, lambda text: note(head + text)
        )

    def alone(self) -> Json:
        """The cases with a goal again, with one thread, kedja against PyTorch eager only."""
        bench = Bench(replace(self.settings, threads=1, starts=False), [], [], {})
        bench.places = [place for place in self.places if place.side.name in ALWAYS]
        bench.cases = [case for case in self.cases if case.goal is not None]
        results = [bench.one(number, case) for number, case in enumerate(bench.cases, 1)]
        return {"cases": [figures.of_case(each, bench.cores) for each in results]}

    def look_at_limits(self) -> None:
        """The machine's limits; of several looks the best counts."""
        note("the machine's limits")
        product = next(case for case in CASES if case.name == MM_PEAK)
        looks = (("fma_flops", PEAK, "kedja"), ("bytes", STREAM, "kedja"))
        for name, case, who in (*looks, ("mm_flops", product, "torch")):
            for place in self.places:
                if place.side.name == who:
                    rounds = min(LIMIT_ROUNDS, self.settings.rounds)
                    rate = measure.best_rate(case, place, replace(self.settings, rounds=rounds))
                    self.limits[name] = max(rate, self.limits[name] or 0.0)

    def profile(self, console: Console) -> None:
        """kedja's launches, case by case."""
        self.places = self.places[:1]
        self.look_at_limits()
        for case in self.cases:
            note(f"{case.name}: profile")
            launches = measure.profile(case, self.places[0], self.settings)
            show_profile(case.name, launches, self.limits, console)

    def swept(self) -> Json:
        """Widths and batch sizes of a perceptron, kedja against PyTorch eager."""
        places = [place for place in self.places if place.side.name in ALWAYS]
        return self.frame() | sweep.measured(places, self.settings, self.cores, note)
