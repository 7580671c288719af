"""Scatter: updates that meet the elements of an axis at places that an index names.

Beside `scatter_add` (`indexing.py`): `scatter_set` (the last update of a place wins),
`scatter_max`, `scatter_min` and `scatter_multiply`, along an axis (the index as that of `take`) or
element by element (`…_along_axis`). Not here: several indices at once, which the front turns into
one by flattening axes. Next: `sorting.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kedja.ground.dtypes import ALL, NUMBERS, int64
from kedja.ground.errors import ShapeError
from kedja.ir.graph import Node, apply, full, zeros_like
from kedja.ir.op import (
    BatchRule,
    Case,
    Derivative,
    Forward,
    Kernel,
    Linear,
    Op,
    Rule,
    Shape,
    Type,
    register,
)
from kedja.ops.batching import moved
from kedja.ops.indexing import (
    along_type,
    checked,
    sample_along,
    sample_take,
    take_type,
    with_updates,
)
from kedja.ops.samples import Sampler
from kedja.ops.types import TypeRule, require_dtype

Tangents = Sequence[Node | None]

# ------------------------------------------------------------------------------------ types


def scattered_type(name: str, allowed: Sequence[np.dtype], along: bool) -> TypeRule:
    """The base's type; the updates have the type of what `take` would read at the index."""

    def rule(x: Type, index: Type, updates: Type, *, axis: int) -> Type:
        require_dtype(name, x.dtype, allowed)
        require_dtype(f"{name}'s updates", updates.dtype, (x.dtype,))
        expected = (along_type if along else take_type)(x, index, axis=axis)
        if updates != expected:
            raise ShapeError(f"{name} of {updates} where {expected} fits")
        return x

    return rule


# ---------------------------------------------------------------------------- NumPy meanings


def places(x: np.ndarray, index: np.ndarray, axis: int, name: str, along: bool) -> Any:
    """What NumPy calls the places of all updates, in the order of the updates."""
    inside = checked(index, x.shape[axis], name)
    if not along:
        return (*(slice(None),) * axis, inside)
    grid: list[np.ndarray] = list(np.indices(index.shape, sparse=True))
    grid[axis] = inside
    return tuple(grid)


def numpy_combining(name: str, function: np.ufunc, along: bool) -> Callable[..., np.ndarray]:
    """`function.at`, update by update."""

    def call(x: np.ndarray, index: np.ndarray, updates: np.ndarray, *, axis: int) -> np.ndarray:
        out = x.copy()
        with np.errstate(all="ignore"):
            function.at(out, places(x, index, axis, name, along), updates)
        return out

    return call


def numpy_set(name: str, along: bool) -> Callable[..., np.ndarray]:
    """The base with the last update of each place in its stead.

    NumPy leaves open which of several assignments to one place is the last, so their order is
    compared.
    """

    def call(x: np.ndarray, index: np.ndarray, updates: np.ndarray, *, axis: int) -> np.ndarray:
        if index.size == 0:
            return x.copy()
        flat = index if along else index.reshape(-1)
        shape = x.shape if along else x.shape[axis : axis + 1]
        line = axis if along else 0
        last = np.full(shape, -1, np.int64)
        np.maximum.at(last, places(last, flat, line, name, along), _along_line(flat.shape, line))
        if not along:
            last = last.reshape([-1 if a == axis else 1 for a in range(x.ndim)])
            updates = updates.reshape(*x.shape[:axis], -1, *x.shape[axis + 1 :])
        chosen = np.take_along_axis(updates, np.broadcast_to(np.maximum(last, 0), x.shape), axis)
        return np.where(last >= 0, chosen, x)

    return call


def _along_line(shape: Shape, axis: int) -> np.ndarray:
    """0, 1, 2 … along one axis, to be broadcast along the others."""
    line = np.arange(shape[axis])
    return np.broadcast_to(line.reshape([-1 if a == axis else 1 for a in range(len(shape))]), shape)


# ------------------------------------------------------------------------------- derivatives


