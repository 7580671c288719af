"""JSON Lines: one JSON object on each line, and what every reader of them checks.

Not here: what the objects mean (`prompts.py`, `labelled.py`). Next: `prompts.py`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from kedja.data import text as textfile
from kedja.ground.errors import DataError
from kedja.ground.suggest import did_you_mean

SUFFIXES = (".jsonl", ".ndjson")


def is_named_so(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name says that it holds JSON Lines."""
    return os.fspath(path).lower().endswith(SUFFIXES)


def records(
    path: str | os.PathLike[str], example: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each object, after the file and line where it stands. Empty lines are passed over.

    `example` is shown to who gave something else. Raises DataError as `text.pieces` does, and where
    a line holds no JSON object.
    """
    fix = f"one object on each line, such as {json.dumps(example)}"
    for number, line in textfile.lines(path):
        where = f"{os.fspath(path)}, line {number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"this is no JSON ({error})", where=where, fix=fix) from error
        if not isinstance(value, dict):
            what = f"here stands {_kind(value)}, no JSON object"
            raise DataError(what, where=where, fix=fix)
        yield where, value


def text(record: Mapping[str, Any], name: str, where: str, *, empty: bool = False) -> str:
    """The text of that name, which may be `empty`; DataError where there is none."""
    value = required(record, name, where)
    if not isinstance(value, str):
        fix = "write it in quotes"
        raise DataError(f"{name!r} is {_kind(value)}, no text", where=where, fix=fix)
    if not empty and not value.strip():
        raise DataError(f"{name!r} is empty", where=where, fix="fill it, or remove the line")
    return value


def required(record: Mapping[str, Any], name: str, where: str) -> Any:
    """The value of that name; DataError where there is none."""
    if name not in record:
        fix = did_you_mean(name, record, otherwise=f"there are: {', '.join(record) or 'none'}")
        raise DataError(f"the object has no {name!r}", where=where, fix=fix)
    return record[name]


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")
