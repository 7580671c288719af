"""Movement: every output element is one input element (or a fill value) at another index.

`index(space, node, out)` says where: `out` is the output's index, one affine expression for each
axis; `space` can linearise, split and guard such expressions (`kedja/compiler/indices.py`).
Next: `contract.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.ground.dtypes import ALL
from kedja.ground.errors import DtypeError, ShapeError
from kedja.ir.graph import Node, apply
from kedja.ir.op import BatchRule, Case, Linear, Op, Reindex, Shape, Shifted, Type, register
from kedja.ops import xla_rules
from kedja.ops.batching import behind, moved
from kedja.ops.reduce import kept_shape
from kedja.ops.samples import each
from kedja.ops.xla_rules import same_in_jax

Ints = tuple[int, ...]

# ---------------------------------------------------------------------------------- reshape


def reshape_type(x: Type, *, shape: Shape) -> Type:
    """The number of elements stays."""
    if math.prod(shape) != x.size:
        raise ShapeError(
            f"reshape of {list(x.shape)} ({x.size} elements) to {list(shape)} "
            f"({math.prod(shape)} elements)",
            fix="the products of both shapes must be equal; -1 lets one axis follow",
        )
    return Type(tuple(shape), x.dtype)


def reshape_index(space: Any, node: Node, out: Sequence[Any]) -> list[Any]:
    """Same place in row-major order, block by block: an axis that stays keeps its index."""
    old, new = node.inputs[0].shape, node.shape
    place = [space.constant(0)] * len(old)
    for mine, theirs in blocks(old, new):
        index = [out[axis] for axis in theirs]
        if len(theirs) != 1:
            index = [space.linearise(index, [new[axis] for axis in theirs])]
        if len(mine) != 1:
            index = space.delinearise(index[0], [old[axis] for axis in mine])
        for axis, mapped in zip(mine, index, strict=True):
            place[axis] = mapped
    return [(0, tuple(place), ())]


def blocks(old: Shape, new: Shape) -> list[tuple[Ints, Ints]]:
    """The shortest runs of axes that hold the same elements in both shapes; extents 1 left out.

    >>> blocks((6, 1, 4, 5), (2, 3, 4, 5))
    [((0,), (0, 1)), ((2,), (2,)), ((3,), (3,))]
    """
    mine, theirs = (tuple(a for a, n in enumerate(shape) if n != 1) for shape in (old, new))
    if 0 in old:
        return [(mine, theirs)]
    found = []
    while mine:
        a = b = 1
        while (left := math.prod(old[axis] for axis in mine[:a])) != (
            right := math.prod(new[axis] for axis in theirs[:b])
        ):
            a, b = (a + 1, b) if left < right else (a, b + 1)
        found.append((mine[:a], theirs[:b]))
        mine, theirs = mine[a:], theirs[b:]
    return found


# -------------------------------------------------------------------------------- transpose


def transpose_type(x: Type, *, axes: Ints) -> Type:
    """Axis i of the output is axis axes[i] of the input."""
    if sorted(axes) != list(range(len(x.shape))):
        raise ShapeError(
            f"transpose of shape {list(x.shape)} by {list(axes)}", fix="name each axis once"
        )
    return Type(tuple(x.shape[axis] for axis in axes), x.dtype)


def inverse(axes: Ints) -> Ints:
    """The permutation that undoes another."""
    return tuple(int(place) for place in np.argsort(axes))


def transpose_index(space: Any, node: Node, out: Sequence[Any]) -> list[Any]:
    """The same index, permuted."""
    return [(0, tuple(out[place] for place in inverse(node.attrs["axes"])), ())]


def back_transpose(g: Node, node: Node) -> Node:
    """The inverse permutation."""
    return apply("transpose", g, axes=inverse(node.attrs["axes"]))


# -------------------------------------------------------------------------------- broadcast


def broadcast_type(x: Type, *, shape: Shape) -> Type:
    """Axes of extent 1 are repeated; new axes come in front."""
    missing = len(shape) - len(x.shape)
    fits = missing >= 0 and all(
        a in (1, b) for a, b in zip(x.shape, shape[max(missing, 0) :], strict=True)
    )
    if not fits:
        raise ShapeError(
            f"broadcast of shape {list(x.shape)} to {list(shape)}",
            fix="aligned at the last axis, extents must be equal or 1",
        )
    return Type(tuple(shape), x.dtype)


def broadcast_index(space: Any, node: Node, out: Sequence[Any]) -> list[Any]:
    """Index 0 along the axes that were repeated."""
    shape = node.inputs[0].shape
    tail = out[len(out) - len(shape) :]
    zero = space.constant(0)
    return [(0, tuple(zero if n == 1 else i for n, i in zip(shape, tail, strict=True)), ())]


def back_broadcast(g: Node, node: Node) -> Node:
    """The sum over the axes that were repeated: what is copied forward is added back."""
    shape = node.inputs[0].shape
    new = len(g.shape) - len(shape)
    repeated = tuple(axis for axis, n in enumerate(g.shape) if axis < new or shape[axis - new] != n)
    total = apply("sum", g, axes=repeated)
    return total if total.shape == shape else apply("reshape", total, shape=shape)


# ------------------------------------------------------------------------- slice, flip, pad


def slice_type(x: Type, *, starts: Ints, stops: Ints, steps: Ints) -> Type:
    """Elements starts, starts + steps … before stops, for each axis."""
    for n, start, stop, step in zip(x.shape, starts, stops, steps, strict=True):
        if not (0 <= start <= n and 0 <= stop <= n and step > 0):
            raise ShapeError(f"slice {start}:{stop}:{step} of an axis of {n}")
    extents = (
        max(0, -(-(stop - start) // step))
        for start, stop, step in zip(starts, stops, steps, strict=True)
    )
    return Type(tuple(extents), x.dtype)


def numpy_slice(x: np.ndarray, *, starts: Ints, stops: Ints, steps: Ints) -> np.ndarray:
    """NumPy's basic slicing."""
    return x[tuple(slice(*each) for each in zip(starts, stops, steps, strict=True))]


