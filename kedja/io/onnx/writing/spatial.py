"""What convolutions, windows and resampling become. Next: `control.py`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kedja.ground.dtypes import lowest
from kedja.io.onnx.writing.selection import Choice, Context, Name, Rule, instead
from kedja.ir.graph import Node, apply, constant
from kedja.ops.convolution import mirrored
from kedja.ops.resample import Sampling, tables
from kedja.ops.windows import span

Pairs = Sequence[tuple[int, int]]

# ------------------------------------------------------------------------------- convolution


def convolution(context: Context, node: Node, bias: Node | None = None) -> Choice:
    """Conv, or ConvTranspose where the input is spread; cropping goes before."""
    attrs = node.attrs
    if any(step > 1 for step in attrs["input_dilation"]):
        return _transposed(context, node, bias)
    if any(width < 0 for pair in attrs["padding"] for width in pair):
        return instead(context.alignment.rewritten(node, _cropped))
    given = {
        "strides": attrs["strides"],
        "pads": flat(attrs["padding"]),
        "dilations": attrs["dilation"],
        "group": attrs["groups"],
        "kernel_shape": node.inputs[1].shape[2:],
    }
    inputs = node.inputs if bias is None else (*node.inputs, bias)
    return Choice(inputs, lambda c, *names: c.writer.add("Conv", names, **given))


def flat(pairs: Pairs) -> list[int]:
    """Widths as ONNX lists them: all in front, then all behind."""
    return [low for low, _ in pairs] + [high for _, high in pairs]


def _cropped(node: Node) -> Node:
    """The same convolution of a cropped input."""
    x, w = node.inputs
    pairs = node.attrs["padding"]
    starts = (0, 0, *(max(0, -low) for low, _ in pairs))
    stops = (*x.shape[:2], *(n - max(0, -h) for n, (_, h) in zip(x.shape[2:], pairs, strict=True)))
    x = apply("slice", x, starts=starts, stops=stops, steps=(1,) * len(starts))
    padding = tuple((max(0, low), max(0, high)) for low, high in pairs)
    return apply("convolution", x, w, **{**node.attrs, "padding": padding})


def _transposed(context: Context, node: Node, bias: Node | None) -> Choice:
    attrs = node.attrs
    spans = [span(k, d) for k, d in zip(node.inputs[1].shape[2:], attrs["dilation"], strict=True)]
    low = [reach - 1 - first for reach, (first, _) in zip(spans, attrs["padding"], strict=True)]
    high = [reach - 1 - last for reach, (_, last) in zip(spans, attrs["padding"], strict=True)]
    extra = [max(0, -each) for each in high]
    fits = all(more < step for more, step in zip(extra, attrs["input_dilation"], strict=True))
    if any(step > 1 for step in attrs["strides"]) or min(low) < 0 or not fits:
        return instead(context.alignment.rewritten(node, _spread_first))
    weight = context.alignment.rewritten(node, _original)
    given = {
        "strides": attrs["input_dilation"],
        "pads": [*low, *(max(0, each) for each in high)],
        "output_padding": extra if any(extra) else None,
        "dilations": attrs["dilation"],
        "group": attrs["groups"],
        "kernel_shape": weight.shape[2:],
    }
    inputs = (node.inputs[0], weight) if bias is None else (node.inputs[0], weight, bias)
    return Choice(inputs, lambda c, *names: c.writer.add("ConvTranspose", names, **given))


def _spread_first(node: Node) -> Node:
    """The same convolution of an input between whose elements zeros stand."""
    x, w = node.inputs
    none = (0,) * len(x.shape)
    between = (0, 0, *(step - 1 for step in node.attrs["input_dilation"]))
    x = apply("pad", x, low=none, high=none, interior=between, value=0)
    ones = (1,) * len(node.attrs["strides"])
    return apply("convolution", x, w, **{**node.attrs, "input_dilation": ones})


def _original(node: Node) -> Node:
    """The weight of which a transposed convolution's own is the mirror image."""
    weight, groups = node.inputs[1], node.attrs["groups"]
    source = weight
    while source.op.name in ("flip", "reshape", "transpose") and source.inputs:
        source = source.inputs[0]
    outs, ins = weight.shape[0] // groups, weight.shape[1] * groups
    if source.shape == (ins, outs, *weight.shape[2:]):
        again = mirrored(source, groups)
        if _alike(again, weight):
            return source
    return mirrored(weight, groups)


