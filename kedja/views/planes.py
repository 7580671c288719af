"""Vectors of many numbers as places in a plane: what is alike lies near.

t-SNE needs the extra `learn`; without it the plane is that of the two main directions. Not here:
drawing (`pictures.py`). Next: `pictures.py`.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

PERPLEXITY = 30.0
FEWEST = 4  # t-SNE needs neighbours
ROUNDS, BLOCK = 400, 20  # of pushing apart, at most; those with the same neighbours
SLACK = 0.05  # of a side by which two may overlap in the end
RELAXED = 0.5  # of a push, since many push the same square


def flat(vectors: Array, metric: str = "cosine") -> Array:
    """Vectors (N, D) in two dimensions (N, 2): by t-SNE, or on the two main directions.

    t-SNE starts from the latter and has one seed: the same vectors give the same map. Source:
    L. van der Maaten, G. Hinton: Visualizing data using t-SNE (2008).
    """
    plain = main_directions(vectors)
    try:
        manifold: Any = importlib.import_module("sklearn.manifold")
    except ImportError:
        return plain
    if len(vectors) < FEWEST:
        return plain
    start = plain / max(float(plain[:, 0].std()), 1e-12) * 1e-4
    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    map_ = manifold.TSNE(2, perplexity=perplexity, metric=metric, init=start, random_state=0)
    placed: Array = map_.fit_transform(vectors)
    return placed


def main_directions(vectors: Array) -> Array:
    """The two directions along which vectors (N, D) differ most (principal components): (N, 2)."""
    centred = vectors - vectors.mean(0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    found = u[:, :2] * s[:2]
    found = np.pad(found, [(0, 0), (0, 2 - found.shape[1])])
    largest = found[np.abs(found).argmax(0), [0, 1]]  # its sign decides: SVD leaves it open
    placed: Array = found * np.where(largest < 0, -1, 1)
    return placed


def apart(places: Array, side: float) -> Array:
    """Places (N, 2), moved as little as need be until squares of that side hardly overlap.

    In each round two squares that overlap are pushed apart along the axis on which less is missing;
    the same places give the same answer. Groups grow, and what lay near stays near.
    """
    found = np.array(places, np.float64)
    found += 1e-6 * side * np.arange(len(found))[:, None] * [1, -1]  # equal places part too
    for _ in range(ROUNDS // BLOCK):
        if not len(_near(found, (1 - SLACK) * side)):
            break
        pairs = _near(found, 2 * side)
        for _ in range(BLOCK):
            _push(found, pairs, side)
    return found


def _near(places: Array, side: float) -> Array:
    """Pairs of places (P, 2) that differ by less than `side` on both axes."""
    near = np.abs(places[:, None] - places[None]).max(-1) < side  # (N, N)
    found: Array = np.argwhere(np.triu(near, 1))
    return found


def _push(places: Array, pairs: Array, side: float) -> None:
    """Push those of the pairs that overlap a little apart."""
    gaps = places[pairs[:, 0]] - places[pairs[:, 1]]  # (P, 2)
    missing = side - np.abs(gaps)
    axis = missing.argmin(1)
    rows = np.arange(len(pairs))
    steps = RELAXED / 2 * np.maximum(missing[rows, axis], 0)
    steps *= np.where(gaps[rows, axis] < 0, -1, 1)
    np.add.at(places, (pairs[:, 0], axis), steps)
    np.add.at(places, (pairs[:, 1], axis), -steps)
