"""How good recommendations are: recall and NDCG of the first k, beside popularity and item-kNN.

For a user with the relevant held-out items T, and the k items that are recommended to them (those
that they rated in training are never recommended):

    recall@k = |recommended ∩ T| / min(k, |T|)
    NDCG@k   = Σ_{ranks r of hits} 1/log₂(r + 1)  /  Σ_{r = 1 … min(k, |T|)} 1/log₂(r + 1)

both averaged over users; intervals are 1.96 standard errors of that mean. All items are ranked,
not a sample of them (W. Krichene, S. Rendle: On sampled metrics for item recommendation, 2020).
Sources: K. Järvelin, J. Kekäläinen: Cumulated gain-based evaluation of IR techniques (2002);
M. Deshpande, G. Karypis: Item-based top-N recommendation algorithms (2004).
Not here: the models (`kedja/models/recommenders.py`). Next: `recommending.py`.
Dimensions: B users at once, U users, I items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from kedja.data.ratings import Ratings
from kedja.ground.errors import DataError, UsageError

Array = np.ndarray[Any, np.dtype[Any]]
Scores = Callable[[Array], Array]  # users (B,) → how much each likes each item (B, I)

AT_ONCE = 1 << 23  # scores that are held together
SHRINKAGE = 10.0
NEAREST = 50
MOST_ITEMS = 30_000  # as many squared are held as a matrix


class Ranking(NamedTuple):
    """Means over `users` of recall@k and NDCG@k, with half the width of their 95 % intervals."""

    k: int
    recall: float
    ndcg: float
    recall_error: float
    ndcg_error: float
    users: int


def evaluate_ranking(
    scores: Scores, train: Ratings, test: Ratings, *, k: int = 10, relevant: float | None = None
) -> Ranking:
    """How well scores rank the items that users rated later.

    Items count with at least `relevant` points (all of them unless given), users with at least one
    such item and one rating in training. Raises DataError where there is no such user.
    """
    if k < 1:
        raise UsageError(f"the first {k} items", fix="give 1 or more")
    wanted = _by_user(test if relevant is None else test.rows(_at_least(test, relevant)))
    known = _by_user(train)
    users = np.array(sorted(wanted.keys() & known.keys()), np.int64)
    if not len(users):
        what = "no user of the test has ratings in training, too"
        raise DataError(what, fix="give more ratings of each user")
    found = []
    for some in _some(users, len(train.items)):
        given = np.array(scores(some), np.float32)  # (B, I)
        for row, user in enumerate(some.tolist()):
            given[row, known[user]] = -np.inf
        first = _first(given, k)
        found += [_one(row, wanted[user]) for row, user in zip(first, some.tolist(), strict=True)]
    recall, ndcg = np.array(found).T
    means = float(recall.mean()), float(ndcg.mean())
    return Ranking(k, *means, _error(recall), _error(ndcg), len(users))


def _at_least(test: Ratings, relevant: float) -> Array:
    return np.flatnonzero(test.rating >= relevant)


def _by_user(ratings: Ratings) -> dict[int, Array]:
    """The items of each user."""
    if not len(ratings):
        return {}
    order = np.argsort(ratings.user, kind="stable")
    users, starts = np.unique(ratings.user[order], return_index=True)
    parts = np.split(ratings.item[order], starts[1:])
    return dict(zip(users.tolist(), parts, strict=True))


def _some(users: Array, items: int) -> Iterator[Array]:
    size = max(1, AT_ONCE // items)
    for start in range(0, len(users), size):
        yield users[start : start + size]


def _first(scores: Array, k: int) -> Array:
    """The numbers of the k highest of each row, the highest first; the lower number of equals."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def _one(recommended: Array, wanted: Array) -> tuple[float, float]:
    """Recall and NDCG of one user.

    >>> [round(each, 3) for each in _one(np.array([4, 7, 1]), np.array([1, 4]))]
    [1.0, 0.92]
    """
    hits = np.isin(recommended, wanted)
    worth = 1 / np.log2(np.arange(2, len(recommended) + 2))
    most = min(len(recommended), len(wanted))
    return float(hits.sum() / most), float((hits * worth).sum() / worth[:most].sum())


def _error(values: Array) -> float:
    return 1.96 * float(values.std()) / float(np.sqrt(len(values)))


# -------------------------------------------------------------------------------- baselines


def popularity(train: Ratings, relevant: float | None = None) -> Scores:
    """How often each item was rated with at least `relevant` points: the same for every user."""
    kept = train if relevant is None else train.rows(_at_least(train, relevant))
    counts = np.bincount(kept.item, minlength=len(train.items)).astype(np.float32)
    return lambda users: np.broadcast_to(counts, (len(users), len(counts)))


def item_knn(train: Ratings, nearest: int = NEAREST, *, points: bool = False) -> Scores:
    """Items that the same users met: Σ_j w_ij r_uj over the user's items j.

    r is 1, or with `points` a rating less the user's mean; w_ij the cosine of two items' columns
    of r, shrunk by n_ij / (n_ij + 10) where n_ij users rated both, of the `nearest` items of i
    alone. Raises UsageError for more than 30,000 items.
    """
    items = len(train.items)
    if items > MOST_ITEMS:
        raise UsageError(f"item-kNN of {items:,} items", fix=f"at most {MOST_ITEMS:,}")
    profiles = _profiles(train, points)
    products = np.zeros((items, items), np.float32)
    together = np.zeros((items, items), np.float32)
    for places, values in profiles.values():
        products[np.ix_(places, places)] += np.outer(values, values)
        together[np.ix_(places, places)] += 1
    weights = _nearest(_cosines(products) * together / (together + SHRINKAGE), nearest)
    return lambda users: np.stack([_score(weights, profiles, user) for user in users.tolist()])


def _profiles(train: Ratings, points: bool) -> dict[int, tuple[Array, Array]]:
    """Each user's items, and what they are worth to them."""
    rows = _by_user(train)
    order = np.argsort(train.user, kind="stable")
    parts = np.split(train.rating[order], np.cumsum([len(each) for each in rows.values()])[:-1])
    values = (part - part.mean() if points else np.ones(len(part), np.float32) for part in parts)
    return {
        user: (places, value) for (user, places), value in zip(rows.items(), values, strict=True)
    }


def _cosines(products: Array) -> Array:
    lengths = np.sqrt(np.maximum(np.diagonal(products), 1e-12))
    found: Array = products / np.outer(lengths, lengths)
    np.fill_diagonal(found, 0)
    return found


def _nearest(weights: Array, count: int) -> Array:
    """The largest of each row; 0 elsewhere."""
    if count >= weights.shape[1]:
        return weights
    least = np.partition(weights, -count, axis=1)[:, -count]
    return np.where(weights >= least[:, None], weights, 0)


def _score(weights: Array, profiles: dict[int, tuple[Array, Array]], user: int) -> Array:
    if user not in profiles:
        return np.zeros(len(weights), np.float32)
    places, values = profiles[user]
    found: Array = weights[:, places] @ values
    return found
