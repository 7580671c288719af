"""`python -m benchmarks`: kedja against its peers, on this machine, in about four minutes.

    python -m benchmarks setup                     environments for the peers, once
    python -m benchmarks --out --chart             everything; figures and chart into the project
    python -m benchmarks --case mnist --quick      a look at a few cases
    python -m benchmarks --case mnist_mlp --profile    kedja's launches and what each costs
    python -m benchmarks chart RESULTS.json        the tables and the chart again

Not here: the cases (`cases.py`), the peers (`peers.py`), how time is taken (`measure.py`).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks import chart, machine, measure, peers, report
from benchmarks.cases import CASES, COMPARED, MM_PEAK, PEAK, Case, named
from benchmarks.measure import Settings
from kedja.compiler.runtime_threads import usable_cores
from kedja.ground.errors import KedjaError, UsageError

FULL = Settings(rounds=9, seconds=0.2, threads=0)
QUICK = Settings(rounds=3, seconds=0.05, threads=0)
CHART = peers.ROOT / "docs" / "benchmarks.svg"
RESULTS = peers.ROOT / "benchmarks" / "results"
DEFAULT = Path("-")  # an option without its value


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("command", nargs="?", choices=("run", "setup", "chart"), default="run")
    add("rest", nargs="*", help="setup: options for pip, after --; chart: the file of figures")
    add("--case", action="append", metavar="NAME", help="a case, or all that begin with NAME")
    add("--threads", type=int, default=usable_cores(), help="of every side (all cores)")
    add("--quick", action="store_true", help="fewer and shorter rounds")
    add("--rounds", type=int, help=f"of turns between the sides ({FULL.rounds})")
    add("--seconds", type=float, help=f"of each sample ({FULL.seconds:g})")
    add("--peers", default="all", metavar="NAMES", help="all, none, or some, with commas")
    add("--python", action="append", default=[], metavar="PEER=PATH", help="its interpreter")
    add("--profile", action="store_true", help="only kedja's launches, with their cost")
    add("--out", type=Path, nargs="?", const=DEFAULT, help="write the figures as JSON")
    add("--chart", type=Path, nargs="?", const=DEFAULT, help="draw the chart as SVG")
    return parser.parse_args(arguments)


def settings_of(chosen: argparse.Namespace) -> Settings:
    """How long and how often. Raises UsageError for numbers below the least."""
    base = QUICK if chosen.quick else FULL
    found = Settings(
        base.rounds if chosen.rounds is None else chosen.rounds,
        base.seconds if chosen.seconds is None else chosen.seconds,
        chosen.threads,
    )
    if found.rounds < 1 or found.threads < 1 or not found.seconds > 0:
        raise UsageError("rounds, threads and seconds are more than 0")
    return found


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
    """One call of the command."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.settings = settings_of(chosen)
        self.cases = cases_of(chosen.case)
        given = peers.interpreters(chosen.python)
        wanted = [peers.KEDJA, *peers.chosen(chosen.peers)]
        found = [(side, peers.interpreter(side, given)) for side in wanted]
        self.sides = [(side, python) for side, python in found if python is not None]
        self.missing = sorted({side.environment for side, python in found if python is None})
        self.limits: dict[str, float | None] = {"fma_flops": None, "mm_flops": None}

    def run(self) -> report.Json:
        """Measure all cases; the figures."""
        self.look_at_limits()
        results = [self.one(number, case) for number, case in enumerate(self.cases, 1)]
        self.look_at_limits()
        return {
            "format": report.FORMAT,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine.describe(),
            "settings": {**vars(self.settings), "compared": COMPARED},
            "limits": self.limits,
            "missing": self.missing,
            "cases": [report.of_case(each) for each in results],
        }

    def one(self, number: int, case: Case) -> measure.Result:
        """One case, with its place among all in what is noted."""
        sides = [(side, python) for side, python in self.sides if side.takes(case)]
        head = f"[{number}/{len(self.cases)}] {case.name}: "
        return measure.measure(case, sides, self.settings, lambda text: note(head + text))

    def look_at_limits(self) -> None:
        """The machine's limits; of several looks the best counts."""
        note("the machine's limits")
        product = next(case for case in CASES if case.name == MM_PEAK)
        for name, case, who in (("fma_flops", PEAK, "kedja"), ("mm_flops", product, "torch")):
            for side, python in self.sides:
                if side.name == who:
                    rate = measure.best_rate(case, side, python, self.settings)
                    self.limits[name] = max(rate, self.limits[name] or 0.0)

    def profile(self, console: Console) -> None:
        """kedja's launches, case by case."""
        self.sides = self.sides[:1]
        self.look_at_limits()
        side, python = self.sides[0]
        for case in self.cases:
            note(f"{case.name}: profile")
            launches = measure.profile(case, side, python, self.settings)
            report.show_profile(case.name, launches, self.limits["fma_flops"] or 0.0, console)


def finish(data: report.Json, chosen: argparse.Namespace, console: Console) -> int:
    """Show the figures and write what was asked for; 1 if a case failed."""
    report.show(data, console)
    if chosen.out is not None:
        name = f"{machine.slug()}-{data['date'][:10]}.json"
        path = RESULTS / name if chosen.out == DEFAULT else chosen.out
        report.write(path, data)
        note(f"wrote {path}")
    if chosen.chart is not None:
        path = CHART if chosen.chart == DEFAULT else chosen.chart
        chart.draw(data, path)
        note(f"wrote {path}")
    return int(any(case["error"] for case in data["cases"]))


def perform(chosen: argparse.Namespace) -> int:
    """Do what the command line asks."""
    console = Console()
    if chosen.command == "setup":
        peers.setup(chosen.rest)
        return 0
    if chosen.command == "chart":
        if len(chosen.rest) != 1:
            raise UsageError("chart takes one file of figures")
        chosen.chart = chosen.chart or DEFAULT
        return finish(report.read(Path(chosen.rest[0])), chosen, console)
    bench = Bench(chosen)
    if chosen.profile:
        bench.profile(console)
        return 0
    start = time.monotonic()
    data = bench.run()
    note(f"done in {time.monotonic() - start:.0f} s\n")
    return finish(data, chosen, console)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 where something failed, 2 for a wrong command line, 130 on Ctrl-C."""
    try:
        return perform(options(sys.argv[1:] if arguments is None else arguments))
    except KedjaError as problem:
        note(f"error: {problem}\n")
        return problem.exit_code
    except (measure.SideError, subprocess.CalledProcessError) as problem:
        note(f"error: {problem}\n")
        return 1
    except KeyboardInterrupt:
        note("interrupted\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
