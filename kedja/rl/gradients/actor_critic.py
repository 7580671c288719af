"""A network that acts and a network that knows what to expect, for vectors that are observed.

Not here: how they learn (`losses.py`, `learner.py`). Next: `actions.py`.
Dimensions: O numbers observed, H hidden units, A actions to choose from or numbers of an action.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kedja.front import functions as kj
from kedja.front import random
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import float32
from kedja.models import registry
from kedja.nn import init
from kedja.nn.linear import Linear
from kedja.nn.module import Module
from kedja.rl.gradients.actions import Actions, Categorical, Choices, Gaussian
from kedja.rl.gradients.running import Running, nothing_seen
from kedja.rl.policies import apart
from kedja.rl.spaces import action_config, config_for

if TYPE_CHECKING:
    import gymnasium


@dataclass(frozen=True)
class ActorCriticConfig:
    """What is seen and done, and the hidden layers of both networks.

    A `discrete` action is one of A, or of several `choices`, whose outputs stand one after the
    other. Other actions lie within `low` and `high`, or are any numbers where these are empty.
    `spread` is the standard deviation that they start with, 1 being half of what lies between the
    bounds. Where observations are `normalised` they are taken in standard deviations from the mean
    of all that was seen.
    """

    model_type: ClassVar[str] = "actor-critic"

    observations: int
    actions: int
    discrete: bool = False
    choices: tuple[int, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    hidden: tuple[int, ...] = (64, 64)
    spread: float = 1.0
    normalised: bool = True

    def __post_init__(self) -> None:
        for name in ("choices", "low", "high", "hidden"):
            object.__setattr__(self, name, tuple(getattr(self, name)))


class ActorCritic(Module):
    """π(a|s) and V(s): two networks of tanh layers, of the same input.

    As a policy it is called with an observation and its memory, which is empty, and gives the
    best action. Weights start orthogonal, those of the last layer of π small, so that all actions
    are nearly alike at first.

    >>> policy = ActorCritic(ActorCriticConfig(observations=4, actions=2, discrete=True))
    >>> action, memory = policy([0.1, 0.0, 0.0, 0.2], policy.start())
    >>> action.item() in (0, 1), memory, policy.num_parameters
    (True, (), 9155)
    """

    actor: list[Linear]
    critic: list[Linear]
    log_std: Tensor | None  # (A,)
    seen: Running
    config: ActorCriticConfig

    def __init__(self, config: ActorCriticConfig, *, key: Tensor | None = None) -> None:
        ours, theirs = random.split(random.next_key() if key is None else key)
        self.actor = _layers((config.observations, *config.hidden, config.actions), 0.01, ours)
        self.critic = _layers((config.observations, *config.hidden, 1), 1.0, theirs)
        start = math.log(config.spread)
        self.log_std = None if config.discrete else kj.full(config.actions, start, float32)
        self.seen = nothing_seen(config.observations)
        self.config = config

    def start(self) -> tuple[()]:
        """The memory before the first observation: nothing."""
        return ()

    def __call__(self, observation: Any, memory: tuple[()]) -> tuple[Tensor, tuple[()]]:
        """observation (…, O) → the best action: whole numbers (…), of several choices (…, K), or
        (…, A) within the bounds.
        """
        seen = as_tensor(observation).astype(float32)
        return self.done(self.actions(seen).best()), memory

    def actions(self, seen: Tensor) -> Actions:
        """π(·|s) for observations (…, O)."""
        outputs = _through(self.actor, self._input(seen))
        if self.log_std is not None:
            return Gaussian(outputs, self.log_std)
        if self.config.choices:
            return Choices(apart(outputs, self.config.choices))
        return Categorical(outputs)

    def value(self, seen: Tensor) -> Tensor:
        """V(s) (…) of observations (…, O)."""
        return _through(self.critic, self._input(seen))[..., 0]

    def done(self, action: Tensor) -> Tensor:
        """What is done of an action as it was drawn: ±1 are the bounds, beyond which none goes."""
        if self.config.discrete or not self.config.low:
            return action
        low, high = (np.asarray(each, np.float32) for each in (self.config.low, self.config.high))
        middle, half = (low + high) / 2, (high - low) / 2
        return as_tensor(middle) + as_tensor(half) * kj.clip(action, -1.0, 1.0)

    def _input(self, seen: Tensor) -> Tensor:
        return self.seen(seen) if self.config.normalised else seen


def actor_critic_for(
    environment: gymnasium.Env[Any, Any], key: Tensor, **options: Any
) -> ActorCritic:
    """The networks for an environment's spaces."""
    observations = config_for(environment).observations
    acted = action_config(environment.action_space)
    return ActorCritic(ActorCriticConfig(observations, **acted, **options), key=key)


def _layers(sizes: Sequence[int], last: float, key: Tensor) -> list[Linear]:
    """Layers with orthogonal weights, enlarged by √2, the last one by `last`."""
    gains = [*[math.sqrt(2)] * (len(sizes) - 2), last]
    keys = random.split(key, len(gains))
    pairs = zip(pairwise(sizes), gains, keys, strict=True)
    return [Linear(*pair, key=k, init=partial(init.orthogonal, gain=g)) for pair, g, k in pairs]


def _through(layers: Sequence[Linear], x: Tensor) -> Tensor:
    for layer in layers[:-1]:
        x = kj.tanh(layer(x))
    return layers[-1](x)


registry.add(ActorCriticConfig.model_type, ActorCriticConfig, ActorCritic)
