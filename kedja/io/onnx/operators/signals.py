"""Fourier transforms of signals, as products with matrices of cosines and sines.

A complex number is a pair of floats along the last axis, as in ONNX itself. The product costs n²
instead of n·log n operations. Not here: windows, which ONNX defines by others. Next: `learning.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kedja.front import arithmetic, functions
from kedja.front.arithmetic import cast
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import float64
from kedja.io.onnx.call import Call, Value, tensor_of
from kedja.io.onnx.operators.movement import part
from kedja.io.onnx.plan import Array, Operator


def dft(call: Call, x: Tensor, length: Value = None, axis: Value = None) -> Tensor:
    """Σ_n e^(∓2πi·kn/N)·x[n] along an axis; x ends with an axis of 1 (real) or 2 (complex)."""
    if call.version < 20:
        along = call.get("axis", 1)
    else:
        along = -2 if axis is None else call.integer(axis, "axis")
    onesided, inverse = bool(call.get("onesided", 0)), bool(call.get("inverse", 0))
    along %= x.ndim
    count = x.shape[along]
    if length is not None:
        count = call.integer(length, "dft_length")
    elif onesided and inverse:
        count = 2 * (count - 1)
    if onesided and inverse:
        return _real_signal(x, count, along)
    return transformed(x, count, along, inverse, onesided)


def transformed(x: Tensor, count: int, axis: int, inverse: bool, onesided: bool) -> Tensor:
    """The transform of `count` elements along an axis; half of it where it is one-sided."""
    angles = _angles(count, count // 2 + 1 if onesided else count, inverse)
    real, imaginary = _parts(_of_length(x, axis, count), axis)
    cosine, sine = np.cos(angles), np.sin(angles)
    if inverse:
        cosine, sine = cosine / count, sine / count
    a, b = _times(real, cosine), _times(real, sine)
    if imaginary is not None:
        a, b = a - _times(imaginary, sine), b + _times(imaginary, cosine)
    pair = [functions.moveaxis(each, -1, axis) for each in (a, b)]
    return cast(functions.stack(pair, -1), x.dtype)


def _real_signal(x: Tensor, count: int, axis: int) -> Tensor:
    """The real signal of `count` elements whose transform x is the first half of."""
    half = count // 2 + 1
    real, imaginary = _parts(_of_length(x, axis, half), axis)
    weights = np.full(half, 2.0)
    weights[0] = 1
    if count % 2 == 0:
        weights[-1] = 1
    angles = 2 * np.pi / count * np.outer(np.arange(half), np.arange(count))
    y = _times(real, np.cos(angles) * weights[:, None] / count)
    if imaginary is not None:
        y = y - _times(imaginary, np.sin(angles) * weights[:, None] / count)
    return cast(functions.expand_dims(functions.moveaxis(y, -1, axis), -1), x.dtype)


def _angles(count: int, kept: int, inverse: bool) -> Array:
    """±2π·kn/N for each n (rows) and k (columns)."""
    turns = np.outer(np.arange(count), np.arange(kept)) % count
    return np.asarray((1 if inverse else -1) * 2 * np.pi / count * turns)


def _of_length(x: Tensor, axis: int, count: int) -> Tensor:
    """An axis cut, or filled with zeros, to a length."""
    if x.shape[axis] >= count:
        return part(x, axis, 0, count)
    widths = [(0, count - n) if each == axis else (0, 0) for each, n in enumerate(x.shape)]
    return functions.pad(x, widths)


def _parts(x: Tensor, axis: int) -> tuple[Tensor, Any]:
    """Real and imaginary part in float64, the axis last; None where there is no imaginary one."""
    wide = functions.moveaxis(cast(x, float64), axis, -2)
    return wide[..., 0], wide[..., 1] if x.shape[-1] == 2 else None


def _times(x: Tensor, matrix: Array) -> Tensor:
    return functions.matmul(x, tensor_of(matrix))


def stft(call: Call, x: Tensor, step: Value, window: Value = None, length: Value = None) -> Tensor:
    """The transforms of overlapping pieces of a signal (N, L, 1 or 2), weighted by a window."""
    if length is not None:
        size = call.integer(length, "frame_length")
    else:
        size = x.shape[1] if window is None else window.shape[0]
    hop = call.integer(step, "frame_step")
    line = functions.moveaxis(x, 1, -1)  # (N, 1 or 2, L)
    attrs = {"kernel": (size,), "strides": (hop,), "dilation": (1,)}
    pieces = functions.moveaxis(arithmetic.call("windows", line, **attrs), 1, -1)  # (N F size 1)
    if window is not None:
        pieces = pieces * functions.reshape(window, (-1, 1))
    return transformed(pieces, size, 2, False, bool(call.get("onesided", 1)))


# fmt: off
OPERATORS = (
    Operator("DFT",  dft, known=(1, 2)),
    Operator("STFT", stft, known=(1, 3)),
)
# fmt: on
