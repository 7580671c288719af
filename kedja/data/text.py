"""Text files, read a piece at a time: clear errors for what is no text.

Not here: text as numbers (`corpus.py`), questions with answers (`prompts.py`),
texts with labels (`labelled.py`).
Next: `corpus.py`.

UTF-8, with or without a byte-order mark. Line ends of Windows and of old Macs are read as `\\n`,
as Python does. A file larger than memory is read as well as a small one: `pieces` and `lines` keep
one piece or one line. Every error names the file, and the line where there is one.
"""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Iterator

from kedja.ground.errors import DataError

PIECE = 2**20  # bytes read at a time
LONGEST_LINE = 2**24  # characters; a longer one is no line of text

_TEXT = "give a text file in UTF-8"
_MARK = "\ufeff"  # the byte-order mark
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BINARY = (  # how files start that people mistake for text
    (b"\x1f\x8b", "a gzip file", "unpack it first"),
    (b"PK\x03\x04", "a zip archive or an office document", "save its text as a text file"),
    (b"%PDF", "a PDF document", "save its text as a text file"),
)


def pieces(path: str | os.PathLike[str], size: int = PIECE) -> Iterator[str]:
    """The text of a file, piece after piece, of about `size` bytes each.

    Raises DataError for a file that is missing, empty, binary (it holds the byte 0), or not in
    UTF-8, with the byte's place; only when the place is reached, so earlier pieces come first.
    """
    where = os.fspath(path)
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    found = False
    for text in _decoded(where, size):
        found = found or bool(text.strip())
        piece = newlines.decode(text)
        if piece:
            yield piece
    last = newlines.decode("", final=True)
    if last:
        yield last
    if not found:
        raise DataError("the file is empty", where=where, fix="give a file with text in it")


def read(path: str | os.PathLike[str]) -> str:
    """The whole text of a file that fits into memory. Raises DataError as `pieces` does."""
    return "".join(pieces(path))


def lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """Each line with its number (from 1), without its end. Empty lines are passed over.

    Raises DataError as `pieces` does, and for a line of more than 16 million characters.
    """
    number, rest = 1, ""
    for piece in pieces(path):
        *whole, rest = (rest + piece).split("\n")
        for line in whole:
            if line.strip():
                yield number, line
            number += 1
        if len(rest) > LONGEST_LINE:
            what = f"the line has more than {LONGEST_LINE:,} characters"
            raise DataError(what, where=f"{os.fspath(path)}, line {number}", fix="divide it")
    if rest.strip():
        yield number, rest


def _decoded(where: str, size: int) -> Iterator[str]:
    """The text as it stands in the file, line ends included."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    for data, place in _blocks(where, size):
        if not place:
            _check_start(data, where)
        if b"\0" in data:
            what = f"this is a binary file, no text: byte {place + data.index(0):,} is 0"
            raise DataError(what, where=where, fix=_TEXT)
        pending = decoder.getstate()[0]
        try:
            text = decoder.decode(data)
        except UnicodeDecodeError as error:
            raise _undecodable(error, where, place - len(pending), line) from error
        yield text if place else text.removeprefix(_MARK)
        line += data.count(b"\n")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        what = "the file ends in the middle of a character"
        raise DataError(what, where=f"{where}, line {line}", fix="use a whole copy") from error


def _undecodable(error: UnicodeDecodeError, where: str, place: int, line: int) -> DataError:
    at = error.start
    line += error.object.count(b"\n", 0, at)
    what = f"byte {error.object[at]:#04x} at place {place + at:,} is not UTF-8 text"
    return DataError(what, where=f"{where}, line {line}", fix="save the file as UTF-8")


def _check_start(data: bytes, where: str) -> None:
    """Raise DataError where a file starts as other kinds of files do."""
    if data.startswith(_UTF16):
        raise DataError("the text is UTF-16, not UTF-8", where=where, fix="save the file as UTF-8")
    for magic, name, fix in _BINARY:
        if data.startswith(magic):
            raise DataError(f"this is {name}, no text", where=where, fix=fix)


def _blocks(where: str, size: int) -> Iterator[tuple[bytes, int]]:
    """The bytes of a file, block after block, and the place of each block's first."""
    place = 0
    try:
        with open(where, "rb") as file:
            while data := file.read(size):
                yield data, place
                place += len(data)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"cannot read: {reason}", where=where, fix="check the path") from error
