"""`kedja predict`: what a trained network says about new pictures, rows or texts.

Not here: training (`train.py`), the run's folder (`runs.py`), the answers to texts, which each
family gives (`language/`). Next: `asked.py`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from kedja.cli import families, recipes, runs
from kedja.cli.asked import Asked
from kedja.cli.new_rows import new_rows
from kedja.cli.output import say
from kedja.data.prepare import Target
from kedja.front.functions import softmax
from kedja.ground.errors import UsageError
from kedja.train.evaluation import predict as outputs_of

Array = np.ndarray[Any, np.dtype[Any]]

# Besides the most probable class, so many others are printed.
OTHERS = 2


def predict(
    run: Annotated[
        Path, typer.Argument(help="The folder of a run of `kedja train`.", show_default=False)
    ],
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Pictures or folders of them, recordings, CSV files, JSON Lines, or text files by "
            "line.",
            show_default=False,
        ),
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option(help="A text instead of FILES; may be given again.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what in the text decided.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Draw attention, a map of words, a forecast, pictures with captions.",
            metavar="FILE",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Predict the class or the number of each picture or row, or what belongs to each text.

    Files that cannot be read are told, the others answered, and the exit code is then 1.
    """
    asked = Asked(run, files or [], text or [], explain, plot, json)
    family = families.MODELS.get(runs.model_of(run))
    if family is not None and family.answers:
        importlib.import_module(family.module).predict(asked)
    else:
        record = runs.load(run)
        _require_rows(run, files, text or explain or plot)
        _of_rows(asked, record)
    asked.require_all()


def _require_rows(run: Path, files: Sequence[Path] | None, of_texts: Any) -> None:
    if of_texts:
        what = f"--text, --explain or --plot, but {run} was trained on pictures or rows"
        raise UsageError(what, fix="give FILES alone")
    if not files:
        raise UsageError("there is nothing to predict", fix="give FILES")


def _of_rows(asked: Asked, record: runs.Record) -> None:
    model = runs.load_network(asked.run, record)
    preparation, target = record.preparation, record.preparation.target
    rows = new_rows(asked, preparation)
    inputs = np.concatenate([each[None] for _, each in rows])
    outputs = outputs_of(model, inputs, recipes.prepare(preparation))
    found = [
        {**place, **_answer(output, target)}
        for (place, _), output in zip(rows, outputs, strict=True)
    ]
    if asked.json:
        asked.tell(found, task=target.task, target=target.name)
    else:
        for line in _lines(found, target):
            say(line)


def _answer(output: Array, target: Target) -> dict[str, Any]:
    """One output of the network as a class with its probability, or as a number in its units."""
    if not target.classes:
        return {target.name: float(target.restore(output)[0])}
    probabilities = softmax(output.astype(np.float64)).numpy()
    best = int(probabilities.argmax())
    return {
        "class": target.classes[best],
        "probability": float(probabilities[best]),
        "probabilities": dict(zip(target.classes, map(float, probabilities), strict=True)),
    }


def _lines(found: Sequence[Mapping[str, Any]], target: Target) -> Iterator[str]:
    """One line for each prediction, in columns."""
    places = [f"{each['file']}:{each['row']}" if "row" in each else each["file"] for each in found]
    width = max(map(len, places), default=0)
    for place, each in zip(places, found, strict=True):
        yield f"{place.ljust(width)}  {_text(each, target)}"


def _text(found: Mapping[str, Any], target: Target) -> str:
    if not target.classes:
        return f"{target.name} {found[target.name]:.6g}"
    ranked = sorted(found["probabilities"].items(), key=lambda pair: -pair[1])
    rest = ", ".join(f"{name} {share:.1%}" for name, share in ranked[1 : 1 + OTHERS])
    return f"{found['class']}  {found['probability']:.1%}  (then {rest})"
