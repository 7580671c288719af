"""Programs run: results, threads, steps, in-place state, the watch, errors, the plan as data.

Not here: interrupts and processes (`test_runtime_wait.py`), the cache (`test_runtime_cache.py`).
"""

from __future__ import annotations

import ctypes
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime_kernels import counter, kernels, program, slow

from kedja.compiler import runtime_threads
from kedja.compiler.runtime import Buffer, Launch, Plan, Program, RunResult
from kedja.compiler.runtime_native import load_runtime, native
from kedja.compiler.runtime_target import host_target, named_target
from kedja.compiler.runtime_threads import (
    BOX,
    BOX_BYTES,
    BOXES,
    POOL,
    System,
    aligned_zeros,
    host_system,
)
from kedja.ground.errors import ShapeError, UsageError, VerificationError
from kedja.ground.flags import scope
from tests.front.calls import at_once

F4 = Buffer("input", 0, 16)


def ints(count: int) -> np.ndarray:
    return np.zeros(count, np.int64)


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


# --- what a run computes -------------------------------------------------------------------------


def test_arguments_arrive_in_order_from_every_kind_of_buffer() -> None:
    made = program(
        [Launch("kedja_add", (0, 1, 2), 4), Launch("kedja_mul", (2, 0, 3), 4)],
        [F4, Buffer("constant", 0, 16), Buffer("arena", 64, 16), Buffer("output", 0, 16)],
        arena=128,
        constants=[floats(1, 2, 3, 4)],
    )
    x, y = floats(10, 20, 30, 40), floats(0, 0, 0, 0)
    assert made.run([x], [y]) == RunResult(1, "done")
    np.testing.assert_array_equal(y, (x + floats(1, 2, 3, 4)) * x)
    again = floats(1, 1, 1, 1)
    made.run([again], [y])
    np.testing.assert_array_equal(y, [2, 3, 4, 5])


def test_an_output_may_be_an_input_and_steps_build_on_each_other() -> None:
    made = program([Launch("kedja_add", (0, 0, 1), 4)], [F4, Buffer("output", 0, 16)])
    x = floats(1, 2, 3, 4)
    assert made.run([x], [x], steps=5).steps_done == 5
    np.testing.assert_array_equal(x, [32, 64, 96, 128])


def test_no_steps_and_no_launches_are_no_trouble() -> None:
    cells = ints(3)
    assert counter(3).run([], [cells], steps=0) == RunResult(0, "done")
    assert not cells.any()
    assert program([], []).run([], [], steps=7) == RunResult(7, "done")


@given(tasks=st.integers(0, 50), threads=st.integers(1, 6), steps=st.integers(0, 20))
@settings(deadline=None, max_examples=60)
def test_each_task_runs_once_a_step_with_any_number_of_threads(
    tasks: int, threads: int, steps: int
) -> None:
    cells = ints(tasks)
    assert counter(tasks).run([], [cells], steps=steps, threads=threads).status == "done"
    np.testing.assert_array_equal(cells, np.full(tasks, steps))


