"""Convolution over any number of spatial axes: PyTorch's layouts, XLA's attributes.

    y[n, o, p] = Σ_{c, k} x̂[n, c, p·stride + k·dilation] · w[o, c, k]
with x̂ the input, spread by `input_dilation` and padded (or cropped, where negative) on each side.
Its derivatives are convolutions again, so that all orders follow. Not here: windows and their
sums (`windows.py`), how it becomes products (`convolution_forms.py`), what users call
(`kedja/front/convolution.py`). Next: `cumulative.py`.
Dimension letters: N images, C channels in, O channels out, G groups, S spatial axes of the input,
P those of the output, K those of the kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kedja.ground.dtypes import NUMBERS
from kedja.ground.errors import DtypeError, ShapeError
from kedja.ir.graph import Node, apply
from kedja.ir.op import BatchRule, ByExpansion, Case, Multilinear, Op, Shape, Type, register
from kedja.ops.convolution_forms import expand_convolution, numpy_convolution
from kedja.ops.types import require_dtype
from kedja.ops.windows import places, span
from kedja.ops.xla_rules import TakesHalves, exactly

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]

# ------------------------------------------------------------------------------------- type


def convolution_type(
    x: Type,
    w: Type,
    *,
    strides: Ints,
    padding: Pairs,
    input_dilation: Ints,
    dilation: Ints,
    groups: int,
) -> Type:
    """(N C S), (O C/G K) -> (N O P)."""
    require_dtype("convolution", x.dtype, NUMBERS)
    if x.dtype != w.dtype:
        raise DtypeError(
            f"convolution of {x.dtype.name} by a weight of {w.dtype.name}", fix="cast one of them"
        )
    _require_rank(x, w, (strides, padding, input_dilation, dilation))
    _require_channels(x, w, groups)
    spread = [span(n, step) for n, step in zip(x.shape[2:], input_dilation, strict=True)]
    wide = [n + low + high for n, (low, high) in zip(spread, padding, strict=True)]
    facts = zip(wide, w.shape[2:], strides, dilation, strict=True)
    found = tuple(places(*each) for each in facts)
    if 0 in found or 0 in x.shape[2:] or 0 in w.shape[2:]:
        covered = [span(k, d) for k, d in zip(w.shape[2:], dilation, strict=True)]
        raise ShapeError(
            f"convolution: a kernel that covers {covered} does not fit into {wide} (input "
            f"{list(x.shape)} with padding {[list(each) for each in padding]}, weight "
            f"{list(w.shape)})",
            fix="pad more, or make the kernel or its dilation smaller",
        )
    return Type((x.shape[0], w.shape[0], *found), x.dtype)


def _require_rank(x: Type, w: Type, attrs: Sequence[Sequence[Any]]) -> None:
    if len(x.shape) < 3 or len(w.shape) != len(x.shape):
        raise ShapeError(
            f"convolution of {list(x.shape)} by a weight of {list(w.shape)}",
            fix="both have the same number of axes: (N, C, …) and (out, in/groups, …)",
        )
    count = len(x.shape) - 2
    steps = [number for each in (attrs[0], *attrs[2:]) for number in each]
    if any(len(each) != count for each in attrs) or min(steps) < 1:
        raise ShapeError(
            f"convolution over {count} spatial axes with strides {list(attrs[0])}, padding "
            f"{list(attrs[1])}, dilations {list(attrs[2])} and {list(attrs[3])}",
            fix="one entry for each spatial axis; strides and dilations are 1 or more",
        )


def _require_channels(x: Type, w: Type, groups: int) -> None:
    if groups < 1 or w.shape[0] % groups:
        raise ShapeError(
            f"convolution with {groups} groups of {w.shape[0]} output channels (weight "
            f"{list(w.shape)})",
            fix="the groups divide the channels",
        )
    if x.shape[1] != w.shape[1] * groups:
        raise ShapeError(
            f"convolution of {list(x.shape)} by a weight of {list(w.shape)} in {groups} "
            f"group{'s' * (groups > 1)}: the input has {x.shape[1]} channels, the weight takes "
            f"{w.shape[1]} × {groups}",
            fix="axis 1 of the input is axis 1 of the weight times the groups",
        )


# ------------------------------------------------------------------------------ derivatives


class Axes(NamedTuple):
    """The attributes along one spatial axis, with the extents of input, kernel and output."""

    stride: int
    low: int
    high: int
    spread: int  # input dilation
    dilation: int
    s: int
    k: int
    p: int

    @property
    def mirrored(self) -> int:
        """The padding in front that turns the kernel round: dilation·(K − 1) − low."""
        return span(self.k, self.dilation) - 1 - self.low


def axes_of(node: Node) -> list[Axes]:
    """The facts of each spatial axis."""
    (x, w), a = node.inputs, node.attrs
    extents = zip(x.shape[2:], w.shape[2:], node.shape[2:], strict=True)
    rest = zip(a["strides"], a["padding"], a["input_dilation"], a["dilation"], extents, strict=True)
    return [
        Axes(step, low, high, spread, gap, s, k, p)
        for step, (low, high), spread, gap, (s, k, p) in rest
    ]


def convolve(x: Node, w: Node, axes: Sequence[Sequence[int]], groups: int) -> Node:
    """A convolution from (stride, low, input dilation, dilation, P) of each axis.

    What is padded behind follows from P, the extent of the output.
    """
    pads = []
    for (step, low, spread, gap, p), s, k in zip(axes, x.shape[2:], w.shape[2:], strict=True):
        pads.append((low, span(p, step) + span(k, gap) - 1 - span(s, spread) - low))
    return apply(
        "convolution",
        x,
        w,
        strides=tuple(each[0] for each in axes),
        padding=tuple(pads),
        input_dilation=tuple(each[2] for each in axes),
        dilation=tuple(each[3] for each in axes),
        groups=groups,
    )


def back_input(g: Node, node: Node) -> Node:
    """The gradient, spread by the strides, by the kernel turned round."""
    groups = node.attrs["groups"]
    axes = [(a.spread, a.mirrored, a.stride, a.dilation, a.s) for a in axes_of(node)]
    return convolve(g, mirrored(node.inputs[1], groups), axes, groups)


def mirrored(w: Node, groups: int) -> Node:
    """(O C/G K) -> (C O/G K), with the kernel's axes turned round."""
    turned = apply("flip", w, axes=tuple(range(2, len(w.shape))))
    return swap_channels(turned, groups)


