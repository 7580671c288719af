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
