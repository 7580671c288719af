"""Operators whose results have a shape that depends on data: they run at once, outside of `jit`.

Next: `products.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kedja.front import functions
from kedja.front.tensor import Tensor
from kedja.io.onnx.call import Call, Value, tensor_of
from kedja.io.onnx.plan import Array, Operator

EVERYTHING = (0, 1, 2, 3, 4)


def nonzero(call: Call, x: Tensor) -> Tensor:
    """The places of the elements that are not 0: one row for each axis."""
    return tensor_of(np.asarray(np.nonzero(call.array(x, "the input")), np.int64))


def compress(call: Call, x: Tensor, condition: Tensor) -> Tensor:
    """The elements (or the slices along an axis) where a condition holds."""
    places = np.flatnonzero(call.array(condition, "the condition"))
    axis = call.get("axis")
    line = functions.reshape(x, -1) if axis is None else x
    return functions.take(line, places, axis or 0)


def unique(call: Call, x: Tensor) -> tuple[Tensor, ...]:
    """The different elements (or slices), their first places, the way back, and how often."""
    axis = call.get("axis")
    array = call.array(x, "the input")
    values, first, inverse, counts = np.unique(array, True, True, True, axis=axis)
    inverse = inverse.reshape(-1)
    if not call.get("sorted", 1):
        order = np.argsort(first)
        values = np.take(values, order, 0 if axis is None else axis)
        inverse = np.argsort(order)[inverse]
        first, counts = first[order], counts[order]
    return tuple(tensor_of(each) for each in (values, first, inverse, counts))


# --------------------------------------------------------------------- non-maximum suppression


def non_max_suppression(
    call: Call,
    boxes: Tensor,
    scores: Tensor,
    most: Value = None,
    iou: Value = None,
    least: Value = None,
) -> Tensor:
    """The best boxes of each class that overlap no better one too much: (batch, class, box)."""
    corners, given = call.array(boxes, "boxes"), call.array(scores, "scores")
    if call.get("center_point_box", 0):
        corners = _corners(corners)
    limit = 0 if most is None else int(call.array(most, "max_output_boxes_per_class").reshape(()))
    overlap = 0.0 if iou is None else float(call.array(iou, "iou_threshold").reshape(()))
    lowest = None if least is None else float(call.array(least, "score_threshold").reshape(()))
    rows = [
        (image, kind, box)
        for image, kind in np.ndindex(*given.shape[:2])
        for box in _best(corners[image], given[image, kind], limit, overlap, lowest)
    ]
    return tensor_of(np.asarray(rows, np.int64).reshape(-1, 3))


def _corners(boxes: Array) -> Array:
    """Centre and size as two corners."""
    x, y, width, height = np.moveaxis(boxes, -1, 0)
    corners = (y - height / 2, x - width / 2, y + height / 2, x + width / 2)
    return np.stack(corners, -1)


def _best(
    boxes: Array, scores: Array, limit: int, overlap: float, lowest: float | None
) -> Iterator[int]:
    """Box by box from the highest score on, those left out that overlap an earlier one."""
    chosen: list[int] = []
    for box in np.argsort(-scores, kind="stable").tolist():
        if len(chosen) >= limit or (lowest is not None and scores[box] <= lowest):
            return
        if all(_overlap(boxes[box], boxes[each]) <= overlap for each in chosen):
            chosen.append(box)
            yield box


def _overlap(a: Array, b: Array) -> float:
    """The intersection of two boxes over their union."""
    low_a, high_a = np.minimum(a[:2], a[2:]), np.maximum(a[:2], a[2:])
    low_b, high_b = np.minimum(b[:2], b[2:]), np.maximum(b[:2], b[2:])
    common = np.prod(np.maximum(np.minimum(high_a, high_b) - np.maximum(low_a, low_b), 0))
    union = np.prod(high_a - low_a) + np.prod(high_b - low_b) - common
    found: Any = common / union if union > 0 else 0.0
    return float(found)


# fmt: off
OPERATORS = (
    Operator("Compress",          compress, known=(1,)),
    Operator("NonMaxSuppression", non_max_suppression, known=EVERYTHING),
    Operator("NonZero",           nonzero, known=EVERYTHING),
    Operator("Unique",            unique, known=EVERYTHING),
)
# fmt: on