def slice_index(space: Any, node: Node, out: Sequence[Any]) -> list[Any]:
    """start + step·i."""
    starts, steps = node.attrs["starts"], node.attrs["steps"]
    place = tuple(i * step + start for i, start, step in zip(out, starts, steps, strict=True))
    return [(0, place, ())]


def back_slice(g: Node, node: Node) -> Node:
    """The gradient at its place, zeros elsewhere."""
    starts, steps = node.attrs["starts"], node.attrs["steps"]
    ends = tuple(
        start + max(0, (n - 1) * step + 1)
        for start, n, step in zip(starts, g.shape, steps, strict=True)
    )
    high = tuple(n - end for n, end in zip(node.inputs[0].shape, ends, strict=True))
    interior = tuple(step - 1 for step in steps)
    if min((*high, 0)) < 0:  # an empty slice at the end of an axis: nothing comes back
        return apply("full", value=0, shape=node.inputs[0].shape, dtype=g.dtype)
    return apply("pad", g, low=starts, high=high, interior=interior, value=0)


def flip_type(x: Type, *, axes: Ints) -> Type:
    """The named axes run backwards."""
    return x


def flip_index(space: Any, node: Node, out: Sequence[Any]) -> list[Any]:
    """n − 1 − i along the axes that are turned."""
    axes = node.attrs["axes"]
    place = tuple(
        i * -1 + (n - 1) if axis in axes else i
        for axis, (i, n) in enumerate(zip(out, node.shape, strict=True))
    )
    return [(0, place, ())]


def pad_type(x: Type, *, low: Ints, high: Ints, interior: Ints, value: Any) -> Type:
    """low + n + interior·(n−1) + high for each axis."""
    if min((*low, *high, *interior, 0)) < 0:
        raise ShapeError(f"pad by {list(low)} and {list(high)}", fix="slice to make it smaller")
    extents = (
        a + n + gap * max(0, n - 1) + b
        for n, a, b, gap in zip(x.shape, low, high, interior, strict=True)
    )
    return Type(tuple(extents), x.dtype)


def numpy_pad(x: np.ndarray, *, low: Ints, high: Ints, interior: Ints, value: Any) -> np.ndarray:
    """The input set into an array of the fill value."""
    shape = pad_type(Type(x.shape, x.dtype), low=low, high=high, interior=interior, value=value)
    out = np.full(shape.shape, value, x.dtype)
    inside = tuple(
        slice(a, a + max(0, n - 1) * (gap + 1) + min(n, 1), gap + 1)
        for n, a, gap in zip(x.shape, low, interior, strict=True)
    )
    out[inside] = x
    return out


