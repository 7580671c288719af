"""A classifier of texts: the mean of the vectors of words and of neighbouring pairs, then classes.

Sources: A. Joulin et al.: Bag of tricks for efficient text classification (2016), for the network
and the hashed pairs. Not here: words as tokens (`kedja/data/words.py`), training and the baselines
(`kedja/train/classification.py`). Next: `bert.py`.
Dimensions: B texts, L words, D numbers of a vector, C classes, V words known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

import kedja as kj
from kedja import Tensor, nn
from kedja.data.tokens import Tokenizer
from kedja.data.words import PADDING, UNKNOWN
from kedja.ground.errors import UsageError
from kedja.models import registry

Array = np.ndarray[Any, np.dtype[Any]]

SPECIALS = (PADDING, UNKNOWN)
# Pairs (a, b) go to bucket (a·FIRST + b·SECOND) mod 2³² mod buckets.
FIRST, SECOND = 2654435761, 2246822519
BATCH = 256


@dataclass(frozen=True)
class TextClassifierConfig:
    """Sizes, the classes' names, and the numbers of the special tokens.

    Words behind the first `max_length` are not read. `buckets` are the vectors that the pairs
    share; 0 leaves the pairs out: they help where there are many texts.
    """

    model_type: ClassVar[str] = "text-classifier"

    vocab_size: int
    classes: tuple[str, ...]
    width: int = 64
    buckets: int = 0
    dropout: float = 0.2
    max_length: int = 512
    pad_token_id: int = 0
    unk_token_id: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))  # JSON has lists


class TextClassifier(nn.Module):
    """logits = W mean(vectors of known words, vectors of pairs of known words) + b.

    >>> tiny = TextClassifier(TextClassifierConfig(9, ("ham", "spam"), width=4, buckets=8))
    >>> tiny(kj.tensor([[2, 3, 1], [4, 0, 0]])).shape
    (2, 2)
    """

    config: TextClassifierConfig
    words: nn.Embedding
    pairs: nn.Embedding | None
    dropout: nn.Dropout
    output: nn.Linear

    def __init__(self, config: TextClassifierConfig) -> None:
        self.config = config
        self.words = nn.Embedding(config.vocab_size, config.width, init=_small)
        buckets = config.buckets
        self.pairs = nn.Embedding(buckets, config.width, init=_zeros) if buckets else None
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(config.width, len(config.classes))

    def __call__(self, tokens: Tensor) -> Tensor:
        """tokens (B, L), padded behind → logits (B, C)."""
        vectors, counted = self.features(tokens)
        total = kj.sum(vectors * kj.expand_dims(counted, -1), 1)  # (B, D)
        mean = total / kj.maximum(kj.sum(counted, 1, keepdims=True), 1.0)
        return self.output(self.dropout(mean))

    def features(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """tokens (B, L) → vectors (B, L or 2L − 1, D) and 1 where they count, 0 elsewhere.

        First those of the words, then those of the pairs (word, next word).
        """
        config = self.config
        known = (tokens != config.pad_token_id) & (tokens != config.unk_token_id)
        counted, vectors = known.astype(kj.float32), self.words(tokens)
        if self.pairs is None or tokens.shape[1] < 2:
            return vectors, counted
        left, right = tokens[:, :-1].astype(kj.uint32), tokens[:, 1:].astype(kj.uint32)
        bucket = (left * _whole(FIRST) + right * _whole(SECOND)) >> _whole(7)  # (B, L − 1)
        pairs = self.pairs(kj.remainder(bucket, _whole(config.buckets)))  # (B, L − 1, D)
        both = counted[:, :-1] * counted[:, 1:]
        return kj.concat([vectors, pairs], axis=1), kj.concat([counted, both], axis=1)


def _small(key: Tensor, shape: Sequence[int]) -> Tensor:
    return nn.init.uniform(key, shape, -1 / shape[1], 1 / shape[1])


def _zeros(key: Tensor, shape: Sequence[int]) -> Tensor:
    return kj.zeros(shape)  # a pair that was never seen says nothing


def _whole(number: int) -> Tensor:
    return kj.full((), number, kj.uint32)


# -------------------------------------------------------------------------------- its use


class Label(NamedTuple):
    """A text's class, the probability of every class, and what each of its words did for it.

    `words` are (word, share): by how much the word, and half of each pair it is in, raises the
    class's logit above the mean of all classes'. Words that were never seen have the share 0.
    """

    label: str
    probabilities: dict[str, float]
    words: list[tuple[str, float]]


def classify(model: TextClassifier, texts: Sequence[str], *, tokenizer: Tokenizer) -> list[Label]:
    """Each text's class. An empty text gets what the classifier expects of a text unseen."""
    if isinstance(texts, str):
        raise UsageError("classify takes a list of texts", fix="classify(model, [text], …)")
    found: list[Label] = []
    for start in range(0, len(texts), BATCH):
        found += _classified(model, texts[start : start + BATCH], tokenizer)
    return found


def rows_of(texts: Sequence[str], tokenizer: Tokenizer, config: TextClassifierConfig) -> Array:
    """The texts' first words as int32 (N, L), padded behind; L is at least 1."""
    tokens = [tokenizer.encode(text)[: config.max_length] for text in texts]
    table = np.full((len(texts), max(1, *map(len, tokens))), config.pad_token_id, np.int32)
    for place, row in enumerate(tokens):
        table[place, : len(row)] = row
    return table


def _classified(model: TextClassifier, texts: Sequence[str], tokenizer: Tokenizer) -> list[Label]:
    rows = rows_of(texts, tokenizer, model.config)
    shares = kj.softmax(model(kj.tensor(rows)).astype(kj.float64)).numpy()
    spoken = _spoken(model, rows)
    return [
        _label(model.config, row, each, said, tokenizer)
        for row, each, said in zip(rows, shares, spoken, strict=True)
    ]


def _label(
    config: TextClassifierConfig, row: Array, shares: Array, said: Array, tokenizer: Tokenizer
) -> Label:
    best = int(shares.argmax())
    length = int((row != config.pad_token_id).sum())
    names = [tokenizer.token(int(each)) for each in row[:length]]
    words = list(zip(names, map(float, said[:length, best]), strict=True))
    return Label(
        config.classes[best], dict(zip(config.classes, map(float, shares), strict=True)), words
    )


def _spoken(model: TextClassifier, rows: Array) -> Array:
    """What each word adds to each class's logit, above the mean over the classes: (B, L, C)."""
    vectors, counted = (each.numpy() for each in model.features(kj.tensor(rows)))
    weight = model.output.weight.numpy()  # (C, D)
    centred = weight - weight.mean(0)
    parts = counted / np.maximum(counted.sum(1, keepdims=True), 1)  # (B, 2L − 1)
    each = (vectors @ centred.T) * parts[..., None]  # (B, 2L − 1, C)
    length = rows.shape[1]
    spoken: Array = each[:, :length].copy()
    pairs = each[:, length:] / 2
    if pairs.shape[1]:
        spoken[:, :-1] += pairs
        spoken[:, 1:] += pairs
    return spoken


registry.add("text-classifier", TextClassifierConfig, TextClassifier)
