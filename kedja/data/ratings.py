"""Ratings: which user gave which item how many points, and when; read, split by time, or made.

MovieLens' files load as they are (`u.data`, `ratings.dat`, `ratings.csv`, or the folder that holds
one, with the titles beside it); any other table with a line of names needs a column of users and
one of items. Ratings without points are interactions: bought, heard, watched. Not here: models
(`kedja/models/recommenders.py`), recall and its companions (`kedja/train/ranking.py`).
Next: `generated_ratings.py`.
Dimensions: N ratings, U users, I items.
"""

from __future__ import annotations

import csv
import math
import os
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kedja.data.batches import split_order
from kedja.ground.described import Described
from kedja.ground.errors import DataError, UsageError

Array = np.ndarray[Any, np.dtype[Any]]

FILES = ("u.data", "ratings.dat", "ratings.csv")
TITLES = ("u.item", "movies.dat", "movies.csv")
SEPARATORS = ("::", "\t", ",", ";", "|")
COLUMNS = {  # what a column is, by its name in small letters without blanks, - and _
    "user": ("user", "userid", "customer", "customerid", "visitorid", "reader", "listener"),
    "item": (
        *("item", "itemid", "movie", "movieid", "product", "productid", "book", "bookid", "isbn"),
        *("track", "trackid", "song", "artist", "artistid", "asin", "article", "articleid"),
    ),
    "rating": ("rating", "ratings", "score", "stars", "points", "bookrating"),
    "time": ("time", "timestamp", "date", "datetime", "day"),
}
FIX = "name the columns in the first line: user,item,rating,time (rating and time may be missing)"
MOST_BYTES = 4 * 1024**3
_LONGEST_LINE = 1 << 16
_LOOK = 1 << 12


@dataclass(frozen=True, repr=False)
class Ratings(Described):
    """N ratings in the order of time (of the file, where there is none).

    `user` and `item` (N,) int32 are numbers of the names in `users` and `items`; `rating` (N,)
    float32; `time` (N,) float64 in seconds, or None. `explicit` says whether the points differ.
    `notes` are facts from the reading, for people; `titles` what items are called.
    """

    name: str
    users: tuple[str, ...]
    items: tuple[str, ...]
    user: Array
    item: Array
    rating: Array
    time: Array | None = None
    titles: Mapping[str, str] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.user)

    @property
    def explicit(self) -> bool:
        """Whether users said how much they like what they met."""
        return bool(len(self)) and bool(self.rating.min() < self.rating.max())

    def rows(self, chosen: Array) -> Ratings:
        """The ratings of these rows, of the same users and items."""
        time = None if self.time is None else self.time[chosen]
        return replace(
            self,
            user=self.user[chosen],
            item=self.item[chosen],
            rating=self.rating[chosen],
            time=time,
        )

    def split(self, share: float = 0.2, seed: int = 0) -> tuple[Ratings, Ratings]:
        """The earlier ratings to train on and the latest `share` to test on.

        Ratings of the same moment stay together. Without times the seed draws who is in which.
        Raises DataError where there are too few, UsageError for a share that is none.
        """
        if not 0 < share < 1:
            raise UsageError(f"a share of {share}", fix="a number between 0 and 1")
        wanted = round(len(self) * share)
        if not 0 < wanted < len(self):
            raise DataError(f"too few ratings to divide: {len(self)}", fix="give more ratings")
        if self.time is None:
            late = np.zeros(len(self), bool)
            late[split_order(len(self), seed)[:wanted]] = True
        else:
            late = self.time >= self.time[len(self) - wanted]
        if late.all():
            raise DataError("all ratings are of the same moment", fix="leave the times out")
        return self.rows(np.flatnonzero(~late)), self.rows(np.flatnonzero(late))

    def title(self, item: int) -> str:
        """What an item is called."""
        name = self.items[item]
        return (self.titles or {}).get(name, name)

    def describe(self) -> tuple[str, ...]:
        """What was recognised, one line per fact."""
        filled = len(self) / (len(self.users) * len(self.items))
        size = f"{len(self):,} ratings by {len(self.users):,} users of {len(self.items):,} items"
        about = f"{self.name}: {size}, {filled:.2%} of all pairs"
        if not self.explicit:
            return (about, "without points: every rating says that user and item met", *self.notes)
        low, high = float(self.rating.min()), float(self.rating.max())
        mean = float(self.rating.mean())
        return (about, f"from {low:g} to {high:g} points, {mean:.2f} on average", *self.notes)


