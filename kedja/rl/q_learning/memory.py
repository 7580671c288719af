"""The replay memory of DQN: the last steps, in arrays of a fixed size, drawn from uniformly.

Source: L. Lin: Self-improving reactive agents based on reinforcement learning, planning and
teaching (1992). Not here: what is learned from them (`updates.py`). Next: `updates.py`.
Dimensions: N steps added, K batches, B steps of a batch, O numbers observed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kedja.ground.errors import CheckpointError, ShapeError, UsageError

Array = np.ndarray[Any, np.dtype[Any]]

USUAL = 100_000  # steps
MEBIBYTES = 128  # that the usual size takes at most


class Steps(NamedTuple):
    """Steps of episodes, with the same leading axes each.

    `terminated` says that nothing comes after: an episode that is cut off by a limit of steps goes
    on for the learner, from `after`.
    """

    seen: Any  # (…, O) float32
    action: Any  # (…,) int64
    reward: Any  # (…,) float32
    after: Any  # (…, O) float32
    terminated: Any  # (…,) bool


def usual_size(observations: int) -> int:
    """As many steps as fit in 128 MiB, and at most 100,000.

    >>> usual_size(4), usual_size(5000)
    (100000, 3354)
    """
    one = int(sum(each.nbytes for each in _arrays(1, observations)))
    return min(USUAL, MEBIBYTES * 2**20 // one)


def _arrays(size: int, observations: int) -> Steps:
    return Steps(
        np.zeros((size, observations), np.float32),
        np.zeros(size, np.int64),
        np.zeros(size, np.float32),
        np.zeros((size, observations), np.float32),
        np.zeros(size, np.bool_),
    )


class Memory:
    """The last `size` steps; older ones are overwritten.

    The arrays have room for `spare` steps more, so that a `state()` stays whole while as many are
    added after it was taken.

    >>> memory = Memory(3, observations=1)
    >>> for number in range(5):
    ...     memory.add(Steps([[number]], [0], [number], [[number + 1]], [False]))
    >>> len(memory), sorted(set(memory.draw(np.random.default_rng(0), (50,)).reward.tolist()))
    (3, [2.0, 3.0, 4.0])
    """

    def __init__(self, size: int, observations: int, spare: int = 0) -> None:
        if size < 1:
            raise UsageError(f"a memory of {size} steps", fix="at least 1")
        self._arrays = _arrays(size + spare, observations)
        self._size, self._rows = size, size + spare
        self._added = 0

    def __len__(self) -> int:
        """Steps that are remembered."""
        return min(self._added, self._size)

    @property
    def rewards(self) -> Array:
        """The rewards of all steps that are remembered, in any order."""
        places = (self._added - 1 - np.arange(len(self))) % self._rows
        found: Array = self._arrays.reward[places]
        return found

    def add(self, steps: Steps) -> None:
        """Remember N steps, of which the last are kept where they are more than fit."""
        count = len(steps.action)
        places = (self._added + np.arange(count))[-self._rows :] % self._rows
        for mine, new in zip(self._arrays, steps, strict=True):
            given = np.asarray(new)
            if given.shape != (count, *mine.shape[1:]):
                raise ShapeError(f"{given.shape} for {count} steps of {mine.shape[1:]}")
            mine[places] = given[-self._rows :]
        self._added += count

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Steps:
        """Steps drawn with equal chances, and put back: arrays (*shape, …).

        Raises UsageError where nothing is remembered.
        """
        if not self._added:
            raise UsageError("nothing is remembered yet", fix="add steps first")
        ages = rng.integers(1, len(self) + 1, size=shape)
        places = (self._added - ages) % self._rows
        return Steps(*(each[places] for each in self._arrays))

    # ------------------------------------------------------------------------------------ kept

    def state(self) -> dict[str, Array]:
        """What is remembered, by name: the arrays themselves, of the same shapes at any time."""
        return {**self._arrays._asdict(), "added": np.asarray(self._added, np.int64)}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Remember what was kept. Raises CheckpointError for what a memory of other size kept."""
        for name, mine in self._arrays._asdict().items():
            theirs = state[name]
            if (theirs.shape, theirs.dtype) != (mine.shape, mine.dtype):
                what = f"{name} is {theirs.dtype.name}{list(theirs.shape)}, of another memory"
                raise CheckpointError(what, fix="resume with the same options")
            mine[:] = theirs
        self._added = int(state["added"])
