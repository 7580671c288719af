"""Steps that make random graphs: each fits its operands together, then applies an op.

Every step works on any operands, because they are cast, broadcast or reduced until they fit.
Decisions are made on exact values only: a comparison of two rounded floats may come out either way
in another executor. So may the rounding to a half dtype: half values that are not exact are
outputs and no operands, for after a few such roundings nothing could be said about a result.
Next: `random_graphs.py`, which makes recipes of steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from kedja.ground.dtypes import (
    ALL,
    FLOATS,
    NUMBERS,
    bool_,
    float16,
    float32,
    is_float,
    is_half,
    is_integer,
    uint32,
)
from kedja.interpret.reference import node_value
from kedja.ir.graph import Node, apply
from kedja.ir.op import TABLE

EXTENTS = (1, 2, 3, 5, 7, 9, 4, 0)
LARGEST = 2000  # elements of one array
TALL = 30.0  # floats above it are squashed, so that no value overflows
WEAK = 1e4  # whole numbers above it are reduced before they become floats


class Step(NamedTuple):
    """One op: the kind, two operands (places in the pool, counted from the newest), a choice."""

    kind: str
    a: int
    b: int
    choice: int


@dataclass
class Graph:
    """Nodes with the values that they have for the leaves' arrays."""

    pool: list[Node] = field(default_factory=list)
    values: dict[Node, np.ndarray] = field(default_factory=dict)
    exact: set[Node] = field(default_factory=set)
    inputs: list[Node] = field(default_factory=list)
    outputs: list[Node] = field(default_factory=list)

    def put(self, name: str, *inputs: Node, **attrs: object) -> Node:
        """A node with its value; exact where it is made of exact values without rounding."""
        node = apply(name, *inputs, **attrs)
        self.values[node] = node_value(node, [self.values[each] for each in inputs])
        if not is_float(node.dtype) or self._is_exact(node):
            self.exact.add(node)
        return node

    def _is_exact(self, node: Node) -> bool:
        if not all(each in self.exact for each in node.inputs):
            return False
        if is_half(node.dtype):  # one rounding of what every executor computes alike
            return node.op.name in KEEPS_EXACT | ROUNDED_ALIKE
        if node.op.name == "cast":
            (before,) = (self.values[each] for each in node.inputs)
            return np.array_equal(self.values[node].astype(before.dtype), before)
        return node.op.name in KEEPS_EXACT

    def full(self, value: float, like: Node, dtype: np.dtype | None = None) -> Node:
        """A scalar in the shape of another node."""
        kind = like.dtype if dtype is None else dtype
        return self.put("full", value=value, shape=like.shape, dtype=kind)

    def bound(self) -> dict[Node, np.ndarray]:
        """The arrays of the inputs."""
        return {node: self.values[node] for node in self.inputs}


KEEPS_EXACT = {
    *("full", "iota", "constant", "input", "copy", "negative", "abs", "relu", "sign", "floor"),
    *("ceil", "round", "trunc", "maximum", "minimum", "where", "max", "min", "take", "reshape"),
    *("transpose", "broadcast", "slice", "flip", "pad", "concatenate", "take_along_axis"),
}
ROUNDED_ALIKE = {"cast", "add", "subtract", "multiply", "divide", "sqrt"}

# ---------------------------------------------------------------- making operands fit an op


def as_float(graph: Graph, x: Node) -> Node:
    """x as float32, small enough for every function; x itself where it is a float."""
    if is_float(x.dtype):
        return x
    if is_integer(x.dtype) and np.abs(graph.values[x].astype(float)).max(initial=0) > WEAK:
        x = graph.put("remainder", x, graph.full(7, x))
    return graph.put("cast", x, dtype=FLOATS[0])


def as_integer(graph: Graph, x: Node) -> Node:
    """x as an integer: the shape's count where x is a float that was rounded."""
    if is_integer(x.dtype):
        return x
    if x.dtype == bool_:
        return graph.put("cast", x, dtype=np.dtype(np.int32))
    if x in graph.exact:
        return graph.put("cast", graph.put("floor", x), dtype=np.dtype(np.int64))
    return counted(graph, x)


