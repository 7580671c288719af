"""Training word vectors: skip-gram with negative sampling, drawn inside the compiled step.

For a word w, each word c in the window around it, and N words n drawn as noise ∝ count^¾:

    loss = −log σ(w·c) − Σ_n log σ(−w·n), the mean over all pairs (w, c)

A frequent word is passed over with probability 1 − √(threshold/frequency), as w and as c. The
window's width is drawn anew at each place, so that near words count more. The noise is drawn once
for each w, and counts for all of its c. Source: T. Mikolov et al. (2013).
Not here: the vectors (`kedja/models/word_vectors.py`). Next: `trainer.py`.
Dimensions: B places, K = 2·window words around each, N noise, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import kedja as kj
from kedja import Tensor, nn, optim
from kedja.data.batches import split_order
from kedja.data.corpus import Corpus
from kedja.front import random
from kedja.ground.dtypes import int32
from kedja.ground.errors import DataError, UsageError
from kedja.models.word_vectors import WordVectors, WordVectorsConfig
from kedja.train.examples import Array, Batch, Examples, Kind
from kedja.train.history import History
from kedja.train.trainer import Trainer

WINDOW, NOISE, THRESHOLD, POWER, RATE = 5, 5, 1e-3, 0.75, 3e-3
NOTHING = -1  # what stands beyond the ends of the text
_CHUNK = 1 << 24


# ------------------------------------------------------------------- the words around a word


class Neighbourhoods(Examples):
    """Each place of a text: x (1 + 2·window,) the word there, those before it, those behind.

    Beyond the ends of the text stands −1. The tokens may be a file's, mapped into memory.

    >>> given = Neighbourhoods([5, 6, 7], 1)
    >>> given.batch(given.tensors, kj.arange(3))["x"].tolist()
    [[5, -1, 6], [6, 5, 7], [7, 6, -1]]
    """

    def __init__(self, tokens: Any, window: int) -> None:
        self.tokens, self.window = np.asarray(tokens), window
        if window < 1:
            raise UsageError(f"a window of {window} words", fix="give 1 or more")
        if len(self.tokens) < 2:
            raise DataError(f"a text of {len(self.tokens)} words", fix="give more text")

    @property
    def count(self) -> int:
        """How many places the text has."""
        return len(self.tokens)

    @property
    def arrays(self) -> dict[str, Array]:
        """The tokens."""
        return {"tokens": self.tokens}

    @property
    def kinds(self) -> dict[str, Kind]:
        """x (1 + 2·window,), int32."""
        return {"x": Kind((1 + 2 * self.window,), int32)}

    def batch(self, data: Mapping[str, Tensor], numbers: Tensor) -> Batch:
        """The words at these places (B,) and around them."""
        offsets = [0, *range(-self.window, 0), *range(1, self.window + 1)]
        places = numbers.reshape(-1, 1).astype(kj.int64) + kj.tensor(offsets)  # (B, 1 + K)
        last = len(self.tokens) - 1
        words = kj.take(data["tokens"], kj.clip(places, 0, last)).astype(int32)
        return {"x": kj.where((places >= 0) & (places <= last), words, NOTHING)}

    def require_labels(self, classes: int) -> None:
        """There are no labels."""

    def fingerprint(self) -> dict[str, str]:
        """The tokens, and how far around each is looked."""
        return {**super().fingerprint(), "window": str(self.window)}


def counted(tokens: Array, words: int, size: int) -> Array:
    """How often each token occurs, of which the first `words` are words: float64 (size,).

    Raises DataError where there is no word.
    """
    total = np.zeros(size, np.int64)
    for start in range(0, len(tokens), _CHUNK):
        total += np.bincount(tokens[start : start + _CHUNK], minlength=size)[:size]
    total[words:] = 0
    if not total.any():
        raise DataError("the text has no known word", fix="give more text")
    return total.astype(np.float64)


def kept(counts: Array, threshold: float) -> Array:
    """√(threshold/frequency), at most 1: how likely a word is not passed over; 0 for no word."""
    shares = counts / counts.sum()
    found: Array = np.minimum(1, np.sqrt(threshold / np.maximum(shares, 1e-300)))
    return np.where(counts > 0, found, 0.0)


def alias_table(weights: Array) -> tuple[Array, Array]:
    """Chances (V,) and other words (V,) by which a word is drawn ∝ its weight, in two look-ups.

    Any word is drawn alike; it is kept with its chance, else the other word stands for it.
    Source: M. D. Vose: A linear algorithm for generating random numbers (1991).

    >>> [each.tolist() for each in alias_table(np.array([3.0, 1.0]))]
    [[1.0, 0.5], [0, 0]]
    """
    chance = weights * len(weights) / weights.sum()
    other = np.arange(len(weights), dtype=np.int32)
    small = [int(each) for each in np.flatnonzero(chance < 1)]
    large = [int(each) for each in np.flatnonzero(chance >= 1)]
    while small and large:
        low, high = small.pop(), large[-1]
        other[low] = high
        chance[high] -= 1 - chance[low]
        if chance[high] < 1:
            small.append(large.pop())
    chance[[*small, *large]] = 1  # what rounding left over
    return chance, other


# ------------------------------------------------------------------------------- training


@dataclass(frozen=True)
class SkipGramLoss:
    """The loss of the file's docstring; outside of training from the key 0."""

    noise: int

    def __call__(self, model: WordVectors, x: Tensor) -> Tensor:
        """x (B, 1 + K) → the loss, a scalar."""
        keys = random.split(nn.next_key() if nn.is_training() else random.key(0), 4)
        words = kj.maximum(x, 0)
        kept = random.uniform(keys[0], x.shape) < kj.take(model.kept, words)
        there = (x >= 0) & kept & _within(x, keys[1])
        pairs = (there[:, :1] & there[:, 1:]).astype(kj.float32)  # (B, K)
        centre, around = words[:, 0], words[:, 1:]
        drawn = noise(model, (x.shape[0], self.noise), keys[2], keys[3])
        near = kj.sum(kj.softplus(-model(centre, around)) * pairs)
        far = kj.sum(kj.softplus(model(centre, drawn)), 1) * kj.sum(pairs, 1)
        return (near + kj.sum(far)) / kj.maximum(kj.sum(pairs), 1.0)