def pad_index(space: Any, node: Node, out: Sequence[Any]) -> list[Any]:
    """(i − low)/(interior + 1) where that is whole and inside the input."""
    place, guards = [], []
    facts = zip(out, node.inputs[0].shape, node.attrs["low"], node.attrs["interior"], strict=True)
    for (i, n, low, gap), extent in zip(facts, node.shape, strict=True):
        shifted = i + -low
        if n == extent:
            place.append(i)
            continue
        guards.append((shifted, 0, n + gap * max(0, n - 1)))
        if gap:
            guards.append((space.mod(shifted, gap + 1), 0, 1))
        place.append(space.div(shifted, gap + 1) if gap else shifted)
    return [(0, tuple(place), tuple(guards))]


def back_pad(g: Node, node: Node) -> Node:
    """The gradient of the elements that came from the input."""
    low, interior, shape = node.attrs["low"], node.attrs["interior"], node.inputs[0].shape
    steps = tuple(gap + 1 for gap in interior)
    stops = tuple(
        a + max(0, n - 1) * step + min(n, 1) for a, n, step in zip(low, shape, steps, strict=True)
    )
    return apply("slice", g, starts=low, stops=stops, steps=steps)


def pad_tangent(node: Node, tangents: Sequence[Node | None]) -> Node:
    """The fill value does not move, so its tangent is zero."""
    tangent = tangents[0]
    assert tangent is not None
    return apply("pad", tangent, **{**node.attrs, "value": 0})


# ------------------------------------------------------------------------------ concatenate


def concatenate_type(first: Type, *rest: Type, axis: int) -> Type:
    """Extents add along one axis and agree along all others."""
    total = first.shape[axis]
    for other in rest:
        if other.dtype != first.dtype:
            raise DtypeError(f"concatenate of {first.dtype.name} and {other.dtype.name}")
        if kept_shape(other.shape, (axis,)) != kept_shape(first.shape, (axis,)):
            raise ShapeError(
                f"concatenate of {list(first.shape)} and {list(other.shape)} along axis {axis}",
                fix="all other axes must be equal",
            )
        total += other.shape[axis]
    return Type((*first.shape[:axis], total, *first.shape[axis + 1 :]), first.dtype)


def concatenate_index(space: Any, node: Node, out: Sequence[Any]) -> list[Any]:
    """The input in whose range the index along the axis falls."""
    axis, start, parts = node.attrs["axis"], 0, []
    for number, each_input in enumerate(node.inputs):
        shifted = out[axis] + -start
        place = (*out[:axis], shifted, *out[axis + 1 :])
        parts.append((number, place, ((shifted, 0, each_input.shape[axis]),)))
        start += each_input.shape[axis]
    return parts


def back_concatenate(g: Node, node: Node, i: int) -> Node:
    """Each input gets its own slice of the gradient."""
    axis = node.attrs["axis"]
    start = sum(each.shape[axis] for each in node.inputs[:i])
    rank = len(g.shape)
    starts = tuple(start if a == axis else 0 for a in range(rank))
    stops = tuple(s + n for s, n in zip(starts, node.inputs[i].shape, strict=True))
    return apply("slice", g, starts=starts, stops=stops, steps=(1,) * rank)


def sample_concatenate(rng: np.random.Generator) -> Sequence[Case]:
    """Two and three inputs, the inner and the outer axis."""
    inner = tuple(rng.uniform(-2, 2, (3, n)) for n in (2, 1, 4))
    outer = tuple(rng.uniform(-2, 2, (n, 5)) for n in (2, 3))
    return [Case(inner, {"axis": 1}), Case(outer, {"axis": 0})]


def with_first(**first: int | None) -> Shifted:
    """Attributes with an entry for each axis get one for the new axis; None is its extent."""

    def attrs(node: Node, size: int) -> dict[str, Any]:
        entries = {name: size if entry is None else entry for name, entry in first.items()}
        return {
            **node.attrs,
            **{name: (entry, *node.attrs[name]) for name, entry in entries.items()},
        }

    return Shifted(attrs)


def batch_broadcast(
    b: Any, node: Node, inputs: Sequence[Node], batched: Sequence[bool], size: int
) -> Node:
    """New axes come behind the batch's own, where the unbatched input has extents of 1."""
    (x,), shape = inputs, node.attrs["shape"]
    missing = len(shape) - (len(x.shape) - 1)
    if missing:
        x = apply("reshape", x, shape=(size, *(1,) * missing, *x.shape[1:]))
    return apply("broadcast", x, shape=(size, *shape))


def movement(name: str, **facets: Any) -> Op:
    """One entry of the table below: any dtype, no arithmetic."""
    return Op(name, dtypes=ALL, flops=0, **facets)


