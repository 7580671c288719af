"""Compiled objects on disk: what comes back, and that damage and full disks do no harm.

Not here: what is compiled (`test_runtime.py`).
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime_kernels import kernels

from kedja.compiler import runtime_cache
from kedja.compiler.runtime import Buffer, Launch, Plan, Program
from kedja.compiler.runtime_cache import compiled_folder, load, store
from kedja.compiler.runtime_native import load_runtime
from kedja.compiler.runtime_target import host_target
from kedja.compiler.runtime_threads import host_system
from kedja.ground.flags import scope

PLAN = {"launches": [["kedja_count", [0], 3]], "name": "å"}
CODE = bytes(range(256)) * 5


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    """A cache folder for this test alone."""
    with scope(cache=str(tmp_path / "cache"), use_cache=True):
        runtime_cache._warned.clear()
        yield tmp_path / "cache"


def only_file() -> Path:
    (file,) = compiled_folder().iterdir()
    return file


def test_what_was_stored_is_loaded() -> None:
    assert load("key-1") is None
    store("key-1", PLAN, CODE)
    assert load("key-1") == (PLAN, CODE)
    assert load("key-2") is None
    store("key-1", {}, b"")
    assert load("key-1") == ({}, b"")
    assert only_file().parent.name == "compiled"


@pytest.mark.parametrize("key", ["../up", "a/b", "x" * 500, "", "naïve", "a.b"])
def test_any_text_is_a_key_and_stays_inside_the_folder(key: str, folder: Path) -> None:
    store(key, PLAN, CODE)
    assert load(key) == (PLAN, CODE)
    assert only_file().parent == folder / "compiled"


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(deadline=None, max_examples=100)
def test_a_single_wrong_bit_is_noticed(place: int, bit: int) -> None:
    content = bytearray(runtime_cache._encode("key", PLAN, CODE))
    content[place % len(content)] ^= 1 << bit
    assert runtime_cache._decode("key", bytes(content)) is None


@pytest.mark.parametrize("keep", [0, 5, 60, -1])
def test_a_damaged_file_is_reported_in_one_line_and_replaced(
    keep: int, caplog: pytest.LogCaptureFixture
) -> None:
    store("key", PLAN, CODE)
    file = only_file()
    file.write_bytes(file.read_bytes()[:keep])
    with caplog.at_level(logging.WARNING, "kedja"):
        assert load("key") is None
    (record,) = caplog.records
    assert str(file) in record.getMessage()
    assert "\n" not in record.getMessage()
    store("key", PLAN, CODE)
    assert load("key") == (PLAN, CODE)


def test_a_renamed_file_is_not_taken_for_another() -> None:
    store("mine", PLAN, CODE)
    only_file().rename(only_file().with_stem("yours"))
    assert load("yours") is None


def test_without_the_flag_nothing_is_read_or_written(folder: Path) -> None:
    with scope(use_cache=False):
        store("key", PLAN, CODE)
        assert not folder.exists()
    store("key", PLAN, CODE)
    with scope(use_cache=False):
        assert load("key") is None


def test_a_folder_that_cannot_be_made_is_reported_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_text("a file stands in the way")
    for _ in range(3):
        store("key", PLAN, CODE)
    assert load("key") is None
    assert len(caplog.records) == 1
    assert "cannot be kept" in caplog.text


@pytest.mark.parametrize("step", ["write", "move"])
def test_a_full_disk_costs_nothing_but_time(step: str, caplog: pytest.LogCaptureFixture) -> None:
    store("key", PLAN, CODE)
    full = OSError(errno.ENOSPC, "No space left on device")
    target = "os.replace" if step == "move" else "os.fdopen"
    with mock.patch(f"kedja.compiler.runtime_cache.{target}", side_effect=full):
        store("key", PLAN, b"new")
    assert "No space left" in caplog.text
    assert only_file()  # no half-written file stays behind
    assert load("key") == (PLAN, CODE)


def test_the_files_used_longest_ago_make_room() -> None:
    for number in range(4):
        store(f"key-{number}", {}, bytes(1000))
        os.utime(runtime_cache._path(f"key-{number}"), (number, number))
    assert load("key-0") is not None  # used now
    runtime_cache._make_room(compiled_folder(), 2500)
    assert [load(f"key-{number}") is not None for number in range(4)] == [True, False, False, True]


def test_a_program_comes_back_from_disk() -> None:
    plan = Plan((Launch("kedja_count", (0,), 3),), (Buffer("output", 0, 24),), 0, 0, 1)
    store("program", plan.to_json(), kernels())
    found = load("program")
    assert found is not None
    cells = np.zeros(3, np.int64)
    Program(Plan.from_json(found[0]), found[1], [], host_target()).run([], [cells], steps=4)
    assert cells.tolist() == [4, 4, 4]


def test_the_runtime_itself_is_kept() -> None:
    load_runtime(host_system())
    with mock.patch("kedja.compiler.runtime_native.compile_module") as compiler:
        load_runtime(host_system())
    compiler.assert_not_called()
