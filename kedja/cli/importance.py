"""`kedja importance RUN`: which columns of a table a trained network leans on.

Not here: how it is measured (`kedja/inspection/importance.py`), training (`rows.py`).
Next: `predict.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from kedja.cli import kernels, recipes, rows, runs
from kedja.cli.output import note, say, say_json
from kedja.data.prepare import Preparation, TablePreparation
from kedja.ground.errors import Interrupted, UsageError
from kedja.inspection.importance import Importance, permutation_importance
from kedja.train.evaluation import predict as outputs_of

Array = np.ndarray[Any, np.dtype[Any]]
EVERY = 2.0  # seconds between two notes of progress


def importance(
    run: Annotated[
        Path, typer.Argument(help="The folder of a run on a table.", show_default=False)
    ],
    file: Annotated[
        Path | None,
        typer.Argument(help="A CSV file with the target; else the run's own rows to test on."),
    ] = None,
    repeats: Annotated[int, typer.Option(help="How often each column is shuffled.")] = 10,
    seed: Annotated[int, typer.Option(help="The same seed gives the same figures.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """How much worse the answers get where a column is shuffled, with 95 % of the shuffles."""
    looked = _svm(run, file) if runs.model_of(run) == "svm" else _network(run, file)
    found = _measured(looked, repeats, seed)
    classes = bool(looked.preparation.target.classes)
    if json:
        about = {"run": str(run), "target": looked.preparation.target.name}
        measured = {"examples": len(looked.x), "measure": "accuracy" if classes else "rmse"}
        say_json({**about, **measured, "columns": [asdict(each) for each in found]})
        return
    worse = "accuracy falls by" if classes else "error (root of the mean square) grows by"
    note(f"{len(looked.x):,} rows, {repeats} shuffles: the {worse}")
    for line in _lines(found, classes=classes):
        say(line)


class Looked(NamedTuple):
    """What is looked at: rows, their targets, and how good a model's answers to rows are."""

    preparation: TablePreparation
    x: Array
    score: Callable[[Array], float]


def _measured(looked: Looked, repeats: int, seed: int) -> list[Importance]:
    """The columns' importance, with a note of how far it is where it takes long."""
    last, done = [time.monotonic()], [0, 0]

    def told(*now: int) -> None:
        done[:] = now
        if time.monotonic() - last[0] > EVERY:
            last[0] = time.monotonic()
            note(f"shuffled {now[0]:,} of {now[1]:,} times")

    options: dict[str, Any] = {"repeats": repeats, "seed": seed, "progress": told}
    columns = _columns(looked.preparation)
    try:
        return permutation_importance(looked.score, looked.x, columns, **options)
    except KeyboardInterrupt:
        what = f"after {done[0]:,} of {done[1]:,} shuffles, which are not kept"
        raise Interrupted(f"{what}; fewer --repeats take less time") from None


def _network(run: Path, file: Path | None) -> Looked:
    record = runs.load(run)
    preparation = _table(run, record.preparation)
    given = rows.examples(run, record, None if file is None else str(file))
    score = _score(runs.load_network(run, record), record, given.targets)
    return Looked(preparation, given.inputs, score)


def _svm(run: Path, file: Path | None) -> Looked:
    machine, preparation = kernels.loaded(run)
    given = kernels.examples(run, preparation, None if file is None else str(file))
    score = kernels.scored(machine, preparation, given.targets)
    return Looked(_table(run, preparation), given.inputs, score)


def _table(run: Path, preparation: Preparation) -> TablePreparation:
    if not isinstance(preparation, TablePreparation):
        what = f"{run} was trained on pictures, which have no columns"
        raise UsageError(what, fix="name a run on a table")
    return preparation


def _score(model: Any, record: runs.Record, y: Array) -> Callable[[Array], float]:
    """The share of right answers, or the negative error in the target's own units."""
    target, step = record.preparation.target, recipes.prepare(record.preparation)

    def score(x: Array) -> float:
        outputs = outputs_of(model, x, step)
        if target.classes:
            return float(np.mean(outputs.argmax(axis=1) == y))
        return -float(np.sqrt(np.mean((outputs[:, 0] - y) ** 2))) * target.std

    return score


def _columns(preparation: TablePreparation) -> dict[str, range]:
    """The places of all features that a column became."""
    found, start = {}, 0
    for column in preparation.columns:
        end = start + len(column.features)
        found[column.name] = range(start, end)
        start = end
    return found


def _lines(found: Sequence[Importance], *, classes: bool) -> list[str]:
    width = max(len(each.name) for each in found)

    def shown(value: float) -> str:
        return f"{value:7.2%}" if classes else f"{value:10.5g}"

    return [
        f"{each.name.ljust(width)}  {shown(each.mean)}  ({shown(each.low).strip()} to "
        f"{shown(each.high).strip()})"
        for each in found
    ]
