"""Recommenders: users and items as vectors, whose product says how well they go together.

    Factors    y[u, i] = mean + b_u + b_i + p_u · q_i
    TwoTower   y[u, i] = b_i + cos(f(e_u), g(e_i)) / temperature,  f, g networks of two layers

Sources: Y. Koren, R. Bell, C. Volinsky: Matrix factorization techniques for recommender systems
(2009); P. Covington, J. Adams, E. Sargin: Deep neural networks for YouTube recommendations (2016);
X. Yi et al.: Sampling-bias-corrected neural modeling for large corpus item recommendations (2019).
Not here: training (`kedja/train/recommending.py`), users who are new (`new_users.py`).
Next: `new_users.py`.
Dimensions: B pairs, U users, I items, R numbers of a vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import kedja as kj
from kedja import Tensor, nn
from kedja.ground.errors import UsageError
from kedja.models import registry

Array = np.ndarray[Any, np.dtype[Any]]


def _small(key: Tensor, shape: Sequence[int]) -> Tensor:
    return nn.init.normal(key, shape, std=0.1)


def _zeros(key: Tensor, shape: Sequence[int]) -> Tensor:
    return kj.zeros(shape)


# --------------------------------------------------------------------------------- factors


@dataclass(frozen=True)
class FactorsConfig:
    """How many users and items there are, and how many factors each has."""

    model_type: ClassVar[str] = "factors"

    users: int
    items: int
    width: int = 32


class Factors(nn.Module):
    """Matrix factorisation with levels of users and items; see the file's docstring.

    `mean` is a buffer: that of the ratings that were trained on.

    >>> Factors(FactorsConfig(5, 7, width=4))(kj.tensor([[0, 6], [4, 1]])).shape
    (2,)
    """

    config: FactorsConfig
    users: nn.Embedding
    items: nn.Embedding
    user_bias: nn.Embedding
    item_bias: nn.Embedding
    mean: nn.Buffer

    def __init__(self, config: FactorsConfig) -> None:
        self.config = config
        self.users = nn.Embedding(config.users, config.width, init=_small)
        self.items = nn.Embedding(config.items, config.width, init=_small)
        self.user_bias = nn.Embedding(config.users, 1, init=_zeros)
        self.item_bias = nn.Embedding(config.items, 1, init=_zeros)
        self.mean = kj.zeros(())

    def __call__(self, pairs: Tensor) -> Tensor:
        """pairs (…, 2) of a user and an item → y (…)."""
        user, item = pairs[..., 0], pairs[..., 1]
        together = kj.sum(self.users(user) * self.items(item), -1)
        levels = self.user_bias(user)[..., 0] + self.item_bias(item)[..., 0]
        return self.mean + levels + together

    def scores(self, users: Array) -> Array:
        """y of some users (B,) with all items: float32 (B, I)."""
        p, q = self.users.weight.numpy()[users], self.items.weight.numpy()
        levels = self.user_bias.weight.numpy()[users] + self.item_bias.weight.numpy()[:, 0]
        found: Array = self.mean.numpy() + levels + p @ q.T
        return found

    @property
    def item_vectors(self) -> Array:
        """q (I, R), by whose angles items are alike."""
        found: Array = self.items.weight.numpy()
        return found


# ------------------------------------------------------------------------------- two towers


@dataclass(frozen=True)
class TwoTowerConfig:
    """How many users and items there are, and how wide the towers and what they give are."""

    model_type: ClassVar[str] = "two-tower"

    users: int
    items: int
    width: int = 32
    temperature: float = 0.1


class Tower(nn.Module):
    """e + W₂ relu(W₁ e), of length 1: a vector for each of so many things."""

    embedding: nn.Embedding
    fc1: nn.Linear
    fc2: nn.Linear

    def __init__(self, count: int, width: int) -> None:
        self.embedding = nn.Embedding(count, width, init=_small)
        self.fc1, self.fc2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def __call__(self, numbers: Tensor) -> Tensor:
        """numbers (B,) → (B, R) of length 1."""
        e = self.embedding(numbers)
        y = e + self.fc2(kj.relu(self.fc1(e)))
        return nn.functional.normalize(y, dim=-1)


class TwoTower(nn.Module):
    """A network for users, another for items; see the file's docstring.

    Items' vectors do not depend on the user, so that the best of millions are found by a search
    for near neighbours. `share` is a buffer: the logarithm of each item's share of the ratings, by
    which training corrects for items that are drawn often.

    >>> TwoTower(TwoTowerConfig(5, 7, width=4))(kj.tensor([[0, 6], [4, 1]])).shape
    (2,)
    """

    config: TwoTowerConfig
    user_tower: Tower
    item_tower: Tower
    item_bias: nn.Embedding
    share: nn.Buffer

    def __init__(self, config: TwoTowerConfig) -> None:
        self.config = config
        self.user_tower = Tower(config.users, config.width)
        self.item_tower = Tower(config.items, config.width)
        self.item_bias = nn.Embedding(config.items, 1, init=_zeros)
        self.share = kj.zeros(config.items)

    def __call__(self, pairs: Tensor) -> Tensor:
        """pairs (B, 2) of a user and an item → y (B,)."""
        user, item = pairs[:, 0], pairs[:, 1]
        together = kj.sum(self.user_tower(user) * self.item_tower(item), -1)
        return self.item_bias(item)[:, 0] + together / self.config.temperature

    def each_with_each(self, pairs: Tensor) -> Tensor:
        """pairs (B, 2) → y (B, B): each pair's user with each pair's item."""
        user, item = pairs[:, 0], pairs[:, 1]
        together = self.user_tower(user) @ self.item_tower(item).T  # (B, B)
        return self.item_bias(item)[:, 0] + together / self.config.temperature

    def scores(self, users: Array) -> Array:
        """y of some users (B,) with all items: float32 (B, I)."""
        p = self.user_tower(kj.tensor(users)).numpy()
        together = p @ self.item_vectors.T / np.float32(self.config.temperature)
        found: Array = self.item_bias.weight.numpy()[:, 0] + together
        return found

    @property
    def item_vectors(self) -> Array:
        """The vectors of all items (I, R), by whose angles items are alike."""
        found: Array = self.item_tower(kj.arange(self.config.items)).numpy()
        return found


# ------------------------------------------------------------------------------------- use


def recommend(model: Any, user: int, count: int = 10, without: Any = ()) -> list[tuple[int, float]]:
    """The items with the highest y for a user, except some: their numbers, with y.

    Raises UsageError for a user whom the model does not have.
    """
    if not 0 <= user < model.config.users:
        fix = f"a number from 0 to {model.config.users - 1}: ratings.users.index(NAME)"
        raise UsageError(f"there is no user {user}", fix=fix)
    return best_of(model.scores(np.array([user]))[0], count, without)


def best_of(scores: Array, count: int, without: Any = ()) -> list[tuple[int, float]]:
    """The items with the highest scores (I,), except some: their numbers, with the score."""
    left = scores.astype(np.float64)
    left[np.asarray(list(without), np.int64)] = -np.inf
    best = np.argsort(-left, kind="stable")[:count]
    return [(int(item), float(left[item])) for item in best if np.isfinite(left[item])]


def alike(model: Any, item: int, others: Any, count: int = 3) -> list[tuple[int, float]]:
    """Which of some other items are most like one: their numbers, with the angle's cosine."""
    numbers = np.asarray(list(others), np.int64)
    vectors = model.item_vectors.astype(np.float64)
    lengths = np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
    cosines = vectors[numbers] @ vectors[item] / (lengths[numbers] * lengths[item])
    best = np.argsort(-cosines, kind="stable")[:count]
    return [(int(numbers[place]), float(cosines[place])) for place in best]


registry.add(FactorsConfig.model_type, FactorsConfig, Factors)
registry.add(TwoTowerConfig.model_type, TwoTowerConfig, TwoTower)