class Family:
    """The ops on the same kind of index: what reads at the places, what adds there …"""

    def __init__(self, along: bool) -> None:
        self.along = along
        self.tail = "_along_axis" if along else ""

    def read(self, x: Node, node: Node) -> Node:
        """The elements of x at the places of a scatter."""
        return apply(f"take{self.tail}", x, node.inputs[1], axis=node.attrs["axis"])

    def scatter(self, mode: str, x: Node, updates: Node, node: Node) -> Node:
        """Another scatter at the same places."""
        axis = node.attrs["axis"]
        return apply(f"scatter_{mode}{self.tail}", x, node.inputs[1], updates, axis=axis)

    def add(self, x: Node | None, updates: Node | None, node: Node) -> Node:
        """x with updates added, either of which may be zero everywhere."""
        if updates is None:
            return zeros_like(node) if x is None else x
        return self.scatter("add", zeros_like(node) if x is None else x, updates, node)


def back_overwritten(family: Family) -> Rule:
    """The base gets the gradient of what was not overwritten."""

    def rule(g: Node, node: Node) -> Node:
        return family.scatter("set", g, zeros_like(node.inputs[2]), node)

    return rule


def back_set(family: Family) -> Rule:
    """The last update of each place gets the gradient there; overwritten ones get none."""

    def rule(g: Node, node: Node) -> Node:
        there = family.read(g, node)
        return apply("where", winners(family, node), there, zeros_like(there))

    return rule


def winners(family: Family, node: Node) -> Node:
    """Which updates of a `scatter_set` are the last of their place, in the updates' shape."""
    x, index, updates = node.inputs
    axis = node.attrs["axis"]
    if family.along:
        order = apply("iota", shape=index.shape, axis=axis, dtype=int64)
        return apply("equal", order, family.read(_last(family, node, x.shape, order), node))
    flat = apply("reshape", index, shape=(index.type.size,))
    order = apply("iota", shape=flat.shape, axis=0, dtype=int64)
    nowhere = full(0, x.shape[axis : axis + 1], int64)
    last = apply("scatter_set", nowhere, flat, order, axis=0)
    wins = apply("equal", order, apply("take", last, flat, axis=0))
    after = len(x.shape) - axis - 1
    wide = apply("reshape", wins, shape=(*index.shape, *(1,) * after))
    return apply("broadcast", wide, shape=updates.shape)


def _last(family: Family, node: Node, shape: Shape, order: Node) -> Node:
    """For each element, the number of the last update that reached it (0 where none did)."""
    return family.scatter("set", full(0, shape, int64), order, node)


def forward_extremum(family: Family) -> Rule:
    """The mean tangent of those that attain the extremum, the base among them."""

    def rule(node: Node, tangents: Tangents) -> Node:
        x, _, updates = node.inputs
        base_hits = apply("cast", apply("equal", x, node), dtype=x.dtype)
        hits = apply("equal", updates, family.read(node, node))
        update_hits = apply("cast", hits, dtype=x.dtype)
        moved = _times(tangents[0], base_hits), _times(tangents[2], update_hits)
        return family.add(*moved, node) / family.add(base_hits, update_hits, node)

    return rule


def _times(tangent: Node | None, factor: Node) -> Node | None:
    return None if tangent is None else tangent * factor


def forward_product(family: Family) -> Rule:
    """dy = W·P·Σ t/u + P·dW, with P the product of the factors that are not 0, W of those that are.

    W is 1 where no factor is 0; one factor z gives W = z, two give z₁·z₂ = ((Σz)² − Σz²)/2, more
    give 0 up to the second derivative. So both derivatives are right at zeros, too.
    """

    def rule(node: Node, tangents: Tangents) -> Node:
        x, _, updates = node.inputs
        parts = [_Factors(each, t) for each, t in zip((x, updates), tangents[::2], strict=True)]
        base, factors = parts
        product = family.scatter("multiply", base.others, factors.others, node)
        count = family.add(base.count, factors.count, node)
        total = family.add(base.zeros, factors.zeros, node)
        squares = family.add(base.zeros * base.zeros, factors.zeros * factors.zeros, node)
        pair = 0.5 * (total * total - squares)
        nothing = zeros_like(node)
        weight = _by_count(count, full(1, node.shape, node.dtype), total, pair)
        moved = family.add(base.moved_zeros, factors.moved_zeros, node)
        crossed = family.add(base.moved_squares, factors.moved_squares, node)
        weight_moved = _by_count(count, nothing, moved, total * moved - crossed)
        ratio = family.add(base.ratio, factors.ratio, node)
        return weight * product * ratio + product * weight_moved

    return rule


