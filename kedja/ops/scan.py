"""Loops as ops: `scan`, a fixed number of steps over arrays, and `while_loop`.

    scan        (carry, x_i, constants) -> (carry, y_i) for each i; the y_i are stacked
    while_loop  (carry, constants) -> carry, as long as a condition holds

Reverse mode of a scan is a scan the other way round. What its body needs of the way there is saved
by a scan that gives more outputs than the first (`base` names the body that it extends), and takes
the first one's place (`kedja/compiler/inline.py`). Next: `kedja/autodiff`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kedja.ground.dtypes import bool_, float64
from kedja.ground.errors import GradientError, ShapeError
from kedja.ir.graph import Graph, Node, apply, parts, topological, variable
from kedja.ir.op import Bundle, Case, Inner, Leaf, Reindex, Type, register
from kedja.ops.inner import (
    chosen_rows,
    closed,
    dependent,
    floats,
    fresh,
    inner,
    kept,
    or_zeros,
    require_inputs,
    spread,
    tangent_graph,
    zeros,
)

Some = Sequence[Node | None]


class Split(NamedTuple):
    """What belongs to the carry, to the sequences, and to the constants."""

    carry: list[Any]
    xs: list[Any]
    constants: list[Any]


def split(values: Sequence[Any], carries: int, sequences: int) -> Split:
    """The inputs of a scan, or of its body, by their roles."""
    end = carries + sequences
    return Split(list(values[:carries]), list(values[carries:end]), list(values[end:]))


def stacked(kind: Type, length: int) -> Type:
    """The type with an axis of `length` in front."""
    return Type((length, *kind.shape), kind.dtype)


def scan_type(
    *given: Type,
    body: Graph,
    carries: int,
    sequences: int,
    length: int,
    reverse: bool,
    base: Graph | None = None,
) -> Bundle:
    """The last carry, and every y with an axis of `length` in front."""
    carry, xs, constants = split(given, carries, sequences)
    for place, each in enumerate(xs):
        if not each.shape or each.shape[0] != length:
            raise ShapeError(f"scan: sequence {place} is {each}, the length is {length}")
    steps = [Type(each.shape[1:], each.dtype) for each in xs]
    require_inputs("scan", body.input_types, [*carry, *steps, *constants])
    after, ys = body.output_types[:carries], body.output_types[carries:]
    if list(after) != carry:
        both = " becomes ".join(", ".join(map(str, each)) for each in (carry, after))
        raise ShapeError(f"scan: the carry {both}", fix="a step keeps the types of its carry")
    return Bundle((*carry, *(stacked(each, length) for each in ys)))


def numpy_scan(
    run: Any,
    *given: np.ndarray,
    body: Graph,
    carries: int,
    sequences: int,
    length: int,
    reverse: bool,
    base: Graph | None = None,
) -> tuple[np.ndarray, ...]:
    """The steps one after the other."""
    carry, xs, constants = split(given, carries, sequences)
    kinds = [stacked(each, length) for each in body.output_types[carries:]]
    ys = [np.empty(each.shape, each.dtype) for each in kinds]
    for i in range(length)[:: -1 if reverse else 1]:
        found = run(body, [*carry, *(x[i] for x in xs), *constants])
        carry = found[:carries]
        for whole, y in zip(ys, found[carries:], strict=True):
            whole[i] = y
    return (*carry, *ys)


def xla_scan(
    x: Any,
    *given: Any,
    body: Graph,
    carries: int,
    sequences: int,
    length: int,
    reverse: bool,
    base: Graph | None = None,
) -> tuple[Any, ...]:
    """lax.scan."""
    carry, xs, constants = split(given, carries, sequences)

    def step(state: Any, slices: Any) -> Any:
        found = x.run(body, [*state, *slices, *constants])
        return tuple(found[:carries]), tuple(found[carries:])

    last, ys = x.lax.scan(step, tuple(carry), tuple(xs), length=length, reverse=reverse)
    return (*last, *ys)


# ----------------------------------------------------------------------------- forward mode


def forward_scan(d: Any, node: Node, tangents: Some) -> list[Node | None]:
    """One scan with the tangents beside the values; every float of the carry moves."""
    attrs, body = node.attrs, node.attrs["body"]
    n, m = attrs["carries"], attrs["sequences"]
    moves = [t is not None for t in tangents]
    carry_moves = floats(node.inputs[:n])
    moving = [*carry_moves, *moves[n:]]
    out = floats(body.outputs)
    joint = _in_roles(tangent_graph(d, body, moving, out), n, m, moving, out)
    starts = kept(or_zeros(tangents[:n], node.inputs[:n]), carry_moves)
    old, new = split(node.inputs, n, m), split([*starts, *kept(tangents[n:], moves[n:])], *joint[1])
    inputs = [v for a, b in zip(old, new, strict=True) for v in (*a, *b)]
    again = apply(
        "scan",
        *inputs,
        body=joint[0],
        carries=n + joint[1][0],
        sequences=m + joint[1][1],
        length=attrs["length"],
        reverse=attrs["reverse"],
    )
    found = parts(again)
    carries = n + joint[1][0]
    ys = len(body.outputs) - n
    moved = [*found[n:carries], *found[carries + ys :]]
    return spread(moved, out)


def _in_roles(
    graph: Graph, n: int, m: int, moving: Sequence[bool], out: Sequence[bool]
) -> tuple[Graph, tuple[int, int]]:
    """Inputs and outputs of a tangent graph sorted into carry, sequences and constants."""
    count = len(moving)
    mine, tangents = graph.inputs[:count], graph.inputs[count:]
    extra = (sum(moving[:n]), sum(moving[n : n + m]))
    pairs = zip(split(mine, n, m), split(tangents, *extra), strict=True)
    inputs = [node for a, b in pairs for node in (*a, *b)]
    values, moved = graph.outputs[: len(out)], graph.outputs[len(out) :]
    cut = sum(out[:n])
    outputs = (*values[:n], *moved[:cut], *values[n:], *moved[cut:])
    return Graph(tuple(inputs), outputs), extra


# ----------------------------------------------------------------------------- reverse mode


class Backward(NamedTuple):
    """The step back as a graph, and the values of the step there that it looks at."""

    cotangents: list[Node]
    saved: list[Node]


def reverse_scan(d: Any, node: Node, gs: Some, wanted: Sequence[bool]) -> list[Node | None]:
    """A scan the other way round: cotangents of the carry come back, constants' are added up."""
    wanted = [w and f for w, f in zip(wanted, floats(node.inputs), strict=True)]
    way = _way_back(d, node, gs, wanted)
    again = parts(way.node)
    cut, sums = way.carried, way.summed
    carry_back = spread(again[:cut], floats(node.inputs[: node.attrs["carries"]]))
    want = split(wanted, node.attrs["carries"], node.attrs["sequences"])
    constants_back = spread(again[cut : cut + sums], want.constants)
    return [*carry_back, *spread(again[cut + sums :], want.xs), *constants_back]


