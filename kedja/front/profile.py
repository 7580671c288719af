"""`kj.profile()`: which kernel took which time, how near it came to the machine's limits, and when.

Not here: what a network's layers cost on paper (`kj.summary`), or the programs' own clocks
(`kedja/compiler/runtime_recording.py`). Next: `explain.py`.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedja.front import tables
from kedja.ground.errors import UsageError
from kedja.ground.flags import flags
from kedja.ground.report import TIMINGS, report

COLUMNS = (
    "kernel", "layer", "times", "tasks", "time", "share", "each", "GFLOP/s", "of peak", "GB/s",
)  # fmt: skip
NUMBERS = COLUMNS[2:]
SHOWN = 30  # rows of a table; `kernels` has all
FORMAT = "kedja.profile"


@dataclass(frozen=True)
class Kernel:
    """One kernel over the whole profile: launches of the same code in layers of the same kind.

    `seconds` is what they took together; `flops` and `bytes` are those of all `times` launches,
    the bytes being those of all arrays that a launch is given, as if each were read or written
    whole.
    """

    name: str
    layer: str
    symbol: str
    tasks: int
    times: int
    seconds: float
    flops: int
    bytes: int


class Profile:
    """What `kj.profile()` recorded: a table, JSON, HTML in a notebook, and a Chrome trace."""

    def __init__(self, recorder: Any) -> None:
        self._recorder = recorder
        self._limits: Any = None

    @property
    def seconds(self) -> float:
        """From the beginning of the block to its end."""
        return float(self._recorder.seconds)

    @property
    def kernels(self) -> list[Kernel]:
        """All kernels, those that took longest first."""
        rows: dict[tuple[Any, ...], list[Any]] = {}
        scale = _of_compiler("runtime_native").nanoseconds_per_tick() * 1e-9
        for tally in self._recorder.tallies.values():
            counted = zip(tally.plan.launches, tally.ticks.tolist(), strict=True)
            for launch, (ticks, times) in counted:
                if not times:  # repeats and jumps
                    continue
                name, layer = _parted(launch.label)
                key = (name, _kind_of(layer), launch.symbol, launch.tasks, id(tally.plan))
                row = rows.setdefault(key, [set(), 0, 0.0, 0, 0])
                row[0].add(layer)
                row[1] += times
                row[2] += ticks * scale
                row[3] += launch.flops * times
                row[4] += launch.bytes * times
        found = [
            Kernel(key[0], key[1] if len(layers) > 1 else min(layers), *key[2:4], *sums)
            for key, (layers, *sums) in rows.items()
            if sums[0]
        ]
        return sorted(found, key=lambda kernel: -kernel.seconds)

    @property
    def busy(self) -> float:
        """Seconds that launches took."""
        return sum(kernel.seconds for kernel in self.kernels)

    # ----------------------------------------------------------------------------- views

    def _cells(self, shown: int) -> list[list[str]]:
        kernels = self.kernels
        whole = sum(kernel.seconds for kernel in kernels)
        rows = [self._row(kernel, whole) for kernel in kernels[:shown]]
        rest = kernels[shown:]
        if rest:
            seconds = sum(each.seconds for each in rest)
            times = sum(each.times for each in rest)
            name = f"{len(rest)} more"
            row = [name, "", f"{times:,}", "", _time(seconds), _percent(seconds / whole)]
            rows.append([*row, *[""] * (len(COLUMNS) - len(row))])
        return rows

    def _row(self, kernel: Kernel, whole: float) -> list[str]:
        counted = [str(kernel.times), str(kernel.tasks), _time(kernel.seconds)]
        share = kernel.seconds / whole if whole else 0.0
        each = _time(kernel.seconds / kernel.times)
        if not kernel.seconds:
            return [kernel.name, kernel.layer, *counted, _percent(share), each, "", "", ""]
        rate = kernel.flops / kernel.seconds
        moved = kernel.bytes / kernel.seconds
        rates = [f"{rate / 1e9:.1f}", _percent(rate / self.limits.flops), f"{moved / 1e9:.1f}"]
        return [kernel.name, kernel.layer, *counted, _percent(share), each, *rates]

    @property
    def limits(self) -> Any:
        """What the machine can do: `flops` and `bytes` per second, measured when first asked."""
        if self._limits is None:
            threads = flags().threads or _of_compiler("runtime_threads").usable_cores()
            self._limits = _of_compiler("runtime_limits").limits(threads)
        return self._limits

    def _notes(self) -> list[str]:
        busy = self.busy
        compiling = sum(span.length for span in self._recorder.python) * 1e-9
        notes = [
            f"{_time(busy)} in kernels, {_time(compiling)} compiling, {_time(self.seconds)} in all",
            f"limits: {self.limits.flops / 1e9:.0f} GFLOP/s (float32 multiply-adds in registers), "
            f"{self.limits.bytes / 1e9:.0f} GB/s (copying memory)",
        ]
        return notes if self.kernels else [*notes, "no compiled program ran"]

    def table(self, rows: int = SHOWN) -> str:
        """The table for standard output: in colours on a terminal, plain columns elsewhere."""
        text = tables.rendered(COLUMNS, self._cells(rows), numbers=NUMBERS)
        return "\n".join([text, "", *self._notes()])

    def __str__(self) -> str:
        text = tables.plain(COLUMNS, self._cells(SHOWN), NUMBERS)
        return "\n".join([text, "", *self._notes()])

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        notes = "<br>".join(self._notes())
        html = tables.html(COLUMNS, self._cells(SHOWN), NUMBERS)
        return {"text/plain": str(self), "text/html": f"{html}<p>{notes}</p>"}

    def data(self) -> dict[str, Any]:
        """The profile as plain dicts and lists; `json()` as text. Seconds, flops, bytes."""
        return {
            "format": FORMAT,
            "version": 1,
            "seconds": self.seconds,
            "limits": {"flops": self.limits.flops, "bytes": self.limits.bytes},
            "kernels": [vars(kernel) for kernel in self.kernels],
        }

    def json(self) -> str:
        """The profile as JSON."""
        return json.dumps(self.data())

    # ----------------------------------------------------------------------------- the trace

    def trace(self) -> dict[str, Any]:
        """Who worked when, in the Trace Event Format of Chrome (times in microseconds).

        One line for Python (compiling) and one for each thread; each thread's share of a launch is
        an event.
        """
        spans = self._recorder.spans()
        lines = {name: number for number, name in enumerate(sorted({s.line for s in spans}))}
        named = [
            {"ph": "M", "name": "thread_name", "pid": 1, "tid": tid, "args": {"name": name}}
            for name, tid in lines.items()
        ]
        return {"traceEvents": [*named, *(_event(s, lines[s.line]) for s in spans)]}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trace as a JSON file for chrome://tracing or ui.perfetto.dev.

        The first 262,144 shares of launches are in it; later ones are counted in the table alone.
        """
        Path(path).write_text(json.dumps(self.trace()), encoding="utf-8")


