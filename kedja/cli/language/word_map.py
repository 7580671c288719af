"""Word vectors as a map in two dimensions: words that are alike stand near each other.

Needs matplotlib; t-SNE needs scikit-learn, without which the map is a projection on the two main
directions. Not here: the vectors (`kedja/models/word_vectors.py`).
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kedja.ground.errors import MissingExtra, StorageError, UsageError
from kedja.models.word_vectors import Vocabulary

Array = np.ndarray[Any, np.dtype[Any]]

SKIPPED, SHOWN = 50, 250  # the most frequent words stand everywhere
NEIGHBOURS = 8  # that are shown of each word that is asked for
SUFFIXES = (".svg", ".png", ".pdf")
ASKED, OTHERS = "#d1495b", "#1f5fa8"


def draw(path: Path, found: Vocabulary, asked: Sequence[str]) -> None:
    """Write a map of the frequent words, or of the words that are asked for and their neighbours.

    Raises UsageError for another ending and for unknown words, MissingExtra without matplotlib,
    StorageError where the file cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--plot: {path.name} is no picture", fix=f"end it in {SUFFIXES[0]}")
    words = chosen(found, asked)
    places = flat(np.stack([found.vector(word) for word in words]))
    figure = _figure(words, places, {word.lower() for word in asked})
    try:
        figure.savefig(path, dpi=150)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise StorageError(f"cannot write {path}: {reason}", fix="choose another file") from None


def chosen(found: Vocabulary, asked: Sequence[str]) -> list[str]:
    """Which words a map shows."""
    if not asked:
        whole = [word for word in found.tokenizer.words if word.isalpha()]
        skipped = SKIPPED if len(whole) > SKIPPED + SHOWN else 0
        return whole[skipped : skipped + SHOWN]
    near = [[word.lower(), *(each for each, _ in found.neighbours(word, NEIGHBOURS))]
            for word in asked]  # fmt: skip
    return list(dict.fromkeys(word for words in near for word in words))


def flat(vectors: Array) -> Array:
    """Vectors (N, D) in two dimensions (N, 2): by t-SNE, or on the two main directions.

    t-SNE starts from the latter and has one seed: the same vectors give the same map. Source:
    L. van der Maaten, G. Hinton: Visualizing data using t-SNE (2008).
    """
    plain = main_directions(vectors)
    try:
        manifold: Any = importlib.import_module("sklearn.manifold")
    except ImportError:
        return plain
    if len(vectors) < 4:
        return plain
    start = plain / max(float(plain[:, 0].std()), 1e-12) * 1e-4
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    map_ = manifold.TSNE(2, perplexity=perplexity, metric="cosine", init=start, random_state=0)
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


def _matplotlib(module: str) -> Any:
    try:
        return importlib.import_module(f"matplotlib.{module}")
    except ImportError:
        raise MissingExtra("matplotlib", "plots", "--plot") from None


def _figure(words: Sequence[str], places: Array, asked: set[str]) -> Any:
    """A figure of its own, without pyplot, so that no window and no global state is touched."""
    figure = _matplotlib("figure").Figure(figsize=(9, 9), layout="constrained")
    _matplotlib("backends.backend_agg").FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.scatter(*places.T, s=5, color=OTHERS, alpha=0.5, linewidths=0)
    for word, place in zip(words, places, strict=True):
        color, weight = (ASKED, "bold") if word in asked else ("#333333", "normal")
        axes.annotate(word, place, fontsize=7, color=color, weight=weight, parse_math=False)
    axes.set_axis_off()
    return figure
