"""`kedja tune DATA`: search over learning rate, width and depth, then train with the best.

Each trial trains as `kedja train` would, on the learned part of DATA alone, of which it holds a
part out (`kedja/data/learned.py`); its value is the loss there. The test part is looked at once, at
the end, by the best. Not here: over what is searched (`kedja/tuning/space.py`), how
(`kedja/tuning/searching.py`). Next: `kedja/tuning/space.py`.
"""

from __future__ import annotations

import contextlib
import io
import json as jsonfile
import math
import shlex
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from kedja import tuning
from kedja.cli import families, runs
from kedja.cli.families import Request
from kedja.cli.help import panel
from kedja.cli.output import note, say, say_json
from kedja.data import source
from kedja.data.learned import learned_alone
from kedja.ground.errors import KedjaError, UsageError
from kedja.io import atomic
from kedja.train.history import Epoch
from kedja.train.watch import watched
from kedja.tuning import Found, Trial
from kedja.tuning.searching import JOURNAL, Report

TRIALS, SEARCH, RUN = panel("Trials"), panel("Search"), panel("Run")
FILE = "tune.json"
HEADS = 4  # of a gpt, which divide every width
EPOCHS = "epochs.json"
TRIAL, BEST, BEGUN = "trial", "best", "best.json"
# Their rate falls to the last epoch, which they keep.
KEEPS_LAST = ("text-classifier", "cnn", "resnet", "spectrogram-cnn", "clip")
BY_STAGES = ("cnn", "resnet")  # whose depth is that of a stage
EVERY = 5.0  # seconds between two notes of how a trial goes


