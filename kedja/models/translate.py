"""Texts in, texts out by an encoder–decoder: greedy, in batches, with what each token looked at.

Not here: the network (`encoder_decoder.py`), its training (`kedja/train/translation.py`), pictures
of attention (`looking.py`). Next: `text_classifier.py`.
Dimensions: B texts, S source tokens, T target tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

import kedja as kj
from kedja import Tensor
from kedja.data.tokens import Tokenizer
from kedja.ground.errors import DataError, UsageError
from kedja.models.encoder_decoder import EncoderDecoder, Memory
from kedja.models.looking import Attention, attention

Array = np.ndarray[Any, np.dtype[Any]]

PAD, BEGIN, END = SPECIALS = ("<pad>", "<begin>", "<end>")

# So many texts are translated at once, which bounds the memory.
BATCH = 256
# Widths are padded to multiples of this, so that few shapes are compiled.
WIDTHS = 8


class Translation(NamedTuple):
    """What became of a text; `finished` is False where the answer was cut at the largest length."""

    source: str
    text: str
    finished: bool


def translate(
    model: EncoderDecoder,
    texts: Sequence[str],
    *,
    tokenizer: Tokenizer,
    longest: int | None = None,
) -> list[Translation]:
    """Each text's translation: at every step the most probable token, until the end token.

    `longest` tokens are the most that an answer may have (4 S + 8 unless given).
    Raises DataError for a text that is empty or that the tokenizer cannot express.
    """
    if isinstance(texts, str):
        raise UsageError("translate takes a list of texts", fix="translate(model, [text], …)")
    if longest is not None and longest < 1:
        raise UsageError(f"longest is {longest}", fix="give 1 or more tokens")
    numbers = [_source(text, tokenizer) for text in texts]
    # Texts of about the same length go together, so that little is padding.
    order = np.argsort([len(each) for each in numbers], kind="stable")
    found: list[Translation | None] = [None] * len(texts)
    for rows in _chunks(order):
        batch = [numbers[row] for row in rows]
        for row, answer in zip(rows, _translated(model, batch, longest), strict=True):
            ended = answer[-1] == model.config.eos_token_id
            found[row] = Translation(texts[row], tokenizer.decode(answer), bool(ended))
    return [each for each in found if each is not None]


def exact_match(
    model: EncoderDecoder, pairs: Sequence[tuple[str, str]], *, tokenizer: Tokenizer
) -> float:
    """The share of the pairs (source, target) whose source becomes exactly the target."""
    if not pairs:
        raise UsageError("exact match of no pairs", fix="give at least one")
    answers = translate(model, [source for source, _ in pairs], tokenizer=tokenizer)
    right = [got.text == target for got, (_, target) in zip(answers, pairs, strict=True)]
    return float(np.mean(right))


def cross_attention(
    model: EncoderDecoder, text: str, answer: str, *, tokenizer: Tokenizer
) -> Attention:
    """Whereto each token of an answer looked in the text while it was chosen, layer by layer.

    The rows are the answer's tokens and the end, the columns the text's.
    """
    begin, end = (tokenizer.specials[name] for name in (BEGIN, END))
    source, target = _source(text, tokenizer), tokenizer.encode(answer)
    given = kj.tensor(np.array([[begin, *target]], np.int32))
    rows = [tokenizer.token(int(each)) for each in [*target, end]]
    columns = [tokenizer.token(int(each)) for each in source]
    found = attention(model, kj.tensor(source[None]), given, queries=rows, keys=columns)
    crossed = tuple(each for each in found.maps if ".cross" in each.layer)
    return replace(found, maps=crossed)


# -------------------------------------------------------------------------------- the steps


def _source(text: str, tokenizer: Tokenizer) -> Array:
    if not text:
        raise DataError("a text to translate is empty", fix="leave it out")
    return tokenizer.encode(text)


def _chunks(order: Array) -> Iterator[list[int]]:
    for start in range(0, len(order), BATCH):
        yield order[start : start + BATCH].tolist()


def padded(rows: Sequence[Array], width: int, pad: int) -> Array:
    """Rows of tokens as int32 (N, width), padded behind."""
    table = np.full((len(rows), width), pad, np.int32)
    for place, row in enumerate(rows):
        table[place, : len(row)] = row
    return table


def _encode(model: EncoderDecoder, source: Tensor, room: Tensor) -> Memory:
    return model.encode(source, room.shape[0])


def _next(
    model: EncoderDecoder, token: Tensor, memory: Memory, place: Tensor
) -> tuple[Tensor, Memory]:
    """The most probable tokens after these (B, 1)."""
    logits, memory = model.decode(token, memory, model.places(token.shape[0], 1, place))
    return kj.argmax(logits, -1).astype(kj.int32), memory


_compiled_encode, _compiled_next = kj.jit(_encode), kj.jit(_next)


def _translated(
    model: EncoderDecoder, sources: Sequence[Array], longest: int | None
) -> list[Array]:
    """Each answer's tokens up to the end token, or to the largest length."""
    config = model.config
    width = -(-max(map(len, sources)) // WIDTHS) * WIDTHS
    longest = 4 * width + 8 if longest is None else longest
    source = kj.tensor(padded(sources, width, config.pad_token_id))
    memory = _compiled_encode(model, source, kj.zeros(longest))
    token = kj.full((len(sources), 1), config.bos_token_id, kj.int32)
    chosen: list[Array] = []
    done = np.zeros(len(sources), bool)
    while not done.all() and len(chosen) < longest:
        token, memory = _compiled_next(model, token, memory, kj.tensor(np.float32(len(chosen))))
        chosen.append(token.numpy()[:, 0])
        done |= chosen[-1] == config.eos_token_id
    return [_cut(row, config.eos_token_id) for row in np.stack(chosen, 1)]


def _cut(row: Array, end: int) -> Array:
    ends = np.flatnonzero(row == end)
    return row[: int(ends[0]) + 1] if len(ends) else row
