"""Layers that change how many places there are: Upsample, PixelShuffle, Unfold and their like.

Not here: the same as functions (`nn.functional.interpolate` …, in
`kedja/front/resampling.py` and `kedja/front/convolution.py`). Next: `losses`. Dimensions:
N examples, C channels, S places, K places in a window, L windows, r the factor.
"""

from __future__ import annotations

from typing import Any

from kedja.front import convolution, resampling
from kedja.front.spatial import batched, unbatched
from kedja.front.tensor import Tensor, as_tensor
from kedja.nn.conv import Numbers
from kedja.nn.module import Module, layer_error

# --------------------------------------------------------------------------------- Upsample


class Upsample(Module):
    """x resampled to `size`, or to ⌊S·scale_factor⌋, along its spatial axes.

    Shapes: x (N, C, *S) → (N, C, *size). Modes: nearest, linear, bilinear, trilinear, bicubic, by
    the number of spatial axes; all else as `nn.functional.interpolate`. Raises ShapeError,
    UsageError. Source: R. Keys: Cubic convolution interpolation for digital image processing
    (1981).

    >>> import kedja as kj
    >>> Upsample(scale_factor=2, mode="bilinear")(kj.ones((1, 3, 4, 5))).shape
    (1, 3, 8, 10)
    """

    size: Any = None
    scale_factor: Any = None
    mode: str = "nearest"
    align_corners: bool | None = None
    recompute_scale_factor: bool | None = None

    def __call__(self, x: Any) -> Tensor:
        """x (N, C, *S) → (N, C, *size)."""
        settings = (self.size, self.scale_factor, self.mode)
        options = (self.align_corners, self.recompute_scale_factor)
        return resampling.interpolate(x, *settings, *options)


class UpsamplingNearest2d(Module):
    """`Upsample` with mode "nearest", under PyTorch's older name.

    Shapes: x (N, C, H, W) → (N, C, *size).

    >>> import kedja as kj
    >>> UpsamplingNearest2d(scale_factor=2)(kj.ones((1, 3, 4, 5))).shape
    (1, 3, 8, 10)
    """

    size: Any = None
    scale_factor: Any = None

    def __call__(self, x: Any) -> Tensor:
        """x (N, C, H, W) → (N, C, *size)."""
        return resampling.interpolate(x, self.size, self.scale_factor, "nearest")


class UpsamplingBilinear2d(Module):
    """`Upsample` with mode "bilinear" and aligned corners, under PyTorch's older name.

    Shapes: x (N, C, H, W) → (N, C, *size).

    >>> import kedja as kj
    >>> UpsamplingBilinear2d(size=(7, 9))(kj.ones((1, 3, 4, 5))).shape
    (1, 3, 7, 9)
    """

    size: Any = None
    scale_factor: Any = None

    def __call__(self, x: Any) -> Tensor:
        """x (N, C, H, W) → (N, C, *size)."""
        return resampling.interpolate(x, self.size, self.scale_factor, "bilinear", True)


# ------------------------------------------------------------------ PixelShuffle and relatives


class PixelShuffle(Module):
    """Channels become places: r² channels make each pixel a square of r × r.

    Shapes: x (…, C·r², H, W) → (…, C, H·r, W·r), r = `upscale_factor`. Source: W. Shi et al.:
    Real-time single image and video super-resolution using an efficient sub-pixel convolutional
    neural network (2016).

    >>> import kedja as kj
    >>> PixelShuffle(2)(kj.ones((1, 12, 4, 5))).shape
    (1, 3, 8, 10)
    """

    upscale_factor: int

    def __call__(self, x: Any) -> Tensor:
        """x (…, C·r², H, W) → (…, C, H·r, W·r)."""
        return resampling.pixel_shuffle(x, self.upscale_factor)