class WayBack(NamedTuple):
    """The scan back, and how many of its carries are cotangents and sums of cotangents."""

    node: Node
    carried: int
    summed: int


def _way_back(d: Any, node: Node, gs: Some, wanted: Sequence[bool]) -> WayBack:
    attrs, body = node.attrs, node.attrs["body"]
    n, m = attrs["carries"], attrs["sequences"]
    roles, want = split(body.inputs, n, m), split(wanted, n, m)
    moving, given = floats(roles.carry), [g is not None for g in gs[n:]]
    outs = [*kept(body.outputs[:n], moving), *kept(body.outputs[n:], given)]
    cots = fresh(outs, "g")
    constants = kept(roles.constants, want.constants)
    targets = [*kept(roles.carry, moving), *kept(roles.xs, want.xs), *constants]
    found = d.vjp(outs, cots, targets) if outs else [None] * len(targets)
    back = Backward(or_zeros(found, targets), _saved(found, body, n + m))
    cut, stop = sum(moving), len(targets) - len(constants)
    sums = fresh(constants, "sum")
    totals = [a + b for a, b in zip(sums, back.cotangents[stop:], strict=True)]
    saved = _extended(node, [each for each in back.saved if each not in body.inputs[n:]])
    through = [each for each in back.saved if each in roles.xs]
    step = closed(
        [*cots[:cut], *sums, *saved, *through, *cots[cut:], *roles.constants],
        [*back.cotangents[:cut], *totals, *back.cotangents[cut:stop]],
    )
    where = dict(zip(body.inputs, node.inputs, strict=True))
    start = [*kept(or_zeros(gs[:n], node.inputs[:n]), moving), *zeros(x.type for x in sums)]
    xs = [*saved.values(), *(where[each] for each in through), *kept(gs[n:], given)]
    again = apply(
        "scan",
        *start,
        *xs,
        *node.inputs[n + m :],
        body=step,
        carries=len(start),
        sequences=len(xs),
        length=attrs["length"],
        reverse=not attrs["reverse"],
    )
    return WayBack(again, cut, len(sums))


