"""The order of kernels: every value written before it is read, and freed as early as it can be.

The order of the graph is kept, except that a kernel which frees more memory than it takes runs as
soon as it can: the gradient of a layer's weights before that of the layer below, so that the
layer's values need not be kept. Why here: kernels are known, and the plan of memory follows the
order. Next: `schedule.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from heapq import heappop, heappush

from kedja.compiler.kernels import KernelUnit, ScatterKernel
from kedja.ir.graph import Node

SMALL = 4096  # bytes of a value that count as nothing: sums, step sizes, a bias

Writers = dict[Node, list[KernelUnit]]
Waits = Mapping[int, Sequence[KernelUnit]]  # by the identity of a kernel: what must run before it


def writers_of(kernels: Sequence[KernelUnit]) -> Writers:
    """The kernels that write each value (two where updates are added into it)."""
    writers: Writers = {}
    for kernel in kernels:
        for node in kernel.writes:
            writers.setdefault(node, []).append(kernel)
    return writers


def needs(kernel: KernelUnit, writers: Writers) -> list[KernelUnit]:
    """The kernels that must run before one, without itself."""
    needed = [each for node in kernel.reads for each in writers.get(node, ())]
    if isinstance(kernel, ScatterKernel):
        needed.append(writers[kernel.root][0])
    return [each for each in needed if each is not kernel]


def in_order(kernels: Sequence[KernelUnit]) -> list[KernelUnit]:
    """The kernels with every value written before it is read; stable otherwise."""
    writers = writers_of(kernels)
    return _after(kernels, lambda kernel: needs(kernel, writers))


def readers_first(
    kernels: Sequence[KernelUnit], in_place: Mapping[Node, Node]
) -> list[KernelUnit] | None:
    """As `in_order`, and who reads what is overwritten comes before who writes there.

    `in_place` are the values that overwrite others. None where no order does that.
    """
    writers = writers_of(kernels)
    before: dict[int, list[KernelUnit]] = {}
    for value, home in in_place.items():
        reading = [each for each in kernels if home in each.reads]
        for writer in writers.get(value, ()):
            others = [each for each in reading if each not in writers[value]]
            before.setdefault(id(writer), []).extend(others)

    def required(kernel: KernelUnit) -> list[KernelUnit]:
        return [*needs(kernel, writers), *before.get(id(kernel), ())]

    order = _after(kernels, required)
    place = {id(kernel): number for number, kernel in enumerate(order)}
    sound = all(place[id(each)] < place[id(k)] for k in order for each in required(k))
    return order if sound else None


def _after(
    kernels: Sequence[KernelUnit], needs: Callable[[KernelUnit], Sequence[KernelUnit]]
) -> list[KernelUnit]:
    """The kernels, each after those that it needs; stable otherwise."""
    done: dict[int, KernelUnit] = {}
    begun: set[int] = set()  # so that a cycle ends, in some order
    stack = [(kernel, False) for kernel in reversed(kernels)]
    while stack:
        kernel, ready = stack.pop()
        if ready:
            done[id(kernel)] = kernel
            continue
        if id(kernel) in begun:
            continue
        begun.add(id(kernel))
        stack.append((kernel, True))
        stack.extend((each, False) for each in reversed(needs(kernel)))
    return list(done.values())


def thrifty(
    kernels: Sequence[KernelUnit], waits: Waits, at_home: Collection[Node]
) -> list[KernelUnit]:
    """Kernels in a valid order, reordered so that memory is freed as early as possible.

    `at_home` are the values that take no memory of their own.
    """
    return _Thrift(kernels, waits, at_home).order()


class _Thrift:
    """One kernel after the other: the first that frees more than it takes, else the first."""

    def __init__(
        self, kernels: Sequence[KernelUnit], waits: Waits, at_home: Collection[Node]
    ) -> None:
        self.kernels = kernels
        self.at_home = at_home
        place = {id(kernel): number for number, kernel in enumerate(kernels)}
        writers = writers_of(kernels)
        self.before = [
            {place[id(each)] for each in (*needs(k, writers), *waits.get(id(k), ()))}
            for k in kernels
        ]
        self.after: list[list[int]] = [[] for _ in kernels]
        for number, needed in enumerate(self.before):
            for each in needed:
                self.after[each].append(number)
        self.readers: dict[Node, set[int]] = {}
        for number, kernel in enumerate(kernels):
            for node in kernel.reads:
                if node in writers:
                    self.readers.setdefault(node, set()).add(number)
        self.ready: list[int] = []
        self.freeing: list[int] = []
        self.done: set[int] = set()

    def order(self) -> list[KernelUnit]:
        """All kernels."""
        for number, needed in enumerate(self.before):
            if not needed:
                self._enter(number)
        result = []
        while len(self.done) < len(self.kernels):
            number = self._next()
            self.done.add(number)
            result.append(self.kernels[number])
            self._finish(number)
        return result

    def _next(self) -> int:
        for heap in (self.freeing, self.ready):
            while heap:
                number = heappop(heap)
                if number not in self.done:
                    return number
        raise AssertionError("kernels that need each other")

    def _enter(self, number: int) -> None:
        heappush(self.ready, number)
        self._weigh(number)

    def _weigh(self, number: int) -> None:
        """Note a kernel that can run and takes nothing, or frees more than it takes."""
        kernel = self.kernels[number]
        freed = sum(n.type.nbytes for n in kernel.reads if self.readers.get(n) == {number})
        sizes = (n.type.nbytes for n in kernel.writes if n not in self.at_home)
        taken = sum(size for size in sizes if size > SMALL)
        if freed > taken or not taken:
            heappush(self.freeing, number)

    def _finish(self, number: int) -> None:
        for node in self.kernels[number].reads:
            readers = self.readers.get(node)
            if readers is None:
                continue
            readers.discard(number)
            if len(readers) == 1:
                (last,) = readers
                if not self.before[last]:
                    self._weigh(last)
        for each in self.after[number]:
            self.before[each].discard(number)
            if not self.before[each]:
                self._enter(each)
