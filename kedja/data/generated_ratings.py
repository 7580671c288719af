"""Ratings made from factors that are known, so that it can be told whether a model finds them.

    affinity[u, i] = p_u · q_i / √R,   p, q ~ N(0, 1)
    rating[u, i]   = 3 + b_u + b_i + affinity[u, i] + noise · N(0, 1)

Which items a user meets is drawn without replacement, item i with probability ∝
exp(choosy · affinity[u, i] + popularity_i): with `choosy` 0 by popularity alone, as in a survey,
above 0 as people do who take what they like. Not here: reading files (`ratings.py`).
Next: `kedja/models/recommenders.py`.
Dimensions: U users, I items, R factors, N ratings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kedja.data.ratings import Ratings
from kedja.ground.errors import UsageError

Array = np.ndarray[Any, np.dtype[Any]]

CENTRE = 3.0
SPREAD = 0.3  # of the users' and items' own levels, and of the items' popularity


@dataclass(frozen=True)
class Made:
    """Ratings, and what they were made of: `users` (U, R), `items` (I, R), `levels` (U, I)."""

    ratings: Ratings
    users: Array
    items: Array
    levels: Array

    @property
    def affinity(self) -> Array:
        """p_u · q_i / √R of all pairs, float64 (U, I)."""
        found: Array = self.users @ self.items.T / np.sqrt(self.users.shape[1])
        return found


def generate(
    users: int = 300,
    items: int = 200,
    factors: int = 4,
    each: int = 40,
    *,
    noise: float = 0.1,
    choosy: float = 0.0,
    seed: int = 0,
) -> Made:
    """Ratings of `each` items by each user, in an order of time that is drawn.

    Raises UsageError where a user cannot meet so many items.

    >>> made = generate(users=5, items=6, factors=2, each=3)
    >>> len(made.ratings), made.affinity.shape
    (15, (5, 6))
    """
    if not 0 < each <= items:
        raise UsageError(f"{each} items for each user of {items} items", fix="from 1 to all")
    draw = np.random.Generator(np.random.Philox(seed))
    p, q = draw.standard_normal((users, factors)), draw.standard_normal((items, factors))
    affinity = p @ q.T / np.sqrt(factors)  # (U, I)
    own = SPREAD * draw.standard_normal((users, 1)), SPREAD * draw.standard_normal((1, items))
    popularity = draw.standard_normal((1, items))
    # The largest of logits with Gumbel noise are a draw without replacement.
    keys = choosy * affinity + popularity + draw.gumbel(size=(users, items))
    met = np.sort(np.argpartition(-keys, each - 1, axis=1)[:, :each], axis=1)  # (U, each)
    user = np.repeat(np.arange(users), each)
    item = met.reshape(-1)
    levels = CENTRE + own[0] + own[1] + affinity
    rating = levels[user, item] + noise * draw.standard_normal(len(user))
    order = draw.permutation(len(user))
    found = Ratings(
        "made",
        tuple(f"user {number}" for number in range(users)),
        tuple(f"item {number}" for number in range(items)),
        user[order].astype(np.int32),
        item[order].astype(np.int32),
        rating[order].astype(np.float32),
        np.arange(len(user), dtype=np.float64),
    )
    return Made(found, p, q, levels)
