"""Pictures with classes: a folder of folders, MNIST or digits, all as bytes of one size.

    animals/cat/1.png, animals/dog/7.jpg …          a fifth of each class is held out
    animals/train/cat/1.png, animals/test/cat/9.png …   as they are divided
    animals/val/cat/5.png …                 looked at after each epoch, where there is a test, too

Not here: how a single file is read, and which are not (`kedja/io/photos.py`), where the folder's
files are found and divided (`picture_files.py`). Next: `augment.py`.

Files that cannot be read are left out with a note that names them; where they are many, that is an
error. Copies of a picture, files with the same bytes, never lie on both sides. Much data is decoded
once, into a file of the cache folder that is mapped into memory.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kedja.data import learned, mnist, picture_files, source
from kedja.data.cache import cache_folder
from kedja.data.dataset import Dataset, Split
from kedja.data.picture_files import Picture, Progress, Survey
from kedja.ground.described import Described
from kedja.ground.errors import DataError, StorageError, UsageError
from kedja.io import atomic, photos

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, int, int]
Files = Sequence[Picture]

_OWN_TEST = "a folder with a folder of pictures for each class, for data that are such a folder"
LARGE = 1 << 28  # bytes of pixels that are kept in a file and not in memory
RULES = 1  # the rules of decoding: another number, and what is in the cache is not used
BLOCK = 256  # pictures that are decoded between two reports
LEAST, MOST = 16, 64  # sides that are chosen where none is given
SAMPLE = 256  # pictures that are looked at for colours


@dataclass(frozen=True, repr=False)
class Pictures(Described):
    """Pictures as bytes 0 … 255 with the numbers of their classes, to train on and to test on.

    `shape` is (channels, height, width); inputs are uint8 (N, H, W), or (N, H, W, 3). `drawn` are
    bright strokes on black, as MNIST's: dark ones on white are inverted before they are asked
    about. `test_files` names the held-out files where there are any. `validation` are pictures to
    look at during training, where the data have some beside those to test on.
    """

    name: str
    classes: tuple[str, ...]
    shape: Shape
    train: Split
    test: Split
    drawn: bool = False
    notes: tuple[str, ...] = ()
    test_files: tuple[str, ...] = ()
    validation: Split | None = None

    def describe(self) -> tuple[str, ...]:
        """What was recognised, one line per fact, warnings last."""
        channels, height, width = self.shape
        kind = "grey" if channels == 1 else "coloured"
        shown = "" if self.validation is None else f"{len(self.validation):,} to validate on, "
        counts = f"{len(self.train):,} to train on, {shown}{len(self.test):,} to test on"
        names = ", ".join(self.classes[:12]) + (", …" if len(self.classes) > 12 else "")
        return (
            f"{self.name}: {kind} pictures of {height} × {width} pixels, {counts}",
            f"{len(self.classes)} classes: {names}",
            *self.notes,
        )

    def moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel of the training pictures, bytes as 0 to 1.

        From counts of the 256 values, so they are exact and the same on every machine.
        """
        return moments(self.train.inputs, self.shape[0])


