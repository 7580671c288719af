"""What is kept of a run of self-play, so that it goes on with the same bits.

The file of `../keeping.py` holds the network, the optimiser's state and the examples of the last
iterations; its metadata the options, the curve and the evaluations. What is drawn at random
depends on the seed and the number of the iteration alone. Not here: the loop (`self_play.py`).
Next: `telling.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kedja.front import tree
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.errors import CheckpointError
from kedja.rl import keeping
from kedja.rl.games.matches import Match, Score
from kedja.rl.games.network import BoardNet
from kedja.rl.games.playing import Examples
from kedja.rl.games.rules import Array, Position


class Iteration(NamedTuple):
    """An iteration: what was played and what was learned from it.

    `length` is the mean number of stones at the end, `first` the share of points of the side that
    began, `policy_loss` and `value_loss` the means over the steps.
    """

    number: int
    examples: int
    length: float
    first: float
    policy_loss: float
    value_loss: float


class Evaluation(NamedTuple):
    """How the network alone did in a match after so many iterations."""

    iteration: int
    match: Match


class State(NamedTuple):
    """A run after some iterations: all that the next one depends on, and what is told of it."""

    network: BoardNet
    optimizer: Any
    pieces: tuple[Examples, ...]
    curve: tuple[Iteration, ...]
    evaluations: tuple[Evaluation, ...]


class Kept:
    """The file of a run in a folder, or nothing where there is no folder."""

    def __init__(self, folder: str | os.PathLike[str] | None, options: Mapping[str, Any]) -> None:
        self._folder = None if folder is None else Path(folder)
        self._options = {name: str(each) for name, each in options.items()}

    @property
    def folder(self) -> str | None:
        """The folder, or None."""
        return None if self._folder is None else str(self._folder)

    def save(self, state: State, seconds: float) -> None:
        """Replace the file in one step; StorageError where the disk refuses."""
        if self._folder is None:
            return
        about = {
            "options": self._options,
            "seconds": seconds,
            "curve": [list(each) for each in state.curve],
            "evaluations": [_told(each) for each in state.evaluations],
        }
        keeping.save(self._folder, _arrays(state), about)

    def load(self, start: State) -> tuple[State, float]:
        """The run that the folder holds, and its seconds; `start` where it holds none.

        Raises CheckpointError for a damaged file and for a run with other options.
        """
        if self._folder is None or not keeping.exists(self._folder):
            return start, 0.0
        where = str(self._folder / keeping.FILE)
        arrays, about = keeping.load(self._folder)
        try:
            keeping.require_same(self._options, dict(about["options"]), where)
            return _state(start, arrays, about), float(about["seconds"])
        except (KeyError, TypeError, ValueError) as error:
            what = f"the state of the run cannot be read: {type(error).__name__}: {error}"
            raise CheckpointError(what, where=where, fix="train again") from error


# ------------------------------------------------------------------------------ as arrays


def _arrays(state: State) -> dict[str, Array]:
    leaves, _ = tree.flatten(state.optimizer)
    arrays = {f"network.{name}": each for name, each in state.network.state_dict().items()}
    arrays |= {f"optimizer.{n}": as_tensor(leaf).numpy() for n, leaf in enumerate(leaves)}
    for number, piece in enumerate(state.pieces):
        named = {"mine": piece.boards.mine, "theirs": piece.boards.theirs}
        named |= {"policy": piece.policy, "outcome": piece.outcome, "value": piece.value}
        arrays |= {f"examples.{number}.{name}": each for name, each in named.items()}
    return arrays


def _state(start: State, arrays: Mapping[str, Array], about: Mapping[str, Any]) -> State:
    head = "network."
    named = {name[len(head) :]: each for name, each in arrays.items() if name.startswith(head)}
    leaves, structure = tree.flatten(start.optimizer)
    found = [Tensor(arrays[f"optimizer.{number}"]) for number in range(len(leaves))]
    count = sum(name.startswith("examples.") and name.endswith(".mine") for name in arrays)
    return State(
        start.network.load_state_dict(named),
        tree.unflatten(structure, found),
        tuple(_piece(arrays, f"examples.{number}") for number in range(count)),
        tuple(Iteration(*each) for each in about["curve"]),
        tuple(_evaluation(each) for each in about["evaluations"]),
    )


def _piece(arrays: Mapping[str, Array], name: str) -> Examples:
    mine, theirs, *others = (
        np.asarray(arrays[f"{name}.{each}"])
        for each in ("mine", "theirs", "policy", "outcome", "value")
    )
    return Examples(Position(mine, theirs), *others)


def _told(given: Evaluation) -> list[Any]:
    found = given.match
    scores = [[each.wins, each.draws, each.losses] for each in (found.first, found.second)]
    return [given.iteration, found.player, found.opponent, *scores]


def _evaluation(given: list[Any]) -> Evaluation:
    iteration, player, opponent, first, second = given
    return Evaluation(iteration, Match(player, opponent, Score(*first), Score(*second)))
