"""The rounds of all three methods: act in all copies, then updates from all of it at once.

Acting is one compiled call for all copies, all updates of a round are another. Not here: what is
minimised (`losses.py`), the loop around the rounds (`../rounds.py`). Next: `../rounds.py`.
Dimensions: T steps, N copies, O numbers observed, A numbers of an action; B steps of a minibatch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

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
from kedja.rl.spaces import has_numbers

Array = np.ndarray[Any, np.dtype[Any]]


class Acted(NamedTuple):
    """What happened in a round: (T, N, …) each; actions are as they were drawn.

    A step `counts` 1, or 0 where none was taken, since the copy's episode was over.
    """

    seen: Any
    actions: Any
    rewards: Any
    after: Any
    terminated: Any
    over: Any
    counts: Any


class Learned(NamedTuple):
    """What each minibatch learns from: (B, …) each."""

    seen: Tensor
    actions: Tensor
    old: Tensor  # log π(a|s) of the policy that acted
    advantages: Tensor
    targets: Tensor  # of V(s)
    counts: Tensor


class Recipe(Protocol):
    """What a learner asks of a method; see `methods.py` for the options."""

    lr: float
    gamma: float
    lam: float
    hidden: tuple[int, ...]
    entropy: float
    value_weight: float
    spread: float
    normalise: bool
    scale: bool
    anneal: bool

    def act(self, copies: Copies, draw: Draw) -> Acted:
        """What happens in a round; `draw(seen, t)` gives actions, as drawn and as done."""

    def optimizer(self, rate: Any) -> Any:
        """The optimiser with this learning rate."""

    def order(self, size: int, rng: np.random.Generator) -> Array:
        """The places (updates, B) of the steps of each minibatch, of a round's `size` steps."""

    def policy_loss(self, log_prob: Tensor, part: Learned) -> Tensor:
        """What is minimised of the policy."""


class Draw(Protocol):
    """Actions for what all copies show (N, O) at step t of a round: as drawn, and as done."""

    def __call__(self, seen: Array, t: int) -> tuple[Array, Array]: ...


class GradientLearner:
    """Learns by a recipe in copies of an environment; a `rounds.Learner`."""

    def __init__(self, recipe: Recipe, copies: Copies, steps: int, seed: int) -> None:
        self._recipe, self._copies, self._steps, self._seed = recipe, copies, steps, seed
        self._key, key = random.split(random.key(seed))
        self._model = actor_critic_for(
            copies.first,
            key,
            hidden=tuple(recipe.hidden),
            spread=recipe.spread,
            normalised=recipe.normalise and has_numbers(copies.space),
        )
        self._moments = recipe.optimizer(recipe.lr).init(self._model)
        self._scale = RewardScale(copies.count, recipe.gamma)
        self._round = 0
        self._draw, self._update = jit(_drawn), jit(self._updated)

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
            "moments": self._scale.moments,
            "round": np.array(self._round),
        }

    def restore(self, state: Any) -> None:
        """Go to where a state was taken."""
        self._model, self._moments = state["model"], state["optimizer"]
        self._scale.returns = state["returns"].numpy()
        self._scale.moments = state["moments"].numpy()
        self._round = int(state["round"].numpy())

    def advance(self) -> Mapping[str, float]:
        """Act, and learn from it."""
        done = self._copies.steps / self._steps
        acted = self._scaled(self._recipe.act(self._copies, self._draws()))
        size = acted.rewards.size
        order = self._recipe.order(size, np.random.default_rng([self._seed, 3, self._round]))
        rate = self._recipe.lr * (max(1 - done, 0.0) if self._recipe.anneal else 1.0)
        found = self._update(self._model, self._moments, acted, order, np.array(rate))
        figures = {name: float(each.numpy()) for name, each in found[2].items()}
        require_finite(figures, self._copies.steps)
        self._model, self._moments = found[:2]
        self._round += 1
        return figures

    # -------------------------------------------------------------------------------- acting

    def _draws(self) -> Draw:
        """Draws of this round: by a key of its own, at each step by another number."""
        key = random.fold_in(self._key, self._round).numpy()

        def draw(seen: Array, t: int) -> tuple[Array, Array]:
            drawn, done = self._draw(self._model, seen, key, np.array(t, np.uint32))
            return drawn.numpy(), done.numpy()

        return draw

    def _scaled(self, acted: Acted) -> Acted:
        rewards = acted.rewards
        if self._recipe.scale:
            rewards = self._scale.scaled(rewards, acted.over, acted.counts)
        return acted._replace(rewards=rewards.astype(np.float32))

    # ------------------------------------------------------------------------------- learning

    def _updated(
        self, model: ActorCritic, moments: Any, acted: Acted, order: Tensor, rate: Tensor
    ) -> Any:
        """Networks and optimiser after the minibatches `order` (updates, B) of a round."""
        batch, optimizer = self._learned(model, acted), self._recipe.optimizer(rate)

        def step(carry: Any, rows: Tensor) -> Any:
            model, moments = carry
            part = Learned(*(kj.take(each, rows, 0) for each in batch))
            (loss, figures), grads = value_and_grad(self._loss, has_aux=True)(model, part)
            return optimizer.update(model, grads, moments), {"loss": loss, **figures}

        (model, moments), figures = scan(step, (model, moments), order)
        model = model.replace(seen=model.seen.seen(batch.seen, batch.counts))
        return model, moments, {name: kj.mean(each) for name, each in figures.items()}

    def _learned(self, model: ActorCritic, acted: Acted) -> Learned:
        """Advantages by the networks that acted, and all steps side by side."""
        values, after = model.value(acted.seen), model.value(acted.after)  # (T, N)
        better = advantages(
            acted.rewards,
            values,
            after,
            acted.terminated,
            acted.over,
            gamma=self._recipe.gamma,
            lam=self._recipe.lam,
        )
        old = model.actions(acted.seen).log_prob(acted.actions)
        columns = (acted.seen, acted.actions, old, better, better + values, acted.counts)
        return Learned(*(each.reshape(-1, *each.shape[2:]) for each in columns))

    def _loss(self, model: ActorCritic, part: Learned) -> Any:
        """Policy, values and entropy in one sum, and figures to look at."""
        actions, recipe = model.actions(part.seen), self._recipe
        log_prob = actions.log_prob(part.actions)
        policy = recipe.policy_loss(log_prob, part)
        values = losses.value_error(model.value(part.seen), part.targets, part.counts)
        entropy = losses.mean(actions.entropy(), part.counts)
        loss = policy + recipe.value_weight * values - recipe.entropy * entropy
        return loss, {"policy": policy, "values": values, "entropy": entropy}


def _drawn(model: ActorCritic, seen: Tensor, key: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    action = model.actions(seen).drawn(random.fold_in(key, t))
    return action, model.done(action)


def require_finite(figures: Mapping[str, float], steps: int) -> None:
    """Raise NonFiniteError where a loss is NaN or infinite."""
    if not np.isfinite(figures["loss"]):
        what = f"the loss became {figures['loss']} after {steps:,} steps"
        raise NonFiniteError(what, fix="a smaller learning rate, or scaled rewards")


def acted_of(rows: Sequence[tuple[Any, ...]]) -> Acted:
    """Rows of all steps, one after the other, as arrays (T, N, …)."""
    return Acted(*(np.stack(column) for column in zip(*rows, strict=True)))
