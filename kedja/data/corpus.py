"""A corpus: texts of any length as one array of tokens, memory-mapped, and its honest division.

Not here: how text files are read (`text.py`), what a token is (`tokens.py`), how a corpus is
written to disk (`token_files.py`), which windows of it a model sees (`kedja/train`).
Next: `token_files.py`.

N tokens, D documents. A *document* is a text that is complete by itself: a name of a list, a
spell. Running text (a play, a book) has none: any stretch of it may be learned from. Documents end
with the token `<end>` or `<|endoftext|>` if the tokenizer has it, else with a line end; they start
with their tag or `<start>`, else with the end of the one before: what a model is given to begin.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from kedja.data import learned, token_files
from kedja.data import text as textfile
from kedja.data.batches import split_order
from kedja.data.tokenizer import Characters
from kedja.data.tokens import Array, Tokenizer
from kedja.ground.errors import DataError, UsageError

_CHUNK = 2**20  # tokens looked at together


@dataclass(frozen=True, eq=False)
class Corpus:
    """Tokens and what they mean.

    `tokens`: uint16 or uint32 (N,), often memory-mapped. `documents`: int64 (D, 2), where each
    document starts and ends among them, in the order of the files; None for running text. The
    first token of a document is what its text is predicted from; it may belong to the one before.

    >>> from kedja.data.tokenizer import Characters
    >>> names = "ada\\nbea\\n"
    >>> corpus = Corpus.of(names, Characters.of(names), lines=True)
    >>> corpus.tokens.tolist(), corpus.documents.tolist(), corpus.bytes
    ([0, 1, 3, 1, 0, 2, 4, 1, 0], [[0, 5], [4, 9]], 8)
    """

    tokens: Array
    tokenizer: Tokenizer
    documents: Array | None = None

    def __len__(self) -> int:
        """How many tokens are predicted: all of them, or those of the documents but the first."""
        if self.documents is None:
            return len(self.tokens)
        return int((self.documents[:, 1] - self.documents[:, 0] - 1).sum())

    @staticmethod
    def of(text: str, tokenizer: Tokenizer, *, lines: bool = False) -> Corpus:
        """The corpus of a text in memory; with `lines` each line that is not empty is a document.

        Raises DataError where there is no text, or the tokenizer does not know a character.
        """
        if not text.strip():
            raise DataError("there is no text", fix="give some")
        source = token_files.Source.of(text, lines)
        return Corpus(*token_files.in_memory(source, tokenizer))

    @staticmethod
    def read(
        files: Sequence[str | os.PathLike[str]],
        tokenizer: Tokenizer,
        *,
        lines: bool = False,
        tags: Sequence[str] = (),
        folder: str | os.PathLike[str] | None = None,
        progress: token_files.Progress | None = None,
    ) -> Corpus:
        """The corpus of text files, which may be larger than memory.

        The tokens are written once, to `folder` (None: to the cache), and memory-mapped; later
        calls with the same files, tokenizer and options find them there, unless they are damaged.
        With `lines` each line that is not empty is a document; otherwise the files are running
        text, one after the other. `tags` names one special token for each file, put before each
        of its documents (before the file, where it is running text), so that a model that learns
        from several lists can be asked for either. `progress` is told of bytes done, and of all.

        Raises DataError as `text.pieces` does, and for characters that the tokenizer does not
        know; UsageError for tags that do not fit; StorageError where the disk refuses.
        """
        sources = token_files.sources(files, lines, tags, tokenizer)
        tokens, documents = token_files.mapped(sources, tokenizer, folder, progress)
        return Corpus(tokens, tokenizer, documents)

    @staticmethod
    def alphabet(
        files: Sequence[str | os.PathLike[str]], specials: Sequence[str] = ()
    ) -> Characters:
        """The characters that text files use, as a tokenizer. Raises DataError as `read` does."""
        found: set[str] = set("\n")
        for file in files:
            for piece in textfile.pieces(file):
                found.update(piece)
        return Characters("".join(sorted(found)), specials)

    @cached_property
    def bytes(self) -> int:
        """How many bytes of text, in UTF-8, the tokens that are predicted stand for.

        Bits per byte are the sum of all tokens' losses in bits, divided by it.
        """
        widths = self.tokenizer.widths
        return sum(int(widths[chunk].sum(dtype=np.int64)) for chunk in self._chunks())

    def document(self, number: int) -> Array:
        """The tokens of a document, start and end included; UsageError for running text."""
        if self.documents is None:
            raise UsageError("running text has no documents", fix="read it with lines=True")
        start, end = self.documents[number]
        return self.tokens[start:end]

    def split(self, validation: float = 0.1, *, seed: int = 0) -> tuple[Corpus, Corpus]:
        """What to train on, and what is held out to validate on.

        Of running text the end is held out: windows drawn anywhere would overlap with it. Of
        documents, whole ones are drawn by the seed; equal ones all go to the same part, so
        none that was trained on is asked for. Raises UsageError where a part would be empty.
        """
        if not 0 < validation < 1:
            raise UsageError(f"validation is {validation}", fix="a fraction between 0 and 1")
        parts = self._divided(validation, seed)
        if learned.is_alone():
            parts = parts[0]._divided(validation, seed)
        if not all(len(part) for part in parts):
            what = f"validation={validation} of {self._size()} leaves one part empty"
            raise UsageError(what, fix="give more text, or another fraction")
        return parts

    def _divided(self, validation: float, seed: int) -> tuple[Corpus, Corpus]:
        if self.documents is None:
            cut = int(len(self.tokens) * (1 - validation))
            return replace(self, tokens=self.tokens[:cut]), replace(self, tokens=self.tokens[cut:])
        held = _held_out(self._groups(), validation, seed)
        parts = (replace(self, documents=self.documents[rows]) for rows in (~held, held))
        return next(parts), next(parts)

    def _size(self) -> str:
        if self.documents is None:
            return f"{len(self.tokens)} tokens"
        return f"{len(self.documents)} documents"

    def _groups(self) -> Array:
        """A number for each document (D,), the same for equal ones, in order of appearance."""
        assert self.documents is not None
        seen: dict[bytes, int] = {}
        digests = (_digest(self.tokens[start + 1 : end]) for start, end in self.documents.tolist())
        return np.array([seen.setdefault(each, len(seen)) for each in digests], np.int64)

    def _chunks(self) -> Iterator[Array]:
        """The tokens that are predicted, some at a time."""
        spans = [(0, len(self.tokens))] if self.documents is None else _joined(self.documents)
        for start, end in spans:
            for at in range(start, end, _CHUNK):
                yield self.tokens[at : min(at + _CHUNK, end)]


def _digest(tokens: Array) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(tokens).data, digest_size=16).digest()


def _held_out(groups: Array, validation: float, seed: int) -> Array:
    """bool (D,): whole groups, drawn until at least so many documents are held out."""
    order = split_order(int(groups.max()) + 1, seed)
    sizes = np.bincount(groups)[order]
    taken = np.cumsum(sizes) - sizes < round(len(groups) * validation)
    return np.isin(groups, order[taken])


def _joined(documents: Array) -> list[tuple[int, int]]:
    """What is predicted of documents, those side by side as one span."""
    starts, ends = documents[:, 0] + 1, documents[:, 1]
    first = np.append(True, starts[1:] != ends[:-1])
    last = np.append(first[1:], True)
    return list(zip(starts[first].tolist(), ends[last].tolist(), strict=True))
