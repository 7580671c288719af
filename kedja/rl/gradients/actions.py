"""How actions are drawn: by choice, or numbers with normal noise; log π(a|s), entropy, best.

Not here: the network whose outputs these are (`actor_critic.py`). Next: `losses.py`.
Dimensions: A actions to choose from, or numbers of an action; K choices among W at most.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from kedja.front import functions as kj
from kedja.front import random
from kedja.front.neural import log_softmax
from kedja.front.tensor import Tensor


class Categorical(NamedTuple):
    """π(a|s) = softmax(logits)ₐ, logits (…, A); actions (…) are whole numbers from 0."""

    logits: Tensor

    def best(self) -> Tensor:
        """The most probable action."""
        return kj.argmax(self.logits, -1)

    def drawn(self, key: Tensor) -> Tensor:
        """An action, drawn."""
        return random.categorical(key, self.logits)

    def log_prob(self, action: Tensor) -> Tensor:
        """log π(a|s)."""
        each = log_softmax(self.logits, -1)  # (…, A)
        chosen = kj.expand_dims(action, -1) == kj.arange(self.logits.shape[-1])
        return kj.sum(kj.where(chosen, each, 0.0), -1)

    def entropy(self) -> Tensor:
        """−Σₐ π(a|s) log π(a|s)."""
        each = log_softmax(self.logits, -1)
        return -kj.sum(kj.exp(each) * each, -1)


class Choices(NamedTuple):
    """K choices at once, independent of each other, logits (…, K, W); actions (…, K)."""

    logits: Tensor

    def best(self) -> Tensor:
        """The most probable action."""
        return Categorical(self.logits).best()

    def drawn(self, key: Tensor) -> Tensor:
        """An action, drawn."""
        return Categorical(self.logits).drawn(key)

    def log_prob(self, action: Tensor) -> Tensor:
        """log π(a|s) = Σₖ log πₖ(aₖ|s)."""
        return kj.sum(Categorical(self.logits).log_prob(action), -1)

    def entropy(self) -> Tensor:
        """The sum of the entropies of all choices."""
        return kj.sum(Categorical(self.logits).entropy(), -1)


class Gaussian(NamedTuple):
    """π(a|s) = N(mean, exp(log_std)²), numbers independent of each other; actions (…, A)."""

    mean: Tensor  # (…, A)
    log_std: Tensor  # (A,)

    def best(self) -> Tensor:
        """The most probable action."""
        return self.mean

    def drawn(self, key: Tensor) -> Tensor:
        """An action, drawn."""
        return self.mean + kj.exp(self.log_std) * random.normal(key, self.mean.shape)

    def log_prob(self, action: Tensor) -> Tensor:
        """log π(a|s) = −½ Σ ((a − mean)/σ)² + 2 log σ + log 2π."""
        apart = (action - self.mean) * kj.exp(-self.log_std)
        return -0.5 * kj.sum(kj.square(apart) + 2 * self.log_std + math.log(2 * math.pi), -1)

    def entropy(self) -> Tensor:
        """Σ log σ + ½ log 2πe, the same in every state."""
        whole = kj.sum(self.log_std + 0.5 * math.log(2 * math.pi * math.e))
        return kj.broadcast_to(whole, self.mean.shape[:-1])


Actions = Categorical | Choices | Gaussian