def moments(inputs: Array, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of bytes (N, H, W[, C]), taken as 0 to 1."""
    counts = _counts(inputs, channels)  # (C, 256)
    values = np.arange(256) / 255
    shares = counts / counts.sum(1, keepdims=True)
    mean = shares @ values
    deviation = np.sqrt((shares * (values - mean[:, None]) ** 2).sum(1))
    rounded = [[round(float(each), 6) for each in row] for row in (mean, deviation)]
    return tuple(rounded[0]), tuple(each or 1.0 for each in rounded[1])


def _counts(inputs: Array, channels: int) -> Array:
    counts = np.zeros((channels, 256), np.int64)
    for start in range(0, len(inputs), BLOCK):
        block = inputs[start : start + BLOCK].reshape(-1, channels)
        for channel in range(channels):
            counts[channel] += np.bincount(block[:, channel], minlength=256)
    return counts


# ------------------------------------------------------------------------------- recognised


def are_in(data: str) -> bool:
    """Whether `data` is a folder with pictures in folders, one for each class."""
    return (
        data not in source.NAMES and not mnist.has_files(data) and picture_files.are_in(Path(data))
    )


def load(
    data: str,
    *,
    size: tuple[int, int] | int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    test: str | None = None,
) -> Pictures:
    """The pictures of a folder of classes, of `mnist`, `digits`, or a folder with MNIST's files.

    `size` is (height, width), or the side of squares; where it is not given, that of the pictures
    if they all have one that is not above 64, else a square that suits them. `seed` draws those to
    test on, where the folder does not divide them itself, and none of another folder, `test`, are
    given.
    `progress(done, total)` is told of each block.

    Raises UsageError where nothing is found, DataError where too many files cannot be read, or
    there is one class only.
    """
    if data in source.NAMES or (os.path.isdir(data) and mnist.has_files(data)):
        if size is not None:
            raise UsageError(f"--size for {data}, which has one", fix="leave it out")
        if test is not None:
            raise UsageError(f"--test for {data}, which has pictures to test on", fix=_OWN_TEST)
        return of_dataset(source.load(data))
    if not os.path.isdir(data):
        what = f"there are no pictures {data!r}"
        raise UsageError(what, fix="give a folder with a folder of pictures for each class")
    if test is not None and not picture_files.are_in(Path(test)):
        raise UsageError(f"--test {test}: there are no pictures by class", fix=_OWN_TEST)
    held = None if test is None else Path(test)
    size = (size, size) if isinstance(size, int) else size
    return _of_folder(Path(data), held, size, seed, progress or (lambda done, total: None))


def of_dataset(found: Dataset) -> Pictures:
    """Grey pictures of a data set (`kj.data.load`), their values as bytes 0 … 255."""
    if found.kind != "images":
        raise UsageError(f"{found.name} holds no pictures", fix="give mnist, digits, or a folder")
    height, width = found.input_shape
    scale = 255 * float(found.preparation.scale)
    train, test = (
        each if scale == 1 else Split(np.rint(each.inputs * scale).astype(np.uint8), each.targets)
        for each in (found.train, found.test)
    )
    return Pictures(found.name, found.classes, (1, height, width), train, test, drawn=True)


# --------------------------------------------------------------------------------- a folder


def _of_folder(
    folder: Path, held: Path | None, size: tuple[int, int] | None, seed: int, progress: Progress
) -> Pictures:
    survey = picture_files.survey(folder, progress, held)
    shape = (_channels(survey.files), *(size or _size(survey.files)))
    *parts, notes = _divided(survey, seed)
    files = [each for part in parts for each in part]
    pixels, kept, failed = _decoded(files, shape, progress)
    picture_files.require_few([*survey.unread, *failed], len(survey.files) + len(survey.unread))
    unread = picture_files.unread_note([*survey.unread, *failed])
    labels = np.array([files[place].label for place in kept], np.int64)
    edges = np.searchsorted(kept, np.cumsum([len(part) for part in parts]))  # behind each part
    train, test, shown = (
        Split(*each)
        for each in zip(np.split(pixels, edges)[:3], np.split(labels, edges)[:3], strict=True)
    )
    return Pictures(
        folder.resolve().name,
        survey.classes,
        shape,
        _require(train, "train on", folder),
        _require(test, "test on", folder),
        notes=(*survey.notes, *unread, *notes),
        test_files=tuple(str(files[place].path) for place in kept[edges[0] : edges[1]]),
        validation=shown if len(shown) else None,
    )


def _divided(survey: Survey, seed: int) -> tuple[Files, Files, Files, list[str]]:
    """The files to train on, to test on, to validate on, and what is to be noted.

    What is learned alone, for a choice between networks, is tested on the pictures to validate on,
    or else on a fifth of those to train on.
    """
    train, test, notes = picture_files.divided(survey, seed)
    if not learned.is_alone():
        return train, test, survey.shown, notes
    if survey.shown:
        return train, survey.shown, (), notes
    return *picture_files.drawn(train, seed), (), notes


def _require(part: Split, purpose: str, folder: Path) -> Split:
    if not len(part):
        what = f"no picture is left to {purpose}"
        raise DataError(what, where=str(folder), fix="give more pictures of each class")
    return part


def _size(files: Sequence[Picture]) -> tuple[int, int]:
    """The size of all, where they have one that is small; else a square of their usual side."""
    sizes = {each.size for each in files}
    if len(sizes) == 1 and max(first := next(iter(sizes))) <= MOST:
        return first
    usual = float(np.median([min(each.size) for each in files]))
    side = min(MOST, max(LEAST, int(usual) // 8 * 8))
    return side, side


def _channels(files: Sequence[Picture]) -> int:
    """3 where any of a sample shows colours, else 1."""
    step = -(-len(files) // SAMPLE)
    for each in files[::step]:
        try:
            if photos.is_coloured(photos.contents(each.path), str(each.path)):
                return 3
        except DataError:
            continue  # it will be left out, with a note
    return 1


# ---------------------------------------------------------------------------------- decoding


def _decoded(
    files: Sequence[Picture], shape: Shape, progress: Progress
) -> tuple[Array, list[int], list[str]]:
    """The pixels (N, H, W[, 3]), which of the files they are of, and why others are not there."""
    if len(files) * int(np.prod(shape)) > LARGE:
        return _mapped(files, shape, progress)
    stored = _stored(shape)
    pixels = np.empty((len(files), *stored), np.uint8)
    kept: list[int] = []
    failed: list[str] = []
    for place, row, reason in _rows(files, shape, progress):
        if row is None:
            failed.append(reason)
        else:
            pixels[len(kept)] = row
            kept.append(place)
    return pixels[: len(kept)], kept, failed


def _stored(shape: Shape) -> tuple[int, ...]:
    channels, height, width = shape
    return (height, width) if channels == 1 else (height, width, channels)


def _rows(
    files: Sequence[Picture], shape: Shape, progress: Progress
) -> Iterator[tuple[int, Array | None, str]]:
    """Each file's place, its pixels or None, and why it has none; Pillow decodes in threads."""

    def one(picture: Picture) -> tuple[Array | None, str]:
        try:
            return photos.read(picture.path, shape), ""
        except DataError as error:
            return None, picture_files.reason(picture.path, error)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(files), BLOCK):
            block = pool.map(one, files[start : start + BLOCK])
            for place, (row, reason) in enumerate(block, start):
                yield place, row, reason
            progress(min(start + BLOCK, len(files)), len(files))


