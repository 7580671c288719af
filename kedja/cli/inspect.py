"""`kedja inspect`: a data set in figures, and what is wrong with it.

Not here: the checks (`kedja/inspection/checks.py`), the page (`kedja/inspection/page.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kedja import inspection
from kedja.cli.output import note, say, say_json, write_text
from kedja.front.tables import rendered
from kedja.inspection.finding import Finding, Report, Summary, listed

_BLOCKS = " ▁▂▃▄▅▆▇█"


def inspect(
    data: Annotated[
        str,
        typer.Argument(help="digits, mnist, a table, JSON Lines, a text, or a folder of pictures."),
    ],
    test: Annotated[
        Path | None, typer.Option("--test", help="The data that is tested on: are there leaks?")
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", help="The column to be predicted (the last); none for none."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the report as one page to this file.")
    ] = None,
) -> None:
    """What a data set holds, and what is wrong with it.

    Defects spoil what is learned or measured: copies, labels that contradict each other or that a
    cross-validated model doubts, columns that broke, leaks between training and test data. Notices
    are worth knowing. Each finding says where, how sure, and what to do. The exit code is 0
    whatever is found; `--json` counts the defects.
    """
    report = inspection.inspect(data, test=test, label=label, progress=_told)
    if json:
        say_json(report.to_json())
    else:
        for line in lines(report):
            say(line)


def _told(done: int, total: int) -> None:
    if done == 1:
        note(f"{total} networks are trained, to doubt labels")


def lines(report: Report) -> list[str]:
    """The report as it is printed."""
    about = [f"{name} {value}" for name, value in report.facts["about"].items()]
    head = f"{report.name}: {report.facts['examples']:,} {_EXAMPLES[report.kind]}"
    tested = report.facts["test_examples"]
    head += f", {tested:,} to test on" if tested else ""
    parts = [", ".join([head, *about])]
    if report.summaries:
        parts += [
            "",
            rendered(_HEADER, [_row(each) for each in report.summaries], numbers=_HEADER[2:8]),
        ]
    for title, found in (("defect", report.defects), ("notice", report.notices)):
        for each in found:
            parts += ["", *_finding(title, each)]
    parts += ["", _verdict(report)]
    return parts


_EXAMPLES = {"table": "rows", "texts": "texts", "pictures": "pictures"}
_HEADER = ("column", "kind", "distinct", "missing", "mean", "min", "median", "max", "values")


def _row(each: Summary) -> list[str]:
    figures: dict[str, Any] = {"min": each.figures.get("first"), "max": each.figures.get("last")}
    figures |= each.figures
    missing = figures["missing"]
    numbers = [_number(figures.get(name)) for name in ("mean", "min", "median", "max")]
    bars = sparkline(each.bars.counts)
    if each.kind == "category" and each.bars.names:
        bars = f"{bars} {listed(each.bars.names, 3)}"
    return [
        each.name,
        each.kind,
        f"{figures['distinct']:,}",
        f"{missing:,}" if missing else "",
        *numbers,
        bars,
    ]


def _number(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value or "")


def sparkline(counts: tuple[int, ...]) -> str:
    """Counts as a row of blocks.

    >>> sparkline((0, 1, 8))
    ' ▁█'
    """
    top = max(counts, default=0)
    return "".join(_BLOCKS[-(-count * 8 // top)] for count in counts) if top else ""


def _finding(title: str, each: Finding) -> list[str]:
    return [
        f"{title}: {each.check}: {each.what}",
        f"  sure: {each.sure}",
        f"  to do: {each.fix}",
    ]


def _verdict(report: Report) -> str:
    defects, notices = len(report.defects), len(report.notices)
    found = f"{defects} defect{'s' * (defects != 1)}" if defects else "no defect"
    rest = f", {notices} notice{'s' * (notices != 1)}" if notices else ""
    return f"{found}{rest}, by {len(report.checks)} checks"


__all__ = ["inspect", "lines", "sparkline", "write_text"]
