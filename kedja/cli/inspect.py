"""`kedja inspect`: a data set in figures, and what is wrong with it.

Not here: the checks (`kedja/inspection/checks.py`), the page (`kedja/inspection/page.py`), the
learning curve (`learning_curve.py`), errors of a trained network by group (`errors.py`).
Next: `learning_curve.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kedja import inspection
from kedja.cli import learning_curve as curve
from kedja.cli import runs
from kedja.cli.help import panel
from kedja.cli.output import note, now_and_then, say, say_json, write_text
from kedja.data import source
from kedja.front.tables import rendered
from kedja.ground.errors import Interrupted, UsageError
from kedja.ground.suggest import listed
from kedja.inspection import curves as learning
from kedja.inspection.finding import Finding, Report, Summary
from kedja.inspection.look import FEWEST_ROWS
from kedja.inspection.page import EXAMPLES

REPORT, CURVE, OUTPUT = panel("Report"), panel("Learning curve"), panel("Output")
_BLOCKS = " ▁▂▃▄▅▆▇█"
_WIDEST = 30  # letters of a name


def inspect(
    data: Annotated[
        str,
        typer.Argument(help="digits, mnist, a table, JSON Lines, a text, pictures or recordings."),
    ],
    label: Annotated[
        str | None,
        REPORT(help="The column to be predicted (the last); none for none.", metavar="COLUMN"),
    ] = None,
    test: Annotated[
        Path | None, REPORT(help="The data that is tested on: are there leaks?", metavar="DATA")
    ] = None,
    html: Annotated[
        Path | None, REPORT(help="Write the report as one page to this file.", metavar="FILE")
    ] = None,
    learning_curve: Annotated[
        bool, CURVE("--learning-curve", help="Train on 30, 100, 300, … examples instead.")
    ] = False,
    sizes: Annotated[
        str | None, CURVE(help="How many examples the curve trains on: 100,300,1000.")
    ] = None,
    seeds: Annotated[
        int, CURVE(min=1, max=1000, help="How many networks for each size of the curve.")
    ] = learning.SEEDS,
    out: Annotated[
        Path | None,
        CURVE(help="Keep the curve in this folder, and go on there.", metavar="FOLDER"),
    ] = None,
    plot: Annotated[
        Path | None, CURVE(help="Draw the curve to this file (PNG, SVG, PDF).", metavar="FILE")
    ] = None,
    json: Annotated[bool, OUTPUT("--json", help="Print one JSON object.")] = False,
) -> None:
    """What a data set holds, and what is wrong with it; or how much of it is needed.

    Defects spoil what is learned or measured: copies, labels that contradict each other or that a
    cross-validated model doubts, columns that broke, leaks between training and test data. Notices
    are worth knowing. Each finding says where, how sure, and what to do. The exit code is 0
    whatever is found; --json counts the defects.

    With --learning-curve networks are trained on growing parts of the data. With --out, the same
    command goes on where it was interrupted.
    """
    if learning_curve:
        _refuse("--learning-curve", {"--test": test, "--html": html})
        curve.run(data, label, sizes, seeds, out, plot, json)
        return
    _refuse("--learning-curve", {"--sizes": sizes, "--out": out, "--plot": plot}, without=True)
    _require_no_run(data)
    report = _inspected(data, test, label)
    if json:
        say_json(report.to_json())
    else:
        say("\n".join(lines(report)))
    if html is not None:  # at the end: what was found is not lost where the file cannot be written
        write_text(html, inspection.html(report))


def _refuse(option: str, given: dict[str, object], *, without: bool = False) -> None:
    """UsageError for options that mean nothing with, or without, another."""
    for name, value in given.items():
        if value is not None:
            how = "only with" if without else "not with"
            raise UsageError(f"{name} is {how} {option}", fix="leave one of them out")


def _require_no_run(data: str) -> None:
    """UsageError for the folder of a run, with the command that looks at it."""
    if data not in source.NAMES and runs.exists(Path(data)):
        what = f"{data} is the folder of a run, not of data"
        fix = f"for which groups it is wrong: kedja errors {data}; what an agent does: kedja play"
        raise UsageError(what, fix=fix)


def _inspected(data: str, test: Path | None, label: str | None) -> Report:
    reading = now_and_then("read")
    try:
        return inspection.inspect(
            data, test=test, label=label, progress=_told, reading_progress=reading
        )
    except KeyboardInterrupt:
        raise Interrupted("an inspection keeps nothing, run it again") from None


def _told(done: int, total: int) -> None:
    if done == 1:
        note(f"{total} networks are trained, to doubt labels")


def lines(report: Report) -> list[str]:
    """The report as it is printed."""
    about = [f"{name} {value}" for name, value in report.facts["about"].items()]
    head = f"{report.name}: {report.facts['examples']:,} {EXAMPLES[report.kind]}"
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
    if report.facts["examples"] < FEWEST_ROWS:
        parts.append(f"some of them need {FEWEST_ROWS} examples or more, and said nothing")
    return parts


_HEADER = ("column", "kind", "distinct", "missing", "mean", "min", "median", "max", "values")


def _row(each: Summary) -> list[str]:
    figures: dict[str, Any] = {"min": each.figures.get("first"), "max": each.figures.get("last")}
    figures |= each.figures
    missing = figures["missing"]
    numbers = [_number(figures.get(name)) for name in ("mean", "min", "median", "max")]
    bars = sparkline(each.bars.counts)
    if each.kind == "category" and each.bars.names:
        bars = f"{bars} {listed([_line(name) for name in each.bars.names], 3)}"
    return [
        _line(each.name),
        each.kind,
        f"{figures['distinct']:,}",
        f"{missing:,}" if missing else "",
        *numbers,
        bars,
    ]


def _line(name: str) -> str:
    """A name as it fits into a line of the table.

    >>> _line("two\\nlines"), _line("a" * 40)
    ('two lines', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaa…')
    """
    plain = " ".join(name.split())
    return plain if len(plain) <= _WIDEST else f"{plain[: _WIDEST - 1]}…"


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