def tune(
    data: Annotated[
        list[str], typer.Argument(help="What `kedja train` takes.", show_default=False)
    ],
    model: Annotated[
        str | None, TRIALS(help=f"One of {', '.join(tuning.SPACES)}.", metavar="NAME")
    ] = None,
    target: Annotated[str | None, TRIALS(help="The column to predict.", metavar="COLUMN")] = None,
    horizon: Annotated[int | None, TRIALS(help="Steps to forecast.")] = None,
    epochs: Annotated[int | None, TRIALS(help="Passes over the data.")] = None,
    steps: Annotated[int | None, TRIALS(help="Updates, for text.")] = None,
    trials: Annotated[int, SEARCH(help="How many trainings are finished.", min=1)] = 20,
    minutes: Annotated[
        float | None, SEARCH(help="No trial begins after so many minutes.", min=0)
    ] = None,
    lr: Annotated[str | None, SEARCH(help="Rates to search.", metavar="LOW:HIGH")] = None,
    width: Annotated[str | None, SEARCH(help="Widths.", metavar="LOW:HIGH")] = None,
    depth: Annotated[str | None, SEARCH(help="Layers.", metavar="LOW:HIGH")] = None,
    dropout: Annotated[str | None, SEARCH(help="Dropout.", metavar="LOW:HIGH")] = None,
    seed: Annotated[int, SEARCH(help="The same seed gives the same search.")] = 0,
    out: Annotated[
        Path | None, RUN(help="The folder; runs/NAME-MODEL-tune unless given.", metavar="FOLDER")
    ] = None,
    resume: Annotated[bool, RUN("--resume", help="Go on with an earlier search.")] = False,
    threads: Annotated[int | None, RUN(help="Worker threads.")] = None,
    json: Annotated[bool, RUN("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find good options for a model of DATA, by trials that never see the test part."""
    fixed = {"target": target, "epochs": epochs, "steps": steps, "horizon": horizon, "seed": seed}
    fixed = {name: value for name, value in fixed.items() if value is not None}
    chosen = model or families.usual(data)
    spans = {"lr": lr, "width": width, "depth": depth, "dropout": dropout}
    space = tuning.space_for(chosen, spans)
    families.require_options(chosen, fixed)
    folder = out or Path(runs.RUNS) / f"{Path(data[0]).stem}-{chosen}-tune"
    asked = {"data": list(data), "model": chosen, "spans": spans, "fixed": fixed}
    begun = _begin(folder, resume, asked)
    work = Work(tuple(data), {"model": chosen, **fixed}, folder, threads)
    note(f"{chosen} on {', '.join(data)}: {', '.join(space)} are searched; {folder}")
    try:
        with runs.resumable(work.again(spans, trials), folder):
            found = tuning.search(
                work.trial, space, folder, trials=trials, minutes=minutes, seed=seed, told=_told
            )
            note("training with the best options on all that is learned")
            results = work.best(found.best)
    except KedjaError:
        if begun and not work.finished:
            _undo(folder)
        raise
    _report(work, found, results, json)


def _begin(folder: Path, resume: bool, asked: Mapping[str, Any]) -> bool:
    """Keep what is asked; whether the search is a new one.

    Raises UsageError where the folder holds another search, or a run.
    """
    where = folder / FILE
    if where.exists():
        if not resume:
            raise UsageError(f"{folder} holds a search already", fix="--resume goes on with it")
        if runs.read_json(where, dict) != asked:
            what = f"the search in {folder} was begun with other data or options"
            raise UsageError(what, fix="give the same ones, or another --out")
        return False
    if runs.exists(folder):
        raise UsageError(f"{folder} holds a run", fix="name another folder for the search")
    runs.make(folder, exist_ok=True)
    atomic.write_bytes(where, jsonfile.dumps(asked, indent=1).encode())
    return True


def _undo(folder: Path) -> None:
    """Leave nothing of a search of which no trial was finished: the first one met an error."""
    for name in (FILE, JOURNAL, EPOCHS):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / TRIAL, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


@dataclass(frozen=True)
class Work:
    """What is trained: data, the options that are the same in all trials, where."""

    data: tuple[str, ...]
    fixed: Mapping[str, Any]
    folder: Path
    threads: int | None
    finished: list[float] = field(default_factory=list)

    def trial(self, options: dict[str, Any], report: Report) -> float:
        """The least loss of one training on the held-out part of what is learned."""
        folder = self.folder / TRIAL
        shutil.rmtree(folder, ignore_errors=True)
        losses: list[float] = []
        told, last = sys.stderr, [time.monotonic()]

        def look(epoch: Epoch, model: Any) -> bool:
            loss = epoch.validation.get("loss")
            if loss is None:
                return False  # a baseline
            losses.append(loss if math.isfinite(loss) else math.inf)
            if time.monotonic() - last[0] > EVERY:
                last[0] = time.monotonic()
                told.write(f"  epoch {len(losses)}: loss {loss:.5g}\n")
                told.flush()
            return report(len(losses), losses[-1])

        with learned_alone(), watched(look):
            self._train(options, folder)
        if not losses:
            losses.append(self._missed())
        best = min(range(len(losses)), key=losses.__getitem__)
        if self.fixed["model"] in KEEPS_LAST:
            best = len(losses) - 1
        self.finished.append(losses[best])
        self._remember(options, best + 1)
        return losses[best]

    def _missed(self) -> float:
        """What a ranking misses, 1 - NDCG, where a training measures no loss as it goes."""
        results = runs.read(self.folder / TRIAL, lambda content: dict(content["results"]))
        if "ndcg" not in results.get("test", {}):
            what = "the training measured no loss on held-out data"
            raise UsageError(what, fix="give more data, or use mlp or gpt")
        return 1.0 - float(results["test"]["ndcg"])

    def best(self, found: Trial) -> dict[str, Any]:
        """Train with the best options on all that is learned, and test: the results.

        Where that was begun and interrupted, it goes on.
        """
        folder, begun = self.folder / BEST, self.folder / BEGUN
        options = self._whole(found.options)
        goes_on = begun.exists() and runs.read_json(begun, dict) == options
        if not goes_on:
            shutil.rmtree(folder, ignore_errors=True)
            atomic.write_bytes(begun, jsonfile.dumps(options).encode())
        self._train(options, folder, resume=goes_on and runs.exists(folder))
        return runs.read(folder, lambda content: dict(content["results"]))

    def command(self, options: Mapping[str, Any]) -> str:
        """The command that gives the same as the best trial's options, trained on all."""
        given = {**self.fixed, **_as_given(str(self.fixed["model"]), self._whole(options))}
        return shlex.join(["kedja", "train", *self.data, *_flags(given)])

    def again(self, spans: Mapping[str, Any], trials: int) -> str:
        """The command that goes on with the same search."""
        given = {**self.fixed, **{k: v for k, v in spans.items() if v is not None}}
        flags = _flags({**given, "out": self.folder, "trials": trials})
        return shlex.join(["kedja", "tune", *self.data, *flags, "--resume"])

    def _train(self, options: Mapping[str, Any], out: Path, *, resume: bool = False) -> None:
        given = {**self.fixed, **_as_given(str(self.fixed["model"]), options)}
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            families.train(Request(self.data, given, out, resume, self.threads, json=True))

    # Where the last epoch's weights are kept, the best number of epochs belongs to the options.

    def _remember(self, options: Mapping[str, Any], epochs: int) -> None:
        if self._ends_last():
            known = {**self._epochs(), _key(options): epochs}
            atomic.write_bytes(self.folder / EPOCHS, jsonfile.dumps(known).encode())

    def _ends_last(self) -> bool:
        """Whether the model has the last epoch's weights; an mlp for tables has the best one's."""
        table = self.data[0].lower().endswith(source.TABLE_SUFFIXES)
        return self.fixed["model"] == "linear" or (self.fixed["model"] == "mlp" and not table)

    def _epochs(self) -> dict[str, int]:
        where = self.folder / EPOCHS
        return runs.read_json(where, dict) if where.exists() else {}

    def _whole(self, options: Mapping[str, Any]) -> dict[str, Any]:
        epochs = self._epochs().get(_key(options))
        return {**options} if epochs is None else {**options, "epochs": epochs}


def _key(options: Mapping[str, Any]) -> str:
    return jsonfile.dumps(dict(options), sort_keys=True)


def _as_given(model: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options under the names that `kedja train` has: an mlp's layers are all of one width."""
    given = dict(options)
    depth = given.pop("depth", None)
    if model == "mlp":
        given["hidden"] = ",".join([str(given.pop("width"))] * int(depth or 1))
    elif depth is not None:
        given["depth" if model in BY_STAGES else "layers"] = depth
    if model == "gpt":
        given["heads"] = HEADS
    return given


def _flags(given: Mapping[str, Any]) -> list[str]:
    pairs = [(f"--{name.replace('_', '-')}", str(value)) for name, value in given.items()]
    return [each for pair in pairs for each in pair]


def _told(trial: Trial) -> None:
    shown = ", ".join(f"{name} {value:g}" for name, value in trial.options.items())
    value = "ended early" if trial.pruned else f"loss {trial.value:.5g}"
    note(f"trial {trial.number + 1}: {value}  ({shown})")


def _report(work: Work, found: Found, results: Mapping[str, Any], json: bool) -> None:
    best, command = found.best, work.command(found.best.options)
    early = sum(each.pruned for each in found.trials)
    if json:
        rows = [each._asdict() for each in found.trials]
        about = {"model": work.fixed["model"], "trials": rows, "best": best._asdict()}
        say_json({**about, "command": command, "results": dict(results)})
        return
    say(f"best of {len(found.trials)} trials, {early} of them ended early: loss {best.value:.5g}")
    tested = _tested(results)
    say("on the test part, looked at once: " + ", ".join(f"{k} {v:.5g}" for k, v in tested.items()))
    say(f"run: {work.folder / BEST}")
    say(f"the same again: {command}")


def _tested(results: Mapping[str, Any]) -> dict[str, float]:
    """What the test part said, in a few numbers; the training's loss where it said none."""
    numbers = {name: value for name, value in results.items() if _is_number(value)}
    tested = {name: value for name, value in numbers.items() if name.startswith("test_")}
    if "scores" in results:
        tested["test_mase"] = results["scores"]["model"]["mase"]
    if "ndcg" in results.get("test", {}):
        tested |= {f"test_{name}": results["test"][name] for name in ("recall", "ndcg")}
    found = {name: value for name, value in numbers.items() if name.endswith("_at_1")}
    losses = {name: value for name, value in numbers.items() if "loss" in name}
    return {**tested, **found} or losses


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)