# ------------------------------------------------------------------------------- recognising


def are_in(data: str) -> bool:
    """Whether a file or folder is one of ratings: by its columns' names, or MovieLens' layout."""
    try:
        return _layout(_file(data)) is not None
    except DataError:
        return False


def _file(data: str) -> str:
    """The file of ratings that a path means. Raises DataError where a folder holds none."""
    if not os.path.isdir(data):
        return data
    for name in FILES:
        if os.path.isfile(os.path.join(data, name)):
            return os.path.join(data, name)
    raise DataError(
        f"the folder holds none of {', '.join(FILES)}", where=data, fix="give a folder of MovieLens"
    )


class _Layout(NamedTuple):
    """How a file's lines are divided, which part is what, and whether the first names them."""

    separator: str
    user: int
    item: int
    rating: int | None
    time: int | None
    named: bool


def _layout(file: str) -> _Layout | None:
    """How a file is laid out; None where it holds no ratings, as far as its first line says."""
    first = _first_line(file)
    for separator in SEPARATORS:
        parts = _parts(first, separator)
        found = _by_names(parts, separator)
        if found is not None:
            return found
    name = os.path.basename(file)
    separator = "\t" if name == "u.data" else "::"
    parts = first.split(separator)
    if name in ("u.data", "ratings.dat") and len(parts) == 4:
        return _Layout(separator, 0, 1, 2, 3, named=False)
    return None


def _by_names(parts: Sequence[str], separator: str) -> _Layout | None:
    plain = [part.strip().lower().translate(str.maketrans("", "", " _-")) for part in parts]
    place = {
        kind: next((plain.index(name) for name in names if name in plain), None)
        for kind, names in COLUMNS.items()
    }
    user, item = place["user"], place["item"]
    if user is None or item is None:
        return None
    return _Layout(separator, user, item, place["rating"], place["time"], named=True)


def _first_line(file: str) -> str:
    try:
        with open(file, "rb") as opened:
            data = opened.read(_LOOK)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"cannot read: {reason}", where=file, fix="check the path") from error
    if b"\0" in data:
        raise DataError("this is a binary file, not a list of ratings", where=file, fix=FIX)
    return data.split(b"\n")[0].decode("utf-8-sig", errors="replace").strip("\r")


def _parts(line: str, separator: str) -> list[str]:
    if len(separator) > 1:
        return line.split(separator)
    return next(csv.reader([line], delimiter=separator), [])


# ----------------------------------------------------------------------------------- reading


def read(data: str | os.PathLike[str]) -> Ratings:
    """The ratings of a file or of a folder of MovieLens.

    Where a user rated an item more than once, the latest counts. Files are read line by line.
    Raises DataError, with the line, for what is no such file, and for cells that are no numbers.
    """
    file = _file(os.fspath(data))
    layout = _layout(file)
    if layout is None:
        raise DataError("no column of users and items was recognised", where=file, fix=FIX)
    size = os.path.getsize(file)
    if size > MOST_BYTES:
        what = f"the file has {size:,} bytes; ratings up to {MOST_BYTES:,} are read"
        raise DataError(what, where=file, fix="give a sample of its users")
    found = _Columns()
    for line, parts in _rows(file, layout):
        found.add(parts, layout, f"{file}, line {line}")
    if not len(found.user):
        raise DataError("there are no ratings", where=file, fix=FIX)
    folder = Path(file).parent
    name = folder.name if Path(file).name in FILES and folder.name else Path(file).stem
    return _in_order(found.ratings(name, _titles(folder, Path(file).name), layout))


def _rows(file: str, layout: _Layout) -> Iterator[tuple[int, list[str]]]:
    """The parts of each line, with its number."""
    with open(file, encoding="utf-8-sig", errors="strict", newline="") as opened:
        lines = _lines(opened, file)
        records: Iterator[list[str]] = (
            (line.rstrip("\r\n").split(layout.separator) for line in lines)
            if len(layout.separator) > 1
            else csv.reader(lines, delimiter=layout.separator)
        )
        try:
            for number, parts in enumerate(records, 1):
                if parts and parts != [""] and not (layout.named and number == 1):
                    yield number, parts
        except UnicodeDecodeError as error:
            fix = "save the file as UTF-8"
            raise DataError(f"the text is not UTF-8: {error}", where=file, fix=fix) from error
        except csv.Error as error:
            raise DataError(f"a line cannot be read: {error}", where=file, fix=FIX) from error


