"""Training pictures and captions together: each picture is to find its caption among a batch's.

    loss = ½ (mean −log softmax_n(logit[b, n])[b]  +  mean −log softmax_b(logit[b, n])[n])

Where a batch has a caption more than once, each of these pictures is right for it, and where it
has a picture more than once, each of its captions: the target is shared among them, so that what
belongs together is not pushed apart. Sources: A. Radford et al.: Learning transferable visual
models from natural language supervision (2021); J. Yang et al.: Unified contrastive learning in
image-text-label space (2022).
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
from kedja.train.pace import epochs_for
from kedja.train.trainer import Trainer

RATE, DECAY, WARMUP, BATCH = 2e-3, 0.05, 100, 128
STEPS, FEWEST, MOST = 2000, 5, 300  # steps of training; bounds of the epochs
WORDS = 20_000
AUGMENT = Augment(shift=0.08, zoom=0.1)


# -------------------------------------------------------------------------------- examples


@dataclass(frozen=True, eq=False)
class CaptionedRows(Examples):
    """Pictures as x; captions' words and which picture it is as further inputs."""

    pictures: Array
    words: Array
    numbers: Array

    @property
    def count(self) -> int:
        """How many pairs there are."""
        return len(self.words)

    @property
    def arrays(self) -> dict[str, Array]:
        """Pictures, words and numbers."""
        return {"pictures": self.pictures, "words": self.words, "numbers": self.numbers}

    @property
    def kinds(self) -> dict[str, Kind]:
        """x (H, W[, C]) uint8, words (L,) int32 and number () int32."""
        words = Kind(self.words.shape[1:], int32)
        return {
            "x": Kind(self.pictures.shape[1:], uint8),
            "words": words,
            "number": Kind((), int32),
        }

    def batch(self, data: Mapping[str, Tensor], numbers: Tensor) -> Batch:
        """The pairs of these numbers."""
        return {
            "x": kj.take(data["pictures"], numbers, axis=0),
            "words": kj.take(data["words"], numbers, axis=0),
            "number": kj.take(data["numbers"], numbers, axis=0),
        }

    def require_labels(self, classes: int) -> None:
        """There are no classes."""


# ------------------------------------------------------------------------------- training


@dataclass(frozen=True)
class ContrastiveLoss:
    """The loss of the file's docstring, of pictures that `augment` changes in training."""

    config: ClipConfig
    augment: Augment = AUGMENT

    def __call__(self, model: Clip, x: Tensor, words: Tensor, number: Tensor) -> Tensor:
        """x (B, H, W[, C]) bytes, words (B, L), number (B,) of the picture → the loss, a scalar."""
        logits = model(standardised(self.config, self.augment(unit(x))), words)  # (B, B)
        same = kj.all(kj.expand_dims(words, 1) == kj.expand_dims(words, 0), -1)  # (B, B)
        same = same | (kj.expand_dims(number, 1) == kj.expand_dims(number, 0))
        shared = same.astype(logits.dtype)
        found = 0.0
        for axis in (1, 0):
            targets = shared / kj.sum(shared, axis, keepdims=True)
            found = found - 0.5 * kj.sum(targets * kj.log_softmax(logits, axis))
        return found / x.shape[0]


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
    """How often so many pairs are seen: some 2,000 steps, 5 to 300 epochs."""
    return epochs_for(STEPS, count, batch, FEWEST, MOST)


def fit_clip(
    given: Captioned,
    *,
    config: ClipConfig | None = None,
    tokenizer: Tokenizer | None = None,
    augment: Augment = AUGMENT,
    validation: Pairs | None = None,
    epochs: int | None = None,
    batch_size: int = BATCH,
    seed: int = 0,
    resume: bool = False,
    **options: Any,
) -> tuple[History, Tokenizer]:
    """Train two encoders on captioned pictures; the history holds the `Clip`.

    After each epoch the loss on the pairs of `validation` is measured, where they are given, again
    among those of a batch. Options are those of `Trainer`. Raises UsageError for batches of one
    pair, in which there is nothing to tell apart.
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

    def rows(pairs: Pairs) -> CaptionedRows:
        words = caption_rows(pairs.captions, tokenizer, config)
        return CaptionedRows(pairs.pictures, words, pairs.numbers)

    held = None if validation is None else rows(validation)
    history = trainer.fit(rows(given.train), epochs=epochs, validation=held, resume=resume)
    return history, tokenizer


# --------------------------------------------------------------------------------- figures


class Retrieval(NamedTuple):
    """Shares of different pictures and captions whose partner is among the first one or five.

    `chance` is what a blind choice reaches for the first one, in either direction; `pictures` and
    `captions` are how many there are to choose from.
    """

    caption_at_1: float
    caption_at_5: float
    picture_at_1: float
    picture_at_5: float
    chance: float
    pictures: int
    captions: int


def evaluate_retrieval(
    model: Clip, pairs: Pairs, tokenizer: Tokenizer, meanings: Array | None = None
) -> Retrieval:
    """Each picture looks for a right caption among all of them, each caption for a right picture.

    Right are those that stand together, and where the `meanings` of the captions are known by
    numbers (N,), those that mean the same: *a seven* is as good as *the digit seven*.
    """
    _, first = np.unique(pairs.numbers, return_index=True)
    different, right = _right(pairs, first, meanings)
    u = picture_vectors(model, pairs.pictures[first])
    v = caption_vectors(model, different, tokenizer)
    scores = u @ v.T  # (P, N)
    captions = np.take_along_axis(right, _first(scores, 5), 1)  # (P, 5)
    pictures = np.take_along_axis(right.T, _first(scores.T, 5), 1)  # (N, 5)
    return Retrieval(
        caption_at_1=float(captions[:, 0].mean()),
        caption_at_5=float(captions.any(1).mean()),
        picture_at_1=float(pictures[:, 0].mean()),
        picture_at_5=float(pictures.any(1).mean()),
        chance=float(right.mean()),
        pictures=len(first),
        captions=len(different),
    )


def _right(pairs: Pairs, first: Array, meanings: Array | None) -> tuple[list[str], Array]:
    """The different captions, and which are right for each different picture: bool (P, N)."""
    rows = {caption: row for row, caption in enumerate(pairs.captions)}
    if meanings is not None:
        return list(rows), meanings[first][:, None] == meanings[list(rows.values())]
    numbers = {caption: place for place, caption in enumerate(rows)}
    right = np.zeros((len(first), len(rows)), bool)
    right[pairs.numbers, [numbers[caption] for caption in pairs.captions]] = True
    return list(rows), right


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
