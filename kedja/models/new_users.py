"""Users whom a recommender has not met: their vectors, found from what they met or rated.

The items stay as they were learned, and what is known of users is that they are like those who were
trained on, whose vectors p have the mean μ and the covariance Σ. With c(p) = ½ (p − μ)ᵀ Σ⁻¹ (p − μ)
the vector of a new user is the most probable one:

    met items i, all items j:       argmin −Σ_i log softmax_j(y[p, j])[i] + c(p), by Newton's method
    points r_i, error σ of them:    argmin Σ_i (r_i − y[p, i])² / 2σ² + c(p), a linear equation

For points p has the user's level b_u as one number more. Not here: training
(`kedja/train/recommending.py`). Next: `resnet.py`.
Dimensions: N items met, I items, R numbers of a vector, U users.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import kedja as kj
from kedja.ground.errors import DataError, UsageError
from kedja.models.recommenders import Factors, TwoTower, best_of

Array = np.ndarray[Any, np.dtype[Any]]
STEPS, HALVINGS = 50, 30
ENOUGH = 1e-9  # a step that promises less ends the search
LEAST = 1e-4  # of the mean variance is added to each, so that Σ has an inverse


class _Items(NamedTuple):
    """y[p, i] = levels_i + p · vectors_i; what users' p are like."""

    levels: Array
    vectors: Array
    mean: Array
    precision: Array

    def scores(self, p: Array) -> Array:
        """y of all items: (I,)."""
        found: Array = self.levels + self.vectors @ p
        return found

    def cost(self, p: Array) -> float:
        """c(p)."""
        away = p - self.mean
        return 0.5 * float(away @ self.precision @ away)


def recommend_new(
    model: Factors | TwoTower,
    items: Any,
    points: Any = None,
    *,
    count: int = 10,
    error: float = 1.0,
) -> list[tuple[int, float]]:
    """The items with the highest y for a new user, without those given: their numbers, with y.

    `items` (N,) are numbers of what the user met. For a model of points `points` (N,) are what the
    user gave them, and `error` the usual error of the model's points. Raises DataError where no
    item is given, UsageError for items that there are not, and for points that do not fit.
    """
    met = np.asarray(items, np.int64).ravel()
    given = None if points is None else np.asarray(points, np.float64).ravel()
    _require(model, met, given, error)
    known = _known(model, given is not None)
    p = _by_order(known, met) if given is None else _by_points(known, met, given, error)
    return best_of(known.scores(p), count, met)


def _require(model: Factors | TwoTower, met: Array, points: Array | None, error: float) -> None:
    if not len(met):
        raise DataError("nothing is known of the new user", fix="give items that they met")
    if met.min() < 0 or met.max() >= model.config.items:
        fix = f"numbers from 0 to {model.config.items - 1}: ratings.items.index(NAME)"
        raise UsageError(f"there is no item {met.max() if met.min() >= 0 else met.min()}", fix=fix)
    if points is None:
        return
    if isinstance(model, TwoTower):
        raise UsageError("two towers rank what users met, they predict no points", fix="give none")
    if points.shape != met.shape or not np.isfinite(points).all():
        raise UsageError(f"{len(points)} points of {len(met)} items", fix="a number for each item")
    if not error > 0:
        raise UsageError(f"error is {error}", fix="a number above 0")


def _known(model: Factors | TwoTower, points: bool) -> _Items:
    """The items as they were learned, and what the users are like."""
    if isinstance(model, TwoTower):
        levels = model.item_bias.weight.numpy()[:, 0]
        users = model.user_tower(kj.arange(model.config.users)).numpy()
        vectors = model.item_vectors / model.config.temperature
    else:
        levels = model.mean.numpy() + model.item_bias.weight.numpy()[:, 0]
        users, vectors = model.users.weight.numpy(), model.items.weight.numpy()
        if points:
            users = np.hstack([users, model.user_bias.weight.numpy()])
            vectors = np.hstack([vectors, np.ones((len(vectors), 1))])
    users = users.astype(np.float64)
    mean = users.mean(axis=0)
    spread = (users - mean).T @ (users - mean) / len(users)
    floor = LEAST * float(np.trace(spread)) / len(mean) or 1.0
    precision = np.linalg.inv(spread + floor * np.eye(len(mean)))
    return _Items(levels.astype(np.float64), vectors.astype(np.float64), mean, precision)


def _by_points(known: _Items, met: Array, points: Array, error: float) -> Array:
    """The vector by which the points are predicted."""
    q = known.vectors[met]  # (N, R)
    rest = points - known.levels[met] - q @ known.mean
    found: Array = np.linalg.solve(q.T @ q / error**2 + known.precision, q.T @ rest / error**2)
    return known.mean + found


def _by_order(known: _Items, met: Array) -> Array:
    """The vector by which what was met stands above the rest."""
    p, q = known.mean, known.vectors
    wanted = q[met].sum(axis=0)
    loss, shares = _loss(known, met, p)
    for _ in range(STEPS):
        middle = q.T @ shares
        slope = len(met) * middle - wanted + known.precision @ (p - known.mean)
        bend = (q.T * shares) @ q - np.outer(middle, middle)
        step = np.linalg.solve(len(met) * bend + known.precision, slope)
        promised = float(slope @ step)
        if promised < ENOUGH:
            break
        for halving in range(HALVINGS):
            size = 0.5**halving
            after, there = _loss(known, met, p - size * step)
            if after <= loss - 0.25 * size * promised:
                break
        p, loss, shares = p - size * step, after, there
    return p


def _loss(known: _Items, met: Array, p: Array) -> tuple[float, Array]:
    """What is minimised, and softmax(y)."""
    y = known.scores(p)
    weights = np.exp(y - y.max())
    total = np.log(weights.sum()) + y.max()
    loss = len(met) * float(total) - float(y[met].sum()) + known.cost(p)
    return loss, weights / weights.sum()
