"""Byte-pair encoding: frequent parts of words as tokens, in Hugging Face's `tokenizer.json`.

Not here: characters and bytes (`tokenizer.py`). Next: `prompts.py`.

The work is done by the `tokenizers` library, an extra. What is trained here works on bytes, as
GPT-2's does: any text can be encoded, and decodes to itself. Files of other kinds (BERT's words in
pieces, sentence pieces) load too, and lose what their own rules drop, such as capital letters.
Source: R. Sennrich, B. Haddow, A. Birch: Neural machine translation of rare words with subword
units (2016); on bytes: A. Radford et al.: Language models are unsupervised multitask learners
(2019).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from kedja.data import tokens as shared
from kedja.data.token_files import stretches
from kedja.data.tokens import Array
from kedja.ground.errors import DataError, MissingExtra, UsageError

BYTES = 256


class BPE:
    """Parts of words as tokens.

    >>> pairs = BPE.of("the cat sat with the cat", size=262, specials=["<end>"])
    >>> [pairs.token(number) for number in pairs.encode("the cat")]
    ['the', ' cat']
    >>> pairs.decode(pairs.encode("any text, né?")), pairs.size, pairs.specials
    ('any text, né?', 262, {'<end>': 261})
    """

    def __init__(self, text: str) -> None:
        """From the text of a `tokenizer.json`. Raises DataError where that is none."""
        self._text = text
        self._plain = _library_tokenizer(text)
        self._plain.encode_special_tokens = True  # their names are text like any other
        self._named = _library_tokenizer(text)

    @staticmethod
    def train(
        files: Sequence[str | os.PathLike[str]], size: int, specials: Sequence[str] = ()
    ) -> BPE:
        """Learn at most `size` tokens (bytes and special ones included) from text files.

        The files are read in a stream; memory holds their different words. Raises UsageError for
        a size that does not hold the 256 bytes, DataError as `text.pieces` does, MissingExtra
        without the library.
        """
        texts = (text for file in files for _, text in stretches(os.fspath(file)))
        return BPE._trained(texts, size, specials)

    @staticmethod
    def of(text: str, size: int, specials: Sequence[str] = ()) -> BPE:
        """Learn at most `size` tokens from a text in memory. Raises as `train` does."""
        if not text:
            raise DataError("there is nothing to learn from an empty text", fix="give some text")
        return BPE._trained([text], size, specials)

    @staticmethod
    def load(folder: str | os.PathLike[str]) -> BPE:
        """Read `tokenizer.json` from a folder. Raises DataError where it is missing or damaged."""
        text, _ = shared.read(folder)
        try:
            return BPE(text)
        except DataError as error:
            raise shared.damaged(os.fspath(Path(folder) / shared.FILE), error.what) from error

    @staticmethod
    def _trained(texts: Iterable[str], size: int, specials: Sequence[str]) -> BPE:
        names = shared.numbered(specials, 0)
        ordinary = size - len(names)
        if ordinary < BYTES:
            what = f"{size} tokens do not hold 256 bytes and {len(names)} special tokens"
            raise UsageError(what, fix=f"give {BYTES + len(names)} or more")
        library = _library("byte-pair encoding")
        inner = library.Tokenizer(library.models.BPE())
        inner.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = library.decoders.ByteLevel()
        trainer = library.trainers.BpeTrainer(
            vocab_size=ordinary,
            min_frequency=2,
            initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        inner.train_from_iterator(texts, trainer)
        inner.add_special_tokens(list(names))
        return BPE(inner.to_str(pretty=True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BPE) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def size(self) -> int:
        """V, the number of tokens: one more than the largest."""
        return 1 + max(map(int, self._plain.get_vocab(with_added_tokens=True).values()))

    @cached_property
    def specials(self) -> Mapping[str, int]:
        """The number of each special token by its name."""
        added = self._plain.get_added_tokens_decoder()
        return {each.content: number for number, each in added.items() if each.special}

    @cached_property
    def widths(self) -> Array:
        """int32 (V,): how many bytes of UTF-8 each token stands for, 0 for special ones.

        Exact for encoders of bytes; of others the bytes of what the token shows.
        """
        widths = np.zeros(self.size, np.int32)
        for name, number in self._plain.get_vocab(with_added_tokens=True).items():
            widths[number] = self._width(name)
        widths[list(self.specials.values())] = 0
        return widths

    @cached_property
    def digest(self) -> str:
        """A text that differs for tokenizers that read text differently."""
        content = json.dumps(json.loads(self._text), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def encode(self, text: str, *, specials: bool = False) -> Array:
        """The tokens of a text, int32 (N,). `specials`: names of special tokens are those tokens.

        Nothing is put around them (`[CLS]`, `[SEP]`): that is the model's affair. Raises
        DataError for half of a surrogate pair, which UTF-8 cannot hold.
        """
        inner = self._named if specials else self._plain
        _require_characters(text)
        return np.array(inner.encode(text, add_special_tokens=False).ids, np.int32)

    def encode_many(self, texts: Sequence[str]) -> tuple[Array, Array]:
        """The tokens of several texts one after the other, and how many each has."""
        for text in texts:
            _require_characters(text)
        found = self._plain.encode_batch_fast(list(texts), add_special_tokens=False)
        ids = [each.ids for each in found]
        counts = np.array([len(each) for each in ids], np.int64)
        return np.fromiter(chain.from_iterable(ids), np.int32, counts.sum()), counts

    def decode(self, tokens: Any, *, specials: bool = False) -> str:
        """The text of some tokens; special ones are left out, or written by name."""
        numbers = shared.checked(tokens, self.size).tolist()
        return str(self._plain.decode(numbers, skip_special_tokens=not specials))

    def token(self, number: int) -> str:
        r"""One token as people should see it: its text, its name, or its bytes as `\xc3`."""
        shared.checked([number], self.size)
        text = self._plain.decode([number], skip_special_tokens=False)
        if "\ufffd" not in text:
            return str(text)
        name = self._plain.id_to_token(number)
        return "".join(_shown(_BYTES[each]) if each in _BYTES else each for each in name)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write `tokenizer.json` into the folder, whole or not at all."""
        shared.write(folder, self._text)

    @cached_property
    def _of_bytes(self) -> bool:
        """Whether tokens are written as GPT-2 writes them, a character for each byte."""
        return '"ByteLevel"' in json.dumps(json.loads(self._text).get("decoder"))

    def _width(self, name: str) -> int:
        if self._of_bytes and all(letter in _BYTES for letter in name):
            return len(name)
        if name.startswith("<0x") and len(name) == len("<0x00>"):
            return 1  # a byte, as sentence pieces write it
        return len(name.removeprefix("##").replace("\u2581", " ").encode())


def _bytes_by_letter() -> dict[str, int]:
    """Which byte GPT-2's files write as which character: printable ones as themselves.

    The others follow from U+0100 on, in order.
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(BYTES) if byte not in printable]
    letters = {chr(byte): byte for byte in printable}
    return letters | {chr(BYTES + place): byte for place, byte in enumerate(others)}


_BYTES = _bytes_by_letter()


def _shown(byte: int) -> str:
    return chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}"


def _require_characters(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise shared.half_pair(text, error.start) from error


def _library(purpose: str) -> Any:
    try:
        import tokenizers
    except ImportError:
        raise MissingExtra("tokenizers", "text", purpose) from None
    return tokenizers


def _library_tokenizer(text: str) -> Any:
    """The library's tokenizer, which neither cuts nor fills what it encodes."""
    library = _library("this tokenizer")
    try:
        inner = library.Tokenizer.from_str(text)
    except Exception as error:
        # The library raises nothing more exact than Exception.
        raise DataError(f"it cannot be read ({error})", fix="use another copy") from error
    inner.no_truncation()
    inner.no_padding()
    return inner
