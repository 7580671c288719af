"""Calls of the ops with graphs inside, in every dtype: the graphs are built for each.

Next: `sized.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from kedja.ground.dtypes import ALL, bool_
from kedja.ir.graph import Graph, Node, apply, variable
from kedja.ir.op import Case, Type
from kedja.ops.control import Own
from tests.ops import walk

Rng = np.random.Generator
EXTENTS = (1, 7, 33)


def values(rng: Rng, dtype: np.dtype, *shapes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Small numbers of a dtype."""
    return tuple(walk.cast(rng.integers(1, 4, shape).astype(float), dtype) for shape in shapes)


def mixed(a: Node, b: Node) -> Node:
    """Something of both that every dtype has."""
    return apply("bitwise_xor" if a.dtype == bool_ else "add", a, b)


def body(dtype: np.dtype, n: int, outputs: int = 1) -> Graph:
    """x, y -> x ∘ y (and y)."""
    x, y = (variable(name, Type((n,), dtype)) for name in "xy")
    return Graph((x, y), (mixed(x, y), y)[:outputs])


def conds(rng: Rng) -> Iterator[Case]:
    """Both branches."""
    for dtype in ALL:
        for n in EXTENTS:
            attrs = {"yes": body(dtype, n, 2), "no": body(dtype, n, 2)}
            for chosen in (True, False):
                yield Case((np.asarray(chosen), *values(rng, dtype, (n,), (n,))), attrs)


def bodies(**attrs: object) -> Callable[[Rng], Iterator[Case]]:
    """Graphs that stand in their place."""

    def make(rng: Rng) -> Iterator[Case]:
        for dtype in ALL:
            for n in EXTENTS:
                yield Case(values(rng, dtype, (n,), (n,)), {"body": body(dtype, n, 2), **attrs})

    return make


def bundles(rng: Rng) -> Iterator[Case]:
    """One, two and three values of different shapes."""
    for dtype in ALL:
        for shapes in (((3,),), ((), (7, 2)), ((0,), (1,), (2, 1, 3))):
            yield Case(values(rng, dtype, *shapes))


def waits(rng: Rng) -> Iterator[Case]:
    """A value after another of any shape."""
    for dtype in ALL:
        for n in EXTENTS:
            yield Case((*values(rng, dtype, (n,)), np.zeros((2,), np.int64)))


def scans(rng: Rng) -> Iterator[Case]:
    """No steps, one, several; forwards and backwards."""
    for dtype in ALL:
        for length, n, backwards in ((0, 3, False), (1, 7, True), (5, 33, False), (4, 1, True)):
            carry, x, c = (variable(name, Type((n,), dtype)) for name in ("carry", "x", "c"))
            after = mixed(mixed(carry, x), c)
            graph = Graph((carry, x, c), (after, mixed(after, x), x))
            attrs = {"carries": 1, "sequences": 1, "length": length, "reverse": backwards}
            arrays = values(rng, dtype, (n,), (length, n), (n,))
            yield Case(arrays, {"body": graph, **attrs})


def whiles(rng: Rng) -> Iterator[Case]:
    """Counted steps, also none, on a carry of every dtype."""
    for dtype in ALL:
        for steps in (0, 1, 9):
            count, x, c = (
                variable("n", Type((), np.dtype(np.int64))),
                *(variable(name, Type((7,), dtype)) for name in "xc"),
            )
            bound = apply("full", value=steps, shape=(), dtype=np.dtype(np.int64))
            condition = Graph((count, x, c), (apply("less", count, bound),))
            step = Graph((count, x, c), (count + 1, mixed(x, c)))
            attrs = {"condition": condition, "body": step, "carries": 2}
            yield Case((np.zeros((), np.int64), *values(rng, dtype, (7,), (7,))), attrs)


CALLS: dict[str, Callable[[Rng], Iterator[Case]]] = {
    "after": waits,
    "bundle": bundles,
    "checkpoint": bodies(),
    "cond": conds,
    "custom": bodies(own=Own()),
    "scan": scans,
    "while_loop": whiles,
}
