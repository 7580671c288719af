"""A sleeping worker is told to wake on another core; once it is awake, it may run anywhere."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from runtime_kernels import counter

from kedja.compiler.runtime_native import native
from kedja.compiler.runtime_placing import places
from kedja.compiler.runtime_threads import (
    BOX,
    BOX_BYTES,
    CORE_WORDS,
    LINE,
    aligned_zeros,
    host_system,
)

pytestmark = pytest.mark.skipif(
    not places(host_system()) or len(os.sched_getaffinity(0)) < 2,
    reason="needs Linux and two cores",
)


def call(name: str, box: np.ndarray) -> None:
    """One of the three functions on a box."""
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(native().library.address(name))(box.ctypes.data)


def field(box: np.ndarray, name: str) -> int:
    """A field of 4 bytes."""
    return int(box.view(np.int32)[BOX.fields[name][0] // 4])


@contextmanager
def settled() -> Iterator[tuple[np.ndarray, int, threading.Event]]:
    """A box, the number of a thread that has settled in it, and what lets that thread roam."""
    box, ready, roam, leave = aligned_zeros(BOX_BYTES), *(threading.Event() for _ in range(3))

    def live() -> None:
        call("kedja_settle_in", box)
        ready.set()
        roam.wait()
        call("kedja_anywhere", box)
        leave.wait()

    thread = threading.Thread(target=live)
    thread.start()
    ready.wait()
    try:
        yield box, thread.native_id or 0, roam
    finally:
        roam.set()
        leave.set()
        thread.join()


@contextmanager
def held_on(cores: set[int]) -> Iterator[None]:
    """This thread on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def test_a_worker_writes_who_it_is_and_where_it_may_run() -> None:
    with settled() as (box, number, _):
        assert field(box, "thread") == number
        bits = box[LINE : LINE + 8 * CORE_WORDS].view(np.uint64)
        cores = {64 * i + j for i, word in enumerate(bits) for j in range(64) if int(word) >> j & 1}
        assert cores == os.sched_getaffinity(0)


def test_the_core_of_the_waker_is_left_out_until_the_worker_is_awake() -> None:
    cores = os.sched_getaffinity(0)
    for mine in sorted(cores)[:2]:
        with settled() as (box, number, roam):
            with held_on({mine}):
                call("kedja_elsewhere", box)
            assert os.sched_getaffinity(number) == cores - {mine}
            roam.set()
            end = time.monotonic() + 5
            while os.sched_getaffinity(number) != cores and time.monotonic() < end:
                time.sleep(0.001)
            assert os.sched_getaffinity(number) == cores


def test_with_one_core_nothing_is_forbidden() -> None:
    one = {min(os.sched_getaffinity(0))}
    with held_on(one), settled() as (box, number, _):
        call("kedja_elsewhere", box)
        assert os.sched_getaffinity(number) == one


def test_a_box_that_nobody_has_settled_in_is_left_alone() -> None:
    before = os.sched_getaffinity(0)
    call("kedja_elsewhere", aligned_zeros(BOX_BYTES))
    assert os.sched_getaffinity(0) == before


def test_workers_may_run_anywhere_after_many_naps() -> None:
    made, cells = counter(4), np.zeros(4, np.int64)
    for _ in range(20):
        made.run([], [cells], steps=50, threads=2)
        time.sleep(0.002)
    workers = [each for each in threading.enumerate() if each.name.startswith("kedja-worker")]
    end = time.monotonic() + 5
    allowed = os.sched_getaffinity(0)
    while time.monotonic() < end:
        if all(os.sched_getaffinity(each.native_id or 0) == allowed for each in workers):
            return
        made.run([], [cells], steps=50, threads=2)
        time.sleep(0.002)
    pytest.fail("a worker stayed where it was woken")