@given(tasks=st.integers(1, 40), threads=st.integers(1, 12), data=st.data())
@settings(deadline=None, max_examples=60)
def test_a_thread_takes_its_own_tasks_first_then_what_others_have_left(tasks, threads, data):
    thread = data.draw(st.integers(0, threads - 1))
    job = Job(tasks, threads)
    job.take_part(thread)
    rows = [t * threads // tasks for t in range(tasks)]
    first_to_last = sorted(range(tasks), key=lambda t: ((rows[t] - thread) % threads, t))
    assert np.argsort(job.order).tolist() == first_to_last
    assert (job.pending, int(job.calls[0])) == (0, tasks)


def test_a_job_that_is_over_or_another_gives_no_task():
    job = Job(5, 2)
    job.take_part(1, number=6)
    assert (job.pending, int(job.calls[0])) == (5, 0)
    job.take_part(1)
    job.take_part(0)
    assert (job.pending, int(job.calls[0])) == (0, 5)


class Job:
    """A job as the caller writes it, numbered 7: its tasks count the calls, and say their order."""

    def __init__(self, tasks: int, threads: int) -> None:
        self.order, self.calls, self.never = ints(tasks), ints(1), np.zeros(1, np.int32)
        self.table = np.array([self.order.ctypes.data, self.calls.ctypes.data], np.uint64)
        self.pool = aligned_zeros(BOXES + threads * BOX_BYTES)
        self.made = counter(1)
        kernel = self.made._library.address("kedja_order")
        self.write(POOL, 0, kernel=kernel, args=self.table.ctypes.data, threads=threads)
        self.write(POOL, 0, cancel=self.never.ctypes.data, pending=tasks)
        stops = [-(-(thread + 1) * tasks // threads) for thread in range(threads)]
        for thread, (first, stop) in enumerate(zip([0, *stops], stops, strict=False)):
            self.write(BOX, BOXES + thread * BOX_BYTES, word=(7 << 32) + stop - first, stop=stop)

    def write(self, layout, offset, **values) -> None:
        """Fields of a layout, each of 8 bytes."""
        for name, value in values.items():
            self.pool.view(np.int64)[(offset + layout.fields[name][0]) // 8] = value

    @property
    def pending(self) -> int:
        """The tasks that are not done yet."""
        return int(self.pool.view(np.int32)[POOL.fields["pending"][0] // 4])

    def take_part(self, thread: int, number: int = 7) -> None:
        """What a thread does that was told of a job."""
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32)
        part = kind(native().library.address("kedja_part"))
        part(self.pool.ctypes.data, thread, number)


def test_many_launches_on_the_pool_lose_no_task() -> None:
    cells = ints(5)
    counter(5).run([], [cells], steps=20_000, threads=3)
    np.testing.assert_array_equal(cells, np.full(5, 20_000))


def test_denormals_are_zero_inside_a_run_only() -> None:
    made = program(
        [Launch("kedja_mul", (0, 1, 2), 4)],
        [F4, Buffer("input", 1, 16), Buffer("output", 0, 16)],
    )
    tiny, out = floats(1e-38, 1e-38, 1e-39, 1e-39), floats(9, 9, 9, 9)
    made.run([tiny, floats(0.5, 0.5, 1, 1)], [out], threads=2)
    np.testing.assert_array_equal(out, [0, 0, 0, 0])
    assert (tiny * np.float32(0.5))[0] > 0


def test_read_only_inputs_and_empty_arrays_are_taken() -> None:
    made = program([Launch("kedja_add", (0, 0, 1), 4)], [F4, Buffer("output", 0, 16)])
    x, y = floats(1, 2, 3, 4), floats(0, 0, 0, 0)
    x.flags.writeable = False
    made.run([x], [y])
    np.testing.assert_array_equal(y, [2, 4, 6, 8])
    assert counter(0).run([], [ints(0)]).status == "done"


def test_a_binding_follows_its_arrays() -> None:
    made = counter(3)
    first, second = ints(3), ints(3)
    bound = made.bind([], [first])
    bound.run(steps=2)
    bound.point_at([], [second])
    bound.run(steps=3)
    assert (first.tolist(), second.tolist()) == ([2, 2, 2], [3, 3, 3])


def test_a_run_does_not_keep_its_arrays_alive() -> None:
    made, cells = counter(3), ints(3)
    made.run([], [cells])
    assert not any(cells is array for bound in made._idle for array in bound._arrays)


# --- threads -------------------------------------------------------------------------------------


def test_several_threads_may_call_one_program() -> None:
    made = program(
        [Launch("kedja_add", (0, 0, 1), 4), Launch("kedja_add", (1, 0, 2), 4)],
        [F4, Buffer("arena", 0, 16), Buffer("output", 0, 16)],
        arena=16,
    )
    wrong: list[int] = []

    def work(number: int) -> None:
        x, y = np.full(4, number, np.float32), floats(0, 0, 0, 0)
        for _ in range(300):
            made.run([x], [y], threads=2)
            if not np.array_equal(y, 3 * x):
                wrong.append(number)

    at_once(work)
    assert not wrong


def test_one_binding_refuses_to_run_twice_at_once() -> None:
    made, cells = slow(60), [ints(960), ints(1)]
    bound, errors = made.bind([], cells), []

    def again(_: int) -> None:
        with pytest.raises(UsageError, match="running already") as caught:
            bound.run()
        errors.append(caught)

    bound.run(cancellable=True, progress=again, threads=1)
    assert errors


def test_a_run_inside_a_run_works_alone_because_the_pool_is_taken() -> None:
    inner, cells = counter(6), ints(6)

    def nested(_: int) -> None:
        inner.run([], [cells], threads=2)

    slow(60).run([], [ints(960), ints(1)], cancellable=True, progress=nested, threads=2)
    assert cells[0] >= 1
    assert len(set(cells.tolist())) == 1


@pytest.mark.parametrize("asked", [None, 2])
def test_the_number_of_threads_comes_from_the_call_the_flag_or_the_machine(
    asked: int | None,
) -> None:
    made, seen = counter(8), []

    def enter(_: object, threads: int) -> int:
        seen.append(threads)
        return 0

    with mock.patch.object(runtime_threads.Pool, "enter", enter):
        made.run([], [ints(8)], threads=asked)
        with scope(threads=5):
            made.run([], [ints(8)], threads=asked)
    assert seen == ([2, 2] if asked else [runtime_threads.usable_cores(), 5])


def test_where_no_more_threads_can_start_a_run_has_fewer() -> None:
    cells, pools = ints(9), {}
    with (
        mock.patch.dict(runtime_threads._pools, pools, clear=True),
        mock.patch.object(threading.Thread, "start", side_effect=RuntimeError("no more")),
    ):
        assert counter(9).run([], [cells], threads=3, steps=4).status == "done"
    np.testing.assert_array_equal(cells, np.full(9, 4))


@pytest.fixture
def portable() -> Iterator[None]:
    """The runtime as emitted where there is no futex, with a pool of its own."""
    runtime = load_runtime(System(host_system().architecture, "posix"))
    with (
        mock.patch("kedja.compiler.runtime.loaded", lambda: runtime),
        mock.patch.dict(runtime_threads._pools, clear=True),
    ):
        yield


@pytest.mark.skipif(host_system().waiting == "windows", reason="needs sched_yield and usleep")
@pytest.mark.usefixtures("portable")
def test_the_portable_way_of_waiting_loses_no_task() -> None:
    cells = ints(4)
    for _ in range(3):
        counter(4).run([], [cells], steps=500, threads=2)
        threading.Event().wait(0.01)
    np.testing.assert_array_equal(cells, np.full(4, 1500))


def test_the_quota_of_a_container_is_read() -> None:
    file = mock.Mock()
    file.read_text.side_effect = ["150000 100000\n", "max 100000\n", FileNotFoundError()]
    most = runtime_threads.MOST_THREADS
    assert [runtime_threads._quota(file) for _ in range(3)] == [2, most, most]


# --- the watch -----------------------------------------------------------------------------------


def watched(at: int | None) -> Program:
    """x + x into the arena, whose first number is watched, then into x: overflows by and by."""
    buffers = [F4, Buffer("arena", 0, 16), Buffer("output", 0, 16), Buffer("arena", 0, 4)]
    launches = [
        Launch("kedja_add", (0, 0, 1), 4),
        Launch("kedja_add", (0, 0, 2), 4, commits=True),
    ]
    return program(launches, buffers, arena=16, watch=3, watch_at=at)


def test_a_number_that_is_not_finite_stops_the_run_before_the_state_is_written() -> None:
    x = floats(2.0**125, 1, 1, 1)
    assert watched(1).run([x], [x], steps=10) == RunResult(2, "nonfinite")
    np.testing.assert_array_equal(x, floats(2.0**127, 4, 4, 4))


def test_watched_at_its_end_the_bad_step_counts_as_done() -> None:
    x = floats(2.0**125, 1, 1, 1)
    assert watched(None).run([x], [x], steps=10) == RunResult(3, "nonfinite")
    np.testing.assert_array_equal(x, floats(np.inf, 8, 8, 8))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_float64_is_watched_too(bad: float) -> None:
    plan = Plan(
        (Launch("kedja_count", (1,)),),
        (Buffer("input", 0, 8), Buffer("output", 0, 8)),
        0,
        inputs=1,
        outputs=1,
        watch=0,
        watch_dtype="float64",
    )
    made = Program(plan, kernels(), [], host_target())
    for value, status in ((bad, "nonfinite"), (1e308, "done"), (-0.0, "done")):
        assert made.run([np.array([value])], [ints(1)], steps=2).status == status


# --- the profile ---------------------------------------------------------------------------------


def test_the_profile_counts_calls_and_time() -> None:
    made = slow(2)
    cells = [ints(32), ints(1)]
    made.run([], cells)
    assert [time.calls for time in made.profile()] == [0, 0]
    made.run([], cells, profile=True, steps=2)
    with scope(debug=1):
        made.run([], cells)
    first, second = made.profile()
    assert (first.calls, second.calls) == (3, 3)
    assert first.nanoseconds / 3 > 500_000 > second.nanoseconds / 3
    assert first.launch.symbol == "kedja_slow"


# --- errors --------------------------------------------------------------------------------------


def test_arrays_that_do_not_fit_are_refused() -> None:
    made = program([Launch("kedja_add", (0, 0, 1), 4)], [F4, Buffer("output", 0, 16)])
    x, frozen = floats(1, 2, 3, 4), floats(1, 2, 3, 4)
    frozen.flags.writeable = False
    with pytest.raises(UsageError, match="1 inputs and 0 outputs"):
        made.run([x], [])
    with pytest.raises(ShapeError, match="array 1 has 12 bytes, not 16"):
        made.run([x], [floats(1, 2, 3)])
    with pytest.raises(ShapeError, match="not contiguous"):
        made.run([np.zeros(8, np.float32)[::2]], [x])
    with pytest.raises(UsageError, match="output 0 is read-only"):
        made.run([x], [frozen])
    for bad in ({"steps": -1}, {"threads": -1}):
        with pytest.raises(UsageError, match="-1"):
            made.run([x], [x], **bad)


def test_an_input_that_nothing_uses_may_be_of_any_size() -> None:
    plan = Plan((), (), 0, inputs=1, outputs=0)
    made = Program(plan, kernels(), [], host_target())
    assert made.run([floats(1, 2)], []).status == "done"


def test_code_and_plan_must_fit() -> None:
    buffers = (Buffer("output", 0, 8),)
    for symbol, complaint in (("step", "does not begin"), ("kedja_missing", "no function")):
        plan = Plan((Launch(symbol, (0,)),), buffers, 0, 0, 1)
        with pytest.raises(VerificationError, match=complaint):
            Program(plan, kernels(), [], host_target())
    foreign = named_target("neon" if host_target().architecture == "x86_64" else "avx2")
    with pytest.raises(UsageError, match="cannot run on this processor"):
        Program(Plan((), (), 0, 0, 0), b"", [], foreign)
    with pytest.raises(VerificationError, match="1 constants needed, 0 given"):
        program([], [Buffer("constant", 0, 8)])


GOOD = Plan(
    (Launch("kedja_a", (0, 1), 3), Launch("kedja_b", (2,), commits=True, label="b", flops=5)),
    (Buffer("input", 0, 8), Buffer("output", 0, 4), Buffer("arena", 64, 4)),
    68,
    inputs=1,
    outputs=1,
    watch=2,
    watch_at=1,
)

BAD_PLANS = [
    replace(GOOD, arena_bytes=67),
    replace(GOOD, inputs=0),
    replace(GOOD, outputs=0),
    replace(GOOD, watch=3),
    replace(GOOD, watch=0),
    replace(GOOD, watch_dtype="int32"),
    replace(GOOD, watch_at=0),
    replace(GOOD, watch_at=3),
    replace(GOOD, launches=()),
    replace(GOOD, buffers=GOOD.buffers[:2], watch=1),
    replace(GOOD, launches=(Launch("kedja_a", (-1,)),), watch=None),
    replace(GOOD, launches=(Launch("kedja_a", (), -1),), watch=None),
    replace(GOOD, buffers=(*GOOD.buffers, Buffer("elsewhere", 0, 4))),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("plan", BAD_PLANS)
def test_a_plan_whose_numbers_do_not_fit_is_refused(plan: Plan) -> None:
    GOOD.verify()
    with pytest.raises(VerificationError):
        plan.verify()


def test_a_plan_travels_through_json() -> None:
    assert Plan.from_json(json.loads(json.dumps(GOOD.to_json()))) == GOOD
    assert GOOD.commit_at == 1
    assert replace(GOOD, launches=GOOD.launches[:1]).commit_at == 1
