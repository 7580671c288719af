"""Pictures with captions: a folder with a list of them, captioned digits, drawn shapes.

A folder holds pictures and a file that names them with their captions: `captions.csv` or `.tsv`
(a line of names, then columns of files and captions), `captions.jsonl`, or `captions.txt` with
lines of `file<tab>caption`. Not here: drawing (`shapes.py`), how a picture is read
(`kedja/io/photos.py`). Next: `kedja/models/clip.py`.
Dimensions: N pictures, C channels, H W height and width.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kedja.data import csvfile, jsonlines, pictures, shapes, text
from kedja.data.dataset import divide
from kedja.ground.errors import DataError, UsageError
from kedja.io import photos

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, int, int]

LISTS = ("captions.csv", "captions.tsv", "captions.jsonl", "captions.txt")
FILE_NAMES = ("file", "file_name", "filename", "image", "picture", "path")
CAPTION_NAMES = ("caption", "text", "description", "sentence")
SIZE = 32
MOST_BYTES = 1 << 30
UNREAD_SHARE = 0.2
NAME = "drawn-shapes"  # DATA that is drawn
DRAWN, DRAWN_TEST = 20_000, 2000
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGIT_TEMPLATES = (
    *("a {}", "the digit {}", "the number {}", "a handwritten {}", "this is a {}"),
    *("somebody wrote a {}", "a {} in white on black", "{}"),
)
_EXAMPLE = {"file": "1.png", "caption": "a black cat"}
_FIX = f"a folder of pictures with one of {', '.join(LISTS)}"


@dataclass(frozen=True)
class Pairs:
    """Pictures uint8 (N, H, W) or (N, H, W, 3), each with the caption of the same place."""

    pictures: Array
    captions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.captions)


@dataclass(frozen=True)
class Captioned:
    """Pairs to train on and to test on, of one shape (channels, height, width).

    `asked` are captions one of which fits each test picture, for the choice among them, and
    `answers` the number of the right one, int64 (N,); neither where nothing of the kind is known.
    """

    name: str
    shape: Shape
    train: Pairs
    test: Pairs
    asked: tuple[str, ...] = ()
    answers: Array | None = None
    notes: tuple[str, ...] = ()

    def describe(self) -> tuple[str, ...]:
        """What was recognised, one line per fact."""
        channels, height, width = self.shape
        kind = "grey" if channels == 1 else "coloured"
        counts = f"{len(self.train):,} to train on, {len(self.test):,} to test on"
        different = len(set(self.train.captions))
        first = f"{self.name}: {kind} pictures of {height} × {width} pixels with captions"
        example = f"such as {self.train.captions[0]!r}"
        return (f"{first}, {counts}", f"{different:,} different captions, {example}", *self.notes)


def are_in(data: str) -> bool:
    """Whether `data` is a folder with a list of captions, or the name of the drawn shapes."""
    return data == NAME or any(os.path.isfile(os.path.join(data, name)) for name in LISTS)


def load(data: str, *, seed: int = 0, size: tuple[int, int] | None = None) -> Captioned:
    """The captioned pictures of a folder, of `mnist` or `digits`, or the `drawn-shapes`.

    A fifth of a folder is held out; equal captions and equal files stay on one side. Digits get
    captions from their labels by templates that the seed draws. Raises UsageError and DataError
    where nothing of the kind is found, or too few pictures can be read.
    """
    if data == NAME:
        return drawn(seed=seed)
    if os.path.isdir(data) and are_in(data):
        return _of_folder(Path(data), seed, size)
    found = pictures.load(data, size=size, seed=seed)
    if found.classes != tuple(map(str, range(10))):
        raise UsageError(f"{data} has no captions", fix=_FIX)
    return captioned_digits(found, seed)


# ------------------------------------------------------------------------ digits and shapes


def captioned_digits(found: pictures.Pictures, seed: int = 0) -> Captioned:
    """Digits with captions such as `the digit seven`; the labels are not kept."""
    draws = np.random.Generator(np.random.Philox(seed))

    def captions(labels: Array) -> tuple[str, ...]:
        chosen = draws.integers(len(DIGIT_TEMPLATES), size=len(labels))
        pairs = zip(chosen.tolist(), labels.tolist(), strict=True)
        return tuple(DIGIT_TEMPLATES[place].format(WORDS[label]) for place, label in pairs)

    train, test = (Pairs(part.inputs, captions(part.targets)) for part in (found.train, found.test))
    asked = tuple(DIGIT_TEMPLATES[0].format(word) for word in WORDS)
    return Captioned(found.name, found.shape, train, test, asked, found.test.targets)


def drawn(count: int = DRAWN, tests: int = DRAWN_TEST, *, seed: int = 0) -> Captioned:
    """Drawn shapes; the test shows pairs of colour and shape that training does not."""
    new = shapes.unseen(seed=seed)
    known = [pair for pair in shapes.pairs() if pair not in new]
    train, of_train = shapes.draw(count, 2 * seed, known)
    test, of_test = shapes.draw(tests, 2 * seed + 1, sorted(new))
    draws = np.random.Generator(np.random.Philox(seed))
    templates = draws.integers(len(shapes.TEMPLATES), size=count).tolist()
    captions = tuple(
        what.caption(shapes.TEMPLATES[place])
        for what, place in zip(of_train, templates, strict=True)
    )
    plain = shapes.TEMPLATES[1]
    asked = [shapes.Drawn(colour, shape, "") for colour, shape in shapes.pairs()]
    numbers = {(each.colour, each.shape): place for place, each in enumerate(asked)}
    answers = np.array([numbers[each.colour, each.shape] for each in of_test], np.int64)
    return Captioned(
        NAME,
        (3, shapes.SIDE, shapes.SIDE),
        Pairs(train, captions),
        Pairs(test, tuple(what.caption(plain) for what in of_test)),
        tuple(each.caption(plain) for each in asked),
        answers,
        (f"{len(new)} of {len(asked)} pairs of colour and shape are in the test alone",),
    )


# --------------------------------------------------------------------------------- a folder


def _of_folder(folder: Path, seed: int, size: tuple[int, int] | None) -> Captioned:
    file = next(folder / name for name in LISTS if (folder / name).is_file())
    rows = list(_rows(file))
    if len(rows) < 2:
        raise DataError(f"{len(rows)} captions", where=str(file), fix="give at least two")
    height, width = size or (SIZE, SIZE)
    shape = (3, height, width)
    if len(rows) * int(np.prod(shape)) > MOST_BYTES:
        what = f"{len(rows):,} pictures of {height} × {width} pixels are more than 1 GiB"
        raise DataError(what, where=str(file), fix="give fewer, or a smaller --size")
    found, captions, notes = _read(folder, file, rows, shape)
    train, test = _divided(found, captions, seed)
    learned, asked = (
        Pairs(found[part], tuple(captions[i] for i in part)) for part in (train, test)
    )
    return Captioned(folder.resolve().name, shape, learned, asked, notes=notes)


def _read(
    folder: Path, file: Path, rows: Sequence[tuple[str, str, str]], shape: Shape
) -> tuple[Array, list[str], tuple[str, ...]]:
    """The pixels of the pictures that can be read, and their captions."""
    found, captions, unread = [], [], []
    for name, caption, where in rows:
        try:
            found.append(photos.read(_inside(folder, name, where), shape))
            captions.append(caption)
        except DataError as error:
            unread.append(f"{name}: {error.what}")
    if len(unread) > UNREAD_SHARE * len(rows) or len(found) < 2:
        what = f"{len(unread)} of {len(rows)} pictures cannot be read, first {unread[0]}"
        raise DataError(what, where=str(file), fix="check the names and the files")
    notes = (f"left out: {'; '.join(unread[:3])}",) if unread else ()
    return np.stack(found), captions, notes


def _inside(folder: Path, name: str, where: str) -> Path:
    """A picture's path; DataError for a name that leads out of the folder."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{name!r} is not in the folder", where=where, fix="give names below it")
    return path


