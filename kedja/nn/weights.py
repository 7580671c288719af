"""Weights by name going into a module: which array goes where, and what does not fit.

Names are PyTorch's. A tied array has several names, of which one is enough. Not here: files
(`kedja/io/weights.py`). Next: `module.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kedja.front import tree
from kedja.front.held import copied
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import is_float
from kedja.ground.errors import UsageError

Given = Mapping[str, np.ndarray]


def loaded(module: Any, state: Mapping[str, Any]) -> Any:
    """A copy of a module with the arrays of a `state_dict`; see `Module.load_state_dict`."""
    leaves, structure = tree.flatten(module)
    mine = [as_tensor(leaf) for leaf in leaves]
    given = {name: np.asarray(value) for name, value in state.items()}
    names = _names(module)
    _require_fit(type(module).__name__, names, mine, given)
    chosen = [next(name for name in group if name in given) for group in names]
    arrays = [given[name] for name in chosen]
    return tree.unflatten(structure, copied(arrays, [each.dtype for each in mine]))


def _names(module: Any) -> list[list[str]]:
    """For each leaf its names: one, or several where it is tied."""
    names: dict[int, list[str]] = {}
    for name, leaf in tree.places(module):
        names.setdefault(id(leaf), []).append(name)
    return list(names.values())


def _require_fit(
    kind: str, names: Sequence[Sequence[str]], mine: Sequence[Tensor], given: Given
) -> None:
    known = {name for group in names for name in group}
    lines = [f"missing: {group[0]}" for group in names if not any(n in given for n in group)]
    lines += [f"unexpected: {name}" for name in given if name not in known]
    for group, each in zip(names, mine, strict=True):
        there = [name for name in group if name in given]
        lines += [line for name in there for line in _misfit(name, each, given[name])]
        lines += _apart(there, given)
    if lines:
        raise UsageError(
            "\n    ".join([f"these weights do not fit this {kind}:", *lines]),
            fix="make the module as it was made when the weights were saved",
        )


def _misfit(name: str, mine: Tensor, given: np.ndarray) -> list[str]:
    if mine.shape != given.shape:
        return [f"wrong shape: {name} is {list(mine.shape)} here, {list(given.shape)} there"]
    fits = is_float(given.dtype) if is_float(mine.dtype) else given.dtype.kind in "iub"
    if not fits:
        return [f"wrong dtype: {name} is {mine.dtype.name} here, {given.dtype.name} there"]
    return []


def _apart(names: Sequence[str], given: Given) -> list[str]:
    """Names of one tied array under which different values stand."""
    return [
        f"tied: {names[0]} and {name} are one array here, two different ones there"
        for name in names[1:]
        if not np.array_equal(given[names[0]], given[name], equal_nan=True)
    ]
