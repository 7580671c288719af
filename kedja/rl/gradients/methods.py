"""A2C and PPO: their options, with usual values.

Not here: what is minimised (`losses.py`), the rounds (`learner.py`). Next: `learner.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from kedja import optim
from kedja.front.tensor import Tensor
from kedja.rl.copies import Copies
from kedja.rl.gradients import losses
from kedja.rl.gradients.learner import ActorCriticLearner
from kedja.rl.rounds import Learner

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Gradients:
    """The options that the methods have in common.

    `lr` is Adam's rate, which falls to 0 over the run where it is to `anneal`; `clip` the largest
    norm of a gradient. `gamma` discounts rewards, `lam` is the λ of the advantages, `horizon` how
    many steps each copy takes in a round. The loss is that of the policy, plus `value_weight` times
    the error of the values, minus `entropy` times the entropy. `hidden` layers, the first `spread`
    of continuous actions, and whether observations are to `normalise` and rewards to `scale`.
    """

    lr: float = 1e-3
    gamma: float = 0.99
    lam: float = 0.95
    horizon: int = 128
    hidden: tuple[int, ...] = (64, 64)
    entropy: float = 0.0
    value_weight: float = 0.5
    clip: float = 0.5
    spread: float = 1.0
    normalise: bool = True
    scale: bool = True
    anneal: bool = True

    def optimizer(self, updates: int) -> Any:
        """Adam, for so many updates."""
        rate = optim.LinearLR(self.lr, 1.0, 0.0, updates) if self.anneal else self.lr
        return optim.ClipNorm(optim.Adam(rate, eps=1e-5), self.clip)


@dataclass(frozen=True)
class PPO(Gradients):
    """Proximal policy optimisation: `epochs` passes in minibatches of `batch` steps, clipped at ε.

    Source: J. Schulman et al.: Proximal policy optimization algorithms (2017).
    """

    steps: ClassVar[int] = 500_000
    copies: ClassVar[int] = 16
    every: ClassVar[int] = 10_000

    epochs: int = 10
    batch: int = 128
    epsilon: float = 0.2

    def learner(self, copies: Copies, steps: int, seed: int) -> Learner:
        """See `rounds.Learner`."""
        return ActorCriticLearner(self, copies, steps, seed)

    def updates(self, size: int) -> int:
        """How many updates a round of so many steps has."""
        return self.epochs * max(1, size // self.batch)

    def order(self, size: int, seed: list[int]) -> Array:
        """The places (updates, B) of the steps of each minibatch; every epoch in a new order."""
        rng, batch = np.random.default_rng(seed), min(self.batch, size)
        whole = size // batch * batch
        orders = [rng.permutation(size)[:whole] for _ in range(self.epochs)]
        return np.concatenate(orders).reshape(-1, batch).astype(np.uint32)

    def policy_loss(self, log_prob: Tensor, old: Tensor, advantage: Tensor) -> Tensor:
        """The clipped objective."""
        return losses.clipped(log_prob, old, advantage, self.epsilon)
