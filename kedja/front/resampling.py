"""Pictures of another size: interpolate, pixel_shuffle, pixel_unshuffle, channel_shuffle.

Arguments are those of `torch.nn.functional.interpolate` and its like. Not here: the weights
(`kedja/ops/resample.py`), layers (`kedja/nn/resample.py`). Next: `borders.py`.
Dimensions: N examples, C channels, S places, H rows, W columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kedja.front import arithmetic
from kedja.front.arithmetic import call
from kedja.front.pooling import adaptive_avg_pool
from kedja.front.reductions import floating
from kedja.front.spatial import Ints, numbers, several, spatial_count
from kedja.front.tensor import Tensor, as_tensor, from_value
from kedja.ground.dtypes import float64, is_float
from kedja.ground.errors import ShapeError, UsageError
from kedja.ground.suggest import did_you_mean
from kedja.ir.graph import locating
from kedja.ops.resample import Sampling, tables

# ------------------------------------------------------------------------------ interpolate

MODES = {  # mode: the resampling of one axis, and over how many axes it is known by that name
    "nearest": ("nearest", (1, 2, 3)),
    "nearest-exact": ("nearest-exact", (1, 2, 3)),
    "linear": ("linear", (1,)),
    "bilinear": ("linear", (2,)),
    "trilinear": ("linear", (3,)),
    "bicubic": ("cubic", (2,)),
    "area": ("area", (1, 2, 3)),
}


def interpolate(
    x: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """x resampled to `size`, or to ⌊S·scale_factor⌋, along its spatial axes.

    Shapes: x (N, C, *S) → (N, C, *size). Modes: nearest and nearest-exact (the element whose cell
    holds the beginning, or the centre, of the new cell), linear, bilinear, trilinear (by nearness),
    bicubic, area (the mean over the new cell); integers become float32, but not where they are only
    picked. `align_corners` puts the outer centres of both grids upon each other instead of the
    outer edges. `antialias` widens the filter of bilinear and bicubic where a picture shrinks. A
    given `scale_factor` also sets the step, unless `recompute_scale_factor` takes it from the
    extents. Raises ShapeError, UsageError.
    Source: R. Keys: Cubic convolution interpolation for digital image processing (1981).

    >>> interpolate([[[1.0, 3.0]]], scale_factor=2, mode="linear").tolist()
    [[[1.0, 1.5, 2.5, 3.0]]]
    """
    y = as_tensor(x)
    with locating():
        count = spatial_count("interpolate", y)
        kind = _kind(mode, count)
        _require_options(kind, mode, align_corners, antialias)
        sizes, scales = _extents(y, count, size, scale_factor, recompute_scale_factor)
        if kind == "area":
            return adaptive_avg_pool(y, sizes)
        y = y if kind.startswith("nearest") else floating(y)
        for axis, (new, scale) in enumerate(zip(sizes, scales, strict=True), start=2):
            places = "float64" if y.dtype == float64 else "float32"
            corners = bool(align_corners)
            y = _sampled(
                y, axis, Sampling(kind, y.shape[axis], new, scale, corners, antialias, places)
            )
        return y


def _sampled(x: Tensor, axis: int, how: Sampling) -> Tensor:
    """One axis; what is only picked keeps any dtype."""
    if is_float(x.dtype):
        return call("resample", x, axis=axis, how=how, back=False)
    index, _ = tables(how, False)
    return call("take", x, from_value(index[:, 0]), axis=axis)


def _kind(mode: str, count: int) -> str:
    if mode not in MODES:
        raise UsageError(f"interpolate with mode={mode!r}", fix=did_you_mean(mode, MODES))
    kind, counts = MODES[mode]
    if count not in counts:
        fitting = [each for each, (_, known) in MODES.items() if count in known]
        raise UsageError(
            f"interpolate over {count} spatial axes with mode={mode!r}",
            fix=f"one of {', '.join(fitting)}" if fitting else "1, 2 or 3 spatial axes",
        )
    return kind


def _require_options(kind: str, mode: str, align_corners: bool | None, antialias: bool) -> None:
    if align_corners is not None and kind not in ("linear", "cubic"):
        raise UsageError(
            f"interpolate with mode={mode!r} and align_corners={align_corners}",
            fix="align_corners belongs to linear, bilinear, trilinear and bicubic",
        )
    if antialias and mode not in ("bilinear", "bicubic"):
        raise UsageError(
            f"interpolate with mode={mode!r} and antialias",
            fix="antialias needs bilinear or bicubic",
        )


def _extents(
    x: Tensor, count: int, size: Any, scale_factor: Any, recompute: bool | None
) -> tuple[Ints, Sequence[float | None]]:
    """The new extents, and the steps that the user set."""
    if (size is None) == (scale_factor is None):
        raise UsageError(
            f"interpolate with size={size!r} and scale_factor={scale_factor!r}",
            fix="give one of them",
        )
    if 0 in x.shape[2:]:
        raise ShapeError(f"interpolate of shape {list(x.shape)}", fix="spatial axes have elements")
    none = (None,) * count
    if size is not None:
        if recompute:
            raise UsageError("recompute_scale_factor with a size", fix="it goes with scale_factor")
        return numbers("interpolate", "size", size, count), none
    given = several(scale_factor)
    scales = [float(each) for each in (list(given) * count if len(given) == 1 else given)]
    if len(scales) != count or min(scales) <= 0:
        raise UsageError(
            f"interpolate over {count} spatial axes with scale_factor={scale_factor!r}",
            fix=f"one number above 0, or {count} of them",
        )
    found = [math.floor(n * scale) for n, scale in zip(x.shape[2:], scales, strict=True)]
    sizes = numbers("interpolate", "size", found, count)
    return sizes, none if recompute else scales


def upsample(
    x: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """`interpolate` under PyTorch's older name."""
    return interpolate(x, size, scale_factor, mode, align_corners)


