"""A network learns from examples of self-play.

    loss = −Σ π log p + (z − v)²

with π the share of visits, p and v the network's policy and value, z the outcome mixed with what
the search expected. Each example is shown under a random symmetry of the board. Not here: where
examples come from (`playing.py`). Next: `self_play.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import kedja as kj
from kedja import Tensor, nn, optim
from kedja.front import random
from kedja.rl.games.network import BoardNet, config_for
from kedja.rl.games.playing import Examples
from kedja.rl.games.rules import Array, Game, picked
from kedja.rl.games.settings import Settings

CLIP = 5.0  # the largest norm of the gradients


class Losses(NamedTuple):
    """Means over the steps of an iteration."""

    policy: float
    value: float


class Learner:
    """A network before it learns, its optimiser's state, and the compiled step."""

    def __init__(self, game: Game, settings: Settings, seed: int) -> None:
        random.seed(seed)
        self.game, self.settings = game, settings
        self.network = BoardNet(config_for(game, **settings.sizes))
        total = settings.iterations * settings.steps
        rate = optim.schedule("cosine", settings.lr, total)
        self.optimizer = optim.ClipNorm(optim.AdamW(rate, weight_decay=settings.weight_decay), CLIP)
        self.state = self.optimizer.init(self.network)
        self._step = kj.jit(self._stepped)

    def _stepped(self, network: Any, state: Any, x: Any, policy: Any, value: Any) -> Any:
        (_, parts), grads = kj.value_and_grad(_loss, has_aux=True)(network, x, policy, value)
        network, state = self.optimizer.update(network, grads, state)
        return network, state, parts

    def learned(
        self, network: BoardNet, state: Any, examples: Examples, generator: np.random.Generator
    ) -> tuple[BoardNet, Any, Losses]:
        """Network and state after `settings.steps` steps on batches drawn from the examples."""
        parts = []
        for _ in range(self.settings.steps):
            batch = self._batch(examples, generator)
            network, state, each = self._step(network, state, *batch)
            parts.append(each)
        means = np.stack([each.numpy() for each in parts]).mean(axis=0, dtype=np.float64)
        return network, state, Losses(float(means[0]), float(means[1]))

    def _batch(self, examples: Examples, generator: np.random.Generator) -> tuple[Array, ...]:
        size = self.settings.batch
        places = generator.integers(0, len(examples.outcome), size)
        planes = self.game.planes(picked(examples.boards, places))
        same = self.game.symmetries
        which = generator.integers(0, len(same.cells), size)
        flat = planes.reshape(*planes.shape[:2], -1)
        turned = np.take_along_axis(flat, same.cells[which][:, None], axis=-1)
        policy = np.take_along_axis(examples.policy[places], same.moves[which], axis=-1)
        mix = np.float32(self.settings.mix)
        value = (1 - mix) * examples.outcome[places] + mix * examples.value[places]
        return turned.reshape(planes.shape), policy, value


def _loss(network: BoardNet, x: Tensor, policy: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    logits, expected = network(x)
    moves = -kj.mean(kj.sum(policy * nn.functional.log_softmax(logits, -1), axis=-1))
    outcome = kj.mean((expected - value) ** 2)
    return moves + outcome, kj.stack([moves, outcome])
