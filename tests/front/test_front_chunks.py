"""Memory of large results that is used again: never while somebody looks at it, never too much."""

from __future__ import annotations

import gc
import os
import weakref

import numpy as np
import pytest

import kedja as kj
from kedja.front import chunks
from kedja.front.chunks import MOST_BYTES, SLACK_BYTES, Chunks, allocator
from tests.front.calls import at_once

SIZE = 1 << 20


@pytest.fixture
def own(monkeypatch):
    """Chunks of this test alone."""
    found = Chunks()
    monkeypatch.setattr(chunks, "chunks", found)
    monkeypatch.setattr(chunks, "_kinds", {})
    return found


def test_memory_is_used_again_when_nobody_holds_it(own):
    make = allocator(SIZE)
    held, address = make()
    assert address % 64 == 0
    array = np.ndarray((SIZE // 4,), np.float32, held)
    del held
    assert make()[1] != address
    assert (own.in_use, own.kept) == (SIZE, SIZE)
    view = array[5:10]
    del array
    assert own.kept == SIZE
    other = make()
    assert (own.in_use, own.kept) == (2 * SIZE, 0)
    del view
    assert (own.in_use, own.kept) == (SIZE, SIZE)
    assert make()[1] == address
    assert other[1] != address


def test_what_is_kept_is_never_more_than_what_was_once_in_use_together(own):
    sizes = [SLACK_BYTES, 2 * SLACK_BYTES, 3 * SLACK_BYTES]
    for size in sizes:
        block = allocator(size)()
        del block
        assert own.in_use + own.kept <= size + SLACK_BYTES
    blocks = [allocator(SLACK_BYTES)() for _ in range(20)]
    assert own.kept == 0
    del blocks
    assert own.kept <= MOST_BYTES
    own.release()
    assert (own.in_use, own.kept) == (0, 0)
    allocator(SIZE)()
    assert own.kept == SIZE


def test_the_oldest_goes_first(own):
    for size in (SLACK_BYTES, SLACK_BYTES // 2, 2 * SLACK_BYTES):
        block = allocator(size)()
        del block
    assert own.kept == SLACK_BYTES // 2 + 2 * SLACK_BYTES
    assert not own._free[SLACK_BYTES]


def test_results_and_their_views_keep_their_values():
    f = kj.jit(lambda x, s: x * s)
    x = kj.ones((600, 600))
    kept = []
    for number in range(12):
        result = f(x, float(number))
        if number % 3 == 0:
            kept.append((number, result.numpy()[3]))
        elif number % 3 == 1:
            kept.append((number, np.from_dlpack(result)))
        else:
            kept.append((number, memoryview(result.numpy())))
        del result
    gc.collect()
    for number, each in kept:
        assert (np.asarray(each) == number).all()


def test_a_result_that_dies_gives_its_memory_to_the_next():
    f = kj.jit(lambda x: x + 1)
    x = kj.ones((700, 700))
    f(x)
    places = {f(x).numpy().ctypes.data for _ in range(6)}
    assert len(places) <= 2
    result = f(x)
    gone = weakref.ref(result)
    del result
    assert gone() is None


def test_threads_take_and_give_back(own):
    wrong = []

    def work(number):
        make = allocator(SIZE)
        for _ in range(300):
            held, _ = make()
            array = np.ndarray((SIZE,), np.uint8, held)
            array[::4096] = number
            if not (array[::4096] == number).all():
                wrong.append(number)

    at_once(work)
    assert not wrong
    assert own.in_use == 0
    assert own.kept <= 4 * SIZE


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # of JAX, where a test has loaded it
def test_a_forked_child_has_memory_of_its_own(own):
    make = allocator(SIZE)
    held, address = make()
    del held
    child = os.fork()
    if child == 0:
        held, again = make()
        np.ndarray((SIZE,), np.uint8, held)[:] = 7
        os._exit(0 if again == address else 1)
    held, again = make()
    array = np.ndarray((SIZE,), np.uint8, held)
    array[:] = 3
    assert os.waitpid(child, 0)[1] == 0
    assert again == address
    assert (array == 3).all()