def swap_channels(w: Node, groups: int) -> Node:
    """(G·A B K) -> (G·B A K)."""
    if groups == 1:
        return apply("transpose", w, axes=(1, 0, *range(2, len(w.shape))))
    return grouped_swap(w, (groups, w.shape[0] // groups, w.shape[1]), (0, 2, 1))


def grouped_swap(x: Node, first: Shape, order: Ints) -> Node:
    """The first two axes as three, those in another order, the first two of them joined."""
    rest = x.shape[2:]
    x = apply("reshape", x, shape=(*first, *rest))
    x = apply("transpose", x, axes=(*order, *range(3, len(x.shape))))
    return apply("reshape", x, shape=(x.shape[0] * x.shape[1], *x.shape[2:]))


def back_weight(g: Node, node: Node) -> Node:
    """The input as images of N channels, by the gradient as a kernel; or the other way round.

    Of both factors the one that is spread (a transposed convolution's input) is the kernel.
    """
    axes = axes_of(node)
    spread = any(a.spread > 1 for a in axes) and all(a.stride == 1 for a in axes)
    return _back_weight_turned(g, node, axes) if spread else _back_weight(g, node, axes)


def _back_weight(g: Node, node: Node, axes: Sequence[Axes]) -> Node:
    (x, w), groups = node.inputs, node.attrs["groups"]
    images = channels_in_front(x, groups)  # (C/G G·N S)
    kernel = swap_channels(g, 1)  # (O N P)
    facts = [(a.dilation, a.low, a.spread, a.stride, a.k) for a in axes]
    found = convolve(images, kernel, facts, groups)  # (C/G O K)
    return apply("transpose", found, axes=(1, 0, *range(2, len(w.shape))))


def _back_weight_turned(g: Node, node: Node, axes: Sequence[Axes]) -> Node:
    (x, w), groups = node.inputs, node.attrs["groups"]
    images = channels_in_front(g, groups)  # (O/G G·N P)
    kernel = swap_channels(x, 1)  # (C N S)
    facts = [(a.dilation, a.mirrored, 1, a.spread, a.k) for a in axes]
    found = convolve(images, kernel, facts, groups)  # (O/G C K)
    found = apply("flip", found, axes=tuple(range(2, len(w.shape))))
    outs, rest = found.shape[0], tuple(range(3, len(w.shape) + 1))
    found = apply("reshape", found, shape=(outs, groups, w.shape[1], *w.shape[2:]))
    found = apply("transpose", found, axes=(1, 0, 2, *rest))  # (G O/G C/G K)
    return apply("reshape", found, shape=w.shape)


def channels_in_front(x: Node, groups: int) -> Node:
    """(N G·C S) -> (C G·N S)."""
    if groups == 1:
        return swap_channels(x, 1)
    n, channels = x.shape[0], x.shape[1] // groups
    x = apply("reshape", x, shape=(n, groups, channels, *x.shape[2:]))
    x = apply("transpose", x, axes=(2, 1, 0, *range(3, len(x.shape))))
    return apply("reshape", x, shape=(channels, groups * n, *x.shape[3:]))


# --------------------------------------------------------------------------------- batching


def batch_convolution(
    b: Any, node: Node, inputs: Sequence[Node], batched: Sequence[bool], size: int
) -> Node:
    """Batches of inputs are more images; batches of weights more channels; of both, more groups."""
    x, w = inputs
    groups, rest = node.attrs["groups"], tuple(range(3, len(node.shape) + 1))
    if not batched[1]:
        images = apply("reshape", x, shape=(size * x.shape[1], *x.shape[2:]))
        found = _again(node, images, w, groups)
        return apply("reshape", found, shape=(size, *node.shape))
    if not batched[0]:
        return _batched_weight(node, x, w, size)
    wide = apply("transpose", x, axes=(1, 0, 2, *rest))  # (N B C S)
    wide = apply("reshape", wide, shape=(wide.shape[0], size * wide.shape[2], *wide.shape[3:]))
    kernels = apply("reshape", w, shape=(size * w.shape[1], *w.shape[2:]))
    found = _again(node, wide, kernels, size * groups)  # (N B·O P)
    n, o, *p = node.shape
    found = apply("reshape", found, shape=(n, size, o, *p))
    return apply("transpose", found, axes=(1, 0, 2, *rest))


def _batched_weight(node: Node, x: Node, w: Node, size: int) -> Node:
    groups, (n, o, *p) = node.attrs["groups"], node.shape
    outs, rest = o // groups, w.shape[2:]
    kernels = apply("reshape", w, shape=(size, groups, outs, *rest))
    kernels = apply("transpose", kernels, axes=(1, 0, 2, *range(3, len(kernels.shape))))
    kernels = apply("reshape", kernels, shape=(groups * size * outs, *rest))  # (G·B·O/G C/G K)
    found = _again(node, x, kernels, groups)
    found = apply("reshape", found, shape=(n, groups, size, outs, *p))
    found = apply("transpose", found, axes=(2, 0, 1, 3, *range(4, len(found.shape))))
    return apply("reshape", found, shape=(size, *node.shape))


def _again(node: Node, x: Node, w: Node, groups: int) -> Node:
    return apply("convolution", x, w, **{**node.attrs, "groups": groups})


# --------------------------------------------------------------------------------- the table


def xla_convolution(
    x: Any,
    value: Any,
    weight: Any,
    *,
    strides: Ints,
    padding: Pairs,
    input_dilation: Ints,
    dilation: Ints,
    groups: int,
) -> Any:
    """XLA's general convolution, with all bits of its factors."""
    return x.lax.conv_general_dilated(
        value,
        weight,
        window_strides=strides,
        padding=padding,
        lhs_dilation=input_dilation,
        rhs_dilation=dilation,
        feature_group_count=groups,
        **exactly(x, value.dtype),
    )


def plain(count: int, **changes: Any) -> dict[str, Any]:
    """The attributes of a convolution without padding over some axes, some of them changed."""
    ones = (1,) * count
    attrs = {"strides": ones, "padding": ((0, 0),) * count, "input_dilation": ones}
    return {**attrs, "dilation": ones, "groups": 1, **changes}


CASES = (
    ((2, 2, 5), (3, 2, 2), plain(1)),
    (
        (2, 4, 5, 4),
        (4, 2, 3, 2),
        plain(2, strides=(2, 1), padding=((1, 0), (0, 2)), dilation=(1, 2), groups=2),
    ),
    (
        (1, 3, 3, 3),
        (2, 3, 2, 3),
        plain(2, padding=((1, 1), (2, 0)), input_dilation=(2, 1), dilation=(1, 2)),
    ),
    ((1, 2, 7), (2, 1, 2), plain(1, strides=(2,), padding=((-1, 2),), groups=2)),
    (
        (2, 2, 3),
        (4, 1, 3),
        plain(1, strides=(2,), padding=((1, 2),), input_dilation=(3,), groups=2),
    ),
)


def sample_convolution(rng: np.random.Generator) -> Sequence[Case]:
    """Plain; strides, groups and gaps; transposed; cropped; strides with a spread input."""
    return [Case((rng.uniform(-1, 1, x), rng.uniform(-1, 1, w)), attrs) for x, w, attrs in CASES]


register(
    (
        Op(
            "convolution",
            type=convolution_type,
            numpy=numpy_convolution,
            derivative=Multilinear((back_input, back_weight)),
            lowering=ByExpansion(),
            batch=BatchRule(batch_convolution),
            xla=TakesHalves(xla_convolution),
            formula="convolution({0}, {1}, strides={strides}, padding={padding})",
            sample=sample_convolution,
            dtypes=NUMBERS,
            flops=2,  # for each element of the output, each channel of a group, each place inside
            gate="multiply swaps: each input gets the gradient convolved with the other",
            expand=expand_convolution,
        ),
    ),
    "convolution",
)
