"""Token files: text files read once, encoded in a stream, and memory-mapped ever after.

Not here: what a corpus is and how it is divided (`corpus.py`). Next: `bpe.py`.

The folder holds `tokens.bin`, uint16 or uint32 one after the other, little-endian (as nanoGPT's
`train.bin`); `documents.bin`, int64 pairs of start and end, where there are documents; and
`corpus.json`, written last, which says of what they are the tokens. Without it, or with another
digest or size than it says, they are written anew. Memory holds one piece of about a megabyte.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kedja.data import text as textfile
from kedja.data.cache import cache_folder
from kedja.data.tokens import ENDS, START, Array, Tokenizer, UnknownCharacter
from kedja.ground.errors import DataError, StorageError, UsageError
from kedja.io import atomic

# Called with the bytes of text done so far, and with all there are.
Progress = Callable[[int, int], None]

FORMAT = 1
TOKENS, DOCUMENTS, RECORD = "tokens.bin", "documents.bin", "corpus.json"
STRETCH = 2**16  # bytes of running text that are encoded as one
BATCH = 2**20  # characters that are encoded together
LONGEST = 2**24  # characters without a line end, after which running text is cut anywhere


@dataclass(frozen=True)
class Source:
    """Where text comes from: its name, its lines or stretches with their line numbers.

    `documents`: each of them is a document. `tag`: a special token put before.
    """

    name: str
    texts: Callable[[], Iterable[tuple[int, str]]]
    documents: bool
    tag: str | None = None

    @staticmethod
    def of(text: str, lines: bool) -> Source:
        """A text in memory."""
        if not lines:
            return Source("", lambda: [(1, text)], documents=False)
        numbered = [each for each in enumerate(text.split("\n"), 1) if each[1].strip()]
        return Source("", lambda: numbered, documents=True)

    @staticmethod
    def file(path: str, lines: bool, tag: str | None) -> Source:
        """A text file."""
        texts = textfile.lines if lines else stretches
        return Source(path, lambda: texts(path), lines, tag)


def sources(
    files: Sequence[str | os.PathLike[str]], lines: bool, tags: Sequence[str], tokenizer: Tokenizer
) -> list[Source]:
    """Files with their tags; UsageError where these do not fit."""
    if isinstance(files, str | os.PathLike):
        raise UsageError("files is one path", fix=f"give a list: [{os.fspath(files)!r}]")
    if not files:
        raise UsageError("there are no files", fix="give at least one text file")
    if tags and len(tags) != len(files):
        raise UsageError(f"{len(tags)} tags for {len(files)} files", fix="give one for each file")
    for tag in tags:
        if tag not in tokenizer.specials:
            raise UsageError(
                f"the tokenizer has no special token {tag!r}", fix="make it with that token"
            )
    named: Sequence[str | None] = tags or [None] * len(files)
    return [
        Source.file(os.fspath(file), lines, tag) for file, tag in zip(files, named, strict=True)
    ]


def stretches(path: str) -> Iterator[tuple[int, str]]:
    """The number of its first line, and a stretch of running text that can be encoded by itself.

    It ends at a line end between two characters that are no blanks: no pattern by which
    byte-pair encoders divide text sees across it.
    """
    line, rest = 1, ""
    for piece in textfile.pieces(path, STRETCH):
        rest += piece
        cut = _last_cut(rest)
        if cut:
            yield line, rest[:cut]
            line += rest.count("\n", 0, cut)
            rest = rest[cut:]
    if rest:
        yield line, rest


def _last_cut(text: str) -> int:
    """Where the last stretch ends; 0 if nowhere yet."""
    end = len(text) - 1
    while (end := text.rfind("\n", 1, end)) > 0:
        if not text[end - 1].isspace() and not text[end + 1].isspace():
            return end + 1
    return len(text) if len(text) > LONGEST else 0


# ----------------------------------------------------------------------------- encoding


@dataclass(frozen=True)
class _Part:
    """Tokens, int64 (D, 2) where their documents start and end, and how many bytes of text."""

    tokens: Array
    documents: Array
    bytes: int


@dataclass(frozen=True)
class _Frame:
    """The tokens that stand before and after a text, and what is written at its end instead."""

    before: int | None
    after: int | None
    line_end: str


def in_memory(source: Source, tokenizer: Tokenizer) -> tuple[Array, Tokenizer, Array | None]:
    """Tokens, tokenizer and documents of one source."""
    parts = list(_parts([source], tokenizer))
    tokens = np.concatenate([part.tokens for part in parts]).astype(dtype(tokenizer))
    spans = np.concatenate([part.documents for part in parts])
    return tokens, tokenizer, spans if source.documents else None


def dtype(tokenizer: Tokenizer) -> np.dtype[Any]:
    """The smallest of uint16 and uint32 that holds every token."""
    return np.dtype("<u2" if tokenizer.size <= 2**16 else "<u4")


def _parts(given: Sequence[Source], tokenizer: Tokenizer) -> Iterator[_Part]:
    """All tokens of all sources, a batch of texts at a time.

    A document's span starts at the token from which its first one is predicted: `<start>`, its
    tag, or else the end of the document before it; so that one stands before the first.
    """
    frame = _frame(given[0], tokenizer)
    place = 0
    if given[0].documents and frame.before is None:
        first = tokenizer.encode("\n") if frame.after is None else np.array([frame.after])
        yield _Part(first, np.zeros((0, 2), np.int64), 0)
        place = len(first)
    for source in given:
        for tokens, counts, size in _encoded(source, tokenizer):
            ends = place + np.cumsum(counts, dtype=np.int64)
            starts = ends - counts - (frame.before is None)
            yield _Part(tokens, np.stack([starts, ends], axis=1), size)
            place += len(tokens)


def _frame(source: Source, tokenizer: Tokenizer) -> _Frame:
    """What stands around the texts of a source; UsageError where nothing can end a document."""
    known = tokenizer.specials
    before = known.get(source.tag or START)
    after = next((known[name] for name in ENDS if name in known), None)
    if after is not None or not source.documents:
        return _Frame(before, after, "")
    if len(tokenizer.encode("\n")) != 1:
        what = "the tokenizer has no token that could end a document"
        raise UsageError(what, fix=f"make it with the special token {ENDS[0]!r}")
    return _Frame(before, None, "\n")


def _encoded(source: Source, tokenizer: Tokenizer) -> Iterator[tuple[Array, Array, int]]:
    """Tokens, how many each text has, and the bytes of all of them, a batch at a time."""
    frame = _frame(source, tokenizer)
    for number, batch in enumerate(_batches(source, frame.line_end)):
        tokens, counts = _encode(source, batch, tokenizer)
        size = sum(len(text.encode()) for _, text in batch)
        if source.documents:
            tokens, counts = _framed(tokens, counts, frame.before, frame.after)
        elif not number:
            tokens, counts = _framed(tokens, counts, frame.before, None, first=1)
        yield tokens, counts, size
    if frame.after is not None and not source.documents:
        yield np.array([frame.after], np.int32), np.array([1]), 0


def _batches(source: Source, end: str) -> Iterator[list[tuple[int, str]]]:
    batch: list[tuple[int, str]] = []
    size = 0
    for line, text in source.texts():
        batch.append((line, text.strip() + end if source.documents else text))
        size += len(text)
        if size > BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _encode(
    source: Source, batch: list[tuple[int, str]], tokenizer: Tokenizer
) -> tuple[Array, Array]:
    try:
        return tokenizer.encode_many([text for _, text in batch])
    except UnknownCharacter:
        for line, text in batch:
            _find_unknown(source, line, text, tokenizer)
        raise


def _find_unknown(source: Source, line: int, text: str, tokenizer: Tokenizer) -> None:
    """Raise the error for a character that is not known again, with its place in the file."""
    try:
        tokenizer.encode(text)
    except UnknownCharacter as error:
        raise error.moved(source.name, line) from error


def _framed(
    tokens: Array, counts: Array, before: int | None, after: int | None, first: int | None = None
) -> tuple[Array, Array]:
    """The tokens with one put before and one after each text (or before the `first` ones)."""
    ends = np.cumsum(counts)
    if after is not None:
        tokens = np.insert(tokens, ends, after)
        counts = counts + 1
        ends = np.cumsum(counts)
    if before is not None:
        starts = (ends - counts)[:first]
        tokens = np.insert(tokens, starts, before)
        counts = counts + (np.arange(len(counts)) < len(starts))
    return tokens, counts


# ----------------------------------------------------------------------------- files


def mapped(
    given: Sequence[Source],
    tokenizer: Tokenizer,
    folder: str | os.PathLike[str] | None,
    progress: Progress | None,
) -> tuple[Array, Array | None]:
    """Memory-mapped tokens and documents of files, written first where they are not there yet."""
    digest = _digest(given, tokenizer)
    home = Path(folder) if folder is not None else cache_folder("tokens") / digest[:32]
    record = _record(home, digest)
    if record is None:
        record = _write(home, digest, given, tokenizer, progress)
    tokens: Array = np.memmap(home / TOKENS, dtype(tokenizer), "r", shape=(record["tokens"],))
    if record["documents"] is None:
        return tokens, None
    shape = (record["documents"], 2)
    return tokens, np.memmap(home / DOCUMENTS, "<i8", "r", shape=shape)


def _digest(given: Sequence[Source], tokenizer: Tokenizer) -> str:
    """What the tokens depend on: the content of the files, the tokenizer, the options."""
    parts = [[_sha256(each.name), each.documents, each.tag] for each in given]
    facts = json.dumps([FORMAT, tokenizer.digest, parts])
    return hashlib.sha256(facts.encode()).hexdigest()


def _sha256(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        what = f"cannot read: {error.strerror or error}"
        raise DataError(what, where=path, fix="check the path") from error


def _record(home: Path, digest: str) -> dict[str, Any] | None:
    """What `corpus.json` says, if it is about these sources and the files have their sizes."""
    try:
        record: dict[str, Any] = json.loads((home / RECORD).read_text("utf-8"))
        sizes = {TOKENS: record["tokens"] * record["bytes"]}
        if record["documents"] is not None:
            sizes[DOCUMENTS] = record["documents"] * 16
        whole = all((home / file).stat().st_size == size for file, size in sizes.items())
        return record if whole and record["digest"] == digest else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # Missing, damaged, or of another version: the files are written anew.


def _write(
    home: Path,
    digest: str,
    given: Sequence[Source],
    tokenizer: Tokenizer,
    progress: Progress | None,
) -> dict[str, Any]:
    """Write the files, `corpus.json` last; what it says."""
    _make(home)
    with suppress(FileNotFoundError):
        (home / RECORD).unlink()  # it would describe files that are about to change
    kind = dtype(tokenizer)
    counts = _write_tokens(home, given, tokenizer, progress)
    record = {
        "digest": digest,
        "bytes": kind.itemsize,
        "tokens": counts[0],
        "documents": counts[1] if given[0].documents else None,
        "sources": [each.name for each in given],
    }
    atomic.write_bytes(home / RECORD, json.dumps(record, indent=1).encode())
    return record


def _write_tokens(
    home: Path, given: Sequence[Source], tokenizer: Tokenizer, progress: Progress | None
) -> tuple[int, int]:
    """Stream all sources into the files; how many tokens and documents there are."""
    tokens = documents = done = 0
    total = sum(os.path.getsize(each.name) for each in given)
    with ExitStack() as stack:
        write = stack.enter_context(atomic.replacing(home / TOKENS))
        mark = None
        if given[0].documents:
            mark = stack.enter_context(atomic.replacing(home / DOCUMENTS))
        for part in _parts(given, tokenizer):
            write(part.tokens.astype(dtype(tokenizer)).data.cast("B"))
            if mark is not None and len(part.documents):
                mark(part.documents.astype("<i8").data.cast("B"))
            tokens += len(part.tokens)
            documents += len(part.documents)
            done += part.bytes
            if progress is not None:
                progress(min(done, total), total)
    return tokens, documents


def _make(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"cannot make the folder: {error.strerror or error}"
        raise StorageError(what, where=str(home), fix="choose another one") from error
