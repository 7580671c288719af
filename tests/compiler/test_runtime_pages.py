"""Memory whose pages another thread asks for: it is zero, and soon its owner's alone."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import kedja as kj
from kedja.compiler import codegen, pipeline
from kedja.compiler.memory import most_alive
from kedja.compiler.runtime_threads import LINE, memory_of
from kedja.ground import pages
from kedja.ground.dtypes import float32
from kedja.ground.pages import PAGE, Pages
from kedja.ir.graph import apply, full


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(pages, "WORTH", 4 * PAGE)
    monkeypatch.setattr(pages, "PIECE", 2 * PAGE)


@pytest.mark.parametrize("size", [0, 1, 3 * PAGE, 9 * PAGE + 5])
def test_memory_is_zero_and_of_its_size(small_pieces, size):
    memory = Pages(size).settled()
    assert memory.nbytes == size
    assert not memory.any()


def test_nothing_is_written_once_the_memory_is_settled(small_pieces):
    for _ in range(50):
        made = Pages(64 * PAGE)
        made.settled()[:] = 7
        assert (made.settled() == 7).all()


def test_every_page_is_touched_and_nothing_beyond_those_asked_for(monkeypatch, small_pieces):
    monkeypatch.setattr(threading.Thread, "start", lambda self: None)
    made = Pages(8 * PAGE, ahead=5 * PAGE + 1)
    made.memory[:] = 7
    made._touch()
    assert [int(each) for each in made.memory[::PAGE]] == [0] * 6 + [7] * 2


def test_a_little_memory_takes_no_thread():
    assert Pages(pages.WORTH - 1)._thread is None


@pytest.mark.parametrize("ready", [0, 50, 99, 100 + LINE, 1000])
def test_an_arena_is_aligned_and_long_enough_whatever_was_ready(ready):
    made = Pages(ready)
    found = memory_of(made, 100)
    assert found.nbytes == 100
    assert found.ctypes.data % LINE == 0
    assert np.shares_memory(found, made.memory) == (ready >= 100 + LINE)


def test_the_most_that_is_alive_at_once():
    a, b, c = (full(0, (n,), float32) for n in (10, 20, 40))
    assert most_alive([[a], [a, b], [b], [b, c]], set()) == 240
    assert most_alive([[a], [a, b], [b], [b, c]], {c}) == 120
    assert most_alive([[a], [], [a, c]], {a, c}) == 0


def test_an_arena_is_made_ready_for_what_a_program_keeps(monkeypatch):
    found = []
    build = codegen.build
    monkeypatch.setattr(codegen, "build", lambda *a, **k: found.append(build(*a, **k)) or found[0])
    monkeypatch.setattr(pages, "WORTH", PAGE)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 64), np.float32)
    w = kj.tensor(x).node
    with kj.scope(use_cache=False):
        out = w
        for _ in range(3):
            out = apply("matmul", out, w)
        (value,) = pipeline.compile_and_run([out])
    (made,) = found
    assert made.arena._ahead == made.plan.arena_bytes == 2 * x.nbytes
    assert np.allclose(value, x @ x @ x @ x, rtol=1e-4, atol=1e-3)
