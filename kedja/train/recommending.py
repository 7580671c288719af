"""Training recommenders, on points or on what users met.

    Factors, points:      mean over ratings of (rating − y[u, i])²
    Factors, no points:   −log σ(y[u, i] − y[u, j]), items j drawn from all alike
    TwoTower:             −log softmax_j(y[u, j] − log share_j)[i], j the items of the batch

Each with AdamW, whose decay holds the vectors short. Sources: Y. Koren et al. (2009); S. Rendle et
al.: BPR, Bayesian personalized ranking from implicit feedback (2009); X. Yi et al.:
Sampling-bias-corrected neural modeling for large corpus item recommendations (2019).
Not here: the models (`kedja/models/recommenders.py`), recall and NDCG (`ranking.py`).
Next: `ranking.py`.
Dimensions: B ratings, J items drawn for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import kedja as kj
from kedja import Tensor, nn, optim
from kedja.data.ratings import Ratings
from kedja.front import random
from kedja.ground.errors import DataError, UsageError
from kedja.models.recommenders import Factors, FactorsConfig, TwoTower, TwoTowerConfig
from kedja.train.examples import Examples, Rows
from kedja.train.history import History
from kedja.train.pace import epochs_for
from kedja.train.trainer import Trainer

Array = np.ndarray[Any, np.dtype[Any]]

RATE, DECAY, BATCH = 1e-2, 0.1, 256
# Of the factors, where a user is in every batch or nearly, and how much of it for each of a user's
# ratings in a batch: vectors that are rarely trained must not decay to nothing in between.
DECAYS, SELDOM = {"points": 0.1, "order": 0.3}, 0.43
DRAWN = 4
STEPS = 3000
NEVER = -1e9  # the logit of what is not to be chosen


# ---------------------------------------------------------------------------------- losses


@dataclass(frozen=True)
class PairwiseLoss:
    """What a user met is above what is drawn; outside of training from the key 0."""

    items: int
    drawn: int = DRAWN

    def __call__(self, model: Factors, pairs: Tensor) -> Tensor:
        """pairs (B, 2) → the loss, a scalar."""
        key = nn.next_key() if nn.is_training() else random.key(0)
        shape = (pairs.shape[0], self.drawn)
        other = kj.floor(random.uniform(key, shape) * self.items).astype(kj.int32)  # (B, J)
        user = kj.broadcast_to(pairs[:, :1], shape)
        against = model(kj.stack([user, other], -1))  # (B, J)
        return kj.mean(kj.softplus(against - kj.expand_dims(model(pairs), -1)))


def softmax_loss(model: TwoTower, pairs: Tensor) -> Tensor:
    """Each user's item among those of the batch; pairs (B, 2) → the loss, a scalar.

    An item that stands in the batch twice does not compete with itself.
    """
    item = pairs[:, 1]
    logits = model.each_with_each(pairs) - kj.take(model.share, item)  # (B, B)
    same = kj.expand_dims(item, 1) == kj.expand_dims(item, 0)
    rivals = same & ~kj.eye(pairs.shape[0], dtype=kj.bool)
    logits = kj.where(rivals, NEVER, logits)
    return nn.cross_entropy(logits, kj.arange(pairs.shape[0]))


# -------------------------------------------------------------------------------- training


def fit_factors(
    ratings: Ratings,
    *,
    width: int = 32,
    points: bool | None = None,
    validation: Ratings | None = None,
    epochs: int | None = None,
    batch_size: int = BATCH,
    seed: int = 0,
    resume: bool = False,
    **options: Any,
) -> History:
    """Matrix factorisation; the history holds the `Factors`.

    `points` says whether to predict ratings or to rank what was met; by default, whether the
    ratings differ. `epochs` make some 3,000 steps unless given; further options are those of
    `Trainer`. Raises DataError where there are no ratings.
    """
    points = ratings.explicit if points is None else points
    loss: Any = "mse" if points else PairwiseLoss(len(ratings.items))
    made = factors_for(ratings, width, seed, points)
    options = {**_usual(usual_decay(ratings, batch_size, points)), **options}
    trainer = Trainer(made, loss=loss, batch_size=batch_size, seed=seed, **options)
    x, y = _rows(ratings, points)
    epochs = epochs or usual_epochs(len(ratings), batch_size)
    return trainer.fit(x, y, epochs=epochs, validation=_held(validation, points), resume=resume)


def fit_two_tower(
    ratings: Ratings,
    *,
    width: int = 8,
    validation: Ratings | None = None,
    epochs: int | None = None,
    batch_size: int = BATCH,
    seed: int = 0,
    resume: bool = False,
    **options: Any,
) -> History:
    """Two towers, on what users met; the history holds the `TwoTower`.

    Every rating counts as a meeting, whatever its points: give those that are liked alone
    (`ratings.rows`) where that is meant. Options as in `fit_factors`.
    """
    made = two_tower_for(ratings, width, seed)
    options = {**_usual(), **options}
    trainer = Trainer(made, loss=softmax_loss, batch_size=batch_size, seed=seed, **options)
    x, _ = _rows(ratings)
    epochs = epochs or usual_epochs(len(ratings), batch_size)
    return trainer.fit(x, epochs=epochs, validation=_held(validation, points=False), resume=resume)


def factors_for(ratings: Ratings, width: int, seed: int, points: bool) -> Factors:
    """Factors before training, of ratings' users and items, with the ratings' mean."""
    _require(ratings)
    random.seed(seed)
    made = Factors(FactorsConfig(len(ratings.users), len(ratings.items), width))
    mean = ratings.rating.mean(dtype=np.float64) if points else 0.0
    return made.replace(mean=kj.tensor(np.float32(mean)))


def two_tower_for(ratings: Ratings, width: int, seed: int) -> TwoTower:
    """Towers before training, with each item's share of the ratings."""
    _require(ratings)
    random.seed(seed)
    made = TwoTower(TwoTowerConfig(len(ratings.users), len(ratings.items), width))
    counts = np.bincount(ratings.item, minlength=len(ratings.items)) + 1.0
    return made.replace(share=kj.tensor(np.log(counts / counts.sum()).astype(np.float32)))


