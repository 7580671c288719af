"""Lists that name pictures with their captions, as people have them, and where the pictures are.

| a file named                            | holds                                               |
|-----------------------------------------|-----------------------------------------------------|
| `captions.csv`, `.tsv`, `metadata.csv`  | a line of names, then columns of files and captions |
| `captions.jsonl`, `metadata.jsonl`      | an object on each line, with both by name           |
| `captions.txt`                          | lines of `file<tab>caption`, or as `captions.csv`   |
| `captions….json`                        | COCO's `images` and `annotations`                   |

A picture may stand in several lines, each with a caption of its own. Not here: what is made of
them (`captioned.py`). Next: `captioned.py`.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from kedja.data import csvfile, jsonlines, text
from kedja.ground.errors import DataError

NAMES = (
    *("captions.csv", "captions.tsv", "captions.jsonl", "captions.txt"),
    *("metadata.csv", "metadata.jsonl"),
)
FILES = ("file", "file_name", "filename", "image", "picture", "path")
CAPTIONS = ("caption", "text", "description", "sentence")
FIX = f"a folder of pictures with one of {', '.join(NAMES)}, or COCO's captions….json"
_EXAMPLE = {"file": "1.png", "caption": "a black cat"}
_NUMBERED = re.compile(r"#\d+$")  # Flickr8k numbers a picture's captions: one.jpg#0
_COCO = 'an object with "images" and "annotations", as in COCO'


class Line(NamedTuple):
    """A picture's name and one of its captions, and where that stands."""

    file: str
    caption: str
    where: str


def find(folder: str | os.PathLike[str]) -> Path | None:
    """The list of captions in a folder; None where there is none."""
    where = Path(folder)
    for name in NAMES:
        if (where / name).is_file() and (name.startswith("captions") or _is_of(where / name)):
            return where / name
    return next(iter(sorted(where.glob("captions*.json"))), None) if where.is_dir() else None


def _is_of(file: Path) -> bool:
    """Whether a file of a common name has captions in it."""
    try:
        if jsonlines.is_named_so(file):
            names = set(next(iter(jsonlines.records(file, _EXAMPLE)))[1])
        else:
            names = {name.strip().lower() for name in csvfile.head(file).columns}
    except DataError:
        return False
    return not names.isdisjoint(FILES) and not names.isdisjoint(CAPTIONS)


def read(file: Path) -> list[Line]:
    """The lines of a list; one that stands there twice is taken once.

    Captions may be empty. Raises DataError for files that are not as the table says.
    """
    kinds = {".jsonl": _of_objects, ".txt": _of_text, ".json": _of_coco}
    lines = kinds.get(file.suffix, _of_columns)(file)
    return list({(line.file, line.caption): line for line in lines}.values())


def _of_objects(file: Path) -> Iterator[Line]:
    for where, row in jsonlines.records(file, _EXAMPLE):
        name = jsonlines.text(row, _known(row, FILES, where), where)
        caption = jsonlines.text(row, _known(row, CAPTIONS, where), where, empty=True)
        yield Line(name.strip(), caption.strip(), where)


def _of_text(file: Path) -> Iterator[Line]:
    """Lines with a tab; where the first has none and names columns, a CSV file."""
    _, first = next(text.lines(file))
    names = [name.strip().lower() for name in re.split("[,;]", first)]
    if "\t" not in first and {*names} & {*FILES} and {*names} & {*CAPTIONS}:
        yield from _of_columns(file)
        return
    for number, line in text.lines(file):
        name, mark, caption = line.partition("\t")
        where = f"{file}, line {number}"
        if not mark:
            raise DataError("the line has no tab", where=where, fix="lines of file<tab>caption")
        yield Line(name.strip(), caption.strip(), where)


def _of_columns(file: Path) -> Iterator[Line]:
    cells = csvfile.read(file)
    columns = {name.strip().lower(): values for name, values in cells.columns.items()}
    files, captions = (columns[_known(columns, names, str(file))] for names in (FILES, CAPTIONS))
    for number, name, caption in zip(cells.lines, files, captions, strict=True):
        yield Line(name.strip(), caption.strip(), f"{file}, line {number}")


def _of_coco(file: Path) -> Iterator[Line]:
    """Captions whose pictures are said by number."""
    try:
        content = json.loads(text.read(file))
        pictures = {each["id"]: str(each["file_name"]) for each in content["images"]}
        for each in content["annotations"]:
            yield Line(pictures[each["image_id"]], str(each["caption"]).strip(), str(file))
    except (ValueError, RecursionError) as error:
        raise DataError(f"this is no JSON ({error})", where=str(file), fix=_COCO) from error
    except KeyError as error:
        what = f"there is no {error.args[0]!r}"
        raise DataError(what, where=str(file), fix=_COCO) from error
    except TypeError as error:
        raise DataError("this is no list of captions", where=str(file), fix=_COCO) from error


def _known(row: Mapping[str, Any], names: Sequence[str], where: str) -> str:
    """Which of some names there is."""
    for name in names:
        if name in row:
            return name
    raise DataError(f"there is no {names[0]!r}", where=where, fix=f"one of {', '.join(names)}")


class Places:
    """The files of a folder by their names in a list."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def of(self, line: Line) -> Path:
        """A picture's path: as it is named, or the one file of that name below the folder.

        How letters with accents are written in Unicode makes no difference, since file systems
        differ in that. Raises DataError for a name that leads out of the folder, or to no file.
        """
        for name in (line.file, _NUMBERED.sub("", line.file)):
            path = self.folder / name.replace("\0", "")
            if not path.resolve().is_relative_to(self.folder.resolve()):
                what, fix = f"{name!r} is not in the folder", "give names below it"
                raise DataError(what, where=line.where, fix=fix)
            if os.path.isfile(path):
                return path
            found = self._below.get(_plain(Path(name).name), [])
            if len(found) == 1:
                return found[0]
        raise DataError("there is no such file", where=line.where, fix="check the name")

    @cached_property
    def _below(self) -> Mapping[str, Sequence[Path]]:
        """All files below the folder by their last names."""
        found: dict[str, list[Path]] = {}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                found.setdefault(_plain(path.name), []).append(path)
        return found


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name)
