"""Sets of recordings: a folder or an archive of sound files, whose names say what is heard.

    yes/anna_1.wav              the folder's name is the class
    7_anna_12.wav               label_speaker_index, where the files lie side by side
    {label}/{speaker}_{index}   any other way, as a pattern

Not here: single files (`sound.py`), pictures of waves (`spectrogram.py`).
Next: `kedja/models/spectrogram_cnn.py`.
An archive (tar, tar.gz) is read as a stream: nothing is unpacked, and its names are only read.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from kedja.data import sound
from kedja.data.spectrogram import LogMel, log_mel
from kedja.ground.errors import DataError, UsageError
from kedja.ground.suggest import listed

Array = np.ndarray[Any, np.dtype[Any]]
Progress = Callable[[str, int, int], object]

ARCHIVES = (".tar", ".tar.gz", ".tgz")
USUAL = "{label}_{speaker}_{index}"
FIELDS = ("label", "speaker", "index")
MEMBER = 64 * 2**20  # bytes of a member of an archive that are looked at
LOOKED = 1000  # files and folders that are looked at to recognise a set
LONG = 10.0  # seconds, at most, of a picture, unless more are asked for
SHARE = 0.98  # of the recordings fit into the usual length
ODD = 3.0  # times as long as the middle one is not usual
HIGH = 16_000  # the highest rate that is used, unless a higher one is asked for
BANDS = 40
UNREAD_SHARE, UNREAD_FEW = 0.2, 3  # more files than both that cannot be read are an error
NAMED = 5  # files that a note or an error names


class Said(NamedTuple):
    """What a recording's name says."""

    label: str
    speaker: str | None


