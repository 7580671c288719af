"""`kedja train`: a network trained on a data set, and tested.

Not here: which options suit which data (`recipes.py`), the run's folder (`runs.py`), training
itself (`kedja/train`). Next: `predict.py`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from kedja import nn, optim
from kedja import train as training
from kedja.cli import recipes, runs
from kedja.cli.output import note, say, say_json
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
    given = {
        "model": model,
        "hidden": None if hidden is None else sizes(hidden),
        "activation": None if activation is None else nn.activation_name(activation),
        "optimizer": optimizer,
        "lr": lr,
        "batch": batch,
        "epochs": epochs,
        "seed": seed,
        "schedule": schedule,
        "warmup": warmup,
        "clip": clip,
        "accumulate": accumulate,
        "ema": ema,
        "precision": precision,
    }
    _require(given, threads)
    folder, record, found = _start(data, target, given, out, resume)
    history = _trained(folder, record, found, threads, resume)
    results = _results(folder, record, found, history)
    runs.save(folder, replace(record, results=results))
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


def _require(given: Mapping[str, Any], threads: int | None) -> None:
    """Numbers must lie where they make sense."""
    if threads is not None and threads < 0:
        raise UsageError(f"--threads {threads}", fix="a number of threads, or 0 for one per core")
    for name in ("batch", "epochs"):
        if given[name] is not None and given[name] < 1:
            raise UsageError(f"--{name} {given[name]}", fix="a whole number from 1")
    if given["lr"] is not None and not 0 < given["lr"] < float("inf"):
        raise UsageError(f"--lr {given['lr']}", fix="a number above 0")
    _require_steps(given)
    if given["seed"] is not None and not 0 <= given["seed"] < 2**64:
        raise UsageError(f"--seed {given['seed']}", fix="a whole number from 0 to 2**64 - 1")


def _require_steps(given: Mapping[str, Any]) -> None:
    """What surrounds the optimiser must make sense."""
    chosen = {name: value for name, value in given.items() if value is not None}
    bounds: dict[str, tuple[Callable[[Any], bool], str]] = {
        "warmup": (lambda n: n >= 0, "a whole number from 0"),
        "accumulate": (lambda n: n >= 1, "a whole number from 1"),
        "clip": (lambda x: 0 < x < float("inf"), "a number above 0"),
        "ema": (lambda x: 0 < x < 1, "a number between 0 and 1, such as 0.999"),
    }
    for name, (holds, fix) in bounds.items():
        if name in chosen and not holds(chosen[name]):
            raise UsageError(f"--{name} {chosen[name]}", fix=fix)
    warmup = chosen.get("warmup", 0)
    optim.schedule(chosen.get("schedule", "constant"), 1.0, warmup + 1, warmup)
    nn.Policy(chosen.get("precision", "float32"))


# ------------------------------------------------------------------------------- the start


def _start(
    data: str, target: str | None, given: Mapping[str, Any], out: Path | None, resume: bool
) -> tuple[Path, runs.Record, Dataset]:
    """The run's folder, its record and its data; what was recognised and chosen is printed."""
    folder = _earlier(data, out) if resume else None
    if folder is not None:
        record = _continued(folder, data, target, given)
        found = source.load(data, target=record.target, seed=record.recipe.seed, progress=_loaded)
    else:
        if resume:
            note("there is no run to resume: training starts from the beginning")
        found = source.load(data, target=target, seed=given["seed"] or 0, progress=_loaded)
        made = recipes.recipe(found, given)
        record = runs.Record(data, target, found.name, made, found.preparation)
        folder = runs.fresh(out, found.name, made.model)
    runs.save(folder, record)
    for line in (*found.describe(), f"{record.recipe.text}", f"run: {folder}"):
        note(line)
    return folder, record, found


def _earlier(data: str, out: Path | None) -> Path | None:
    """The run that `--resume` means: that in `out`, else the newest one on the same data."""
    if out is None:
        return runs.newest(data)
    return out if runs.exists(out) else None


