"""DQN: its options, and its rounds: act, remember, learn from what is remembered.

    ε of the actions are drawn, the others are the best; ε falls from 1 to `epsilon` over the first
    `explore` steps. A round is `rollout` steps of each copy, then `updates` minibatches at once.

Sources: those of `updates.py`. Not here: the loop around the rounds (`../rounds.py`).
Next: `../rounds.py`.
Dimensions: N copies, O numbers observed, K updates of a round, B steps of a minibatch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import kedja as kj
from kedja import Tensor
from kedja.ground.errors import NonFiniteError
from kedja.rl.copies import Copies
from kedja.rl.options import POSITIVE, SHARE, SIZES, WHOLE, require_of
from kedja.rl.q_learning.memory import Memory, Steps, usual_size
from kedja.rl.q_learning.network import QNetwork, network_for, require_choice, unit_of
from kedja.rl.q_learning.updates import Learning
from kedja.rl.rounds import Learner
from kedja.rl.spaces import has_numbers

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class DQN:
    """Deep Q-learning with a replay memory and a network of targets.

    `lr` is Adam's rate, `clip` the largest norm of a gradient; `gamma` discounts rewards. A round
    is `rollout` steps of each copy and `updates` of `batch` remembered steps; the first one that
    learns comes after `start` steps. The network of the targets becomes the learned one after each
    `target_every` updates; targets are `double` DQN's, or those of 2015. `memory` is how many steps
    are remembered: 100,000 unless given, fewer where observations are large. `hidden` layers, a
    `dueling` head, and whether numbers that are observed are to be `normalise`d (choices are not)
    shape the network.

    Sources: V. Mnih et al.: Human-level control through deep reinforcement learning (2015); H. van
    Hasselt, A. Guez, D. Silver: Deep reinforcement learning with double Q-learning (2016).
    """

    steps: ClassVar[int] = 100_000
    copies: ClassVar[int] = 8
    every: ClassVar[int] = 2_500

    lr: float = 1e-3
    gamma: float = 0.99
    rollout: int = 32
    updates: int = 64
    batch: int = 64
    hidden: tuple[int, ...] = (128, 128)
    target_every: int = 32
    double: bool = True
    dueling: bool = False
    normalise: bool = True
    epsilon: float = 0.05
    explore: int = 10_000
    start: int = 1_000
    memory: int | None = None
    clip: float = 10.0

    def __post_init__(self) -> None:
        require_of(self, WHOLE, "rollout", "updates", "batch", "target_every", "explore", "start")
        require_of(self, SHARE, "epsilon", "gamma")
        require_of(self, POSITIVE, "lr", "clip")
        require_of(self, SIZES, "hidden")
        if self.memory is not None:
            require_of(self, WHOLE, "memory")

    def require(self, environment: Any) -> None:
        """Raise UnsupportedError where actions are no finite choice."""
        require_choice(environment)

    def learner(self, copies: Copies, steps: int, seed: int) -> Learner:
        """See `rounds.Learner`."""
        return DQNLearner(self, copies, seed)

    def share_drawn(self, steps: int) -> float:
        """ε after so many steps.

        >>> [DQN(explore=100, epsilon=0.1).share_drawn(steps) for steps in (0, 50, 100, 900)]
        [1.0, 0.55, 0.1, 0.1]
        """
        return max(self.epsilon, 1 - (1 - self.epsilon) * steps / self.explore)


class DQNLearner:
    """DQN in copies of an environment."""

    def __init__(self, options: DQN, copies: Copies, seed: int) -> None:
        self._options, self._copies, self._seed = options, copies, seed
        network = network_for(
            copies.first,
            key=kj.random.key(seed),
            hidden=options.hidden,
            dueling=options.dueling,
            normalised=options.normalise and has_numbers(copies.space),
        )
        self._learning = Learning(
            lr=options.lr,
            gamma=options.gamma,
            target_every=options.target_every,
            double=options.double,
            clip=options.clip,
        )
        self._state = self._learning.start(network)
        observed = network.config.observations
        size = usual_size(observed) if options.memory is None else options.memory
        spare = options.rollout * copies.count
        self._memory = Memory(size, observed, spare)
        self._round = 0
        self._best, self._update = kj.jit(_best), kj.jit(self._learning.updated)
        self._look = kj.jit(_looked)

    # ------------------------------------------------------------------------- as `rounds.Learner`

    @property
    def policy(self) -> QNetwork:
        """The network as it stands, which takes the best actions."""
        network: QNetwork = self._state["online"]
        return network

    def state(self) -> Any:
        """Networks, optimiser, what is remembered, the number of rounds."""
        return {**self._state, "memory": self._memory.state(), "round": np.array(self._round)}

    def restore(self, state: Any) -> None:
        """Go to where a state was taken."""
        self._state = {name: state[name] for name in self._state}
        self._memory.restore({name: each.numpy() for name, each in state["memory"].items()})
        self._round = int(state["round"].numpy())

    def advance(self) -> Mapping[str, float]:
        """Act for some steps, learn from what is remembered."""
        rng = np.random.default_rng([self._seed, 4, self._round])
        seen = np.concatenate([self._act(rng) for _ in range(self._options.rollout)])
        if self.policy.config.normalised:
            self._state = {**self._state, "online": self._look(self.policy, seen)}
        figures = self._learn(rng) if self._copies.steps >= self._options.start else {}
        self._round += 1
        return figures

    # ------------------------------------------------------------------------------------ a round

    def _act(self, rng: np.random.Generator) -> Array:
        """One step of each copy, remembered; what was seen before (N, O)."""
        copies, count = self._copies, self._copies.count
        seen = copies.seen
        drawn = rng.random(count) < self._options.share_drawn(copies.steps)
        others = rng.integers(self.policy.config.actions, size=count)
        best = others if drawn.all() else self._best(self.policy, seen).numpy()
        actions = np.where(drawn, others, best)
        stepped = copies.step(actions)
        after, rewards, terminated = stepped.after, stepped.rewards, stepped.terminated
        self._memory.add(Steps(seen, actions, rewards, after, terminated))
        return seen

    def _learn(self, rng: np.random.Generator) -> dict[str, float]:
        options = self._options
        if not int(self._state["updates"].numpy()):
            self._measure()
        batches = self._memory.draw(rng, (options.updates, options.batch))
        state, losses = self._update(self._state, batches)
        loss = float(np.mean(losses.numpy()))
        if not np.isfinite(loss):
            what = f"the loss became {loss} after {self._copies.steps:,} steps"
            raise NonFiniteError(what, fix="a smaller learning rate")
        self._state = state
        return {"loss": loss}

    def _measure(self) -> None:
        """Before the first update: networks as those seen so far, in the unit of the rewards."""
        unit = kj.tensor(unit_of(self._memory.rewards, self._options.gamma))
        self._state = self._learning.start(self.policy.replace(unit=unit))


def _best(network: QNetwork, seen: Tensor) -> Tensor:
    return network(seen)[0]


def _looked(network: QNetwork, seen: Tensor) -> QNetwork:
    """The network once it has seen more observations (B, O)."""
    statistics = network.seen.seen(seen, kj.ones(seen.shape[:1]))
    looked: QNetwork = network.replace(seen=statistics)
    return looked
