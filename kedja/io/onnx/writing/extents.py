"""Which numbers in a graph follow the batch size: the same graph at several sizes, compared.

A number that is n₁, n₂, n₃ at the batch sizes B₁, B₂, B₃ is a constant or the line
slope·B + start; anything else cannot be written, and is an error. Next: `traces.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from kedja.ground.errors import UnsupportedError
from kedja.ir.graph import Graph, Node, located, topological

Twins = tuple[Node, ...]  # the same node in each trace


class Line(NamedTuple):
    """slope·B + start, B the batch size."""

    slope: int
    start: int


Extent = int | Line
STATIC = "dynamic_batch=False writes the model for the batch size of the example inputs"


@dataclass(frozen=True)
class Sizes:
    """The batch sizes at which a function was traced; one alone where the batch is fixed."""

    values: tuple[int, ...]

    def extent(self, found: Sequence[int], node: Node) -> Extent:
        """What a number is that was found once for each size.

        Raises UnsupportedError where it follows the batch in no line.
        """
        if len(set(found)) == 1:
            return int(found[0])
        (b, c), (n, m) = self.values[:2], found[:2]
        slope, rest = divmod(m - n, c - b)
        line = Line(slope, n - slope * b)
        expected = [line.slope * size + line.start for size in self.values]
        if rest or expected != list(found):
            raise wrong(
                node,
                f"an extent that is {', '.join(map(str, found))} for batches of "
                f"{', '.join(map(str, self.values))} cannot be written",
                STATIC,
            )
        return line


def wrong(node: Node, what: str, fix: str) -> UnsupportedError:
    """The error for something that cannot be exported, with the op, the user's line, the layer."""
    layer = f" (in layer {node.scope})" if node.scope and node.source is None else ""
    error = UnsupportedError(f"{node.op.name}: {what}{layer}", fix=fix)
    found = located(error, node.source, node.scope)
    assert isinstance(found, UnsupportedError)
    return found


class Alignment:
    """The nodes of the first trace, each with its twins in the others."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self._twins: dict[Node, Twins] = {}
        self._known: list[set[Node]] = [set() for _ in sizes.values]
        self.users: Counter[Node] = Counter()  # how many nodes of the first trace take each

    # ------------------------------------------------------------------ which belong together

    def add(self, roots: Sequence[Sequence[Node]]) -> None:
        """Align the graphs below some roots, given once for each trace.

        Raises UnsupportedError where they are not the same graph.
        """
        pairs = zip(roots, self._known, strict=True)
        orders = [topological(each, leaves=leaves) for each, leaves in pairs]
        place = [{node: i for i, node in enumerate(order)} for order in orders]
        if len({len(order) for order in orders}) > 1:
            raise _different(orders[0][-1])
        for twins in zip(*orders, strict=True):
            if twins[0] not in self._twins:
                self._require_alike(twins, place)
                self.pair(twins)
                self.users.update(twins[0].inputs)

    def _require_alike(self, twins: Twins, place: Sequence[dict[Node, int]]) -> None:
        first = twins[0]
        for k, other in enumerate(twins[1:], start=1):
            same = other.op is first.op and len(other.inputs) == len(first.inputs)
            pairs = zip(first.inputs, other.inputs, strict=False)
            inputs = all(self._are_twins(mine, theirs, k, place) for mine, theirs in pairs)
            if not (same and inputs):
                raise _different(first)

    def _are_twins(
        self, mine: Node, theirs: Node, k: int, place: Sequence[dict[Node, int]]
    ) -> bool:
        if mine in self._twins:
            return self._twins[mine][k] is theirs
        return place[0].get(mine) == place[k].get(theirs)

    def pair(self, twins: Twins) -> None:
        """Say that some nodes belong together."""
        self._twins[twins[0]] = twins
        for known, node in zip(self._known, twins, strict=True):
            known.add(node)

    def twins(self, node: Node) -> Twins:
        """A node in each trace."""
        return self._twins[node]

    def rewritten(self, node: Node, build: Callable[[Node], Node]) -> Node:
        """What `build` makes of a node, made of all its twins, so that it is aligned, too."""
        found = [build(each) for each in self.twins(node)]
        self.add([[each] for each in found])
        return found[0]

    # ------------------------------------------------------------------ numbers

    def shape(self, node: Node) -> list[Extent]:
        """The extents of a node."""
        return self.each(node, lambda twin: twin.shape)

    def attr(self, node: Node, name: str) -> list[Extent]:
        """An attribute of several numbers."""
        return self.each(node, lambda twin: twin.attrs[name])

    def each(self, node: Node, numbers: Callable[[Node], Sequence[int]]) -> list[Extent]:
        """Some numbers of a node."""
        columns = zip(*(numbers(twin) for twin in self.twins(node)), strict=True)
        return [self.sizes.extent(column, node) for column in columns]

    def is_static(self, node: Node) -> bool:
        """Whether the shape of a node is the same at all batch sizes."""
        return len({twin.shape for twin in self.twins(node)}) == 1

    def require_same(self, node: Node, name: str) -> Any:
        """An attribute that does not follow the batch."""
        found = [twin.attrs[name] for twin in self.twins(node)]
        if any(each != found[0] for each in found[1:]):
            raise wrong(node, f"its {name} follows the batch size", STATIC)
        return found[0]


def _different(node: Node) -> UnsupportedError:
    return wrong(node, "the function computes something else for other batch sizes", STATIC)


def graphs_of(alignment: Alignment, node: Node, name: str) -> list[Graph]:
    """An inner graph of a node in each trace."""
    return [twin.attrs[name] for twin in alignment.twins(node)]


def same_values(arrays: Sequence[np.ndarray]) -> bool:
    """Whether arrays are equal, NaN included."""
    first = arrays[0]
    return all(
        each is first
        or (each.shape == first.shape and each.dtype == first.dtype and _equal(each, first))
        for each in arrays[1:]
    )


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.tobytes() == b.tobytes()
