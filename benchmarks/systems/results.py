"""What a system showed: rows, kept as JSON, printed as the page `docs/results.md`.

Not here: the systems. Next: `__main__.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kedja.io import atomic

HEAD = """# Results

What each system reaches, on real data or on data made with a fixed seed, beside its goal and a
baseline. Made by

    python -m benchmarks.systems --data FOLDER

with the data sets' folder; `python -m benchmarks.systems NAME` runs one system again and leaves
the rows of the others. Numbers in seconds depend on the machine; the others do not.
"""
MARKS = {True: "yes", False: "**no**", None: ""}


@dataclass(frozen=True)
class Chosen:
    """What the command line says: the folder of data, threads, an interpreter with PyTorch.

    `pictures` is the folder in which systems leave what they draw. A `quick` run is small: it
    shows that everything works, and its figures mean nothing.
    """

    data: Path | None = None
    threads: int = 0
    python: str | None = None
    pictures: Path | None = None
    quick: bool = False


@dataclass(frozen=True)
class Result:
    """One fact: what was measured, the figure with its unit, its goal, and a baseline's figure.

    `met` is None where there is no goal. `note` says what a reader has to know beside it.
    """

    what: str
    figure: str
    goal: str = ""
    met: bool | None = None
    baseline: str = ""
    note: str = ""


@dataclass(frozen=True)
class Section:
    """The rows of one system, with what the whole took and where it ran."""

    title: str
    rows: tuple[Result, ...]
    seconds: float
    machine: str


def read(file: Path) -> dict[str, Section]:
    """The sections by the names of their systems; none where there is no file."""
    if not file.exists():
        return {}
    found: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return {name: _section(value) for name, value in found.items()}


def _section(value: Mapping[str, Any]) -> Section:
    rows = tuple(Result(**row) for row in value["rows"])
    return Section(value["title"], rows, float(value["seconds"]), value["machine"])


def write(file: Path, sections: Mapping[str, Section]) -> None:
    """Keep the sections as JSON, whole or not at all."""
    content = {name: asdict(section) for name, section in sections.items()}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    atomic.write_bytes(file, f"{text}\n".encode())


def page(sections: Mapping[str, Section]) -> str:
    """The page, one table for each system.

    >>> rows = (Result("accuracy", "99.2 %", "99 %", True, "logistic regression 92 %"),)
    >>> print(page({"digits": Section("Digits", rows, 61.0, "one core")}).splitlines()[-1])
    | accuracy | 99.2 % | 99 % | yes | logistic regression 92 % |  |
    """
    parts = [HEAD, *(_table(name, section) for name, section in sections.items())]
    return "\n".join(parts)


def _table(name: str, section: Section) -> str:
    facts = f"`{name}`: {section.seconds:,.0f} s on {section.machine}."
    lines = [f"## {section.title}", "", facts, ""]
    lines += ["| what | figure | goal | met | baseline | note |", "|---|---|---|---|---|---|"]
    return "\n".join([*lines, *map(_row, section.rows), ""])


def _row(row: Result) -> str:
    cells: Sequence[str] = (
        *(row.what, row.figure, row.goal),
        *(MARKS[row.met], row.baseline, row.note),
    )
    return f"| {' | '.join(each.replace('|', '/') for each in cells)} |"
