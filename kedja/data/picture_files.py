"""The files of a folder of pictures: found, recognised by content, divided honestly.

Not here: their pixels (`pictures.py`), how a file is read (`kedja/io/photos.py`).
Next: `pictures.py`.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kedja.data.dataset import TEST_SHARE
from kedja.ground.errors import DataError
from kedja.ground.suggest import listed
from kedja.io import photos

# Told how many of how many files are done.
Progress = Callable[[int, int], None]

TEST_FOLDERS = ("test", "val", "valid", "validation")  # the first that there is
MOST_FILES = 1_000_000
UNREAD_SHARE, UNREAD_FEW = 0.2, 3  # more files than both that cannot be read are an error
NAMED = 5  # files that a note or an error names
LOOKED_AT = 1000  # entries of a folder that are looked at to recognise it
REPORT = 256


@dataclass(frozen=True)
class Picture:
    """A file: where it is, the number of its class, the SHA-256 of its bytes, height and width."""

    path: Path
    label: int
    content: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Survey:
    """What a folder holds. `held` are the files of its own test folder, of the same classes.

    `unread` says of each file that cannot be read why.
    """

    folder: Path
    classes: tuple[str, ...]
    files: tuple[Picture, ...]
    held: tuple[Picture, ...]
    unread: tuple[str, ...]
    notes: tuple[str, ...]


# ------------------------------------------------------------------------------------ finding


def are_in(folder: Path) -> bool:
    """Whether a folder holds folders with pictures: a look at some of its entries."""
    try:
        classes = [each for root in roots_of(folder) for each in _folders(root)]
        return any(next(pictures_in(each), None) is not None for each in classes[:20])
    except OSError:
        return False


def roots_of(folder: Path) -> list[Path]:
    """The folder of the classes; with one for training, that and the one for testing."""
    names = {each.name.lower(): each for each in _folders(folder)}
    if "train" not in names:
        return [folder]
    return [names["train"], *[names[name] for name in TEST_FOLDERS if name in names][:1]]


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = (each for each in folder.iterdir() if each.is_dir() and not _is_hidden(each.name))
    return sorted(found)


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__"))


def pictures_in(folder: Path) -> Iterator[Path]:
    """All files below a folder whose names are pictures', sorted; hidden ones are passed over."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if not _is_hidden(each))
        for name in sorted(names):
            if photos.is_named_so(name) and not _is_hidden(name):
                yield Path(root) / name


def survey(folder: Path, progress: Progress) -> Survey:
    """All pictures below a folder, looked at: their content's digest and their size.

    Raises DataError where there are fewer than two classes, or classes to test on alone.
    """
    roots = roots_of(folder)
    listed = [_listed(root) for root in roots]
    classes, notes = _classes(listed, roots)
    total = sum(len(files) for part in listed for files in part.values())
    if total > MOST_FILES:
        raise DataError(f"{total:,} pictures", where=str(folder), fix=f"at most {MOST_FILES:,}")
    done, parts, unread = 0, [], []
    for part in listed:
        seen = []
        for label, name in enumerate(classes):
            for path in part.get(name, ()):
                try:
                    seen.append(_looked_at(path, label))
                except DataError as error:
                    unread.append(reason(path, error))
                done += 1
                if done % REPORT == 0:
                    progress(done, total)
        parts.append(tuple(seen))
    require_few(unread, total)
    held = parts[1] if len(parts) > 1 else ()
    return Survey(folder, classes, parts[0], held, tuple(unread), tuple(notes))


def _listed(root: Path) -> dict[str, list[Path]]:
    return {each.name: list(pictures_in(each)) for each in _folders(root)}


def _classes(
    parts: Sequence[dict[str, list[Path]]], roots: Sequence[Path]
) -> tuple[tuple[str, ...], list[str]]:
    """The classes' names in order, and what is to be noted of them."""
    full = {name for name, files in parts[0].items() if files}
    if len(full) < 2:
        found = ", ".join(sorted(full)) or "none"
        what = f"one class at most has pictures: {found}"
        fix = "a folder of pictures for each class: cats/1.png, dogs/1.png"
        raise DataError(what, where=str(roots[0]), fix=fix)
    for part, root in zip(parts[1:], roots[1:], strict=True):
        strange = sorted(name for name, files in part.items() if files and name not in full)
        if strange:
            what = f"there are no pictures to train on of {', '.join(strange)}"
            raise DataError(what, where=str(root), fix="add them, or move these away")
    empty = sorted(name for name, files in parts[0].items() if not files)
    notes = [f"left out, without pictures: {listed(empty, NAMED)}"] if empty else []
    return _in_order(full), notes


