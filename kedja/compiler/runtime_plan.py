"""What a compiled program executes, as pure data: launches in order, over numbered buffers.

Among the launches stand repeats, which go back to an earlier one a number of times, and jumps,
which go on elsewhere if a bool is false. Inside a repeat, arguments may be slices: parts of a
buffer that move on by a step at each iteration. Not here: how the plan is made (schedule and memory
passes) or executed (`runtime.py`). Next: `runtime.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kedja.compiler.runtime_object import PREFIX
from kedja.ground.errors import VerificationError

BufferKind = Literal["input", "output", "constant", "arena"]
KINDS = ("input", "output", "constant", "arena")
WATCH_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
# The exponent, which is all ones in NaN and infinity, within a float's upper 16 bits.
WATCH_MASK = {"float16": 0x7C00, "bfloat16": 0x7F80, "float32": 0x7F80, "float64": 0x7FF0}


@dataclass(frozen=True)
class Launch:
    """One kernel over its tasks: `symbol(args, task)` for task in range(tasks), in any order.

    `args` are buffer numbers. `commits` says that from here to the end of the step the state is
    written in place, so that the step must be finished. `label`, `flops` and `bytes` (of one
    launch) serve the profile.
    """

    symbol: str
    args: tuple[int, ...]
    tasks: int = 1
    commits: bool = False
    label: str = ""
    flops: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Repeat:
    """What stands between the launch `first` and here runs `times` times in all, at least once."""

    first: int
    times: int
    label: str = ""


@dataclass(frozen=True)
class Jump:
    """The step goes on at the launch `target`; with `unless`, only if that bool is false.

    `unless` is the number of a buffer or a slice. A jump to itself or backwards makes a loop that
    ends when an earlier jump leads out of it.
    """

    target: int
    unless: int | None = None
    label: str = ""


Instruction = Launch | Repeat | Jump


@dataclass(frozen=True)
class Buffer:
    """A place in memory. `index` says which input, output or constant; of the arena, the offset."""

    kind: BufferKind
    index: int
    nbytes: int


@dataclass(frozen=True)
class Slice:
    """A part of a buffer, or of another slice, that is another one in each iteration of a repeat.

    It begins `first` bytes into `of` and moves on by `step` bytes; `repeat` is the place of the
    Repeat among the launches. Slices are numbered behind the buffers.
    """

    of: int
    repeat: int
    first: int
    step: int
    nbytes: int


@dataclass(frozen=True)
class Plan:
    """One step of a program: its launches in order, its buffers, and what is watched.

    `inputs` and `outputs` are how many arrays the caller passes. `watch` is the number of a buffer
    that holds one float32 or float64 (`watch_dtype`): NaN or an infinity in it ends the run. It is
    looked at after `watch_at` launches of each step; None means at the step's end. When that is
    before the first launch that commits, the state still stands as it was before the bad step.
    """

    launches: tuple[Instruction, ...]
    buffers: tuple[Buffer, ...]
    arena_bytes: int
    inputs: int
    outputs: int
    watch: int | None = None
    watch_dtype: str = "float32"
    watch_at: int | None = None
    slices: tuple[Slice, ...] = ()

    @property
    def commit_at(self) -> int:
        """The index of the first launch that commits; the number of launches if none does."""
        marks = (i for i, each in enumerate(self.launches) if getattr(each, "commits", False))
        return next(marks, len(self.launches))

    @property
    def constants(self) -> int:
        """How many constants the buffers refer to."""
        return max((b.index + 1 for b in self.buffers if b.kind == "constant"), default=0)

    def slice_of(self, number: int) -> Slice | None:
        """The slice with that number; None where it is a buffer's."""
        place = number - len(self.buffers)
        return self.slices[place] if place >= 0 else None

    def nbytes_of(self, number: int) -> int:
        """How large a buffer or a slice is."""
        part = self.slice_of(number)
        return self.buffers[number].nbytes if part is None else part.nbytes

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON values; launches and buffers as lists, in the order of their fields."""
        return _fields(self) | {
            "launches": [[_KIND[type(each)], *_fields(each).values()] for each in self.launches],
            "buffers": [list(_fields(buffer).values()) for buffer in self.buffers],
            "slices": [list(_fields(part).values()) for part in self.slices],
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> Plan:
        """The plan that `to_json` wrote."""
        made = {
            "launches": tuple(_instruction(*each) for each in data["launches"]),
            "buffers": tuple(Buffer(*fields) for fields in data["buffers"]),
            "slices": tuple(Slice(*fields) for fields in data["slices"]),
        }
        return Plan(**(data | made))

    def verify(self) -> None:
        """Raise VerificationError unless all numbers fit together (a wrong one would crash)."""
        for number, part in enumerate(self.slices, len(self.buffers)):
            self._verify_slice(part, number)
        for place, each in enumerate(self.launches):
            match each:
                case Launch():
                    self._verify_launch(each, place)
                case Repeat():
                    self._verify_repeat(each, place)
                case Jump():
                    self._verify_jump(each, place)
        ends = {"input": self.inputs, "output": self.outputs, "constant": self.constants}
        for buffer in self.buffers:
            self._verify_buffer(buffer, ends)
        if self.watch is not None:
            self._verify_watch(self.watch)

    def _verify_launch(self, launch: Launch, place: int) -> None:
        where = f"launch {launch.label or launch.symbol}"
        if not launch.symbol.startswith(PREFIX):
            raise VerificationError(f"symbol does not begin with {PREFIX!r}", where=where)
        if launch.tasks < 0:
            raise VerificationError(f"{launch.tasks} tasks", where=where)
        for number in launch.args:
            self._verify_argument(number, place, where)

    def _verify_argument(self, number: int, place: int, where: str) -> None:
        """A buffer, or a slice that moves inside repeats around the place where it is used."""
        if not 0 <= number < len(self.buffers) + len(self.slices):
            raise VerificationError(f"there is no buffer {number}", where=where)
        part = self.slice_of(number)
        while part is not None:
            repeat = self.launches[part.repeat]
            if not (isinstance(repeat, Repeat) and repeat.first <= place < part.repeat):
                raise VerificationError(f"slice {number} is used outside its repeat", where=where)
            part = self.slice_of(part.of)

    def _verify_repeat(self, repeat: Repeat, place: int) -> None:
        if not 0 <= repeat.first <= place or repeat.times < 1:
            raise VerificationError(f"bad repeat at {place}: {repeat}")
        if repeat.first <= self.commit_at < place:
            raise VerificationError(f"the first commit stands inside the repeat at {place}")

    def _verify_jump(self, jump: Jump, place: int) -> None:
        if not 0 <= jump.target <= len(self.launches) or jump.target == place:
            raise VerificationError(f"bad jump at {place}: {jump}")
        if jump.unless is None:
            return
        self._verify_argument(jump.unless, place, f"jump {jump.label}")
        if self.nbytes_of(jump.unless) != 1:
            raise VerificationError(f"the jump at {place} does not look at one bool")

    def _verify_slice(self, part: Slice, number: int) -> None:
        if not (0 <= part.of < number and 0 <= part.repeat < len(self.launches)):
            raise VerificationError(f"bad slice {part}")
        repeat = self.launches[part.repeat]
        if not isinstance(repeat, Repeat):
            raise VerificationError(f"{part} belongs to no repeat")
        last = part.first + part.step * (repeat.times - 1)
        room = self.nbytes_of(part.of) - part.nbytes
        if part.nbytes < 0 or not (0 <= part.first <= room and 0 <= last <= room):
            raise VerificationError(f"{part} leaves what it is a part of")

    def _verify_buffer(self, buffer: Buffer, ends: Mapping[str, int]) -> None:
        if buffer.kind not in KINDS or buffer.index < 0 or buffer.nbytes < 0:
            raise VerificationError(f"bad buffer {buffer}")
        if buffer.kind == "arena":
            fits = buffer.index + buffer.nbytes <= self.arena_bytes
        else:
            fits = buffer.index < ends[buffer.kind]
        if not fits:
            raise VerificationError(f"{buffer} lies outside what the plan has")

    def _verify_watch(self, number: int) -> None:
        if not 0 <= number < len(self.buffers):
            raise VerificationError(f"the watched buffer {number} does not exist")
        if self.buffers[number].nbytes != WATCH_BYTES.get(self.watch_dtype):
            raise VerificationError(f"the watched buffer is not one {self.watch_dtype}")
        if not self.launches:
            raise VerificationError("a plan without launches has nothing to watch")
        count = len(self.launches)
        at = count if self.watch_at is None else self.watch_at
        if not (at == count or 1 <= at <= self.commit_at):
            raise VerificationError(f"watch_at is {at}, after the first launch that commits")


def _fields(record: Any) -> dict[str, Any]:
    """As `dataclasses.asdict`, which copies all that it meets."""
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


_KIND = {Launch: "launch", Repeat: "repeat", Jump: "jump"}


def _instruction(kind: str, *fields: Any) -> Instruction:
    """A launch, repeat or jump from its fields, as JSON has them."""
    if kind == "launch":
        symbol, args, *rest = fields
        return Launch(symbol, tuple(args), *rest)
    return Repeat(*fields) if kind == "repeat" else Jump(*fields)
