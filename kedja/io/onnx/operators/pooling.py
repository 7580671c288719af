"""Pooling: the largest element, the mean or the p-norm of each window, or of all places.

Not here: where windows stand (`frames.py`). Next: `sampling.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kedja.front import arithmetic, functions
from kedja.front.arithmetic import cast
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import lowest
from kedja.io.onnx.call import Call, Value, of_dtype, tensor_of
from kedja.io.onnx.operators.frames import Frame, frame
from kedja.io.onnx.operators.reduce import wide
from kedja.io.onnx.plan import Array, Operator, Rule
from kedja.ops.windows import numpy_windows


def inner(where: Frame) -> tuple[int, ...]:
    """The axes inside the windows."""
    return tuple(range(-len(where.kernel), 0))


def max_pool(call: Call, x: Tensor) -> tuple[Tensor, ...]:
    """The largest element of each window, and its place in the flattened input."""
    where = frame(call, x.shape[2:], call.need("kernel_shape"))
    padded = functions.pad(x, where.widths, lowest(x.dtype))
    y = arithmetic.call("window_max", padded, **where.attrs)
    if not call.wants(1):
        return (y,)
    return y, _places(x, padded, where, bool(call.get("storage_order", 0)))


def _places(x: Tensor, padded: Tensor, where: Frame, columns_first: bool) -> Tensor:
    size = math.prod(where.kernel)
    seen = arithmetic.call("windows", padded, **where.attrs)
    lines = functions.reshape(seen, (*seen.shape[: x.ndim], size))  # (N C O K)
    best = functions.argmax(lines, -1, keepdims=True)
    spatial = x.shape[2:]
    grid = np.arange(math.prod(spatial)).reshape(spatial[::-1] if columns_first else spatial)
    grid = grid.T if columns_first else grid
    under = numpy_windows(np.pad(grid, where.widths[2:]), **where.attrs)
    under = under.reshape(*seen.shape[2 : x.ndim], size)
    chosen = functions.broadcast_to(tensor_of(np.ascontiguousarray(under)), lines.shape)
    found = functions.squeeze(functions.take_along_axis(chosen, best, -1), -1)
    start = np.arange(math.prod(x.shape[:2])) * math.prod(spatial)
    return found + tensor_of(start.reshape(*x.shape[:2], *(1,) * len(spatial)))


def average_pool(call: Call, x: Tensor) -> Tensor:
    """The mean of each window; padding counts only if that is said."""
    where = frame(call, x.shape[2:], call.need("kernel_shape"))
    seen = arithmetic.call("windows", functions.pad(wide(x), where.widths), **where.attrs)
    total = functions.sum(seen, inner(where))
    counts = _counts(x.shape[2:], where, bool(call.get("count_include_pad", 0)))
    return cast(total / of_dtype(counts, total), x.dtype)


def _counts(extents: tuple[int, ...], where: Frame, with_padding: bool) -> Array:
    """How many elements of each window count; what lies beyond the padding never does."""
    ones = np.pad(np.ones(extents), where.padding, constant_values=1.0 if with_padding else 0.0)
    ones = np.pad(ones, [(0, more) for more in where.more])
    counts: Any = numpy_windows(ones, **where.attrs).sum(axis=inner(where))
    return np.asarray(counts)


def lp_pool(call: Call, x: Tensor) -> Tensor:
    """(Σ|x|^p)^(1/p) over each window."""
    where = frame(call, x.shape[2:], call.need("kernel_shape"))
    seen = arithmetic.call("windows", functions.pad(wide(x), where.widths), **where.attrs)
    return cast(p_norm(seen, call.get("p", 2), inner(where)), x.dtype)


def p_norm(x: Tensor, p: float, axes: tuple[int, ...], keepdims: bool = False) -> Tensor:
    """(Σ|x|^p)^(1/p)."""
    if p == 1:
        return functions.sum(functions.abs(x), axes, keepdims)
    if p == 2:
        return functions.sqrt(functions.sum(functions.square(x), axes, keepdims))
    powers = functions.sum(functions.pow(functions.abs(x), p), axes, keepdims)
    return functions.pow(powers, 1 / p)


def global_norm(call: Call, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The p-norm over all places."""
    return p_norm(x, call.get("p", 2), axes, keepdims=True)


def over_all(function: Any) -> Rule:
    """A reduction over all places, which keeps the axes."""

    def rule(call: Call, x: Tensor) -> Tensor:
        result: Tensor = function(call, x, tuple(range(2, x.ndim)))
        return result

    return rule


def col2im(call: Call, x: Tensor, image: Value, block: Value) -> Tensor:
    """Columns of blocks added back into an image: (N, C·∏block, L) → (N, C, *image)."""
    extents, kernel = call.ints(image, "image_shape"), call.ints(block, "block_shape")
    where = frame(call, extents, kernel)
    pairs = zip(extents, where.padding, strict=True)
    padded = tuple(n + low + high for n, (low, high) in pairs)
    facts = zip(padded, kernel, where.strides, where.dilation, strict=True)
    out = [(n - (k - 1) * gap - 1) // step + 1 for n, k, step, gap in facts]
    blocks = functions.reshape(x, (x.shape[0], -1, math.prod(kernel), *out))
    last = functions.moveaxis(blocks, 2, -1)  # (N C O ∏K)
    lines = functions.reshape(last, (*last.shape[:-1], *kernel))
    attrs = {"strides": where.strides, "dilation": where.dilation}
    whole = arithmetic.call("unwindows", lines, shape=padded, **attrs)
    inside = [slice(low, low + n) for n, (low, _) in zip(extents, where.padding, strict=True)]
    return whole[(..., *inside)]


# fmt: off
OPERATORS = (
    Operator("AveragePool",       average_pool),
    Operator("Col2Im",            col2im, known=(1, 2)),
    Operator("GlobalAveragePool", over_all(lambda call, x, axes: functions.mean(x, axes, True))),
    Operator("GlobalLpPool",      over_all(global_norm)),
    Operator("GlobalMaxPool",     over_all(lambda call, x, axes: functions.max(x, axes, True))),
    Operator("LpPool",            lp_pool),
    Operator("MaxPool",           max_pool),
)
# fmt: on