def _divided(found: Array, captions: Sequence[str], seed: int) -> tuple[Array, Array]:
    """Rows to train on and to test on: what has the same pixels or caption is on one side."""
    first: dict[object, int] = {}
    group = np.empty(len(captions), np.int64)
    for row, caption in enumerate(captions):
        keys = (caption.strip().lower(), found[row].tobytes())
        known = [group[first[key]] for key in keys if key in first]
        group[row] = min(known, default=row)
        for other in known:
            group[group == other] = group[row]
        for key in keys:
            first.setdefault(key, row)
    names, places = np.unique(group, return_inverse=True)
    _, held = divide(len(names), seed)
    is_test = np.isin(places, held)
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def _rows(file: Path) -> Iterator[tuple[str, str, str]]:
    """Each picture's file, caption, and where that stands."""
    if file.suffix == ".jsonl":
        for where, row in jsonlines.records(file, _EXAMPLE):
            name, caption = (
                jsonlines.text(row, _known(row, names, where), where)
                for names in (FILE_NAMES, CAPTION_NAMES)
            )
            yield name, caption, where
    elif file.suffix == ".txt":
        for number, line in text.lines(file):
            name, mark, caption = line.partition("\t")
            if not mark:
                fix = "lines of file<tab>caption"
                raise DataError("the line has no tab", where=f"{file}, line {number}", fix=fix)
            yield name.strip(), caption.strip(), f"{file}, line {number}"
    else:
        cells = csvfile.read(file)
        columns = {name.strip().lower(): values for name, values in cells.columns.items()}
        files, captions = (
            columns[_known(columns, names, str(file))] for names in (FILE_NAMES, CAPTION_NAMES)
        )
        for number, name, caption in zip(cells.lines, files, captions, strict=True):
            yield name.strip(), caption.strip(), f"{file}, line {number}"


def _known(row: Mapping[str, Any], names: Sequence[str], where: str) -> str:
    """Which of some names there is."""
    for name in names:
        if name in row:
            return name
    raise DataError(f"there is no {names[0]!r}", where=where, fix=f"one of {', '.join(names)}")
