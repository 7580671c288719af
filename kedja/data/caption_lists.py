"""Lists that name pictures with their captions, as people have them, and where the pictures are.

| a file named                            | holds                                               |
|-----------------------------------------|-----------------------------------------------------|
| `captions.csv`, `.tsv`, `metadata.csv`  | a line of names, then columns of files and captions |
| `captions.jsonl`, `metadata.jsonl`      | an object on each line, with both by name           |
| `captions.txt`                          | lines of `file<tab>caption`, or as `captions.csv`   |
| `captions….json`                        | COCO's `images` and `annotations`                   |
| another `.csv`, `.tsv` or `.jsonl`      | columns such as `file` and `caption`                |
| as a picture, but `.txt` or `.caption`  | captions of that picture, one a line                |

Columns that are called otherwise are known by what stands in them: one names pictures. A picture
may stand in several lines, each with a caption of its own. Not here: what is made of them
(`captioned.py`). Next: `captioned.py`.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from kedja.data import csvfile, jsonlines, picture_files, text
from kedja.ground.errors import DataError
from kedja.io import photos

NAMES = (
    *("captions.csv", "captions.tsv", "captions.jsonl", "captions.txt"),
    *("metadata.csv", "metadata.jsonl"),
)
FILES = ("file", "file_name", "filename", "image", "picture", "path")
CAPTIONS = ("caption", "text", "description", "sentence")
FIX = f"a folder of pictures with one of {', '.join(NAMES)}, or a text file beside each picture"
LISTS = (".csv", ".tsv", ".jsonl")
BESIDE = (".txt", ".caption")
LOOKED_AT, SHARE = 50, 0.5  # pictures that are looked at, and how many of them have a text beside
_EXAMPLE = {"file": "1.png", "caption": "a black cat"}
_NUMBERED = re.compile(r"#\d+$")  # Flickr8k numbers a picture's captions: one.jpg#0
_COCO = 'an object with "images" and "annotations", as in COCO'


class Line(NamedTuple):
    """A picture's name and one of its captions, and where that stands."""

    file: str
    caption: str
    where: str


def find(folder: str | os.PathLike[str]) -> Path | None:
    """The list of captions in a folder, or itself, if there are texts beside its pictures, or None.

    What stands in a list decides, not what else is in the folder.
    """
    where = Path(folder)
    for name in NAMES:
        if (where / name).is_file() and (name.startswith("captions") or _is_of(where / name)):
            return where / name
    if not where.is_dir():
        return None
    others = islice((each for each in sorted(where.iterdir()) if each.suffix in LISTS), LOOKED_AT)
    lists = chain(sorted(where.glob("captions*.json")), filter(_is_of, others))
    return next(lists, None) or (where if _has_beside(where) else None)


def _has_beside(folder: Path) -> bool:
    """Whether most of the first pictures have words beside them (boxes of objects are numbers)."""
    first = list(islice(picture_files.pictures_in(folder), LOOKED_AT))
    told = sum(any(map(str.isalpha, "".join(_captions(_beside(each))))) for each in first)
    return told > SHARE * len(first)


def _beside(picture: Path) -> Path | None:
    """The text beside a picture."""
    names = (picture.with_suffix(suffix) for suffix in BESIDE)
    return next((each for each in names if each.is_file()), None)


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
    if file.is_dir():
        return list(_of_texts_beside(file))
    kinds = {".jsonl": _of_objects, ".txt": _of_text, ".json": _of_coco}
    lines = kinds.get(file.suffix, _of_columns)(file)
    return list({(line.file, line.caption): line for line in lines}.values())


def _of_texts_beside(folder: Path) -> Iterator[Line]:
    """The captions of each picture; an empty one where it has none."""
    for picture in picture_files.pictures_in(folder):
        beside = _beside(picture)
        for caption in _captions(beside) or [""]:
            yield Line(str(picture.relative_to(folder)), caption, str(beside or picture))


def _captions(beside: Path | None) -> list[str]:
    """The lines of a text beside a picture; none where it cannot be read, or is not there."""
    try:
        return [] if beside is None else [line.strip() for _, line in text.lines(beside)]
    except DataError:
        return []


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
    head = [name.strip() for name in cells.columns]
    if any(map(photos.is_named_so, head)):  # the first line has no names but a picture
        columns = {
            str(place): [name, *values]
            for place, (name, values) in enumerate(zip(head, columns.values(), strict=True))
        }
    numbers = [1, *cells.lines] if any(map(photos.is_named_so, head)) else cells.lines
    files, captions = _chosen(columns, str(file))
    for number, name, caption in zip(numbers, files, captions, strict=True):
        yield Line(name.strip(), caption.strip(), f"{file}, line {number}")


def _chosen(columns: Mapping[str, Sequence[str]], where: str) -> tuple[Sequence[str], ...]:
    """The columns of the pictures and the captions: by their names, else by what they hold."""
    named = [name for name in FILES if name in columns]
    naming = [name for name, cells in columns.items() if _are_pictures(cells)]
    file = next(iter((*named, *(naming if len(naming) == 1 else ()))), None)
    if file is None:
        what = f"no column names the pictures; there are: {', '.join(columns)}"
        raise DataError(what, where=where, fix="columns named file and caption")
    rest = [name for name in columns if name != file]
    caption = next((name for name in CAPTIONS if name in rest), None)
    if caption is None and (len(rest) != 1 or not any(map(str.isalpha, "".join(columns[rest[0]])))):
        what = f"no column is called caption; there are: {', '.join(rest) or 'no others'}"
        raise DataError(what, where=where, fix=f"call one {' or '.join(CAPTIONS)}")
    return columns[file], columns[caption or rest[0]]


def _are_pictures(cells: Sequence[str]) -> bool:
    """Whether all cells, of the first ones, are pictures' names."""
    shown = [cell.strip() for cell in cells[:LOOKED_AT] if cell.strip()]
    return bool(shown) and all(photos.is_named_so(_NUMBERED.sub("", cell)) for cell in shown)


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
