"""REINFORCE, A2C and PPO: how each acts and what it minimises, with usual options.

| method    | acts                   | minimises                      | updates of a round       |
|-----------|------------------------|--------------------------------|--------------------------|
| REINFORCE | an episode in a copy   | −mean(log π·(G − V))           | one                      |
| A2C       | some steps in a copy   | −mean(log π·Â)                 | one                      |
| PPO       | many steps in a copy   | −mean(min(ρ Â, clip(ρ) Â))     | epochs of minibatches    |

and, all of them, the error of V, minus some entropy. Not here: what is minimised (`losses.py`), the
rounds (`learner.py`). Next: `learner.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from kedja import optim
from kedja.front.tensor import Tensor
from kedja.rl.copies import Copies
from kedja.rl.gradients import acting, losses
from kedja.rl.gradients.learner import Acted, Draw, GradientLearner, Learned
from kedja.rl.options import BETWEEN, NATURAL, POSITIVE, SHARE, SIZES, WHOLE, require_of
from kedja.rl.rounds import Learner
from kedja.rl.spaces import require_known

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Gradients:
    """The options that REINFORCE, A2C and PPO have in common.

    `lr` is Adam's rate, which falls to 0 over the run where it is to `anneal`; `clip` the largest
    norm of a gradient. `gamma` discounts rewards, `lam` is the λ of the advantages. The loss is
    that of the policy, plus `value_weight` times the error of the values, minus `entropy` times the
    entropy. `hidden` are the layers, `spread` is the first standard deviation of continuous
    actions; numbers that are observed are to be `normalise`d (choices are not), rewards to be
    `scale`d. Raises UsageError for options out of range.
    """

    steps: ClassVar[int] = 500_000
    copies: ClassVar[int] = 16
    every: ClassVar[int] = 10_000

    lr: float = 1e-3
    gamma: float = 0.99
    lam: float = 1.0
    hidden: tuple[int, ...] = (64, 64)
    entropy: float = 0.0
    value_weight: float = 0.5
    clip: float = 0.5
    spread: float = 1.0
    normalise: bool = True
    scale: bool = True
    anneal: bool = True

    def __post_init__(self) -> None:
        require_of(self, POSITIVE, "lr", "clip", "spread")
        require_of(self, SHARE, "gamma", "lam")
        require_of(self, NATURAL, "entropy", "value_weight")
        require_of(self, SIZES, "hidden")

    def require(self, environment: Any) -> None:
        """Raise UnsupportedError for spaces that no network has."""
        require_known(environment)

    def learner(self, copies: Copies, steps: int, seed: int) -> Learner:
        """See `rounds.Learner`."""
        return GradientLearner(self, copies, steps, seed)  # type: ignore[arg-type]

    def optimizer(self, rate: Any) -> Any:
        """Adam, with gradients held in bounds."""
        return optim.ClipNorm(optim.Adam(rate, eps=1e-5), self.clip)

    def order(self, size: int, rng: np.random.Generator) -> Array:
        """All steps in one batch."""
        return np.arange(size, dtype=np.uint32).reshape(1, -1)


@dataclass(frozen=True)
class Reinforce(Gradients):
    """REINFORCE with a baseline: whole episodes, and what followed each action against V.

    Where a time limit cut an episode off, V stands for the rest. Source: R. Williams: Simple
    statistical gradient-following algorithms for connectionist reinforcement learning (1992).
    """

    copies: ClassVar[int] = 8

    lr: float = 5e-3

    def act(self, copies: Copies, draw: Draw) -> Acted:
        """An episode in each copy."""
        return acting.for_episodes(copies, draw)

    def policy_loss(self, log_prob: Tensor, part: Learned) -> Tensor:
        """The policy gradient."""
        better = losses.standardised(part.advantages, part.counts)
        return losses.policy_gradient(log_prob, better, part.counts)


@dataclass(frozen=True)
class A2C(Gradients):
    """Advantage actor-critic: few steps (`rollout`) in each of many copies, then one update.

    Source: V. Mnih et al.: Asynchronous methods for deep reinforcement learning (2016), with copies
    that wait for each other.
    """

    lr: float = 2e-3
    rollout: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        require_of(self, WHOLE, "rollout")

    def act(self, copies: Copies, draw: Draw) -> Acted:
        """`rollout` steps in each copy."""
        return acting.for_steps(copies, draw, self.rollout)

    def policy_loss(self, log_prob: Tensor, part: Learned) -> Tensor:
        """The policy gradient."""
        return losses.policy_gradient(log_prob, part.advantages, part.counts)


@dataclass(frozen=True)
class PPO(Gradients):
    """Proximal policy optimisation: many updates from one round, held near the policy that acted.

    A round is `rollout` steps in each copy; `epochs` times all of them are learned from in
    minibatches of `batch`, with the ratio of probabilities clipped at 1 ± `epsilon`.
    Source: J. Schulman et al.: Proximal policy optimization algorithms (2017).
    """

    lam: float = 0.95
    rollout: int = 128
    epochs: int = 10
    batch: int = 128
    epsilon: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        require_of(self, WHOLE, "rollout", "epochs", "batch")
        require_of(self, BETWEEN, "epsilon")

    def act(self, copies: Copies, draw: Draw) -> Acted:
        """`rollout` steps in each copy."""
        return acting.for_steps(copies, draw, self.rollout)

    def order(self, size: int, rng: np.random.Generator) -> Array:
        """Minibatches of all steps, in a new order in every epoch; a rest is left out."""
        batch = min(self.batch, size)
        whole = size // batch * batch
        orders = [rng.permutation(size)[:whole] for _ in range(self.epochs)]
        return np.concatenate(orders).reshape(-1, batch).astype(np.uint32)

    def policy_loss(self, log_prob: Tensor, part: Learned) -> Tensor:
        """The clipped objective."""
        better = losses.standardised(part.advantages, part.counts)
        return losses.clipped(log_prob, part.old, better, part.counts, self.epsilon)
