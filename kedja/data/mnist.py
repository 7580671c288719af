"""MNIST: 60,000 + 10,000 handwritten digits of 28 × 28 grey bytes, from a folder or the network.

Not here: the file format (`idx.py`), downloading (`kedja/io/download.py`). Next: `digits.py`.

A folder holds four files, compressed or not, named in either of the usual styles
(`train-images-idx3-ubyte` or `train-images.idx3-ubyte`, with or without `.gz`). Data sets made
to stand in for MNIST, such as Fashion-MNIST, have the same files and are read the same way.
Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
recognition", 1998.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kedja.data import idx
from kedja.data.cache import cache_folder
from kedja.data.dataset import Dataset, Split
from kedja.data.prepare import PicturePreparation, Target
from kedja.ground.errors import DataError, StorageError
from kedja.io import download

Array = np.ndarray[Any, np.dtype[Any]]
# Called with a file's name, the bytes received so far, and the bytes expected.
Progress = Callable[[str, int, int | None], None]

HOMES = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


@dataclass(frozen=True)
class _File:
    """One of the four files: its part of the name, its axes, and the download's size and sum."""

    part: str
    axes: int
    size: int
    sha256: str

    @property
    def name(self) -> str:
        return f"{self.part}-idx{self.axes}-ubyte.gz"

    @property
    def names(self) -> tuple[str, ...]:
        plain = (f"{self.part}-idx{self.axes}-ubyte", f"{self.part}.idx{self.axes}-ubyte")
        return tuple(name + end for name in plain for end in ("", ".gz"))


FILES = (
    _File(
        part="train-images",
        axes=3,
        size=9_912_422,
        sha256="440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    _File(
        part="train-labels",
        axes=1,
        size=28_881,
        sha256="3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    _File(
        part="t10k-images",
        axes=3,
        size=1_648_877,
        sha256="8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    _File(
        part="t10k-labels",
        axes=1,
        size=4_542,
        sha256="f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)


def load(progress: Progress | None = None) -> Dataset:
    """MNIST from the cache folder, downloaded into it first where it is not there yet.

    Each file in the cache is checked against its checksum; a damaged one is downloaded anew.
    Raises DataError where no home of the data answers, StorageError where the cache refuses.
    """
    folder = cache_folder("mnist")
    for file in FILES:
        if not _is_whole(folder / file.name, file.sha256):
            _download(file, folder, progress)
    return from_folder(folder, name="mnist")


def from_folder(folder: str | os.PathLike[str], name: str | None = None) -> Dataset:
    """The data set whose four files stand in a folder; `name` is the folder's if not given.

    Raises DataError, naming the file, where one is missing, damaged, or does not fit the others.
    """
    root = Path(folder)
    paths = [_find(root, file) for file in FILES]
    missing = [file.name for file, path in zip(FILES, paths, strict=True) if path is None]
    if missing:
        what = f"missing: {', '.join(missing)} (with or without .gz)"
        raise DataError(what, where=str(root), fix="put all four files into one folder")
    arrays = [idx.read(path) for path in paths if path is not None]
    train = _split(root, arrays[0], arrays[1], "training")
    test = _split(root, arrays[2], arrays[3], "test")
    if train.inputs.shape[1:] != test.inputs.shape[1:]:
        sizes = f"{train.inputs.shape[1:]} and {test.inputs.shape[1:]}"
        what = f"training and test pictures differ in size: {sizes}"
        raise DataError(what, where=str(root), fix="use files of one data set")
    count = 1 + int(max(train.targets.max(), test.targets.max()))
    target = Target("label", tuple(map(str, range(count))))
    height, width = train.inputs.shape[1:]
    preparation = PicturePreparation((height, width), 255, target)
    return Dataset(name or root.resolve().name, train, test, preparation)


def has_files(folder: str | os.PathLike[str]) -> bool:
    """Whether any of the four files stands in the folder."""
    return any(_find(Path(folder), file) is not None for file in FILES)


def _find(folder: Path, file: _File) -> Path | None:
    paths = (folder / name for name in file.names)
    return next((path for path in paths if path.is_file()), None)


def _split(root: Path, images: Array, labels: Array, part: str) -> Split:
    """Check that pictures and labels of one part fit together."""
    if images.ndim != 3 or images.dtype != np.uint8 or labels.ndim != 1 or labels.dtype != np.uint8:
        kinds = f"{_kind(images)} and {_kind(labels)}"
        what = f"the {part} files hold {kinds}, expected 3 axes and 1 axis of uint8"
    elif not len(labels) or len(images) != len(labels):
        what = f"there are {len(images)} {part} pictures and {len(labels)} labels"
    else:
        return Split(images, labels.astype(np.int64))
    raise DataError(what, where=str(root), fix="use the files of one data set, unchanged")


def _kind(array: Array) -> str:
    return f"{array.ndim} axes of {array.dtype.name}"


def _is_whole(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False
    except OSError as error:
        what = f"cannot read the cache: {error.strerror}"
        raise StorageError(what, where=str(path), fix="check the folder, or delete it") from error


def _download(file: _File, folder: Path, progress: Progress | None) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"cannot create the cache folder: {error.strerror}"
        raise StorageError(what, where=str(folder), fix="set KEDJA_CACHE to a folder") from error
    download.fetch(
        [home + file.name for home in HOMES],
        folder / file.name,
        sha256=file.sha256,
        max_bytes=file.size,
        progress=None if progress is None else lambda done, total: progress(file.name, done, total),
        fix="without a network, give a folder with the four files: kedja train FOLDER",
    )
