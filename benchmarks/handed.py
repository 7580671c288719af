"""How the two programs of a recipe are handed the same data: a file, a process for each, figures.

A recipe's folder has `recipe.py` and, for each side, a module `SIDE_side.py` that ends in
`side(run, Handed)`. The file is one `.npz`; the figures come back as a JSON object on standard
output. Needs NumPy alone, since PyTorch's interpreter may have nothing else. Not here: the recipes
(`mnist/`, `nanogpt/`). Next: `mnist/recipe.py`.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Figures = Mapping[str, Any]
WEIGHTS = "weights."


@dataclass(frozen=True)
class Handed:
    """A recipe with the first weights, under PyTorch's names; a subclass adds arrays.

    `KIND` is the recipe's class, a frozen dataclass of what JSON can hold, lists as tuples.
    """

    KIND: ClassVar[type[Any]]

    recipe: Any
    weights: Mapping[str, Array]

    def write(self, path: str | os.PathLike[str]) -> None:
        """Into one `.npz`."""
        arrays = {name: getattr(self, name) for name in self._arrays()}
        arrays |= {WEIGHTS + name: each for name, each in self.weights.items()}
        np.savez(path, recipe=np.array(json.dumps(asdict(self.recipe))), **arrays)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """What `write` wrote."""
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        given = json.loads(str(arrays["recipe"]))
        lists = {name: tuple(each) for name, each in given.items() if isinstance(each, list)}
        weights = {
            name.removeprefix(WEIGHTS): each
            for name, each in arrays.items()
            if name.startswith(WEIGHTS)
        }
        own = {name: arrays[name] for name in cls._arrays()}
        return cls(recipe=cls.KIND(**{**given, **lists}), weights=weights, **own)

    @classmethod
    def _arrays(cls) -> list[str]:
        return [each.name for each in fields(cls) if each.name not in ("recipe", "weights")]


Given = TypeVar("Given", bound=Handed)


def side(run: Callable[[Given], Figures], kind: type[Given]) -> None:
    """The program of a side: reads what it is handed, prints its figures as one JSON object."""
    figures = run(kind.read(sys.argv[1]))
    sys.stdout.write(json.dumps(dict(figures)) + "\n")


def measured(
    package: str, handed: Handed, sides: Sequence[str], python: str | None = None
) -> dict[str, Figures]:
    """The figures of each side, one after the other, each from a process of its own.

    `package` is the recipe's; `python` is the interpreter of every side but kedja's.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "handed.npz")
        handed.write(file)
        return {each: _of(f"{package}.{each}_side", file, each, python) for each in sides}


def _of(module: str, file: str, name: str, python: str | None) -> Figures:
    program = sys.executable if name == "kedja" or python is None else python
    done = subprocess.run([program, "-m", module, file], stdout=subprocess.PIPE, check=True)
    figures: Figures = json.loads(done.stdout)
    return figures


def cosine(step: int, steps: int, peak: float, final: float, warmup: int) -> float:
    """The rate of a step (from 0): rising to `peak`, then half a cosine to `final`."""
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    share = min(1.0, (step - warmup) / (steps - warmup))
    return final + (peak - final) * (1 + math.cos(math.pi * share)) / 2
