"""A checkpoint: everything that a run needs to go on, in one file that is replaced in one step.

Not here: when one is written (`run.py`), how a file is replaced safely (`kedja/io/atomic.py`).
Next: `run.py`.

The folder holds `weights.safetensors`. Its arrays:

| names        | what they are                                                             |
|--------------|---------------------------------------------------------------------------|
| model.*      | the parameters, under the names that PyTorch would give them              |
| optimizer.*  | the optimiser's state                                                     |
| best.*       | the best epoch's parameters, while early stopping keeps them              |
| last.*       | the last parameters, once a finished run has put the best ones in model.* |
| losses, step | the loss of each step, and how many there were                            |

Its metadata hold the rest as JSON: the finished epochs, the options, the data's fingerprint.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kedja.front import tree
from kedja.front.tensor import as_tensor, from_value
from kedja.ground.errors import CheckpointError, StorageError
from kedja.io import weights
from kedja.train.history import Epoch
from kedja.version import __version__

Array = np.ndarray[Any, np.dtype[Any]]

FILE = "weights.safetensors"
KEY = "kedja.run"
FORMAT = 1


@dataclass(frozen=True)
class State:
    """What a checkpoint says beside its arrays.

    `options` are all that shape the result, as texts; `program` identifies the compiled
    computation itself. `seconds` are those of training so far, `stepping` those of the steps
    alone, `epoch` those of the unfinished epoch. `stopped` is why the run ended, if it has.
    """

    options: dict[str, str]
    program: str
    epochs: list[Epoch] = field(default_factory=list)
    stopped: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    version: str = __version__
    format: int = FORMAT


def path(folder: str | os.PathLike[str]) -> Path:
    """The file in which a folder's checkpoint stands."""
    return Path(folder) / FILE


def exists(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a checkpoint, whole or damaged."""
    return path(folder).exists()


def save(folder: str | os.PathLike[str], arrays: Mapping[str, Any], state: State) -> None:
    """Replace the folder's checkpoint. `arrays` maps names to pytrees of arrays.

    Raises StorageError where the disk refuses; the old checkpoint is then still there.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(
            f"cannot make the folder: {reason}", where=os.fspath(folder), fix="choose another one"
        ) from error
    flat = {name: as_tensor(leaf).numpy() for name, leaf in tree.paths(dict(arrays))}
    weights.save(path(folder), flat, {KEY: json.dumps(asdict(state))})


def load(folder: str | os.PathLike[str]) -> tuple[dict[str, Array], State]:
    """The arrays by name and the state. Raises CheckpointError where they cannot be read."""
    where = os.fspath(path(folder))
    arrays, texts = weights.load(where)
    if KEY not in texts:
        what = "the file holds weights alone, not the state of a training run"
        raise CheckpointError(what, where=where, fix="give the folder of a run")
    try:
        value = json.loads(texts[KEY])
        if value["format"] != FORMAT:
            raise ValueError(f"format {value['format']}, expected {FORMAT}")
        value["epochs"] = [Epoch.from_json(each) for each in value["epochs"]]
        return arrays, State(**value)
    except (KeyError, TypeError, ValueError) as error:
        what = f"the state of the run cannot be read: {type(error).__name__}: {error}"
        raise CheckpointError(what, where=where, fix="use another copy, or train again") from error


def restored(like: Any, arrays: Mapping[str, Array], prefix: str, where: str) -> Any:
    """A tree as `like`, with the arrays whose names start with `prefix`.

    Raises CheckpointError, naming the first array that is missing or of another type.
    """
    structure = tree.flatten(like)[1]
    leaves = []
    for name, leaf in tree.paths({prefix: like}):
        mine = as_tensor(leaf)
        if name not in arrays:
            raise _other_model(f"it has no array {name!r}", where)
        theirs = arrays[name]
        if (theirs.shape, theirs.dtype) != (mine.shape, mine.dtype):
            found = f"{theirs.dtype.name}{list(theirs.shape)}"
            raise _other_model(f"{name} is {found} there, {mine.node.type} here", where)
        leaves.append(from_value(theirs))
    return tree.unflatten(structure, leaves)


def _other_model(what: str, where: str) -> CheckpointError:
    fix = "resume with the model and the optimizer of that run, or use another folder"
    return CheckpointError(f"the checkpoint is of another model: {what}", where=where, fix=fix)


def require_same(mine: State, theirs: State, where: str) -> None:
    """Raise CheckpointError, naming every option that differs from the checkpoint's."""
    names = dict.fromkeys([*mine.options, *theirs.options])
    lines = [
        f"{name} is {mine.options.get(name, 'none')}, in the checkpoint "
        f"{theirs.options.get(name, 'none')}"
        for name in names
        if mine.options.get(name) != theirs.options.get(name)
    ]
    if not lines and mine.version == theirs.version and mine.program != theirs.program:
        lines = ["the model, the loss, the optimizer or prepare computes something else"]
    if lines:
        raise CheckpointError(
            "\n  ".join(["the checkpoint is of another run:", *lines]),
            where=where,
            fix="resume with the same options and data, or use another folder",
        )