def usual_epochs(count: int, batch: int) -> int:
    """How often so many ratings are seen unless another number is asked for."""
    return epochs_for(STEPS, count, batch, 5, 200)


def usual_decay(ratings: Ratings, batch: int, points: bool) -> float:
    """The weight decay of factors: the less, the more seldom a user is in a batch.

    On ratings made with other seeds, 0.3, 0.1 and 0.03 were the best of these for the order of
    items where 600, 2,000 and 6,000 users were trained in batches of 256.
    """
    most = DECAYS["points" if points else "order"]
    share = batch / max(1, len(ratings.users)) / SELDOM
    return float(f"{most * min(1.0, share):.2g}")


def _usual(decay: float = DECAY) -> dict[str, Any]:
    return {"optimizer": optim.AdamW(RATE, weight_decay=decay), "schedule": "cosine"}


def _held(validation: Ratings | None, points: bool) -> Examples | None:
    return None if validation is None else Rows(*_rows(validation, points))


def _rows(ratings: Ratings, points: bool = False) -> tuple[Array, Array | None]:
    pairs = np.stack([ratings.user, ratings.item], 1).astype(np.int32)  # (N, 2)
    return pairs, ratings.rating if points else None


def _require(ratings: Ratings) -> None:
    if not len(ratings):
        raise DataError("there are no ratings", fix="give some")


# --------------------------------------------------------------------------------- figures


def rating_error(model: Factors, test: Ratings) -> float:
    """√ of the mean squared error of predicted ratings. Raises DataError for none."""
    _require(test)
    pairs, _ = _rows(test, points=False)
    predicted = model(kj.tensor(pairs)).numpy().astype(np.float64)
    return float(np.sqrt(np.mean((predicted - test.rating) ** 2)))


def level_error(train: Ratings, test: Ratings, shrinkage: float = 5.0) -> float:
    """The same of mean + b_u + b_i, levels that are pulled to 0 by so many ratings: a baseline."""
    _require(test)
    mean = float(train.rating.mean(dtype=np.float64))
    rest = train.rating.astype(np.float64) - mean
    item = _levels(train.item, rest, len(train.items), shrinkage)
    user = _levels(train.user, rest - item[train.item], len(train.users), shrinkage)
    predicted = mean + item[test.item] + user[test.user]
    return float(np.sqrt(np.mean((predicted - test.rating) ** 2)))


def _levels(who: Array, rest: Array, count: int, shrinkage: float) -> Array:
    totals = np.bincount(who, rest, minlength=count)
    found: Array = totals / (np.bincount(who, minlength=count) + shrinkage)
    return found


def recovery(learned: Array, true: Array) -> Array:
    """How well factors (N, R) are found again, up to their axes: canonical correlations (R,).

    The largest first; 1 for each where one is a linear map of the other.
    Source: H. Hotelling: Relations between two sets of variates (1936).
    Raises UsageError where there are fewer rows than factors.

    >>> true = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 2.0], [3.0, 1.0]])
    >>> recovery(true @ np.array([[0.0, 2.0], [1.0, 1.0]]) + 5, true).round(6).tolist()
    [1.0, 1.0]
    """
    if len(learned) != len(true) or len(true) <= true.shape[1]:
        what = f"factors of {len(learned)} and {len(true)} things"
        raise UsageError(what, fix="give the same things, more than there are factors")
    bases = [np.linalg.qr(each - each.mean(axis=0))[0] for each in (learned, true)]
    found: Array = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)
    return found[: true.shape[1]]
