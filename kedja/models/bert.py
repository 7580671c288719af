"""A masked language model: an encoder that guesses the words that are hidden in a text.

Source: J. Devlin et al.: BERT, pre-training of deep bidirectional transformers (2018), without its
second task; norms before the blocks as usual today. Not here: what is hidden, and training
(`kedja/train/masked.py`). Next: `word_vectors.py`.
Dimensions: B texts, T places, K of them asked for, C channels, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np

import kedja as kj
from kedja import Tensor, nn
from kedja.data.tokens import Tokenizer
from kedja.data.words import MASK
from kedja.ground.errors import UsageError
from kedja.models import registry

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class BertConfig:
    """Sizes, named as in Hugging Face's config.json; `special` is the first special token.

    Special tokens stand behind the ordinary ones; they are never guessed.
    """

    model_type: ClassVar[str] = "masked-language-model"

    vocab_size: int
    special: int
    mask_token_id: int
    hidden_size: int = 128
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    intermediate_size: int = 512
    max_position_embeddings: int = 64
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.special <= self.mask_token_id < self.vocab_size:
            what = f"mask {self.mask_token_id}, special tokens from {self.special}"
            raise UsageError(what, fix="the mask is a special token, behind the ordinary ones")


class Bert(nn.Module):
    """The logits of every token at every place, each seeing all others.

    >>> tiny = Bert(BertConfig(9, 7, 8, 8, 1, 2, 16))
    >>> tiny(kj.tensor([[1, 8, 3]])).shape
    (1, 3, 9)
    """

    config: BertConfig
    words: nn.Embedding
    positions: nn.LearnedPositions
    drop: nn.Dropout
    layers: list[nn.TransformerEncoderLayer]
    final: nn.LayerNorm
    dense: nn.Linear
    norm: nn.LayerNorm
    bias: Tensor

    def __init__(self, config: BertConfig) -> None:
        self.config = config
        width = config.hidden_size
        self.words = nn.Embedding(config.vocab_size, width, init=partial(nn.init.normal, std=0.02))
        self.positions = nn.LearnedPositions(config.max_position_embeddings, width)
        self.drop = nn.Dropout(config.dropout)
        sizes = (width, config.num_attention_heads, config.intermediate_size, config.dropout)
        options: dict[str, Any] = {"activation": "gelu", "batch_first": True, "norm_first": True}
        count = config.num_hidden_layers
        self.layers = [nn.TransformerEncoderLayer(*sizes, **options) for _ in range(count)]
        self.final = nn.LayerNorm(width)
        self.dense, self.norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.bias = kj.zeros(config.vocab_size)

    @property
    def context(self) -> int:
        """The longest text in tokens."""
        return self.config.max_position_embeddings

    def __call__(self, tokens: Tensor, places: Tensor | None = None) -> Tensor:
        """tokens (B, T) integers → logits (B, T, V), or (B, K, V) at some places (B, K)."""
        x = self.drop(self.positions(self.words(tokens)))  # (B, T, C)
        for layer in self.layers:
            x = layer(x)
        if places is not None:  # the output layer is dear, most places are not asked for
            x = kj.take_along_axis(x, kj.expand_dims(places, -1), axis=1)  # (B, K, C)
        x = self.norm(kj.gelu(self.dense(self.final(x))))
        return x @ self.words.weight.T + self.bias


# -------------------------------------------------------------------------------- its use


class Blank(NamedTuple):
    """A hidden place: its number among the tokens, and the likeliest words with probabilities."""

    place: int
    guesses: list[tuple[str, float]]


class Filled(NamedTuple):
    """A text with its blanks filled by the likeliest words, and the guesses for each."""

    text: str
    blanks: list[Blank]


def fill(model: Bert, text: str, *, tokenizer: Tokenizer, count: int = 5) -> Filled:
    """The likeliest words for each `[MASK]` in a text, each blank seen by itself.

    Raises UsageError where nothing is hidden, or the text is longer than the model's context.
    """
    tokens = tokenizer.encode(text, specials=True)
    places = np.flatnonzero(tokens == model.config.mask_token_id)
    if not len(places):
        raise UsageError(f"nothing is hidden in {text!r}", fix=f"write {MASK} for the unknown word")
    if len(tokens) > model.context:
        what = f"the text has {len(tokens)} tokens, the model reads {model.context} at once"
        raise UsageError(what, fix="give a shorter text")
    shares = guesses(model, tokens[None])[0]
    blanks = [_blank(int(place), shares[place], tokenizer, count) for place in places]
    filled = tokens.copy()
    filled[places] = shares[places].argmax(-1)
    return Filled(tokenizer.decode(filled, specials=True), blanks)


def guesses(model: Bert, rows: Array) -> Array:
    """Rows of tokens (B, T) → each ordinary word's probability at every place (B, T, words)."""
    logits = model(kj.tensor(rows))[..., : model.config.special]
    found: Array = kj.softmax(logits.astype(kj.float32)).numpy()
    return found


def _blank(place: int, shares: Array, tokenizer: Tokenizer, count: int) -> Blank:
    best: Sequence[int] = np.argsort(-shares, kind="stable")[:count].tolist()
    return Blank(place, [(tokenizer.token(each), float(shares[each])) for each in best])


registry.add(BertConfig.model_type, BertConfig, Bert)
