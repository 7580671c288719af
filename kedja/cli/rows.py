"""`kedja train` for networks on rows and pictures (mlp, linear): trained on a data set, and tested.

Not here: which options suit which data (`recipes.py`), the run's folder (`runs.py`), training
itself (`kedja/train`). Next: `predict.py`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kedja import nn
from kedja import train as training
from kedja.cli import judging, recipes, runs
from kedja.cli.families import Request
from kedja.cli.options import sizes
from kedja.cli.output import note, say, say_json
from kedja.data import series, source, table
from kedja.data.dataset import Dataset
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.inspection.judged import Judged
from kedja.train import checkpoint, tables
from kedja.train.evaluation import predict as outputs_of
from kedja.train.history import History

DATA = ("target", "task")  # options that say how the data are read
TASKS = (table.CLASSIFICATION, table.REGRESSION)


def train(request: Request) -> None:
    """Train a network on the rows or pictures of DATA and test it."""
    given = dict(request.given)
    given["hidden"] = sizes(given["hidden"], "--hidden") if "hidden" in given else None
    if "activation" in given:
        given["activation"] = nn.activation_name(given["activation"])
    folder, record, found = _start(request, given)
    with runs.resumable(runs.command([record.data], folder), folder):
        history, figures = _trained(folder, record, found, request)
        results = _results(folder, record, found, history, figures)
        runs.save(folder, replace(record, results=results))
    if request.json:
        say_json(results)
    else:
        say(summary(results))


# ------------------------------------------------------------------------------- the start


def _start(request: Request, given: Mapping[str, Any]) -> tuple[Path, runs.Record, Dataset]:
    """The run's folder, its record and its data; what was recognised and chosen is printed."""
    data, target, task = _only(request.data), given.get("target"), given.get("task")
    if task not in (None, *TASKS):
        raise UsageError(f"there is no task {task!r}", fix=did_you_mean(str(task), TASKS))
    folder = request.resumed()
    if folder is not None:
        record = _continued(folder, data, given)
        found = _again(record)
    else:
        embeddings = given.get("model", "mlp") == "mlp"
        found = read(data, target, given.get("seed", 0), embeddings=embeddings, task=task)
        _require_table(found, given)
        made = recipes.recipe(found, {k: v for k, v in given.items() if k not in DATA})
        record = runs.Record(data, target, found.name, made, found.preparation)
        folder = runs.fresh(request.out, found.name, made.model)
    runs.save(folder, record)
    hint = _forecast_instead(data, found)
    for line in (*found.describe(), *hint, f"{record.recipe.text}", f"run: {folder}"):
        note(line)
    return folder, record, found


def _forecast_instead(data: str, found: Dataset) -> list[str]:
    """What is told of a table that looks like several series, one below the other."""
    part = series.several_in(data) if found.kind == "table" and Path(data).is_file() else None
    if part is None:
        return []
    by, value = part
    line = "rows are taken without their order; to forecast one series: --model autoregression"
    return [f"{line} --only '{by}={value}'"]


def read(
    data: str, target: str | None, seed: int, *, embeddings: bool, task: str | None = None
) -> Dataset:
    """The data; a table as the network for tables wants it, if that is to be trained."""
    pieces = 0 if embeddings else None
    return source.load(data, target=target, seed=seed, progress=_loaded, pieces=pieces, task=task)


def _again(record: runs.Record) -> Dataset:
    """The data of a run, read as they were."""
    made, task = record.recipe, record.preparation.target.task
    return read(record.data, record.target, made.seed, embeddings=made.embeddings, task=task)


def _require_table(found: Dataset, given: Mapping[str, Any]) -> None:
    """Raise UsageError for options of the network for tables beside other data."""
    for name in ("dropout", "weight_decay", "patience"):
        if name in given and found.kind != "table":
            what = f"--{name.replace('_', '-')}, but {found.name} is no table"
            raise UsageError(what, fix="leave it out")


def _only(data: Sequence[str]) -> str:
    """DATA, of which these models take one."""
    if len(data) > 1:
        what = f"{len(data)} data sets: {', '.join(data)}"
        raise UsageError(what, fix="give one, or --model gpt for several texts")
    return data[0]


def _continued(folder: Path, data: str, given: Mapping[str, Any]) -> runs.Record:
    """The record of a run that goes on; UsageError where the command line contradicts it."""
    record = runs.load(folder)
    runs.require_same_data(folder, [data], [record.data])
    before = {"target": record.target, "task": record.preparation.target.task}
    for name in DATA:
        if given.get(name, before[name]) != before[name]:
            raise runs.other_data(folder, f"--{name}", given[name], before[name])
    return replace(record, recipe=recipes.changed(record.recipe, given), results=None)


def _loaded(name: str, done: int, total: int | None) -> None:
    """A download goes on: a line where it starts and where it ends."""
    if done == total:
        note(f"downloaded {name}, {done:,} bytes")


# ---------------------------------------------------------------------------- the training


def _trained(
    folder: Path, record: runs.Record, found: Dataset, request: Request
) -> tuple[History, dict[str, float]]:
    """The run, and the figures on the rows to test on."""
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
        threads=request.threads,
        schedule=None if made.schedule == "constant" else made.schedule,
        warmup=made.warmup,
        clip_norm=made.clip,
        accumulate=made.accumulate,
        ema=made.ema,
        precision=made.precision,
        early_stopping=_stopping(made, found),
    )
    test = (found.test.inputs, found.test.targets)
    stops = _stopping(made, found) is not None
    history = trainer.fit(
        found.train.inputs,
        found.train.targets,
        epochs=made.epochs,
        validation=tables.HELD_OUT if stops else test,
        resume=request.resume,
    )
    return history, trainer.evaluate(*test) if stops else dict(history.validation)


def _stopping(made: recipes.Recipe, found: Dataset) -> training.EarlyStopping | None:
    """The best epoch is chosen on rows held out of the training, never on those of the test."""
    if made.patience is None or len(found.train) * tables.HELD_OUT < tables.FEWEST:
        return None
    return training.EarlyStopping(made.patience)


# ----------------------------------------------------------------------------- the results


def _results(
    folder: Path,
    record: runs.Record,
    found: Dataset,
    history: History,
    figures: dict[str, float],
) -> dict[str, Any]:
    """What `--json` prints. Errors of a numeric target are in its own units."""
    made = record.recipe
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


# ------------------------------------------------------------------------------- judging


def examples(run: Path, record: runs.Record, data: str | None) -> judging.Rows:
    """Rows whose answer is known: those of `data`, or those held out of the run's training."""
    return judging.rows(run, record.preparation, record.data, lambda: _again(record), data)


def judged(run: Path, data: str | None) -> Judged:
    """How wrong the network of a run is, row by row."""
    record = runs.load(run)
    given, target = examples(run, record, data), record.preparation.target
    model, step = runs.load_network(run, record), recipes.prepare(record.preparation)
    outputs = outputs_of(model, given.inputs, step)
    answers = outputs.argmax(axis=1) if target.classes else outputs[:, 0]
    return judging.by_numbers(data or record.data, target, given, answers)
