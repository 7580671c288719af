"""Atomic writes: the old file or the new one, never half of one, whatever fails."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kedja.ground.errors import StorageError
from kedja.io import atomic
from tests.paths import ROOT


def no_space(*args):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def only_file(folder: Path) -> bytes:
    """The content of the folder's single file: no temporary file may be left beside it."""
    (path,) = folder.iterdir()
    return path.read_bytes()


@pytest.mark.parametrize("data", [b"", b"new", bytearray(b"new"), memoryview(b"new")])
def test_creates_and_replaces(tmp_path, data):
    path = tmp_path / "file"
    atomic.write_bytes(path, data)
    assert only_file(tmp_path) == bytes(data)
    atomic.write_bytes(str(path), b"other")
    assert only_file(tmp_path) == b"other"


def test_permissions_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        atomic.write_bytes(tmp_path / "file", b"x")
    finally:
        os.umask(old)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_one_write_call_may_take_a_part(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:3]))
    atomic.write_bytes(tmp_path / "file", b"0123456789")
    assert only_file(tmp_path) == b"0123456789"


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch, call):
    path = tmp_path / "file"
    atomic.write_bytes(path, b"old")
    with monkeypatch.context() as patched:
        patched.setattr(os, call, no_space)
        with pytest.raises(StorageError, match="disk is full") as caught:
            atomic.write_bytes(path, b"new")
    assert caught.value.where == str(path)
    assert "free some space" in caught.value.fix
    assert only_file(tmp_path) == b"old"


def test_a_real_file_size_limit_keeps_the_old_file(tmp_path):
    path = tmp_path / "file"
    atomic.write_bytes(path, b"old")
    program = (
        "import resource, sys\n"
        "from kedja.ground.errors import StorageError\n"
        "from kedja.io import atomic\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    atomic.write_bytes(sys.argv[1], b'n' * 10000)\n"
        "except StorageError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "larger than the system allows" in done.stdout, done.stderr
    assert only_file(tmp_path) == b"old"


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt])
def test_an_error_in_the_block_keeps_the_old_file(tmp_path, raised):
    path = tmp_path / "file"
    atomic.write_bytes(path, b"old")
    with pytest.raises(raised), atomic.replacing(path) as write:
        write(b"half of the new")
        raise raised
    assert only_file(tmp_path) == b"old"


def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path, monkeypatch):
    def fsync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "no folders")

    monkeypatch.setattr(os, "fsync", fsync)
    atomic.write_bytes(tmp_path / "file", b"new")
    assert only_file(tmp_path) == b"new"


def test_a_folder_that_fails_to_sync_is_told(tmp_path, monkeypatch):
    calls = []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.EIO, "bad disk")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StorageError, match="may not survive a power cut: bad disk"):
        atomic.write_bytes(tmp_path / "file", b"new")
    assert only_file(tmp_path) == b"new"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("absent/file", "folder does not exist"),
        ("plain/file", "is a file, not a folder"),
        ("folder", "a folder of this name"),
        ("x" * 300, "File name too long"),
    ],
)
def test_paths_that_cannot_be_written(tmp_path, name, reason):
    (tmp_path / "plain").write_bytes(b"old")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match=reason):
        atomic.write_bytes(tmp_path / name, b"new")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder", "plain"]


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("target")
    atomic.write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def test_old_leftovers_of_killed_processes_are_removed(tmp_path):
    old, young, foreign = (
        tmp_path / name for name in (".file.kedja-1.tmp", ".file.kedja-2.tmp", ".other.kedja-3.tmp")
    )
    for path in (old, young, foreign):
        path.write_bytes(b"left")
    long_ago = time.time() - 2 * atomic.LEFTOVER_SECONDS
    os.utime(old, (long_ago, long_ago))
    os.utime(foreign, (long_ago, long_ago))
    atomic.write_bytes(tmp_path / "file", b"new")
    assert not old.exists()
    assert young.exists()
    assert foreign.exists()
