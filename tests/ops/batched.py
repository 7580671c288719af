"""What must hold for every record's batch facet, as functions of the record and of sample calls.

A batched call gives what single calls give, stacked, whichever of its inputs are batched; so do its
tangents and its gradients, batched after or before they are taken. Next: `test_ops_batch.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from kedja.autodiff.batch import batch
from kedja.autodiff.forward import jvp
from kedja.autodiff.reverse import vjp
from kedja.ground.dtypes import is_float
from kedja.ground.errors import GradientError
from kedja.ground.limits import float_limits
from kedja.interpret.reference import run
from kedja.ir.graph import Node, constant, make, parts, variable
from kedja.ir.op import Bundle, Case, NoDerivative, Op, Type
from tests.fixtures import variables

SIZE = 3
ULPS = 64  # of the largest element: sums of other layouts are added in another order


class Call(NamedTuple):
    """One call for several examples; `arrays[i]` is stacked where input i is `batched`."""

    op: Op
    case: Case
    arrays: tuple[np.ndarray, ...]
    batched: tuple[bool, ...]

    def example(self, number: int) -> list[np.ndarray]:
        """What one example is called with."""
        pairs = zip(self.arrays, self.batched, strict=True)
        return [array[number] if stacked else array for array, stacked in pairs]

    def __str__(self) -> str:
        types = (Type(x.shape, x.dtype) for x in self.arrays)
        which = [i for i, stacked in enumerate(self.batched) if stacked]
        return f"{self.op.name}({', '.join(map(str, types))}) with inputs {which} batched"


def calls(op: Op) -> Iterator[Call]:
    """Every sample of the op, with every choice of batched inputs (at least one)."""
    drawn = [list(op.sample(np.random.default_rng(seed))) for seed in range(SIZE)]
    for examples in zip(*drawn, strict=True):
        first = examples[0]
        for batched in product((False, True), repeat=len(first.inputs)):
            if any(batched):
                arrays = tuple(
                    np.stack([each.inputs[i] for each in examples]) if stacked else first.inputs[i]
                    for i, stacked in enumerate(batched)
                )
                yield Call(op, first, arrays, batched)


class _Graph(NamedTuple):
    """The op on variables for one example, and the batched variables of those that are batched."""

    xs: list[Node]
    outputs: list[Node]
    leaves: dict[Node, Node]

    def floats(self) -> list[Node]:
        return [x for x in self.xs if is_float(x.dtype)]

    def float_outputs(self) -> list[Node]:
        return [y for y in self.outputs if is_float(y.dtype)]


def _graph(call: Call) -> _Graph:
    xs = variables(call.example(0))
    node = make(call.op, xs, call.case.attrs)
    outputs = parts(node) if isinstance(node.type, Bundle) else [node]
    wide = variables(call.arrays)
    leaves = {x: w for x, w, moves in zip(xs, wide, call.batched, strict=True) if moves}
    return _Graph(xs, outputs, leaves)


def _bound(call: Call, graph: _Graph) -> dict[Node, np.ndarray]:
    nodes = [graph.leaves.get(x, x) for x in graph.xs]
    return dict(zip(nodes, call.arrays, strict=True))


def _stacked(call: Call, graph: _Graph, outputs: Sequence[Node], more: dict) -> list[np.ndarray]:
    """The outputs for each example alone; `more` maps variables to arrays with one row for each."""
    rows = []
    for number in range(SIZE):
        bound = dict(zip(graph.xs, call.example(number), strict=True))
        bound |= {node: array[number] for node, array in more.items()}
        rows.append(run(outputs, bound))
    return [np.stack(column) for column in zip(*rows, strict=True)]


def _same(found: Sequence[np.ndarray], expected: Sequence[np.ndarray], text: str) -> None:
    assert len(found) == len(expected), text
    for mine, theirs in zip(found, expected, strict=True):
        kind = theirs.dtype
        assert (mine.dtype, mine.shape) == (kind, theirs.shape), text
        if is_float(kind):
            mine, theirs = mine.astype(np.float64), theirs.astype(np.float64)
            finite = np.abs(theirs[np.isfinite(theirs)])
            limit = ULPS * float_limits(kind).eps * np.max(finite, initial=1.0)
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=limit, err_msg=text)
        else:
            np.testing.assert_array_equal(mine, theirs, err_msg=text)


# ------------------------------------------------------------------------------- the rules


def values(call: Call) -> None:
    """The batched call gives the single calls, stacked."""
    graph = _graph(call)
    found = run(batch(graph.outputs, graph.leaves, SIZE), _bound(call, graph))
    _same(found, _stacked(call, graph, graph.outputs, {}), str(call))


def differentiable(call: Call) -> bool:
    """Whether float64 goes in and floats come out, with a derivative."""
    if isinstance(call.op.derivative, NoDerivative):
        return False
    graph = _graph(call)
    return bool(graph.floats() and graph.float_outputs())


def tangents(call: Call) -> None:
    """The tangents of the single call, batched, are those of the single calls."""
    graph, rng = _graph(call), np.random.default_rng(1)
    ts, moving, rows = _beside(graph.floats(), rng)
    moved = jvp(graph.float_outputs(), dict(zip(graph.floats(), ts, strict=True)))
    wide = batch(moved, {**graph.leaves, **moving}, SIZE)
    bound = {**_bound(call, graph), **{moving[t]: rows[t] for t in ts}}
    _same(run(wide, bound), _stacked(call, graph, moved, rows), f"tangent of {call}")


def gradients(call: Call) -> None:
    """The gradient batched, and the gradient of the batched call, are the single calls' gradients.

    What all examples share gets the sum of their gradients from the second.
    """
    graph, rng = _graph(call), np.random.default_rng(2)
    gs, moving, rows = _beside(graph.float_outputs(), rng)
    wrt = graph.floats()
    try:
        single = vjp(graph.float_outputs(), gs, wrt)
    except GradientError:
        return  # it has no reverse mode, and says so
    there = [(x, g) for x, g in zip(wrt, single, strict=True) if g is not None]
    expected = _stacked(call, graph, [g for _, g in there], rows)
    bound = {**_bound(call, graph), **{moving[g]: rows[g] for g in gs}}
    after = batch([g for _, g in there], {**graph.leaves, **moving}, SIZE)
    _same(run(after, bound), expected, f"gradient of {call}, then batched")
    targets = [graph.leaves.get(x, x) for x, _ in there]
    before = vjp(batch(graph.float_outputs(), graph.leaves, SIZE), [moving[g] for g in gs], targets)
    sums = [
        each if x in graph.leaves else each.sum(axis=0)
        for (x, _), each in zip(there, expected, strict=True)
    ]
    _same(run(before, bound), sums, f"gradient of batched {call}")


def twice(call: Call) -> None:
    """Batched twice is batched once for all pairs: the first axis is that of the outer batch."""
    graph = _graph(call)
    inner = batch(graph.outputs, graph.leaves, SIZE)
    outer = {w: variable("outer", Type((2, *w.shape), w.dtype)) for w in graph.leaves.values()}
    both = batch(inner, outer, 2)
    again = _bound(call, graph)
    bound = {outer.get(node, node): array for node, array in again.items()}
    for node, wide in outer.items():
        bound[wide] = np.stack([again[node], again[node][::-1]])
    expected = _stacked(call, graph, graph.outputs, {})
    _same(run(both, bound), [np.stack([y, y[::-1]]) for y in expected], f"{call}, twice")


def second_order(call: Call) -> None:
    """The gradient of a weighted gradient, batched: the nodes of derivative rules batch as well."""
    graph, rng = _graph(call), np.random.default_rng(3)
    wrt, gs = graph.floats(), _constants(graph.float_outputs(), rng)
    try:
        first = [g for g in vjp(graph.float_outputs(), gs, wrt) if g is not None]
        again = [g for g in vjp(first, _constants(first, rng), wrt) if g is not None]
    except GradientError:
        return
    found = run(batch(again, graph.leaves, SIZE), _bound(call, graph))
    _same(found, _stacked(call, graph, again, {}), f"second derivative of {call}")


def _constants(nodes: Sequence[Node], rng: np.random.Generator) -> list[Node]:
    return [
        constant(np.asarray(rng.standard_normal(each.shape)).astype(each.dtype)) for each in nodes
    ]


def _beside(
    nodes: Sequence[Node], rng: np.random.Generator
) -> tuple[list[Node], dict[Node, Node], dict[Node, np.ndarray]]:
    """A variable for each node, its batched variable, and a row of numbers for each example."""
    mine = [variable(f"t{i}", each.type) for i, each in enumerate(nodes)]
    wide = {t: variable("wide", Type((SIZE, *t.shape), t.dtype)) for t in mine}
    rows = {t: rng.standard_normal((SIZE, *t.shape)).astype(t.dtype) for t in mine}
    return mine, wide, rows
