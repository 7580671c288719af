"""Labelled texts: e-mails with their folder, reviews with their stars, in JSON Lines.

Not here: questions with answers (`prompts.py`). Next: `corpus.py`.

Each line has `text` and `label`, and may have an `id`, which is carried through to what a
classifier answers. Labels may be texts or whole numbers; both are names of classes.
A text may be empty, as an e-mail may.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from kedja.data import jsonlines
from kedja.ground.errors import DataError

EXAMPLE = {"text": "The bill is due.", "label": "money"}


@dataclass(frozen=True)
class Labelled:
    """A text, its class by name (None: not known), its `id` as it stands, and where it stands."""

    text: str
    label: str | None
    id: str | int | None
    where: str


def read(path: str | os.PathLike[str], *, labels: bool = True) -> list[Labelled]:
    """The labelled texts of a file; without `labels` they need none, as those to be classified.

    Raises DataError as `jsonlines.records` does, and where a text or a label is missing or of the
    wrong kind, with the line.
    """
    return [_labelled(record, where, labels) for where, record in jsonlines.records(path, EXAMPLE)]


def are_in(path: str | os.PathLike[str]) -> bool:
    """Whether a file seems to hold labelled texts: by its name, and a label in its first line."""
    if not jsonlines.is_named_so(path):
        return False
    first = next(iter(jsonlines.records(path, EXAMPLE)), ("", {}))[1]
    return "label" in first and "text" in first


def classes(texts: list[Labelled]) -> tuple[str, ...]:
    """The names of all classes, sorted: numbers by value, if all are numbers."""
    names = {each.label for each in texts if each.label is not None}
    if all(name.removeprefix("-").isdecimal() for name in names):
        return tuple(sorted(names, key=int))
    return tuple(sorted(names))


def _labelled(record: Any, where: str, labels: bool) -> Labelled:
    text = jsonlines.text(record, "text", where, empty=True)
    has = labels or record.get("label") is not None
    label = _name("label", jsonlines.required(record, "label", where), where) if has else None
    number = record.get("id")
    if number is not None:
        _name("id", number, where)
    return Labelled(text, label, number, where)


def _name(key: str, value: Any, where: str) -> str:
    """A text or a whole number as a text; DataError for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        what = f"{key!r} is {value!r}, neither a text nor a whole number"
        raise DataError(what, where=where, fix="write it in quotes, or remove the line")
    return str(value).strip()
