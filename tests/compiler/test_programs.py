"""Whole programs: fusion, state in place, threads, the cache, other targets, cancelling."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja.compiler import codegen, pipeline, runtime_cache
from kedja.compiler.inline import is_hosted, opened
from kedja.compiler.memory import Span, place
from kedja.compiler.runtime_target import named_target
from kedja.front.loop import Loop
from kedja.interpret import reference
from kedja.ir.graph import Node, apply, parts, topological, variable
from kedja.ir.op import TABLE, Bundle, Type
from tests.compiler.programs import SMALL, step, training

FLOAT = np.dtype(np.float32)


@pytest.fixture(autouse=True)
def own_cache(tmp_path):
    with kj.scope(cache=str(tmp_path)):
        yield


def leaves(tree: object) -> list[np.ndarray]:
    return [leaf.numpy() for leaf in kj.tree.leaves(tree)]


def trained(steps: int = 25, **flags: object) -> list[np.ndarray]:
    carry, fixed = training()
    with kj.scope(**flags):
        loop = Loop(step, carry, fixed, watch="loss")
        for _ in range(steps):
            if int(loop.carry["step"].numpy()) % 10 == 0:
                loop.replace({**loop.carry, "step": kj.tensor(0)})
            assert loop.run(1).status == "done"
        return leaves(loop.carry)


# ----------------------------------------------------------------------------- one program


def test_a_step_becomes_few_kernels_and_overwrites_its_state_last():
    carry, fixed = training()
    plan = Loop(step, carry, fixed, watch="loss")._program.program.plan
    assert len(plan.launches) <= 20
    commits = [launch.commits for launch in plan.launches]
    assert commits == sorted(commits) and any(commits)
    assert plan.watch_at is not None and plan.watch_at <= plan.commit_at
    products = [each.label for each in plan.launches if each.label.startswith("matmul")]
    assert len(products) == 5
    assert sum(label.endswith("subtract") for label in products) == 2  # the updates of w1, w2


def test_compiled_training_follows_the_interpreter():
    for mine, theirs in zip(trained(tier="compile"), trained(tier="interpret"), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-4, atol=2e-6)


def test_one_and_two_threads_give_the_same_bits():
    for one, two in zip(trained(threads=1), trained(threads=2), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_large_kernels_give_the_same_bits_with_any_number_of_threads(threads):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((700, 501)).astype(np.float32)

    @kj.jit
    def f(x):
        h = kj.softmax(kj.tanh(x @ x.T), axis=1)
        return kj.sum(h * h), kj.sum(x), kj.sum(h, axis=0), kj.max(h, axis=1)

    with kj.scope(threads=1):
        expected = [each.numpy() for each in f(x)]
    with kj.scope(threads=threads):
        found = [each.numpy() for each in f(x)]
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_equal_kernels_are_emitted_once():
    x = variable("x", Type((64, 64), FLOAT))
    h: Node = x
    for _ in range(20):
        h = apply("tanh", apply("matmul", h, x))
    order = codegen.lower([h], [x], [], {}, None).schedule
    emitter = codegen.Emitter(named_target("avx2"))
    uses = emitter.uses(order)
    assert len(uses) == 20
    assert len({use.symbol for use in uses}) == 1


# -------------------------------------------------------------------------- state in place


def swap(carry: dict, fixed: object) -> dict:
    return {"a": carry["b"] + 0, "b": carry["a"] + 0}


def test_state_that_is_read_after_it_was_overwritten_is_copied():
    loop = Loop(swap, {"a": kj.tensor([1.0, 2.0]), "b": kj.tensor([3.0, 4.0])})
    assert loop.run(3).steps == 3
    assert [each.tolist() for each in leaves(loop.carry)] == [[3.0, 4.0], [1.0, 2.0]]


def test_state_read_at_another_place_is_not_overwritten_too_early():
    loop = Loop(lambda c, f: {"a": c["a"] + kj.flip(c["a"])}, {"a": kj.arange(9, dtype=kj.float32)})
    loop.run(2)
    assert leaves(loop.carry)[0].tolist() == [16.0] * 9


def test_unchanged_shared_and_constant_state():
    start = {"a": kj.tensor(1.0), "b": kj.tensor(2.0), "c": kj.tensor(3.0)}

    def advance(carry, fixed):
        total = carry["a"] + carry["b"]
        return {"a": carry["a"], "b": total, "c": total}

    loop = Loop(advance, start)
    loop.run(3)
    assert [float(each) for each in leaves(loop.carry)] == [1.0, 5.0, 5.0]


def test_a_bad_step_leaves_the_state_before_it():
    def advance(carry, fixed):
        x = carry["x"] - 1
        return {"x": x, "loss": kj.log(x)}

    start = {"x": kj.tensor(4.5), "loss": kj.tensor(0.0)}
    for tier in ("interpret", "compile"):
        with kj.scope(tier=tier):
            loop = Loop(advance, start, watch="loss")
            ran = loop.run(100)
        assert (ran.steps, ran.status) == (4, "nonfinite")
        assert loop.carry["x"].item() == 0.5


def test_scatter_adds_into_its_own_state():
    def advance(carry, fixed):
        return {
            "seen": kj.scatter_add(
                carry["seen"], kj.remainder(carry["i"], 3).reshape(1), kj.ones(1)
            ),
            "i": carry["i"] + 1,
        }

    loop = Loop(advance, {"seen": kj.zeros(3), "i": kj.tensor(0)})
    loop.run(7)
    assert loop.carry["seen"].tolist() == [3.0, 2.0, 2.0]


# --------------------------------------------------------------------------------- cutting


def test_where_a_run_is_cut_changes_no_bit():
    carry, fixed = training()
    whole = Loop(step, carry, fixed)
    whole.run(10)
    parts = Loop(step, carry, fixed)
    for count in (1, 3, 0, 6):
        parts.run(count)
    for mine, theirs in zip(leaves(parts.carry), leaves(whole.carry), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_an_exception_of_progress_ends_the_run_after_a_whole_step():
    def advance(carry, fixed):
        return {"x": kj.sin(carry["x"]), "i": carry["i"] + 1}

    def stop(done):
        raise RuntimeError("enough")

    loop = Loop(advance, {"x": kj.ones((500, 500)), "i": kj.tensor(0)})
    ran = loop.run(10**6, progress=stop, cancellable=True)
    assert ran.status == "cancelled" and isinstance(ran.interrupt, RuntimeError)
    assert 0 < ran.steps < 10**6
    assert loop.carry["i"].item() == ran.steps


# -------------------------------------------------------------------------- cache, targets


def test_the_second_compilation_comes_from_the_disk(monkeypatch):
    outputs, inputs = SMALL["layer"]()
    arrays = [np.ones(node.shape, np.float32) for node in inputs]
    first = pipeline.compile(outputs, inputs)(*arrays)
    monkeypatch.setattr(pipeline, "build", None)
    again = pipeline.compile(*SMALL["layer"]())(*arrays)
    np.testing.assert_array_equal(first[0], again[0])


def test_a_corrupt_cache_is_compiled_over(caplog):
    outputs, inputs = SMALL["softmax"]()
    x = np.arange(40, dtype=np.float32).reshape(4, 10)
    expected = pipeline.compile(outputs, inputs)(x)
    (file,) = runtime_cache.compiled_folder().glob("*")
    file.write_bytes(file.read_bytes()[:-7])
    found = pipeline.compile(*SMALL["softmax"]())(x)
    np.testing.assert_array_equal(found[0], expected[0])
    assert len(caplog.records) == 1


@pytest.mark.parametrize("target", ["avx512", "avx2", "neon"])
def test_the_whole_table_is_emitted_for_other_processors(target):
    rng = np.random.default_rng(0)
    outputs, inputs = [], []
    for name, op in TABLE.items():
        for case in op.sample(rng) if name != "input" else ():
            xs = [variable("x", Type(a.shape, a.dtype)) for a in case.inputs]
            node = apply(name, *xs, **case.attrs)
            if not is_hosted(node):
                outputs += parts(node) if isinstance(node.type, Bundle) else [node]
                inputs += xs
    outputs = [node for node in opened(outputs) if not is_hosted(node)]
    constants = [node for node in topological(outputs) if node.op.name == "constant"]
    made = codegen.build(outputs, inputs, constants, {}, None, named_target(target))
    assert len(made.object_code) > 10_000


def test_the_whole_program_runs_as_avx2_code():
    if not named_target("avx2").runs_here():
        pytest.skip("this processor has no AVX2")
    outputs, inputs = SMALL["softmax"]()
    x = np.linspace(-3, 3, 40, dtype=np.float32).reshape(4, 10)
    with kj.scope(target="avx2"):
        found = pipeline.compile(outputs, inputs)(x)
    expected = reference.run(outputs, {inputs[0]: x})
    np.testing.assert_allclose(found[0], expected[0], rtol=3e-6)


# ---------------------------------------------------------------------------------- memory


def test_places_overlap_only_where_lives_do_not():
    rng = np.random.default_rng(3)
    spans = []
    for _ in range(200):
        first = int(rng.integers(0, 50))
        spans.append(Span(first, first + int(rng.integers(0, 9)), int(rng.integers(1, 5000))))
    offsets, total = place(spans)
    for i, (a, start) in enumerate(zip(spans, offsets, strict=True)):
        assert start % 64 == 0 and start + a.nbytes <= total
        for b, other in list(zip(spans, offsets, strict=True))[:i]:
            apart = start + a.nbytes <= other or other + b.nbytes <= start
            assert apart or a.last < b.first or b.last < a.first
    assert total < sum(span.nbytes for span in spans)


def test_a_long_chain_needs_memory_for_two_values():
    x = variable("x", Type((64, 64), FLOAT))
    h: Node = x
    for _ in range(30):
        h = apply("matmul", h, x)
    made = codegen.build([h], [x], [], {}, None, named_target("avx512"))
    assert made.plan.arena_bytes <= 3 * 64 * 64 * 4
