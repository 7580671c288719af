"""Training a masked language model: which tokens are hidden, the loss at these, honest figures.

A stretch of T tokens is cut into K = 0.15 T parts, and of each part one token, any alike, is to be
guessed: 15 %, spread over the text, as many in every stretch, so that only these K pass the dear
output layer. 80 % of them are replaced by the mask, 10 % by any other token, 10 % stay as they are.
All is drawn inside the compiled step, so that every epoch hides others.
Source: J. Devlin et al.: BERT (2018). Not here: the network (`kedja/models/bert.py`).
Next: `vectors.py`. Dimensions: B stretches, T places, K hidden ones, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import kedja as kj
from kedja import Tensor, nn, optim
from kedja.data.corpus import Corpus
from kedja.data.tokens import Tokenizer
from kedja.data.words import MASK
from kedja.front import random
from kedja.ground.errors import DataError, UsageError
from kedja.models.bert import Bert, BertConfig
from kedja.nn.losses.reduction import IGNORED
from kedja.train.examples import Batch, Kind
from kedja.train.history import History
from kedja.train.trainer import Trainer
from kedja.train.windows import Windows

Array = np.ndarray[Any, np.dtype[Any]]

SHARE, MASKED, CHANGED = 0.15, 0.8, 0.1
# In evaluation every seventh token is hidden, and each in its turn: 14 % at a time.
EVERY = 7
RATE, WARMUP, CLIP = 1e-3, 200, 1.0
_ROWS = 64  # stretches evaluated at once


# ------------------------------------------------------------------------- what is hidden


class Hidden(NamedTuple):
    """What the network sees (B, T), which places are to be guessed, and the tokens there (B, K).

    Where there is nothing to guess (a special token, a place outside) the answer is IGNORED.
    """

    seen: Tensor
    places: Tensor
    answers: Tensor


def hidden_by_chance(tokens: Tensor, config: BertConfig, key: Tensor) -> Hidden:
    """One of each part of the tokens (B, T), drawn from a key: masked, changed, or as it is."""
    keys, (b, t) = random.split(key, 3), tokens.shape
    count = max(1, round(SHARE * t))
    edges = np.arange(count + 1) * t // count
    start, size = kj.tensor(edges[:-1]), kj.tensor(np.diff(edges))
    places = start + kj.floor(random.uniform(keys[0], (b, count)) * size).astype(kj.int64)
    fate = random.uniform(keys[1], (b, count))
    other = kj.floor(random.uniform(keys[2], (b, count)) * config.special).astype(kj.int32)
    answers = kj.take_along_axis(tokens, places, axis=1)  # (B, K)
    instead = kj.where(fate < MASKED + CHANGED, other, answers)
    instead = kj.where(fate < MASKED, config.mask_token_id, instead)
    ordinary = answers < config.special
    part = kj.tensor(np.repeat(np.arange(count), np.diff(edges)))  # (T)
    here = kj.take(places, part, axis=1) == kj.arange(t)  # (B, T)
    put = kj.take(kj.where(ordinary, instead, answers), part, axis=1)
    return Hidden(kj.where(here, put, tokens), places, kj.where(ordinary, answers, IGNORED))


def hidden_in_turn(tokens: Tensor, config: BertConfig, first: Any) -> Hidden:
    """Every seventh ordinary token from the place `first` (below 7) on, all masked."""
    b, t = tokens.shape
    row = kj.arange(-(-t // EVERY)) * EVERY + first  # (K)
    places = kj.broadcast_to(kj.minimum(row, t - 1), (b, row.shape[0]))
    answers = kj.take_along_axis(tokens, places, axis=1)
    counted = (row < t) & (answers < config.special)
    turn = kj.remainder(kj.arange(t) - first, EVERY) == 0
    seen = kj.where(turn & (tokens < config.special), config.mask_token_id, tokens)
    return Hidden(seen, places, kj.where(counted, answers, IGNORED))


@dataclass(frozen=True)
class MaskedLoss:
    """The mean of −log p(token) over the hidden ones: drawn in training, every seventh outside."""

    def __call__(self, model: Bert, tokens: Tensor) -> Tensor:
        """tokens (B, T) → the loss, a scalar."""
        tokens = tokens.astype(kj.int32)
        if nn.is_training():
            found = hidden_by_chance(tokens, model.config, nn.next_key())
        else:
            found = hidden_in_turn(tokens, model.config, 0)
        return nn.cross_entropy(model(found.seen, found.places), found.answers)


# ------------------------------------------------------------------------------- training


class Stretches(Windows):
    """Windows of a text without answers: x (T,) alone."""

    @property
    def kinds(self) -> dict[str, Kind]:
        """x (T,), of the tokens' dtype."""
        return {"x": super().kinds["x"]}

    def batch(self, data: Mapping[str, Tensor], numbers: Tensor) -> Batch:
        """The windows that start at these places (B,)."""
        return {"x": super().batch(data, numbers)["x"]}

    def weight(self, batch: Batch) -> Any:
        """Stretches count alike."""
        return batch["x"].shape[0]


