"""Convolutions over one, two and three spatial axes, and their transposes.

Not here: the same as functions (`conv_functions.py`), padding and resampling (`padding.py`,
`resample.py`), the mathematics (`kedja/front/convolution.py`). Next: `pooling.py`.
Dimensions: N examples, C channels in, O out, G groups, K places in the kernel, S and P places in
and out along each spatial axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from kedja.front import random
from kedja.front.borders import around
from kedja.front.convolution import conv, conv_transpose
from kedja.front.spatial import LAYOUTS, Ints, batched, numbers, unbatched
from kedja.front.tensor import Tensor
from kedja.ground.errors import UsageError
from kedja.nn import init
from kedja.nn.activation_functions import floating
from kedja.nn.checks import require_positive
from kedja.nn.module import Module, layer_error
from kedja.ops.windows import span

Numbers = int | Sequence[int]
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")

# --------------------------------------------------------------------------- what is shared


class _Conv(Module):
    """What convolutions and their transposes have in common."""

    weight: Tensor
    bias: Tensor | None
    stride: Ints
    padding: Any
    dilation: Ints
    groups: int
    padding_mode: str

    _axes: ClassVar[int] = 0  # how many are spatial

    def _settle(
        self, stride: Numbers, padding: Any, dilation: Numbers, groups: int, padding_mode: str
    ) -> None:
        name, count = type(self).__name__, self._axes
        if padding_mode not in PADDING_MODES:
            raise UsageError(
                f"{name} with padding_mode={padding_mode!r}",
                fix=f"one of {', '.join(PADDING_MODES)}",
            )
        self.stride = numbers(name, "stride", stride, count)
        self.padding = _padding(name, padding, count)
        self.dilation = numbers(name, "dilation", dilation, count)
        self.groups = groups
        self.padding_mode = padding_mode

    def _draw(
        self,
        shape: Ints,
        outs: int,
        bias: bool,
        key: Tensor | None,
        initializer: init.Initializer | None,
    ) -> None:
        """The weight of this shape, and a bias for each of `outs` channels."""
        for_weight, for_bias = random.split(random.next_key() if key is None else key)
        if initializer is not None:
            self.weight = initializer(for_weight, shape)
            self.bias = init.zeros(None, (outs,), self.weight.dtype) if bias else None
            return
        bound = 1 / math.sqrt(math.prod(shape[1:]))  # kaiming_uniform with a = √5
        self.weight = init.uniform(for_weight, shape, -bound, bound)
        self.bias = init.uniform(for_bias, (outs,), -bound, bound) if bias else None

    @property
    def kernel_size(self) -> Ints:
        """The extents of the kernel."""
        return self.weight.shape[2:]

    @property
    def in_channels(self) -> int:
        """C, the extent of the input's channel axis."""
        return self.weight.shape[1] * self.groups

    @property
    def out_channels(self) -> int:
        """O, the extent of the output's channel axis."""
        return self.weight.shape[0]

    def _ready(self, x: Any) -> tuple[Tensor, bool]:
        """x (N, C, …), and whether it came without N."""
        x = floating(x)
        rank = self._axes + 2
        channels = x.shape[x.ndim - rank + 1] if x.ndim in (rank, rank - 1) else None
        if channels == self.in_channels:
            return batched(x, rank)
        layout = LAYOUTS[self._axes]
        expected = f"expects inputs (N, {layout}) or ({layout}) with C = {self.in_channels}"
        fix = _channels_fix(x, self._axes, self.in_channels)
        raise layer_error(self, f"{expected}, got shape {list(x.shape)}", fix)

    def extra_repr(self) -> str:
        """The settings that are not the default, as PyTorch prints them."""
        ones, text = (1,) * self._axes, f"{self.in_channels}, {self.out_channels}"
        text += f", kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding not in ("valid", (0,) * self._axes):
            text += f", padding={self.padding!r}"
        text += f", dilation={self.dilation}" if self.dilation != ones else ""
        text += f", groups={self.groups}" if self.groups != 1 else ""
        text += ", bias=False" if self.bias is None else ""
        return text + (f", padding_mode={self.padding_mode}" * (self.padding_mode != "zeros"))


