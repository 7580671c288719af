"""What candidates are worth: episodes of all of a generation's policies at once.

Our carts drive in one compiled program (`../fleet.py`); other environments are stepped one after
the other by Gymnasium, while one compiled program says what all policies do next. Not here: who
proposes policies (`searches.py`). Next: `evolve.py`.
Dimensions: N policies, P weights, E episodes of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kedja.front.batching import vmap
from kedja.front.jit import jit
from kedja.ground.errors import UsageError
from kedja.rl import fleet
from kedja.rl.copies import maker
from kedja.rl.policies import Policy, filled
from kedja.rl.spaces import action_of, encoder, task_of

if TYPE_CHECKING:
    import gymnasium

Array = np.ndarray[Any, np.dtype[Any]]

FITNESS = ("reward", "gruau")


class Episodes(Protocol):
    """Where candidates show what they are worth."""

    def fitness(self, vectors: Array, seed: Sequence[int]) -> Array:
        """The fitness (N,) of policies with these weights (N, P); all meet the same episodes."""


def episodes_in(
    environment: gymnasium.Env[Any, Any],
    given: Any,
    policy: Policy,
    *,
    episodes: int,
    limit: int | None,
    fitness: str,
) -> Episodes:
    """Episodes in an environment: in one program where it is ours, else in copies of it.

    These are made of what was `given`: a name, an environment, or a function that makes one.

    Raises UsageError for a fitness that there is not, or that the environment does not have.
    """
    require_fitness(environment, fitness)
    task = task_of(environment)
    if task is not None:
        return _Fleet(task, policy, episodes, limit_of(environment, limit), fitness)
    return _Loop(environment, given, policy, episodes, limit)


def require_fitness(environment: gymnasium.Env[Any, Any], fitness: str) -> None:
    """Raise UsageError for a fitness that there is not, or that the environment does not have."""
    if fitness not in FITNESS:
        raise UsageError(f"there is no fitness {fitness!r}", fix=" or ".join(FITNESS))
    if fitness == "gruau" and task_of(environment) is None:
        raise UsageError("Gruau's fitness is that of carts with poles", fix="fitness 'reward'")


def limit_of(environment: gymnasium.Env[Any, Any], limit: int | None) -> int:
    """The steps of an episode at most: those given, or those of the environment's registration."""
    own = environment.spec.max_episode_steps if environment.spec else None
    return limit or own or fleet.GRUAU_STEPS


class _Fleet:
    """Carts, all in one program."""

    def __init__(self, task: Any, policy: Policy, episodes: int, limit: int, fitness: str) -> None:
        self._task, self._policy, self._limit = task, policy, limit
        self._episodes = episodes
        self._gruau = fitness == "gruau"

    def fitness(self, vectors: Array, seed: Sequence[int]) -> Array:
        """Steps, or Gruau's fitness, in the mean over the episodes."""
        rng = np.random.default_rng(seed)
        states = fleet.starts(self._task, self._episodes, rng)  # (E, parts)
        all_states = np.tile(states, (len(vectors), 1))  # (N·E, parts)
        all_vectors = np.repeat(vectors, self._episodes, axis=0)  # (N·E, P)
        ride = fleet.ride(self._task, filled(self._policy, all_vectors), all_states, self._limit)
        worth = fleet.gruau(ride) if self._gruau else ride.steps.astype(np.float64)
        mean: Array = worth.reshape(len(vectors), -1).mean(axis=1)
        return mean


class _Loop:
    """Any environment, one copy for each policy; all policies are asked in one call."""

    def __init__(
        self,
        environment: gymnasium.Env[Any, Any],
        given: Any,
        policy: Policy,
        episodes: int,
        limit: int | None,
    ) -> None:
        self._policy, self._episodes, self._limit = policy, episodes, limit
        self._first, self._made_again = environment, maker(given)
        self._copies: list[gymnasium.Env[Any, Any]] = []
        self._act = jit(vmap(lambda policy, *given: policy(*given)))

    def fitness(self, vectors: Array, seed: Sequence[int]) -> Array:
        """The sum of rewards, in the mean over the episodes."""
        seeds = np.random.SeedSequence(seed).generate_state(self._episodes)
        policies = filled(self._policy, vectors)
        found = [self._rewards(policies, len(vectors), int(each)) for each in seeds]
        mean: Array = np.mean(found, axis=0)
        return mean

    def _rewards(self, policies: Any, count: int, seed: int) -> Array:
        copies = self._made(count)
        encoded, acts = encoder(self._first.observation_space), self._first.action_space
        seen = np.stack([encoded(each.reset(seed=seed)[0]) for each in copies])
        memory = tuple(np.zeros((count, *each.shape)) for each in self._policy.start())
        total, running, steps = np.zeros(count), list(range(count)), 0
        while running and steps != self._limit:
            outputs, memory = self._act(policies, seen, memory)
            outputs, steps = outputs.numpy(), steps + 1
            for place in tuple(running):
                step = copies[place].step(action_of(acts, outputs[place]))
                observation, reward, terminated, truncated, _ = step
                seen[place] = encoded(observation)
                total[place] += float(reward)
                if terminated or truncated:
                    running.remove(place)
        return total

    def _made(self, count: int) -> list[gymnasium.Env[Any, Any]]:
        """As many copies of the environment as there are policies."""
        while len(self._copies) < count:
            self._copies.append(self._made_again())
        return self._copies[:count]