def _lines(opened: Any, file: str) -> Iterator[str]:
    """Lines, none of which is longer than memory allows."""
    while line := opened.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise DataError(f"a line of over {_LONGEST_LINE:,} characters", where=file, fix=FIX)
        yield line


class _Columns:
    """The ratings read so far: numbers of names, points, times."""

    def __init__(self) -> None:
        self.users: dict[str, int] = {}
        self.items: dict[str, int] = {}
        self.user, self.item = array("i"), array("i")
        self.rating, self.time = array("f"), array("d")

    def add(self, parts: Sequence[str], layout: _Layout, where: str) -> None:
        """One line."""
        places = (layout.user, layout.item, layout.rating, layout.time)
        if max(place for place in places if place is not None) >= len(parts):
            raise DataError(f"the line has {len(parts)} parts", where=where, fix=FIX)
        user, item = parts[layout.user].strip(), parts[layout.item].strip()
        if not user or not item:
            raise DataError("a rating without user or item", where=where, fix="remove the line")
        self.user.append(self.users.setdefault(user, len(self.users)))
        self.item.append(self.items.setdefault(item, len(self.items)))
        self.rating.append(1.0 if layout.rating is None else _number(parts[layout.rating], where))
        if layout.time is not None:
            self.time.append(_seconds(parts[layout.time], where))

    def ratings(self, name: str, titles: dict[str, str], layout: _Layout) -> Ratings:
        """All of them, as arrays."""
        return Ratings(
            name,
            tuple(self.users),
            tuple(self.items),
            np.array(self.user, np.int32),
            np.array(self.item, np.int32),
            np.array(self.rating, np.float32),
            None if layout.time is None else np.array(self.time, np.float64),
            titles or None,
        )


def _number(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not abs(value) < 1e30:
        fix = "correct the line, or remove it"
        raise DataError(f"the rating {cell[:40]!r} is no number", where=where, fix=fix)
    return value


def _seconds(cell: str, where: str) -> float:
    """A time in seconds: a number as it is, or a date in ISO's form, in UTC unless it says else."""
    try:
        value = float(cell)
    except ValueError:
        try:
            moment = datetime.fromisoformat(cell.strip())
        except ValueError:
            fix = "numbers, or dates such as 2026-01-31 12:00"
            raise DataError(f"the time {cell[:40]!r} is none", where=where, fix=fix) from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not abs(value) < 1e30:
        raise DataError(f"the time {cell[:40]!r} is none", where=where, fix="give seconds")
    return value


def _in_order(found: Ratings) -> Ratings:
    """In the order of time, each pair once: its latest rating."""
    order = np.arange(len(found))
    if found.time is not None:
        order = np.argsort(found.time, kind="stable")
    pairs = found.user[order].astype(np.int64) * len(found.items) + found.item[order]
    _, last = np.unique(pairs[::-1], return_index=True)
    kept = np.sort(len(pairs) - 1 - last)
    twice = len(pairs) - len(kept)
    notes = (f"{twice:,} pairs were rated again: the latest counts",) if twice else ()
    return replace(found.rows(order[kept]), notes=notes)


def _titles(folder: Path, ratings: str) -> dict[str, str]:
    """Item names to titles, from the companion of MovieLens' files; none where there is none."""
    if ratings not in FILES:
        return {}
    file = folder / TITLES[FILES.index(ratings)]
    if not file.is_file() or file.stat().st_size > _LONGEST_LINE * 1024:
        return {}
    raw = file.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")  # the older files of MovieLens
    rows = _title_rows(text.splitlines(), file.name)
    return {row[0].strip(): row[1].strip() for row in rows if len(row) > 1}


def _title_rows(lines: Sequence[str], name: str) -> Iterable[list[str]]:
    if name == "movies.csv":
        return list(csv.reader(lines))[1:]
    return [line.split("|" if name == "u.item" else "::") for line in lines]
