"""What the runs of several families have in common: the folder, the record, resuming, the results.

A family says what it makes of DATA (`Prepared`); `run` does the rest. The run's folder is a model's
folder, with `run.json` and a checkpoint beside. Not here: the families (those of texts in
`language/`). Next: `language/pairs.py`, one of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kedja.cli import runs
from kedja.cli.families import Request
from kedja.cli.output import note, say, say_json
from kedja.cli.recipes import other_option
from kedja.data import learned
from kedja.data.tokens import Tokenizer
from kedja.io import atomic
from kedja.models import folder as folders
from kedja.train import checkpoint
from kedja.train.history import History

# Options of `kedja train` that are the trainer's, under its names.
TRAINER = {
    "warmup": "warmup",
    "clip": "clip_norm",
    "accumulate": "accumulate",
    "ema": "ema",
    "precision": "precision",
}

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Prepared:
    """What a family makes of its data and options.

    `model` is the network before training; `fit(…)` trains one with the trainer's options;
    `figures` are what is measured on held-out examples, and `told` says them in lines. `about` is
    what was recognised, `ask` the arguments of `kedja predict RUN` with which to go on. `files` are
    JSON files of other facts that the model's folder needs, written by their names.
    """

    model: Any
    tokenizer: Tokenizer | None
    about: Sequence[str]
    fit: Callable[..., History]
    figures: Callable[[Any], dict[str, Any]]
    told: Callable[[Mapping[str, Any]], Sequence[str]]
    ask: str
    files: Mapping[str, Any] = field(default_factory=dict)


Prepare = Callable[[tuple[str, ...], Options], Prepared]


def run(request: Request, usual: Options, prepare: Prepare) -> None:
    """Train what a request asks for; `usual` are the options where none are given."""
    earlier = request.resumed()
    if earlier is None:
        made = {**usual, **request.given}
        prepared = prepare(request.data, made)
        folder = runs.fresh(request.out, _name(request.data), made["model"])
        folders.describe(folder, prepared.model, prepared.tokenizer)
        _keep(folder, prepared.files)
    else:
        folder, made = earlier, _continued(earlier, request)
        prepared = prepare(request.data, made)
    runs.keep(folder, request.data, made, None)
    for line in (*prepared.about, _text(made), f"run: {folder}"):
        note(line)
    again = runs.command(request.data, folder)
    with runs.resumable(again, folder):
        history = _trained(folder, request, made, prepared)
        folders.save(folder, history.model, prepared.tokenizer)
        _keep(folder, prepared.files)  # where they were damaged or lost, they are whole again
    with runs.resumable(again, folder, runs.tested(folder)):
        results = _results(folder, request.data, made, history, prepared)
        runs.keep(folder, request.data, made, results)
    if request.json:
        say_json(results)
    else:
        say("\n".join(_summary(results, prepared)))


def _keep(folder: Path, files: Mapping[str, Any]) -> None:
    for name, content in files.items():
        text = json.dumps(content, indent=1, ensure_ascii=False)
        atomic.write_bytes(folder / name, text.encode())


def _name(data: Sequence[str]) -> str:
    return "-".join(Path(each).stem for each in data[:2])


def _continued(folder: Path, request: Request) -> dict[str, Any]:
    """The options of a run that goes on; UsageError where the command line contradicts them."""
    made = runs.recipe_of(folder)
    runs.require_same_data(folder, request.data, runs.sources_of(folder))
    for name, value in request.given.items():
        if value != made.get(name) and name != "epochs":
            raise other_option(name, value, made.get(name))
    return {**made, **request.given}


def _text(made: Options) -> str:
    """The options in one line."""
    parts = [f"{name.replace('_', ' ')} {value}" for name, value in made.items() if name != "model"]
    return f"{made['model']}: {', '.join(parts)}"


def _trained(folder: Path, request: Request, made: Options, prepared: Prepared) -> History:
    options = {TRAINER[name]: value for name, value in made.items() if name in TRAINER}
    return prepared.fit(
        epochs=made["epochs"],
        batch_size=made["batch"],
        seed=made["seed"],
        checkpoint=folder,
        resume=request.resume,
        threads=request.threads,
        **options,
    )


def _results(
    folder: Path, data: Sequence[str], made: Options, history: History, prepared: Prepared
) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "data": list(data),
        **made,
        "epochs": len(history.epochs),
        "parameters": history.model.num_parameters,
        "steps": history.steps,
        "train_loss": history.train_loss,
        **_figures(history, prepared),
        "compile_seconds": history.compile_seconds,
        "train_seconds": history.train_seconds,
        "steps_per_second": history.steps_per_second,
        "checkpoint": str(checkpoint.path(folder)),
        "run": str(folder),
    }


def _figures(history: History, prepared: Prepared) -> dict[str, Any]:
    """The figures of the test; who only chooses between networks by their loss needs none."""
    if learned.is_alone() and history.validation:
        return {}
    return prepared.figures(history.model)


def _summary(results: Mapping[str, Any], prepared: Prepared) -> list[str]:
    """The results for people, one fact a line."""
    return [
        f"{results['model']} on {', '.join(results['data'])}",
        *prepared.told(results),
        f"{results['parameters']:,} parameters, {results['steps']:,} steps in "
        f"{results['epochs']:,} epochs, training loss {results['train_loss']:.4g}",
        f"{results['train_seconds']:.2f} s of training, {results['compile_seconds']:.2f} s of "
        f"compiling, {results['steps_per_second']:,.0f} steps/s",
        f"run: {results['run']}",
        f"next: kedja predict {results['run']} {prepared.ask}",
    ]
