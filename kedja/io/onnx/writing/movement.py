"""What ops that move or choose elements become. Next: `reduce.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.ground.dtypes import int32, int64
from kedja.io.onnx.writing.extents import Extent, Line
from kedja.io.onnx.writing.selection import Choice, Context, Name, Rule, instead, same
from kedja.io.onnx.writing.writer import BEFORE_FIRST, END
from kedja.ir.graph import Node, apply

# ------------------------------------------------------------------------------------ shapes


def reshaped(context: Context, node: Node) -> Choice:
    """Another shape; one extent that follows the batch is −1."""
    if node.shape == node.inputs[0].shape:
        return same(node.inputs[0])
    before, after = (context.alignment.shape(each) for each in (node.inputs[0], node))
    wanted, zeros = target(before, after)

    def emit(c: Context, x: Name) -> Name:
        return c.writer.add("Reshape", [x, c.writer.ints(wanted)], allowzero=zeros)

    return Choice(node.inputs, emit)


def target(before: Sequence[Extent], after: Sequence[Extent]) -> tuple[list[Extent], int | None]:
    """The shape that Reshape is given, and whether 0 stands for itself in it.

    An extent that follows the batch is 0 (kept) where it stood before, else −1, of which there
    may be one; the others are computed.
    """
    if 0 in after:
        return list(after), 1
    found: list[Extent] = []
    for place, each in enumerate(after):
        kept = place < len(before) and before[place] == each
        if isinstance(each, Line) and -1 not in found:
            found.append(-1)
        elif isinstance(each, Line) and kept:
            found.append(0)
        else:
            found.append(each)
    return found, None


def repeated(context: Context, node: Node) -> Choice:
    """Repeated to a shape."""
    extents = context.alignment.shape(node)
    return Choice(node.inputs, lambda c, x: c.writer.add("Expand", [x, c.writer.ints(extents)]))


def transposed(context: Context, node: Node) -> Choice:
    """Axes in another order; twice is once."""
    axes, x = node.attrs["axes"], node.inputs[0]
    while x.op.name == "transpose":
        axes, x = tuple(x.attrs["axes"][axis] for axis in axes), x.inputs[0]
    if axes == tuple(range(len(axes))):
        return same(x)
    return Choice((x,), lambda c, name: c.writer.add("Transpose", [name], perm=axes))


# ------------------------------------------------------------------------------------- parts


def cut(context: Context, node: Node) -> Choice:
    """Slices along the axes that are not kept whole."""
    starts, stops = (context.alignment.attr(node, name) for name in ("starts", "stops"))
    whole = context.alignment.shape(node.inputs[0])
    steps = node.attrs["steps"]
    axes = [
        axis
        for axis, each in enumerate(zip(starts, stops, steps, whole, strict=True))
        if each[:3] != (0, each[3], 1)
    ]
    if not axes:
        return same(node.inputs[0])
    ends = [END if stops[axis] == whole[axis] else stops[axis] for axis in axes]

    def emit(c: Context, x: Name) -> Name:
        numbers: list[list[Any]] = [[starts[a] for a in axes], ends, axes, [steps[a] for a in axes]]
        return c.writer.add("Slice", [x, *(c.writer.ints(each) for each in numbers)])

    return Choice(node.inputs, emit)


def flipped(context: Context, node: Node) -> Choice:
    """Axes turned round."""
    axes = list(node.attrs["axes"])
    count = len(axes)

    def emit(c: Context, x: Name) -> Name:
        numbers = ([-1] * count, [BEFORE_FIRST] * count, axes, [-1] * count)
        return c.writer.add("Slice", [x, *(c.writer.ints(each) for each in numbers)])

    return Choice(node.inputs, emit)


def padded(context: Context, node: Node) -> Choice:
    """Elements around an array; those between others come by a further axis."""
    if any(node.attrs["interior"]):
        return instead(context.alignment.rewritten(node, spread))
    low, high = (context.alignment.attr(node, name) for name in ("low", "high"))
    if not any([*low, *high]):
        return same(node.inputs[0])
    value = np.asarray(node.attrs["value"], node.dtype)

    def emit(c: Context, x: Name) -> Name:
        return c.writer.add("Pad", [x, c.writer.ints([*low, *high]), c.writer.constant(value)])

    return Choice(node.inputs, emit)


def spread(node: Node) -> Node:
    """A pad with elements between others, without them: each element gets an axis of its own."""
    x, attrs = node.inputs[0], node.attrs
    rank = len(x.shape)
    for axis, more in enumerate(attrs["interior"]):
        n = x.shape[axis]
        if more and n:
            shape = (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :])
            zeros = (0,) * (rank + 1)
            high = tuple(more if each == axis + 1 else 0 for each in range(rank + 1))
            wide = apply("reshape", x, shape=shape)
            wide = apply("pad", wide, low=zeros, high=high, interior=zeros, value=attrs["value"])
            x = apply(
                "reshape", wide, shape=(*x.shape[:axis], n * (more + 1), *x.shape[axis + 1 :])
            )
            stops = tuple(m - more if each == axis else m for each, m in enumerate(x.shape))
            x = apply("slice", x, starts=(0,) * rank, stops=stops, steps=(1,) * rank)
    return apply(
        "pad", x, low=attrs["low"], high=attrs["high"], interior=(0,) * rank, value=attrs["value"]
    )


def joined(context: Context, node: Node) -> Choice:
    """Arrays one after the other."""
    axis = node.attrs["axis"]
    return Choice(node.inputs, lambda c, *names: c.writer.add("Concat", names, axis=axis))


# --------------------------------------------------------------------------------- by places


def as_places(c: Context, name: Name, index: Node) -> Name:
    """An index in a type that ONNX takes."""
    return name if index.dtype in (int32, int64) else c.writer.add("Cast", [name], to=7)


def taken(context: Context, node: Node) -> Choice:
    """Elements of an axis by their places."""
    axis, index = node.attrs["axis"], node.inputs[1]

    def emit(c: Context, x: Name, places: Name) -> Name:
        return c.writer.add("Gather", [x, as_places(c, places, index)], axis=axis)

    return Choice(node.inputs, emit)


def taken_along(context: Context, node: Node) -> Choice:
    """Elements of an axis by places of their own."""
    axis, index = node.attrs["axis"], node.inputs[1]

    def emit(c: Context, x: Name, places: Name) -> Name:
        return c.writer.add("GatherElements", [x, as_places(c, places, index)], axis=axis)

    return Choice(node.inputs, emit)


def scattered_along(reduction: str | None) -> Rule:
    """Updates at places of their own along an axis."""

    def rule(context: Context, node: Node) -> Choice:
        axis, index = node.attrs["axis"], node.inputs[1]

        def emit(c: Context, x: Name, places: Name, updates: Name) -> Name:
            inputs = [x, as_places(c, places, index), updates]
            return c.writer.add("ScatterElements", inputs, axis=axis, reduction=reduction)

        return Choice(node.inputs, emit)

    return rule


def scattered(reduction: str | None) -> Rule:
    """Updates of whole slices of the first axis; other axes are brought in front."""

    def rule(context: Context, node: Node) -> Choice:
        if node.attrs["axis"]:
            return instead(context.alignment.rewritten(node, axis_first))
        index = node.inputs[1]
        extents = context.alignment.shape(index)

        def emit(c: Context, x: Name, places: Name, updates: Name) -> Name:
            last = c.writer.constant([len(extents)], np.int64)
            tuples = c.writer.add("Unsqueeze", [as_places(c, places, index), last])
            return c.writer.add("ScatterND", [x, tuples, updates], reduction=reduction)

        return Choice(node.inputs, emit)

    return rule


def axis_first(node: Node) -> Node:
    """A scatter along the first axis, between two transpositions."""
    (x, index, updates), axis = node.inputs, node.attrs["axis"]
    rank, places = len(x.shape), len(index.shape)
    order = (axis, *(each for each in range(rank) if each != axis))
    back = tuple(int(each) for each in np.argsort(order))
    inside = range(axis, axis + places)
    others = (each for each in range(len(updates.shape)) if each not in inside)
    new = apply("transpose", updates, axes=(*inside, *others))
    found = apply(node.op.name, apply("transpose", x, axes=order), index, new, axis=0)
    return apply("transpose", found, axes=back)


# fmt: off
RULES: dict[str, Rule] = {
    "reshape":         reshaped,
    "broadcast":       repeated,
    "transpose":       transposed,
    "slice":           cut,
    "flip":            flipped,
    "pad":             padded,
    "concatenate":     joined,
    "take":            taken,
    "take_along_axis": taken_along,
    "scatter_set":      scattered(None),
    "scatter_add":      scattered("add"),
    "scatter_multiply": scattered("mul"),
    "scatter_max":      scattered("max"),
    "scatter_min":      scattered("min"),
    "scatter_set_along_axis":      scattered_along(None),
    "scatter_add_along_axis":      scattered_along("add"),
    "scatter_multiply_along_axis": scattered_along("mul"),
    "scatter_max_along_axis":      scattered_along("max"),
    "scatter_min_along_axis":      scattered_along("min"),
}
# fmt: on