def upsample_nearest(x: Any, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode "nearest", under PyTorch's older name."""
    return interpolate(x, size, scale_factor, "nearest")


def upsample_bilinear(x: Any, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode "bilinear" and aligned corners, under PyTorch's older name."""
    return interpolate(x, size, scale_factor, "bilinear", True)


# ------------------------------------------------------------------------- channels and places


def pixel_shuffle(x: Any, upscale_factor: int) -> Tensor:
    """Channels become places: r² channels make each pixel a square of r × r, r = `upscale_factor`.

    Shapes: x (…, C·r², H, W) → (…, C, H·r, W·r). Source: W. Shi et al.: Real-time single image and
    video super-resolution using an efficient sub-pixel convolutional neural network (2016).

    >>> pixel_shuffle([[[1.0]], [[2.0]], [[3.0]], [[4.0]]], 2).tolist()
    [[[1.0, 2.0], [3.0, 4.0]]]
    """
    x = as_tensor(x)
    with locating():
        (r,) = numbers("pixel_shuffle", "upscale_factor", upscale_factor, 1)
        _require_picture("pixel_shuffle", x)
        *lead, channels, height, width = x.shape
        if channels % (r * r):
            raise ShapeError(
                f"pixel_shuffle of shape {list(x.shape)} by {r}",
                fix=f"the channels (axis -3) are a multiple of {r * r}",
            )
        n = len(lead)
        apart = arithmetic.reshape(x, (*lead, channels // (r * r), r, r, height, width))
        order = (*range(n), n, n + 3, n + 1, n + 4, n + 2)
        moved = arithmetic.transpose(apart, order)  # (… C H r W r)
        return arithmetic.reshape(moved, (*lead, channels // (r * r), height * r, width * r))


def pixel_unshuffle(x: Any, downscale_factor: int) -> Tensor:
    """Places become channels: the inverse of `pixel_shuffle`.

    Shapes: x (…, C, H·r, W·r) → (…, C·r², H, W), r = `downscale_factor`.
    """
    x = as_tensor(x)
    with locating():
        (r,) = numbers("pixel_unshuffle", "downscale_factor", downscale_factor, 1)
        _require_picture("pixel_unshuffle", x)
        *lead, channels, height, width = x.shape
        if height % r or width % r:
            raise ShapeError(
                f"pixel_unshuffle of shape {list(x.shape)} by {r}",
                fix=f"height and width are multiples of {r}",
            )
        n = len(lead)
        apart = arithmetic.reshape(x, (*lead, channels, height // r, r, width // r, r))
        order = (*range(n), n, n + 2, n + 4, n + 1, n + 3)
        moved = arithmetic.transpose(apart, order)  # (… C r r H W)
        return arithmetic.reshape(moved, (*lead, channels * r * r, height // r, width // r))


def _require_picture(name: str, x: Tensor) -> None:
    if x.ndim < 3:
        raise ShapeError(f"{name} of shape {list(x.shape)}", fix="the last axes are (C, H, W)")


def channel_shuffle(x: Any, groups: int) -> Tensor:
    """The channels of all groups taken in turn, so that grouped convolutions mix.

    Shapes: x (N, C, …) → the same. Source: X. Zhang et al.: ShuffleNet (2017).

    >>> channel_shuffle([[[1.0], [2.0], [3.0], [4.0]]], 2).tolist()
    [[[1.0], [3.0], [2.0], [4.0]]]
    """
    x = as_tensor(x)
    with locating():
        spatial_count("channel_shuffle", x)
        (count,) = numbers("channel_shuffle", "groups", groups, 1)
        n, channels, *rest = x.shape
        if channels % count:
            raise ShapeError(
                f"channel_shuffle of {channels} channels in {count} groups (shape {list(x.shape)})",
                fix="the groups divide the channels",
            )
        apart = arithmetic.reshape(x, (n, count, channels // count, *rest))
        mixed = arithmetic.transpose(apart, (0, 2, 1, *range(3, apart.ndim)))
        return arithmetic.reshape(mixed, x.shape)