def _padding(name: str, padding: Any, count: int) -> Any:
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise UsageError(f"{name} with padding={padding!r}", fix="a number, 'same' or 'valid'")
        return padding
    return numbers(name, "padding", padding, count, low=0)


def _channels_fix(x: Tensor, count: int, channels: int) -> str:
    """What makes an input of the wrong shape fit, as far as the numbers tell."""
    rank = count + 2
    if x.ndim == rank and x.shape[-1] == channels:
        order = (0, rank - 1, *range(1, rank - 1))
        return f"channels come before places: kj.permute_dims(x, {order})"
    if channels == 1 and x.ndim == rank - 1:
        return "give the axis of the one channel: kj.expand_dims(x, 1)"
    if x.ndim in (rank, rank - 1):
        found = x.shape[x.ndim - rank + 1]
        return f"make the layer with in_channels={found}, or give it other inputs"
    return f"the input has {rank} axes, or {rank - 1} for a single example"


def _require_groups(name: str, **channels: int) -> None:
    groups = channels.pop("groups")
    for what, count in channels.items():
        if count % groups:
            raise UsageError(
                f"{name} with {what}={count} and groups={groups}",
                fix=f"groups divide {what}",
            )


# ------------------------------------------------------------------------------------- Conv


class _ConvForward(_Conv):
    """A convolution over `_axes` spatial axes; see `Conv2d`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Numbers,
        stride: Numbers = 1,
        padding: Any = 0,
        dilation: Numbers = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        key: Tensor | None = None,
        init: init.Initializer | None = None,
    ) -> None:
        name = type(self).__name__
        extents = {"in_channels": in_channels, "out_channels": out_channels, "groups": groups}
        require_positive(name, **extents)
        _require_groups(name, **extents)
        self._settle(stride, padding, dilation, groups, padding_mode)
        if self.padding == "same" and max(self.stride) > 1:
            raise UsageError(
                f"{name} with padding='same' and stride {list(self.stride)}",
                fix="'same' keeps the extents, which only stride 1 can; give numbers",
            )
        kernel = numbers(name, "kernel_size", kernel_size, self._axes)
        self._draw((out_channels, in_channels // groups, *kernel), out_channels, bias, key, init)

    def __call__(self, x: Any) -> Tensor:
        """x (N, C, *S) or (C, *S) → (N, O, *P) or (O, *P)."""
        x, single = self._ready(x)
        padding = self.padding
        if self.padding_mode != "zeros":
            mode = self.padding_mode
            x, padding = around(x, self._pairs(), mode), 0
        y = conv(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
        return unbatched(y, single)

    def _pairs(self) -> list[tuple[int, int]]:
        """The padding before and behind each spatial axis."""
        if self.padding == "valid":
            return [(0, 0)] * self._axes
        if self.padding == "same":
            pairs = zip(self.kernel_size, self.dilation, strict=True)
            edges = [span(k, gap) - 1 for k, gap in pairs]
            return [(edge // 2, edge - edge // 2) for edge in edges]
        return [(each, each) for each in self.padding]


class Conv1d(_ConvForward, init=False):
    """y[o, p] = bias[o] + Σ x[c, p·stride + k·dilation]·weight[o, c, k], over c and k.

    Shapes: x (N, C, L) or (C, L) → (N, O, P) or (O, P), P as in `kj.conv`; `weight` (O, C/G, K),
    `bias` (O,) or None. All else as `Conv2d`. Source: A. Waibel et al.: Phoneme recognition using
    time-delay neural networks (1989).

    >>> import kedja as kj
    >>> Conv1d(3, 8, 5, padding="same")(kj.zeros((2, 3, 20))).shape
    (2, 8, 20)
    """

    _axes: ClassVar[int] = 1


class Conv2d(_ConvForward, init=False):
    """y[o, p] = bias[o] + Σ x[c, p·stride + k·dilation]·weight[o, c, k], over c and both axes of k.

    Shapes: x (N, C, H, W) or (C, H, W) → (N, O, P, P) or (O, P, P), P as in `kj.conv`; `weight`
    (O, C/G, K, K), `bias` (O,) or None, named and laid out as in PyTorch. `padding` is a number,
    one for each axis, "same" or "valid"; `padding_mode` "zeros", "reflect", "replicate" or
    "circular". Unless `init` is given, both start uniform in ±1/√(C/G·ΠK), as in PyTorch;
    `init(key, shape)` draws the weight, and the bias is then 0. Raises ShapeError where the input
    has other channels. Source: Y. LeCun et al.: Backpropagation applied to handwritten zip code
    recognition (1989).

    >>> import kedja as kj
    >>> layer = Conv2d(3, 8, 3, stride=2, padding=1)
    >>> layer(kj.zeros((2, 3, 32, 32))).shape, layer(kj.zeros((3, 32, 32))).shape
    ((2, 8, 16, 16), (8, 16, 16))
    >>> layer
    Conv2d(3, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))
    """

    _axes: ClassVar[int] = 2


class Conv3d(_ConvForward, init=False):
    """y[o, p] = bias[o] + Σ x[c, p·stride + k·dilation]·weight[o, c, k], over c and the axes of k.

    Shapes: x (N, C, D, H, W) or (C, D, H, W) → (N, O, P, P, P) or (O, P, P, P), P as in `kj.conv`;
    `weight` (O, C/G, K, K, K), `bias` (O,) or None. All else as `Conv2d`. Source: S. Ji et al.: 3D
    convolutional neural networks for human action recognition (2013).

    >>> import kedja as kj
    >>> Conv3d(1, 2, (1, 3, 3))(kj.zeros((1, 1, 4, 8, 8))).shape
    (1, 2, 4, 6, 6)
    """

    _axes: ClassVar[int] = 3


# ---------------------------------------------------------------------------- ConvTranspose


class _ConvBack(_Conv):
    """The transpose of a convolution over `_axes` spatial axes; see `ConvTranspose2d`."""

    output_padding: Ints

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Numbers,
        stride: Numbers = 1,
        padding: Numbers = 0,
        output_padding: Numbers = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Numbers = 1,
        padding_mode: str = "zeros",
        *,
        key: Tensor | None = None,
        init: init.Initializer | None = None,
    ) -> None:
        name, count = type(self).__name__, self._axes
        extents = {"in_channels": in_channels, "out_channels": out_channels, "groups": groups}
        require_positive(name, **extents)
        _require_groups(name, **extents)
        if padding_mode != "zeros" or isinstance(padding, str):
            given = f"padding={padding!r} and padding_mode={padding_mode!r}"
            raise UsageError(f"{name} with {given}", fix="numbers, and padding_mode='zeros'")
        self._settle(stride, padding, dilation, groups, padding_mode)
        self.output_padding = numbers(name, "output_padding", output_padding, count, low=0)
        kernel = numbers(name, "kernel_size", kernel_size, count)
        self._draw((in_channels, out_channels // groups, *kernel), out_channels, bias, key, init)

    @property
    def in_channels(self) -> int:
        """C, the extent of the input's channel axis."""
        return self.weight.shape[0]

    @property
    def out_channels(self) -> int:
        """O, the extent of the output's channel axis."""
        return self.weight.shape[1] * self.groups

    def __call__(self, x: Any, output_size: Sequence[int] | None = None) -> Tensor:
        """x (N, C, *S) or (C, *S) → (N, O, *P) or (O, *P).

        `output_size` names the spatial extents P of the output, of which the stride allows several.
        """
        x, single = self._ready(x)
        more = self.output_padding
        if output_size is not None:
            more = self._more(x, tuple(output_size)[-self._axes :])
        settings = (self.stride, self.padding, more, self.groups, self.dilation)
        return unbatched(conv_transpose(x, self.weight, self.bias, *settings), single)

    def _more(self, x: Tensor, wanted: Ints) -> Ints:
        """The output padding that gives these extents."""
        facts = zip(x.shape[2:], self.stride, self.padding, self._edges(), strict=True)
        least = [(n - 1) * step - 2 * pad + edge + 1 for n, step, pad, edge in facts]
        more = tuple(size - low for size, low in zip(wanted, least, strict=False))
        fits = len(more) == self._axes and min(more) >= 0
        if not fits or any(n >= step for n, step in zip(more, self.stride, strict=True)):
            most = [low + step - 1 for low, step in zip(least, self.stride, strict=True)]
            what = f"gives {least} to {most}, not {list(wanted)}, from shape {list(x.shape)}"
            raise layer_error(self, what, "choose an output_size in between")
        return more

    def _edges(self) -> list[int]:
        return [span(k, gap) - 1 for k, gap in zip(self.kernel_size, self.dilation, strict=True)]

    def extra_repr(self) -> str:
        """The settings, as PyTorch prints them."""
        text = super().extra_repr()
        if self.output_padding != (0,) * self._axes:
            text += f", output_padding={self.output_padding}"
        return text


