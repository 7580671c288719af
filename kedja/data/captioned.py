"""Pictures with captions: a folder with a list of them, captioned digits, drawn shapes.

Not here: how a list is read (`caption_lists.py`), drawing (`shapes.py`), how a picture is read
(`kedja/io/photos.py`). Next: `caption_lists.py`, then `kedja/models/clip.py`.
Dimensions: N pairs, C channels, H W height and width.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kedja.data import caption_lists, learned, mnist, pictures, shapes
from kedja.data.caption_lists import Line, Places
from kedja.data.dataset import divide
from kedja.data.picture_files import Progress
from kedja.ground.described import Described
from kedja.ground.errors import DataError, UsageError
from kedja.io import photos

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, int, int]

SIZE = 32
MOST_BYTES = 1 << 30
LEFT_OUT = 0.2  # the share of lines from which on a list is refused
FEWEST = 4  # different pictures
SHOWN = 3  # of those left out
NAME = "drawn-shapes"  # DATA that is drawn
DRAWN, DRAWN_TEST = 20_000, 2000
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGIT_TEMPLATES = (
    *("a {}", "the digit {}", "the number {}", "a handwritten {}", "this is a {}"),
    *("somebody wrote a {}", "a {} in white on black", "{}"),
)


@dataclass(frozen=True)
class Pairs:
    """Pictures uint8 (N, H, W) or (N, H, W, 3), each with the caption of the same place.

    A picture with several captions stands there several times. `files` are the pictures' paths,
    where they were read from files.
    """

    pictures: Array
    captions: tuple[str, ...]
    files: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.captions)

    @cached_property
    def numbers(self) -> Array:
        """Which pictures are the same: int32 (N,), numbered as they come."""
        known: dict[bytes, int] = {}
        found = [known.setdefault(each.tobytes(), len(known)) for each in self.pictures]
        return np.array(found, np.int32)

    def of(self, rows: Array) -> Pairs:
        """Some of the pairs."""
        captions, files = (
            tuple(values[row] for row in rows.tolist()) if values else ()
            for values in (self.captions, self.files)
        )
        return Pairs(self.pictures[rows], captions, files)


@dataclass(frozen=True, repr=False)
class Captioned(Described):
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

    def __repr__(self) -> str:
        return "\n".join(self.describe())

    def describe(self) -> tuple[str, ...]:
        """What was recognised, one line per fact."""
        channels, height, width = self.shape
        kind = "grey" if channels == 1 else "coloured"
        counts = f"{_count(self.train)} to train on, {_count(self.test)} to test on"
        different = len(set(self.train.captions))
        first = f"{self.name}: {kind} pictures of {height} × {width} pixels with captions"
        example = f"such as {self.train.captions[0]!r}"
        return (f"{first}, {counts}", f"{different:,} different captions, {example}", *self.notes)


def _count(pairs: Pairs) -> str:
    different = int(pairs.numbers.max()) + 1
    return f"{len(pairs):,}" + (f" (of {different:,} pictures)" if different < len(pairs) else "")


def are_in(data: str) -> bool:
    """Whether `data` is a folder with a list of captions, or the name of the drawn shapes."""
    return data == NAME or caption_lists.find(data) is not None


def load(
    data: str,
    *,
    seed: int = 0,
    size: tuple[int, int] | None = None,
    progress: Progress | None = None,
) -> Captioned:
    """The captioned pictures of a folder, of `mnist` or `digits`, or the `drawn-shapes`.

    A fifth of a folder's pictures is held out, each with all of its captions. Digits get captions
    from their labels by templates that the seed draws. `progress(done, total)` is told of how many
    pictures are read. Raises UsageError and DataError where
    nothing of the kind is found, or too few pictures can be read.
    """
    file = caption_lists.find(data)
    if data == NAME or file is not None:
        told = progress or (lambda done, total: None)
        pairs = drawn(seed=seed) if file is None else _of_folder(Path(data), file, seed, size, told)
        return _learned_part(pairs, seed) if learned.is_alone() else pairs
    if os.path.isdir(data) and not (mnist.has_files(data) or pictures.are_in(data)):
        raise DataError("there is no list of captions", where=data, fix=caption_lists.FIX)
    found = pictures.load(data, size=size, seed=seed)
    if found.classes != tuple(map(str, range(10))):
        raise UsageError(f"{data} has no captions", fix=caption_lists.FIX)
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


def _of_folder(
    folder: Path, file: Path, seed: int, size: tuple[int, int] | None, progress: Progress
) -> Captioned:
    lines = caption_lists.read(file)
    if len(lines) < FEWEST:
        fix = f"give at least {FEWEST}"
        raise DataError(f"captions in the list: {len(lines)}", where=str(file), fix=fix)
    height, width = size or (SIZE, SIZE)
    shape = (3, height, width)
    if len(lines) * int(np.prod(shape)) > MOST_BYTES:
        what = f"{len(lines):,} pictures of {height} × {width} pixels are more than 1 GiB"
        raise DataError(what, where=str(file), fix="give fewer, or a smaller --size")
    pairs, left_out = _read(Places(folder), lines, shape, progress)
    _require_enough(pairs, left_out, len(lines), file)
    train, test = _divided(pairs, seed)
    return Captioned(
        folder.resolve().name, shape, train, test, notes=_notes(folder, file, left_out)
    )


def _divided(pairs: Pairs, seed: int) -> tuple[Pairs, Pairs]:
    """A fifth of the pictures is held out, each with all of its captions."""
    _, held = divide(int(pairs.numbers.max()) + 1, seed)
    is_test = np.isin(pairs.numbers, held)
    train, test = (pairs.of(np.flatnonzero(half)) for half in (~is_test, is_test))
    return train, test


def _learned_part(found: Captioned, seed: int) -> Captioned:
    """What would be learned alone, divided once more; what the test asks is not told."""
    train, test = _divided(found.train, seed)
    return replace(found, train=train, test=test, asked=(), answers=None)


def _read(
    places: Places, lines: Sequence[Line], shape: Shape, progress: Progress
) -> tuple[Pairs, list[str]]:
    """The pairs whose pictures can be read, and why others are left out."""
    paths = [_path(places, line) for line in lines]
    named = dict.fromkeys(path for path in paths if isinstance(path, str))
    pixels = dict(_decoded(list(named), shape, progress))
    found, left_out = [], []
    for line, path in zip(lines, paths, strict=True):
        what = pixels[path] if isinstance(path, str) else path
        if isinstance(what, DataError):
            left_out.append(f"{line.file or line.where}: {what.what}")
        else:
            found.append((str(path), line.caption))
    files, captions = zip(*found, strict=True) if found else ((), ())
    return Pairs(np.array([pixels[path] for path in files], np.uint8), captions, files), left_out


def _path(places: Places, line: Line) -> str | DataError:
    """The picture of a line, or what is wrong with the line."""
    try:
        path = str(places.of(line))
    except DataError as error:
        return error
    there = DataError("there is no caption", where=line.where, fix="write one")
    return path if line.caption else there


def _decoded(
    paths: Sequence[str], shape: Shape, progress: Progress
) -> Iterator[tuple[str, Array | DataError]]:
    """Each picture's pixels, or why it has none; Pillow decodes in threads."""

    def one(path: str) -> Array | DataError:
        try:
            return photos.read(path, shape)
        except DataError as error:
            return error

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(paths), pictures.BLOCK):
            block = paths[start : start + pictures.BLOCK]
            yield from zip(block, pool.map(one, block), strict=True)
            progress(start + len(block), len(paths))


def _require_enough(pairs: Pairs, left_out: Sequence[str], lines: int, file: Path) -> None:
    """DataError where too much is left out, or what is left cannot be told apart."""
    if len(left_out) > LEFT_OUT * lines:
        what = f"{len(left_out)} of {lines} lines cannot be used, first {left_out[0]}"
        raise DataError(what, where=str(file), fix="check the names, the files and the captions")
    different = int(pairs.numbers.max()) + 1
    if different < FEWEST:
        what = f"{different} different pictures"
        raise DataError(what, where=str(file), fix=f"give at least {FEWEST}")
    if len(set(pairs.captions)) < 2:
        what = f"all captions are {pairs.captions[0]!r}"
        raise DataError(what, where=str(file), fix="give captions that tell pictures apart")


def _notes(folder: Path, file: Path, left_out: Sequence[str]) -> tuple[str, ...]:
    """What was read and what was not."""
    shown = "; ".join(left_out[:SHOWN]) + ("; …" if len(left_out) > SHOWN else "")
    notes = ["from texts beside the pictures" if file == folder else f"from {file.name}"]
    if left_out:
        notes.append(f"{len(left_out):,} left out: {shown}")
    return tuple(notes)
