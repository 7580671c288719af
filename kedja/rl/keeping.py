"""What is kept of a run of learning: arrays and facts, in one file that is replaced in one step.

Not here: what they are (`learning.py`, `evolution/kept.py`). Next: `learning.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kedja.ground.errors import CheckpointError, StorageError
from kedja.io import weights

Array = np.ndarray[Any, np.dtype[Any]]

FILE = "learning.safetensors"
KEY = "kedja.learning"


def exists(folder: Path) -> bool:
    """Whether a folder holds a run, whole or damaged."""
    return (folder / FILE).exists()


def save(folder: Path, arrays: Mapping[str, Array], about: Mapping[str, Any]) -> None:
    """Replace the file; StorageError where the disk refuses."""
    make(folder)
    weights.save(folder / FILE, arrays, {KEY: json.dumps(about)})


def load(folder: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays and facts of a run; CheckpointError where they cannot be read."""
    where = str(folder / FILE)
    arrays, texts = weights.load(where)
    try:
        about: dict[str, Any] = json.loads(texts[KEY])
    except (KeyError, ValueError) as error:
        what = f"the state of the run cannot be read: {type(error).__name__}: {error}"
        raise CheckpointError(what, where=where, fix="train again") from error
    return arrays, about


def make(folder: Path) -> None:
    """Make a folder where there is none; StorageError where the disk refuses."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"cannot make the folder: {reason}", where=str(folder)) from error


def require_same(mine: Mapping[str, str], theirs: Mapping[str, str], where: str) -> None:
    """Raise CheckpointError, naming every option of a run that differs from the file's."""
    other = [name for name in mine if mine[name] != theirs.get(name)]
    if other:
        lines = [
            f"{name} is {mine[name]}, in the checkpoint {theirs.get(name, 'none')}"
            for name in other
        ]
        raise CheckpointError(
            "\n  ".join(["the checkpoint is of another run:", *lines]),
            where=where,
            fix="resume with the same options, or use another folder",
        )
