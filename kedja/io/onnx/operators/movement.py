"""Operators that move elements: shapes, axes, slices, padding, repetition.

Not here: elements chosen by an index (`indexing.py`). Next: `making.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.front import arithmetic, functions
from kedja.front.tensor import Tensor
from kedja.io.onnx.call import Call, Value, tensor_of
from kedja.io.onnx.plan import Operator
from kedja.ops.types import normal_axes, normal_axis

# ------------------------------------------------------------------------------------ shapes


def reshape(call: Call, x: Tensor, shape: Value = None) -> Tensor:
    """The same elements under another shape; 0 keeps an extent, −1 is what is left."""
    wanted = list(call.need("shape")) if call.version < 5 else call.ints(shape, "shape")
    if not call.get("allowzero", 0):
        if any(n == 0 and place >= x.ndim for place, n in enumerate(wanted)):
            call.wrong(
                f"0 in the shape {wanted} keeps an extent of {list(x.shape)} that is not there"
            )
        wanted = [x.shape[place] if n == 0 else n for place, n in enumerate(wanted)]
    return functions.reshape(x, wanted)


def flatten(call: Call, x: Tensor) -> Tensor:
    """A matrix: the axes before `axis`, and those from it on."""
    axis = call.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return functions.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def squeeze(call: Call, x: Tensor, axes: Value = None) -> Tensor:
    """Axes of extent 1 dropped."""
    chosen = call.axes(axes, 13)
    return functions.squeeze(x, None if chosen is None else tuple(chosen))


def unsqueeze(call: Call, x: Tensor, axes: Value = None) -> Tensor:
    """New axes of extent 1; their places are counted in the result."""
    chosen = call.axes(axes, 13) or []
    places = normal_axes("Unsqueeze", tuple(chosen), x.ndim + len(chosen))
    rest = iter(x.shape)
    count = x.ndim + len(chosen)
    return functions.reshape(x, [1 if each in places else next(rest) for each in range(count)])


def transpose(call: Call, x: Tensor) -> Tensor:
    """The axes in another order, reversed unless it is given."""
    return arithmetic.transpose(x, call.get("perm"))


def expand(call: Call, x: Tensor, shape: Value) -> Tensor:
    """x repeated to the shape in which both meet."""
    wanted = functions.broadcast_shapes(x.shape, tuple(call.ints(shape, "shape")))
    return functions.broadcast_to(x, wanted)


def shape_of(call: Call, x: Tensor) -> Tensor:
    """The shape, or a part of it, as known numbers."""
    chosen = x.shape[slice(call.get("start", 0), call.get("end"))]
    return tensor_of(np.asarray(chosen, np.int64))


def size_of(call: Call, x: Tensor) -> Tensor:
    """The number of elements."""
    return tensor_of(np.asarray(math.prod(x.shape), np.int64))


# ----------------------------------------------------------------------- parts of an array


def concat(call: Call, *parts: Tensor) -> Tensor:
    """Arrays one after the other."""
    return functions.concat(parts, call.get("axis", 1))


def split(call: Call, x: Tensor, sizes: Value = None) -> tuple[Tensor, ...]:
    """An axis cut into parts of these sizes, or into equal ones (the last may be smaller)."""
    axis = normal_axis("Split", call.get("axis", 0), x.ndim)
    given = call.get("split") if call.version < 13 or sizes is None else call.ints(sizes, "split")
    if given is None:
        count = call.get("num_outputs", call.outputs)
        each = -(-x.shape[axis] // count)
        given = [min(each, max(0, x.shape[axis] - place * each)) for place in range(count)]
    if sum(given) != x.shape[axis]:
        call.wrong(f"parts of {list(given)} of an axis of {x.shape[axis]} elements")
    return tuple(cut_up(x, axis, given))


def cut_up(x: Tensor, axis: int, sizes: Sequence[int]) -> list[Tensor]:
    """An axis cut into parts of these sizes."""
    ends = np.cumsum(sizes).tolist()
    return [part(x, axis, end - n, end) for n, end in zip(sizes, ends, strict=True)]


def part(x: Tensor, axis: int, start: int | None, stop: int | None, step: int = 1) -> Tensor:
    """A slice of one axis."""
    key = [slice(None)] * x.ndim
    key[axis] = slice(start, stop, step)
    return x[tuple(key)]


def cut(call: Call, x: Tensor, *given: Value) -> Tensor:
    """Slices along some axes, which may run backwards."""
    if call.version < 10:
        starts, ends = call.need("starts"), call.need("ends")
        axes, steps = call.get("axes"), None
    else:
        names = ("starts", "ends", "axes", "steps")
        whole = [*given, *[None] * (4 - len(given))]
        starts, ends, axes, steps = (
            None if value is None else call.ints(value, name)
            for name, value in zip(names, whole, strict=True)
        )
    if starts is None or ends is None:
        call.wrong("starts or ends are missing")
    places = range(len(starts)) if axes is None else axes
    key = [slice(None)] * x.ndim
    for axis, start, end, step in zip(
        places, starts, ends, steps or [1] * len(starts), strict=True
    ):
        place = normal_axis("Slice", axis, x.ndim)
        key[place] = _slice(start, end, step, x.shape[place])
    return x[tuple(key)]


def _slice(start: int, end: int, step: int, extent: int) -> slice:
    """A slice as ONNX reads it: numbers from the end on are counted once, then held inside."""
    first, last = (each + extent if each < 0 else each for each in (start, end))
    if step > 0:
        return slice(min(max(first, 0), extent), min(max(last, 0), extent), step)
    if extent == 0:
        return slice(0, 0)
    first, last = min(max(first, 0), extent - 1), min(max(last, -1), extent - 1)
    return slice(first, None if last < 0 else last, step)


# ----------------------------------------------------------------------------------- padding

NUMPY_MODES: dict[str, Any] = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}


def pad(
    call: Call, x: Tensor, widths: Value = None, value: Value = None, axes: Value = None
) -> Tensor:
    """Elements before and after along each axis; negative widths cut elements off."""
    mode = call.choice("mode", "constant", ("constant", *NUMPY_MODES))
    given = _widths(call, widths)
    chosen = list(range(x.ndim)) if axes is None else call.ints(axes, "axes")
    pairs = [(0, 0)] * x.ndim
    for place, axis in enumerate(chosen):
        pairs[axis] = (given[place], given[place + len(chosen)])
    if mode == "constant":
        return _constant(call, x, pairs, value)
    return padded(x, pairs, mode)


def _widths(call: Call, widths: Value) -> list[int]:
    if call.version >= 11:
        return call.ints(widths, "pads")
    return list(call.need("pads" if call.version >= 2 else "paddings"))


def _constant(call: Call, x: Tensor, pairs: Sequence[tuple[int, int]], value: Value) -> Tensor:
    if call.version < 11:
        fill: Any = call.get("value", 0.0)
    else:
        fill = 0 if value is None else call.array(value, "constant_value").reshape(())[()]
    return padded_by(x, pairs, fill)


def padded_by(x: Tensor, pairs: Sequence[tuple[int, int]], fill: Any) -> Tensor:
    """One value before and after; negative widths cut elements off."""
    key = tuple(
        slice(max(0, -low), n - max(0, -high))
        for (low, high), n in zip(pairs, x.shape, strict=True)
    )
    positive = [(max(0, low), max(0, high)) for low, high in pairs]
    return functions.pad(x[key], positive, np.asarray(fill).astype(x.dtype).item())


def padded(x: Tensor, pairs: Sequence[tuple[int, int]], mode: str) -> Tensor:
    """Elements of the array itself before and after: each axis is a choice of places."""
    for axis, (low, high) in enumerate(pairs):
        if low or high:
            inside = np.arange(max(0, -low), x.shape[axis] - max(0, -high))
            widths: Any = (max(0, low), max(0, high))
            places = np.pad(inside, widths, mode=NUMPY_MODES[mode])
            x = functions.take(x, places, axis)
    return x


def center_crop_pad(call: Call, x: Tensor, shape: Value) -> Tensor:
    """The middle of an array, or zeros around it, to a shape along some axes."""
    wanted = call.ints(shape, "shape")
    axes = call.get("axes") or range(x.ndim)
    pairs = [(0, 0)] * x.ndim
    for axis, n in zip(axes, wanted, strict=True):
        place = normal_axis("CenterCropPad", axis, x.ndim)
        more = n - x.shape[place]
        low = more // 2 if more >= 0 else -(-more // 2)
        pairs[place] = (low, more - low)
    return padded_by(x, pairs, 0)


# ------------------------------------------------------------------------- repeated, exchanged


def tile(call: Call, x: Tensor, repeats: Value, axis: Value = None) -> Tensor:
    """The whole array several times along each axis."""
    if call.version >= 6:
        return functions.tile(x, tuple(call.ints(repeats, "repeats")))
    counts = [1] * x.ndim
    counts[call.integer(axis, "axis")] = call.integer(repeats, "tiles")
    return functions.tile(x, tuple(counts))


def depth_to_space(call: Call, x: Tensor) -> Tensor:
    """(N, C·b², H, W) → (N, C, H·b, W·b)."""
    size, mode = call.need("blocksize"), call.choice("mode", "DCR", ("DCR", "CRD"))
    n, channels, height, width = x.shape
    rest = channels // size**2
    if mode == "DCR":
        apart = functions.reshape(x, (n, size, size, rest, height, width))
        order = (0, 3, 4, 1, 5, 2)
    else:
        apart = functions.reshape(x, (n, rest, size, size, height, width))
        order = (0, 1, 4, 2, 5, 3)
    return functions.reshape(
        functions.permute_dims(apart, order), (n, rest, height * size, width * size)
    )


def space_to_depth(call: Call, x: Tensor) -> Tensor:
    """(N, C, H·b, W·b) → (N, b²·C, H, W), or (N, C·b², H, W) in the mode CRD."""
    size, mode = call.need("blocksize"), call.choice("mode", "DCR", ("DCR", "CRD"))
    n, channels, height, width = x.shape
    apart = functions.reshape(x, (n, channels, height // size, size, width // size, size))
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    shape = (n, channels * size**2, height // size, width // size)
    return functions.reshape(functions.permute_dims(apart, order), shape)


def reverse_sequence(call: Call, x: Tensor, lengths: Tensor) -> Tensor:
    """The first elements of each sequence turned round, as many as its length says."""
    batch, time = call.get("batch_axis", 1), call.get("time_axis", 0)
    if {batch, time} != {0, 1}:
        call.refuse(f"batch_axis={batch}, time_axis={time}")
    place = functions.reshape(functions.arange(x.shape[time]), (-1, 1) if time == 0 else (1, -1))
    length = functions.reshape(
        functions.astype(lengths, place.dtype), (1, -1) if batch == 1 else (-1, 1)
    )
    turned = functions.where(functions.less(place, length), length - 1 - place, place)
    wide = functions.reshape(turned, (*turned.shape, *(1,) * (x.ndim - 2)))
    return functions.take_along_axis(x, functions.broadcast_to(wide, x.shape), time)


# fmt: off
OPERATORS = (
    Operator("CenterCropPad",   center_crop_pad, known=(1,)),
    Operator("Concat",          concat),
    Operator("DepthToSpace",    depth_to_space),
    Operator("Expand",          expand, known=(1,)),
    Operator("Flatten",         flatten),
    Operator("Pad",             pad, known=(1, 2, 3)),
    Operator("Reshape",         reshape, known=(1,)),
    Operator("ReverseSequence", reverse_sequence),
    Operator("Shape",           shape_of, by_type=True),
    Operator("Size",            size_of, by_type=True),
    Operator("Slice",           cut, known=(1, 2, 3, 4)),
    Operator("SpaceToDepth",    space_to_depth),
    Operator("Split",           split, known=(1,)),
    Operator("Squeeze",         squeeze, known=(1,)),
    Operator("Tile",            tile, known=(1, 2)),
    Operator("Transpose",       transpose),
    Operator("Unsqueeze",       unsqueeze, known=(1,)),
)
# fmt: on