def _event(span: Any, tid: int) -> dict[str, Any]:
    event = {"ph": "X", "name": span.name, "pid": 1, "tid": tid}
    times = {"ts": span.start / 1000, "dur": span.length / 1000}
    if span.launch is None:
        return {**event, **times}
    launch = span.launch
    about = {"kernel": launch.symbol, "tasks": launch.tasks, "flops": launch.flops}
    return {**event, **times, "args": about}


def _parted(label: str) -> tuple[str, str]:
    """The ops of a launch, and the layer in which they stand."""
    name, _, layer = label.partition(" @ ")
    return name, layer


def _kind_of(layer: str) -> str:
    """The layer without its numbers: equal layers of a stack belong together."""
    return re.sub(r"(?<![^. ])\d+(?![^. ])", "*", layer)


def _time(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f} %"


def _of_compiler(name: str) -> Any:
    """A module of the compiler, which the front loads when it is first needed."""
    return importlib.import_module(f"kedja.compiler.{name}")


@contextmanager
def profile() -> Iterator[Profile]:
    """Record what compiled programs do inside a `with` block, in all threads of the process.

    The profile is whole when the block has ended. Its table has one row for each kernel: the ops
    that it computes, the layer, how often it ran, its tasks (units that threads share), the time,
    its share, the rate in 10⁹ operations per second and as a share of what the machine's registers
    can do, and the bytes of the arrays that it was given per second. `save` writes a trace that
    browsers show. Graphs that run in the interpreter and XLA's programs are not seen. Measuring
    costs some tens of nanoseconds for each launch.

    Raises UsageError inside another `profile` block.

    >>> import kedja as kj
    >>> f = kj.jit(lambda x: kj.tanh(x @ x))
    >>> with kj.profile() as found:
    ...     y = f(kj.ones((64, 64)))
    >>> [(each.name, each.times, each.flops) for each in found.kernels][0][:2]
    ('matmul 64x64x64 tanh', 1)
    """
    recording = _of_compiler("runtime_recording")
    if recording.current() is not None and recording.current() is not _debugging:
        raise UsageError("a profile is being recorded already", fix="leave its block first")
    recorder = recording.Recorder()
    recording.begin(recorder)
    try:
        yield Profile(recorder)
    finally:
        recorder.end()
        recording.begin(_debugging)


_debugging: Any = None  # the recorder that `KEDJA_DEBUG` has switched on


def profile_for_debugging() -> None:
    """Where the environment sets `KEDJA_DEBUG`, a table of all kernels is shown at the end."""
    global _debugging
    if _debugging is not None:
        return
    recording = _of_compiler("runtime_recording")
    _debugging = recording.Recorder(entries=0)
    if recording.current() is None:
        recording.begin(_debugging)
    atexit.register(_show_debugging)


def _show_debugging() -> None:
    _debugging.end()
    if _debugging.tallies and flags().debug >= TIMINGS:
        report(TIMINGS, str(Profile(_debugging)))
