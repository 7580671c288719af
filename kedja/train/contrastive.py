"""Training pictures and captions together: each picture is to find its caption among a batch's.

    loss = ½ (mean −log softmax_n(logit[b, n])[b]  +  mean −log softmax_b(logit[b, n])[n])

Where a batch has a caption more than once, each of these pictures is right for it: the target is
shared among them, so that equal captions do not push each other away. Sources: A. Radford et al.
(2021); J. Yang et al.: Unified contrastive learning in image-text-label space (2022).
Not here: the model (`kedja/models/clip.py`). Next: `kedja/models/clip.py`.
Dimensions: B pairs, L words, D numbers in common.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import kedja as kj
from kedja import Tensor, optim
from kedja.data.augment import Augment
from kedja.data.captioned import Captioned, Pairs
from kedja.data.pictures import moments
from kedja.data.tokens import Tokenizer
from kedja.data.words import PADDING, UNKNOWN, Words
from kedja.front import random
from kedja.ground.dtypes import int32, uint8
from kedja.ground.errors import UsageError
from kedja.models.clip import (
    Clip,
    ClipConfig,
    caption_rows,
    caption_vectors,
    choose,
    picture_vectors,
)
from kedja.models.pictures import standardised, unit
from kedja.train.examples import Array, Batch, Examples, Kind
from kedja.train.history import History
from kedja.train.trainer import Trainer

RATE, DECAY, WARMUP, BATCH = 2e-3, 0.05, 100, 128
STEPS = 4000
WORDS = 20_000
AUGMENT = Augment(shift=0.08, zoom=0.1)


# -------------------------------------------------------------------------------- examples


@dataclass(frozen=True, eq=False)
class CaptionedRows(Examples):
    """Pictures as x, the rows of their captions' words as a further input, `words`."""

    pictures: Array
    words: Array

    @property
    def count(self) -> int:
        """How many pairs there are."""
        return len(self.words)

    @property
    def arrays(self) -> dict[str, Array]:
        """Pictures and words."""
        return {"pictures": self.pictures, "words": self.words}

    @property
    def kinds(self) -> dict[str, Kind]:
        """x (H, W[, C]) uint8 and words (L,) int32."""
        words = Kind(self.words.shape[1:], int32)
        return {"x": Kind(self.pictures.shape[1:], uint8), "words": words}

    def batch(self, data: Mapping[str, Tensor], numbers: Tensor) -> Batch:
        """The pairs of these numbers."""
        return {
            "x": kj.take(data["pictures"], numbers, axis=0),
            "words": kj.take(data["words"], numbers, axis=0),
        }

    def require_labels(self, classes: int) -> None:
        """There are no classes."""


# ------------------------------------------------------------------------------- training


@dataclass(frozen=True)
class ContrastiveLoss:
    """The loss of the file's docstring, of pictures that `augment` changes in training."""

    config: ClipConfig
    augment: Augment = AUGMENT

    def __call__(self, model: Clip, x: Tensor, words: Tensor) -> Tensor:
        """x (B, H, W[, C]) bytes, words (B, L) → the loss, a scalar."""
        logits = model(standardised(self.config, self.augment(unit(x))), words)  # (B, B)
        same = kj.all(kj.expand_dims(words, 1) == kj.expand_dims(words, 0), -1)  # (B, B)
        shared = same.astype(logits.dtype)
        targets = shared / kj.sum(shared, 1, keepdims=True)
        found = kj.log_softmax(logits, 1) + kj.log_softmax(logits, 0)
        return -0.5 * kj.sum(targets * found) / x.shape[0]


def vocabulary(pairs: Pairs) -> Words:
    """The words of the captions, the most frequent first."""
    return Words.of(pairs.captions, WORDS, specials=(PADDING, UNKNOWN))


def config_for(given: Captioned, tokenizer: Tokenizer, **sizes: Any) -> ClipConfig:
    """A configuration that suits captioned pictures; `sizes` are what is given of it."""
    mean, std = moments(given.train.pictures, given.shape[0])
    side = min(given.shape[1:])
    usual = {"widths": (32, 64) if side < 16 else (16, 32, 64), **sizes}
    return ClipConfig(
        given.shape,
        (),
        mean,
        std,
        words=tokenizer.size,
        pad_token_id=tokenizer.specials[PADDING],
        **usual,
    )


