"""The rounds of A2C and PPO: T steps in each of N copies, then updates from all of them at once.

Acting is one compiled call for all copies, all updates of a round are another. Not here: what is
minimised (`losses.py`), the loop around the rounds (`../rounds.py`). Next: `../rounds.py`.
Dimensions: T steps, N copies, O numbers observed, A numbers of an action; B steps of a minibatch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kedja.front import functions as kj
from kedja.front import random
from kedja.front.control import scan
from kedja.front.jit import jit
from kedja.front.tensor import Tensor
from kedja.front.transforms import value_and_grad
from kedja.ground.errors import NonFiniteError
from kedja.rl.copies import Copies
from kedja.rl.gradients import losses
from kedja.rl.gradients.actor_critic import ActorCritic, actor_critic_for
from kedja.rl.gradients.advantages import advantages
from kedja.rl.gradients.running import RewardScale

Array = np.ndarray[Any, np.dtype[Any]]


class Acted(NamedTuple):
    """What happened in a round: (T, N, …) each; actions as they were drawn."""

    seen: Any
    actions: Any
    rewards: Any
    after: Any
    terminated: Any
    over: Any


class Learned(NamedTuple):
    """What each minibatch learns from: (B, …) each."""

    seen: Tensor
    actions: Tensor
    old: Tensor  # log π(a|s) of the policy that acted
    advantages: Tensor
    targets: Tensor  # of V(s)


def drawing() -> Any:
    """The compiled function (model, seen (N, O), key, t) → actions as drawn, and as done."""

    def draw(model: ActorCritic, seen: Tensor, key: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        action = model.actions(seen).drawn(random.fold_in(key, t))
        return action, model.done(action)

    return jit(draw)


class ActorCriticLearner:
    """A2C or PPO, as `options` say; see `methods.py`."""

    def __init__(self, options: Any, copies: Copies, steps: int, seed: int) -> None:
        self._options, self._copies, self._seed = options, copies, seed
        keys = random.split(random.key(seed))
        self._model = actor_critic_for(
            copies.first,
            keys[0],
            hidden=tuple(options.hidden),
            spread=options.spread,
            normalised=options.normalise,
        )
        self._key = keys[1].numpy()
        rounds = -(-steps // (copies.count * options.horizon))
        self._size = copies.count * options.horizon
        self._optimizer = options.optimizer(rounds * options.updates(self._size))
        self._moments = self._optimizer.init(self._model)
        self._scale = RewardScale(copies.count, options.gamma)
        self._round = 0
        self._draw, self._update = drawing(), jit(self._updated)

    # ------------------------------------------------------------------------- as `rounds.Learner`

    @property
    def policy(self) -> ActorCritic:
        """The policy as it stands."""
        return self._model

    def state(self) -> Any:
        """Networks, optimiser, the scale of rewards, the number of rounds."""
        return {
            "model": self._model,
            "optimizer": self._moments,
            "returns": self._scale.returns,
            "scale": self._scale.moments,
            "round": np.array(self._round),
        }

    def restore(self, state: Any) -> None:
        """Go to where a state was taken."""
        self._model, self._moments = state["model"], state["optimizer"]
        self._scale.returns, self._scale.moments = state["returns"].numpy(), state["scale"].numpy()
        self._round = int(state["round"].numpy())

    def advance(self) -> Mapping[str, float]:
        """Act for T steps, learn from them."""
        acted = self._act()
        order = self._options.order(self._size, [self._seed, 3, self._round])
        model, moments, figures = self._update(self._model, self._moments, acted, order)
        found = {name: float(each.numpy()) for name, each in figures.items()}
        require_finite(found, self._copies.steps)
        self._model, self._moments = model, moments
        self._round += 1
        return found

    # ------------------------------------------------------------------------------------ a round

    def _act(self) -> Acted:
        copies, rows = self._copies, []
        for t in range(self._options.horizon):
            seen = copies.seen
            number = np.array(self._round * self._options.horizon + t, np.uint32)
            drawn, done = self._draw(self._model, seen, self._key, number)
            stepped = copies.step(done.numpy())
            over = stepped.terminated | stepped.truncated
            rows.append(
                (seen, drawn.numpy(), stepped.rewards, *stepped[:1], stepped.terminated, over)
            )
        acted = Acted(*(np.stack(column) for column in zip(*rows, strict=True)))
        rewards = (
            self._scale.scaled(acted.rewards, acted.over) if self._options.scale else acted.rewards
        )
        return acted._replace(rewards=rewards.astype(np.float32))

    def _updated(self, model: ActorCritic, moments: Any, acted: Acted, order: Tensor) -> Any:
        """The networks and the optimiser after all minibatches `order` (updates, B) of a round."""
        batch = self._learned(model, acted)

        def step(carry: Any, rows: Tensor) -> Any:
            model, moments = carry
            part = Learned(*(kj.take(each, rows, 0) for each in batch))
            (loss, figures), grads = value_and_grad(self._loss, has_aux=True)(model, part)
            return self._optimizer.update(model, grads, moments), {"loss": loss, **figures}

        (model, moments), figures = scan(step, (model, moments), order)
        seen = model.seen.seen(acted.seen.reshape(-1, acted.seen.shape[-1]))
        model = model.replace(seen=seen) if model.config.normalised else model
        return model, moments, {name: kj.mean(each) for name, each in figures.items()}

    def _learned(self, model: ActorCritic, acted: Acted) -> Learned:
        """Advantages by the networks that acted, and all steps side by side."""
        options = self._options
        values, after = model.value(acted.seen), model.value(acted.after)  # (T, N)
        better = advantages(
            acted.rewards,
            values,
            after,
            acted.terminated,
            acted.over,
            gamma=options.gamma,
            lam=options.lam,
        )
        old = model.actions(acted.seen).log_prob(acted.actions)
        columns = (acted.seen, acted.actions, old, better, better + values)
        return Learned(*(each.reshape(-1, *each.shape[2:]) for each in columns))

    def _loss(self, model: ActorCritic, part: Learned) -> Any:
        """Policy, values and entropy in one sum, and figures to look at."""
        actions, options = model.actions(part.seen), self._options
        log_prob, entropy = actions.log_prob(part.actions), kj.mean(actions.entropy())
        policy = options.policy_loss(log_prob, part.old, losses.standardised(part.advantages))
        values = losses.value_error(model.value(part.seen), part.targets)
        loss = policy + options.value_weight * values - options.entropy * entropy
        figures = {"entropy": entropy, "values": values, "kl": kj.mean(part.old - log_prob)}
        return loss, figures


def require_finite(figures: Mapping[str, float], steps: int) -> None:
    """Raise NonFiniteError where a loss is NaN or infinite."""
    if not np.isfinite(figures["loss"]):
        what = f"the loss became {figures['loss']} after {steps:,} steps"
        raise NonFiniteError(what, fix="a smaller learning rate, or scaled rewards")
