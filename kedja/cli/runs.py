"""The folder of a run: the checkpoint, and `run.json` with everything else about it.

Not here: the checkpoint itself (`kedja/train/checkpoint.py`). Next: `train.py`, `predict.py`.

`run.json` is written when the run starts and again when it ends:

| key         | what it is                                                  |
|-------------|-------------------------------------------------------------|
| data        | DATA and the target as they were given, the data set's name |
| recipe      | the network and the options                                 |
| preparation | how raw data become the network's inputs; the classes       |
| results     | what `--json` prints; null until the run has ended          |
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedja.cli.recipes import Recipe, network
from kedja.data import prepare
from kedja.data.prepare import Preparation
from kedja.ground.errors import CheckpointError, StorageError, UsageError
from kedja.io import atomic, weights
from kedja.nn import Sequential
from kedja.train import checkpoint
from kedja.version import __version__

FILE = "run.json"
FORMAT = 1
RUNS = "runs"


@dataclass(frozen=True)
class Record:
    """What `run.json` says."""

    data: str
    target: str | None
    name: str
    recipe: Recipe
    preparation: Preparation
    results: Mapping[str, Any] | None = None


def path(folder: Path) -> Path:
    """Where the record of a run stands."""
    return folder / FILE


def exists(folder: Path) -> bool:
    """Whether a folder holds a run, whole or not."""
    return path(folder).exists() or checkpoint.exists(folder)


def save(folder: Path, record: Record) -> None:
    """Write the record, whole or not at all; StorageError where the disk refuses."""
    content = {
        "format": FORMAT,
        "kedja": __version__,
        "data": {"source": record.data, "target": record.target, "name": record.name},
        "recipe": record.recipe.to_json(),
        "preparation": record.preparation.to_json(),
        "results": record.results,
    }
    text = json.dumps(content, indent=1, ensure_ascii=False)
    atomic.write_bytes(path(folder), text.encode())


def load(folder: Path) -> Record:
    """The record of a run.

    Raises UsageError where there is no run, CheckpointError where the record is damaged.
    """
    where = path(folder)
    try:
        text = where.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _no_run(folder) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"cannot read: {error}", where=str(where)) from error
    try:
        value = json.loads(text)
        if value["format"] != FORMAT:
            raise ValueError(f"format {value['format']}, expected {FORMAT}")
        source = value["data"]
        return Record(
            source["source"],
            source["target"],
            source["name"],
            Recipe.from_json(value["recipe"]),
            prepare.from_json(value["preparation"]),
            value["results"],
        )
    except (KeyError, TypeError, ValueError) as error:
        what = f"the record of the run is damaged: {type(error).__name__}: {error}"
        raise CheckpointError(what, where=str(where), fix="train again") from error


def _no_run(folder: Path) -> UsageError:
    """Where no run is, with the runs that there are."""
    known = sorted(str(each.parent) for each in Path(RUNS).glob(f"*/{FILE}"))
    fix = f"there are: {', '.join(known[:8])}" if known else "train one: kedja train digits"
    return UsageError(f"{folder} holds no run", fix=fix)


def load_network(folder: Path, record: Record) -> Sequential:
    """The trained network of a run.

    Raises CheckpointError where the weights are missing, damaged, or do not fit the record.
    """
    where = checkpoint.path(folder)
    arrays, _ = weights.load(where)
    start = "model."
    state = {name[len(start) :]: each for name, each in arrays.items() if name.startswith(start)}
    try:
        return network(record.recipe, record.preparation).load_state_dict(state)
    except UsageError as error:
        raise CheckpointError(error.what, where=str(where), fix="train again") from error


# ----------------------------------------------------------------------------- which folder


def fresh(out: Path | None, name: str, model: str) -> Path:
    """A folder for a new run, made now: `out`, or `runs/NAME-MODEL` with a number if need be.

    Raises UsageError where `out` holds a run already, StorageError where it cannot be made.
    """
    if out is not None:
        if exists(out):
            raise UsageError(
                f"{out} holds a run already",
                fix="--resume goes on with it; for another run name another folder",
            )
        _make(out, exist_ok=True)
        return out
    base = Path(RUNS) / f"{name}-{model}"
    for number in itertools.count(1):
        folder = base if number == 1 else base.with_name(f"{base.name}-{number}")
        try:
            _make(folder, exist_ok=False)
        except FileExistsError:
            continue
        return folder
    raise AssertionError


def _make(folder: Path, *, exist_ok: bool) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=exist_ok)
    except FileExistsError:
        if not exist_ok:
            raise
        raise UsageError(f"{folder} is a file", fix="name a folder") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"cannot make the folder: {reason}", where=str(folder)) from error


def newest(data: str) -> Path | None:
    """The run on this data that was written last; None if there is none."""
    found = []
    for file in Path(RUNS).glob(f"*/{FILE}"):
        with suppress(CheckpointError, UsageError, OSError):
            if load(file.parent).data == data:
                found.append((file.stat().st_mtime, str(file.parent)))
    return Path(max(found)[1]) if found else None