def usual_epochs(count: int, batch: int) -> int:
    """How often so many pairs are seen: some 4,000 steps, 5 to 100 epochs."""
    return min(100, max(5, round(STEPS * batch / count)))


def fit_clip(
    given: Captioned,
    *,
    config: ClipConfig | None = None,
    tokenizer: Tokenizer | None = None,
    augment: Augment = AUGMENT,
    epochs: int | None = None,
    batch_size: int = BATCH,
    seed: int = 0,
    resume: bool = False,
    **options: Any,
) -> tuple[History, Tokenizer]:
    """Train two encoders on captioned pictures; the history holds the `Clip`.

    Options are those of `Trainer`. Raises UsageError for batches of one pair, in which there is
    nothing to tell apart.
    """
    if batch_size < 2:
        raise UsageError(f"batches of {batch_size}", fix="two pairs or more are told apart")
    tokenizer = vocabulary(given.train) if tokenizer is None else tokenizer
    config = config_for(given, tokenizer) if config is None else config
    epochs = epochs or usual_epochs(len(given.train), batch_size)
    random.seed(seed)
    steps = epochs * -(-len(given.train) // batch_size)
    usual = {
        "optimizer": optim.AdamW(RATE, weight_decay=DECAY),
        "schedule": "cosine",
        "warmup": min(WARMUP, steps // 10),
    }
    trainer = Trainer(
        Clip(config),
        loss=ContrastiveLoss(config, augment),
        **{**usual, **options},
        batch_size=batch_size,
        seed=seed,
    )
    rows = CaptionedRows(
        given.train.pictures, caption_rows(given.train.captions, tokenizer, config)
    )
    return trainer.fit(rows, epochs=epochs, resume=resume), tokenizer


# --------------------------------------------------------------------------------- figures


class Retrieval(NamedTuple):
    """Shares of `pairs` whose partner is among the first one or five, both ways.

    Partners with the same caption count as right. `chance` is what a blind choice reaches for the
    first one, the mean of both ways.
    """

    caption_at_1: float
    caption_at_5: float
    picture_at_1: float
    picture_at_5: float
    chance: float
    pairs: int


def evaluate_retrieval(model: Clip, pairs: Pairs, tokenizer: Tokenizer) -> Retrieval:
    """Each picture looks for its caption among all different ones, each caption for a picture."""
    different = list(dict.fromkeys(pairs.captions))
    numbers = {caption: place for place, caption in enumerate(different)}
    own = np.array([numbers[caption] for caption in pairs.captions])
    u = picture_vectors(model, pairs.pictures)
    v = caption_vectors(model, different, tokenizer)
    scores = u @ v.T  # (B, N)
    captions = _first(scores, 5) == own[:, None]  # (B, 5)
    pictures = own[_first(scores.T, 5)] == np.arange(len(different))[:, None]  # (N, 5)
    counts = np.bincount(own)
    chance = (1 / len(different) + float((counts / len(own)).mean())) / 2
    return Retrieval(
        caption_at_1=float(captions[:, 0].mean()),
        caption_at_5=float(captions.any(1).mean()),
        picture_at_1=float(pictures[:, 0].mean()),
        picture_at_5=float(pictures.any(1).mean()),
        chance=chance,
        pairs=len(pairs),
    )


def _first(scores: Array, count: int) -> Array:
    """The numbers of the highest of each row, the highest first."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :count]


def zero_shot(model: Clip, given: Captioned, tokenizer: Tokenizer) -> float:
    """The share of test pictures for which the right one of `given.asked` is chosen.

    Raises UsageError where it is not known which is right.
    """
    if given.answers is None:
        raise UsageError(f"{given.name} does not say which caption is right", fix="retrieval does")
    shares = choose(model, given.test.pictures, given.asked, tokenizer)
    return float((shares.argmax(1) == given.answers).mean())