def fit_masked(
    corpus: Corpus,
    *,
    validation: Corpus | None = None,
    config: BertConfig | None = None,
    epochs: int = 20,
    batch_size: int = 32,
    seed: int = 0,
    resume: bool = False,
    **options: Any,
) -> History:
    """Train a masked language model on a text; the history holds the model.

    An epoch draws as many stretches as the text has room for side by side. `config` is a small one
    that fits the tokenizer unless given; further options are those of `Trainer`. AdamW at 0.001
    with a warm-up of 200 updates and a cosine schedule.
    Raises DataError for a text shorter than a stretch.
    """
    config = config_for(corpus.tokenizer) if config is None else config
    length = config.max_position_embeddings
    given = Stretches(corpus.tokens, length, max(1, len(corpus.tokens) // length))
    random.seed(seed)
    steps = epochs * -(-given.count // batch_size)
    usual = {
        "optimizer": optim.AdamW(RATE, weight_decay=0.01),
        "schedule": "cosine",
        "warmup": min(WARMUP, steps // 10),
        "clip_norm": CLIP,
    }
    trainer = Trainer(
        Bert(config),
        loss=MaskedLoss(),
        **{**usual, **options},
        batch_size=batch_size,
        seed=seed,
    )
    held = None if validation is None else (side_by_side(validation.tokens, length), None)
    return trainer.fit(given, epochs=epochs, validation=held, resume=resume)


def config_for(tokenizer: Tokenizer, **sizes: Any) -> BertConfig:
    """A configuration that fits a tokenizer; UsageError where it has no mask."""
    if MASK not in tokenizer.specials:
        what = f"the tokenizer has no special token {MASK}"
        raise UsageError(what, fix=f'make it with specials=["[UNK]", "{MASK}"]')
    first = min(tokenizer.specials.values())
    return BertConfig(tokenizer.size, first, tokenizer.specials[MASK], **sizes)


def side_by_side(tokens: Array, length: int) -> Array:
    """A text cut into stretches (N, T), without what is left over; not copied."""
    count = len(tokens) // length
    if not count:
        what = f"{len(tokens)} tokens of text, too few for a stretch of {length}"
        raise DataError(what, fix="give more text, or a smaller context")
    rows: Array = tokens[: count * length].reshape(count, length)
    return rows


# ------------------------------------------------------------------------------- figures


class MaskedQuality(NamedTuple):
    """Nats for each hidden word, and how often the likeliest is right; and what a guess that knows
    only how frequent each word is reaches on the same words (`unigram_…`)."""

    loss: float
    accuracy: float
    unigram_loss: float
    unigram_accuracy: float
    words: int


def evaluate_masked(model: Bert, held: Corpus, trained: Corpus) -> MaskedQuality:
    """The figures on held-out text, each of its known words hidden once, every seventh at a time.

    The frequencies are those of the text `trained`, each word counted once more, so that none has
    the probability 0.
    """
    config = model.config
    rows = side_by_side(held.tokens, config.max_position_embeddings)
    total = np.zeros(3)
    for start in range(0, len(rows), _ROWS):
        part = kj.tensor(rows[start : start + _ROWS].astype(np.int32))
        for first in range(EVERY):
            total += _compiled_figures(model, part, kj.tensor(first)).numpy()
    loss, right, words = total.tolist()
    if not words:
        raise DataError("the held-out text has no known word", fix="give more text")
    guess = _unigram(rows[rows < config.special], trained.tokens, config.special)
    return MaskedQuality(loss / words, right / words, *guess, int(words))


def _figures(model: Bert, tokens: Tensor, first: Tensor) -> Tensor:
    """The sum of losses, how many are right, and how many were hidden: float64 (3,)."""
    found = hidden_in_turn(tokens, model.config, first)
    logits, answers = model(found.seen, found.places), found.answers  # (B, K, V), (B, K)
    loss = nn.cross_entropy(logits, answers, reduction="sum")
    best = kj.argmax(logits[..., : model.config.special], -1)
    right, counted = best == answers, answers != IGNORED
    counts = [kj.sum(each.astype(kj.float64)) for each in (right & counted, counted)]
    return kj.stack([loss.astype(kj.float64), *counts])


_compiled_figures = kj.jit(_figures)


def _unigram(words: Array, trained: Array, special: int) -> tuple[float, float]:
    """Loss and accuracy of the frequencies."""
    counts = np.bincount(trained[trained < special], minlength=special) + 1.0
    shares = counts / counts.sum()
    return float(-np.log(shares[words]).mean()), float((words == counts.argmax()).mean())
