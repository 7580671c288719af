"""JSON Lines with texts, and plain text line by line, to be looked at.

Not here: tables (`tables.py`). Next: `pictures.py`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from kedja.data import jsonlines, labelled
from kedja.data import text as textfile
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.inspection import cells, tables
from kedja.inspection.finding import Finding
from kedja.inspection.subject import Labels, Subject

# As much of the text is looked at as fits into memory with everything that is made of it.
MAX_CHARACTERS = 128 * 1024**2


def from_json_lines(path: str | os.PathLike[str], label: str | None) -> Subject:
    """Objects with `text`, and `label`, `id` and `annotator` where they have them; or a table."""
    where, size = os.fspath(path), 0
    records: list[Mapping[str, Any]] = []
    places: list[str] = []
    found: tuple[Finding, ...] = ()
    for place, record in jsonlines.records(path, labelled.EXAMPLE):
        size += sum(len(value) for value in record.values() if isinstance(value, str)) + 100
        if size > MAX_CHARACTERS:
            found = (cut(len(records)),)
            break
        records.append(record)
        places.append(place.removeprefix(f"{where}, "))
    names = _names(records)
    if "text" not in names:
        columns = {each: [cell(record.get(each)) for record in records] for each in names}
        return tables.table(where, columns, places, label)
    return _texts(where, records, places, _label(where, names, label), found)


def _names(records: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record))


def _label(where: str, names: list[str], label: str | None) -> str | None:
    if label in (None, tables.NO_LABEL):
        return "label" if "label" in names and label is None else None
    if label not in names:
        fix = did_you_mean(label, names)
        raise UsageError(f"no object has {label!r}", where=where, fix=fix)
    return label


def _texts(
    where: str,
    records: Sequence[Mapping[str, Any]],
    places: Sequence[str],
    label: str | None,
    found: tuple[Finding, ...],
) -> Subject:
    columns = {
        name: [cell(record.get(name)) for record in records]
        for name in _names(records)
        if name not in ("text", label)
    }
    who = next((name for name in columns if tables.ANNOTATOR.fullmatch(name)), None)
    written = [cell(record.get("text")) for record in records]
    annotators = columns.pop(who) if who else None
    items = None if who is None else columns.get("id") or [key.hex() for key in keys_of(written)]
    return Subject(
        os.path.basename(where),
        "texts",
        places,
        keys_of(written),
        None if label is None else _labels(label, records),
        tuple(cells.column(name, values) for name, values in columns.items()),
        written,
        items=items,
        annotators=annotators,
        found=found,
    )


def _labels(label: str, records: Sequence[Mapping[str, Any]]) -> Labels:
    names = [cell(record.get(label)).strip() or None for record in records]
    return cells.classes(label, names)


def cell(value: Any) -> str:
    """A value of JSON as the cell of a table; an empty one for null."""
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value)


def from_text(path: str | os.PathLike[str]) -> Subject:
    """A text file: its lines that are not empty."""
    size = 0
    written: list[str] = []
    places: list[str] = []
    found: tuple[Finding, ...] = ()
    for number, line in textfile.lines(path):
        size += len(line)
        if size > MAX_CHARACTERS:
            found = (cut(len(written)),)
            break
        written.append(line)
        places.append(f"line {number}")
    facts = {"characters": sum(map(len, written)), "words": sum(len(t.split()) for t in written)}
    name = os.path.basename(os.fspath(path))
    keys = keys_of(written)
    return Subject(name, "texts", places, keys, texts=written, found=found, facts=facts)


def cut(count: int) -> Finding:
    """That only the beginning was looked at."""
    return Finding(
        "reading",
        "notice",
        f"only the first {count:,} examples were looked at: the file is too large for more",
        "give a sample of the whole file",
    )


_BLANKS = re.compile(r"\s+")


def folded(text: str) -> str:
    """A text as it is compared: without capitals, each stretch of blanks as one."""
    return _BLANKS.sub(" ", text).strip().casefold()


def keys_of(texts: Sequence[str]) -> list[bytes]:
    """The same 16 bytes for texts that differ only in capitals and blanks."""
    return [hashlib.blake2b(folded(each).encode(), digest_size=16).digest() for each in texts]
