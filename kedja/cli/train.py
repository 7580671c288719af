"""`kedja train`: a network trained on a data set, and tested.

Not here: which options suit which data (`recipes.py`), the run's folder (`runs.py`), training
itself (`kedja/train`). Next: `predict.py`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from kedja import nn, optim, train as training
from kedja.cli import recipes, runs
from kedja.cli.output import note, say, say_json
from kedja.cli.recipes import Recipe
from kedja.data import source
from kedja.data.dataset import Dataset
from kedja.ground.errors import Interrupted, UsageError
from kedja.train import checkpoint
from kedja.train.history import History


def train(
    data: Annotated[
        str,
        typer.Argument(
            help="digits, mnist, a folder with MNIST's files, or a CSV file.", show_default=False
        ),
    ],
    model: Annotated[
        str | None, typer.Option(help="mlp or linear.", metavar="NAME", show_default="mlp")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="The column to predict; the last unless given.")
    ] = None,
    hidden: Annotated[
        str | None, typer.Option(help="The sizes of the hidden layers: 128,64.", metavar="SIZES")
    ] = None,
    activation: Annotated[
        str | None, typer.Option(help="relu, tanh, sigmoid, gelu …", metavar="NAME")
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="sgd, adam, adamw, rmsprop …", metavar="NAME")
    ] = None,
    lr: Annotated[float | None, typer.Option(help="The learning rate.")] = None,
    batch: Annotated[int | None, typer.Option(help="Examples in a minibatch.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same bits.")] = None,
    threads: Annotated[
        int | None, typer.Option(help="Worker threads; one per core unless given.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an earlier run.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="The run's folder; runs/NAME-MODEL unless given.", metavar="RUN"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train a network on DATA and test it; options that are not given are chosen to suit DATA."""
    given = {
        "model": model,
        "hidden": None if hidden is None else sizes(hidden),
        "activation": None if activation is None else nn.activation_name(activation),
        "optimizer": optimizer,
        "lr": lr,
        "batch": batch,
        "epochs": epochs,
        "seed": seed,
    }
    _require(given)
    folder, record, found = _started(data, target, given, out, resume)
    history = _trained(folder, record, found, threads, resume, show=True)
    results = _results(folder, record, found, history)
    runs.save(folder, _with_results(record, results))
    if json:
        say_json(results)
    else:
        say(summary(results))


def sizes(text: str) -> tuple[int, ...]:
    """`128,64` as sizes of layers; UsageError where they are none.

    >>> sizes("128, 64")
    (128, 64)
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"--hidden {text!r}", fix="whole numbers from 1: --hidden 128,64")
    return tuple(map(int, parts))


def _require(given: Mapping[str, Any]) -> None:
    """Numbers must lie where they make sense."""
    for name in ("batch", "epochs"):
        if given[name] is not None and given[name] < 1:
            raise UsageError(f"--{name} {given[name]}", fix="a whole number from 1")
    if given["lr"] is not None and not 0 < given["lr"] < float("inf"):
        raise UsageError(f"--lr {given['lr']}", fix="a number above 0")
    if given["seed"] is not None and not 0 <= given["seed"] < 2**64:
        raise UsageError(f"--seed {given['seed']}", fix="a whole number from 0 to 2**64 - 1")


# ------------------------------------------------------------------------------- the start


def _started(
    data: str, target: str | None, given: Mapping[str, Any], out: Path | None, resume: bool
) -> tuple[Path, runs.Record, Dataset]:
    """The run's folder, its record and its data; what was recognised and chosen is printed."""
    earlier = _earlier(data, given, out) if resume else None
    if earlier is not None:
        return _resumed(*earlier, data, target, given)
    if resume:
        note("there is no run to resume: training starts from the beginning")
    found = source.load(data, target=target, seed=given["seed"] or 0, progress=_download)
    made = recipes.recipe(found, given)
    _describe(found, made)
    unfinished = resume and out is not None and not runs.path(out).exists()
    folder = out if unfinished and out is not None else runs.fresh(out, found.name, made.model)
    record = runs.Record(data, target, found.name, made, found.preparation)
    folder.mkdir(parents=True, exist_ok=True)
    runs.save(folder, record)
    return folder, record, found
