"""Memory: where every kept value lives, and the launches over these places.

Values that nobody else holds share one arena; two may overlap if one is dead before the other is
born. Why here: the order is final, and the launches need addresses. Next: `pipeline.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kedja.compiler.runtime_plan import Buffer, Launch, Plan
from kedja.ir.graph import Node

ALIGN = 64  # a cache line, and the widest vector


@dataclass(frozen=True)
class Use:
    """One launch as the planner sees it: a symbol over values, with scratch of its own."""

    symbol: str
    values: tuple[Node | None, ...]  # None stands for the scratch
    tasks: int
    commits: bool
    label: str
    flops: int
    scratch: int = 0  # bytes; uses of one kernel share it
    kernel: int = 0  # uses with the same number belong together


@dataclass(frozen=True)
class Span:
    """Bytes that are alive from one launch to another."""

    first: int
    last: int
    nbytes: int


def place(spans: Sequence[Span]) -> tuple[list[int], int]:
    """Offsets for all spans such that no two that overlap in time overlap in memory; the total.

    Larger ones choose first, each the lowest gap that fits.
    """
    offsets = [0] * len(spans)
    placed: list[int] = []
    total = 0
    for number in sorted(range(len(spans)), key=lambda n: (-spans[n].nbytes, n)):
        span = spans[number]
        rivals = sorted(
            (offsets[other], offsets[other] + _rounded(spans[other].nbytes))
            for other in placed
            if spans[other].first <= span.last and span.first <= spans[other].last
        )
        offset = 0
        for start, end in rivals:
            if offset + _rounded(span.nbytes) <= start:
                break
            offset = max(offset, end)
        offsets[number] = offset
        placed.append(number)
        total = max(total, offset + _rounded(span.nbytes))
    return offsets, total


def _rounded(nbytes: int) -> int:
    return -(-nbytes // ALIGN) * ALIGN


class Planner:
    """Numbers the buffers of a program and turns uses into launches."""

    def __init__(self, uses: Sequence[Use], homes: Mapping[Node, Buffer]) -> None:
        self.uses = uses
        self.homes = homes
        self.buffers: list[Buffer] = []
        self._numbers: dict[Node | tuple[str, int], int] = {}

    def launches(self) -> tuple[list[Launch], int]:
        """All launches, and the arena's size."""
        arena = self._place_arena()
        made = []
        for use in self.uses:
            args = tuple(self._number(value, use) for value in use.values)
            touched = sum(self.buffers[arg].nbytes for arg in set(args))
            made.append(
                Launch(use.symbol, args, use.tasks, use.commits, use.label, use.flops, touched)
            )
        return made, arena

    def number_of(self, node: Node) -> int:
        """The buffer in which a value lives."""
        return self._numbers[node]

    def _number(self, value: Node | None, use: Use) -> int:
        key = ("scratch", use.kernel) if value is None else value
        if key not in self._numbers:
            assert value is not None
            self._numbers[key] = len(self.buffers)
            self.buffers.append(self.homes[value])
        return self._numbers[key]

    def _place_arena(self) -> int:
        """Places for the values without a home, and for scratch."""
        lives: dict[Node | tuple[str, int], Span] = {}
        for time, use in enumerate(self.uses):
            for value in use.values:
                if value is None:
                    self._extend(lives, ("scratch", use.kernel), time, use.scratch)
                elif value not in self.homes:
                    self._extend(lives, value, time, value.type.nbytes)
        offsets, total = place(list(lives.values()))
        for (key, span), offset in zip(lives.items(), offsets, strict=True):
            self._numbers[key] = len(self.buffers)
            self.buffers.append(Buffer("arena", offset, span.nbytes))
        return total

    def _extend(
        self,
        lives: dict[Node | tuple[str, int], Span],
        key: Node | tuple[str, int],
        time: int,
        nbytes: int,
    ) -> None:
        first = lives[key].first if key in lives else time
        lives[key] = Span(first, time, nbytes)


def plan_of(
    uses: Sequence[Use],
    homes: Mapping[Node, Buffer],
    inputs: int,
    outputs: int,
    watch: Node | None,
) -> Plan:
    """The plan of a program; `watch` is the value that must stay finite."""
    planner = Planner(uses, homes)
    launches, arena = planner.launches()
    number = None if watch is None else planner.number_of(watch)
    at = None if watch is None else _written_by(uses, watch)
    return Plan(
        tuple(launches),
        tuple(planner.buffers),
        arena,
        inputs,
        outputs,
        number,
        "float32" if watch is None else watch.dtype.name,
        at,
    )


def _written_by(uses: Sequence[Use], watch: Node) -> int:
    """After how many launches the watched value is there (its first use writes it)."""
    return 1 + next(time for time, use in enumerate(uses) if watch in use.values)
