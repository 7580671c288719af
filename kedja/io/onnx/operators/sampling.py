"""Values of pictures at given places: GridSample and RoiAlign.

Not here: places that follow from extents (`resizing.py`). Next: `recurrent.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from kedja.front import functions
from kedja.front.arithmetic import cast
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import int64
from kedja.io.onnx.call import Call, is_known, tensor_of
from kedja.io.onnx.plan import Operator

# ------------------------------------------------------------------------------- GridSample

MODES = {"bilinear": "linear", "bicubic": "cubic"}  # the names before version 20
PADDING = ("zeros", "border", "reflection")
CUBIC = -0.75


def grid_sample(call: Call, x: Tensor, grid: Tensor) -> Tensor:
    """x (N, C, S…) at places in [−1, 1] (N, P…, axes), which name the last axis first."""
    mode = call.choice("mode", "linear", ("linear", "nearest", "cubic", *MODES))
    mode, padding = MODES.get(mode, mode), call.choice("padding_mode", "zeros", PADDING)
    corners = bool(call.get("align_corners", 0))
    extents, out = x.shape[2:], grid.shape[1:-1]
    lines = [functions.reshape(grid[..., axis], (x.shape[0], -1)) for axis in range(len(extents))]
    where = [_on_axis(g, n, corners) for g, n in zip(lines[::-1], extents, strict=True)]
    if mode == "nearest":
        where = [functions.round(each) for each in where]
    if mode != "cubic":  # its neighbours are brought inside one by one
        where = [_held(p, n, padding, corners) for p, n in zip(where, extents, strict=True)]
    taps = {"nearest": _one, "linear": _two, "cubic": _four}[mode]
    choices = [taps(each) for each in where]
    total: Any = None
    for chosen in product(*choices):
        places = [place for place, _ in chosen]
        weight = math.prod((w for _, w in chosen[1:]), start=chosen[0][1])
        found = _elements(x, places, padding, corners) * functions.expand_dims(weight, 1)
        total = found if total is None else total + found
    return functions.reshape(cast(total, x.dtype), (*x.shape[:2], *out))


def _on_axis(place: Tensor, extent: int, corners: bool) -> Tensor:
    """−1 … 1 as a place among the elements of an axis."""
    if corners:
        return (place + 1) * ((extent - 1) / 2)
    return ((place + 1) * extent - 1) / 2


def _held(place: Tensor, extent: int, padding: str, corners: bool) -> Tensor:
    """Places outside brought inside, as the padding says."""
    if padding == "border":
        return functions.clip(place, 0, extent - 1)
    if padding == "reflection":
        return _reflected(place, extent, corners)
    return place


def _reflected(place: Tensor, extent: int, corners: bool) -> Tensor:
    """Places mirrored at both ends until they are inside."""
    low, high = (0.0, extent - 1.0) if corners else (-0.5, extent - 0.5)
    if high == low:
        return place * 0
    width = high - low
    turn = functions.remainder(place - low, 2 * width)
    return low + width - functions.abs(turn - width)


Taps = list[tuple[Tensor, Tensor]]


def _one(place: Tensor) -> Taps:
    return [(place, functions.ones_like(place))]


def _two(place: Tensor) -> Taps:
    first = functions.floor(place)
    rest = place - first
    return [(first, 1 - rest), (first + 1, rest)]


def _four(place: Tensor) -> Taps:
    first = functions.floor(place)
    rest = place - first
    return [(first + shift, _cubic(functions.abs(rest - shift))) for shift in (-1, 0, 1, 2)]


def _cubic(distance: Tensor) -> Tensor:
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance * distance + 1
    far = ((distance - 5) * distance + 8) * distance * CUBIC - 4 * CUBIC
    return functions.where(functions.less_equal(distance, 1), near, far)


def _elements(x: Tensor, places: Sequence[Tensor], padding: str, corners: bool) -> Tensor:
    """x at whole places (N, L) → (N, C, L); outside 0, or as the padding says."""
    inside: Any = None
    flat: Any = None
    for place, extent in zip(places, x.shape[2:], strict=True):
        if padding == "zeros":
            fits = functions.logical_and(
                functions.greater_equal(place, 0), functions.less_equal(place, extent - 1)
            )
            inside = fits if inside is None else functions.logical_and(inside, fits)
            place = functions.clip(place, 0, extent - 1)
        else:
            place = functions.clip(
                functions.trunc(_held(place, extent, padding, corners)), 0, extent - 1
            )
        number = cast(place, int64)
        flat = number if flat is None else flat * extent + number
    n, channels = x.shape[:2]
    wide = functions.broadcast_to(functions.expand_dims(flat, 1), (n, channels, flat.shape[1]))
    found = functions.take_along_axis(functions.reshape(x, (n, channels, -1)), wide, 2)
    return found if inside is None else functions.where(functions.expand_dims(inside, 1), found, 0)


# --------------------------------------------------------------------------------- RoiAlign


def roi_align(call: Call, x: Tensor, rois: Tensor, images: Tensor) -> Tensor:
    """Each region (x1, y1, x2, y2) as a small picture: means (or maxima) of bilinear samples.

    Source: K. He et al.: Mask R-CNN (2017).
    """
    mode = call.choice("mode", "avg", ("avg", "max"))
    default = "half_pixel" if call.version >= 16 else "output_half_pixel"
    shift = call.get("coordinate_transformation_mode", default) == "half_pixel"
    out = call.get("output_height", 1), call.get("output_width", 1)
    edges = rois * call.get("spatial_scale", 1.0) - (0.5 if shift else 0.0)
    start = functions.stack([edges[:, 1], edges[:, 0]], 1)
    size = functions.stack([edges[:, 3], edges[:, 2]], 1) - start
    if not shift:
        size = functions.maximum(size, 1.0)
    ratio = call.get("sampling_ratio", 0)
    if ratio > 0:
        return _aligned(x, images, start, size, out, (ratio, ratio), mode)
    if not is_known(size):
        call.refuse(
            "sampling_ratio=0 and regions that are traced: the number of samples is unknown"
        )
    parts = []
    for place, each in enumerate(size.numpy()):
        counts = tuple(max(1, math.ceil(n / m)) for n, m in zip(each, out, strict=True))
        one = slice(place, place + 1)
        parts.append(_aligned(x, images[one], start[one], size[one], out, counts, mode))
    return functions.concat(parts, 0)


def _aligned(
    x: Tensor,
    images: Tensor,
    start: Tensor,
    size: Tensor,
    out: tuple[int, int],
    counts: tuple[int, ...],
    mode: str,
) -> Tensor:
    """Regions (R, 2) with the same number of samples in each cell → (R, C, *out)."""
    height, width = x.shape[2:]
    lines, valid = [], []
    for axis, extent in enumerate((height, width)):
        number = out[axis] * counts[axis]
        steps = (np.arange(number) + 0.5) / number
        fractions = tensor_of(steps.astype(x.dtype))
        place = start[:, axis : axis + 1] + size[:, axis : axis + 1] * fractions  # (R, number)
        valid.append(_between(place, -1, extent))
        lines.append(functions.clip(place, 0, extent - 1))
    picture = functions.take(x, images, 0)  # (R C H W)
    found = _corners(picture, lines, functions.maximum if mode == "max" else functions.add)
    inside = functions.logical_and(valid[0][:, :, None], valid[1][:, None, :])
    found = functions.where(functions.expand_dims(inside, 1), found, 0)
    rows, columns = out
    cells = functions.reshape(found, (*found.shape[:2], rows, counts[0], columns, counts[1]))
    reduce = functions.max if mode == "max" else functions.mean
    return reduce(cells, (3, 5))


def _between(place: Tensor, low: float, high: float) -> Tensor:
    return functions.logical_and(
        functions.greater_equal(place, low), functions.less_equal(place, high)
    )


def _corners(
    x: Tensor, lines: Sequence[Tensor], join: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """x (R, C, H, W) between pixels, rows (R, P), columns (R, Q) → (R, C, P, Q).

    The four neighbours, times their weights, are joined.
    """
    regions, channels, height, width = x.shape
    flat = functions.reshape(x, (regions, channels, -1))
    total: Any = None
    for (row, w_row), (column, w_column) in product(*map(_two, lines)):
        row, column = functions.minimum(row, height - 1), functions.minimum(column, width - 1)
        place = cast(row[:, :, None] * width + column[:, None, :], int64)  # (R P Q)
        shape = (regions, channels, place.shape[1] * place.shape[2])
        wide = functions.broadcast_to(functions.reshape(place, (regions, 1, -1)), shape)
        found = functions.reshape(
            functions.take_along_axis(flat, wide, 2), (regions, channels, *place.shape[1:])
        )
        part = found * functions.expand_dims(w_row[:, :, None] * w_column[:, None, :], 1)
        total = part if total is None else join(total, part)
    return total  # type: ignore[no-any-return]


# fmt: off
OPERATORS = (
    Operator("GridSample", grid_sample),
    Operator("RoiAlign",   roi_align),
)
# fmt: on
