"""Convolution, its transpose, with integers, with gaps that are learned (deformable).

Not here: where windows stand (`frames.py`). Next: `pooling.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kedja.front import arithmetic, functions
from kedja.front.tensor import Tensor, from_node
from kedja.io.onnx.call import Call, Value
from kedja.io.onnx.operators.frames import AUTO, Frame, Pair, frame, halves
from kedja.io.onnx.plan import Operator
from kedja.ops.convolution import mirrored
from kedja.ops.windows import span


def convolution(call: Call, x: Tensor, w: Tensor, b: Value = None) -> Tensor:
    """(N, C, …), (O, C/G, …) → (N, O, …)."""
    return with_bias(
        convolved(x, w, frame(call, x.shape[2:], w.shape[2:]), call.get("group", 1)), b
    )


def convolved(x: Tensor, w: Tensor, where: Frame, groups: int) -> Tensor:
    """The convolution by our op."""
    return arithmetic.call(
        "convolution",
        x,
        w,
        strides=where.strides,
        padding=where.padding,
        input_dilation=(1,) * len(where.strides),
        dilation=where.dilation,
        groups=groups,
    )


def with_bias(y: Tensor, b: Value) -> Tensor:
    """One number more for each channel."""
    if b is None:
        return y
    result: Tensor = y + functions.reshape(b, (-1, *(1,) * (y.ndim - 2)))
    return result


# --------------------------------------------------------------------------------- transpose


def transposed(call: Call, x: Tensor, w: Tensor, b: Value = None) -> Tensor:
    """The transpose of a convolution: (N, C, …), (C, O/G, …) → (N, O, …)."""
    count, groups = x.ndim - 2, call.get("group", 1)
    strides = tuple(call.get("strides") or (1,) * count)
    dilation = tuple(call.get("dilations") or (1,) * count)
    extra = tuple(call.get("output_padding") or (0,) * count)
    spans = [span(k, gap) for k, gap in zip(w.shape[2:], dilation, strict=True)]
    facts = zip(x.shape[2:], strides, extra, spans, strict=True)
    whole = [step * (n - 1) + more + reach for n, step, more, reach in facts]
    pads = _cropping(call, x.shape[2:], strides, whole)
    around = zip(spans, pads, extra, strict=True)
    y = arithmetic.call(
        "convolution",
        x,
        from_node(mirrored(w.node, groups), w.tracks),
        strides=(1,) * count,
        padding=tuple((k - 1 - low, k - 1 - high + more) for k, (low, high), more in around),
        input_dilation=strides,
        dilation=dilation,
        groups=groups,
    )
    return with_bias(y, b)


def _cropping(
    call: Call, extents: Sequence[int], strides: Sequence[int], whole: Sequence[int]
) -> list[Pair]:
    """What is cut off at both ends of the whole transpose."""
    auto, count = call.choice("auto_pad", "NOTSET", AUTO), len(extents)
    wanted = call.get("output_shape")
    if wanted is None and auto.startswith("SAME"):
        wanted = [n * step for n, step in zip(extents, strides, strict=True)]
    if wanted is None:
        pads = call.get("pads") or (0,) * 2 * count
        return list(zip(pads[:count], pads[count:], strict=True))
    totals = [n - m for n, m in zip(whole, wanted[-count:], strict=True)]
    return [halves(total, "SAME_LOWER" if auto != "SAME_UPPER" else auto) for total in totals]


# -------------------------------------------------------------------------------- deformable


def deformable(
    call: Call, x: Tensor, w: Tensor, offset: Tensor, b: Value = None, mask: Value = None
) -> Tensor:
    """A convolution whose every element looks at a place of its own: pixel + offset, bilinear.

    Shapes: x (N, C, H, W), w (O, C/G, k, l), offset (N, D·k·l·2, P, Q), mask (N, D·k·l, P, Q).
    Source: J. Dai et al.: Deformable convolutional networks (2017).
    """
    if x.ndim != 4:
        call.refuse(f"{x.ndim - 2} spatial axes")
    where = frame(call, x.shape[2:], tuple(call.get("kernel_shape") or w.shape[2:]))
    parts, groups = call.get("offset_group", 1), call.get("group", 1)
    seen = _looked_at(x, offset, mask, where, parts)  # (N C k·l P·Q)
    n, channels = x.shape[:2]
    size = math.prod(where.kernel)
    columns = functions.reshape(seen, (n, groups, channels // groups * size, -1))
    rows = functions.reshape(w, (groups, w.shape[0] // groups, -1))
    y = functions.reshape(rows @ columns, (n, w.shape[0], *offset.shape[2:]))
    return with_bias(y, b)


def _looked_at(x: Tensor, offset: Tensor, mask: Value, where: Frame, parts: int) -> Tensor:
    """The elements of x under every place of the kernel, moved by the offsets."""
    n, channels, *_ = x.shape
    out, size = offset.shape[2:], math.prod(where.kernel)
    moved = functions.reshape(offset, (n, parts, size, 2, *out))
    coordinates = []
    for axis in (0, 1):
        steps = functions.arange(out[axis]) * where.strides[axis] - where.padding[axis][0]
        taps = functions.arange(where.kernel[axis]) * where.dilation[axis]
        tap = functions.reshape(taps, (-1, 1) if axis == 0 else (1, -1))
        tap = functions.reshape(functions.broadcast_to(tap, where.kernel), (size, 1, 1))
        base = tap + functions.reshape(steps, (-1, 1) if axis == 0 else (1, -1))
        coordinates.append(moved[:, :, :, axis] + base.astype(x.dtype))  # (N D k·l P Q)
    image = functions.reshape(x, (n * parts, channels // parts, *x.shape[2:]))
    flat = [functions.reshape(each, (n * parts, -1)) for each in coordinates]
    seen = bilinear(image, *flat)  # (N·D C/D k·l·P·Q)
    seen = functions.reshape(seen, (n, parts, channels // parts, size, *out))
    if mask is not None:
        seen = seen * functions.reshape(mask, (n, parts, 1, size, *out))
    return functions.reshape(seen, (n, channels, size, -1))


def bilinear(x: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """x (N, C, H, W) at places (N, L) between pixels → (N, C, L); 0 outside."""
    total: Any = None
    top, left = functions.floor(row), functions.floor(column)
    for down in (0, 1):
        for right in (0, 1):
            y, z = top + down, left + right
            weight = (1 - functions.abs(row - y)) * (1 - functions.abs(column - z))
            part = pixels(x, y, z) * functions.expand_dims(weight, 1)
            total = part if total is None else total + part
    return total  # type: ignore[no-any-return]


def pixels(x: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """x (N, C, H, W) at whole places (N, L) → (N, C, L); 0 outside."""
    n, channels, height, width = x.shape
    inside = [
        functions.logical_and(functions.greater_equal(place, 0), functions.less(place, extent))
        for place, extent in ((row, height), (column, width))
    ]
    both = functions.logical_and(*inside)
    place = functions.where(both, row * width + column, 0).astype("int64")
    wide = functions.broadcast_to(functions.expand_dims(place, 1), (n, channels, row.shape[1]))
    found = functions.take_along_axis(functions.reshape(x, (n, channels, -1)), wide, 2)
    return functions.where(functions.expand_dims(both, 1), found, 0)


# fmt: off
OPERATORS = (
    Operator("Conv",          convolution),
    Operator("ConvTranspose", transposed),
    Operator("DeformConv",    deformable),
)
# fmt: on
