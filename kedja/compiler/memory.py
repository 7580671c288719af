"""Memory: where every kept value lives, and the launches over these places.

Values that nobody else holds share one arena; two may overlap if one is dead before the other is
born. What comes into a loop from outside, or goes out of it, is alive as long as the loop runs.
Why here: the order is final, and the launches need addresses. Next: `pipeline.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from kedja.compiler.runtime_plan import Buffer, Instruction, Jump, Launch, Plan, Repeat, Slice
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
class Again:
    """The uses from `first` up to here are repeated, `times` times in all, for the scan `node`."""

    node: Node
    first: int
    times: int


@dataclass(frozen=True)
class Branch:
    """The uses go on at `target`; with `unless`, only where that truth value is false.

    Where `target` lies behind, what stands between is a loop.
    """

    node: Node
    target: int
    unless: Node | None = None

    @property
    def values(self) -> tuple[Node, ...]:
        """What it looks at."""
        return () if self.unless is None else (self.unless,)


AnyUse = Use | Again | Branch


@dataclass(frozen=True)
class View:
    """A value that is another one's memory, or in each step of the scan `loop` a part of it.

    `first` bytes into it, and `step` bytes on after each step.
    """

    of: Node
    loop: Node | None = None
    first: int = 0
    step: int = 0


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


Key = Node | tuple[str, int]  # a value, or the scratch of a kernel


class Planner:
    """Numbers the buffers of a program and turns uses into launches."""

    def __init__(
        self,
        uses: Sequence[AnyUse],
        homes: Mapping[Node, Buffer],
        views: Mapping[Node, View],
    ) -> None:
        self.uses = uses
        self.homes = homes
        self.views = views
        self.buffers: list[Buffer] = []
        self.slices: list[Slice] = []
        self._numbers: dict[Key, int] = {}
        self._repeats = {each.node: t for t, each in enumerate(uses) if isinstance(each, Again)}

    def launches(self) -> tuple[list[Instruction], int]:
        """All launches, and the arena's size."""
        arena = self._place_arena()
        for use in self.uses:
            for key in _keys(use):
                self._add_home(self._root(key))
        return [self._instruction(use) for use in self.uses], arena

    def number_of(self, key: Key) -> int:
        """The buffer in which a value lives, or the slice that it is."""
        if key not in self._numbers:
            assert isinstance(key, Node)
            self._numbers[key] = self._number_of_view(self.views[key], key.type.nbytes)
        return self._numbers[key]

    def _number_of_view(self, view: View, nbytes: int) -> int:
        whole = self.number_of(view.of)
        if view.loop is None:
            return whole
        place = self._repeats[view.loop]
        self.slices.append(Slice(whole, place, view.first, view.step, nbytes))
        return len(self.buffers) + len(self.slices) - 1

    def _instruction(self, use: AnyUse) -> Instruction:
        match use:
            case Again(node, first, times):
                return Repeat(first, times, node.op.name)
            case Branch(node, target, unless):
                flag = None if unless is None else self.number_of(unless)
                return Jump(target, flag, node.op.name)
        args = tuple(self.number_of(key) for key in _keys(use))
        touched = sum(self._nbytes(arg) for arg in set(args))
        return Launch(use.symbol, args, use.tasks, use.commits, use.label, use.flops, touched)

    def _nbytes(self, number: int) -> int:
        place = number - len(self.buffers)
        return self.slices[place].nbytes if place >= 0 else self.buffers[number].nbytes

    def _root(self, key: Key) -> Key:
        """The value whose memory a view is a part of."""
        while isinstance(key, Node) and key in self.views:
            key = self.views[key].of
        return key

    def _add_home(self, key: Key) -> None:
        if key not in self._numbers:
            assert isinstance(key, Node)
            self._numbers[key] = len(self.buffers)
            self.buffers.append(self.homes[key])

    def _place_arena(self) -> int:
        """Places for the values without a home, and for scratch."""
        lives: dict[Key, list[int]] = {}
        sizes: dict[Key, int] = {}
        for time, use in enumerate(self.uses):
            for key in map(self._root, _keys(use)):
                if key not in self.homes:
                    lives.setdefault(key, []).append(time)
                    scratch = use.scratch if isinstance(use, Use) else 0
                    sizes[key] = key.type.nbytes if isinstance(key, Node) else scratch
        loops = self._loops()
        spans = {key: _span(times, loops, sizes[key]) for key, times in lives.items()}
        offsets, total = place(list(spans.values()))
        for (key, span), offset in zip(spans.items(), offsets, strict=True):
            self._numbers[key] = len(self.buffers)
            self.buffers.append(Buffer("arena", offset, span.nbytes))
        return total

    def _loops(self) -> list[tuple[int, int]]:
        """The first and the last use of each loop, inner loops before those around them."""
        found = []
        for time, use in enumerate(self.uses):
            if isinstance(use, Again):
                found.append((use.first, time))
            elif isinstance(use, Branch) and use.target < time:
                found.append((use.target, time))
        return found


def _keys(use: AnyUse) -> list[Key]:
    """What a use touches, in the order of its arguments."""
    match use:
        case Again():
            return []
        case Branch():
            return list(use.values)
    return [("scratch", use.kernel) if value is None else value for value in use.values]


def _span(times: Sequence[int], loops: Sequence[tuple[int, int]], nbytes: int) -> Span:
    """From the first use to the last; through all of a loop that does not hold every use."""
    first, last = times[0], times[-1]
    for start, end in loops:
        inside = any(start <= time <= end for time in times)
        if inside and not (start <= first and last <= end):
            first, last = min(first, start), max(last, end)
    return Span(first, last, nbytes)


def plan_of(
    uses: Sequence[AnyUse],
    homes: Mapping[Node, Buffer],
    views: Mapping[Node, View],
    inputs: int,
    outputs: int,
    watch: Node | None,
) -> Plan:
    """The plan of a program; `watch` is the value that must stay finite."""
    planner = Planner(uses, homes, views)
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
        tuple(planner.slices),
    )


def most_alive(touched: Sequence[Sequence[Node]], others: Collection[Node]) -> int:
    """The most bytes that are alive at once, of all values but some: the arena is no smaller.

    `touched` are the values that each kernel writes and reads, in order.
    """
    lives: dict[Node, tuple[int, int]] = {}
    for time, values in enumerate(touched):
        for node in values:
            if node not in others:
                lives[node] = (lives.get(node, (time,))[0], time)
    changes = [0] * (len(touched) + 1)
    for node, (first, last) in lives.items():
        changes[first] += node.type.nbytes
        changes[last + 1] -= node.type.nbytes
    return max(accumulate(changes))


def _written_by(uses: Sequence[AnyUse], watch: Node) -> int:
    """After how many launches the watched value is there (its first use writes it)."""
    return 1 + next(time for time, use in enumerate(uses) if watch in _keys(use))
