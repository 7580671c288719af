"""The usual tests of a policy that balances two poles: 100,000 steps, and 625 other starts.

Not here: how it is found (`evolve.py`). Next: `../playing.py`.

Source: F. Gruau, D. Whitley, L. Pyeatt (1996), as used by Stanley and Miikkulainen (2002) and
Gomez, Schmidhuber and Miikkulainen (2008); see `../physics.py`.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from kedja.rl import fleet
from kedja.rl.physics import Task
from kedja.rl.policies import Policy, filled, vector

Array = np.ndarray[Any, np.dtype[Any]]

LONG = 100_000  # steps: 33 minutes
GRID = (0.05, 0.25, 0.5, 0.75, 0.95)
RANGES = (2.16, 1.35, np.radians(3.6), np.radians(8.6))  # of x, ẋ, θ, θ̇: to either side
SHORT = 1000  # steps from each of the 625
ENOUGH = 200  # of the 625


def other_starts(task: Task) -> Array:
    """The 625 states: five values each of x, ẋ, θ and θ̇ of the long pole, 0 for the other.

    >>> from kedja.rl.physics import TWO
    >>> other_starts(Task(TWO)).shape
    (625, 6)
    """
    shares = np.array(list(product(GRID, repeat=4)))  # (625, 4)
    states = np.zeros((len(shares), 2 + 2 * len(task.poles)))
    states[:, :4] = (2 * shares - 1) * np.array(RANGES)
    return states


def lasts(task: Task, policy: Policy, steps: int = LONG) -> bool:
    """Whether a policy balances for so many steps from the usual start."""
    return bool(_ride(task, policy, fleet.starts(task, 1), steps).up[0])


def generalises(task: Task, policy: Policy) -> int:
    """From how many of the 625 starts a policy balances for 1,000 steps."""
    return int(_ride(task, policy, other_starts(task), SHORT).up.sum())


def passes(task: Task, policy: Policy) -> bool:
    """The test that goes with Gruau's fitness: 100,000 steps, and 200 of the 625 other starts.

    A policy that falls is known at once, so the long ride comes first.
    """
    return lasts(task, policy) and generalises(task, policy) >= ENOUGH


def _ride(task: Task, policy: Policy, states: Array, steps: int) -> fleet.Ride:
    same = np.tile(vector(policy), (len(states), 1))
    return fleet.ride(task, filled(policy, same), states, steps)
