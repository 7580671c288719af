"""Convolution and pooling with the channels last, as products of strided views and slices.

    pixels    y[n p o] = Σ_{k c} x̂[n p+k c]·w[k c o]        the convolution itself
    phases    the same for each remainder of p by the spread of the input, put side by side
    weights   y[n p o] = Σ_{c k} x̂[c p+k n]·w[c k o]        kernels larger than results: gradients
                                                             of weights, whose sum is cut in pieces
A few groups are as many products that read their channels of what is stored.
Not here: which values stand in which order (`layouts.py`), and the product's kernel
(`llvm_strided.py`). Dimension letters as in `kedja/ops/convolution.py`. Next: `layouts.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from itertools import product
from typing import Any, NamedTuple

from kedja.compiler.indices import strides as steps_of
from kedja.ground.dtypes import float32, float64, int32, is_float, is_half
from kedja.ir.graph import Node, apply, full
from kedja.ir.op import Shape
from kedja.ops.convolution import Axes, axes_of
from kedja.ops.strided_product import Depth, Row
from kedja.ops.windows import span

Ints = tuple[int, ...]
Arranged = Callable[[Node, Ints], Node]

MOST_PHASES = 16  # with more of them each has too little to do
MOST_GROUPS = 8  # products of their own, and parts that are put beside each other
WIDE = 8  # channels out of a group: fewer leave most of a vector unused
PIECE = 1 << 18  # bytes of both factors that one piece of a long sum should read
MOST_PIECES = 16


def convolves(node: Node) -> bool:
    """Whether a convolution has a form here: floats, few groups, not too many phases."""
    floats = is_half(node.dtype) or node.dtype in (float32, float64)
    attrs = node.attrs
    phases = math.prod(attrs["input_dilation"]) if max(attrs["strides"]) == 1 else 1
    return floats and _has_few_groups(node) and phases <= MOST_PHASES and node.type.size > 0


def _has_few_groups(node: Node) -> bool:
    """Whether each group is worth a product of its own."""
    groups: int = node.attrs["groups"]
    return groups == 1 or (groups <= MOST_GROUPS and node.shape[1] // groups >= WIDE)


def convolved(node: Node, arranged: Arranged) -> tuple[Node, Ints]:
    """The result as it is stored, and the order in which its axes are seen."""
    axes = axes_of(node)
    form = _weights if _is_of_weights(axes) else _pixels
    stored, order = form(node, axes, lambda x, order: _wide(arranged(x, order)))
    if stored.dtype != node.dtype:
        stored = apply("cast", stored, dtype=node.dtype)
    return stored, order


def _wide(x: Node) -> Node:
    return apply("cast", x, dtype=float32) if is_half(x.dtype) else x


def _is_of_weights(axes: Sequence[Axes]) -> bool:
    return math.prod(a.k for a in axes) > math.prod(a.p for a in axes)


# ----------------------------------------------------------------------------------- pixels


def _pixels(node: Node, axes: Sequence[Axes], arranged: Arranged) -> tuple[Node, Ints]:
    """(N P O), seen as (N O P)."""
    count = len(axes)
    spatial = tuple(range(2, 2 + count))
    x, w = arranged(node.inputs[0], (0, *spatial, 1)), arranged(node.inputs[1], (*spatial, 1, 0))
    order = (0, count + 1, *range(1, count + 1))
    if all(a.spread == 1 for a in axes):
        reads = [[Reading(a.stride, -a.low, 0, 1, a.k, a.dilation, a.p)] for a in axes]
    elif all(a.stride == 1 for a in axes):
        reads = [_phases(a) for a in axes]
    else:
        x, axes = _spread(x, axes)
        reads = [[Reading(a.stride, -a.low, 0, 1, a.k, a.dilation, a.p)] for a in axes]
    groups, margins = node.attrs["groups"], _margins(axes, reads)
    found = [_beside(groups, _reader(x, w, each, margins)) for each in product(*reads)]
    return _interleaved(found, [len(each) for each in reads], node, order), order


class Reading(NamedTuple):
    """How one axis is read for one phase: the input at stride·p + start + dilation·j, and the
    weight at first + each·j."""

    stride: int
    start: int
    first: int
    each: int
    hits: int  # places of the kernel that meet elements at all
    dilation: int
    places: int


def _phases(a: Axes) -> list[Reading]:
    """With p = spread·q + phase, only every t-th place of the kernel meets an element."""
    t = a.spread // math.gcd(a.spread, a.dilation)
    found = []
    for phase in range(a.spread):
        meets = [k for k in range(min(t, a.k)) if (phase - a.low + k * a.dilation) % a.spread == 0]
        first = meets[0] if meets else 0
        start = (phase - a.low + first * a.dilation) // a.spread
        count = -(-(a.k - first) // t) if meets else 0
        gap = t * a.dilation // a.spread
        found.append(Reading(1, start, first, t, count, gap, -(-a.p // a.spread)))
    return found


def _spread(x: Node, axes: Sequence[Axes]) -> tuple[Node, list[Axes]]:
    """The input with zeros between its elements, where strides leave places out as well."""
    zeros = (0,) * len(x.shape)
    gaps = (0, *(a.spread - 1 for a in axes), 0)
    wide = apply("pad", x, low=zeros, high=zeros, interior=gaps, value=0)
    return wide, [a._replace(s=span(a.s, a.spread), spread=1) for a in axes]


def _margins(axes: Sequence[Axes], reads: Sequence[Sequence[Reading]]) -> list[tuple[int, int]]:
    """The zeros that must stand in front of and behind each axis for all phases."""
    found = []
    for a, phases in zip(axes, reads, strict=True):
        used = [r for r in phases if r.hits]
        low = max([0, *(-r.start for r in used)])
        ends = [r.stride * (r.places - 1) + r.start + r.dilation * (r.hits - 1) for r in used]
        found.append((low, max([0, *(end + 1 - a.s for end in ends)])))
    return found


def _beside(groups: int, of_group: Callable[[int, int], Node]) -> Node:
    """The results `of_group(number, groups)` beside each other along the last axis."""
    found = [of_group(group, groups) for group in range(groups)]
    return _joined(found, len(found[0].shape) - 1)


def _reader(
    x: Node, w: Node, reads: Sequence[Reading], margins: Sequence[tuple[int, int]]
) -> Callable[[int, int], Node]:
    """The product for one group: x (N S G·C), w (K C G·O) -> (N P O)."""
    return lambda group, groups: _read(x, w, reads, margins, (group, groups))


def _read(
    x: Node,
    w: Node,
    reads: Sequence[Reading],
    margins: Sequence[tuple[int, int]],
    part: tuple[int, int],
) -> Node:
    """One product, of one group among several: x (N S G·C), w (K C G·O) -> (N P O)."""
    group, groups = part
    n, c, o = x.shape[0], x.shape[-1] // groups, w.shape[-1] // groups
    places = tuple(r.places for r in reads)
    if any(r.hits == 0 for r in reads):
        return full(0, (n, *places, o), x.dtype)
    x = _padded(x, [(0, 0), *margins, (0, 0)])
    at, by = steps_of(x.shape), steps_of(w.shape)
    lows = [low for low, _ in margins]
    inner = list(zip(reads, at[1:-1], by[:-2], lows, strict=True))
    starts = (
        sum((r.start + low) * step for r, step, _, low in inner) + group * c,
        sum(r.first * step for r, _, step, _ in inner) + group * o,
    )
    rows = (Row(n, at[0]), *(Row(r.places, r.stride * step) for r, step, _, _ in inner))
    depth = tuple(Depth(r.hits, r.dilation * a, r.each * b) for r, a, b, _ in inner)
    return _product(x, w, (rows, (*depth, Depth(c, 1, by[-2]))), o, starts, 1)


def _padded(x: Node, margins: Sequence[tuple[int, int]]) -> Node:
    if not any(map(any, margins)):
        return x
    low, high = (tuple(pair[side] for pair in margins) for side in (0, 1))
    return apply("pad", x, low=low, high=high, interior=(0,) * len(low), value=0)


def _product(
    a: Node, b: Node, axes: tuple[Any, Any], columns: int, starts: tuple[int, int], pieces: int
) -> Node:
    rows, depth = axes
    return apply(
        "strided_product",
        a,
        b,
        rows=rows,
        depth=depth,
        columns=columns,
        starts=starts,
        pieces=pieces,
    )


def _interleaved(found: Sequence[Node], phases: Sequence[int], node: Node, order: Ints) -> Node:
    """The phases of all axes, the last axis fastest, put between each other: (N P O)."""
    if len(found) == 1:
        return found[0]
    n, *places, o = found[0].shape
    apart = (n, *(extent for place in places for extent in (place, 1)), o)
    parts = [apply("reshape", each, shape=apart) for each in found]
    for axis in reversed(range(len(phases))):
        width = phases[axis]
        groups = [parts[first : first + width] for first in range(0, len(parts), width)]
        parts = [_joined(group, 2 * axis + 2) for group in groups]
    whole = (n, *(place * width for place, width in zip(places, phases, strict=True)), o)
    every = apply("reshape", parts[0], shape=whole)
    wanted = (node.shape[0], *node.shape[2:], node.shape[1])
    ones = (1,) * len(whole)
    return apply("slice", every, starts=(0,) * len(whole), stops=wanted, steps=ones)


def _joined(parts: Sequence[Node], axis: int) -> Node:
    return parts[0] if len(parts) == 1 else apply("concatenate", *parts, axis=axis)


# ---------------------------------------------------------------------------------- weights


def _weights(node: Node, axes: Sequence[Axes], arranged: Arranged) -> tuple[Node, Ints]:
    """(N P O) brought into the order (N O P) at once: optimisers want gradients as weights are."""
    count, groups = len(axes), node.attrs["groups"]
    spatial = tuple(range(2, 2 + count))
    x, w = _images(node, arranged), arranged(node.inputs[1], (1, *spatial, 0))  # (C K G·O)
    if any(a.spread > 1 for a in axes):
        x, axes = _spread(x, axes)
    ends = [a.stride * (a.p - 1) + a.dilation * (a.k - 1) - a.low for a in axes]
    margins = [(max(0, a.low), max(0, end + 1 - a.s)) for a, end in zip(axes, ends, strict=True)]
    x = _padded(x, [(0, 0), *margins, (0, 0)])
    found = _beside(groups, lambda group, groups: _weights_of(x, w, axes, (group, groups)))
    seen = apply("transpose", found, axes=(0, count + 1, *range(1, count + 1)))
    return seen, tuple(range(count + 2))


def _images(node: Node, arranged: Arranged) -> Node:
    """The first factor, (N G·C S) with its sum along the channels, as (C S G·N).

    The gradient of a weight has brought it there out of (C G·N S), which is read where it was.
    """
    x, groups = node.inputs[0], node.attrs["groups"]
    rest = tuple(range(2, len(x.shape)))
    if groups == 1:
        return arranged(x, (1, *rest, 0))
    source = _before_groups(x, groups)
    if source is not None:
        return arranged(source, (0, *rest, 1))
    n, several, *spatial = x.shape
    plain = arranged(x, tuple(range(len(x.shape))))
    apart = apply("reshape", plain, shape=(n, groups, several // groups, *spatial))
    apart = apply("transpose", apart, axes=(2, *(axis + 1 for axis in rest), 1, 0))
    return apply("reshape", apart, shape=(several // groups, *spatial, groups * n))


def _before_groups(x: Node, groups: int) -> Node | None:
    """What `channels_in_front` (`ops/convolution.py`) has made a value of."""
    if x.op.name != "reshape" or x.inputs[0].op.name != "transpose":
        return None
    (turned,) = x.inputs
    (apart,) = turned.inputs
    if turned.attrs["axes"] != (2, 1, 0, *range(3, len(turned.shape))):
        return None
    if apart.op.name != "reshape" or apart.shape[1:3] != (groups, x.shape[0]):
        return None
    (source,) = apart.inputs
    wanted = (apart.shape[0], groups * x.shape[0], *x.shape[2:])
    return source if source.shape == wanted else None


def _weights_of(x: Node, w: Node, axes: Sequence[Axes], part: tuple[int, int]) -> Node:
    """The product of one group among several: x (C S G·N), w (C K G·O) -> (N P O)."""
    group, groups = part
    n, o = x.shape[-1] // groups, w.shape[-1] // groups
    at, by = steps_of(x.shape), steps_of(w.shape)
    inner = list(zip(axes, at[1:-1], by[1:-1], strict=True))
    start = sum(max(0, -a.low) * step for a, step, _ in inner)
    rows = (Row(n, 1), *(Row(a.p, a.stride * step) for a, step, _ in inner))
    depth = (
        Depth(x.shape[0], at[0], by[0]),
        *(Depth(a.k, a.dilation * step, other) for a, step, other in inner),
    )
    depth = tuple(each for each in depth if each.extent > 1) or depth[:1]
    results = math.prod(row.extent for row in rows) * o
    pieces = _pieces(x, w, results, depth[0].extent)
    found = _product(x, w, (rows, depth), o, (start + group * n, group * o), pieces)
    return found if pieces == 1 else apply("sum", found, axes=(0,))


def _pieces(a: Node, b: Node, results: int, extent: int) -> int:
    """Into how many parts a long sum is cut: what one part reads should stay in a core's cache,
    and all parts together should not be longer than what they are made of."""
    read = a.type.nbytes + b.type.nbytes
    most = read // (results * a.dtype.itemsize)
    return max(1, min(MOST_PIECES, read // PIECE, most, extent))


# ---------------------------------------------------------------------------------- windows


def pools(node: Node) -> bool:
    """Whether a pooling's windows are small enough to be written out."""
    return math.prod(node.attrs["kernel"]) <= 16 and is_float(node.dtype)


