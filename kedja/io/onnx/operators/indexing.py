"""Operators that choose or change elements by an index.

Not here: slices (`movement.py`), and what depends on data in its shape (`choosing.py`).
Next: `choosing.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kedja.front import arithmetic, functions
from kedja.front.index import from_front
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import int64
from kedja.io.onnx.call import Call, Value, tensor_of
from kedja.io.onnx.operators.movement import part
from kedja.io.onnx.plan import Operator
from kedja.ops.types import normal_axis

# The name of each reduction in our scatter ops.
MODES = {"none": "set", "add": "add", "mul": "multiply", "max": "max", "min": "min"}


def gather(call: Call, x: Tensor, places: Tensor) -> Tensor:
    """Elements of an axis by their places."""
    return functions.take(x, places, call.get("axis", 0))


def gather_elements(call: Call, x: Tensor, places: Tensor) -> Tensor:
    """y[i, j] = x[i, places[i, j]] (for axis 1)."""
    axis = normal_axis("GatherElements", call.get("axis", 0), x.ndim)
    for each in range(x.ndim):
        if each != axis and x.shape[each] != places.shape[each]:
            x = part(x, each, 0, places.shape[each])
    return functions.take_along_axis(x, places, axis)


def gather_nd(call: Call, x: Tensor, index: Tensor) -> Tensor:
    """Elements, or parts, by tuples of places; the first `batch_dims` axes go side by side."""
    batch, count = call.get("batch_dims", 0), index.shape[-1]
    inner = x.shape[batch : batch + count]
    lead = math.prod(x.shape[:batch])
    rest = x.shape[batch + count :]
    flat = functions.reshape(x, (lead * math.prod(inner), *rest))
    place = row_major(index, inner)
    if batch:
        offset = np.arange(lead).reshape(*x.shape[:batch], *(1,) * (place.ndim - batch))
        place = place + tensor_of(offset * math.prod(inner))
    return arithmetic.call("take", flat, place, axis=0)


def row_major(index: Tensor, extents: Sequence[int]) -> Tensor:
    """Tuples of places (… K) as places in row-major order (…)."""
    place = functions.zeros(index.shape[:-1], int64)
    for axis, extent in enumerate(extents):
        one = functions.astype(index[..., axis], int64)
        place = place * extent + from_front(one, extent, axis)
    return place


# ----------------------------------------------------------------------------------- scatter


def scatter_elements(call: Call, x: Tensor, places: Tensor, updates: Tensor) -> Tensor:
    """y[i, places[i, j]] = updates[i, j] (for axis 1), or added, multiplied …"""
    mode = call.choice("reduction", "none", tuple(MODES))
    axis = normal_axis(call.operator, call.get("axis", 0), x.ndim)
    place = from_front(functions.astype(places, int64), x.shape[axis], axis)
    strides = row_strides(x.shape)
    others = sum(
        grid * strides[each]
        for each, grid in enumerate(np.indices(places.shape, sparse=True))
        if each != axis
    )
    flat = place * strides[axis] + tensor_of(np.asarray(others, np.int64))
    return scattered(x, functions.reshape(flat, -1), functions.reshape(updates, -1), mode)


def row_strides(shape: Sequence[int]) -> list[int]:
    """How many elements stand between neighbours of each axis."""
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def scattered(x: Tensor, flat: Tensor, updates: Tensor, mode: str) -> Tensor:
    """The flattened x changed at some places."""
    if updates.size == 0:
        return x
    line = functions.reshape(x, -1)
    changed = arithmetic.call(f"scatter_{MODES[mode]}", line, flat, updates, axis=0)
    return functions.reshape(changed, x.shape)


def scatter_nd(call: Call, x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
    """Elements, or parts, replaced at tuples of places; or added, multiplied …"""
    mode, count = call.choice("reduction", "none", tuple(MODES)), index.shape[-1]
    rest = x.shape[count:]
    lines = functions.reshape(x, (math.prod(x.shape[:count]), *rest))
    place = functions.reshape(row_major(index, x.shape[:count]), -1)
    new = functions.reshape(updates, (place.shape[0], *rest))
    if new.size == 0:
        return x
    changed = arithmetic.call(f"scatter_{MODES[mode]}", lines, place, new, axis=0)
    return functions.reshape(changed, x.shape)


def tensor_scatter(call: Call, cache: Tensor, update: Tensor, start: Value = None) -> Tensor:
    """A key–value cache with new places written, from a start of each example on."""
    mode = call.choice("mode", "linear", ("linear", "circular"))
    axis = normal_axis("TensorScatter", call.get("axis", -2), cache.ndim)
    extent, count = cache.shape[axis], update.shape[axis]
    place = functions.arange(count)
    if start is not None:
        place = functions.reshape(functions.astype(start, int64), (-1, 1)) + place
    if mode == "circular":
        place = functions.remainder(place, extent)
    shape = [1] * cache.ndim
    shape[0], shape[axis] = (1 if start is None else cache.shape[0]), count
    wide = functions.broadcast_to(functions.reshape(place, shape), update.shape)
    return arithmetic.call("scatter_set_along_axis", cache, wide, update, axis=axis)


# ------------------------------------------------------------------------------------ pooling


def max_unpool(call: Call, x: Tensor, places: Tensor, shape: Value = None) -> Tensor:
    """Elements put back where a max pooling found them, 0 elsewhere."""
    kernel = call.need("kernel_shape")
    count = len(kernel)
    strides, pads = call.get("strides", (1,) * count), call.get("pads", (0,) * 2 * count)
    facts = zip(x.shape[2:], kernel, strides, pads[:count], pads[count:], strict=True)
    inferred = [*x.shape[:2], *((n - 1) * step - low - high + k for n, k, step, low, high in facts)]
    wanted = inferred if shape is None else call.ints(shape, "output_shape")
    place = places
    if wanted != inferred:
        place = _in_other_shape(places, inferred, wanted)
    zeros = functions.zeros(wanted, x.dtype)
    return scattered(zeros, functions.reshape(place, -1), functions.reshape(x, -1), "none")


def _in_other_shape(places: Tensor, old: Sequence[int], new: Sequence[int]) -> Tensor:
    """Places in row-major order of one shape as those of the same coordinates in another."""
    found = functions.zeros(places.shape, int64)
    for before, after, extent in zip(row_strides(old), row_strides(new), old, strict=True):
        along = functions.remainder(functions.floor_divide(places, before), extent)
        found = found + along * after
    return found


# fmt: off
OPERATORS = (
    Operator("Gather",          gather),
    Operator("GatherElements",  gather_elements),
    Operator("GatherND",        gather_nd),
    Operator("MaxUnpool",       max_unpool, known=(2,)),
    Operator("Scatter",         scatter_elements),
    Operator("ScatterElements", scatter_elements),
    Operator("ScatterND",       scatter_nd),
    Operator("TensorScatter",   tensor_scatter),
)
# fmt: on
