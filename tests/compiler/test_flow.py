"""Loops and choices inside compiled programs: values, memory, cancelling, the plan as data.

Not here: their derivatives and what users may write (`tests/front/test_front_control.py`).
"""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import numpy as np
import pytest
from runtime_kernels import kernels, program

import kedja as kj
from kedja.compiler import pipeline
from kedja.compiler.runtime import Buffer, Launch, Plan, Program
from kedja.compiler.runtime_plan import Jump, Repeat, Slice
from kedja.compiler.runtime_target import host_target
from kedja.compiler.stages import Staged
from kedja.ground.errors import VerificationError
from kedja.interpret import reference
from kedja.ir.graph import Graph, apply, parts, variable
from kedja.ir.op import Type

RNG = np.random.default_rng(11)
F32 = np.dtype(np.float32)


def array(*shape):
    return RNG.uniform(-1, 1, shape).astype(np.float32)


def like_eager(f, *arrays):
    """The compiled function gives what the eager one does."""
    given = [kj.tensor(each) for each in arrays]
    pairs = zip(kj.tree.leaves(kj.jit(f)(*given)), kj.tree.leaves(f(*given)), strict=True)
    for mine, theirs in pairs:
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=2e-5, atol=1e-5)


def nested(xs, w):
    def inner(carry, x):
        carry = kj.tanh(carry @ w + x)
        return carry, 2 * carry

    def outer(carry, x):
        after, ys = kj.scan(inner, carry, x, reverse=True)
        return after, (ys, carry)

    return kj.scan(outer, kj.zeros((2, 4)), xs)


def choosing(chosen, x):
    def step(carry, i):
        yes = kj.sin(carry) - kj.cond(chosen, lambda: x, lambda: -x)
        return kj.cond(i > 2, lambda c: c * x, lambda c: yes, carry), carry

    return kj.scan(step, x, kj.arange(6))


def shrinking(x):
    def body(carry):
        return 1.5 * carry + kj.scan(lambda c, _: (0.5 * c, None), carry, None, length=3)[0]

    return kj.while_loop(lambda carry: kj.sum(kj.abs(carry)) < 80, body, x)


