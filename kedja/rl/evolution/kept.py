"""What is kept of a run of evolution: what the search was told, from which all else follows.

A search proposes the same candidates whenever it is told the same, so that a run is resumed by
telling it again what it was told, without any episode being played. Not here: the loop
(`evolve.py`). Next: `telling.py`.

`evolution.safetensors` holds `fitness` of all candidates one after the other, `sizes` of the
generations, the best `vector`; its metadata hold options, seconds and whether the run is solved.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kedja.ground.errors import CheckpointError
from kedja.io import weights
from kedja.rl import keeping

Array = np.ndarray[Any, np.dtype[Any]]

FILE = "evolution.safetensors"
KEY = "kedja.evolution"


class Before(NamedTuple):
    """A run so far: the fitness of each generation, the best weights, the time, the outcome."""

    fitness: list[Array]
    vector: Array
    seconds: float
    solved: bool


class Kept:
    """The file of a run in a folder, or nothing where there is no folder."""

    def __init__(self, folder: str | os.PathLike[str] | None, options: Mapping[str, str]) -> None:
        self._folder = None if folder is None else Path(folder)
        self._options = dict(options)
        self._told: list[Array] = []

    @property
    def folder(self) -> str | None:
        """The folder, or None."""
        return None if self._folder is None else str(self._folder)

    def add(self, fitness: Array) -> None:
        """A generation was told."""
        self._told.append(np.asarray(fitness, dtype=np.float64))

    def save(self, vector: Array, seconds: float, solved: bool) -> None:
        """Replace the file in one step; StorageError where the disk refuses."""
        if self._folder is None:
            return
        keeping.make(self._folder)
        arrays = {
            "fitness": np.concatenate([*self._told, np.zeros(0)]),
            "sizes": np.array([len(each) for each in self._told], dtype=np.int64),
            "vector": vector,
        }
        about = {"options": self._options, "seconds": seconds, "solved": solved}
        weights.save(self._folder / FILE, arrays, {KEY: json.dumps(about)})

    def load(self) -> Before:
        """The run that the folder holds, or a new one where it holds none.

        Raises CheckpointError for a damaged file and for a run with other options.
        """
        if self._folder is None or not (self._folder / FILE).exists():
            return Before([], np.zeros(0), 0.0, False)
        where = str(self._folder / FILE)
        arrays, texts = weights.load(where)
        try:
            about = json.loads(texts[KEY])
            theirs: dict[str, str] = about["options"]
            self._told = np.split(arrays["fitness"], np.cumsum(arrays["sizes"])[:-1])
            self._told = self._told if len(arrays["sizes"]) else []
            found = Before(
                list(self._told), arrays["vector"], float(about["seconds"]), bool(about["solved"])
            )
        except (KeyError, TypeError, ValueError) as error:
            what = f"the state of the run cannot be read: {type(error).__name__}: {error}"
            raise CheckpointError(what, where=where, fix="train again") from error
        keeping.require_same(self._options, theirs, where)
        return found