def _slices(x: Node, attrs: Mapping[str, Any], axes: Ints, places: Ints) -> list[Node]:
    """The elements at each place inside all windows, one value for each place."""
    found = []
    for offset in product(*map(range, attrs["kernel"])):
        starts, stops, steps = [0] * len(x.shape), list(x.shape), [1] * len(x.shape)
        facts = zip(axes, offset, attrs["strides"], attrs["dilation"], places, strict=True)
        for axis, k, step, gap, count in facts:
            starts[axis], steps[axis] = k * gap, step
            stops[axis] = k * gap + step * (count - 1) + 1
        found.append(
            apply("slice", x, starts=tuple(starts), stops=tuple(stops), steps=tuple(steps))
        )
    return found


def _places(x: Node, attrs: Mapping[str, Any], axes: Ints) -> Ints:
    facts = zip(axes, attrs["kernel"], attrs["strides"], attrs["dilation"], strict=True)
    return tuple((x.shape[axis] - span(k, gap)) // step + 1 for axis, k, step, gap in facts)


def pooled(x: Node, attrs: Mapping[str, Any], axes: Ints) -> Node:
    """The largest element of each window."""
    parts = _slices(x, attrs, axes, _places(x, attrs, axes))
    return reduce(lambda a, b: apply("maximum", a, b), parts)


def unpooled(x: Node, g: Node, attrs: Mapping[str, Any], axes: Ints) -> Node:
    """Each window's element of g at the first largest element of the window, zeros elsewhere."""
    first = _first(x, attrs, axes)
    apart = all(k <= step for k, step in zip(attrs["kernel"], attrs["strides"], strict=True))
    if apart and max(attrs["dilation"]) == 1:
        return _put_apart(x, first, g, attrs, axes)
    return _put_together(x, first, g, attrs, axes)


def _first(x: Node, attrs: Mapping[str, Any], axes: Ints) -> Node:
    """Which place inside each window has its largest element, or a NaN, first."""
    *parts, last = _slices(x, attrs, axes, _places(x, attrs, axes))
    peak = reduce(lambda a, b: apply("maximum", a, b), [*parts, last])
    found = full(len(parts), last.shape, int32)
    for place, part in reversed(list(enumerate(parts))):
        hit = apply("bitwise_or", apply("equal", part, peak), apply("isnan", part))
        found = apply("where", hit, full(place, last.shape, int32), found)
    return found


def _put_apart(x: Node, first: Node, g: Node, attrs: Mapping[str, Any], axes: Ints) -> Node:
    """Windows that share nothing: each element looks into its own window only."""
    kernel, steps = attrs["kernel"], attrs["strides"]
    blocks = _blocks(g.shape, axes, kernel)
    ones = _blocks(g.shape, axes, (1,) * len(kernel))
    place: Node = full(0, blocks, int32)
    for n, axis in enumerate(sorted(axes)):
        inside = kernel[axes.index(axis)]
        seen = apply("iota", shape=blocks, axis=axis + n + 1, dtype=int32)
        weight = math.prod(kernel[axes.index(axis) + 1 :])
        place = place + seen * weight if inside > 1 else place
    wide = [apply("broadcast", apply("reshape", v, shape=ones), shape=blocks) for v in (first, g)]
    chosen = apply("where", apply("equal", wide[0], place), wide[1], full(0, blocks, g.dtype))
    high = [0] * len(blocks)
    for n, axis in enumerate(sorted(axes)):
        high[axis + n + 1] = steps[axes.index(axis)] - kernel[axes.index(axis)]
    chosen = _padded(chosen, [(0, each) for each in high])
    scale = dict(zip(axes, steps, strict=True))
    flat = tuple(extent * scale.get(axis, 1) for axis, extent in enumerate(g.shape))
    return _fitted(apply("reshape", chosen, shape=flat), x.shape)


def _blocks(shape: Shape, axes: Ints, inside: Ints) -> Shape:
    """Behind each spatial axis one for the places inside its windows."""
    within = dict(zip(axes, inside, strict=True))
    found: list[int] = []
    for axis, extent in enumerate(shape):
        found += [extent, within[axis]] if axis in within else [extent]
    return tuple(found)


def _fitted(x: Node, shape: Shape) -> Node:
    """Cut, or filled up with zeros behind, to a shape."""
    zeros, ones = (0,) * len(shape), (1,) * len(shape)
    stops = tuple(map(min, x.shape, shape))
    x = apply("slice", x, starts=zeros, stops=stops, steps=ones)
    return _padded(x, [(0, want - have) for want, have in zip(shape, stops, strict=True)])


def _put_together(x: Node, first: Node, g: Node, attrs: Mapping[str, Any], axes: Ints) -> Node:
    """Windows that overlap: what each place inside them gets, added up."""
    terms = []
    for number, offset in enumerate(product(*map(range, attrs["kernel"]))):
        hit = apply("equal", first, full(number, first.shape, int32))
        chosen = apply("where", hit, g, full(0, g.shape, g.dtype))
        low, interior = [0] * len(g.shape), [0] * len(g.shape)
        for axis, k, step, gap in zip(
            axes, offset, attrs["strides"], attrs["dilation"], strict=True
        ):
            low[axis], interior[axis] = k * gap, step - 1
        facts = zip(x.shape, g.shape, low, interior, strict=True)
        high = tuple(want - a - (have - 1) * (gap + 1) - 1 for want, have, a, gap in facts)
        spread = {"low": tuple(low), "high": high, "interior": tuple(interior)}
        terms.append(apply("pad", chosen, **spread, value=0))
    return reduce(lambda a, b: a + b, terms)