def counted(graph: Graph, like: Node) -> Node:
    """The places along the last axis, in the shape of a node."""
    if not like.shape:
        return graph.full(3, like, np.dtype(np.int64))
    axis = len(like.shape) - 1
    return graph.put("iota", shape=like.shape, axis=axis, dtype=np.dtype(np.int64))


def as_exact(graph: Graph, x: Node) -> Node:
    """x where decisions may be made on it, else integers of its shape."""
    return x if x in graph.exact else counted(graph, x)


def as_truth(graph: Graph, x: Node) -> Node:
    """x as a condition."""
    if x.dtype == bool_:
        return x
    x = as_exact(graph, x)
    return graph.put("greater", x, graph.full(1, x))


def as_dtype(graph: Graph, x: Node, dtype: np.dtype) -> Node:
    """x in a dtype, without casts whose result would not be specified."""
    if x.dtype == dtype:
        return x
    if is_float(dtype):
        x = as_float(graph, x)
        return x if x.dtype == dtype else graph.put("cast", x, dtype=dtype)
    if dtype == bool_:
        return as_truth(graph, x)
    x = as_integer(graph, x)
    return x if x.dtype == dtype else graph.put("cast", x, dtype=dtype)


def shaped_like(graph: Graph, x: Node, like: Node) -> Node:
    """x in the shape of another: broadcast, or summed (any, for truth) to a scalar first."""
    if x.shape == like.shape:
        return x
    if not fits(x.shape, like.shape):
        axes = tuple(range(len(x.shape)))
        x = tamed(graph, graph.put("any" if x.dtype == bool_ else "sum", x, axes=axes))
    return graph.put("broadcast", x, shape=like.shape)


def fits(shape: Sequence[int], other: Sequence[int]) -> bool:
    """Whether one shape broadcasts to another."""
    tail = other[len(other) - len(shape) :]
    return len(shape) <= len(other) and all(n in (1, m) for n, m in zip(shape, tail, strict=True))


def tamed(graph: Graph, x: Node) -> Node:
    """x, squashed where it is a float that has grown."""
    if is_float(x.dtype) and np.abs(graph.values[x]).max(initial=0) > TALL:
        return graph.put("tanh", x)
    return x


def pair(graph: Graph, step: Step, dtype: np.dtype | None = None) -> tuple[Node, Node]:
    """Two operands of one dtype and shape."""
    a, b = operand(graph, step.a), operand(graph, step.b)
    a = a if dtype is None else as_dtype(graph, a, dtype)
    return a, shaped_like(graph, as_dtype(graph, b, a.dtype), a)


def operand(graph: Graph, place: int) -> Node:
    """A node of the pool, counted from the newest; whole numbers in place of an inexact half."""
    node = pooled(graph, place)
    inexact = is_half(node.dtype) and node not in graph.exact
    return counted(graph, node) if inexact else node


def pooled(graph: Graph, place: int) -> Node:
    """A node of the pool, counted from the newest."""
    return graph.pool[-1 - place % len(graph.pool)]


def chosen(step: Step, options: Sequence) -> object:
    """One of several, by the step's choice."""
    return options[step.choice % len(options)]


def axis_of(step: Step, x: Node) -> int:
    """An axis of x."""
    return step.choice % len(x.shape)


def axes_of(step: Step, x: Node) -> tuple[int, ...]:
    """Some axes of x: the bits of the step's choice."""
    return tuple(axis for axis in range(len(x.shape)) if step.choice >> axis & 1)


# ------------------------------------------------------------------------- the kinds of steps

SMOOTH = ("tanh", "sigmoid", "sin", "cos", "atan", "erf", "softplus", "silu", "asinh", "negative")
ROUGH = ("abs", "relu", "sign", "floor", "ceil", "round", "trunc")
COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
WHOLE = ("add", "subtract", "multiply", "maximum", "minimum", "bitwise_and", "bitwise_or")
DIVISIONS = ("floor_divide", "remainder", "left_shift", "right_shift")


