"""Which models there are: the name that `config.json` gives them, their configuration, their class.

A model's file announces itself here. Not here: reading and writing folders (`folder.py`).
Next: `folder.py`.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from kedja.ground.errors import CheckpointError, UnsupportedError
from kedja.ground.suggest import did_you_mean
from kedja.nn.module import Module

Array = np.ndarray[Any, np.dtype[Any]]
Json = Mapping[str, Any]


class Files(NamedTuple):
    """How a model's folder is written where it is not kedja's own way.

    `read` makes the configuration of `config.json`, `write` the reverse; `arrays_in` and
    `arrays_out` rename the arrays of `model.safetensors`.
    """

    read: Callable[[Json], Any]
    write: Callable[[Any], dict[str, Any]]
    arrays_in: Callable[[Mapping[str, Array]], dict[str, Array]]
    arrays_out: Callable[[Mapping[str, Array]], dict[str, Array]]


class Entry(NamedTuple):
    """One kind of model."""

    config: type
    model: Callable[[Any], Module]
    files: Files


_ENTRIES: dict[str, Entry] = {}

# Models that stand elsewhere, in files which are loaded when one of them is asked for.
_ELSEWHERE = {
    "policy": "kedja.rl.policies",
    "actor-critic": "kedja.rl.gradients.actor_critic",
    "board-net": "kedja.rl.games.network",
    "q-network": "kedja.rl.q_learning.network",
}


def add(
    model_type: str, config: type, model: Callable[[Any], Module], files: Files | None = None
) -> None:
    """Announce a model: `model(config(…))` makes it, and its `config` is that configuration.

    The configuration is a frozen dataclass of JSON values; its file holds these and `model_type`.
    """
    _ENTRIES[model_type] = Entry(config, model, files or _plain(config))


def find(model_type: str) -> Entry:
    """The kind of that name; UnsupportedError where there is none."""
    if model_type not in _ENTRIES and model_type in _ELSEWHERE:
        importlib.import_module(_ELSEWHERE[model_type])
    if model_type not in _ENTRIES:
        fix = did_you_mean(model_type, _ENTRIES)
        raise UnsupportedError(f"model_type {model_type!r} is not known", fix=fix)
    return _ENTRIES[model_type]


def _plain(config: type) -> Files:
    """A configuration as it is, arrays under their own names."""

    def read(given: Json) -> Any:
        known = {field.name for field in dataclasses.fields(config)}
        unknown = sorted(set(given) - known - {"model_type", "dtype"})
        if unknown:
            what = f"{config.__name__} has no {', '.join(unknown)}"
            raise CheckpointError(what, fix="it may come from a newer version of kedja")
        return config(**{name: value for name, value in given.items() if name in known})

    return Files(read, dataclasses.asdict, dict, dict)
