"""Resize and Upsample: other extents, with values between the old ones.

Interpolation works along one axis after the other. Each is a product with a matrix of weights that
follows from the extents alone, or, for the nearest element, a choice of places.
Source of the rules: the definition of Resize in ONNX. Next: `sampling.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kedja.front import functions
from kedja.front.arithmetic import cast
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import float32, is_float
from kedja.io.onnx.call import Call, Value, of_dtype, tensor_of
from kedja.io.onnx.operators.reduce import wide
from kedja.io.onnx.plan import Array, Operator

MODES = ("nearest", "linear", "cubic")
COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_crop_and_resize",
)
ROUNDING = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


class Line(NamedTuple):
    """One axis: its extents before and after, the scale between them, and the part that counts."""

    axis: int
    before: int
    after: int
    scale: float
    region: tuple[float, float]


class Rules(NamedTuple):
    """How values between others are found."""

    mode: str
    coordinates: str
    rounding: str
    cubic: float
    exclude_outside: bool
    antialias: bool
    outside: float


# --------------------------------------------------------------------------------- operators


def resize(
    call: Call, x: Tensor, roi: Value = None, scales: Value = None, sizes: Value = None
) -> Tensor:
    """x with other extents along some axes."""
    if call.version < 11:
        return upsample(call, x, roi)
    rules = Rules(
        call.choice("mode", "nearest", MODES),
        call.choice("coordinate_transformation_mode", "half_pixel", COORDINATES),
        call.choice("nearest_mode", "round_prefer_floor", ROUNDING),
        call.get("cubic_coeff_a", -0.75),
        bool(call.get("exclude_outside", 0)),
        bool(call.get("antialias", 0)),
        call.get("extrapolation_value", 0.0),
    )
    return resized(x, _lines(call, x, roi, scales, sizes), rules)


def upsample(call: Call, x: Tensor, scales: Value = None) -> Tensor:
    """The older form: scales alone, places by x/scale cut off."""
    mode = call.choice("mode", "nearest", ("nearest", "linear", "bilinear"))
    if call.version >= 9:
        given = [float(each) for each in call.array(scales, "scales")]
    else:
        given = list(call.get("scales", (1, 1, call.get("height_scale"), call.get("width_scale"))))
    rules = Rules(
        "nearest" if mode == "nearest" else "linear", "asymmetric", "floor", 0, False, False, 0
    )
    return resized(x, _by_scales(x, range(x.ndim), given, None), rules)


def _lines(call: Call, x: Tensor, roi: Value, scales: Value, sizes: Value) -> list[Line]:
    axes = [axis % x.ndim for axis in call.get("axes") or range(x.ndim)]
    region = None if roi is None or roi.size == 0 else call.array(roi, "roi").astype(float).tolist()
    if scales is not None and scales.size:
        given = [float(each) for each in call.array(scales, "scales")]
        return _by_scales(x, axes, given, region)
    wanted = call.ints(sizes, "sizes")
    policy = call.choice(
        "keep_aspect_ratio_policy", "stretch", ("stretch", "not_larger", "not_smaller")
    )
    ratios = [n / x.shape[axis] for axis, n in zip(axes, wanted, strict=True)]
    if policy != "stretch":
        ratio = min(ratios) if policy == "not_larger" else max(ratios)
        ratios = [ratio] * len(axes)
        wanted = [math.floor(ratio * x.shape[axis] + 0.5) for axis in axes]
    facts = enumerate(zip(axes, wanted, ratios, strict=True))
    return [
        Line(axis, x.shape[axis], n, ratio, _part(region, place, len(axes)))
        for place, (axis, n, ratio) in facts
    ]


def _by_scales(x: Tensor, axes: Sequence[int], scales: Sequence[float], region: Any) -> list[Line]:
    found = []
    for place, (axis, scale) in enumerate(zip(axes, scales, strict=True)):
        before = x.shape[axis]
        part = _part(region, place, len(scales))
        found.append(Line(axis, before, math.floor(before * scale), scale, part))
    return found


def _part(region: Any, place: int, count: int) -> tuple[float, float]:
    return (0.0, 1.0) if region is None else (region[place], region[place + count])


# --------------------------------------------------------------------------------- all axes


def resized(x: Tensor, lines: Sequence[Line], rules: Rules) -> Tensor:
    """x with other extents, one axis after the other."""
    changed = [each for each in lines if not _is_same(each)]
    if rules.mode == "nearest":
        for line in changed:
            x = functions.take(x, _nearest(line, rules), line.axis)
        return _with_outside(x, changed, rules)
    y = wide(x) if is_float(x.dtype) else cast(x, float32)
    for line in changed:
        weights = of_dtype(_weights(line, rules), y)  # (after, before)
        y = functions.moveaxis(functions.moveaxis(y, line.axis, -1) @ weights.T, -1, line.axis)
    y = _with_outside(y, changed, rules)
    if not is_float(x.dtype):
        info = np.iinfo(x.dtype)
        y = functions.clip(y, int(info.min), int(info.max))
    return cast(y, x.dtype)


def _is_same(line: Line) -> bool:
    return line.before == line.after and math.isclose(line.scale, 1) and line.region == (0.0, 1.0)


def _with_outside(x: Tensor, lines: Sequence[Line], rules: Rules) -> Tensor:
    """A value of its own where the place is outside of the array."""
    if rules.coordinates != "tf_crop_and_resize":
        return x
    for line in lines:
        where = _places(line, rules.coordinates)
        outside = (where < 0) | (where > line.before - 1)
        mask = outside.reshape(-1, *(1,) * (x.ndim - line.axis - 1))
        x = functions.where(tensor_of(mask), rules.outside, x)
    return x


# ---------------------------------------------------------------------------------- one axis


def _places(line: Line, coordinates: str) -> Array:
    """Where each new element stands among the old ones."""
    new = np.arange(line.after, dtype=float)
    width = line.scale * line.before
    last = line.before - 1
    if coordinates == "align_corners":
        return new * 0 if width == 1 else new * last / (width - 1)
    if coordinates == "asymmetric":
        return new / line.scale
    if coordinates == "tf_crop_and_resize":
        start, end = line.region
        if width == 1:
            return new * 0 + (end - start) * last / 2 + start * last
        return new * (end - start) * last / (width - 1) + start * last
    if coordinates == "pytorch_half_pixel" and line.after == 1:
        return new * 0
    half = (new + 0.5) / line.scale - 0.5
    if coordinates == "half_pixel_symmetric":
        half += line.before / 2 * (1 - line.after / width)
    return half


def _nearest(line: Line, rules: Rules) -> Array:
    where = _places(line, rules.coordinates)
    rounded = {
        "round_prefer_floor": np.ceil(where - 0.5),
        "round_prefer_ceil": np.floor(where + 0.5),
        "floor": np.floor(where),
        "ceil": np.ceil(where),
    }[rules.rounding]
    return np.asarray(np.clip(rounded, 0, line.before - 1), np.int64)


def _weights(line: Line, rules: Rules) -> Array:
    """The matrix from the old elements to the new ones; beyond the ends the last ones count."""
    where = _places(line, rules.coordinates)
    stretch = min(line.scale, 1.0) if rules.antialias else 1.0
    reach = 1 if rules.mode == "linear" else 2
    first = math.floor(-reach / stretch) + 1
    taps = np.floor(where)[:, None] + np.arange(first, 2 - first)
    distance = np.abs(taps - where[:, None]) * stretch
    values = _hat(distance) if reach == 1 else _cubic(distance, rules.cubic)
    if rules.exclude_outside:
        values = np.where((taps < 0) | (taps >= line.before), 0.0, values)
    if rules.exclude_outside or rules.antialias:
        total = values.sum(1, keepdims=True)
        values = values / np.where(total == 0, 1, total)
    matrix = np.zeros((line.after, line.before))
    inside = np.clip(taps, 0, line.before - 1).astype(int)
    np.add.at(matrix, (np.arange(line.after)[:, None], inside), values)
    return matrix


def _hat(distance: Array) -> Array:
    return np.asarray(np.maximum(0, 1 - distance))


def _cubic(distance: Array, a: float) -> Array:
    """Source: R. Keys: Cubic convolution interpolation for digital image processing (1981)."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance * a - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))


# fmt: off
OPERATORS = (
    Operator("Resize",   resize, known=(1, 2, 3)),
    Operator("Upsample", upsample, known=(1,)),
)
# fmt: on
