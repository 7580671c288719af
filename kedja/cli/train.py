"""`kedja train`: the options of all models; which of them a model has is said in `families.py`.

Not here: the training itself, one file for each family (`rows.py`, `language/`).
Next: `families.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kedja.cli import families


def train(
    context: typer.Context,
    data: Annotated[
        list[str],
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
        str | None, typer.Option(help="sgd, adam, adamw, rmsprop, lion, muon …", metavar="NAME")
    ] = None,
    lr: Annotated[float | None, typer.Option(help="The learning rate.")] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="The rate over the run: constant, cosine, linear, one_cycle, step.", metavar="NAME"
        ),
    ] = None,
    warmup: Annotated[
        int | None, typer.Option(help="Updates in which the rate rises at first.")
    ] = None,
    clip: Annotated[float | None, typer.Option(help="The largest norm of the gradients.")] = None,
    accumulate: Annotated[int | None, typer.Option(help="Batches for one update.")] = None,
    ema: Annotated[
        float | None, typer.Option(help="Test a running average of the weights: 0.999.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="The dtype of products: bfloat16.", metavar="DTYPE")
    ] = None,
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
    given = {name: value for name, value in context.params.items() if value is not None}
    for name in ("data", "out", "resume", "threads", "json"):
        given.pop(name, None)
    families.train(families.Request(tuple(data), given, out, resume, threads, json))