def _mapped(
    files: Sequence[Picture], shape: Shape, progress: Progress
) -> tuple[Array, list[int], list[str]]:
    """The same from a file of the cache, which is written if it is not there yet."""
    digest = hashlib.sha256(f"{RULES} {shape}".encode())
    for each in files:
        digest.update(bytes.fromhex(each.content))
    base = cache_folder("pictures") / digest.hexdigest()[:32]
    about, pixels = base.with_suffix(".json"), base.with_suffix(".bytes")
    if not (about.exists() and pixels.exists()):
        _write(files, shape, about, pixels, progress)
    found = json.loads(about.read_text(encoding="utf-8"))
    stored = (len(found["kept"]), *_stored(shape))
    return np.memmap(pixels, np.uint8, "r", shape=stored), found["kept"], found["failed"]


def _write(
    files: Sequence[Picture], shape: Shape, about: Path, pixels: Path, progress: Progress
) -> None:
    try:
        about.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"cannot make the folder of the cache: {error.strerror or error}"
        fix = "name another one in the environment: KEDJA_CACHE=FOLDER"
        raise StorageError(what, where=str(about.parent), fix=fix) from error
    kept: list[int] = []
    failed: list[str] = []
    with atomic.replacing(pixels) as write:
        for place, row, reason in _rows(files, shape, progress):
            if row is None:
                failed.append(reason)
            else:
                write(row.tobytes())
                kept.append(place)
    atomic.write_bytes(about, json.dumps({"kept": kept, "failed": failed}).encode())


def parse_size(text: str) -> tuple[int, int]:
    """`48` or `48x64` (height × width); UsageError for anything else.

    >>> parse_size("48"), parse_size("48x64")
    ((48, 48), (48, 64))
    """
    parts = text.lower().replace("×", "x").split("x")
    if not 1 <= len(parts) <= 2 or not all(p.isdecimal() and 8 <= int(p) <= 512 for p in parts):
        raise UsageError(f"--size {text!r}", fix="pixels from 8 to 512: 48, or 48x64 for H × W")
    return int(parts[0]), int(parts[-1])
