"""The order of the kernels, the tasks into which each is cut, and what is written in place.

State that a step carries (weights, moments) is written over its old value as soon as the watched
loss is known and nobody reads the old value any more: what an update needs need not wait for the
others. A value that must be read after that is computed beside the old one and copied at the end.
Before the first such write a step can be abandoned: the state is still whole.
Why here: kernels are known, memory is not yet planned. Next: `memory.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from kedja.compiler.attention_kernels import AttentionKernel
from kedja.compiler.indices import Variable, of
from kedja.compiler.kernels import (
    FlowKernel,
    KernelUnit,
    LoopKernel,
    ProductKernel,
    ScatterKernel,
    StridedKernel,
    copy_of,
)
from kedja.compiler.loops import SPACE, Apply, Expr, Load, Lowering, Nest, Store, walk
from kedja.compiler.order import Waits, in_order, readers_first, thrifty, writers_of
from kedja.ir.graph import Node

TASK = 24_000  # flops and loads that one task should have: some microseconds
MOST_TASKS = 64


@dataclass(frozen=True)
class Schedule:
    """Kernels in order; from `commit` on they overwrite `in_place` inputs by carried values."""

    kernels: tuple[KernelUnit, ...]
    commit: int
    in_place: Mapping[Node, Node]  # kept value -> the input in whose memory it is stored


def schedule(
    kernels: Sequence[KernelUnit], carry: Mapping[Node, Node], apart: frozenset[Node]
) -> Schedule:
    """Order the kernels; `carry` maps carried values to the inputs that they replace.

    Values in `apart` (the watched loss) are never stored in place before the step's end.
    """
    kernels = in_order(kernels)
    direct = _direct(kernels, carry, apart)
    in_place: dict[Node, Node] = dict(direct)
    late: list[KernelUnit] = []
    for value, home in carry.items():
        if value not in direct and value.type.size:
            copy = _copy_kernel(value)
            late.append(copy)
            in_place[copy.writes[0]] = home
    rest = [k for k in kernels if not _is_nothing(k, direct)]
    order = thrifty(rest, _waits(rest, direct, apart), direct.keys())
    commits = (n for n, k in enumerate(order) if any(node in direct for node in k.writes))
    return Schedule((*order, *late), next(commits, len(order)), in_place)


def _waits(
    kernels: Sequence[KernelUnit], direct: Mapping[Node, Node], apart: frozenset[Node]
) -> Waits:
    """For each kernel that overwrites state, what must run before: who reads the state, and who
    makes the watched loss."""
    readers: dict[Node, list[KernelUnit]] = {}
    for kernel in kernels:
        for node in kernel.reads:
            readers.setdefault(node, []).append(kernel)
    writers = writers_of(kernels)
    watched = [kernel for node in apart for kernel in writers.get(node, ())]
    found: dict[int, list[KernelUnit]] = {}
    for value, home in direct.items():
        own = writers.get(value, ())
        for kernel in own:
            others = [each for each in readers.get(home, ()) if each not in own]
            found.setdefault(id(kernel), []).extend((*others, *watched))
    return found


def _copy_kernel(value: Node) -> LoopKernel:
    size = value.type.size
    variables = (Variable("i0", size),) if size != 1 else ()
    flat = of(variables[0]) if variables else SPACE.constant(0)
    index = SPACE.delinearise(flat, value.shape)
    load = Lowering(lambda node: node is value).value(value, index)
    return LoopKernel(Nest(variables, (Store(copy_of(value), flat, load),)))


def _is_nothing(kernel: KernelUnit, direct: Mapping[Node, Node]) -> bool:
    """Whether a kernel would copy a value onto itself (the base of a scatter in place)."""
    if not isinstance(kernel, LoopKernel) or len(kernel.nest.stores) != 1:
        return False
    (store,) = kernel.nest.stores
    value = store.value
    if not isinstance(value, Load) or value.node is not direct.get(store.node):
        return False
    return value.offset == store.offset


# --------------------------------------------------------------------- what goes in place


def _direct(
    kernels: Sequence[KernelUnit], carry: Mapping[Node, Node], apart: frozenset[Node]
) -> dict[Node, Node]:
    """The carried values that their own kernel can store over the old ones."""
    return _Choice(kernels, {v: home for v, home in carry.items() if v not in apart}).made()


class _Choice:
    """Values are given up one after the other, always the first that would be seen too early.

    To give one up can spoil only those that the same kernels write: they are looked at again.
    """

    def __init__(self, kernels: Sequence[KernelUnit], chosen: dict[Node, Node]) -> None:
        self.chosen = chosen
        self.place = {value: place for place, value in enumerate(chosen)}
        self.values = list(chosen)
        self.writers = writers_of(kernels)
        self.readers: dict[Node, list[KernelUnit]] = {}
        for kernel in kernels:
            for node in kernel.reads:
                self.readers.setdefault(node, []).append(kernel)

    def made(self) -> dict[Node, Node]:
        """What can stay."""
        todo = list(range(len(self.values)))
        while todo:
            value = self.values[heappop(todo)]
            if value in self.chosen and self._is_seen(value, self.chosen[value]):
                del self.chosen[value]
                for mate in self._mates(value):
                    if mate in self.chosen:
                        heappush(todo, self.place[mate])
        return self.chosen

    def _mates(self, value: Node) -> Iterator[Node]:
        return (node for kernel in self.writers.get(value, ()) for node in kernel.writes)

    def _is_seen(self, value: Node, home: Node) -> bool:
        """Whether storing a value in place would be seen too early by somebody."""
        own = self.writers.get(value)
        if own is None or any(node not in self.chosen for node in self._mates(value)):
            return True
        if any(kernel not in own for kernel in self.readers.get(value, ())):
            return True
        others = (kernel for kernel in self.readers.get(home, ()) if kernel not in own)
        if any(self._is_late(kernel) for kernel in others):
            return True
        return not all(_keeps_place(kernel, value, home) for kernel in own)

    def _is_late(self, kernel: KernelUnit) -> bool:
        """Whether a kernel runs among the last ones: it stores something in place."""
        return any(node in self.chosen for node in kernel.writes)


def _keeps_place(kernel: KernelUnit, value: Node, home: Node) -> bool:
    """Whether a kernel reads the old value only at the element that it is about to store."""
    if isinstance(kernel, FlowKernel):
        return False
    if isinstance(kernel, ScatterKernel | AttentionKernel):
        return home not in kernel.reads
    if isinstance(kernel, ProductKernel) and home in (
        kernel.a.base,
        kernel.b.base,
        *kernel.indices,
    ):
        return False
    if isinstance(kernel, StridedKernel) and home in (kernel.a, kernel.b):
        return False
    here = next(s.offset for s in kernel.nest.stores if s.node is value)
    return all(load.offset == here for load in kernel.nest.loads if load.node is home)


# ----------------------------------------------------------------- the same inside of loops


def in_place_order(
    kernels: Sequence[KernelUnit], carry: Mapping[Node, Node]
) -> tuple[list[KernelUnit], dict[Node, Node]]:
    """The kernels of a loop's body, and which values are stored over which carried inputs.

    A carry is overwritten where it is computed, after all who read the old one, or copied at the
    end. A body may be left at any place, so that nothing needs to wait for its end.
    """
    writers = writers_of(kernels)
    in_place: dict[Node, Node] = {}
    order = in_order(kernels)
    copies: list[KernelUnit] = []
    for value, home in carry.items():
        if value is home or not value.type.size:
            continue
        trial = {**in_place, value: home}
        found = None
        if all(_keeps_place(each, value, home) for each in writers[value]):
            found = readers_first(kernels, trial)
        if found is not None:
            order, in_place = found, trial
            continue
        copy = _copy_kernel(value)
        copies.append(copy)
        in_place = {**in_place, copy.writes[0]: home}
    kept = [each for each in order if not _is_nothing(each, in_place)]
    return [*kept, *copies], in_place


# ------------------------------------------------------------------------------------ tasks


def task_count(nest: Nest, unit: int) -> int:
    """How many tasks a loop nest is cut into along its first variable, in steps of `unit`."""
    if not nest.variables:
        return 1
    units = -(-nest.variables[0].extent // unit)
    return max(1, min(units, MOST_TASKS, int(work(nest) // TASK)))


def work(nest: Nest) -> float:
    """Flops and memory accesses of a whole nest."""
    total = float(nest.points * len(nest.stores))
    for expr in walk([store.value for store in nest.stores]):
        total += _own_work(expr) * _times(expr)
    return total


def flops(nest: Nest) -> float:
    """Floating-point operations of a whole nest."""
    parts = walk([store.value for store in nest.stores])
    return sum(e.op.flops * _times(e) for e in parts if isinstance(e, Apply))


def _own_work(expr: Expr) -> float:
    if isinstance(expr, Apply):
        return max(1.0, expr.op.flops)
    return 1.0 if isinstance(expr, Load) else 0.0


def _times(expr: Expr) -> int:
    count = 1
    for variable in expr.variables:
        count *= variable.extent
    return count
