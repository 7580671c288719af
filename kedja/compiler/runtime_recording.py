"""Who worked when: what profiled runs leave behind while a recorder is on.

Not here: how it is shown (`kedja/front/profile.py`), the machine's limits (`runtime_limits.py`).
Next: `runtime.py`, which hands its runs over.

The profiled driver adds up the ticks of each launch, and writes an entry into the recorder's log
for each thread's share of each launch. Entries name a launch by the address of its arguments; the
words of a program are kept alive while the recorder is, so that no address means two launches.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from kedja.compiler.runtime_native import LAUNCH, LAUNCH_BYTES, nanoseconds_per_tick, native
from kedja.compiler.runtime_plan import Launch, Plan
from kedja.compiler.runtime_sharing import ENTRY_BYTES, LOG, LOG_HEAD
from kedja.compiler.runtime_threads import aligned_zeros

ENTRIES = 1 << 18  # of the log: 8 MiB; what comes later is counted and timed, but not drawn


@dataclass(frozen=True)
class Span:
    """A stretch of time on one line of the picture, in nanoseconds since the recorder began."""

    name: str
    line: str
    start: float
    length: float
    launch: Launch | None = None


@dataclass
class Tally:
    """One program's launches: for each the ticks spent, and how often it ran."""

    plan: Plan
    words: np.ndarray
    first: int  # of the words, the one at which the launches begin
    ticks: np.ndarray

    def by_address(self) -> dict[int, Launch]:
        """Which launch has its arguments at which address."""
        place = self.first + LAUNCH.fields["args"][0] // 8
        step = LAUNCH_BYTES // 8
        return {
            int(self.words[place + step * number]): launch
            for number, launch in enumerate(self.plan.launches)
            if isinstance(launch, Launch)
        }


@dataclass
class Recorder:
    """Everything that was recorded. `spans` of Python (compiling) are there at once."""

    entries: int = ENTRIES
    tallies: dict[int, Tally] = field(default_factory=dict)
    python: list[Span] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._log = aligned_zeros(LOG_HEAD + self.entries * ENTRY_BYTES)
        self._head = self._log[:LOG_HEAD].view(np.int64)
        self._head[LOG.fields["capacity"][0] // 8] = self.entries
        self._lock = threading.Lock()
        self._tick = native().ticks()
        self._began = time.perf_counter()
        self.seconds = 0.0

    @property
    def log(self) -> int:
        """The address of the log."""
        return int(self._log.ctypes.data)

    def took(self, plan: Plan, words: np.ndarray, first: int, ticks: np.ndarray) -> None:
        """Add one run: the ticks and counts of its launches."""
        with self._lock:
            key = int(words.ctypes.data)
            if key not in self.tallies:
                self.tallies[key] = Tally(plan, words, first, np.zeros_like(ticks))
            self.tallies[key].ticks += ticks

    def end(self) -> None:
        """The time of the whole."""
        self.seconds = time.perf_counter() - self._began

    @property
    def lost(self) -> int:
        """How many entries the log had no room for."""
        return max(0, int(self._head[LOG.fields["next"][0] // 8]) - self.entries)

    def spans(self) -> list[Span]:
        """All stretches of time: compiling, and each thread's share of each launch."""
        launches: dict[int, Launch] = {}
        for tally in self.tallies.values():
            launches |= tally.by_address()
        count = min(int(self._head[LOG.fields["next"][0] // 8]), self.entries)
        logged = self._log[LOG_HEAD : LOG_HEAD + count * ENTRY_BYTES].view(np.int64)
        scale = nanoseconds_per_tick()
        return [
            *self.python,
            *(
                Span(
                    launches[args].label,
                    f"thread {thread}",
                    (start - self._tick) * scale,
                    (end - start) * scale,
                    launches[args],
                )
                for args, thread, start, end in logged.reshape(-1, 4).tolist()
                if args in launches
            ),
        ]

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Record what Python does meanwhile."""
        start = time.perf_counter()
        try:
            yield
        finally:
            length = time.perf_counter() - start
            began = (start - self._began) * 1e9
            self.python.append(Span(name, "python", began, length * 1e9))


_current: Recorder | None = None


def current() -> Recorder | None:
    """The recorder that is on in this process."""
    return _current


def begin(recorder: Recorder | None) -> None:
    """Switch a recorder on (in all threads), or with None off."""
    global _current
    _current = recorder


@contextmanager
def compiling(name: str) -> Iterator[None]:
    """Record the time that the compiler takes for something, where a recorder is on."""
    if _current is None:
        yield
        return
    with _current.span(name):
        yield
