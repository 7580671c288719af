"""Operators that make arrays: constants, ranges, triangles, windows of signal processing.

Next: `indexing.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kedja.front import functions
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import convert, int64
from kedja.io.onnx import elements
from kedja.io.onnx.call import Call, Value, tensor_of
from kedja.io.onnx.plan import Array, Operator

# The attributes of Constant that hold numbers, and their dtypes.
NUMBERS = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def constant(call: Call) -> Tensor:
    """The array that stands in an attribute."""
    for name in ("value", "sparse_value"):
        if call.get(name) is not None:
            return tensor_of(call.need(name))
    for name, dtype in NUMBERS.items():
        if call.get(name) is not None:
            return tensor_of(np.asarray(call.need(name), dtype))
    return call.refuse("texts")


def constant_of_shape(call: Call, shape: Value) -> Tensor:
    """One value (0 unless given) at every index."""
    value = call.get("value", np.zeros(1, np.float32))
    extents = tuple(call.ints(shape, "the shape"))
    return functions.full(extents, value.reshape(()).item(), value.dtype)


def eye_like(call: Call, x: Tensor) -> Tensor:
    """Ones on a diagonal, in the shape of x."""
    code = call.get("dtype")
    dtype = x.dtype if code is None else elements.dtype_of(code)
    rows, columns = x.shape
    return functions.eye(rows, columns, dtype=dtype, k=call.get("k", 0))


def triangle(call: Call, x: Tensor, k: Value = None) -> Tensor:
    """The upper (or lower) triangle of each matrix, 0 elsewhere."""
    offset = 0 if k is None else call.integer(k, "k")
    inside = np.ones(x.shape[-2:], bool)
    inside = np.triu(inside, offset) if call.get("upper", 1) else np.tril(inside, offset)
    return functions.where(tensor_of(inside), x, tensor_of(np.zeros((), x.dtype)))


def numbers(call: Call, start: Value, limit: Value, delta: Value) -> Tensor:
    """start, start + delta … before the limit."""
    first, end, step = (call.array(each, "a bound").reshape(()) for each in (start, limit, delta))
    kind = first.dtype
    wide = [
        each.astype(np.float64 if kind.kind not in "iu" else np.int64)
        for each in (first, end, step)
    ]
    count = max(0, int(np.ceil((wide[1] - wide[0]) / wide[2])))
    return tensor_of(convert(np.asarray(wide[0] + np.arange(count) * wide[2]), kind))


def one_hot(call: Call, places: Tensor, depth: Value, values: Tensor) -> Tensor:
    """The second value at each place along a new axis, the first one elsewhere."""
    count = int(call.array(depth, "depth").reshape(()))
    place = functions.astype(places, int64)
    place = functions.where(functions.less(place, 0), place + count, place)
    axis = call.get("axis", -1)
    axis = axis + places.ndim + 1 if axis < 0 else axis
    line = functions.reshape(functions.arange(count), (-1, *(1,) * (places.ndim - axis)))
    hit = functions.equal(functions.expand_dims(place, axis), line)
    return functions.where(hit, values[1], values[0])


# ---------------------------------------------------------------------------------- signals


def mel_weights(call: Call, *given: Value) -> Tensor:
    """The matrix from a spectrum's bins to mel bands: triangles that overlap by half."""
    names = ("num_mel_bins", "dft_length", "sample_rate", "lower_edge_hertz", "upper_edge_hertz")
    bands, length, rate, low, high = (
        call.array(v, n).reshape(()).item() for n, v in zip(names, given, strict=True)
    )
    dtype = elements.dtype_of(call.get("output_datatype", 1))
    return tensor_of(_mel_matrix(int(bands), int(length), rate, low, high).astype(dtype))


def _mel_matrix(bands: int, length: int, rate: float, low: float, high: float) -> Array:
    """Source: the definition of MelWeightMatrix in ONNX; mel = 2595·log10(1 + f/700)."""
    edges = np.array([2595 * np.log10(1 + each / 700) for each in (low, high)])
    mel = edges[0] + np.arange(bands + 2) * ((edges[1] - edges[0]) / (bands + 2))
    hertz = 700 * (10 ** (mel / 2595) - 1)
    places = ((length + 1) * hertz // rate).astype(int)
    matrix: Any = np.zeros((length // 2 + 1, bands))
    for band in range(bands):
        left, middle, right = places[band : band + 3]
        if middle == left:
            matrix[middle, band] = 1
        else:
            rise = np.arange(left, middle + 1)
            matrix[rise, band] = (rise - left) / (middle - left)
        fall = np.arange(middle, right)
        matrix[fall, band] = (right - fall) / max(right - middle, 1)
    return np.asarray(matrix)


# fmt: off
OPERATORS = (
    Operator("Constant",        constant),
    Operator("ConstantOfShape", constant_of_shape, known=(0,)),
    Operator("EyeLike",         eye_like, by_type=True),
    Operator("MelWeightMatrix", mel_weights, known=(0, 1, 2, 3, 4)),
    Operator("OneHot",          one_hot, known=(1,)),
    Operator("Range",           numbers, known=(0, 1, 2)),
    Operator("Trilu",           triangle, known=(1,)),
)
# fmt: on
