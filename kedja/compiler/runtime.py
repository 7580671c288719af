"""A compiled program in memory: its buffers are bound, its steps run, cancelled and profiled.

Not here: the emitted loops (`runtime_native.py`), threads and system calls (`runtime_threads.py`),
how code is made (`llvm_module.py` and the passes before it). This is the end of the chain.

A program is object code plus a `Plan`. Everything that can be computed once is: the addresses of
kernels, constants and arena stand in a flat table of 64-bit words, and a call only writes the
addresses of the caller's arrays into it, then makes one native call for all its steps.
Next: `runtime_native.py`.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from kedja.compiler import runtime_choice, runtime_recording
from kedja.compiler.runtime_flow import JUMP, REPEAT, Tables, tables_of
from kedja.compiler.runtime_loading import loaded
from kedja.compiler.runtime_native import (
    CONTROL,
    CONTROL_BYTES,
    LAUNCH_BYTES,
    nanoseconds_per_tick,
)
from kedja.compiler.runtime_object import Library
from kedja.compiler.runtime_plan import WATCH_BYTES, WATCH_MASK, Buffer, Launch, Plan, Repeat
from kedja.compiler.runtime_target import Target
from kedja.compiler.runtime_threads import (
    MOST_THREADS,
    Pool,
    aligned_copy,
    aligned_zeros,
    memory_of,
    the_pool,
    usable_cores,
)
from kedja.compiler.runtime_wait import run_attended
from kedja.ground.errors import ShapeError, UsageError, VerificationError
from kedja.ground.flags import flags
from kedja.ground.pages import Pages

__all__ = ["Binding", "Buffer", "Launch", "LaunchTime", "Plan", "Program", "RunResult", "result_of"]

Status = Literal["done", "cancelled", "nonfinite"]
STATUSES: tuple[Status, ...] = ("done", "cancelled", "nonfinite")
Progress = Callable[[int], None]

LAUNCH_WORDS = LAUNCH_BYTES // 8
CONTROL_WORDS = CONTROL_BYTES // 8


class RunResult(NamedTuple):
    """How a run ended: the state stands exactly after `steps_done` whole steps.

    A run that ends `nonfinite` has found NaN or an infinity in the watched number: in step
    `steps_done` (counted from 0) if the plan looks before it commits, else in the step before.
    """

    steps_done: int
    status: Status


def result_of(interruption: BaseException) -> RunResult | None:
    """The result of the run that an exception interrupted (Ctrl-C, or an error in `progress`).

    None if the exception did not come out of a cancellable run.
    """
    return getattr(interruption, "run_result", None)


@dataclass(frozen=True)
class LaunchTime:
    """What one launch has cost over all profiled steps: `calls` of them, in nanoseconds."""

    launch: Launch
    calls: int
    nanoseconds: float

    @property
    def gflops(self) -> float:
        """Billions of floating-point operations per second, by the launch's declared flops."""
        return self.launch.flops * self.calls / self.nanoseconds if self.nanoseconds else 0.0