PAD_CASES = (
    {"low": (1, 0), "high": (2, 3), "interior": (0, 0), "value": 0},
    {"low": (0, 2), "high": (0, 0), "interior": (2, 1), "value": 1.5},
)
SLICE_CASES = (
    {"starts": (1, 0), "stops": (5, 6), "steps": (1, 1)},
    {"starts": (0, 1), "stops": (5, 6), "steps": (2, 3)},
    {"starts": (5, 0), "stops": (5, 6), "steps": (1, 1)},
)

register(
    (
        movement(
            "reshape",
            type=reshape_type,
            numpy=lambda x, *, shape: x.reshape(shape),
            derivative=Linear((lambda g, n: apply("reshape", g, shape=n.inputs[0].shape),)),
            lowering=Reindex(reshape_index),
            batch=with_first(shape=None),
            xla=same_in_jax("reshape"),
            formula="reshape({0}, {shape})",
            sample=each(
                ((3, 4), (2, 3, 4), (6, 4), (1, 1)),
                ({"shape": (2, 6)}, {"shape": (6, 4)}, {"shape": (3, 2, 4)}, {"shape": ()}),
            ),
            gate="moves the gradient back to its place",
        ),
        movement(
            "transpose",
            type=transpose_type,
            numpy=lambda x, *, axes: np.transpose(x, axes),
            derivative=Linear((back_transpose,)),
            lowering=Reindex(transpose_index),
            batch=Shifted(lambda node, size: {"axes": (0, *behind(node.attrs["axes"]))}),
            xla=lambda x, value, *, axes: x.np.transpose(value, axes),
            formula="transpose({0}, {axes})",
            sample=each(((3, 5), (2, 3, 4)), ({"axes": (1, 0)}, {"axes": (2, 0, 1)})),
            gate="moves the gradient back to its place",
        ),
        movement(
            "broadcast",
            type=broadcast_type,
            numpy=lambda x, *, shape: np.broadcast_to(x, shape),
            derivative=Linear((back_broadcast,)),
            lowering=Reindex(broadcast_index),
            batch=BatchRule(batch_broadcast),
            xla=same_in_jax("broadcast_to"),
            formula="broadcast({0}, {shape})",
            sample=each(
                ((5,), (3, 1), ()), ({"shape": (3, 5)}, {"shape": (2, 3, 4)}, {"shape": (2, 2)})
            ),
            gate="copy adds: the gradients of all copies are added",
        ),
        movement(
            "slice",
            type=slice_type,
            numpy=numpy_slice,
            derivative=Linear((back_slice,)),
            lowering=Reindex(slice_index),
            batch=with_first(starts=0, stops=None, steps=1),
            xla=xla_rules.cut,
            formula="slice({0}, {starts}, {stops}, {steps})",
            sample=each(((5, 6),) * 3, SLICE_CASES),
            gate="moves the gradient back to its place, zeros elsewhere",
        ),
        movement(
            "flip",
            type=flip_type,
            numpy=lambda x, *, axes: np.flip(x, axes),
            derivative=Linear((lambda g, node: apply("flip", g, axes=node.attrs["axes"]),)),
            lowering=Reindex(flip_index),
            batch=moved("axes"),
            xla=lambda x, value, *, axes: x.np.flip(value, axes),
            formula="flip({0}, {axes})",
            sample=each(((3, 5), (3, 5)), ({"axes": (1,)}, {"axes": (0, 1)})),
            gate="moves the gradient back to its place",
        ),
        movement(
            "pad",
            type=pad_type,
            numpy=numpy_pad,
            derivative=Linear((back_pad,), tangent=pad_tangent),
            lowering=Reindex(pad_index),
            batch=with_first(low=0, high=0, interior=0),
            xla=xla_rules.pad,
            formula="pad({0}, {low}, {high})",
            sample=each(((3, 5), (2, 3)), PAD_CASES),
            gate="moves the gradient back to its place",
        ),
        movement(
            "concatenate",
            type=concatenate_type,
            numpy=lambda *xs, axis: np.concatenate(xs, axis),
            derivative=Linear(back_concatenate),
            lowering=Reindex(concatenate_index),
            batch=moved("axis"),
            xla=lambda x, *values, axis: x.np.concatenate(values, axis),
            formula="concatenate({*}, axis={axis})",
            sample=sample_concatenate,
            gate="each input gets its own part of the gradient",
        ),
    ),
    "movement",
)
