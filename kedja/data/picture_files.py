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

# What folders are called that divide the pictures, without `_set`; the first that there is.
TRAIN_FOLDERS = ("train", "training", "seg_train")
TEST_FOLDERS = ("test", "testing", "seg_test")
SHOWN_FOLDERS = ("val", "valid", "validation", "dev")
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

    `shown` are those of its folder for validation, where it has one for the test, too. `unread`
    says of each file that cannot be read why.
    """

    folder: Path
    classes: tuple[str, ...]
    files: tuple[Picture, ...]
    held: tuple[Picture, ...]
    shown: tuple[Picture, ...]
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
    """The folder of the classes; or that to train on, that to test on, that to validate on.

    Where there is no folder to test on, the one to validate on takes its place.
    """
    there = {_plain(each.name): each for each in _folders(folder)}
    train, *rest = (
        next((there[name] for name in names if name in there), None)
        for names in (TRAIN_FOLDERS, TEST_FOLDERS, SHOWN_FOLDERS)
    )
    return [folder] if train is None else [train, *(each for each in rest if each is not None)]


def _plain(name: str) -> str:
    """A folder's name as the lists above have it: `Training_Set` is `training`."""
    return name.lower().replace("-", "_").replace(" ", "_").removesuffix("_set")


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = (each for each in folder.iterdir() if each.is_dir() and not _is_hidden(each.name))
    return sorted(found)


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__"))


def pictures_in(folder: Path, suffixes: tuple[str, ...] = photos.SUFFIXES) -> Iterator[Path]:
    """All files below a folder whose names are pictures', sorted; hidden ones are passed over."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if not _is_hidden(each))
        for name in sorted(names):
            if name.lower().endswith(suffixes) and not _is_hidden(name):
                yield Path(root) / name


def survey(folder: Path, progress: Progress, test: Path | None = None) -> Survey:
    """All pictures below a folder, looked at: their content's digest and their size.

    Those below `test` are to be tested on, where it is given. Raises DataError where there are
    fewer than two classes, or classes to test on alone.
    """
    roots = roots_of(folder)
    if test is not None:
        roots[1:2] = [test]
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
    train, held, shown = (*parts, (), ())[:3]
    notes += _others_note(roots)
    return Survey(folder, classes, train, held, shown, tuple(unread), tuple(notes))


def _others_note(roots: Sequence[Path]) -> list[str]:
    """A note of files that are pictures, too, but of kinds that are not read."""
    found = [str(each) for root in roots for each in pictures_in(root, photos.OTHERS)]
    told = "as PNG or JPEG they would be read"
    return [f"left out, of other kinds: {listed(found, NAMED)}; {told}"] if found else []


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
        fix = "; ".join((*_others_note(roots), _deeper(parts[0], roots[0])))
        raise DataError(what, where=str(roots[0]), fix=fix)
    for part, root in zip(parts[1:], roots[1:], strict=True):
        strange = sorted(name for name, files in part.items() if files and name not in full)
        if strange:
            what = f"there are no pictures to train on of {', '.join(strange)}"
            raise DataError(what, where=str(root), fix="add them, or move these away")
    empty = sorted(name for name, files in parts[0].items() if not files)
    notes = [f"left out, without pictures: {listed(empty, NAMED)}"] if empty else []
    return _in_order(full), notes + _alike(parts[0], roots[0])


def _deeper(part: dict[str, list[Path]], root: Path) -> str:
    """What to do about a single class, in which the classes may lie one folder deeper."""
    for name in part:
        if len(roots_of(root / name)) > 1 or len(_inside(part, root, name)) > 1:
            return f"give {root / name}, if that holds the classes"
    return "a folder of pictures for each class: cats/1.png, dogs/1.png"


def _alike(part: dict[str, list[Path]], root: Path) -> list[str]:
    """A warning where all classes hold folders of the same names, which may be the classes."""
    inside = [_inside(part, root, name) for name, files in part.items() if files]
    if len(inside[0]) < 2 or any(each != inside[0] for each in inside):
        return []
    names = listed(sorted(inside[0]), NAMED)
    told = "if these are the classes, call the folders around them train and test"
    return [f"warning: each class holds the folders {names}; {told}"]


def _inside(part: dict[str, list[Path]], root: Path, name: str) -> set[str]:
    """The folders with pictures in the folder of a class."""
    places = (file.relative_to(root / name).parts for file in part[name])
    return {parts[0] for parts in places if len(parts) > 1}


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
    tested = {each.content for each in (*found.held, *found.shown)}
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