@dataclass(frozen=True, eq=False)
class Recordings:
    """N recordings as pictures `inputs`, float32 (N, F, M), with what their names say.

    `speakers` is None where the names do not have them. `shape` makes such pictures of other waves;
    `cut` are how many recordings were longer than a picture. `notes` name files that were left out.
    """

    names: tuple[str, ...]
    inputs: Array
    labels: tuple[str, ...]
    speakers: tuple[str, ...] | None
    shape: LogMel
    cut: int
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The different labels in order: by value where all are numbers, else by the alphabet."""
        found = set(self.labels)
        numeric = all(each.isdecimal() for each in found)
        return tuple(sorted(found, key=int)) if numeric else tuple(sorted(found))

    @property
    def targets(self) -> Array:
        """The number of each label among the classes, int64 (N,)."""
        number = {name: place for place, name in enumerate(self.classes)}
        return np.array([number[each] for each in self.labels], np.int64)


def are_in(path: str) -> bool:
    """Whether a folder or an archive holds sound, by the names of the first files in it."""
    if os.path.isdir(path):
        return any(sound.is_named_so(name) for name in _few(_names_in(path)))
    if not _is_archive(path):
        return False
    try:
        with tarfile.open(path, "r|*") as archive:
            return any(each.isfile() and sound.is_named_so(each.name) for each in _few(archive))
    except (tarfile.TarError, OSError, EOFError):
        return False


def _few(found: Any) -> Iterator[Any]:
    return (each for each, _ in zip(found, range(LOOKED), strict=False))


def count(path: str | os.PathLike[str]) -> int:
    """How many files of sound a folder or an archive holds, none being looked at."""
    return sum(1 for _ in files_in(os.fspath(path)))


def load(
    path: str | os.PathLike[str],
    *,
    pattern: str | None = None,
    rate: int | None = None,
    seconds: float | None = None,
    bands: int = BANDS,
    shape: LogMel | None = None,
    progress: Progress | None = None,
) -> Recordings:
    """All recordings of a folder or an archive, as pictures of one shape.

    `pattern` says what the names mean: `{label}`, `{speaker}` and `{index}` stand for parts, others
    stand for themselves, and with a `/` in it folders count, too. Without one, folders are classes;
    files side by side are `{label}_{speaker}_{index}`. `rate` is the commonest of the files', up to
    16,000, unless given; `seconds` are as many as 98 % of the recordings have, up to 10 and to
    three times as many as the middle one; a `shape` that a network knows decides both. Longer
    recordings are cut, shorter ones filled up with silence. `progress` is called with (what, done,
    all) after each file.

    Files that cannot be read (see `sound.read`) are left out, and named in the notes.

    Raises DataError where there are no recordings or many of them cannot be read, for names that do
    not fit the pattern and for fewer than two classes; UsageError for a pattern without a label.
    """
    where = os.fspath(path)
    surveyed, unread = _survey(where)
    said = dict(zip(surveyed, said_by(list(surveyed), pattern, where), strict=True))
    shape = shape or _shape(list(surveyed.values()), rate, seconds, bands)
    cut = sum(each.seconds * shape.rate > shape.samples + 1 for each in surveyed.values())
    inputs = np.empty((len(surveyed), shape.frames, shape.bands), np.float32)
    names: list[str] = []
    for done, (name, picture) in enumerate(_pictures(where, surveyed, shape, unread), 1):
        if picture is not None:
            inputs[len(names)] = picture
            names.append(name)
        if progress is not None:
            progress("sound", done, len(surveyed))
    _require_few(unread, len(names), where)
    kept = [said[name] for name in names]
    _require_classes(kept, where)
    speakers = tuple(each.speaker or "" for each in kept)
    known = speakers if all(speakers) else None
    labels = tuple(each.label for each in kept)
    notes = (f"left out, not readable: {listed(unread, NAMED)}",) if unread else ()
    return Recordings(tuple(names), inputs[: len(names)], labels, known, shape, cut, notes)


def _survey(where: str) -> tuple[dict[str, sound.Header], list[str]]:
    """What each file says of itself, by name; and which cannot be read, and why."""
    found: dict[str, sound.Header] = {}
    unread: list[str] = []
    for name, _, file in files_in(where):
        if name in found:
            raise DataError(f"{name} is there twice", where=where, fix="pack the archive again")
        try:
            found[name] = sound.header_of(file, _place(where, name))
        except DataError as error:
            unread.append(f"{name} ({error.what})")
    if not found and not unread:
        what = f"there are no files of sound ({' or '.join(sound.SUFFIXES)})"
        raise DataError(what, where=where, fix="give a folder or an archive of recordings")
    _require_few(unread, len(found), where)
    return found, unread


def _pictures(
    where: str, surveyed: Mapping[str, sound.Header], shape: LogMel, unread: list[str]
) -> Iterator[tuple[str, Array | None]]:
    """Each file's name and its picture, or None where it cannot be read: why goes to `unread`."""
    longest = min(sound.LONGEST, shape.samples / shape.rate + 1)
    for name, size, file in files_in(where):
        if name not in surveyed:
            continue
        try:
            wave, _ = sound.decode(file, size, _place(where, name), shape.rate, longest)
            yield name, shape(wave)
        except DataError as error:
            unread.append(f"{name} ({error.what})")
            yield name, None


def _require_few(unread: Sequence[str], read: int, where: str) -> None:
    """Raise DataError where so many files cannot be read that something is wrong."""
    total = read + len(unread)
    if len(unread) > max(UNREAD_FEW, UNREAD_SHARE * total) or len(unread) == total > 0:
        what = f"{len(unread):,} of {total:,} recordings cannot be read"
        raise DataError(
            f"{what}: {listed(unread, NAMED)}", where=where, fix="remove or repair them"
        )