class _Factors:
    """Factors parted into those that are 0 and the others, with their tangents."""

    def __init__(self, x: Node, tangent: Node | None) -> None:
        nothing = zeros_like(x)
        zero = apply("equal", x, nothing)
        self.count = apply("cast", zero, dtype=x.dtype)
        self.zeros = apply("where", zero, x, nothing)
        self.others = apply("where", zero, full(1, x.shape, x.dtype), x)
        self.moved_zeros = self.moved_squares = self.ratio = None
        if tangent is not None:
            self.moved_zeros = apply("where", zero, tangent, nothing)
            self.moved_squares = self.zeros * self.moved_zeros
            self.ratio = apply("where", zero, nothing, tangent) / self.others


def _by_count(count: Node, none: Node, one: Node, two: Node) -> Node:
    """`none`, `one` or `two` as the count of zeros says, and 0 beyond."""
    result = zeros_like(none)
    for number, value in ((2, two), (1, one), (0, none)):
        counted = apply("equal", count, full(number, count.shape, count.dtype))
        result = apply("where", counted, value, result)
    return result


# ---------------------------------------------------------------------------------- batching


def batch_scatter(
    b: Any, node: Node, inputs: Sequence[Node], batched: Sequence[bool], size: int
) -> Node:
    """With one index for all examples the axis moves on by one; else examples are laid side by
    side along the axis, each with an index of its own (held inside its part)."""
    (x, index, updates), axis, name = inputs, node.attrs["axis"], node.op.name
    x, updates = (
        each if has else b.front(each, size)
        for each, has in ((x, batched[0]), (updates, batched[2]))
    )
    if not batched[1]:
        return apply(name, x, index, updates, axis=axis + 1)
    side, inner = axis + 1, lead_to(len(x.shape), axis)
    extent = x.shape[side]
    line = apply("transpose", x, axes=inner)  # before, batch, extent, after
    shape = line.shape
    flat = (*shape[:axis], size * extent, *shape[axis + 2 :])
    beside = apply("transpose", updates, axes=lead_to(len(updates.shape), axis))
    place = index_of_all(index, extent)
    out = apply(name, apply("reshape", line, shape=flat), place, beside, axis=axis)
    return apply("transpose", apply("reshape", out, shape=shape), axes=lead_back(len(shape), axis))


def lead_to(rank: int, place: int) -> tuple[int, ...]:
    """The permutation that moves the first axis to a place."""
    return (*range(1, place + 1), 0, *range(place + 1, rank))


def lead_back(rank: int, place: int) -> tuple[int, ...]:
    """The permutation that moves the axis at a place to the front."""
    return (place, *range(place), *range(place + 1, rank))


def index_of_all(index: Node, extent: int) -> Node:
    """Indices into `extent` elements as indices into those of all examples (the first axis)."""
    wide = apply("cast", index, dtype=int64)
    inside = apply("minimum", wide, full(max(extent - 1, 0), wide.shape, int64))
    inside = apply("maximum", inside, zeros_like(inside))
    example = apply("iota", shape=wide.shape, axis=0, dtype=int64)
    return inside + example * extent


BESIDE = BatchRule(batch_scatter)

# --------------------------------------------------------------------------------------- XLA


def xla_places(x: Any, value: Any, index: Any, axis: int, along: bool) -> Any:
    """The places of all updates as an index of JAX, held inside the axis."""
    inside = x.np.clip(index.astype(np.int64), 0, value.shape[axis] - 1)
    if not along:
        return (*(slice(None),) * axis, inside)
    grid = list(x.np.indices(index.shape, sparse=True))
    grid[axis] = inside
    return tuple(grid)


def xla_combining(method: str, along: bool) -> Rule:
    """`value.at[places].add(updates)` and its like."""

    def rule(x: Any, value: Any, index: Any, updates: Any, *, axis: int) -> Any:
        if updates.size == 0:
            return value
        return getattr(value.at[xla_places(x, value, index, axis, along)], method)(updates)

    return rule


