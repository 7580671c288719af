"""Words and punctuation marks as tokens: a vocabulary of those that are frequent.

Not here: parts of words (`bpe.py`), characters (`tokenizer.py`). Next: `corpus.py`.

`Don't stop!` is `don't`, `stop`, `!`. What the vocabulary does not have becomes `[UNK]`. Upper
case, spaces and line ends are not kept: `decode(encode(text))` is only what the text says.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from kedja.data import tokens as shared
from kedja.data.tokens import Array
from kedja.ground.errors import DataError

FORMAT = 1
UNKNOWN, PADDING, MASK = "[UNK]", "[PAD]", "[MASK]"

# Chinese and Japanese have no spaces between words: they are read sign by sign.
_SIGNS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Marks on letters, which are vowels in many scripts and no word characters to `re`.
_MARKS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0963\u0966-\u0dff\u0e31-\u0e4e"
_PART = rf"[^\W_{_SIGNS}]+(?:[{_MARKS}]+[^\W_{_SIGNS}]*)*"
_WORD = re.compile(rf"{_PART}(?:['’]{_PART})*|[{_SIGNS}]|[^\w\s]|_")
_CLOSING = frozenset(".,;:!?)]}%’'…")  # stands at the end of the word before it
_OPENING = frozenset("([{$")


def words_of(text: str) -> Iterator[str]:
    """The words and marks of a text, in lower case; however accents are written in Unicode.

    >>> list(words_of("Don't stop!"))
    ["don't", 'stop', '!']
    >>> list(words_of("红圆 cafe\\u0301"))
    ['红', '圆', 'café']
    """
    plain = unicodedata.normalize("NFC", text).lower()
    return (found.group() for found in _WORD.finditer(plain))


class Words:
    """The words of a vocabulary, the most frequent first; special tokens stand behind them.

    >>> words = Words.of(["to be, or not to be"], specials=["[UNK]"])
    >>> words.words
    ['be', 'to', ',', 'not', 'or']
    >>> words.decode(words.encode("Not to be?"), specials=True)
    'not to be [UNK]'
    """

    kind = "words"

    def __init__(self, words: Sequence[str], specials: Sequence[str] = (UNKNOWN,)) -> None:
        """Words are numbered in the order in which they stand.

        Raises UsageError for a word that is there twice.
        """
        shared.require_different(words, "words")
        self.words = list(words)
        self.specials: Mapping[str, int] = shared.numbered(specials, len(words))
        self.size = len(words) + len(self.specials)

    @staticmethod
    def of(
        texts: Iterable[str],
        most: int | None = None,
        *,
        least: int = 1,
        specials: Sequence[str] = (UNKNOWN,),
    ) -> Words:
        """The `most` most frequent words of those that occur at least `least` times.

        Equally frequent ones stand in alphabetical order. Raises DataError where there are none.
        """
        counts = Counter(word for text in texts for word in words_of(text))
        found = sorted((-count, word) for word, count in counts.items() if count >= least)
        if not found:
            raise DataError(f"no word occurs {least} times", fix="give more text")
        return Words([word for _, word in found[:most]], specials)

    def __contains__(self, word: object) -> bool:
        return word in self._numbers

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Words) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def digest(self) -> str:
        """A text that differs for tokenizers that read text differently."""
        return hashlib.sha256(self._json().encode()).hexdigest()

    @cached_property
    def widths(self) -> Array:
        """int32 (V,): the bytes of UTF-8 of each word, without the spaces between them."""
        sizes = [len(word.encode()) for word in self.words]
        return np.array([*sizes, *[0] * len(self.specials)], np.int32)

    def encode(self, text: str, *, specials: bool = False) -> Array:
        """The tokens of a text, int32 (N,). `specials`: names of special tokens are those tokens.

        Raises DataError for an unknown word where there is no special token `[UNK]`.
        """
        return shared.encoded(text, self.specials if specials else {}, self._encode)

    def encode_many(self, texts: Sequence[str]) -> tuple[Array, Array]:
        """The tokens of several texts one after the other, and how many each has."""
        parts = [self.encode(text) for text in texts]
        counts = np.array([len(part) for part in parts], np.int64)
        return np.concatenate([np.zeros(0, np.int32), *parts]), counts

    def decode(self, tokens: Any, *, specials: bool = False) -> str:
        """The words of some tokens with spaces between them; special ones by name or left out."""
        numbers = shared.checked(tokens, self.size).tolist()
        shown = [self.token(each) for each in numbers if specials or each < len(self.words)]
        text = ""
        for before, word in zip(["", *shown], shown, strict=False):
            close = not before or word in _CLOSING or before in _OPENING
            text += word if close else f" {word}"
        return text

    def token(self, number: int) -> str:
        """One token as people should see it."""
        shared.checked([number], self.size)
        return self._names.get(number) or self.words[number]

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write `tokenizer.json` into the folder, whole or not at all."""
        shared.write(folder, self._json())

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> Words:
        """The tokenizer of the content of its file."""
        return Words(content["words"], content["specials"])

    def _json(self) -> str:
        own = {"kedja": FORMAT, "type": self.kind, "words": self.words}
        return json.dumps({**own, "specials": [*self.specials]}, indent=1, ensure_ascii=False)

    @cached_property
    def _names(self) -> dict[int, str]:
        return {number: name for name, number in self.specials.items()}

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    def _encode(self, text: str, start: int, whole: str) -> Array:
        unknown = self.specials.get(UNKNOWN, -1)
        words = list(words_of(text))
        found = [self._numbers.get(word, unknown) for word in words]
        if unknown < 0 and unknown in found:
            word = words[found.index(unknown)]
            what = f"the word {word!r} is not among the {len(self.words)} known ones"
            raise DataError(what, fix=f"make the tokenizer with the special token {UNKNOWN}")
        return np.array(found, np.int32)