def _within(x: Tensor, key: Tensor) -> Tensor:
    """Where a window of a width drawn from 1 to its largest reaches: (B, 1 + K)."""
    window = x.shape[1] // 2
    away = kj.tensor([0, *range(window, 0, -1), *range(1, window + 1)])
    reach = 1 + kj.floor(random.uniform(key, (x.shape[0], 1)) * window)
    return away <= reach


def noise(model: WordVectors, shape: tuple[int, int], first: Tensor, second: Tensor) -> Tensor:
    """Words drawn by the model's alias table, from two keys."""
    words = model.config.vocab_size
    any_word = kj.floor(random.uniform(first, shape) * words).astype(kj.int32)
    itself = random.uniform(second, shape) < kj.take(model.chance, any_word)
    return kj.where(itself, any_word, kj.take(model.other, any_word))


def fit_word_vectors(
    corpus: Corpus,
    *,
    width: int = 100,
    window: int = WINDOW,
    negatives: int = NOISE,
    threshold: float = THRESHOLD,
    epochs: int = 20,
    batch_size: int = 1024,
    seed: int = 0,
    resume: bool = False,
    **options: Any,
) -> History:
    """Learn a vector for each word of a text; the history holds the `WordVectors`.

    The corpus' tokenizer is one of words, whose special tokens count for nothing. Further options
    are those of `Trainer`. Adam at 0.003, falling linearly.
    Raises DataError for a text without known words.
    """
    tokenizer = corpus.tokenizer
    special = min(tokenizer.specials.values(), default=tokenizer.size)
    random.seed(seed)
    config = WordVectorsConfig(tokenizer.size, width)
    trainer = Trainer(
        prepared(corpus.tokens, config, special, threshold),
        loss=SkipGramLoss(negatives),
        **{"optimizer": optim.Adam(RATE), "schedule": "linear", **options},
        batch_size=batch_size,
        seed=seed,
    )
    return trainer.fit(Neighbourhoods(corpus.tokens, window), epochs=epochs, resume=resume)


def prepared(
    tokens: Array, config: WordVectorsConfig, special: int, threshold: float = THRESHOLD
) -> WordVectors:
    """Vectors before training, with the statistics of a text; words are tokens below `special`."""
    counts = counted(tokens, special, config.vocab_size)
    chance, other = alias_table(counts**POWER)
    return WordVectors(config).replace(
        kept=kj.tensor(kept(counts, threshold).astype(np.float32)),
        chance=kj.tensor(chance.astype(np.float32)),
        other=kj.tensor(other),
    )


# -------------------------------------------------------------------------------- figures


class Ranking(NamedTuple):
    """How often words that stand side by side fit better than words of two places: ½ is chance.

    `counted` is what counting pairs reaches: log(count(w, c)·pairs/(count(w)·count(c))), 0 for
    pairs that never occurred in the text that was trained on.
    """

    learned: float
    counted: float
    pairs: int


def ranking(
    model: WordVectors, held: Array, trained: Array, *, special: int, seed: int = 0
) -> Ranking:
    """How well held-out neighbours are told from strangers, which are as frequent.

    For a word and the next one, is w·c larger than for the next word of another place? Tokens from
    `special` on are no words. Raises DataError where no two words stand side by side.
    """
    left, right = held[:-1].astype(np.int64), held[1:].astype(np.int64)
    both = (left < special) & (right < special)
    left, right = left[both], right[both]
    if not len(left):
        raise DataError("the held-out text has no two known words in a row", fix="give more text")
    strange = right[split_order(len(right), seed)]
    logits = model(kj.tensor(left), kj.tensor(np.stack([right, strange], 1))).numpy()
    counts = Pairs(trained[trained < special].astype(np.int64), special)
    found = _larger(logits[:, 0], logits[:, 1])
    return Ranking(found, _larger(counts(left, right), counts(left, strange)), len(left))


class Pairs:
    """Pairs of words as far apart as `WINDOW` counted: how much more often than by chance."""

    def __init__(self, tokens: Array, words: int) -> None:
        self.words = words
        steps = range(1, WINDOW + 1)
        forth = np.concatenate([tokens[:-step] * words + tokens[step:] for step in steps])
        back = np.concatenate([tokens[step:] * words + tokens[:-step] for step in steps])
        self.codes, self.counts = np.unique(np.concatenate([forth, back]), return_counts=True)
        self.totals = np.bincount(self.codes // words, self.counts, minlength=words)

    def __call__(self, left: Array, right: Array) -> Array:
        """log(count·pairs/(count(left)·count(right))), 0 for what never occurred."""
        code = left * self.words + right
        place = np.minimum(np.searchsorted(self.codes, code), len(self.codes) - 1)
        count = np.where(self.codes[place] == code, self.counts[place], 0)
        usual = self.totals[left] * self.totals[right] / self.totals.sum()
        return np.log(np.where(count > 0, count / np.maximum(usual, 1e-300), 1.0))


def _larger(one: Array, other: Array) -> float:
    return float((one > other).mean() + (one == other).mean() / 2)
