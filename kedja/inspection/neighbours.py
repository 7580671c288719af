"""The nearest neighbours of every example, and which of them are nearer than chance allows.

Where points lie with a density that hardly changes between a point and its K-th neighbour, in m
dimensions, the share of the K-th neighbour's ball that the nearest one's takes, (d₁/d_K)^m, is
the least of K − 1 uniform numbers: P((d₁/d_K)^m ≤ u) = 1 − (1 − u)^{K−1}, whatever the density is.
m is what makes the median of all examples right, so that a few copies do not move it. A copy with
a little noise has a d₁ that is far too small. Source: the ratios are those of E. Facco et al.,
"Estimating the intrinsic dimension of datasets by a minimal neighborhood information" (2017).

Not here: what is done with such pairs (`duplicates.py`, `leaks.py`). Next: `duplicates.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kedja.inspection.subject import Array

K = 10
MOST = 50_000
_BLOCK = 2**24  # distances held at once
_CHUNK = 64  # distances of which the least is looked at first
_DIRECTIONS = 64  # more features are projected onto so many random directions
LARGEST_DIMENSION = 30.0


@dataclass(frozen=True)
class Neighbours:
    """For each point, the K nearest others: `distances` and `rows`, (N, K), nearest first."""

    distances: Array
    rows: Array

    def chances(self, dimension: float) -> Array:
        """How probable it is that the nearest neighbour is as near as it is: (N,)."""
        return _chance(self.ratios, dimension, self.distances.shape[1])

    @property
    def ratios(self) -> Array:
        """d₁ / d_K, 1 where both are 0: nothing is told by points that lie in one place."""
        last = self.distances[:, -1]
        return np.divide(self.distances[:, 0], last, out=np.ones_like(last), where=last > 0)

    @property
    def dimension(self) -> float:
        """The dimension m for which the median of (d₁/d_K)^m is what it should be."""
        inside = self.ratios[(self.ratios > 0) & (self.ratios < 1)]
        if not len(inside):
            return LARGEST_DIMENSION
        middle = 1 - 0.5 ** (1 / (self.distances.shape[1] - 1))
        found = float(np.log(middle) / np.log(np.median(inside)))
        return min(max(found, 1.0), LARGEST_DIMENSION)


def _chance(ratios: Array, dimension: float, k: int) -> Array:
    share = np.minimum(ratios**dimension, 1 - 1e-16)
    chances: Array = -np.expm1((k - 1) * np.log1p(-share))
    return chances


def nearest(points: Array, among: Array | None = None, k: int = K) -> Neighbours | None:
    """The k nearest of `among` (M, F) for each of `points` (N, F); of the other points if None.

    None where there are too few points, or nothing to compare. Distances are Euclidean.
    """
    own = among is None
    others = points if among is None else among
    k = min(k, len(others) - own)
    if k < 3 or not points.shape[1]:
        return None
    points, others = _projected(points, others)
    norms = (others * others).sum(1)  # (M,)
    step = max(1, _BLOCK // len(others))
    parts = [
        _block(points[start : start + step], others, norms, k, start if own else None)
        for start in range(0, len(points), step)
    ]
    distances, rows = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Neighbours(distances, rows)


def _projected(points: Array, others: Array) -> tuple[Array, Array]:
    """Fewer features with nearly the same distances (W. Johnson, J. Lindenstrauss, 1984)."""
    features = points.shape[1]
    if features <= 2 * _DIRECTIONS or len(points) * len(others) * features < 2**33:
        return points, others
    directions = np.random.default_rng(0).normal(size=(features, _DIRECTIONS)).astype(np.float32)
    return points @ directions, others @ directions


def smallest(values: Array, k: int) -> Array:
    """The places of the k smallest of each row of values (n, M), in no order: (n, k).

    They are in those k chunks of the row whose least values are the smallest, or in the rest that
    fills no chunk, so that only these are sorted.
    """
    whole = values.shape[1] // _CHUNK
    if whole < 2 * k:
        found: Array = np.argpartition(values, k - 1, axis=1)[:, :k]
        return found
    least = values[:, : whole * _CHUNK].reshape(len(values), whole, _CHUNK).min(2)  # (n, chunks)
    chunks = np.argpartition(least, k - 1, axis=1)[:, :k]
    inside = (chunks[:, :, None] * _CHUNK + np.arange(_CHUNK)).reshape(len(values), -1)
    rest = np.arange(whole * _CHUNK, values.shape[1])
    places = np.concatenate([inside, np.broadcast_to(rest, (len(values), len(rest)))], 1)
    best = np.argpartition(np.take_along_axis(values, places, 1), k - 1, axis=1)[:, :k]
    return np.take_along_axis(places, best, 1)


def _block(
    points: Array, others: Array, norms: Array, k: int, start: int | None
) -> tuple[Array, Array]:
    """Distances and rows of the nearest for some of the points."""
    squares = norms - 2 * (points @ others.T)  # (n, M), less the points' own norms
    if start is not None:
        own = np.arange(len(points))
        squares[own, own + start] = np.inf
    rows = smallest(squares, k)  # (n, k)
    away = points[:, None, :] - others[rows]  # (n, k, F): exactly, also where it is nearly 0
    distances = np.sqrt((away.astype(np.float64) ** 2).sum(2))
    order = np.argsort(distances, axis=1, kind="stable")
    return np.take_along_axis(distances, order, 1), np.take_along_axis(rows, order, 1)
