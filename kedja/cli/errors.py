"""`kedja errors RUN`: for which groups of examples a network is wrong, and how sure that is.

Not here: what each network answers (the `judged` of each family), means and intervals
(`kedja/inspection/groups.py`), the page (`kedja/inspection/groups_page.py`). Next: `judging.py`.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from kedja.cli import families, runs
from kedja.cli.output import note, say, say_json, write_text
from kedja.data import table
from kedja.data.prepare import RawColumn
from kedja.ground.errors import DataError, UsageError
from kedja.inspection.groups import Groups
from kedja.inspection.groups_page import groups_html, uneven
from kedja.inspection.judged import Judged

FILE = "file"


def errors(
    run: Annotated[
        Path, typer.Argument(help="The folder of a run of `kedja train`.", show_default=False)
    ],
    data: Annotated[
        str | None,
        typer.Argument(
            help="Examples whose answers are known; else those of the run's data that it was not "
            "trained on.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="The column by which to group, such as speaker or class; may be given again. "
            "All, if none is given.",
            metavar="COLUMN",
        ),
    ] = None,
    about: Annotated[
        Path | None,
        typer.Option(
            help="A table with more columns for pictures or recordings, whose column `file` "
            "names them.",
            metavar="TABLE",
        ),
    ] = None,
    confidence: Annotated[float, typer.Option(help="That of the intervals.")] = 0.95,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the tables as one page to this file.")
    ] = None,
) -> None:
    """How often a network is wrong, or how far off, for each speaker, class, or value of a column.

    Columns of a table need not be among those that the network sees. Of many numbers quarters are
    made, of dates days, months or years. Each table says how probable it is that groups drawn by
    lot would differ as much; without --by, the columns for which that is least come first.
    """
    found = _judged(run, data)
    if about is not None:
        found = _with(found, about)
    chosen = found.by(*by, confidence=confidence) if by else found.by_all(confidence)
    if not chosen:
        raise DataError("no column makes groups", where=found.data, fix="name one with --by")
    title = f"{run} on {found.data}: {len(found.values):,} examples"
    if html is not None:
        write_text(html, groups_html(title, chosen))
    if json:
        tables = [each.to_json() for each in chosen]
        say_json(
            {"run": str(run), "data": found.data, "examples": len(found.values)}
            | {"columns": list(found.columns), "tables": tables}
        )
        return
    note(title)
    for line in _lines(chosen):
        say(line)


def _judged(run: Path, data: str | None) -> Judged:
    model = runs.model_of(run)
    family = families.MODELS.get(model)
    if family is None or not family.judges:
        can = [name for name, each in families.MODELS.items() if each.judges]
        what = f"{run} is a run of the model {model}, whose answers are not judged"
        raise UsageError(what, fix=f"name a run of {', '.join(can)}")
    found: Judged = importlib.import_module(family.module).judged(run, data)
    return found


def _lines(tables: Sequence[Groups]) -> list[str]:
    lines: list[str] = []
    for each in tables:
        lines += [*each.lines(), uneven(each), ""]
    return lines[:-1]


# ----------------------------------------------------------------------- a table about files


def _with(found: Judged, about: Path) -> Judged:
    """The same with the columns of a table, row by row the file that its column `file` names."""
    if not found.files:
        what = f"--about, but the examples of {found.data} are no files"
        raise UsageError(what, fix="leave it out: the columns are those of the data")
    columns = table.read_columns(about)
    if FILE not in columns:
        what = f"there is no column {FILE!r} that names the files"
        raise UsageError(what, where=str(about), fix=f"there are: {', '.join(columns)}")
    rows = _rows(found.files, columns.pop(FILE), about)
    taken = {name: _taken(column, rows) for name, column in columns.items()}
    return replace(found, columns={**found.columns, **taken})


def _rows(files: Sequence[str], names: RawColumn, about: Path) -> list[int | None]:
    """The row about each file: that which names its path, the end of it, or its name alone."""
    place = {str(name): row for row, name in enumerate(names)}
    rows = [next((place[end] for end in _ends(file) if end in place), None) for file in files]
    known = sum(row is not None for row in rows)
    if not known:
        what = f"the column {FILE!r} names none of the {len(files):,} files, such as {files[0]}"
        raise DataError(what, where=str(about), fix="write the names as they stand in the folder")
    if known < len(files):
        note(f"{about} says nothing of {len(files) - known:,} of {len(files):,} files")
    return rows


def _ends(file: str) -> list[str]:
    """A path, shorter and shorter from its front: a/b/c.png, b/c.png, c.png."""
    parts = PurePosixPath(file.replace("\\", "/")).parts
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _taken(column: RawColumn, rows: Sequence[int | None]) -> list[float | str | None]:
    return [None if row is None else column[row] for row in rows]
