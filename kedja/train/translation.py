"""Training an encoder–decoder on pairs of texts.

Not here: the network (`kedja/models/encoder_decoder.py`), asking it (`kedja/models/translate.py`).
Next: `kedja/models/translate.py`. Dimensions: N pairs, S source tokens, T target tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kedja import Tensor, nn, optim
from kedja.data.tokenizer import Characters
from kedja.data.tokens import Tokenizer
from kedja.front import random
from kedja.ground.errors import DataError, UsageError
from kedja.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from kedja.models.translate import BEGIN, END, PAD, SPECIALS, padded
from kedja.train.history import History
from kedja.train.trainer import Trainer

Array = np.ndarray[Any, np.dtype[Any]]
Pairs = Sequence[tuple[str, str]]

RATE, WARMUP, CLIP = 2e-3, 100, 1.0


@dataclass(frozen=True)
class TranslationLoss:
    """The mean of −log p(target token) over a batch's rows: S source tokens, then the target."""

    source: int
    pad: int

    def __call__(self, model: EncoderDecoder, rows: Tensor) -> Tensor:
        """rows (B, S + T + 1) → the loss, a scalar; padding counts for nothing."""
        source, target = rows[:, : self.source], rows[:, self.source :]
        logits = model(source, target[:, :-1])  # (B, T, V)
        return nn.cross_entropy(logits, target[:, 1:], ignore_index=self.pad)


def characters(pairs: Pairs) -> Characters:
    """Every character of the pairs as a token, with padding, begin and end."""
    return Characters.of("".join(source + target for source, target in pairs), SPECIALS)


def config_for(tokenizer: Tokenizer, **sizes: Any) -> EncoderDecoderConfig:
    """A configuration that fits a tokenizer; UsageError where it lacks the special tokens."""
    missing = [name for name in SPECIALS if name not in tokenizer.specials]
    if missing:
        what = f"the tokenizer has no special token {', '.join(missing)}"
        raise UsageError(what, fix=f"make it with specials={list(SPECIALS)}")
    pad, begin, end = (tokenizer.specials[name] for name in SPECIALS)
    plain = EncoderDecoderConfig(tokenizer.size, **sizes)
    return replace(plain, pad_token_id=pad, bos_token_id=begin, eos_token_id=end)


def fit_translation(
    pairs: Pairs,
    *,
    validation: Pairs | None = None,
    tokenizer: Tokenizer | None = None,
    config: EncoderDecoderConfig | None = None,
    epochs: int = 3,
    batch_size: int = 64,
    seed: int = 0,
    resume: bool = False,
    **options: Any,
) -> tuple[History, Tokenizer]:
    """Train an encoder–decoder on pairs (source, target); the history holds the model.

    `tokenizer` is one of characters, `config` a small one unless given; further options are those
    of `Trainer`. AdamW at 0.002 with a warm-up of 100 updates and a cosine schedule.
    The same seed gives the same bits.
    Raises DataError for an empty text and for what the tokenizer cannot express.
    """
    tokenizer = characters([*pairs, *(validation or ())]) if tokenizer is None else tokenizer
    config = config_for(tokenizer) if config is None else config
    rows, source = pack(pairs, tokenizer)
    held = None if not validation else pack(validation, tokenizer, source, rows.shape[1] - source)
    random.seed(seed)
    trainer = Trainer(
        EncoderDecoder(config),
        loss=TranslationLoss(source, config.pad_token_id),
        **{**_usual(len(pairs), batch_size, epochs), **options},
        batch_size=batch_size,
        seed=seed,
    )
    given = None if held is None else (held[0], None)
    return trainer.fit(rows, epochs=epochs, validation=given, resume=resume), tokenizer


def _usual(count: int, batch: int, epochs: int) -> dict[str, Any]:
    """The options that suit these networks."""
    steps = epochs * -(-count // batch)
    warmup = min(WARMUP, steps // 10)
    return {
        "optimizer": optim.AdamW(RATE),
        "schedule": "cosine",
        "warmup": warmup,
        "clip_norm": CLIP,
    }


def pack(
    pairs: Pairs, tokenizer: Tokenizer, source: int | None = None, target: int | None = None
) -> tuple[Array, int]:
    """int32 (N, S + T + 1) rows of source, begin, target and end, each padded; and S.

    S and T + 1 are those of the longest pair unless given. Raises DataError for what is too long.
    """
    begin, end, pad = (tokenizer.specials[name] for name in (BEGIN, END, PAD))
    sources = [_tokens(text, number, tokenizer) for number, (text, _) in enumerate(pairs, 1)]
    targets = [
        np.concatenate([[begin], _tokens(text, number, tokenizer), [end]])
        for number, (_, text) in enumerate(pairs, 1)
    ]
    s, t = _width(sources, source, "sources"), _width(targets, target, "targets")
    return np.concatenate([padded(sources, s, pad), padded(targets, t, pad)], 1), s


def _tokens(text: str, number: int, tokenizer: Tokenizer) -> Array:
    if not text:
        raise DataError(f"pair {number} has an empty side", fix="leave the pair out")
    return tokenizer.encode(text)


def _width(rows: Sequence[Array], most: int | None, what: str) -> int:
    longest = max(map(len, rows), default=0)
    if not longest:
        raise DataError("there are no pairs", fix="give at least one (source, target)")
    if most is not None and longest > most:
        fix = "only pairs that are no longer than those to train on"
        raise DataError(f"{what} of {longest} tokens, trained are {most}", fix=fix)
    return longest if most is None else most
