"""What every tokenizer can do, and what the kinds share: special tokens, the file, the checks.

Not here: the tokenizers themselves (`tokenizer.py`, `bpe.py`). Next: `tokenizer.py`.

A token is a whole number from 0 to V − 1. *Special* tokens (the end of a text, a mask, padding)
stand for no text: text never becomes one unless the caller asks for it, so that a file that
happens to contain `<|endoftext|>` cannot end a text by itself.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kedja.ground.errors import DataError, UsageError
from kedja.io import atomic

Array = np.ndarray[Any, np.dtype[Any]]

# Encodes a piece of text that starts at a place of the whole one.
Plain = Callable[[str, int, str], Array]

FILE = "tokenizer.json"
START = "<start>"  # the special token that stands before a text
ENDS = ("<end>", "<|endoftext|>")  # those that end one; the second is GPT-2's name


class UnknownCharacter(DataError):
    """A character that a tokenizer does not know, at a line and column of the text (from 1)."""

    def __init__(self, what: str, *, line: int, column: int, fix: str, file: str = "") -> None:
        self.line, self.column = line, column
        where = f"{file}, line {line}, column {column}" if file else f"line {line}, column {column}"
        super().__init__(what, where=where, fix=fix)

    @staticmethod
    def at(text: str, place: int, what: str, fix: str) -> UnknownCharacter:
        """The error for the character at a place of a text."""
        start = text.rfind("\n", 0, place) + 1
        line, column = 1 + text.count("\n", 0, place), 1 + place - start
        return UnknownCharacter(what, line=line, column=column, fix=fix)

    def moved(self, file: str, line: int) -> UnknownCharacter:
        """The same, in a file in which the text starts on that line."""
        new = self.line + line - 1
        return UnknownCharacter(
            self.what, line=new, column=self.column, fix=self.fix or "", file=file
        )


class Tokenizer(Protocol):
    """Text as numbers and back. `decode(encode(text)) == text` unless a kind says otherwise."""

    @property
    def size(self) -> int:
        """V, the number of tokens, special ones included."""

    @property
    def specials(self) -> Mapping[str, int]:
        """The number of each special token by its name."""

    @property
    def widths(self) -> Array:
        """int32 (V,): how many bytes of UTF-8 each token stands for, 0 for special ones."""

    @property
    def digest(self) -> str:
        """A text that differs for tokenizers that read text differently."""

    def encode(self, text: str, *, specials: bool = False) -> Array:
        """The tokens of a text, int32 (N,). `specials`: names of special tokens are those tokens.

        Raises DataError for what the vocabulary cannot express.
        """

    def encode_many(self, texts: Sequence[str]) -> tuple[Array, Array]:
        """The tokens of several texts one after the other, and how many each has."""

    def decode(self, tokens: Any, *, specials: bool = False) -> str:
        """The text of some tokens; special ones are left out, or written by name.

        Raises DataError for a number that is no token.
        """

    def token(self, number: int) -> str:
        """One token as people should see it: its text, its name, or its byte."""

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write `tokenizer.json` into the folder, whole or not at all."""


def numbered(names: Iterable[str], first: int) -> dict[str, int]:
    """Special tokens by name, counted from `first`.

    Raises UsageError for an empty name and for one that is there twice.
    """
    if isinstance(names, str):
        what = f"the special tokens are one text, {names!r}"
        raise UsageError(what, fix="give a list of names")
    given = list(names)
    require_different(given, "special tokens")
    for name in given:
        if not isinstance(name, str) or not name:
            raise UsageError(f"{name!r} is no name of a special token", fix="give a text")
    return {name: first + place for place, name in enumerate(given)}


def require_different(names: Sequence[str], what: str) -> None:
    """Raise UsageError where a name is there twice."""
    if len(set(names)) < len(names):
        name, count = Counter(names).most_common(1)[0]
        raise UsageError(f"among the {what} {name!r} stands {count} times", fix="give it once")


def encoded(text: str, specials: Mapping[str, int], plain: Plain) -> Array:
    """The tokens of a text in which the names of special tokens mean those tokens.

    `plain(piece, start, text)` encodes what stands between them, from place `start` on.
    """
    if not specials:
        return plain(text, 0, text)
    parts = [
        np.array([specials[piece]], np.int32) if special else plain(piece, start, text)
        for piece, start, special in _pieces(text, specials)
    ]
    return np.concatenate([np.zeros(0, np.int32), *parts])


def _pieces(text: str, specials: Mapping[str, int]) -> Iterator[tuple[str, int, bool]]:
    """The text cut where special tokens are named: piece, place, whether it is a name."""
    longest_first = sorted(specials, key=len, reverse=True)
    start = 0
    # In what re.split gives, every second piece is a separator.
    for count, piece in enumerate(re.split(f"({'|'.join(map(re.escape, longest_first))})", text)):
        if piece:
            yield piece, start, bool(count % 2)
        start += len(piece)


def half_pair(text: str, place: int) -> UnknownCharacter:
    """The error for half of a surrogate pair, which no encoding can hold."""
    what = f"{text[place]!r} is half of a surrogate pair, no character"
    fix = "decode the text as what it was written in"
    return UnknownCharacter.at(text, place, what, fix)


def checked(tokens: Any, size: int) -> Array:
    """The tokens as int64 (N,). Raises DataError for a number that is no token."""
    numbers = np.asarray(tokens)
    if numbers.size and numbers.dtype.kind not in "iu":
        what = f"tokens are whole numbers, not {numbers.dtype}"
        raise DataError(what, fix="decode what encode or a model's choice gave")
    numbers = numbers.reshape(-1).astype(np.int64)
    wrong = np.flatnonzero((numbers < 0) | (numbers >= size))
    if len(wrong):
        what = f"there is no token {numbers[wrong[0]]}, at place {wrong[0]}: {size} are known"
        raise DataError(what, fix="use the tokenizer that the model was trained with")
    return numbers


def write(folder: str | os.PathLike[str], content: str) -> None:
    """Write `tokenizer.json`; StorageError where the disk refuses."""
    atomic.write_bytes(Path(folder) / FILE, content.encode())


def read(folder: str | os.PathLike[str]) -> tuple[str, Any]:
    """The text of a folder's `tokenizer.json`, and the JSON in it.

    Raises DataError where it is missing or is no JSON.
    """
    where = os.fspath(Path(folder) / FILE)
    try:
        text = Path(where).read_text(encoding="utf-8")
        return text, json.loads(text)
    except OSError as error:
        what = f"cannot read: {error.strerror or error}"
        fix = "give the folder of a run or of a model"
        raise DataError(what, where=where, fix=fix) from error
    except ValueError as error:
        raise damaged(where, f"it is no JSON ({error})") from error


def damaged(where: str, reason: str) -> DataError:
    """The error for a `tokenizer.json` that cannot be used."""
    what = f"the tokenizer is damaged: {reason}"
    return DataError(what, where=where, fix="use another copy, or train again")