def smooth(graph: Graph, step: Step) -> Node:
    return graph.put(chosen(step, SMOOTH), as_float(graph, operand(graph, step.a)))


def gelu(graph: Graph, step: Step) -> Node:
    x = as_float(graph, operand(graph, step.a))
    return graph.put("gelu", x, approximate=chosen(step, ("none", "tanh")))


def exponential(graph: Graph, step: Step) -> Node:
    x = graph.put("tanh", as_float(graph, operand(graph, step.a)))
    name = chosen(step, ("exp", "log", "sqrt"))
    return graph.put(name, x if name == "exp" else graph.put("add", x, graph.full(2, x)))


def rough(graph: Graph, step: Step) -> Node:
    x = as_float(graph, operand(graph, step.a))
    return graph.put(chosen(step, ROUGH if x in graph.exact else ROUGH[:2]), x)


def arithmetic(graph: Graph, step: Step) -> Node:
    a, b = pair(graph, step, as_float(graph, operand(graph, step.a)).dtype)
    return graph.put(chosen(step, ("add", "subtract", "multiply")), a, b)


def routing(graph: Graph, step: Step) -> Node:
    a, b = pair(graph, step)
    if a.dtype == bool_:
        return graph.put(chosen(step, ("bitwise_and", "bitwise_or", "bitwise_xor")), a, b)
    return graph.put(chosen(step, ("maximum", "minimum")), a, b)


def quotient(graph: Graph, step: Step) -> Node:
    a, b = pair(graph, step, as_float(graph, operand(graph, step.a)).dtype)
    safe = graph.put("add", graph.put("multiply", b, b), graph.full(1, b))
    return graph.put("divide", a, safe)


def whole(graph: Graph, step: Step) -> Node:
    a, b = pair(graph, step, as_integer(graph, operand(graph, step.a)).dtype)
    return graph.put(chosen(step, WHOLE), a, b)


def division(graph: Graph, step: Step) -> Node:
    x = as_integer(graph, operand(graph, step.a))
    name = chosen(step, DIVISIONS)
    return graph.put(name, x, graph.full(1 + step.b % 7, x))


def comparison(graph: Graph, step: Step) -> Node:
    a = as_exact(graph, operand(graph, step.a))
    a = as_integer(graph, a) if a.dtype == bool_ else a
    b = as_exact(graph, operand(graph, step.b))
    b = shaped_like(graph, as_dtype(graph, b, a.dtype), a)
    b = b if b in graph.exact else graph.full(1, a)
    return graph.put(chosen(step, COMPARISONS), a, b)


def logic(graph: Graph, step: Step) -> Node:
    x = as_truth(graph, operand(graph, step.a))
    return graph.put("logical_not", x)


def where(graph: Graph, step: Step) -> Node:
    a, b = pair(graph, step)
    condition = as_truth(graph, operand(graph, step.choice))
    return graph.put("where", shaped_like(graph, condition, a), a, b)


def casting(graph: Graph, step: Step) -> Node:
    return as_dtype(graph, operand(graph, step.a), chosen(step, ALL))


def reduction(graph: Graph, step: Step) -> Node:
    x = operand(graph, step.a)
    axes = axes_of(step, x)
    if x.dtype == bool_:
        return graph.put(chosen(step, ("any", "all")), x, axes=axes)
    empty = any(x.shape[axis] == 0 for axis in axes)
    name = "sum" if empty else ("sum", "max", "min", "sum")[step.b % 4]
    return graph.put(name, x, axes=axes)


def normalised(graph: Graph, step: Step) -> Node:
    x = as_float(graph, operand(graph, step.a))
    axes = axes_of(step, x)
    if any(x.shape[axis] == 0 for axis in axes):
        return graph.put("sigmoid", x)
    return graph.put(("softmax", "log_softmax", "logsumexp")[step.b % 3], x, axes=axes)


