"""Episodes of one agent in one environment, with pictures if wanted.

Not here: many agents at once (`fleet.py`, `evolution/episodes.py`). Next: `rendering.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from kedja.front.jit import jit
from kedja.rl.policies import Policy
from kedja.rl.spaces import action_of, encoder

if TYPE_CHECKING:
    import gymnasium

# What acts: given an observation, and whether it is the first of an episode, it gives an action.
Agent = Callable[[Any, bool], Any]


@dataclass(frozen=True)
class Episode:
    """What happened: the sum of the rewards, the steps, whether it ended by itself, pictures."""

    reward: float
    steps: int
    terminated: bool
    pictures: list[Any] = field(default_factory=list, repr=False)


def agent_of(policy: Policy, environment: gymnasium.Env[Any, Any]) -> Agent:
    """A policy as an agent in an environment; it keeps its memory between steps."""
    encoded, acts = encoder(environment.observation_space), environment.action_space
    called = jit(policy.__call__)
    memory = policy.start()

    def act(observation: Any, first: bool) -> Any:
        nonlocal memory
        memory = policy.start() if first else memory
        action, memory = called(encoded(observation), memory)
        return action_of(acts, action.numpy())

    return act


def play(
    environment: gymnasium.Env[Any, Any],
    agent: Agent,
    episodes: int = 1,
    *,
    seed: int = 0,
    every: int = 0,
) -> list[Episode]:
    """Play episodes; episode i starts with `reset(seed=seed + i)`.

    With `every` above 0 a picture is kept of each so many steps; the environment must have been
    made with `render_mode="rgb_array"`.

    >>> from kedja.rl.environments import make
    >>> cart = make("kedja/OnePole-v0")
    >>> [episode] = play(cart, lambda observation, first: np.zeros(1))
    >>> episode.steps, episode.terminated
    (37, True)
    """
    return [_played(environment, agent, seed + number, every) for number in range(episodes)]


def _played(env: gymnasium.Env[Any, Any], agent: Agent, seed: int, every: int) -> Episode:
    observation, _ = env.reset(seed=seed)
    pictures = [env.render()] if every else []
    total, steps, terminated, truncated = 0.0, 0, False, False
    while not (terminated or truncated):
        action = agent(observation, steps == 0)
        observation, reward, terminated, truncated, _ = env.step(action)
        total, steps = total + float(reward), steps + 1
        if every and steps % every == 0:
            pictures.append(env.render())
    return Episode(total, steps, bool(terminated), pictures)


def mean_reward(episodes: list[Episode]) -> float:
    """The mean of the sums of rewards."""
    return float(np.mean([each.reward for each in episodes]))
