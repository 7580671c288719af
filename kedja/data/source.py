"""What the command line calls DATA: a name, a folder or a file, recognised and read.

Not here: the readers (`digits.py`, `mnist.py`, `table.py`). Next: `kedja/io/atomic.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from kedja.data import digits, learned, mnist, picture_files, recordings, series, table, text
from kedja.data.dataset import Dataset
from kedja.ground.errors import DataError, UsageError
from kedja.ground.suggest import did_you_mean
from kedja.io import photos

NAMES = ("digits", "mnist")
OTHER_NAMES = ("drawn-shapes", "expressions")  # what is made, not read: `captioned.py` and so on
TABLE_SUFFIXES = (".csv", ".tsv")

KINDS = (  # what DATA may be
    "digits, mnist, drawn-shapes or expressions by name; a file or folder of "
    f"tables ({', '.join(TABLE_SUFFIXES)}), series, ratings, text, prompts, pictures, "
    "captioned pictures or recordings; an environment such as CartPole-v1; "
    "a board game: tic-tac-toe or connect-four"
)
_ANY = f"give {KINDS}"


def load(
    data: str,
    *,
    target: str | None = None,
    seed: int = 0,
    progress: mnist.Progress | None = None,
    pieces: int | None = None,
    task: str | None = None,
) -> Dataset:
    """Read the data set that `data` means.

    `digits` is bundled with scikit-learn; `mnist` comes from the cache, or from the network if
    it is not there (no other data does), `progress` being told of each chunk; a folder holds
    MNIST's IDX files; a file is a table, of which `target` names the column to predict (None: the
    last), `seed` draws the rows to test on, `task` says what the target is for, and `pieces`
    prepares it for a network for tables, as `table.load` says. A name wins over a file of that
    name: write `./digits` for the file.

    Raises UsageError where nothing of that name or kind is found, or where pictures are given a
    target; DataError where the content cannot be read.
    """
    if data not in NAMES and _is_table(data):
        found = table.load(data, target=target, seed=seed, pieces=pieces, task=task)
    else:
        read = _picture_reader(data, progress)
        if task == table.REGRESSION:
            raise UsageError(
                f"regression, but {data} holds pictures of classes", fix="leave it out"
            )
        if target is not None:
            what = f"there is no column {target!r}: {data} holds pictures, which have labels"
            raise UsageError(what, fix="leave the target out")
        found = read()
    return learned.without_test(found, seed) if learned.is_alone() else found


def _picture_reader(data: str, progress: mnist.Progress | None) -> Callable[[], Dataset]:
    """What will read the pictures that `data` names; UsageError where it names none."""
    if data == "digits":
        return digits.load
    if data == "mnist":
        return lambda: mnist.load(progress)
    if os.path.isdir(data) and mnist.has_files(data):
        return lambda: mnist.from_folder(data)
    raise unknown(data)


def is_text(data: str) -> bool:
    """Whether `data` is a file of text that is no table: a few blocks of it are looked at."""
    if data in NAMES or _is_table(data) or not os.path.isfile(data):
        return False
    try:
        next(text.pieces(data))
    except DataError:
        return False
    return True


def is_series(data: str) -> bool:
    """Whether `data` is a table with a column of dates, one row for each: its head is looked at."""
    return data not in NAMES and _is_table(data) and series.is_in(data)


def _is_table(path: str) -> bool:
    return path.lower().endswith(TABLE_SUFFIXES) and os.path.isfile(path)


def unknown(data: str) -> UsageError:
    """Why `data` cannot be read, with what comes close to it."""
    if os.path.isdir(data):
        what, fix = _of_folder(data)
        return UsageError(what, where=data, fix=fix)
    if os.path.exists(data):
        return UsageError("this kind of file is not recognised", where=data, fix=_ANY)
    what = f"there is no data set, folder or file {data!r}"
    known = [*NAMES, *OTHER_NAMES, *_entries(os.path.dirname(data))]
    return UsageError(what, fix=did_you_mean(data, known, otherwise=_ANY))


def _of_folder(data: str) -> tuple[str, str]:
    """What a folder holds that cannot be read, and what to do about it."""
    if picture_files.are_in(Path(data)):
        what = "the folder holds pictures by class, which this model does not read"
        return what, "--model cnn, or resnet"
    if recordings.are_in(data):
        return "the folder holds recordings, which this model does not read", "leave --model out"
    entries = _entries(data)
    if not entries:
        return "the folder is empty, or cannot be read", _ANY
    if any(map(photos.is_named_so, entries)):
        what = "the folder's pictures do not lie in folders, one for each class"
        return what, "put them into folders that are called as the classes: cats/1.png, dogs/1.png"
    tables = [path for path in entries if _is_table(path)]
    fix = f"give one of its tables: {', '.join(tables[:3])}" if tables else _ANY
    return "the folder holds nothing that is recognised", fix


def _entries(folder: str) -> list[str]:
    """What stands in a folder (empty: the current one), as paths in the user's way of writing."""
    try:
        return sorted(os.path.join(folder, name) for name in os.listdir(folder or "."))
    except OSError:
        return []  # A folder that cannot be listed offers nothing to suggest.
