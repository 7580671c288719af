"""Training a classifier of texts, and what its quality is worth beside simple guesses.

Not here: the network (`kedja/models/text_classifier.py`). Next: `kedja/models/bert.py`.
Dimensions: N texts, L words, C classes, V words known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import kedja as kj
from kedja import Tensor, nn, optim
from kedja.data.batches import split_order
from kedja.data.tokens import Tokenizer
from kedja.data.words import PADDING, UNKNOWN, Words
from kedja.front import random
from kedja.ground.errors import DataError, ShapeError, UsageError
from kedja.models.text_classifier import (
    SPECIALS,
    TextClassifier,
    TextClassifierConfig,
    classify,
    rows_of,
)
from kedja.train.history import History
from kedja.train.pace import epochs_for
from kedja.train.trainer import Trainer

Array = np.ndarray[Any, np.dtype[Any]]
Classes = Sequence[str]

RATE, DECAY, STEPS = 1e-2, 0.1, 750
VOCABULARY = 30_000


# ------------------------------------------------------------------------------- training


@dataclass(frozen=True)
class LabelLoss:
    """−log p(label), each class as its weight says (1 unless given)."""

    weights: tuple[float, ...] | None = None

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """logits (B, C), labels (B,) → the loss, a scalar."""
        weight = None if self.weights is None else kj.tensor(self.weights, kj.float32)
        return nn.cross_entropy(logits, labels, weight=weight)


def fit_text_classifier(
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    validation: tuple[Sequence[str], Sequence[str]] | None = None,
    tokenizer: Tokenizer | None = None,
    config: TextClassifierConfig | None = None,
    balanced: bool = False,
    epochs: int | None = None,
    batch_size: int = 32,
    seed: int = 0,
    resume: bool = False,
    **options: Any,
) -> tuple[History, Tokenizer]:
    """Train a classifier on texts and their labels; the history holds the model.

    `tokenizer` is one of all words, `config` a usual one unless given; `epochs` make some 750
    steps. With `balanced` each class counts alike, however rare it is. Texts of `validation`
    with labels that were never seen are left out of its loss (`evaluate_classifier` counts them).
    Raises ShapeError where texts and labels differ in number, DataError where there is one class
    only, or no text with a word in it.
    """
    _require(texts, labels)
    tokenizer = vocabulary(texts) if tokenizer is None else tokenizer
    config = config_for(tokenizer, labels) if config is None else config
    epochs = epochs or usual_epochs(len(texts), batch_size)
    random.seed(seed)
    trainer = Trainer(
        TextClassifier(config),
        loss=LabelLoss(_weights(labels, config.classes) if balanced else None),
        **{**_usual(), **options},
        batch_size=batch_size,
        metrics=("accuracy",),
        seed=seed,
    )
    x, y = rows_of(texts, tokenizer, config), numbers_of(labels, config.classes)
    held = None if validation is None else _held(validation, tokenizer, config)
    return trainer.fit(x, y, epochs=epochs, validation=held, resume=resume), tokenizer


def usual_epochs(count: int, batch: int) -> int:
    """How often so many texts are seen unless another number is asked for."""
    return epochs_for(STEPS, count, batch, 5, 100)


def _usual() -> dict[str, Any]:
    return {"optimizer": optim.AdamW(RATE, weight_decay=DECAY), "schedule": "cosine"}


def vocabulary(texts: Sequence[str], most: int = VOCABULARY) -> Words:
    """The most frequent words of some texts, with the special tokens of a classifier."""
    return Words.of(texts, most, specials=SPECIALS)


def config_for(tokenizer: Tokenizer, labels: Sequence[str], **sizes: Any) -> TextClassifierConfig:
    """A configuration that fits a tokenizer and labels."""
    missing = [name for name in SPECIALS if name not in tokenizer.specials]
    if missing:
        what = f"the tokenizer has no special token {', '.join(missing)}"
        raise UsageError(what, fix=f"make it with specials={list(SPECIALS)}")
    plain = TextClassifierConfig(tokenizer.size, names_of(labels), **sizes)
    pad, unknown = tokenizer.specials[PADDING], tokenizer.specials[UNKNOWN]
    return replace(plain, pad_token_id=pad, unk_token_id=unknown)


def names_of(labels: Iterable[str]) -> tuple[str, ...]:
    """The different labels in order: by value where all are numbers, else by the alphabet."""
    names = set(labels)
    numeric = all(name.removeprefix("-").isdecimal() for name in names)
    return tuple(sorted(names, key=int)) if numeric else tuple(sorted(names))


def numbers_of(labels: Sequence[str], classes: Classes) -> Array:
    """The number of each label among the classes, int64 (N,), −1 for others."""
    known = {label: number for number, label in enumerate(classes)}
    return np.array([known.get(label, -1) for label in labels], np.int64)


def _weights(labels: Sequence[str], classes: Classes) -> tuple[float, ...]:
    """N/(C·N_c) for every class."""
    counts = Counter(labels)
    return tuple(len(labels) / (len(classes) * counts[each]) for each in classes)


def _held(
    validation: tuple[Sequence[str], Sequence[str]],
    tokenizer: Tokenizer,
    config: TextClassifierConfig,
) -> tuple[Array, Array] | None:
    x, y = rows_of(validation[0], tokenizer, config), numbers_of(validation[1], config.classes)
    return (x[y >= 0], y[y >= 0]) if (y >= 0).any() else None


def _require(texts: Sequence[str], labels: Sequence[str]) -> None:
    if len(texts) != len(labels):
        what = f"{len(texts)} texts, but {len(labels)} labels"
        raise ShapeError(what, fix="give one label for each text")
    if len(set(labels)) < 2:
        known = ", ".join(sorted(set(labels))) or "none"
        raise DataError(f"there is one class only: {known}", fix="give texts of two classes")


def stratified(labels: Sequence[str], share: float = 0.2, seed: int = 0) -> tuple[Array, Array]:
    """Rows to train on and rows to test on, int64: of each class the share to test, by the seed.

    A class of few texts keeps at least one to train on.
    """
    order = split_order(len(labels), seed)
    held: list[int] = []
    for label in sorted(set(labels)):
        mine = [int(row) for row in order if labels[row] == label]
        held += mine[: min(round(share * len(mine)), len(mine) - 1)]
    test = np.sort(np.array(held, np.int64))
    return np.setdiff1d(np.arange(len(labels)), test), test


# ------------------------------------------------------------------------------- quality


@dataclass(frozen=True)
class ClassQuality:
    """How well one class is found: of those called so, of those that are so, and how many are."""

    precision: float
    recall: float
    f1: float
    count: int


@dataclass(frozen=True)
class Quality:
    """Figures on texts with known labels; `unseen` counts those whose label was never trained.

    `balanced_accuracy` is the mean recall of the classes that occur: rare ones count alike.
    """

    accuracy: float
    balanced_accuracy: float
    classes: dict[str, ClassQuality]
    unseen: dict[str, int]


def quality(predicted: Sequence[str], labels: Sequence[str], known: Classes) -> Quality:
    """The figures of predictions; a text whose label is not known counts as wrong."""
    if not labels or len(predicted) != len(labels):
        what = f"{len(predicted)} predictions for {len(labels)} labels"
        raise ShapeError(what, fix="give one prediction for each label, and at least one")
    said, true = np.array(predicted, object), np.array(labels, object)
    each = {label: _of_class(said == label, true == label) for label in known}
    unseen = Counter(label for label in labels if label not in each)
    recalls = [found.recall for found in each.values() if found.count] + [0.0] * len(unseen)
    return Quality(float((said == true).mean()), float(np.mean(recalls)), each, dict(unseen))


def _of_class(said: Array, true: Array) -> ClassQuality:
    right, called, count = int((said & true).sum()), int(said.sum()), int(true.sum())
    precision, recall = right / max(called, 1), right / max(count, 1)
    f1 = 2 * right / max(called + count, 1)
    return ClassQuality(precision, recall, f1, count)


def evaluate_classifier(
    model: TextClassifier, texts: Sequence[str], labels: Sequence[str], *, tokenizer: Tokenizer
) -> Quality:
    """The figures of a classifier on texts with known labels."""
    predicted = [each.label for each in classify(model, texts, tokenizer=tokenizer)]
    return quality(predicted, labels, model.config.classes)


# ------------------------------------------------------------------------------ baselines


class BagOfWords(nn.Module):
    """Logistic regression on which words occur: logits = b + Σ over the different words W[word]."""

    weight: Tensor
    bias: Tensor

    def __init__(self, words: int, classes: int) -> None:
        self.weight, self.bias = kj.zeros((words, classes)), kj.zeros(classes)

    def __call__(self, tokens: Tensor) -> Tensor:
        """tokens (B, L) of different words, −1 behind → logits (B, C)."""
        there = (tokens >= 0).astype(kj.float32)
        rows = kj.take(self.weight, kj.maximum(tokens, 0), axis=0)  # (B, L, C)
        return kj.sum(rows * kj.expand_dims(there, -1), 1) + self.bias


def most_frequent(labels: Sequence[str]) -> str:
    """The class that a guess without looking would name; of equally frequent ones the first."""
    counts = Counter(labels)
    return min(counts, key=lambda label: (-counts[label], label))


def bag_of_words(
    texts: Sequence[str],
    labels: Sequence[str],
    asked: Sequence[str],
    *,
    tokenizer: Tokenizer,
    seed: int = 0,
) -> list[str]:
    """What logistic regression on the words, trained on texts and labels, says of other texts."""
    _require(texts, labels)
    classes = sorted(set(labels))
    x, y = _different(texts, tokenizer), numbers_of(labels, classes)
    trainer = Trainer(
        BagOfWords(tokenizer.size, len(classes)),
        loss="cross_entropy",
        optimizer=optim.AdamW(0.02, weight_decay=0.2),
        schedule="linear",
        batch_size=32,
        seed=seed,
        progress=False,
    )
    trainer.fit(x, y, epochs=20)
    best = trainer.predict(_different(asked, tokenizer)).argmax(-1)
    return [classes[int(each)] for each in best]


def _different(texts: Sequence[str], tokenizer: Tokenizer) -> Array:
    """The different known words of each text: int32 (N, L), −1 behind."""
    special = set(tokenizer.specials.values())
    sets = [sorted({*tokenizer.encode(text).tolist()} - special) for text in texts]
    table = np.full((len(texts), max(1, *map(len, sets))), -1, np.int32)
    for place, row in enumerate(sets):
        table[place, : len(row)] = row
    return table
