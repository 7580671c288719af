"""Characters and bytes as tokens, and reading any tokenizer back from its folder.

Not here: byte-pair encoding (`bpe.py`), what all tokenizers can do (`tokens.py`).
Next: `bpe.py`.

| kind         | tokens                                        | unknown text                  |
|--------------|-----------------------------------------------|-------------------------------|
| `Characters` | those of an alphabet, in the order of Unicode | an error that names the place |
| `Bytes`      | the 256 bytes of UTF-8, token = byte          | there is none                 |
| `BPE`        | parts of words, learned                       | falls apart into bytes        |
| `Words`      | words and marks that are frequent             | becomes `[UNK]`               |

Special tokens follow the ordinary ones. All but `BPE` are stored in `tokenizer.json` under the key
`kedja`; a file without that key is Hugging Face's and is read by `bpe.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kedja.data import tokens as shared
from kedja.data.bpe import BPE
from kedja.data.tokens import Array, Tokenizer
from kedja.data.words import Words
from kedja.ground.errors import DataError

__all__ = ["BPE", "Bytes", "Characters", "Tokenizer", "Words", "load"]

FORMAT = 1
BYTES = 256
_SHOWN = 60  # so many characters of an alphabet are shown in an error


def load(folder: str | os.PathLike[str]) -> Tokenizer:
    """The tokenizer whose `tokenizer.json` stands in a folder, of whatever kind.

    Raises DataError where the file is missing, damaged, or of a kind that is not known.
    """
    where = os.fspath(Path(folder) / shared.FILE)
    _, content = shared.read(folder)
    if not isinstance(content, dict):
        raise shared.damaged(where, "it is of no kind that is known")
    if "kedja" not in content:
        return BPE.load(folder)
    if content["kedja"] != FORMAT:
        raise shared.damaged(where, f"its format is {content['kedja']}, not {FORMAT}")
    try:
        return _KINDS[content["type"]](content)
    except (KeyError, TypeError, ValueError) as error:
        raise shared.damaged(where, f"{type(error).__name__}: {error}") from error


class _Plain:
    """What characters and bytes share: special tokens behind the ordinary ones, and the file."""

    kind = ""

    def __init__(self, count: int, specials: Iterable[str]) -> None:
        self.specials: Mapping[str, int] = shared.numbered(specials, count)
        self.size = count + len(self.specials)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Plain) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def digest(self) -> str:
        """A text that differs for tokenizers that read text differently."""
        return hashlib.sha256(self._json().encode()).hexdigest()

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write `tokenizer.json` into the folder, whole or not at all."""
        shared.write(folder, self._json())

    def _json(self) -> str:
        content = {"kedja": FORMAT, "type": self.kind, **self._own(), "specials": [*self.specials]}
        return json.dumps(content, indent=1)

    def _own(self) -> dict[str, Any]:
        return {}

    @cached_property
    def _names(self) -> dict[int, str]:
        return {number: name for name, number in self.specials.items()}


class Characters(_Plain):
    """Each character of an alphabet is a token: a − z are 0 − 25 where there are no others.

    >>> letters = Characters.of("hello", specials=["<end>"])
    >>> letters.alphabet, letters.size
    ('ehlo', 5)
    >>> letters.encode("hole<end>", specials=True)
    array([1, 3, 2, 0, 4], dtype=int32)
    >>> letters.decode([1, 3, 2, 0, 4]), letters.decode([1, 4], specials=True)
    ('hole', 'h<end>')

    Raises UsageError for a character that is there twice.
    """

    kind = "characters"

    def __init__(self, alphabet: str, specials: Sequence[str] = ()) -> None:
        """The characters of `alphabet` are numbered in the order in which they stand."""
        shared.require_different(alphabet, "characters")
        super().__init__(len(alphabet), specials)
        self.alphabet = alphabet

    @staticmethod
    def of(text: str, specials: Sequence[str] = ()) -> Characters:
        """The alphabet of a text, in the order of Unicode; DataError where the text is empty."""
        if not text:
            raise DataError("an empty text has no alphabet", fix="give text to learn it from")
        return Characters("".join(sorted(set(text))), specials)

    @cached_property
    def widths(self) -> Array:
        """int32 (V,): how many bytes of UTF-8 each token stands for, 0 for special ones."""
        ordinary = [len(_utf8(each)) for each in self.alphabet]
        return np.array([*ordinary, *[0] * len(self.specials)], np.int32)

    def encode(self, text: str, *, specials: bool = False) -> Array:
        """The tokens of a text, int32 (N,). `specials`: names of special tokens are those tokens.

        Raises DataError for a character that the alphabet does not have, with its place.
        """
        return shared.encoded(text, self.specials if specials else {}, self._encode)

    def encode_many(self, texts: Sequence[str]) -> tuple[Array, Array]:
        """The tokens of several texts one after the other, and how many each has."""
        return self.encode("".join(texts)), np.array([len(text) for text in texts], np.int64)

    def decode(self, tokens: Any, *, specials: bool = False) -> str:
        """The text of some tokens; special ones are left out, or written by name."""
        numbers = shared.checked(tokens, self.size)
        if specials:
            return "".join(map(self.token, numbers.tolist()))
        codes = self._codes[numbers[numbers < len(self.alphabet)]]
        return codes.tobytes().decode("utf-32-le", "surrogatepass")

    def token(self, number: int) -> str:
        """One token as people should see it."""
        shared.checked([number], self.size)
        return self._names.get(number) or self.alphabet[number]

    def _own(self) -> dict[str, Any]:
        return {"alphabet": self.alphabet}

    @cached_property
    def _codes(self) -> Array:
        """The Unicode of each ordinary token."""
        return _unicode(self.alphabet)

    @cached_property
    def _table(self) -> Array:
        """The token of each Unicode up to the largest one known; −1 where there is none."""
        table = np.full(int(self._codes.max(initial=0)) + 2, -1, np.int32)
        table[self._codes] = np.arange(len(self.alphabet))
        return table

    def _encode(self, text: str, start: int, whole: str) -> Array:
        codes = _unicode(text)
        found = self._table[np.minimum(codes, len(self._table) - 1)]
        unknown = np.flatnonzero(found < 0)
        if len(unknown):
            raise self._unknown(whole, start + int(unknown[0]))
        return found

    def _unknown(self, text: str, place: int) -> shared.UnknownCharacter:
        letter = text[place]
        code = f"U+{ord(letter):04X}"
        known = repr(self.alphabet[:_SHOWN]) + ("…" if len(self.alphabet) > _SHOWN else "")
        what = f"the character {letter!r} ({code}) is not among the {len(self.alphabet)} known ones"
        fix = f"use these: {known}; or train on text that has it, or on bytes"
        return shared.UnknownCharacter.at(text, place, what, fix)