class ConvTranspose1d(_ConvBack, init=False):
    """Every element spreads the kernel: the transpose of `Conv1d`, whose gradient it computes.

    Shapes: x (N, C, L) or (C, L) → (N, O, P) or (O, P), P as in `kj.conv_transpose`; `weight`
    (C, O/G, K), `bias` (O,) or None. All else as `ConvTranspose2d`.

    >>> import kedja as kj
    >>> ConvTranspose1d(3, 2, 4, stride=2, padding=1)(kj.zeros((1, 3, 10))).shape
    (1, 2, 20)
    """

    _axes: ClassVar[int] = 1


class ConvTranspose2d(_ConvBack, init=False):
    """Every element spreads the kernel: the transpose of `Conv2d`, whose gradient it computes.

    Shapes: x (N, C, H, W) or (C, H, W) → (N, O, P, P) or (O, P, P), with
    P = (S − 1)·stride − 2·padding + dilation·(K − 1) + output_padding + 1; `weight` (C, O/G, K, K),
    `bias` (O,) or None, named and laid out as in PyTorch. Both start uniform in ±1/√(O/G·ΠK), as in
    PyTorch. Raises ShapeError where the input has other channels. Source: M. Zeiler et al.:
    Deconvolutional networks (2010).

    >>> import kedja as kj
    >>> layer = ConvTranspose2d(8, 3, 3, stride=2, padding=1)
    >>> layer(kj.zeros((2, 8, 16, 16))).shape
    (2, 3, 31, 31)
    >>> layer(kj.zeros((2, 8, 16, 16)), output_size=(32, 32)).shape
    (2, 3, 32, 32)
    """

    _axes: ClassVar[int] = 2


class ConvTranspose3d(_ConvBack, init=False):
    """Every element spreads the kernel: the transpose of `Conv3d`, whose gradient it computes.

    Shapes: x (N, C, D, H, W) or (C, D, H, W) → (N, O, P, P, P) or (O, P, P, P), P as in
    `kj.conv_transpose`; `weight` (C, O/G, K, K, K), `bias` (O,) or None. All else as
    `ConvTranspose2d`.

    >>> import kedja as kj
    >>> ConvTranspose3d(2, 1, 2, stride=2)(kj.zeros((1, 2, 3, 4, 4))).shape
    (1, 1, 6, 8, 8)
    """

    _axes: ClassVar[int] = 3