def _saved(cotangents: Some, body: Graph, changing_inputs: int) -> list[Node]:
    """The values of the step there that the step back needs, and that change from step to step.

    What is only moved, given, or the same in every step is computed where it is needed.
    """
    changing = dependent(body.outputs, body.inputs[:changing_inputs])
    there = set(topological(body.outputs)) | set(body.inputs)
    saved: dict[Node, None] = {}
    seen: set[Node] = set()
    todo = [node for node in cotangents if node is not None]
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in there and node in changing and not _is_free(node):
            saved[node] = None
        else:
            todo.extend(node.inputs)
    return [node for node in topological([*body.outputs, *saved]) if node in saved]


def _is_free(node: Node) -> bool:
    """Whether a value is a place in another one, so that keeping it would be a copy."""
    movement = isinstance(node.op.lowering, Reindex) and len(node.inputs) == 1
    return (movement or isinstance(node.op.lowering, Leaf)) and node.op.name != "input"


def _extended(node: Node, saved: Sequence[Node]) -> dict[Node, Node]:
    """New inputs that stand for saved values -> these values of all steps, stacked."""
    attrs, body = node.attrs, node.attrs["body"]
    if not saved:
        return {}
    more = {**attrs, "body": Graph(body.inputs, (*body.outputs, *saved)), "base": body}
    found = parts(apply("scan", *node.inputs, **more))[len(body.outputs) :]
    return dict(zip(saved, found, strict=True))


# ---------------------------------------------------------------------------------- batching


def batch_scan(b: Any, node: Node, inputs: Sequence[Node], batched: Any, size: int) -> Node:
    """Every carry is batched; sequences keep their steps in front."""
    attrs = node.attrs
    n, m = attrs["carries"], attrs["sequences"]
    flags = split(batched, n, m)
    given = split(inputs, n, m)
    carry = [
        x if is_batched else b.front(x, size)
        for x, is_batched in zip(given.carry, flags.carry, strict=True)
    ]
    xs = [
        _swapped(x) if is_batched else x for x, is_batched in zip(given.xs, flags.xs, strict=True)
    ]
    body = b.graph(attrs["body"], [*[True] * n, *flags.xs, *flags.constants], size)
    more = {**attrs, "body": body, "base": None}
    found = parts(apply("scan", *carry, *xs, *given.constants, **more))
    return apply("bundle", *found[:n], *(_swapped(y) for y in found[n:]))


def _swapped(x: Node) -> Node:
    """The first two axes exchanged."""
    return apply("transpose", x, axes=(1, 0, *range(2, len(x.shape))))


# -------------------------------------------------------------------------------- while_loop


def while_type(*given: Type, condition: Graph, body: Graph, carries: int) -> Bundle:
    """The carry keeps its types."""
    for graph in (condition, body):
        require_inputs("while_loop", graph.input_types, given)
    if condition.output_types != (Type((), bool_),):
        raise ShapeError(
            f"while_loop: the condition gives {', '.join(map(str, condition.output_types))}",
            fix="a scalar truth value: reduce it with any or all",
        )
    if body.output_types != given[:carries]:
        both = (given[:carries], body.output_types)
        text = " becomes ".join(", ".join(map(str, each)) for each in both)
        raise ShapeError(f"while_loop: the carry {text}", fix="a step keeps the types of its carry")
    return Bundle(given[:carries])


def numpy_while(
    run: Any, *given: np.ndarray, condition: Graph, body: Graph, carries: int
) -> tuple[np.ndarray, ...]:
    """Steps as long as the condition holds."""
    carry, constants = list(given[:carries]), given[carries:]
    while run(condition, [*carry, *constants])[0]:
        carry = run(body, [*carry, *constants])
    return tuple(carry)


def xla_while(x: Any, *given: Any, condition: Graph, body: Graph, carries: int) -> tuple[Any, ...]:
    """lax.while_loop."""
    constants = given[carries:]
    result: tuple[Any, ...] = x.lax.while_loop(
        lambda carry: x.run(condition, [*carry, *constants])[0],
        lambda carry: tuple(x.run(body, [*carry, *constants])),
        tuple(given[:carries]),
    )
    return result