CASES = {
    "nested": (nested, array(3, 5, 2, 4), array(4, 4)),
    "exchanged": (
        lambda a, b, x: kj.scan(lambda c, x: ((c[1], c[0]), c[0] + x), (a, b), x),
        *(array(3), array(3), array(5, 3)),
    ),
    "unchanged": (
        lambda a, b: kj.scan(lambda c, _: ((c[1] + c[0], c[1]), c[1]), (a, b), None, length=3),
        *(array(3), array(3)),
    ),
    "cond in a scan, true": (choosing, np.array(True), array(7)),
    "cond in a scan, false": (choosing, np.array(False), array(7)),
    "scan in a while": (shrinking, array(4)),
    "while without a step": (shrinking, 1000 * array(4)),
    "constant results": (
        lambda x: kj.scan(lambda c, x: (c + x, kj.zeros((2,))), kj.zeros((3,)), x),
        array(4, 3),
    ),
    "reshaped": (
        lambda x: kj.scan(lambda c, x: (c + x, x), kj.zeros((3,)), x.reshape(4, 3)),
        array(2, 6),
    ),
    "in place by index": (
        lambda x: kj.scan(lambda c, i: (c.at[i].add(x[i]), kj.sum(c)), 0 * x, kj.arange(12)),
        array(12),
    ),
    "shifted": (
        lambda x: kj.scan(lambda c, x: (kj.concatenate([c[1:], x]), c), kj.zeros((3,)), x),
        array(4, 1),
    ),
    "empty": (lambda x: kj.scan(lambda c, x: (c, x[:0]), kj.zeros((0,)), x), array(4, 3)),
    "sorted, outside": (
        lambda x: kj.scan(lambda c, x: (c + x, kj.sort(c)), kj.zeros((3,)), x),
        array(4, 3),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_compiled_loops_and_choices_are_the_eager_ones(case):
    f, *arrays = CASES[case]
    like_eager(f, *arrays)


def cell(length, rows, width):
    """A graph of one scan: (outputs, inputs)."""
    kinds = [Type((rows, width), F32), Type((rows, width), F32), Type((width, width), F32)]
    carry, x, w = (variable(name, kind) for name, kind in zip("cxw", kinds, strict=True))
    after = apply("tanh", apply("matmul", carry, w) + x)
    body = Graph((carry, x, w), (after, after * x))
    inputs = [variable("a", Type(kind.shape, F32)) for kind in kinds]
    inputs[1] = variable("xs", Type((length, rows, width), F32))
    attrs = {"carries": 1, "sequences": 1, "length": length, "reverse": False}
    return parts(apply("scan", *inputs, body=body, **attrs)), inputs


def test_a_scan_is_part_of_its_program_and_works_where_its_arrays_stand():
    outputs, inputs = cell(6, 3, 4)
    made = pipeline.compile(outputs, inputs)
    assert not isinstance(made, Staged)
    plan = made.program.plan
    (place,) = [n for n, each in enumerate(plan.launches) if isinstance(each, Repeat)]
    assert plan.launches[place].times == 6
    kinds = {plan.buffers[part.of].kind for part in plan.slices}
    assert kinds == {"input", "output"}
    assert plan.arena_bytes < 1024
    found = made(*(array(*node.shape) for node in inputs))
    assert [each.shape for each in found] == [(3, 4), (6, 3, 4)]


def test_a_scan_has_the_same_bits_with_any_number_of_threads():
    outputs, inputs = cell(5, 64, 128)
    made = pipeline.compile(outputs, inputs)
    arrays = [0.1 * array(*node.shape) for node in inputs]
    with kj.scope(threads=1):
        alone = made(*arrays)
    for threads in (2, 3):
        with kj.scope(threads=threads):
            again = made(*arrays)
        assert all(np.array_equal(a, b) for a, b in zip(alone, again, strict=True))
    expected = reference.run(outputs, dict(zip(inputs, arrays, strict=True)))
    for mine, theirs in zip(alone, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_loops_are_profiled_by_launch():
    outputs, inputs = cell(7, 3, 4)
    made = pipeline.compile(outputs, inputs)
    arrays = [array(*node.shape) for node in inputs]
    found = [np.empty(node.shape, F32) for node in outputs]
    made.program.run(arrays, found, profile=True)
    calls = {each.launch.label: each.calls for each in made.program.profile()}
    (product,) = (label for label in calls if label.startswith("matmul 3x4x4 tanh"))
    assert calls[product] == 7


# ------------------------------------------------------------------------- the plan as data

STEPS = 30
SLOW = Plan(
    (Launch("kedja_slow", (1,)), Repeat(0, STEPS, "scan")),
    (Buffer("output", 0, 128 * STEPS),),
    0,
    inputs=0,
    outputs=1,
    slices=(Slice(0, 1, 0, 128, 128),),
)


def test_a_run_cancelled_inside_a_loop_begins_anew_the_next_time():
    cells = np.zeros((STEPS, 16), np.int64)
    made = Program(SLOW, kernels(), [], host_target())
    timer = threading.Timer(0.02, made.cancel)
    timer.start()
    assert made.run([], [cells]).status == "cancelled"
    timer.join()
    before = cells[:, 0].copy()
    assert not before[-1]
    assert made.run([], [cells]).status == "done"
    np.testing.assert_array_equal(cells[:, 0], before + 1)


def counted(launches, cells):
    """What a program that adds 1 to some cells has counted after two steps."""
    buffers = [Buffer("output", 0, 8 * cells), *(Buffer("constant", n, 1) for n in (0, 1))]
    made = program(launches, buffers, constants=[np.array(True), np.array(False)])
    found = np.zeros(cells, np.int64)
    assert made.run([], [found], steps=2).steps_done == 2
    return found.tolist()


def test_repeats_nest_and_jumps_choose():
    count = Launch("kedja_count", (0,))
    assert counted([count, Repeat(0, 3), Repeat(0, 2)], 1) == [2 * 3 * 2]
    assert counted([Jump(2, unless=1), count, count], 1) == [2 * 2]
    assert counted([Jump(2, unless=2), count, count], 1) == [2]
    assert counted([count, Jump(3), count], 1) == [2]


def test_slices_move_inside_the_repeats_that_they_belong_to():
    plan = Plan(
        (Launch("kedja_count", (2,)), Repeat(0, 2), Repeat(0, 3)),
        (Buffer("output", 0, 48),),
        0,
        inputs=0,
        outputs=1,
        slices=(Slice(0, 2, 32, -16, 16), Slice(1, 1, 0, 8, 8)),
    )
    cells = np.zeros(6, np.int64)
    Program(plan, kernels(), [], host_target()).run([], [cells], steps=5)
    np.testing.assert_array_equal(cells, np.full(6, 5))


BAD = [
    replace(SLOW, slices=(Slice(0, 1, 1, 128, 128),)),
    replace(SLOW, slices=(Slice(0, 1, 0, 129, 128),)),
    replace(SLOW, slices=(Slice(0, 1, 0, -128, 128),)),
    replace(SLOW, slices=(Slice(0, 0, 0, 128, 128),)),
    replace(SLOW, slices=(Slice(1, 1, 0, 128, 128),)),
    replace(SLOW, slices=(Slice(0, 7, 0, 128, 128),)),
    replace(SLOW, slices=()),
    replace(SLOW, launches=(*SLOW.launches, Launch("kedja_slow", (1,)))),
    replace(SLOW, launches=(SLOW.launches[0], Repeat(2, STEPS))),
    replace(SLOW, launches=(SLOW.launches[0], Repeat(0, 0))),
    replace(SLOW, launches=(*SLOW.launches, Jump(4))),
    replace(SLOW, launches=(*SLOW.launches, Jump(2))),
    replace(SLOW, launches=(*SLOW.launches, Jump(3, unless=0))),
    replace(SLOW, launches=(Launch("kedja_slow", (1,), commits=True), SLOW.launches[1])),
]


@pytest.mark.parametrize("plan", BAD)
def test_a_plan_whose_loops_do_not_fit_is_refused(plan):
    SLOW.verify()
    with pytest.raises(VerificationError):
        plan.verify()


def test_a_loop_behind_the_first_commit_is_finished():
    commit = Launch("kedja_slow", (0,), commits=True)
    launches = (commit, SLOW.launches[0], Repeat(1, STEPS))
    plan = replace(SLOW, launches=launches, slices=(replace(SLOW.slices[0], repeat=2),))
    made = Program(plan, kernels(), [], host_target())
    cells = np.zeros((STEPS, 16), np.int64)
    timer = threading.Timer(0.02, made.cancel)
    timer.start()
    assert made.run([], [cells], steps=3) == (1, "cancelled")
    timer.join()
    assert cells[:, 0].tolist() == [2] + [1] * (STEPS - 1)


def test_a_plan_with_loops_travels_through_json():
    plan = replace(SLOW, launches=(*SLOW.launches, Jump(3, label="cond")))
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
