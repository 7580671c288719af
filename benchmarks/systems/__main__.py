"""`python -m benchmarks.systems`: train and test the systems, and write what they reached.

Not here: the page (`results.py`), the systems (a file each). Next: `results.py`.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine, systems
from benchmarks.systems import results
from benchmarks.systems.results import Chosen, Section
from kedja.ground.suggest import did_you_mean
from kedja.io import atomic

PAGE = Path("docs/results.md")
FIGURES = Path("benchmarks/results/systems.json")
PICTURES = Path("docs/images")
OWN = ("__main__", "results")  # files of this folder that are no systems


def names() -> list[str]:
    """The systems there are, in the order of their names."""
    found = (each.name for each in pkgutil.iter_modules(systems.__path__))
    return sorted(name for name in found if name not in OWN)


def shown(name: str, chosen: Chosen) -> Section:
    """Run a system, each row printed as it comes."""
    system = importlib.import_module(f"benchmarks.systems.{name}")
    print(f"{name}: {system.TITLE}", flush=True)
    start, rows = time.perf_counter(), []
    for row in system.run(chosen):
        goal = f"  (goal {row.goal}: {'met' if row.met else 'MISSED'})" if row.goal else ""
        print(f"  {row.what}: {row.figure}{goal}", flush=True)
        rows.append(row)
    seconds = time.perf_counter() - start
    cores = chosen.threads or machine.usable_cores()
    return Section(system.TITLE, tuple(rows), seconds, f"{cores} cores of {machine.processor()}")


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.systems")
    parser.add_argument("systems", nargs="*", metavar="NAME", help=", ".join(names()))
    parser.add_argument("--data", type=Path, help="the folder of data sets")
    parser.add_argument("--threads", type=int, default=0, help="0 for one per core")
    parser.add_argument("--python", help="an interpreter that has PyTorch, for comparisons")
    parser.add_argument("--quick", action="store_true", help="small, to see that it works")
    parser.add_argument("--out", action="store_true", help=f"write {PAGE} and {FIGURES}")
    return parser


def main(arguments: Sequence[str]) -> None:
    """Run what is asked for; what has been reached is kept after each system."""
    given = options().parse_args(arguments)
    for name in given.systems:
        if name not in names():
            sys.exit(f"there is no system {name!r}: {did_you_mean(name, names())}")
    pictures = PICTURES if given.out else None
    chosen = Chosen(given.data, given.threads, given.python, pictures, given.quick)
    for name in given.systems or names():
        section = shown(name, chosen)
        if given.out:
            kept = {**results.read(FIGURES), name: section}
            results.write(FIGURES, kept)
            atomic.write_bytes(PAGE, results.page(dict(sorted(kept.items()))).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