def _in_order(names: Iterable[str]) -> tuple[str, ...]:
    """By value where all are numbers, else by the alphabet."""
    names = set(names)
    numeric = all(name.isdecimal() for name in names)
    return tuple(sorted(names, key=int)) if numeric else tuple(sorted(names))


def _looked_at(path: Path, label: int) -> Picture:
    content = photos.contents(path)
    size = photos.size(content, str(path))
    return Picture(path, label, hashlib.sha256(content).hexdigest(), size)


def reason(path: Path, error: DataError) -> str:
    """A file that is not read, with the reason."""
    return f"{path} ({error.what})"


def require_few(unread: Sequence[str], total: int) -> None:
    """Raise DataError where so many files cannot be read that something is wrong."""
    if len(unread) > max(UNREAD_FEW, UNREAD_SHARE * total):
        what = f"{len(unread):,} of {total:,} pictures cannot be read: {listed(unread, NAMED)}"
        raise DataError(what, fix="remove or repair them")


def unread_note(unread: Sequence[str]) -> list[str]:
    """The note that names files which were left out."""
    return [f"left out, not readable: {listed(unread, NAMED)}"] if unread else []


# ----------------------------------------------------------------------------------- dividing


def divided(found: Survey, seed: int) -> tuple[list[Picture], list[Picture], list[str]]:
    """The pictures to train on, those to test on, and what is to be noted.

    Where the folder divides them, copies of what is tested are left out of training. Elsewhere a
    fifth of each class is held out, drawn by the seed and the content: a file's name or place
    changes nothing, and all copies of a picture lie on one side.
    """
    notes = _copies_note(found.files)
    if not found.held:
        train, test = drawn(found.files, seed)
        return train, test, [*notes, *_untested(test, found.classes)]
    tested = {each.content for each in found.held}
    train = [each for each in found.files if each.content not in tested]
    gone = len(found.files) - len(train)
    if gone:
        notes.append(f"{gone:,} copies of pictures to test on are left out of training")
    return train, list(found.held), [*notes, *_untested(found.held, found.classes)]


def drawn(files: Sequence[Picture], seed: int) -> tuple[list[Picture], list[Picture]]:
    """The pictures to train on, and a fifth of each class, drawn by the seed and the content."""
    groups: dict[str, list[Picture]] = defaultdict(list)
    for each in files:
        groups[each.content].append(each)
    held: set[str] = set()
    for label in sorted({each.label for each in files}):
        held |= _held_of(label, groups, seed)
    train = [each for each in files if each.content not in held]
    return train, [each for each in files if each.content in held]


def _held_of(label: int, groups: dict[str, list[Picture]], seed: int) -> set[str]:
    """The contents of a class that are held out; what lies in several classes never is."""
    mine = [
        content for content, same in groups.items() if all(each.label == label for each in same)
    ]
    mine.sort(key=lambda content: hashlib.sha256(f"{seed} {content}".encode()).digest())
    total = sum(len(groups[content]) for content in mine)
    wanted, taken, held = round(TEST_SHARE * total), 0, set()
    for content in mine[:-1]:  # the last one is trained on in any case
        if taken >= wanted:
            break
        held.add(content)
        taken += len(groups[content])
    return held


def _copies_note(files: Sequence[Picture]) -> list[str]:
    counts = Counter(each.content for each in files)
    notes = []
    copies = sum(count - 1 for count in counts.values())
    if copies:
        notes.append(f"{copies:,} pictures are copies of others: all of them lie on one side")
    labels: dict[str, set[int]] = defaultdict(set)
    for each in files:
        labels[each.content].add(each.label)
    torn = [str(each.path) for each in files if len(labels[each.content]) > 1]
    if torn:
        notes.append(f"warning: the same picture in several classes: {listed(torn, NAMED)}")
    return notes


def _untested(test: Sequence[Picture], classes: Sequence[str]) -> list[str]:
    there = {each.label for each in test}
    absent = [name for label, name in enumerate(classes) if label not in there]
    return [f"warning: there is no picture to test on of {listed(absent, NAMED)}"] if absent else []