def xla_set(along: bool) -> Rule:
    """XLA leaves open which of several updates wins, so those that lose are sent outside."""

    def rule(x: Any, value: Any, index: Any, updates: Any, *, axis: int) -> Any:
        if updates.size == 0:
            return value
        where = xla_places(x, value, index, axis, along)
        shape = value.shape if along else value.shape[axis : axis + 1]
        place = where if along else where[axis]
        flat = np.arange(index.size).reshape(index.shape)
        order = _along_line(index.shape, axis) if along else flat
        last = x.np.full(shape, -1).at[place].max(order)
        kept = x.np.where(last[place] == order, where[axis], value.shape[axis])
        return value.at[(*where[:axis], kept, *where[axis + 1 :])].set(updates, mode="drop")

    return rule


# --------------------------------------------------------------------------------- the table

GATES = {
    "set": "routes: the gradient goes to the update that was kept, elsewhere to the base",
    "max": "routes: the gradient goes to what was chosen, in equal parts where several tie",
    "min": "routes: the gradient goes to what was chosen, in equal parts where several tie",
    "multiply": "multiply swaps: each factor gets the gradient times all others of its place",
}


def linear_set(family: Family) -> Derivative:
    """Linear in base and updates together."""
    return Linear((back_overwritten(family), None, back_set(family)))


def sample_scatter(mode: str, along: bool) -> Sampler:
    """Bases, indices with repetitions and updates, all distinct; products also with zeros."""

    def sample(rng: np.random.Generator) -> Sequence[Case]:
        cases = with_updates((sample_along if along else sample_take)(rng), rng, along)
        return cases if mode != "multiply" else [*cases, *map(_with_zeros, cases)]

    return sample


def _with_zeros(case: Case) -> Case:
    """Every second number is 0: places with no, one and several of them."""
    x, index, updates = (each.copy() for each in case.inputs)
    for each in (x, updates):
        each.reshape(-1)[::2] = 0
    return Case((x, index, updates), case.attrs)


def extremum(family: Family) -> Derivative:
    """For max and min."""
    return Forward(forward_extremum(family))


def product(family: Family) -> Derivative:
    """For multiply."""
    return Forward(forward_product(family))


def overwritten(e: Any, a: Any, b: Any) -> Any:
    """The update in place of the element."""
    return b


def by(method: str) -> Rule:
    """What the emitter's method of that name makes of element and update."""
    return lambda e, a, b: getattr(e, method)(a, b)


MAX, MIN, TIMES = (by(method) for method in ("maximum", "minimum", "multiply"))


def scatter(
    name: str,
    derivative: Callable[[Family], Derivative],
    combine: Rule,
    function: np.ufunc | None,
    dtypes: Sequence[np.dtype] = NUMBERS,
) -> Op:
    """One entry of the table below; `function` None overwrites."""
    along = name.endswith("_along_axis")
    mode = name.split("_")[1]
    return Op(
        name,
        type=scattered_type(name, dtypes, along),
        numpy=numpy_combining(name, function, along) if function else numpy_set(name, along),
        derivative=derivative(Family(along)),
        lowering=Kernel("scatter", combine),
        formula=name + "({0}, {1}, {2}, axis={axis})",
        sample=sample_scatter(mode, along),
        dtypes=tuple(dtypes),
        flops=1 if function else 0,
        gate=GATES[mode],
        batch=moved("axis") if along else BESIDE,
        xla=xla_combining(mode, along) if function else xla_set(along),
    )


# fmt: off
register(
    (
        #       name                           derivative  combination  NumPy's function
        scatter("scatter_set",                 linear_set, overwritten, None, ALL),
        scatter("scatter_set_along_axis",      linear_set, overwritten, None, ALL),
        scatter("scatter_max",                 extremum,   MAX,         np.maximum),
        scatter("scatter_max_along_axis",      extremum,   MAX,         np.maximum),
        scatter("scatter_min",                 extremum,   MIN,         np.minimum),
        scatter("scatter_min_along_axis",      extremum,   MIN,         np.minimum),
        scatter("scatter_multiply",            product,    TIMES,       np.multiply),
        scatter("scatter_multiply_along_axis", product,    TIMES,       np.multiply),
    ),
    "scatter",
)
# fmt: on
