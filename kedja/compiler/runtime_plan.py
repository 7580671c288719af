"""What a compiled program executes, as pure data: launches in order, over numbered buffers.

Not here: how the plan is made (schedule and memory passes) or executed (`runtime.py`).
Next: `runtime.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass
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
class Buffer:
    """A place in memory. `index` says which input, output or constant; of the arena, the offset."""

    kind: BufferKind
    index: int
    nbytes: int


@dataclass(frozen=True)
class Plan:
    """One step of a program: its launches in order, its buffers, and what is watched.

    `inputs` and `outputs` are how many arrays the caller passes. `watch` is the number of a buffer
    that holds one float32 or float64 (`watch_dtype`): NaN or an infinity in it ends the run. It is
    looked at after `watch_at` launches of each step; None means at the step's end. When that is
    before the first launch that commits, the state still stands as it was before the bad step.
    """

    launches: tuple[Launch, ...]
    buffers: tuple[Buffer, ...]
    arena_bytes: int
    inputs: int
    outputs: int
    watch: int | None = None
    watch_dtype: str = "float32"
    watch_at: int | None = None

    @property
    def commit_at(self) -> int:
        """The index of the first launch that commits; the number of launches if none does."""
        marks = (i for i, launch in enumerate(self.launches) if launch.commits)
        return next(marks, len(self.launches))

    @property
    def constants(self) -> int:
        """How many constants the buffers refer to."""
        return max((b.index + 1 for b in self.buffers if b.kind == "constant"), default=0)

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON values; launches and buffers as lists, in the order of their fields."""
        return asdict(self) | {
            "launches": [list(astuple(launch)) for launch in self.launches],
            "buffers": [list(astuple(buffer)) for buffer in self.buffers],
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> Plan:
        """The plan that `to_json` wrote."""
        launches = tuple(Launch(s, tuple(args), *rest) for s, args, *rest in data["launches"])
        buffers = tuple(Buffer(*fields) for fields in data["buffers"])
        return Plan(**(data | {"launches": launches, "buffers": buffers}))

    def verify(self) -> None:
        """Raise VerificationError unless all numbers fit together (a wrong one would crash)."""
        for launch in self.launches:
            self._verify_launch(launch)
        ends = {"input": self.inputs, "output": self.outputs, "constant": self.constants}
        for buffer in self.buffers:
            self._verify_buffer(buffer, ends)
        if self.watch is not None:
            self._verify_watch(self.watch)

    def _verify_launch(self, launch: Launch) -> None:
        where = f"launch {launch.label or launch.symbol}"
        if not launch.symbol.startswith(PREFIX):
            raise VerificationError(f"symbol does not begin with {PREFIX!r}", where=where)
        if launch.tasks < 0:
            raise VerificationError(f"{launch.tasks} tasks", where=where)
        for number in launch.args:
            if not 0 <= number < len(self.buffers):
                raise VerificationError(f"there is no buffer {number}", where=where)

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
