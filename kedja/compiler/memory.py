"""Memory: where every kept value lives, and the launches over these places.

Values that nobody else holds share one arena; two may overlap if one is dead before the other is
born. Why here: the order is final, and the launches need addresses. Next: `pipeline.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

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
    placed = _Placed(len(spans))
    for number in sorted(range(len(spans)), key=lambda n: (-spans[n].nbytes, n)):
        offsets[number] = placed.add(spans[number])
    return offsets, placed.total


class _Placed:
    """Spans with offsets, as arrays in the order of the offsets: one look compares with all."""

    def __init__(self, most: int) -> None:
        self.count = 0
        self.total = 0
        self.columns = np.empty((4, most), np.int64)  # first, last, start, end

    def add(self, span: Span) -> int:
        """Place one more: the lowest offset at which it overlaps no other."""
        nbytes = _rounded(span.nbytes)
        firsts, lasts, starts, ends = self.columns[:, : self.count]
        rivals = np.flatnonzero((firsts <= span.last) & (lasts >= span.first))
        offset = self._lowest(starts[rivals], ends[rivals], nbytes) if rivals.size else 0
        at = int(np.searchsorted(starts, offset))
        self.columns[:, at + 1 : self.count + 1] = self.columns[:, at : self.count].copy()
        self.columns[:, at] = span.first, span.last, offset, offset + nbytes
        self.count += 1
        self.total = max(self.total, offset + nbytes)
        return offset

    def _lowest(self, starts: np.ndarray, ends: np.ndarray, nbytes: int) -> int:
        """The first gap of that size before, between or behind the rivals."""
        below = np.maximum.accumulate(ends)  # rivals may themselves overlap, at other times
        before = np.concatenate((below[:1] * 0, below[:-1]))
        fits = before + nbytes <= starts
        first = int(fits.argmax())
        return int(before[first] if fits[first] else below[-1])


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
