"""Writing a file so that a crash, a full disk or Ctrl-C never leaves half of one behind.

Not here: what is in the file (`weights.py`, `download.py`). Next: `weights.py`.

The new content goes to a temporary file beside the old one, is forced to the disk (fsync), and
takes the old name in one step (rename); then the folder is forced to the disk too. Until the
rename the old file is whole, after it the new one is. A process that is killed outright leaves
its temporary file behind; the next write to the same name removes those older than an hour.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kedja.ground.errors import StorageError

Bytes = bytes | bytearray | memoryview

LEFTOVER_SECONDS = 3600.0

# Windows would turn line ends over without it.
_BINARY: int = getattr(os, "O_BINARY", 0)

_ROOM = "free some space there, or choose another folder"
_RIGHTS = "check who owns the folder and who may write to it, or choose another folder"

# Why a write failed, and the likely repair. Any other error is told in the system's words.
_REASONS: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", _ROOM),
    errno.EDQUOT: ("the disk quota is used up", _ROOM),
    errno.EFBIG: ("the file would be larger than the system allows", "see `ulimit -f`"),
    errno.EACCES: ("permission denied", _RIGHTS),
    errno.EPERM: ("permission denied", _RIGHTS),
    errno.EROFS: ("the file system is read-only", "choose another folder"),
    errno.ENOENT: ("the folder does not exist", "create the folder, or choose another one"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "choose another path"),
    errno.EISDIR: ("there is a folder of this name", "choose another name, or move the folder"),
}

# What a file system answers that cannot force a folder to the disk: nothing more can be done there.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM}


def write_bytes(path: str | os.PathLike[str], data: Bytes) -> None:
    """Make `data` the content of the file `path`, whole or not at all.

    Raises StorageError (disk full, no permission, no such folder ...); the old file is then as
    it was.
    """
    with replacing(path) as write:
        write(data)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Callable[[Bytes], None]]:
    """Give a function that appends bytes to a new version of `path`, installed at the block's end.

    If the block raises, the new version is removed and the old file stays as it was. A symbolic
    link stays one: the file that it points to is replaced. Raises StorageError where a write fails.
    """
    target = Path(os.path.realpath(path))
    _remove_leftovers(target)
    temporary = target.with_name(f"{_prefix(target)}{secrets.token_hex(4)}.tmp")
    try:
        with _synced(temporary, path) as descriptor:
            yield lambda data: _write_all(descriptor, data, path)
        with _as_storage_error(path):
            os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(target.parent)


@contextmanager
def _synced(temporary: Path, path: str | os.PathLike[str]) -> Iterator[int]:
    """The descriptor of a new file that is on the disk when the block ends."""
    with _as_storage_error(path):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
    try:
        yield descriptor
        with _as_storage_error(path):
            os.fsync(descriptor)
    finally:
        with _as_storage_error(path):
            os.close(descriptor)


def _write_all(descriptor: int, data: Bytes, path: str | os.PathLike[str]) -> None:
    """Write every byte: one system call may take only a part of them."""
    rest = memoryview(data).cast("B")
    with _as_storage_error(path):
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def _prefix(target: Path) -> str:
    """How the names of `target`'s temporary files start; cut so that long names stay legal."""
    return f".{target.name[:100]}.kedja-"


def _remove_leftovers(target: Path) -> None:
    """Remove what killed processes left; a file that another process removes first is no error."""
    oldest = time.time() - LEFTOVER_SECONDS
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            ours = entry.name.startswith(_prefix(target)) and entry.name.endswith(".tmp")
            if ours and entry.stat(follow_symlinks=False).st_mtime < oldest:
                os.unlink(entry.path)


def _sync_folder(folder: Path) -> None:
    """Force the rename itself to the disk, where the system can (Windows cannot open folders)."""
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise StorageError(
                f"the new file is in place, but may not survive a power cut: {error.strerror}",
                where=str(folder),
                fix="check the disk, then write again",
            ) from error


@contextmanager
def _as_storage_error(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the system's error into one that names the file, the reason and the repair."""
    try:
        yield
    except OSError as error:
        words = error.strerror or str(error)
        reason, fix = _REASONS.get(error.errno or 0, (words, "check the disk and the path"))
        raise StorageError(f"cannot write: {reason}", where=os.fspath(path), fix=fix) from error