class PixelUnshuffle(Module):
    """Places become channels: the inverse of `PixelShuffle`.

    Shapes: x (…, C, H·r, W·r) → (…, C·r², H, W), r = `downscale_factor`.

    >>> import kedja as kj
    >>> PixelUnshuffle(2)(kj.ones((1, 3, 8, 10))).shape
    (1, 12, 4, 5)
    """

    downscale_factor: int

    def __call__(self, x: Any) -> Tensor:
        """x (…, C, H·r, W·r) → (…, C·r², H, W)."""
        return resampling.pixel_unshuffle(x, self.downscale_factor)


class ChannelShuffle(Module):
    """The channels of all groups taken in turn, so that grouped convolutions mix.

    Shapes: x (N, C, …) → the same. Source: X. Zhang et al.: ShuffleNet (2017).

    >>> ChannelShuffle(2)([[[1.0], [2.0], [3.0], [4.0]]]).tolist()
    [[[1.0], [3.0], [2.0], [4.0]]]
    """

    groups: int

    def __call__(self, x: Any) -> Tensor:
        """x (N, C, …) → the same shape."""
        return resampling.channel_shuffle(x, self.groups)


# -------------------------------------------------------------------------- Unfold and Fold


def unfold(
    x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Every window of a picture as a column: x (N, C, H, W) or (C, H, W) → (N, C·K·K, L) or less N.

    Arguments are those of `torch.nn.functional.unfold`.
    """
    x, single = batched(as_tensor(x), 4)
    return unbatched(convolution.unfold(x, kernel_size, dilation, padding, stride), single)


def fold(
    x: Any,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Tensor:
    """Columns added back together: x (N, C·K·K, L) or (C·K·K, L) → (N, C, *output_size) or less N.

    Arguments are those of `torch.nn.functional.fold`.
    """
    x, single = batched(as_tensor(x), 3)
    settings = (kernel_size, dilation, padding, stride)
    return unbatched(convolution.fold(x, output_size, *settings), single)


class Unfold(Module):
    """Every window of a picture as a column, as convolution sees it.

    Shapes: x (N, C, H, W) or (C, H, W) → (N, C·K·K, L) or (C·K·K, L). Raises ShapeError where the
    windows do not fit.

    >>> import kedja as kj
    >>> Unfold(3, padding=1)(kj.ones((2, 3, 4, 5))).shape
    (2, 27, 20)
    """

    kernel_size: Numbers
    dilation: Numbers = 1
    padding: Numbers = 0
    stride: Numbers = 1

    def __call__(self, x: Any) -> Tensor:
        """x (N, C, H, W) or (C, H, W) → (N, C·K·K, L) or (C·K·K, L)."""
        x = as_tensor(x)
        if x.ndim not in (3, 4):
            what = f"expects inputs (N, C, H, W) or (C, H, W), got shape {list(x.shape)}"
            raise layer_error(self, what, "the input has 4 axes, or 3")
        return unfold(x, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(Module):
    """Columns added back together where their windows overlap: the transpose of `Unfold`.

    Shapes: x (N, C·K·K, L) or (C·K·K, L) → (N, C, *output_size) or (C, *output_size).

    >>> import kedja as kj
    >>> Fold((4, 5), 3, padding=1)(kj.ones((2, 27, 20))).shape
    (2, 3, 4, 5)
    """

    output_size: Numbers
    kernel_size: Numbers
    dilation: Numbers = 1
    padding: Numbers = 0
    stride: Numbers = 1

    def __call__(self, x: Any) -> Tensor:
        """x (N, C·K·K, L) or (C·K·K, L) → (N, C, *output_size) or (C, *output_size)."""
        x = as_tensor(x)
        if x.ndim not in (2, 3):
            what = f"expects inputs (N, C·K·K, L) or (C·K·K, L), got shape {list(x.shape)}"
            raise layer_error(self, what, "the input has 3 axes, or 2: what Unfold gives")
        settings = (self.kernel_size, self.dilation, self.padding, self.stride)
        return fold(x, self.output_size, *settings)
