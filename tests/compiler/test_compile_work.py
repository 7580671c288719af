"""How much the compiler does: in proportion to the graph, each structure once, beside LLVM."""

from __future__ import annotations

import gc
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kedja as kj
from kedja.compiler import codegen, pipeline
from kedja.compiler.loops import Nest
from kedja.compiler.memory import ALIGN, Span, place
from kedja.compiler.runtime_object import joined, taken_apart
from kedja.compiler.templates import Templates
from kedja.front.jit import trace
from kedja.ground.collection import paused
from kedja.ir.graph import apply, variable
from kedja.ir.op import Type


def step_of(depth: int):
    """A step of gradient descent through equal residual layers, and its inputs."""
    shapes = [(8, 6), *[(6, 6), (6,)] * depth]

    def step(x, *weights):
        def loss(weights):
            y = x
            for w, b in zip(weights[::2], weights[1::2], strict=True):
                y = y + 0.1 * kj.relu(y @ w + b)
            return kj.mean(kj.softmax(y) ** 2)

        return [w - 0.1 * g for w, g in zip(weights, kj.grad(loss)(list(weights)), strict=True)]

    types = [Type(shape, np.dtype(np.float32)) for shape in shapes]
    traced = trace(step, types, lambda tensors: (tuple(tensors), {}))
    return traced.outputs, traced.inputs


def calls_of(function) -> int:
    """How many functions are called, those written in C among them."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def planned(depth: int):
    """All passes of a program but LLVM's."""
    outputs, inputs = step_of(depth)
    carry = {place: place + 1 for place in range(len(outputs))}
    target = pipeline.current_target()
    pipeline.fingerprint(outputs, inputs, [], carry, None, target.key())
    codegen.build(outputs, inputs, [], carry, None, target)


def test_work_grows_as_the_graph(monkeypatch):
    monkeypatch.setattr(codegen, "Background", Nothing)
    planned(10)  # what is done once for a process
    some, many = (calls_of(lambda n=depth: planned(n)) for depth in (16, 48))
    further = calls_of(lambda: planned(80))
    assert further - many < 1.15 * (many - some)


class Nothing:
    """In the place of LLVM, whose work is in proportion to the text that it is given."""

    def __init__(self, target):
        pass

    def add(self, module):
        pass

    def finish(self, last):
        return b""


def lowered(depth: int) -> str:
    outputs, inputs = step_of(depth)
    return codegen.loops_of(outputs, inputs)


def test_copies_of_nests_are_what_lowering_makes(monkeypatch):
    copied = lowered(6)
    monkeypatch.setattr(Templates, "nest", lambda self, kind, roots, kept, make, *more: make())
    assert lowered(6) == copied


def test_sums_that_are_stored_too_are_another_structure():
    """tanh(a b) alone, and tanh(a b) beside a b itself: equal but for what is stored."""
    x = kj.ones((4, 4))

    def f(x):
        first, second = x @ (x + 1), x @ (x + 2)
        return kj.tanh(first), kj.tanh(second), second

    with kj.scope(tier="interpret"):
        expected = [each.numpy() for each in f(x)]
    for found, wanted in zip(kj.jit(f)(x), expected, strict=True):
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6)
    product = variable("p", Type((4, 4), np.dtype(np.float32)))
    applied = apply("tanh", product)
    made = []
    templates = Templates()
    for roots in ([product, applied], [applied]):
        templates.nest("", roots, lambda node: False, lambda: made.append(1) or EMPTY, product)
    assert len(made) == 2


EMPTY = Nest((), ())


def test_equal_layers_share_their_code():
    """Where long expressions are cut may differ; one kernel still serves several layers."""
    plan = codegen.build(*step_of(32), [], {}, None, pipeline.current_target()).plan
    assert len({each.symbol for each in plan.launches}) < len(plan.launches) // 4


# ------------------------------------------------------------------- several modules, one program


def test_a_program_cut_into_modules_computes_the_same(monkeypatch):
    outputs, inputs = step_of(3)
    arrays = [np.random.default_rng(0).random(each.shape, np.float32) for each in inputs]
    whole = pipeline.compile(outputs, inputs)(*arrays)
    monkeypatch.setattr(codegen, "CHUNK", 1)
    target = pipeline.current_target()
    first, second = (codegen.build(outputs, inputs, [], {}, None, target) for _ in range(2))
    assert first.object_code == second.object_code
    assert len(taken_apart(first.object_code)) > 3
    program = pipeline.Program(first.plan, first.object_code, [], target)
    found = [np.empty(each.shape, np.float32) for each in outputs]
    program.run(arrays, found)
    for one, other in zip(found, whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_error_of_llvm_in_its_thread_is_raised(monkeypatch):
    def fails(*given):
        raise RuntimeError("no code today")

    monkeypatch.setattr(codegen, "CHUNK", 1)
    monkeypatch.setattr("kedja.compiler.runtime_background.code_of", fails)
    with pytest.raises(RuntimeError, match="no code today"):
        codegen.build(*step_of(3), [], {}, None, pipeline.current_target())


def test_an_error_while_kernels_are_emitted_leaves_no_thread(monkeypatch):
    def fails(emitter):
        raise RuntimeError("no kernel today")

    monkeypatch.setattr(codegen, "CHUNK", 1)
    monkeypatch.setattr(codegen.Emitter, "object_code", fails)
    before = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="no kernel today"):
        codegen.build(*step_of(3), [], {}, None, pipeline.current_target())
    gc.collect()
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=10)
        assert not thread.is_alive()


@given(st.lists(st.binary(), min_size=2))
def test_object_code_is_joined_and_taken_apart(objects):
    assert taken_apart(joined(objects)) == objects


# ----------------------------------------------------------------------------- places in memory

spans = st.builds(
    lambda first, length, nbytes: Span(first, first + length, nbytes),
    st.integers(0, 20),
    st.integers(0, 8),
    st.integers(0, 400),
)


@given(st.lists(spans))
def test_places_are_the_lowest_gaps(given_spans):
    offsets, total = place(given_spans)
    assert offsets == plainly_placed(given_spans)
    ends = [o + rounded(each.nbytes) for o, each in zip(offsets, given_spans, strict=True)]
    assert total == max(ends, default=0)


def plainly_placed(given_spans) -> list[int]:
    offsets: dict[int, int] = {}
    for number in sorted(range(len(given_spans)), key=lambda n: (-given_spans[n].nbytes, n)):
        span, offset = given_spans[number], 0
        rivals = [(offsets[n], given_spans[n]) for n in offsets if overlap(given_spans[n], span)]
        for start, rival in sorted(rivals, key=lambda each: each[0]):
            if offset + rounded(span.nbytes) <= start:
                break
            offset = max(offset, start + rounded(rival.nbytes))
        offsets[number] = offset
    return [offsets[n] for n in range(len(given_spans))]


def overlap(a: Span, b: Span) -> bool:
    return a.first <= b.last and b.first <= a.last


def rounded(nbytes: int) -> int:
    return -(-nbytes // ALIGN) * ALIGN


# ---------------------------------------------------------------------------- what is told of it


def test_the_seconds_of_each_pass_are_told(capsys):
    with kj.scope(debug=1, use_cache=False):
        pipeline.compile(*step_of(1))
    told = capsys.readouterr().err
    assert all(f"{name} " in told for name in ("simplify", "fuse", "kernels", "emit", "llvm"))


def test_collection_is_paused_and_goes_on():
    assert gc.isenabled()
    with paused(), paused():
        assert not gc.isenabled()
    assert gc.isenabled()
