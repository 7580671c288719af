"""Convolutions by name: conv, conv_transpose over any number of spatial axes; unfold and fold.

Arguments are those of `torch.nn.functional.conv2d` and its like; the number of spatial axes follows
from the weight. Not here: the op (`kedja/ops/convolution.py`), layers (`kedja/nn/conv.py`).
Next: `pooling.py`. Dimensions: N examples, C channels in, O out, G groups, S and P places in and
out, K places in the kernel.
"""

from __future__ import annotations

import math
from typing import Any

from kedja.front import arithmetic
from kedja.front.arithmetic import call
from kedja.front.spatial import (
    Ints,
    Pairs,
    batched,
    bordered,
    numbers,
    several,
    spatial_count,
    unbatched,
)
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import promote
from kedja.ground.errors import ShapeError, UsageError
from kedja.ir.graph import locating
from kedja.ops.windows import places, span

# ------------------------------------------------------------------------------------- conv


def conv(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """y[n, o, p] = bias[o] + Σ x[n, c, p·stride + k·dilation] · weight[o, c, k], over c and k.

    Shapes: x (N, C, *S) or (C, *S), `weight` (O, C/G, *K), `bias` (O,) → y (N, O, *P) with
    P = ⌊(S + padding before and behind − dilation·(K − 1) − 1)/stride⌋ + 1. As in every library
    the kernel is not turned round (it is a cross-correlation). `padding` is a number, one for
    each axis, a pair (before, behind) for each axis, "valid" (none) or "same" (P = S). Raises
    ShapeError where the shapes do not fit.

    >>> conv([[[1.0, 2.0, 3.0, 4.0]]], [[[1.0, -1.0]]]).tolist()
    [[[-1.0, -1.0, -1.0]]]
    """
    with locating():
        x, weight = _factors("conv", x, weight)
        count = weight.ndim - 2
        x, single = batched(x, weight.ndim)
        strides = numbers("conv", "stride", stride, count)
        gaps = numbers("conv", "dilation", dilation, count)
        attrs = {
            "strides": strides,
            "padding": pairs("conv", padding, weight.shape[2:], strides, gaps),
            "input_dilation": (1,) * count,
            "dilation": gaps,
            "groups": groups,
        }
        return unbatched(_biased(call("convolution", x, weight, **attrs), bias), single)


def _factors(name: str, x: Any, weight: Any) -> tuple[Tensor, Tensor]:
    x, weight = as_tensor(x), as_tensor(weight)
    if weight.ndim < 3 or x.ndim not in (weight.ndim, weight.ndim - 1):
        raise ShapeError(
            f"{name} of x {list(x.shape)} by a weight of {list(weight.shape)}",
            fix="x is (N, C, …) with as many axes as the weight (out, in/groups, …)",
        )
    dtype = promote(x.dtype, weight.dtype)
    return arithmetic.cast(x, dtype), arithmetic.cast(weight, dtype)


def pairs(name: str, padding: Any, kernel: Ints, strides: Ints, dilation: Ints) -> Pairs:
    """The padding before and behind each spatial axis, however it is given."""
    count = len(kernel)
    if isinstance(padding, str):
        return _named(name, padding, kernel, strides, dilation)
    given = several(padding)
    if any(isinstance(each, (tuple, list)) for each in given):
        if len(given) != count or any(len(several(each)) != 2 for each in given):
            raise UsageError(
                f"{name} over {count} spatial axes with padding={padding!r}",
                fix="a pair (before, behind) for each axis",
            )
        found = [numbers(name, "padding", each, 2, low=0) for each in given]
        return tuple((low, high) for low, high in found)
    return tuple((each, each) for each in numbers(name, "padding", padding, count, low=0))


def _named(name: str, padding: str, kernel: Ints, strides: Ints, dilation: Ints) -> Pairs:
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if padding != "same":
        raise UsageError(f"{name} with padding={padding!r}", fix="a number, 'same' or 'valid'")
    if max(strides) > 1:
        raise UsageError(
            f"{name} with padding='same' and stride {list(strides)}",
            fix="'same' keeps the extents, which only stride 1 can; give numbers",
        )
    edges = [span(k, gap) - 1 for k, gap in zip(kernel, dilation, strict=True)]
    return tuple((edge // 2, edge - edge // 2) for edge in edges)


def _biased(y: Tensor, bias: Any) -> Tensor:
    """The bias of each channel added."""
    if bias is None:
        return y
    bias = as_tensor(bias)
    if bias.shape != (y.shape[1],):
        raise ShapeError(
            f"a bias of shape {list(bias.shape)} for {y.shape[1]} output channels",
            fix=f"one number for each output channel: shape [{y.shape[1]}]",
        )
    return y + arithmetic.reshape(bias, (-1, *(1,) * (y.ndim - 2)))


# --------------------------------------------------------------------------- conv_transpose


def conv_transpose(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The transpose of `conv` (its gradient towards x): every element spreads the kernel.

        y[n, o, p] = bias[o] + Σ x[n, c, s]·weight[c, o, k], s·stride + k·dilation = p + padding
    Shapes: x (N, C, *S) or (C, *S), `weight` (C, O/G, *K), `bias` (O,) → y (N, O, *P) with
    P = (S − 1)·stride − 2·padding + dilation·(K − 1) + output_padding + 1. Raises ShapeError,
    UsageError. Source: V. Dumoulin, F. Visin: A guide to convolution arithmetic (2016).

    >>> conv_transpose([[[1.0, 2.0]]], [[[1.0, 10.0]]], stride=2).tolist()
    [[[1.0, 10.0, 2.0, 20.0]]]
    """
    name = "conv_transpose"
    with locating():
        x, weight = _factors(name, x, weight)
        count = weight.ndim - 2
        x, single = batched(x, weight.ndim)
        strides = numbers(name, "stride", stride, count)
        gaps = numbers(name, "dilation", dilation, count)
        pads = pairs(name, padding, weight.shape[2:], (1,) * count, gaps)
        more = numbers(name, "output_padding", output_padding, count, low=0)
        _require_less(more, strides, gaps)
        _require_groups(x, weight, groups)
        attrs = {
            "strides": (1,) * count,
            "padding": _margins(weight.shape[2:], gaps, pads, more),
            "input_dilation": strides,
            "dilation": gaps,
            "groups": groups,
        }
        y = call("convolution", x, _mirrored(weight, groups), **attrs)
        return unbatched(_biased(y, bias), single)


def _margins(kernel: Ints, dilation: Ints, pads: Pairs, more: Ints) -> Pairs:
    edges = [span(k, gap) - 1 for k, gap in zip(kernel, dilation, strict=True)]
    facts = zip(edges, pads, more, strict=True)
    return tuple((edge - low, edge - high + extra) for edge, (low, high), extra in facts)


def _require_less(more: Ints, strides: Ints, dilation: Ints) -> None:
    if any(a >= max(b, c) for a, b, c in zip(more, strides, dilation, strict=True)):
        raise UsageError(
            f"conv_transpose with output_padding {list(more)}, stride {list(strides)}, dilation "
            f"{list(dilation)}",
            fix="output_padding is less than the stride or the dilation",
        )


def _require_groups(x: Tensor, weight: Tensor, groups: int) -> None:
    if groups < 1 or x.shape[1] != weight.shape[0] or weight.shape[0] % groups:
        raise ShapeError(
            f"conv_transpose of x {list(x.shape)} by a weight of {list(weight.shape)} in {groups} "
            f"group{'s' * (groups != 1)}",
            fix="the weight is (in, out/groups, …), and groups divide in, which is axis 1 of x",
        )


def _mirrored(weight: Tensor, groups: int) -> Tensor:
    """(C O/G K) -> (O C/G K), with the kernel's axes turned round.

    The steps are those of `ops.convolution.mirrored`, by which the export to ONNX knows them again.
    """
    turned = call("flip", weight, axes=tuple(range(2, weight.ndim)))
    if groups == 1:
        return arithmetic.transpose(turned, (1, 0, *range(2, weight.ndim)))
    channels, outs, *kernel = weight.shape
    apart = arithmetic.reshape(turned, (groups, channels // groups, outs, *kernel))
    swapped = arithmetic.transpose(apart, (0, 2, 1, *range(3, apart.ndim)))
    return arithmetic.reshape(swapped, (groups * outs, channels // groups, *kernel))


# -------------------------------------------------------------------------- unfold and fold


def unfold(
    x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Every window of x as a column, as convolution sees it.

    Shapes: x (N, C, *S) → (N, C·ΠK, L), L = ΠP the number of windows, P as in `conv`.

    >>> unfold([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]], 2).tolist()
    [[[1.0, 2.0], [2.0, 3.0], [4.0, 5.0], [5.0, 6.0]]]
    """
    x = as_tensor(x)
    with locating():
        count = spatial_count("unfold", x)
        attrs = _window_attrs("unfold", count, kernel_size, dilation, stride)
        pads = pairs("unfold", padding, attrs["kernel"], attrs["strides"], attrs["dilation"])
        seen = call("windows", bordered(x, pads), **attrs)  # (N C P K)
        inner, outer = range(2 + count, 2 + 2 * count), range(2, 2 + count)
        columns = arithmetic.transpose(seen, (0, 1, *inner, *outer))
        size = math.prod(seen.shape[2 : 2 + count])
        depth = x.shape[1] * math.prod(attrs["kernel"])
        return arithmetic.reshape(columns, (x.shape[0], depth, size))


def _window_attrs(
    name: str, count: int, kernel_size: Any, dilation: Any, stride: Any
) -> dict[str, Ints]:
    return {
        "kernel": numbers(name, "kernel_size", kernel_size, count),
        "strides": numbers(name, "stride", stride, count),
        "dilation": numbers(name, "dilation", dilation, count),
    }


def fold(
    x: Any,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Tensor:
    """Columns added back together where their windows overlap: the transpose of `unfold`.

    Shapes: x (N, C·ΠK, L) → (N, C, *output_size).

    >>> fold([[[1.0, 2.0], [2.0, 3.0], [4.0, 5.0], [5.0, 6.0]]], (2, 3), 2).tolist()
    [[[[1.0, 4.0, 3.0], [4.0, 10.0, 6.0]]]]
    """
    x = as_tensor(x)
    with locating():
        count = max(len(several(each)) for each in (output_size, kernel_size, dilation, stride))
        count = max(count, len(several(padding)), 2 if isinstance(output_size, int) else 1)
        size = numbers("fold", "output_size", output_size, count)
        attrs = _window_attrs("fold", count, kernel_size, dilation, stride)
        kernel = attrs.pop("kernel")
        pads = pairs("fold", padding, kernel, attrs["strides"], attrs["dilation"])
        whole = tuple(n + a + b for n, (a, b) in zip(size, pads, strict=True))
        facts = zip(whole, kernel, attrs["strides"], attrs["dilation"], strict=True)
        out = tuple(places(*each) for each in facts)
        _require_columns(x, kernel, out)
        channels = x.shape[1] // math.prod(kernel)
        apart = arithmetic.reshape(x, (x.shape[0], channels, *kernel, *out))
        inner, outer = range(2, 2 + count), range(2 + count, 2 + 2 * count)
        seen = arithmetic.transpose(apart, (0, 1, *outer, *inner))  # (N C P K)
        every = call("unwindows", seen, shape=whole, **attrs)
        return bordered(every, [(-a, -b) for a, b in pads])


def _require_columns(x: Tensor, kernel: Ints, out: Ints) -> None:
    depth, size = math.prod(kernel), math.prod(out)
    if x.ndim == 3 and x.shape[2] == size and x.shape[1] % depth == 0:
        return
    raise ShapeError(
        f"fold of shape {list(x.shape)} with windows of {list(kernel)} at {list(out)} places",
        fix=f"x is (N, C·{depth}, {size})",
    )