def forward_while(d: Any, node: Node, tangents: Some) -> list[Node | None]:
    """The loop with the tangents in its carry; the condition looks at the values."""
    attrs, body = node.attrs, node.attrs["body"]
    n = attrs["carries"]
    carry_moves = floats(node.inputs[:n])
    moves = [t is not None for t in tangents[n:]]
    moving = [*carry_moves, *moves]
    graph, (extra, _) = _in_roles(
        tangent_graph(d, body, moving, carry_moves), n, 0, moving, carry_moves
    )
    unused = fresh(graph.inputs[n : n + extra], "t")
    old = attrs["condition"].inputs
    more = fresh(graph.inputs[n + extra + len(old) - n :], "t")
    condition = Graph((*old[:n], *unused, *old[n:], *more), attrs["condition"].outputs)
    starts = kept(or_zeros(tangents[:n], node.inputs[:n]), carry_moves)
    again = apply(
        "while_loop",
        *node.inputs[:n],
        *starts,
        *node.inputs[n:],
        *kept(tangents[n:], moves),
        condition=condition,
        body=graph,
        carries=n + extra,
    )
    return spread(parts(again)[n:], carry_moves)


def reverse_while(d: Any, node: Node, gs: Some, wanted: Sequence[bool]) -> list[Node | None]:
    """There is none: how much would have to be kept is not known beforehand."""
    raise GradientError(
        "reverse mode through while_loop, whose number of steps is not known beforehand",
        where=str(node.source) if node.source else None,
        fix="use kj.scan with a fixed number of steps, or forward mode (kj.jvp, kj.jacfwd)",
    )


def batch_while(b: Any, node: Node, inputs: Sequence[Node], batched: Any, size: int) -> Node:
    """All examples run until the last has finished; those that have finished keep their carry."""
    attrs, n = node.attrs, node.attrs["carries"]
    carry = [
        x if is_batched else b.front(x, size)
        for x, is_batched in zip(inputs[:n], batched[:n], strict=True)
    ]
    flags = [*[True] * n, *batched[n:]]
    condition, body = (b.graph(attrs[name], flags, size) for name in ("condition", "body"))
    (goes,) = condition.outputs
    any_goes = Graph(condition.inputs, (apply("any", goes, axes=(0,)),))
    (going,) = condition.inline(body.inputs)
    held = [
        chosen_rows(going, new, old) for new, old in zip(body.outputs, body.inputs[:n], strict=True)
    ]
    again = Graph(body.inputs, tuple(held))
    return apply("while_loop", *carry, *inputs[n:], condition=any_goes, body=again, carries=n)


# ----------------------------------------------------------------------------------- samples


def _decay() -> Graph:
    """carry ← carry·c + x, y = carry²."""
    carry, x, c = (variable(name, Type((2,), float64)) for name in ("carry", "x", "c"))
    after = carry * c + x
    return Graph((carry, x, c), (after, after * after))


def sample_scan(rng: np.random.Generator) -> Sequence[Case]:
    """Forwards and backwards, and no steps at all."""
    cases = []
    for length, backwards in ((4, False), (3, True), (1, False)):
        arrays = (rng.uniform(-1, 1, 2), rng.uniform(-1, 1, (length, 2)), rng.uniform(-1, 1, 2))
        attrs = {"carries": 1, "sequences": 1, "length": length, "reverse": backwards}
        cases.append(Case(arrays, {"body": _decay(), **attrs}))
    return cases


def sample_while(rng: np.random.Generator) -> Sequence[Case]:
    """Doubling until the sum of absolute values reaches 8."""
    x = variable("x", Type((2,), float64))
    total = apply("sum", apply("abs", x), axes=(0,))
    eight = apply("full", value=8.0, shape=(), dtype=float64)
    condition = Graph((x,), (apply("less", total, eight),))
    attrs = {"condition": condition, "body": Graph((x,), (x + x,)), "carries": 1}
    return [Case((rng.uniform(0.1, 1, 2),), attrs)]


register(
    (
        inner(
            "scan",
            type=scan_type,
            numpy=numpy_scan,
            derivative=Inner(forward_scan, reverse_scan),
            batch=batch_scan,
            xla=xla_scan,
            sample=sample_scan,
            gate="the gradient goes back through the steps, the last one first",
        ),
        inner(
            "while_loop",
            type=while_type,
            numpy=numpy_while,
            derivative=Inner(forward_while, reverse_while),
            batch=batch_while,
            xla=xla_while,
            sample=sample_while,
            gate="forward mode only",
        ),
    ),
    "scan",
)
