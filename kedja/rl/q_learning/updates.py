"""What DQN learns from remembered steps: targets, loss, and many updates in one compiled program.

    y = r                                          where the episode ended with the step
    y = r + γ maxₐ Q'(s', a)                       DQN: Q' is the network as it was some updates ago
    y = r + γ Q'(s', argmaxₐ Q(s', a))             double DQN, which does not take luck for worth

    loss = mean of huber((Q(s, a) - y) / u),  u the network's unit

Sources: V. Mnih et al.: Human-level control through deep reinforcement learning (2015); H. van
Hasselt, A. Guez, D. Silver: Deep reinforcement learning with double Q-learning (2016). Not here:
where steps come from (`dqn.py`). Next: `dqn.py`.
Dimensions: K batches, B steps of a batch, O numbers observed, A actions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import kedja as kj
from kedja import Tensor, nn, optim
from kedja.rl.q_learning.memory import Steps
from kedja.rl.q_learning.network import QNetwork

# What learning changes: "online", "target" (networks), "optimizer", "updates" (how many were made).
State = dict[str, Any]


@dataclass(frozen=True)
class Learning:
    """How a network learns from batches.

    `gamma` is γ; the network of the targets becomes the learned one after each `target_every`
    updates; gradients of a norm above `clip` are scaled down to it.
    """

    lr: float = 1e-3
    gamma: float = 0.99
    target_every: int = 32
    double: bool = True
    clip: float = 10.0

    def start(self, network: QNetwork) -> State:
        """The state before the first update: both networks are the given one."""
        same = kj.tree.map(lambda leaf: Tensor(leaf.numpy().copy()), network)
        state = self._optimizer.init(network)
        return {
            "online": network,
            "target": same,
            "optimizer": state,
            "updates": kj.zeros((), dtype="int64"),
        }

    @property
    def _optimizer(self) -> Any:
        return optim.ClipNorm(optim.Adam(self.lr), self.clip)

    def updated(self, state: State, batches: Steps) -> tuple[State, Tensor]:
        """An update with each of K batches (K, B, …): the new state, the losses (K,)."""
        last, losses = kj.scan(self._update, state, batches)
        return last, losses

    def _update(self, state: State, batch: Steps) -> tuple[State, Tensor]:
        y = targets(batch, state["online"], state["target"], self.gamma, self.double)
        loss, gradient = kj.value_and_grad(loss_of)(state["online"], batch, y)
        online, slots = self._optimizer.update(state["online"], gradient, state["optimizer"])
        updates = state["updates"] + 1
        due = updates % self.target_every == 0
        target = kj.tree.map(lambda new, old: kj.where(due, new, old), online, state["target"])
        return {"online": online, "target": target, "optimizer": slots, "updates": updates}, loss


def targets(batch: Steps, online: QNetwork, target: QNetwork, gamma: float, double: bool) -> Tensor:
    """y of steps (B, …): (B,); see the file's docstring."""
    worth = target.values(batch.after)  # (B, A)
    if double:
        best, _ = online(batch.after)  # (B,)
        after = kj.take_along_axis(worth, best[:, None], -1)[:, 0]
    else:
        after = kj.max(worth, axis=-1)
    return batch.reward + kj.where(batch.terminated, 0.0, gamma * after)


def loss_of(network: QNetwork, batch: Steps, y: Tensor) -> Tensor:
    """The mean over steps (B, …) of huber((Q(s, a) - y) / u), y (B,) fixed."""
    values = network.values(batch.seen)  # (B, A)
    chosen = kj.take_along_axis(values, batch.action[:, None], -1)[:, 0]
    return nn.huber_loss(chosen / network.unit, y / network.unit)
