"""Runs are interrupted, forked and left behind, and the state stands where the result says.

Not here: what runs compute (`test_runtime.py`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from runtime_kernels import counter, slow

from kedja.compiler.runtime import RunResult, result_of
from kedja.compiler.runtime_wait import run_attended
from tests.paths import ROOT

HERE = os.path.dirname(__file__)


def arrays(tasks: int) -> list[np.ndarray]:
    """The cells of `slow(tasks)` and its state."""
    return [np.zeros(16 * tasks, np.int64), np.zeros(1, np.int64)]


def once_begun(outputs: list[np.ndarray], act: Callable[[], None]) -> None:
    """Act in another thread as soon as a task has written: never before, however busy it is."""

    def watch() -> None:
        while not outputs[0].any():
            time.sleep(0.01)
        act()

    threading.Thread(target=watch, daemon=True).start()


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


class StopHereError(Exception):
    """Raised by a progress function."""


# --- interrupts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
def test_control_c_answers_at_once_in_the_middle_of_a_step(threads: int) -> None:
    made, outputs, sent = slow(1000), arrays(1000), [0.0]  # some 5 s of work in one launch

    def interrupt() -> None:
        sent[0] = time.process_time()  # a busy machine may be slow to answer, not this process
        press_ctrl_c()

    once_begun(outputs, interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        made.run([], outputs, cancellable=True, threads=threads)
    assert time.process_time() - sent[0] < 0.2
    assert result_of(caught.value) == RunResult(0, "cancelled")
    assert outputs[1][0] == 0
    finished = np.count_nonzero(outputs[0][::16])
    assert 0 < finished < 1000
    standing = outputs[0].copy()
    time.sleep(0.05)
    np.testing.assert_array_equal(outputs[0], standing)  # nothing goes on in the background


def test_the_state_stands_after_whole_steps_when_progress_raises() -> None:
    seen: list[int] = []

    def progress(done: int) -> None:
        seen.append(done)
        if len(seen) == 2:
            raise StopHereError

    outputs = arrays(3)
    with pytest.raises(StopHereError) as caught:
        slow(3).run([], outputs, steps=10_000, cancellable=True, progress=progress, threads=1)
    result = result_of(caught.value)
    assert result is not None and result.status == "cancelled"
    assert outputs[1][0] == result.steps_done >= seen[1] > 0


def test_a_step_that_has_begun_to_commit_is_finished() -> None:
    def progress(_: int) -> None:
        raise StopHereError

    outputs = arrays(60)
    with pytest.raises(StopHereError) as caught:
        slow(60, commits=True).run([], outputs, steps=50, cancellable=True, progress=progress)
    result = result_of(caught.value)
    assert result is not None and 1 <= result.steps_done < 50
    assert outputs[1][0] == result.steps_done
    np.testing.assert_array_equal(outputs[0][::16], result.steps_done)


def test_another_thread_may_cancel() -> None:
    made, outputs = slow(1000), arrays(1000)
    once_begun(outputs, made.cancel)
    assert made.run([], outputs, threads=1) == RunResult(0, "cancelled")
    small = arrays(1000)
    once_begun(small, made.cancel)
    assert made.run([], small, cancellable=True).status == "cancelled"


def test_a_cancelled_program_runs_again() -> None:
    made = counter(2)
    bound = made.bind([], [np.zeros(2, np.int64)])
    bound.cancel()
    assert bound.run(steps=3) == RunResult(3, "done")


def test_progress_moves_about_ten_times_a_second() -> None:
    seen: list[int] = []
    outputs = arrays(1)
    slow(1).run([], outputs, steps=100, cancellable=True, progress=seen.append, threads=1)
    assert len(seen) >= 2
    assert seen == sorted(seen)
    assert 0 < seen[0] < 100


def test_where_a_run_is_cut_into_calls_changes_nothing() -> None:
    whole, cut = np.zeros(7, np.int64), np.zeros(7, np.int64)
    made = counter(7)
    made.run([], [whole], steps=30, threads=2)
    for steps in (1, 9, 20):
        made.run([], [cut], steps=steps, cancellable=True)
    np.testing.assert_array_equal(whole, cut)


def test_an_error_of_the_work_itself_is_raised() -> None:
    def work() -> None:
        raise StopHereError

    with pytest.raises(StopHereError):
        run_attended(work, lambda: None, lambda: None)
    ran = []
    run_attended(lambda: ran.append(1), lambda: None, lambda: None)
    assert ran == [1]


def test_work_is_waited_for_through_repeated_interrupts() -> None:
    """The work itself presses Ctrl-C, so that none of them comes when it is over."""
    stop, interrupted = threading.Event(), []

    def work() -> None:
        stop.wait(5)
        for _ in range(2):
            press_ctrl_c()
            time.sleep(0.05)
        interrupted.append(True)

    def raises() -> None:
        raise StopHereError

    with pytest.raises(StopHereError):
        run_attended(work, stop.set, raises)
    assert interrupted


# --- processes -----------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_has_threads_of_its_own() -> None:
    made = counter(4)
    cells = np.zeros(4, np.int64)
    made.run([], [cells], threads=2, cancellable=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns of forking with threads, which is the point
        child = os.fork()
    if child == 0:
        made.run([], [cells], threads=2, steps=50)
        made.run([], [cells], threads=2, steps=50, cancellable=True)
        os._exit(0 if cells.tolist() == [101] * 4 else 1)
    assert _exit_status(child) == 0
    made.run([], [cells], threads=2)
    assert cells.tolist() == [2] * 4


def _exit_status(child: int) -> int:
    """The child's exit status; a child that hangs for 10 s is killed."""
    for _ in range(1000):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("the child hangs")


IDLE = """
import time, numpy as np
from runtime_kernels import counter, slow
counter(4).run([], [np.zeros(4, np.int64)], threads=3, cancellable=True)
time.sleep(0.01)
before = time.process_time()
time.sleep(0.3)
print(time.process_time() - before)
"""

LEFT_BEHIND = """
import threading, time, numpy as np
from runtime_kernels import slow
outputs = [np.zeros(160000, np.int64), np.zeros(1, np.int64)]
run = lambda: slow(10000).run([], outputs, threads=2, cancellable=True)
threading.Thread(target=run, daemon=True).start()
time.sleep(0.2)
print(0)
"""


@pytest.mark.parametrize("script", [IDLE, LEFT_BEHIND])
def test_the_interpreter_ends_and_idle_workers_use_no_processor(script: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), HERE])},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert float(ended.stdout) < 0.05