def _alike(a: Node, b: Node) -> bool:
    """Whether two graphs are the same, down to nodes that they share."""
    while a is not b:
        if a.op is not b.op or a.attrs != b.attrs or len(a.inputs) != 1 or len(b.inputs) != 1:
            return False
        a, b = a.inputs[0], b.inputs[0]
    return True


# ----------------------------------------------------------------------------------- pooling


def largest(context: Context, node: Node) -> Choice:
    """MaxPool, the padding with it where it cannot win."""
    kernel = node.attrs["kernel"]
    if len(node.shape) != len(kernel) + 2 or len(kernel) > 3:
        return instead(context.alignment.rewritten(node, _as_pictures))
    x, pads = unpadded(node.inputs[0], len(kernel), lowest(node.dtype))
    if not _is_narrow(pads, node):
        x, pads = node.inputs[0], ()
    given = {
        "kernel_shape": kernel,
        "strides": node.attrs["strides"],
        "dilations": node.attrs["dilation"],
        "pads": flat(pads) or None,
    }
    return Choice((x,), lambda c, name: c.writer.add("MaxPool", [name], **given))


def unpadded(x: Node, count: int, value: float) -> tuple[Node, Pairs]:
    """An array without its spatial padding by a value, and that padding."""
    if x.op.name != "pad" or x.attrs["value"] != value or any(x.attrs["interior"]):
        return x, ()
    pairs = list(zip(x.attrs["low"], x.attrs["high"], strict=True))
    lead, pads = pairs[: len(pairs) - count], pairs[len(pairs) - count :]
    if any(each != (0, 0) for each in lead) or min(min(each) for each in pads) < 0:
        return x, ()
    return x.inputs[0], pads


def _is_narrow(pads: Pairs, node: Node) -> bool:
    """Whether no window lies in the padding alone."""
    kernel = node.attrs["kernel"]
    return all(max(pair) < k for pair, k in zip(pads, kernel, strict=False))


def _as_pictures(node: Node) -> Node:
    """Windows over one or more axes, whatever stands before them, as pictures (N, 1, …)."""
    x, count = node.inputs[0], len(node.attrs["kernel"])
    lead = x.shape[: len(x.shape) - count]
    if count > 3:
        seen = apply("windows", x, **node.attrs)
        return apply("max", seen, axes=tuple(range(len(x.shape), len(seen.shape))))
    pictures = apply("reshape", x, shape=(math.prod(lead), 1, *x.shape[len(lead) :]))
    found = apply("window_max", pictures, **node.attrs)
    return apply("reshape", found, shape=node.shape)


def summed(context: Context, node: Node) -> Choice | None:
    """The sum over windows as a mean, times the number of elements; None for other sums."""
    pooled = pooled_mean(context, node)
    if pooled is None:
        return None
    size = np.asarray(math.prod(node.inputs[0].attrs["kernel"]), node.dtype)

    def emit(c: Context, *names: Name) -> Name:
        return c.writer.add("Mul", [pooled.emit(c, *names), c.writer.constant(size)])

    return Choice(pooled.inputs, emit)


def pooled_mean(context: Context, node: Node) -> Choice | None:
    """The mean over windows whose sum a node is; padding counts as zeros."""
    if node.op.name != "sum" or node.inputs[0].op.name != "windows":
        return None
    seen = node.inputs[0]
    kernel, rank = seen.attrs["kernel"], len(seen.shape)
    inside = tuple(range(rank - len(kernel), rank))
    if node.attrs["axes"] != inside or len(node.shape) != len(kernel) + 2 or len(kernel) > 3:
        return None
    if any(gap > 1 for gap in seen.attrs["dilation"]):
        return None
    x, pads = unpadded(seen.inputs[0], len(kernel), 0)
    if not _is_narrow(pads, seen):
        x, pads = seen.inputs[0], ()
    given = {
        "kernel_shape": kernel,
        "strides": seen.attrs["strides"],
        "pads": flat(pads) or None,
        "count_include_pad": 1 if pads else None,
    }
    return Choice((x,), lambda c, name: c.writer.add("AveragePool", [name], **given))


def seen(context: Context, node: Node) -> Choice:
    """All windows: one choice of places for each axis, whose windows then move behind."""
    return instead(context.alignment.rewritten(node, _gathered))


