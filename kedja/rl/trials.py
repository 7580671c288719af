"""Episodes in which a policy only acts: what it is worth, apart from what it was trained on.

Not here: training (`rounds.py`), pictures (`playing.py`). Next: `rounds.py`.
Dimensions: N copies, O numbers observed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.front.batching import vmap
from kedja.front.jit import jit
from kedja.rl.copies import Copies

Array = np.ndarray[Any, np.dtype[Any]]

AT_ONCE = 20  # copies of the environment


class Trials:
    """Copies of an environment in which policies show what they are worth, by their best actions.

    A policy is a module with `start()`, called with an observation and its memory.

    >>> from kedja.rl.environments import make
    >>> from kedja.rl.policies import Policy
    >>> from kedja.rl.spaces import config_for
    >>> policy = Policy(config_for(make("CartPole-v1")))
    >>> rewards = Trials("CartPole-v1").rewards(policy, 30, seed=[0])
    >>> rewards.shape, bool(rewards.mean() < 12)
    ((30,), True)
    """

    def __init__(self, environment: Any, limit: int | None = None) -> None:
        self._environment, self._limit = environment, limit
        self._copies: Copies | None = None
        acting = vmap(lambda policy, *given: policy(*given), in_axes=(None, 0, 0))
        self._act = jit(acting)

    def rewards(self, policy: Any, episodes: int, seed: Sequence[int]) -> Array:
        """The sums of rewards (episodes,); the same seed meets the same episodes."""
        count = min(episodes, AT_ONCE)
        if self._copies is None or self._copies.count < count:
            self._copies = Copies(self._environment, count, limit=self._limit)
        found = []
        for start in range(0, episodes, self._copies.count):
            self._copies.begin((*seed, start))
            found.append(self._played(self._copies, policy, episodes - start))
        return np.concatenate(found)

    def _played(self, copies: Copies, policy: Any, wanted: int) -> Array:
        """One episode in each copy, or in as many as are wanted."""
        memory = tuple(
            np.tile(each.numpy(), (copies.count, *[1] * each.ndim)) for each in policy.start()
        )
        total, running = np.zeros(copies.count), list(range(copies.count))[:wanted]
        rewards = total[:wanted]
        while running:
            actions, memory = self._act(policy, copies.seen, memory)
            stepped = copies.step(actions.numpy(), running)
            total += stepped.rewards
            over = stepped.terminated | stepped.truncated
            running = [place for place in running if not over[place]]
        return rewards