def _continued(
    folder: Path, data: str, target: str | None, given: Mapping[str, Any]
) -> runs.Record:
    """The record of a run that goes on; UsageError where the command line contradicts it."""
    record = runs.load(folder)
    for option, now, before in (("DATA", data, record.data), ("--target", target, record.target)):
        other = now is not None and now != before
        if other and not (option == "DATA" and _same_path(data, record.data)):
            raise UsageError(
                f"{option} is {now}, but {folder} was started with {before}",
                fix="resume with the same data, or train anew without --resume",
            )
    return replace(record, recipe=recipes.changed(record.recipe, given), results=None)


def _same_path(one: str, other: str) -> bool:
    return Path(one).resolve() == Path(other).resolve()


def _loaded(name: str, done: int, total: int | None) -> None:
    """A download goes on: a line where it starts and where it ends."""
    if done == total:
        note(f"downloaded {name}, {done:,} bytes")


# ---------------------------------------------------------------------------- the training


def _trained(
    folder: Path, record: runs.Record, found: Dataset, threads: int | None, resume: bool
) -> History:
    made, numeric = record.recipe, found.task == "regression"
    trainer = training.Trainer(
        recipes.network(made, record.preparation),
        loss="mse" if numeric else "cross_entropy",
        optimizer=recipes.optimizer(made),
        batch_size=made.batch,
        metrics=("rmse", "r2") if numeric else ("accuracy",),
        prepare=recipes.prepare(record.preparation),
        seed=made.seed,
        checkpoint=folder,
        threads=threads,
        schedule=None if made.schedule == "constant" else made.schedule,
        warmup=made.warmup,
        clip_norm=made.clip,
        accumulate=made.accumulate,
        ema=made.ema,
        precision=made.precision,
    )
    test = (found.test.inputs, found.test.targets)
    try:
        return trainer.fit(
            found.train.inputs,
            found.train.targets,
            epochs=made.epochs,
            validation=test,
            resume=resume,
        )
    except Interrupted as error:
        command = ["kedja", "train", record.data, "--out", str(folder), "--resume"]
        raise Interrupted(f"{error}; go on with: {shlex.join(command)}", str(folder)) from None


# ----------------------------------------------------------------------------- the results


def _results(folder: Path, record: runs.Record, found: Dataset, history: History) -> dict[str, Any]:
    """What `--json` prints. Errors of a numeric target are in its own units."""
    made, figures = record.recipe, dict(history.validation)
    results = {
        "task": found.task,
        "data": found.name,
        "target": found.target_name,
        "train_examples": len(found.train),
        "test_examples": len(found.test),
        **made.to_json(),
        "parameters": history.model.num_parameters,
        "epochs": len(history.epochs),
        "steps": history.steps,
        "train_loss": history.train_loss,
        "test_loss": figures.pop("loss"),
    }
    if "rmse" in figures:
        figures["rmse"] *= record.preparation.target.std
    results |= {f"test_{name}": value for name, value in figures.items()}
    return results | {
        "compile_seconds": history.compile_seconds,
        "train_seconds": history.train_seconds,
        "steps_per_second": history.steps_per_second,
        "checkpoint": str(checkpoint.path(folder)),
        "run": str(folder),
    }


def summary(results: Mapping[str, Any]) -> str:
    """The results for people, one fact a line."""
    if results["task"] == "classification":
        quality = f"test accuracy {results['test_accuracy']:.2%}"
    else:
        quality = f"test error {results['test_rmse']:.6g} (root of the mean square), "
        quality += f"R² {results['test_r2']:.4f}"
    lines = [
        f"{results['data']}: {results['task']} of {results['target']!r}",
        f"{quality}, on {results['test_examples']:,} examples",
        f"loss {results['train_loss']:.4g} in training, {results['test_loss']:.4g} in the test",
        f"{results['parameters']:,} parameters, {results['steps']:,} steps "
        f"in {results['epochs']:,} epochs",
        f"{results['train_seconds']:.2f} s of training, {results['compile_seconds']:.2f} s of "
        f"compiling, {results['steps_per_second']:,.0f} steps/s",
        f"run: {results['run']}",
        f"next: kedja predict {shlex.quote(results['run'])} FILE",
    ]
    return "\n".join(lines)