def _gathered(node: Node) -> Node:
    x, attrs = node.inputs[0], node.attrs
    first = len(x.shape) - len(attrs["kernel"])
    facts = zip(attrs["kernel"], attrs["strides"], attrs["dilation"], strict=True)
    for place, (k, step, gap) in enumerate(facts):
        axis = first + place
        count = node.shape[axis]
        index = np.arange(count)[:, None] * step + np.arange(k) * gap  # (O, K)
        x = apply("take", x, constant(index), axis=axis)  # (… O K …)
        others = [each for each in range(len(x.shape)) if each != axis + 1]
        x = apply("transpose", x, axes=(*others, axis + 1))
    return x


# -------------------------------------------------------------------------------- resampling


def resampled(context: Context, node: Node) -> Choice:
    """Resize, a mean over whole axes, a choice of places, or a product with weights."""
    how = node.attrs["how"]
    options = resize_options(node)
    if options is not None:
        return _resized(node, options)
    if how.mode == "area" and how.new == 1 and not node.attrs["back"]:
        return _means(node)
    if how.mode in ("nearest", "nearest-exact") and not node.attrs["back"]:
        return instead(context.alignment.rewritten(node, _chosen))
    return instead(context.alignment.rewritten(node, _weighted))


def resize_options(node: Node) -> dict[str, str] | None:
    """The attributes of Resize that mean the same as a resampling; None where none do."""
    how: Sampling = node.attrs["how"]
    plain = how.scale is None or how.old * how.scale == how.new
    if node.attrs["back"] or how.antialias or not plain:
        return None
    if how.mode in ("linear", "cubic"):
        corners = "align_corners" if how.align else "half_pixel"
        return {"mode": how.mode, "coordinate_transformation_mode": corners}
    if how.mode == "nearest" and how.new % how.old == 0:
        corners = "asymmetric"
        return {"coordinate_transformation_mode": corners, "nearest_mode": "floor"}
    return None


def _resized(node: Node, options: dict[str, str]) -> Choice:
    """One Resize for all axes, which are resampled one after the other."""
    sizes: dict[int, int] = {}
    while node.op.name == "resample" and resize_options(node) == options:
        if node.attrs["axis"] in sizes:
            break
        sizes[node.attrs["axis"]] = node.attrs["how"].new
        node = node.inputs[0]
    axes = sorted(sizes)

    def emit(c: Context, x: Name) -> Name:
        wanted = c.writer.ints([sizes[axis] for axis in axes])
        return c.writer.add("Resize", [x, "", "", wanted], axes=axes, **options)

    return Choice((node,), emit)


def _means(node: Node) -> Choice:
    """Means over whole axes."""
    axes: list[int] = []
    while node.op.name == "resample" and node.attrs["how"].new == 1:
        if node.attrs["how"].mode != "area" or node.attrs["back"]:
            break
        axes.append(node.attrs["axis"])
        node = node.inputs[0]

    def emit(c: Context, x: Name) -> Name:
        return c.writer.add("ReduceMean", [x, c.writer.ints(sorted(axes))], keepdims=1)

    return Choice((node,), emit)


def _chosen(node: Node) -> Node:
    index, _ = tables(node.attrs["how"], False)
    return apply("take", node.inputs[0], constant(index[:, 0]), axis=node.attrs["axis"])


def _weighted(node: Node) -> Node:
    """A product with the matrix of all weights."""
    x, axis = node.inputs[0], node.attrs["axis"]
    index, weight = tables(node.attrs["how"], node.attrs["back"])
    matrix = np.zeros((x.shape[axis], len(index)))
    np.add.at(matrix, (index, np.arange(len(index))[:, None]), weight)
    last = len(x.shape) - 1
    order = (*(each for each in range(last + 1) if each != axis), axis)
    lines = apply("transpose", x, axes=order)  # (… old)
    lead = lines.shape[:-1]
    weights = constant(matrix.astype(x.dtype))
    if len(lead) > 1:
        weights = apply("broadcast", weights, shape=(*lead[:-1], *matrix.shape))
    found = apply("matmul", lines, weights)
    back = tuple(int(each) for each in np.argsort(order))
    return apply("transpose", found, axes=back)


# fmt: off
RULES: dict[str, Rule] = {
    "convolution": convolution,
    "window_max":  largest,
    "windows":     seen,
    "resample":    resampled,
}
# fmt: on
