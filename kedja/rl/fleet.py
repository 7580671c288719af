"""Thousands of carts in one compiled program, each with a policy of its own.

The physics are those of the Gymnasium environment (`physics.py`), step by step; the program ends
when all carts have failed. Not here: other environments (`evolution/episodes.py`).
Next: `environments/cart.py`.
Dimensions: N carts, O numbers observed, A actions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kedja.front import arithmetic, creation, movement, reductions
from kedja.front.batching import vmap
from kedja.front.control import scan, while_loop
from kedja.front.jit import jit
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import float64, int64
from kedja.rl import physics
from kedja.rl.physics import TENSORS, Task

Array = np.ndarray[Any, np.dtype[Any]]

# Steps between two looks at whether any cart is still up; also those of Gruau's fitness.
STRETCH = 100
# Gruau's fitness is of so many steps, and sets them at a tenth of the whole.
GRUAU_STEPS = 1000


class Ride(NamedTuple):
    """How N episodes went.

    `steps` were taken until the cart failed, or `limit` was reached: then it is still `up`.
    `unrest` is the sum over the last 100 of them of |x| + |ẋ| + |θ| + |θ̇| of the long pole, each
    after a step. `states` (N, 2 + 2·poles) are the last ones.
    """

    steps: Array
    up: Array
    unrest: Array
    states: Array


def starts(task: Task, count: int, rng: np.random.Generator | None = None) -> Array:
    """States (count, parts) from which episodes start, moved by the task's spread."""
    usual = np.tile(np.asarray(physics.start(task.poles)), (count, 1))
    if rng is None or not task.spread:
        return usual
    return usual + rng.uniform(-task.spread, task.spread, usual.shape)


def ride(task: Task, policies: Any, states: Array, limit: int) -> Ride:
    """N carts from N states, until all have failed or have been up for `limit` steps.

    `policies` is a policy whose arrays have N as their leading axis (`policies.filled`): any
    module that maps an observation and its memory to an action and the memory, with `start()`.

    >>> from kedja.rl.physics import ONE
    >>> from kedja.rl.policies import Policy, PolicyConfig, filled
    >>> policy = Policy(PolicyConfig(observations=4, actions=1, bias=False))
    >>> pushes = np.array([[0.0, 0, 0, 0], [1, 2, 20, 4]])
    >>> ride(Task(ONE), filled(policy, pushes), starts(Task(ONE), 2), limit=500).steps.tolist()
    [37, 500]
    """
    parts = tuple(Tensor(np.ascontiguousarray(each)) for each in states.T)
    memory = tuple(
        creation.zeros((len(states), *each.shape), dtype=float64) for each in policies.start()
    )
    steps, up, ring, last = _ride(task, policies, memory, parts, as_tensor(limit).astype(int64))
    state = np.stack([each.numpy() for each in last], axis=1)
    return Ride(steps.numpy(), up.numpy(), ring.numpy().sum(axis=0), state)


def _stretches(task: Task, policies: Any, memory: Any, states: Any, limit: Tensor) -> Any:
    """Stretches of a scan each; `ring` (STRETCH, N) holds the unrest of the last steps."""
    act = vmap(lambda policy, *given: policy(*given))
    count = states[0].shape[0]

    def step(carry: Any, row: Tensor) -> Any:
        state, memory, steps, up = carry
        goes = up & (steps < limit)
        action, after = act(policies, movement.stack(task.seen(state), axis=-1), memory)
        force = task.force(action if task.discrete else action[:, 0])
        moved = physics.step(state, force, task.poles, TENSORS)
        state = tuple(_chosen(goes, new, old) for new, old in zip(moved, state, strict=True))
        steps = steps + goes.astype(int64)
        up = up & ~physics.failed(state)
        return (state, after, steps, up), arithmetic.where(goes, physics.unrest(state), row)

    def stretch(carry: Any) -> Any:
        inner, ring = carry
        return scan(step, inner, ring)

    def goes_on(carry: Any) -> Tensor:
        (_, _, steps, up), _ = carry
        return reductions.any(up & (steps < limit))

    counts = creation.zeros((count,), dtype=int64)
    standing = ~physics.failed(states)
    ring = creation.zeros((STRETCH, count), dtype=float64)
    inner, ring = while_loop(goes_on, stretch, ((states, memory, counts, standing), ring))
    return inner[2], inner[3], ring, inner[0]


_ride = jit(_stretches, static="task")


def _chosen(goes: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """What has failed stays as it is, so that nothing becomes infinite."""
    return arithmetic.where(goes, new, old)


def gruau(ride: Ride) -> Array:
    """Gruau's fitness of episodes of 1,000 steps: 0.1·t/1000 + 0.9·f.

    f = 0.75 / (the unrest of the last 100 steps), and 0 where fewer were taken. It wants carts that
    stand still, since without velocities quick swinging is the easy way to stay up.

    Source: F. Gruau, D. Whitley, L. Pyeatt (1996), as `physics.py` says.
    """
    calm = np.where(ride.steps >= STRETCH, 0.75 / np.maximum(ride.unrest, 1e-9), 0.0)
    worth: Array = stood(ride.steps) + 0.9 * calm
    return worth


def stood(steps: Any) -> Any:
    """The part of Gruau's fitness that counts steps, and the least of who has taken so many.

    >>> stood(1000)
    0.1
    """
    return 0.1 * steps / GRUAU_STEPS