def _shape(
    headers: Sequence[sound.Header], rate: int | None, seconds: float | None, bands: int
) -> LogMel:
    """Pictures that suit these files."""
    usual = min(Counter(each.rate for each in headers).most_common(1)[0][0], HIGH)
    if seconds is None:
        lengths = sorted(each.seconds for each in headers)
        fitting = lengths[min(len(lengths) - 1, int(SHARE * len(lengths)))]
        fitting = min(
            fitting, ODD * lengths[len(lengths) // 2]
        )  # one long one of a few decides not
        seconds = min(LONG, max(0.1, -(-fitting * 10 // 1) / 10))
    return log_mel(rate or usual, seconds, bands)


# ------------------------------------------------------------------------------------- files


def _place(where: str, name: str) -> str:
    """A file as an error names it."""
    return os.path.join(where, name) if os.path.isdir(where) else f"{where}: {name}"


def files_in(where: str) -> Iterator[tuple[str, int, BinaryIO]]:
    """Each file of sound: its name within the set, its size, and its content, open.

    Raises DataError for what is neither a folder nor an archive, and for damaged archives.
    """
    if os.path.isdir(where):
        yield from _of_folder(where)
    elif _is_archive(where):
        yield from _of_archive(where)
    else:
        what = "this is neither a folder nor an archive of recordings"
        raise DataError(what, where=where, fix=f"give a folder, or a file {', '.join(ARCHIVES)}")


def _is_archive(path: str) -> bool:
    return path.lower().endswith(ARCHIVES) and os.path.isfile(path)


def _names_in(folder: str) -> Iterator[str]:
    """The names of all files below a folder, in order, hidden folders and links to folders left."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(names):
            yield os.path.relpath(os.path.join(parent, name), folder).replace(os.sep, "/")


def _of_folder(folder: str) -> Iterator[tuple[str, int, BinaryIO]]:
    for name in _names_in(folder):
        if sound.is_named_so(name):
            with sound.opened(os.path.join(folder, name)) as file:
                yield name, os.fstat(file.fileno()).st_size, file


def _of_archive(path: str) -> Iterator[tuple[str, int, BinaryIO]]:
    """Each member, read as a stream; of a large one the first bytes."""
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # else it keeps them all
                if member.isfile() and sound.is_named_so(member.name):
                    content = archive.extractfile(member)
                    assert content is not None
                    yield member.name, member.size, io.BytesIO(content.read(MEMBER))
    except (tarfile.TarError, EOFError, OSError) as error:
        what = f"the archive cannot be read: {error}"
        raise DataError(what, where=path, fix="copy it again, or unpack it") from error


# ------------------------------------------------------------------------------------- names


def said_by(names: Sequence[str], pattern: str | None, where: str) -> list[Said]:
    """What the names say, all by one pattern; raises as `load` does."""
    found = _by_pattern(names, pattern, where) if pattern else _by_layout(names, where)
    _require_classes(found, where)
    return found


def _require_classes(found: Sequence[Said], where: str) -> None:
    if len({each.label for each in found}) < 2:
        what = f"there is one class only: {found[0].label}"
        raise DataError(what, where=where, fix="give recordings of two classes, or a pattern")


def _by_layout(names: Sequence[str], where: str) -> list[Said]:
    """Folders as classes where there are several of them, else the usual pattern."""
    parents = {os.path.dirname(each) for each in names}
    if len(parents) > 1:
        return [Said(os.path.basename(os.path.dirname(each)), None) for each in names]
    return _by_pattern(names, USUAL, where)


def _by_pattern(names: Sequence[str], pattern: str, where: str) -> list[Said]:
    parts = pattern.count("/") + 1
    expression = _expression(pattern)
    found = []
    for name in names:
        stem = "/".join(os.path.splitext(name)[0].split("/")[-parts:])
        match = expression.fullmatch(stem)
        if match is None:
            what = f"the name {name} is not {pattern}"
            fix = "say what names mean: --pattern '{label}_{index}'"
            raise DataError(what, where=where, fix=fix)
        groups = match.groupdict()
        found.append(Said(groups["label"], groups.get("speaker")))
    return found


def _expression(pattern: str) -> re.Pattern[str]:
    """`{label}_{speaker}` as a regular expression.

    Each part is as short as it can be, and holds no `/`.
    """
    pieces = re.split(r"\{([^{}]*)\}", pattern)
    fields = pieces[1::2]
    if "label" not in fields or len(set(fields)) < len(fields) or not set(fields) <= set(FIELDS):
        allowed = ", ".join(f"{{{name}}}" for name in FIELDS)
        raise UsageError(f"the pattern {pattern!r}", fix=f"use {{label}}, and others of {allowed}")
    texts = [re.escape(each) if place % 2 == 0 else f"(?P<{each}>[^/]+?)"
             for place, each in enumerate(pieces)]  # fmt: skip
    return re.compile("".join(texts))
