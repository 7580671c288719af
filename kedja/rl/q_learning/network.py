"""The network of DQN: for an observation the worth of each action. It acts by taking the best.

    plain      Q(s, a) = u · outₐ
    dueling    Q(s, a) = u · (V(s) + A(s, a) - meanₐ' A(s, a')),  V and A two heads of the layers

u is a unit of about the size that Q will have, so that the layers learn numbers near 1 whether
episodes are worth 500 or 0.1 (see `unit_of`).

Sources: V. Mnih et al.: Human-level control through deep reinforcement learning (2015); Z. Wang et
al.: Dueling network architectures for deep reinforcement learning (2016). Not here: how it learns
(`updates.py`). Next: `memory.py`.
Dimensions: O numbers observed, A actions, H hidden units.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

import kedja as kj
from kedja import Tensor, nn
from kedja.ground.errors import UnsupportedError, UsageError
from kedja.models import registry
from kedja.rl.environments import library
from kedja.rl.gradients.running import Running, nothing_seen
from kedja.rl.spaces import config_for, require_known

if TYPE_CHECKING:
    import gymnasium

LONGEST = 1000  # steps ahead that count for the unit, also where γ is 1


@dataclass(frozen=True)
class QNetworkConfig:
    """What the network sees, how many actions there are, its layers.

    `normalised` observations are standard deviations from the mean of all that were seen; without
    `hidden` layers Q is linear in the observations.
    """

    model_type: ClassVar[str] = "q-network"

    observations: int
    actions: int
    hidden: tuple[int, ...] = (128, 128)
    dueling: bool = False
    normalised: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        if min(self.observations, self.actions, *self.hidden) < 1:
            what = f"{self.observations} observed, {self.actions} actions, hidden {self.hidden}"
            raise UsageError(what, fix="whole numbers from 1")


class QNetwork(nn.Module):
    """Q(s, ·): layers with relu between, float32, drawn as PyTorch draws them.

    As a policy it is greedy and has no memory: `kj.rl.agent_of(network, environment)`.

    >>> network = QNetwork(QNetworkConfig(3, 2, hidden=(8,), dueling=True), key=kj.random.key(0))
    >>> network.values([[0.1, 0.0, 0.2]]).shape, network.num_parameters
    ((1, 2), 59)
    >>> action, memory = network([0.1, 0.0, 0.2], network.start())
    >>> action.shape, memory
    ((), ())
    """

    config: QNetworkConfig
    layers: list[nn.Linear]
    actions: nn.Linear
    value: nn.Linear | None
    seen: Running
    unit: nn.Buffer  # u, ()

    def __init__(self, config: QNetworkConfig, *, key: Tensor | None = None) -> None:
        sizes = (config.observations, *config.hidden)
        keys = kj.random.split(kj.random.next_key() if key is None else key, len(sizes) + 1)
        self.config = config
        self.layers = [nn.Linear(*pair, key=keys[n]) for n, pair in enumerate(pairwise(sizes))]
        self.actions = nn.Linear(sizes[-1], config.actions, key=keys[len(sizes) - 1])
        self.value = nn.Linear(sizes[-1], 1, key=keys[len(sizes)]) if config.dueling else None
        self.seen = nothing_seen(config.observations)
        self.unit = kj.ones(())

    def values(self, observations: Any) -> Tensor:
        """Observations (…, O) → Q (…, A)."""
        x = kj.asarray(observations).astype("float32")
        if self.config.normalised:
            x = self.seen(x)
        for layer in self.layers:
            x = kj.relu(layer(x))  # (…, H)
        each = self.actions(x)  # (…, A)
        if self.value is None:
            return self.unit * each
        better = each - kj.mean(each, axis=-1, keepdims=True)
        return self.unit * (self.value(x) + better)

    def start(self) -> tuple[()]:
        """Nothing is remembered between steps."""
        return ()

    def __call__(self, observation: Any, memory: tuple[()] = ()) -> tuple[Tensor, tuple[()]]:
        """Observations (…, O) → the actions with the largest Q (…), and no memory."""
        return kj.argmax(self.values(observation), axis=-1), memory


def require_choice(environment: gymnasium.Env[Any, Any]) -> None:
    """Raise UnsupportedError where actions are no finite choice, and for unknown observations."""
    require_known(environment)
    acts = environment.action_space
    if not isinstance(acts, library().spaces.Discrete):
        raise UnsupportedError(
            f"DQN chooses one of a finite number of actions; here they are {acts}",
            fix="ppo, a2c, reinforce, cma-es and genetic take all kinds",
        )


def network_for(
    environment: gymnasium.Env[Any, Any],
    *,
    key: Tensor | None = None,
    **options: Any,
) -> QNetwork:
    """A network for an environment; `options` are those of QNetworkConfig.

    Raises as `require_choice` does.
    """
    require_choice(environment)
    spaces = config_for(environment)
    return QNetwork(QNetworkConfig(spaces.observations, spaces.actions, **options), key=key)


def unit_of(rewards: Any, gamma: float) -> float:
    """mean |r| / (1 - γ), what such rewards are worth for ever; 1 where all are 0.

    >>> round(unit_of([1.0, -1.0, 0.0, 0.0], 0.9), 6), unit_of([0.0], 0.9)
    (5.0, 1.0)
    """
    size = float(np.mean(np.abs(rewards)))
    return size / max(1 - gamma, 1 / LONGEST) if size > 0 else 1.0


registry.add(QNetworkConfig.model_type, QNetworkConfig, QNetwork)