def extremum_place(graph: Graph, step: Step) -> Node:
    x = as_exact(graph, operand(graph, step.a))
    if x.dtype == bool_ or not x.shape or x.shape[axis_of(step, x)] == 0:
        return as_integer(graph, x)
    return graph.put(("argmax", "argmin")[step.b % 2], x, axis=axis_of(step, x))


def reshape(graph: Graph, step: Step) -> Node:
    x = operand(graph, step.a)
    size = math.prod(x.shape)
    small = next((n for n in (5, 3, 2) if size and size % n == 0), 1)
    forms = [(size,), (small, size // small), (*x.shape, 1), (1, *x.shape), (size // small, small)]
    return graph.put("reshape", x, shape=next(f for f in forms[step.choice % 5 :] if len(f) <= 5))


def transpose(graph: Graph, step: Step) -> Node:
    x = operand(graph, step.a)
    order = np.random.default_rng(step.choice).permutation(len(x.shape))
    return graph.put("transpose", x, axes=tuple(int(axis) for axis in order))


def broadcast(graph: Graph, step: Step) -> Node:
    x = operand(graph, step.a)
    extent = EXTENTS[step.choice % 6]
    shape = tuple(extent if n == 1 else n for n in x.shape)
    if len(shape) < 4 and step.b % 2:
        shape = (extent, *shape)
    return x if math.prod(shape) > LARGEST else graph.put("broadcast", x, shape=shape)


def slicing(graph: Graph, step: Step) -> Node:
    x, rng = operand(graph, step.a), np.random.default_rng(step.choice)
    starts = tuple(int(rng.integers(0, n + 1)) for n in x.shape)
    stops = tuple(int(rng.integers(0, n + 1)) for n in x.shape)
    starts, stops = (tuple(map(end, zip(starts, stops, strict=True))) for end in (min, max))
    steps = tuple(int(rng.integers(1, 4)) for _ in x.shape)
    return graph.put("slice", x, starts=starts, stops=stops, steps=steps)


def flip(graph: Graph, step: Step) -> Node:
    x = operand(graph, step.a)
    return graph.put("flip", x, axes=axes_of(step, x))


def padding(graph: Graph, step: Step) -> Node:
    x, rng = operand(graph, step.a), np.random.default_rng(step.choice)
    low, high, interior = (tuple(int(n) for n in rng.integers(0, 3, len(x.shape))) for _ in "lhi")
    shape = TABLE["pad"].type(x.type, low=low, high=high, interior=interior, value=0).shape
    if math.prod(shape) > LARGEST:
        return x
    return graph.put("pad", x, low=low, high=high, interior=interior, value=step.b % 2)


def joining(graph: Graph, step: Step) -> Node:
    a, b = pair(graph, step)
    if not a.shape:
        a, b = (graph.put("reshape", each, shape=(1,)) for each in (a, b))
    if 3 * math.prod(a.shape) > LARGEST:
        return a
    parts = (a, b, a)[: 1 + step.b % 3]
    return graph.put("concatenate", *parts, axis=axis_of(step, a))


def product(graph: Graph, step: Step) -> Node:
    """a bᵀ of two operands of one shape (batched where they have more axes)."""
    a, b = pair(graph, step)
    if a.dtype == bool_:
        return a
    while len(a.shape) < 2:
        a, b = (graph.put("reshape", each, shape=(1, *each.shape)) for each in (a, b))
    if a.dtype == float16 and a.shape[-1] > 64:  # its sums would overflow
        a, b = (graph.put("cast", each, dtype=float32) for each in (a, b))
    rank = len(a.shape)
    axes = (*range(rank - 2), rank - 1, rank - 2)
    left, right = (a, b) if step.choice % 2 else (b, a)
    flipped = graph.put("transpose", right, axes=axes)
    return graph.put("matmul", *((left, flipped) if step.choice % 3 else (flipped, left)))


def index_into(graph: Graph, place: int, extent: int) -> Node:
    """Integers of the pool, brought into an axis."""
    index = as_integer(graph, operand(graph, place))
    limit = min(extent, 100)
    return graph.put("remainder", index, graph.full(limit, index))


def taking(graph: Graph, step: Step) -> Node:
    x = operand(graph, step.a)
    if not x.shape or x.shape[axis_of(step, x)] == 0:
        return x
    axis = axis_of(step, x)
    index = index_into(graph, step.b, x.shape[axis])
    if math.prod(x.shape) * index.type.size > LARGEST or len(x.shape) + len(index.shape) > 5:
        index = graph.full(x.shape[axis] - 1, graph.put("full", value=0, shape=(2,), dtype=uint32))
    return graph.put("take", x, index, axis=axis)


def scattering(graph: Graph, step: Step) -> Node:
    x = operand(graph, step.a)
    if not x.shape or x.dtype == bool_ or x.shape[axis_of(step, x)] == 0:
        return x
    axis = axis_of(step, x)
    like = graph.put(
        "slice", x, starts=(0,) * len(x.shape), stops=x.shape, steps=(1,) * len(x.shape)
    )
    if step.b % 2:
        index = graph.put(
            "remainder", counted(graph, like), graph.full(2, like, np.dtype(np.int64))
        )
        index = graph.put("minimum", index, graph.full(x.shape[axis] - 1, index))
        return graph.put("scatter_add_along_axis", x, index, like, axis=axis)
    line = graph.put("iota", shape=(x.shape[axis],), axis=0, dtype=np.dtype(np.int32))
    index = graph.put("floor_divide", line, graph.full(2, line))
    return graph.put("scatter_add", x, index, like, axis=axis)


def along(graph: Graph, step: Step) -> Node:
    x = operand(graph, step.a)
    if not x.shape or x.shape[axis_of(step, x)] == 0:
        return x
    axis = axis_of(step, x)
    index = graph.put(
        "remainder", counted(graph, x), graph.full(x.shape[axis], x, np.dtype(np.int64))
    )
    return graph.put("take_along_axis", x, index, axis=axis)


def encoding(graph: Graph, step: Step) -> Node:
    count = EXTENTS[step.choice % 6]
    index = index_into(graph, step.a, count)
    if len(index.shape) > 3 or index.type.size * count > LARGEST:
        return index
    return graph.put("one_hot", index, count=count, dtype=NUMBERS[step.b % len(NUMBERS)])


def random_words(graph: Graph, step: Step) -> Node:
    key = graph.put("constant", value=np.array([step.a, step.b], np.uint32))
    like = operand(graph, step.choice)
    return graph.put("random_bits", key, shape=like.shape, word=step.choice % 2)


KINDS: dict[str, Callable[[Graph, Step], Node]] = {
    **dict.fromkeys(("smooth", "smooth "), smooth),
    **dict.fromkeys(("arithmetic", "arithmetic "), arithmetic),
    **{
        each.__name__: each
        for each in (
            *(gelu, exponential, rough, routing, quotient, whole, division, comparison, logic),
            *(where, casting, reduction, normalised, extremum_place, reshape, transpose),
            *(broadcast, slicing, flip, padding, joining, product, taking, scattering, along),
            *(encoding, random_words),
        )
    },
}
SMOOTH_KINDS = (
    *("smooth", "gelu", "exponential", "arithmetic", "quotient", "where", "normalised"),
    *("reshape", "transpose", "broadcast", "slicing", "flip", "padding", "joining", "product"),
    *("taking", "scattering", "along", "smooth_sum"),
)


def smooth_sum(graph: Graph, step: Step) -> Node:
    """A sum over some axes: the one reduction without a kink."""
    x = as_float(graph, operand(graph, step.a))
    return graph.put("sum", x, axes=axes_of(step, x))


KINDS["smooth_sum"] = smooth_sum
