"""Runs a native call in a helper thread, while the caller waits where signals reach it.

Not here: what is run (`runtime.py`) or the workers of the pool (`runtime_threads.py`).
Next: `runtime.py`.

Python delivers Ctrl-C between two bytecodes of the main thread, so a main thread that is inside
native code for a minute is deaf for a minute. Here it waits on a lock in short slices instead.
Whatever ends the wait early (KeyboardInterrupt, an error raised by the caller's progress function),
the native code is told to stop and is waited for before the exception travels on: it never goes on
writing into arrays behind the caller's back.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

SLICE_SECONDS = 0.05


class _Job:
    """One call for a helper: run at most once, by whoever takes `claim`."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.work = work
        self.claim = threading.Lock()
        self.done = False
        self.problem: BaseException | None = None

    def perform(self) -> None:
        """Run the work in the helper thread, unless the caller has withdrawn it."""
        if not self.claim.acquire(blocking=False):
            return
        try:
            self.work()
        except BaseException as problem:
            self.problem = problem
        self.done = True


class _Helper:
    """A daemon thread that performs one job after another; its two locks serve as signals."""

    def __init__(self) -> None:
        self._wanted = threading.Lock()
        self._wanted.acquire()
        self._finished = threading.Lock()
        self._finished.acquire()
        self._job: _Job | None = None
        threading.Thread(target=self._serve, name="kedja-run", daemon=True).start()

    def _serve(self) -> None:
        while True:
            self._wanted.acquire()
            job = self._job
            if job is None:
                return
            job.perform()
            self._job = None
            del job  # it refers to the caller's arrays
            self._finished.release()

    def give(self, job: _Job) -> None:
        self._job = job
        self._wanted.release()

    def wait(self, seconds: float) -> bool:
        return self._finished.acquire(timeout=seconds)

    def retire(self) -> None:
        """End the thread: after an interrupt its locks may be out of step."""
        self._job = None
        if self._wanted.locked():
            self._wanted.release()


_idle: list[_Helper] = []

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # a forked child has none of these threads


def run_attended(
    work: Callable[[], None], stop: Callable[[], None], on_slice: Callable[[], None]
) -> None:
    """Run `work` in a helper thread and return when it has; call `on_slice` every 50 ms meanwhile.

    If the wait is interrupted, `stop` is called (it must make `work` return soon), `work` is waited
    for, and the exception is raised again. An exception of `work` itself is raised here.
    """
    helper = _idle.pop() if _idle else _Helper()
    job = _Job(work)
    try:
        helper.give(job)
        while not helper.wait(SLICE_SECONDS):
            on_slice()
    except BaseException:
        _stop_and_wait(job, stop)
        helper.retire()
        raise
    _idle.append(helper)
    if job.problem is not None:
        raise job.problem


def _stop_and_wait(job: _Job, stop: Callable[[], None]) -> None:
    """Withdraw the job if it has not begun; else stop it and wait, through further interrupts."""
    pause = threading.Event()
    while True:
        try:
            if job.claim.acquire(blocking=False):
                return
            stop()
            while not job.done:
                pause.wait(0.001)
        except BaseException:  # the first exception is on its way already; the code must stop first
            continue
        return
