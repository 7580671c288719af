"""Numbers as small integers with a scale and a zero point: x = (q − zero)·scale.

Not here: element types of 8 bits and fewer that are floats, or of 4 bits. Next: `convolution.py`.
"""

from __future__ import annotations

from typing import Any

from kedja.front import functions
from kedja.front.arithmetic import cast
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import DType, float32, highest, int32, is_float, is_half, lowest, uint8
from kedja.io.onnx import elements
from kedja.io.onnx.call import Call, Value
from kedja.io.onnx.operators.convolution import convolved, with_bias
from kedja.io.onnx.operators.frames import frame
from kedja.io.onnx.plan import Operator


def spread(call: Call, parameter: Tensor, x: Tensor) -> Tensor:
    """A scale or zero point over x: one number, one for each place of an axis, or each block."""
    if parameter.size == 1:
        return functions.reshape(parameter, ())
    axis, block = call.get("axis", 1) % x.ndim, call.get("block_size", 0)
    if block:
        wide = functions.repeat(parameter, block, axis)
        key = [slice(None)] * x.ndim
        key[axis] = slice(0, x.shape[axis])
        return wide[tuple(key)]
    return functions.reshape(parameter, (-1, *(1,) * (x.ndim - axis - 1)))


def quantize(call: Call, x: Tensor, scale: Tensor, zero: Value = None) -> Tensor:
    """round(x/scale) + zero, held within the integers of the result."""
    code = call.get("output_dtype", 0)
    dtype = zero.dtype if zero is not None else elements.dtype_of(code) if code else uint8
    _require_integer(call, dtype)
    precision = call.get("precision", 0)
    kind = (
        elements.dtype_of(precision) if precision else scale.dtype if is_half(x.dtype) else x.dtype
    )
    kind = kind if is_float(kind) else float32
    ratio = cast(x, kind) / cast(spread(call, scale, x), kind)
    return held(functions.round(ratio), None if zero is None else spread(call, zero, x), dtype)


def _require_integer(call: Call, dtype: DType) -> None:
    if is_float(dtype):
        call.refuse(f"results of {dtype.name}")


def held(x: Tensor, zero: Value, dtype: DType) -> Tensor:
    """Whole numbers (as floats) + zero, held within a dtype."""
    x = cast(x, float32) if is_half(x.dtype) else x
    moved = x if zero is None else x + cast(zero, x.dtype)
    return cast(functions.clip(moved, lowest(dtype), highest(dtype)), dtype)


def dequantize(call: Call, x: Tensor, scale: Tensor, zero: Value = None) -> Tensor:
    """(x − zero)·scale."""
    code = call.get("output_dtype", 0)
    dtype = elements.dtype_of(code) if code else scale.dtype
    wide = cast(x, float32 if is_half(dtype) else dtype)
    if zero is not None:
        wide = wide - cast(spread(call, zero, x), wide.dtype)
    return cast(wide * cast(spread(call, scale, x), wide.dtype), dtype)


def dynamic(call: Call, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x as uint8 with the scale and the zero point that its own range, with 0, asks for."""
    high = functions.maximum(functions.max(x), 0.0)
    low = functions.minimum(functions.min(x), 0.0)
    scale = (high - low) / 255
    zero = held(functions.round(functions.negative(low) / scale), None, uint8)
    return held(functions.round(x / scale), zero, uint8), scale, zero


# ------------------------------------------------------------------------- integer products


def centred(x: Tensor, zero: Value, rows: bool = False) -> Tensor:
    """x − zero as int32; zero points in a line belong to rows, or to the last axis."""
    wide = cast(x, int32)
    if zero is None:
        return wide
    point = cast(zero, int32)
    if rows and point.ndim == 1 and point.size > 1:
        point = functions.reshape(point, (-1, 1))
    return wide - (functions.reshape(point, ()) if point.size == 1 else point)


def matmul_integer(call: Call, a: Tensor, b: Tensor, za: Value = None, zb: Value = None) -> Tensor:
    """The product of the integers without their zero points, in int32."""
    return functions.matmul(centred(a, za, rows=True), centred(b, zb))


def conv_integer(call: Call, x: Tensor, w: Tensor, zx: Value = None, zw: Value = None) -> Tensor:
    """The convolution of the integers without their zero points, in int32."""
    where = frame(call, x.shape[2:], w.shape[2:])
    return convolved(centred(x, zx), _centred_kernel(w, zw), where, call.get("group", 1))


def _centred_kernel(w: Tensor, zero: Value) -> Tensor:
    """The zero points of a kernel belong to its output channels."""
    if zero is not None and zero.size > 1:
        zero = functions.reshape(zero, (-1, *(1,) * (w.ndim - 1)))
    return centred(w, zero)


def requantized(y: Tensor, factor: Tensor, zero: Value, dtype: DType) -> Tensor:
    """int32 sums, scaled, as small integers again."""
    return held(functions.round(cast(y, float32) * factor), zero, dtype)


def qlinear_matmul(call: Call, *given: Any) -> Tensor:
    """The product of two quantised matrices, quantised."""
    a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero = given
    product = functions.matmul(centred(a, a_zero, rows=True), centred(b, b_zero))
    a_scale, b_scale, y_scale = (cast(each, float32) for each in (a_scale, b_scale, y_scale))
    rows = (
        functions.reshape(a_scale, (-1, 1)) if a_scale.size > 1 else functions.reshape(a_scale, ())
    )
    factor = rows * (b_scale if b_scale.size > 1 else functions.reshape(b_scale, ())) / y_scale
    return requantized(product, factor, y_zero, y_zero.dtype)


def qlinear_conv(call: Call, *given: Any) -> Tensor:
    """A convolution of quantised arrays, quantised; the bias is in units of both scales."""
    x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, *bias = given
    where = frame(call, x.shape[2:], w.shape[2:])
    y = convolved(centred(x, x_zero), _centred_kernel(w, w_zero), where, call.get("group", 1))
    y = with_bias(y, bias[0] if bias else None)
    if w_scale.size > 1:
        w_scale = functions.reshape(w_scale, (-1, *(1,) * (x.ndim - 2)))
    return requantized(y, x_scale * w_scale / y_scale, y_zero, y_zero.dtype)


# fmt: off
OPERATORS = (
    Operator("ConvInteger",           conv_integer),
    Operator("DequantizeLinear",      dequantize),
    Operator("DynamicQuantizeLinear", dynamic),
    Operator("MatMulInteger",         matmul_integer),
    Operator("QLinearConv",           qlinear_conv),
    Operator("QLinearMatMul",         qlinear_matmul),
    Operator("QuantizeLinear",        quantize),
)
# fmt: on
