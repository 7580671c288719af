"""Word vectors as a map in two dimensions: words that are alike stand near each other.

Needs matplotlib; t-SNE needs scikit-learn, without which the map is a projection on the two main
directions. Not here: the vectors (`kedja/models/word_vectors.py`). Next: `vectors.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kedja.models.word_vectors import Vocabulary
from kedja.views import figures
from kedja.views.planes import flat

Array = np.ndarray[Any, np.dtype[Any]]

SKIPPED, SHOWN = 50, 250  # the most frequent words stand everywhere
NEIGHBOURS = 8  # that are shown of each word that is asked for
ASKED, OTHERS = "#d1495b", "#1f5fa8"


def draw(path: Path, found: Vocabulary, asked: Sequence[str]) -> None:
    """Write a map of the frequent words, or of the words that are asked for and their neighbours.

    Raises UsageError for another ending and for unknown words, MissingExtra without matplotlib,
    StorageError where the file cannot be written.
    """
    figures.require(path)
    words = chosen(found, asked)
    places = flat(np.stack([found.vector(word) for word in words]))
    figures.save(_figure(words, places, {word.lower() for word in asked}), path)


def chosen(found: Vocabulary, asked: Sequence[str]) -> list[str]:
    """Which words a map shows."""
    if not asked:
        whole = [word for word in found.tokenizer.words if word.isalpha()]
        skipped = SKIPPED if len(whole) > SKIPPED + SHOWN else 0
        return whole[skipped : skipped + SHOWN]
    near = [[word.lower(), *(each for each, _ in found.neighbours(word, NEIGHBOURS))]
            for word in asked]  # fmt: skip
    return list(dict.fromkeys(word for words in near for word in words))


def _figure(words: Sequence[str], places: Array, asked: set[str]) -> Any:
    figure = figures.figure(figsize=(9, 9))
    axes = figure.add_subplot()
    axes.scatter(*places.T, s=5, color=OTHERS, alpha=0.5, linewidths=0)
    for word, place in zip(words, places, strict=True):
        color, weight = (ASKED, "bold") if word in asked else ("#333333", "normal")
        axes.annotate(word, place, fontsize=7, color=color, weight=weight, parse_math=False)
    axes.set_axis_off()
    return figure