class Bytes(_Plain):
    """Each byte of the text in UTF-8 is a token: any text at all, with 256 tokens.

    >>> Bytes().encode("né")
    array([110, 195, 169], dtype=int32)
    >>> Bytes(["<end>"]).decode([110, 195, 169, 256])
    'né'

    Bytes that are no UTF-8, as a model may invent them, are decoded as U+FFFD.
    """

    kind = "bytes"

    def __init__(self, specials: Sequence[str] = ()) -> None:
        """The special tokens are numbered from 256."""
        super().__init__(BYTES, specials)

    @cached_property
    def widths(self) -> Array:
        """int32 (V,): 1 for each byte, 0 for special tokens."""
        return np.array([*[1] * BYTES, *[0] * len(self.specials)], np.int32)

    def encode(self, text: str, *, specials: bool = False) -> Array:
        """The tokens of a text, int32 (N,). `specials`: names of special tokens are those tokens.

        Raises DataError for half of a surrogate pair, which UTF-8 cannot hold.
        """
        return shared.encoded(text, self.specials if specials else {}, _bytes_of)

    def encode_many(self, texts: Sequence[str]) -> tuple[Array, Array]:
        """The tokens of several texts one after the other, and how many each has."""
        counts = np.array([len(_utf8(text)) for text in texts], np.int64)
        return self.encode("".join(texts)), counts

    def decode(self, tokens: Any, *, specials: bool = False) -> str:
        """The text of some tokens; special ones are left out, or written by name."""
        numbers = shared.checked(tokens, self.size)
        if not specials:
            return numbers[numbers < BYTES].astype(np.uint8).tobytes().decode(errors="replace")
        cuts = np.flatnonzero((numbers >= BYTES)[:-1] | (numbers >= BYTES)[1:]) + 1
        return "".join(map(self._run, np.split(numbers, cuts)))

    def token(self, number: int) -> str:
        r"""One token as people should see it: a printable character, `\x0a`, or a name."""
        shared.checked([number], self.size)
        letter = chr(number)
        shown = letter if letter.isascii() and letter.isprintable() else f"\\x{number:02x}"
        return self._names.get(number) or shown

    def _run(self, numbers: Array) -> str:
        """The text of ordinary tokens, or the names of special ones."""
        if numbers.size and numbers[0] >= BYTES:
            return "".join(self._names[each] for each in numbers.tolist())
        return self.decode(numbers)


def _bytes_of(text: str, start: int, whole: str) -> Array:
    try:
        return np.frombuffer(text.encode(), np.uint8).astype(np.int32)
    except UnicodeEncodeError as error:
        raise shared.half_pair(whole, start + error.start) from error


def _unicode(text: str) -> Array:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _utf8(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


_KINDS: dict[str, Callable[[dict[str, Any]], Tokenizer]] = {
    Characters.kind: lambda content: Characters(content["alphabet"], content["specials"]),
    Bytes.kind: lambda content: Bytes(content["specials"]),
    Words.kind: Words.from_json,
}