class Program:
    """A plan and its loaded object code. May be called from several threads at once.

    `constants` are copied; the first binding has `arena`, if given. Raises VerificationError if
    plan and code do not fit, and UsageError if the code is for another processor.
    """

    def __init__(
        self,
        plan: Plan,
        object_code: bytes,
        constants: Sequence[np.ndarray],
        target: Target,
        arena: Pages | None = None,
    ) -> None:
        plan.verify()
        if not target.runs_here():
            raise UsageError(
                f"code for {target.name} ({target.cpu}) cannot run on this processor",
                fix="set the flag `target` to `host`",
            )
        self.plan = plan
        self.native = loaded()
        self._library = Library(object_code, target)
        self._constants = [aligned_copy(array) for array in constants]
        self._template = _template(plan, self._library, self._constants)
        self._arena = arena
        self.choice = runtime_choice.start_of(plan)
        self._template.words[CONTROL.fields["choice"][0] // 8] = self.choice.ctypes.data
        self._idle: list[Binding] = []
        self._lock = threading.Lock()
        self._bindings: weakref.WeakSet[Binding] = weakref.WeakSet()

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Binding:
        """The program with its arrays fixed, for calling it many times on the same ones.

        Arrays are contiguous, aligned, of the plan's dtypes (which the caller has checked) and
        sizes (ShapeError). An output may be the same array as an input: it is updated in place.
        """
        binding = self._new_binding()
        binding.point_at(inputs, outputs)
        return binding

    def run(
        self,
        inputs: Sequence[np.ndarray],
        outputs: Sequence[np.ndarray],
        *,
        steps: int = 1,
        threads: int | None = None,
        progress: Progress | None = None,
        cancellable: bool = False,
        profile: bool = False,
    ) -> RunResult:
        """Run `steps` steps in one native call; `bind` says what the arrays must be.

        With `cancellable`, Ctrl-C and errors raised by `progress` (called with the steps done,
        about ten times a second) stop the run at the next point where the state is whole; the
        exception then travels on, and `result_of` tells from it where the run stands.
        """
        binding = self.take()
        binding.point_at(inputs, outputs)
        result = binding.run(
            steps=steps,
            threads=threads,
            progress=progress,
            cancellable=cancellable,
            profile=profile,
        )
        binding.let_go()
        self._idle.append(binding)
        return result

    def take(self) -> Binding:
        """A binding that nobody uses, without arrays; it is the caller's from now on."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._new_binding()

    def cancel(self) -> None:
        """Stop the runs of this program that are in progress, in whatever thread."""
        for binding in self._living():
            binding.cancel()

    def profile(self) -> list[LaunchTime]:
        """What each launch has cost in the profiled runs so far, in the plan's order."""
        totals = np.zeros((len(self.plan.launches), 2), np.int64)
        for binding in self._living():
            totals += binding.ticks
        scale = nanoseconds_per_tick() if totals.any() else 0.0
        return [
            LaunchTime(each, int(calls), float(ticks) * scale)
            for each, (ticks, calls) in zip(self.plan.launches, totals, strict=True)
            if isinstance(each, Launch)
        ]

    def take_arena(self) -> np.ndarray:
        """Memory for a binding: once what was made ready, where that is enough."""
        with self._lock:
            ready, self._arena = self._arena, None
        return memory_of(ready, self.plan.arena_bytes)

    def _new_binding(self) -> Binding:
        binding = Binding(self, self._template)
        with self._lock:
            self._bindings.add(binding)
        return binding

    def _living(self) -> list[Binding]:
        with self._lock:
            return list(self._bindings)


# --- the table of words --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Template:
    """A binding's words as far as they are the same for all bindings, and which are not.

    The words are the control block, the launches, then all arguments. `in_arena` and `in_block`
    are the positions of words that need the arena's, or the block's own, address added;
    `patched[i]` is the position of a word that takes the address of the caller's array
    `sources[i]` (inputs first, then outputs), `offsets[i]` bytes from its beginning.
    """

    words: np.ndarray
    in_arena: np.ndarray
    in_block: np.ndarray
    patched: np.ndarray
    sources: np.ndarray
    offsets: np.ndarray


def _template(plan: Plan, library: Library, constants: Sequence[np.ndarray]) -> _Template:
    """Everything about the words that is known before any array is."""
    if len(constants) < plan.constants:
        raise VerificationError(f"{plan.constants} constants needed, {len(constants)} given")
    first = CONTROL_WORDS + len(plan.launches) * LAUNCH_WORDS
    tables = tables_of(plan, first)
    words = np.zeros(tables.end, np.uint64)
    words[first:] = np.array(tables.values, np.uint64)
    _fill_launches(words, plan, library, tables)
    _fill_control(words, plan)
    pointers = range(CONTROL_WORDS + 1, first, LAUNCH_WORDS)  # from launches to their tables
    in_block = [CONTROL.fields["launches"][0] // 8, *pointers, *tables.in_block]
    watch = CONTROL.fields["watch"][0] // 8
    uses = tables.uses if plan.watch is None else [*tables.uses, (watch, plan.watch)]
    buffers = [(position, plan.buffers[number]) for position, number in uses]
    for position, buffer in buffers:
        words[position] += np.uint64(_fixed_word(buffer, constants))
    moving = [(p, b) for p, b in buffers if b.kind in ("input", "output")]
    return _Template(
        words,
        np.array([p for p, b in buffers if b.kind == "arena"], np.int64),
        np.array(in_block, np.int64),
        np.array([p for p, _ in moving], np.int64),
        np.array([b.index + plan.inputs * (b.kind == "output") for _, b in moving], np.int64),
        words[[p for p, _ in moving]].copy(),
    )


def _fill_launches(words: np.ndarray, plan: Plan, library: Library, tables: Tables) -> None:
    """Write the launches: kernel, table, tasks, or what kind of thing else it is."""
    for place, (each, start) in enumerate(zip(plan.launches, tables.starts, strict=True)):
        position = CONTROL_WORDS + place * LAUNCH_WORDS
        kernel, kind = 0, REPEAT if isinstance(each, Repeat) else JUMP
        if isinstance(each, Launch):
            kernel, kind = library.address(each.symbol), each.tasks
        record = (kernel, start * 8, kind % (1 << 64))
        words[position : position + LAUNCH_WORDS] = np.array(record, np.uint64)


def _fill_control(words: np.ndarray, plan: Plan) -> None:
    count = len(plan.launches)
    watched = plan.watch is not None
    at = count if plan.watch_at is None else plan.watch_at
    values = {
        "launches": CONTROL_WORDS * 8,
        "count": count,
        "commit_at": plan.commit_at,
        "watch_after": at - 1 if watched else count,  # no launch has the index `count`
        "watch_bytes": WATCH_BYTES.get(plan.watch_dtype, 0),
        "watch_mask": WATCH_MASK.get(plan.watch_dtype, 0),
    }
    for name, value in values.items():
        words[CONTROL.fields[name][0] // 8] = value


def _fixed_word(buffer: Buffer, constants: Sequence[np.ndarray]) -> int:
    """A constant's address, an offset into the arena, or 0 until the caller's array is known."""
    if buffer.kind == "constant":
        return int(constants[buffer.index].ctypes.data)
    return buffer.index if buffer.kind == "arena" else 0


# --- one set of arrays ---------------------------------------------------------------------------


class Binding:
    """A program with an arena of its own and the addresses of its arrays written into its words.

    Made by `Program.bind`. Only one thread at a time may run it (UsageError); different bindings
    of a program run side by side.
    """

    def __init__(self, program: Program, template: _Template) -> None:
        self.program = program
        plan = program.plan
        self._sizes = _sizes(plan)
        self.template = template
        self._arena = program.take_arena()
        memory = aligned_zeros(template.words.nbytes)
        self._words = memory.view(np.uint64)
        self.control = int(memory.ctypes.data)
        self.ticks = np.zeros((len(plan.launches), 2), np.int64)
        self._cancel = memory.data.cast("i")[CONTROL.fields["cancel"][0] // 4 :][:1]
        self._done = memory.data.cast("q")[CONTROL.fields["steps_done"][0] // 8 :][:1]
        self._addresses: list[int] = []
        self._arrays: tuple[np.ndarray, ...] = ()
        self._busy = threading.Lock()
        self._parallel = any(getattr(each, "tasks", 1) > 1 for each in plan.launches)
        self.lay_out()

    def lay_out(self) -> None:
        """Write all words as they stand before a run."""
        template = self.template
        self._words[:] = template.words
        self._words[template.in_arena] += np.uint64(self._arena.ctypes.data)
        self._words[template.in_block] += np.uint64(self.control)
        self._words[CONTROL.fields["profile"][0] // 8] = self.ticks.ctypes.data
        if self._addresses:
            self._write_addresses()

    def _write_addresses(self) -> None:
        template = self.template
        moved = np.array(self._addresses, np.uint64)
        self._words[template.patched] = moved[template.sources] + template.offsets

    def point_at(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        """Use these arrays from now on; they are kept alive until others take their place."""
        plan = self.program.plan
        if len(inputs) != plan.inputs or len(outputs) != plan.outputs:
            raise UsageError(
                f"{len(inputs)} inputs and {len(outputs)} outputs given",
                fix=f"the program takes {plan.inputs} and {plan.outputs}",
            )
        arrays = (*inputs, *outputs)
        if [array.nbytes for array in arrays] != self._sizes:
            _check_sizes(arrays, self._sizes)
        try:
            addresses = list(map(_address_of, map(_first_byte, arrays)))
        except (TypeError, ValueError, BufferError):
            addresses = _addresses_slowly(arrays, plan.inputs)
        self._arrays = arrays
        if addresses != self._addresses:
            self._addresses = addresses
            self._write_addresses()

    def run(
        self,
        *,
        steps: int = 1,
        threads: int | None = None,
        progress: Progress | None = None,
        cancellable: bool = False,
        profile: bool = False,
    ) -> RunResult:
        """Run `steps` steps on the bound arrays; see `Program.run`."""
        if steps < 0 or (threads or 0) < 0:
            raise UsageError(f"steps is {steps}, threads is {threads}", fix="give 0 or more")
        if not self._busy.acquire(blocking=False):
            raise UsageError("this binding is running already", fix="bind once per thread")
        try:
            self._cancel[0] = 0
            self._done[0] = 0
            settings = flags()
            profile = profile or settings.debug >= 1
            wanted = (threads or settings.threads or usable_cores()) if self._parallel else 1
            if cancellable:
                return self._attend(steps, wanted, progress, profile)
            return self._drive(steps, wanted, profile)
        finally:
            self._busy.release()

    def let_go(self) -> None:
        """Keep the arrays alive no longer; `point_at` comes before the next run."""
        self._arrays = ()

    def cancel(self) -> None:
        """Stop the run in progress at the next point where the state is whole."""
        self._cancel[0] = 1

    def _drive(self, steps: int, threads: int, profile: bool) -> RunResult:
        """The native call, on this thread, with the pool if it is wanted and free."""
        recorder = runtime_recording.current()
        if recorder is not None:
            return self._drive_recorded(recorder, steps, threads)
        return self._drive_natively(steps, threads, profile)

    def _drive_recorded(
        self, recorder: runtime_recording.Recorder, steps: int, threads: int
    ) -> RunResult:
        """The native call, whose log and ticks the recorder takes."""
        before = self.ticks.copy()
        log = CONTROL.fields["log"][0] // 8
        self._words[log] = recorder.log
        try:
            return self._drive_natively(steps, threads, profile=True)
        finally:
            self._words[log] = 0
            ticks = self.ticks - before
            recorder.took(self.program.plan, self._words, CONTROL_WORDS, ticks)

    def _drive_natively(self, steps: int, threads: int, profile: bool) -> RunResult:
        runtime = self.program.native
        drive = runtime.drive_profiled if profile else runtime.drive
        if threads == 1:
            status = drive(self.control, steps, 0, 1)
        else:
            status = self._drive_on_pool(drive, steps, min(threads, MOST_THREADS))
        result = RunResult(self._done[0], STATUSES[status])
        if result.status != "done":
            self.lay_out()  # repeats that were left in the middle begin anew
        return result

    def _drive_on_pool(
        self, drive: Callable[[int, int, int, int], int], steps: int, threads: int
    ) -> int:
        pool = self.pool()
        address = pool.enter(threads)
        if not address:
            return drive(self.control, steps, 0, 1)
        try:
            return drive(self.control, steps, address, min(threads, pool.workers + 1))
        finally:
            pool.leave()

    def pool(self) -> Pool:
        """The workers of this process."""
        return the_pool(self._make_pool)

    def _make_pool(self) -> Pool:
        runtime = self.program.native
        return Pool(runtime.work, runtime.spins())

    def _attend(
        self, steps: int, threads: int, progress: Progress | None, profile: bool
    ) -> RunResult:
        """The native call in a helper thread, while this thread waits where signals reach it."""
        results: list[RunResult] = []
        slices = 0

        def work() -> None:
            results.append(self._drive(steps, threads, profile))

        def on_slice() -> None:
            nonlocal slices
            slices += 1
            if progress is not None and slices % 2 == 0:
                progress(self._done[0])

        try:
            run_attended(work, self.cancel, on_slice)
        except BaseException as interruption:
            before = results[0] if results else RunResult(0, "cancelled")
            interruption.run_result = before  # type: ignore[attr-defined]
            raise
        return results[0]


UNUSED = -1  # the size of an array that no launch uses: any will do


def _sizes(plan: Plan) -> list[int]:
    """The bytes of each input, then of each output."""
    sizes = [UNUSED] * (plan.inputs + plan.outputs)
    for buffer in plan.buffers:
        if buffer.kind in ("input", "output"):
            sizes[buffer.index + plan.inputs * (buffer.kind == "output")] = buffer.nbytes
    return sizes


def _check_sizes(arrays: Sequence[np.ndarray], sizes: list[int]) -> None:
    for number, (array, size) in enumerate(zip(arrays, sizes, strict=True)):
        if size not in (array.nbytes, UNUSED):
            raise ShapeError(f"array {number} has {array.nbytes} bytes, not {size}")


# The address of an array's first byte, four times faster than `array.ctypes.data`: by the buffer
# protocol, which refuses read-only, empty and non-contiguous arrays. (NumPy's stubs do not declare
# that an array is a buffer.)
_FirstByte = Callable[[np.ndarray], ctypes.c_char]
_first_byte: _FirstByte = ctypes.c_char.from_buffer  # type: ignore[assignment]
_address_of = ctypes.addressof


def _addresses_slowly(arrays: Sequence[np.ndarray], inputs: int) -> list[int]:
    """The addresses of arrays among which some are read-only, empty or of exotic dtype."""
    for number, array in enumerate(arrays):
        if not array.flags.c_contiguous:
            raise ShapeError(f"array {number} is not contiguous", fix="np.ascontiguousarray")
        if number >= inputs and not array.flags.writeable:
            raise UsageError(f"output {number - inputs} is read-only", fix="pass a writable array")
    return [int(array.ctypes.data) for array in arrays]
