"""`python -m benchmarks`: kedja against its peers, on this machine, in about twenty minutes.

    python -m benchmarks setup                     environments for the peers, once
    python -m benchmarks --out --chart             everything; figures and chart into the project
    python -m benchmarks --case mnist gpt_char --quick --sides kedja,torch      a look at a few
    python -m benchmarks --one-thread              with one thread too, against PyTorch eager
    python -m benchmarks --case mnist_mlp --profile    kedja's launches and what each costs
    python -m benchmarks --sweep                   odd widths and batch sizes: is there a cliff?
    python -m benchmarks chart RESULTS.json        the tables and the chart again

Not here: the cases (`cases`), the peers (`peers.py`), how time is taken (`measure.py`). Next:
`bench.py`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import machine, peers
from benchmarks.bench import Bench, cases_of, note
from benchmarks.measure import Settings
from benchmarks.report import chart, figures, tables
from benchmarks.sweep import show as sweep
from benchmarks.worker import SideError
from kedja.compiler.runtime_threads import usable_cores
from kedja.ground.errors import KedjaError, UsageError

FULL = Settings(rounds=7, seconds=0.2, threads=0)
QUICK = Settings(rounds=3, seconds=0.05, threads=0, budget=3.0, again=30.0)
DOCS = peers.ROOT / "docs"
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
    add(
        "--case",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="cases, or all that begin with NAME",
    )
    add("--threads", type=int, default=usable_cores(), help="of every side (all cores)")
    add("--one-thread", action="store_true", help="with one thread too, against PyTorch eager")
    add("--quick", action="store_true", help="fewer and shorter rounds")
    add("--rounds", type=int, help=f"of turns between the sides ({FULL.rounds})")
    add("--seconds", type=float, help=f"of each sample at most ({FULL.seconds:g})")
    add("--budget", type=float, help=f"seconds of a case's samples together ({FULL.budget:g})")
    add("--again", type=float, help=f"seconds for samples with far cores ({FULL.again:g})")
    add("--sides", default="all", metavar="NAMES", help="all, or some, with commas")
    add("--python", nargs="+", action="extend", metavar="PEER=PATH", help="its interpreter")
    add("--profile", action="store_true", help="only kedja's launches, with their cost")
    add("--sweep", action="store_true", help="widths and batch sizes of a perceptron instead")
    add("--out", type=Path, nargs="?", const=DEFAULT, help="write the figures as JSON")
    add("--chart", type=Path, nargs="?", const=DEFAULT, help="draw the chart as SVG")
    return parser.parse_args(arguments)  # fmt: skip


def settings_of(chosen: argparse.Namespace) -> Settings:
    """How long and how often. Raises UsageError for numbers below the least."""
    base = QUICK if chosen.quick else FULL
    found = Settings(
        base.rounds if chosen.rounds is None else chosen.rounds,
        base.seconds if chosen.seconds is None else chosen.seconds,
        chosen.threads,
        base.budget if chosen.budget is None else chosen.budget,
        again=base.again if chosen.again is None else chosen.again,
    )
    if found.rounds < 1 or found.threads < 1 or not min(found.seconds, found.budget) > 0:
        raise UsageError("rounds, threads, seconds and budget are more than 0")
    return found


def bench_of(chosen: argparse.Namespace) -> Bench:
    """What the command line asks for."""
    given = peers.interpreters(chosen.python or ())
    sides = peers.chosen(chosen.sides)
    return Bench(settings_of(chosen), cases_of(chosen.case), sides, given)


def finish(data: figures.Json, chosen: argparse.Namespace, console: Console) -> int:
    """Show the figures and write what was asked for; 1 if a case failed."""
    swept = "points" in data
    module = sweep if swept else tables
    module.show(data, console)
    kind = "sweep-" if swept else ""
    if chosen.out is not None:
        name = f"{kind}{machine.slug()}-{data['date'][:10]}.json"
        path = RESULTS / name if chosen.out == DEFAULT else chosen.out
        figures.write(path, data)
        note(f"wrote {path}\n")
    if chosen.chart is not None:
        name = "benchmark-sweep.svg" if swept else "benchmarks.svg"
        path = DOCS / name if chosen.chart == DEFAULT else chosen.chart
        (sweep if swept else chart).draw(data, path)
        note(f"wrote {path}\n")
    return int(any(case["error"] for case in data.get("cases", ())))


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
        return finish(figures.read(Path(chosen.rest[0])), chosen, console)
    bench, start = bench_of(chosen), time.monotonic()
    if chosen.profile:
        bench.profile(console)
        return 0
    data = bench.swept() if chosen.sweep else bench.run(one_thread=chosen.one_thread)
    note(f"done in {time.monotonic() - start:.0f} s\n")
    return finish(data, chosen, console)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 where something failed, 2 for a wrong command line, 130 on Ctrl-C."""
    try:
        return perform(options(sys.argv[1:] if arguments is None else arguments))
    except KedjaError as problem:
        note(f"error: {problem}\n")
        return problem.exit_code
    except (SideError, subprocess.CalledProcessError) as problem:
        note(f"error: {problem}\n")
        return 1
    except KeyboardInterrupt:
        note("interrupted\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
