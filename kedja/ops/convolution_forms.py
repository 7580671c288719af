"""The forms that a convolution takes: products of matrices, or sums over windows.

    gathered    the windows beside each other as columns, times the weight as a matrix
    scattered   the weight times each place of the input, added back together: spread inputs,
                and fewer channels out than in
    folded      a plain sum of products: one output channel for each group
The compiler takes other ways for most floats (`compiler/layouts.py`) and lowers these graphs for
groups, whole numbers and wide spreads; the NumPy meaning takes the same ways, so that infinities
meet the same zeros. Not here: the op itself (`convolution.py`). Next: `cumulative.py`.
Dimension letters as in `convolution.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kedja.ir.graph import Node, apply
from kedja.ir.op import Shape
from kedja.ops.movement import numpy_pad
from kedja.ops.windows import numpy_unwindows, numpy_windows, span

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]

DEEP, PIECES = 4096, 16  # longer sums of products are cut into at most so many pieces
FEW = 64  # with fewer places than this, all images make one product instead of one each


def is_scattered(
    x: Shape, w: Shape, strides: Ints, padding: Pairs, input_dilation: Ints, dilation: Ints
) -> bool:
    """Whether each element gives to the places around it, instead of each place taking.

    Where the input is spread, taking would multiply by zeros. Otherwise both do the same work
    unless most places are left out, and the smaller copy wins: K for each place of the input and
    channel out, or of the output and channel in.
    """
    if max(strides) > 1 or max(input_dilation) > 1:
        return max(strides) == 1
    edges = [span(k, gap) - 1 for k, gap in zip(w[2:], dilation, strict=True)]
    pairs = zip(x[2:], padding, edges, strict=True)
    out = math.prod(n + a + b - edge for n, (a, b), edge in pairs)
    size = math.prod(x[2:])
    return max(w[2:]) > 1 and w[1] > 1 and 4 * size <= 5 * out and w[0] * size < x[1] * out


# ------------------------------------------------------------------------------------ NumPy


def numpy_convolution(
    x: np.ndarray,
    w: np.ndarray,
    *,
    strides: Ints,
    padding: Pairs,
    input_dilation: Ints,
    dilation: Ints,
    groups: int,
) -> np.ndarray:
    """The meaning of convolution."""
    with np.errstate(all="ignore"):
        if is_scattered(x.shape, w.shape, strides, padding, input_dilation, dilation):
            return _numpy_scattered(x, w, padding, input_dilation, dilation, groups)
        fitted = _numpy_fitted(x, padding, input_dilation)
        seen = numpy_windows(fitted, kernel=w.shape[2:], strides=strides, dilation=dilation)
        return _numpy_gathered(seen, w, groups)


def _numpy_fitted(x: np.ndarray, padding: Pairs, input_dilation: Ints) -> np.ndarray:
    """The input spread, padded and cropped along its spatial axes."""
    low = (0, 0, *(max(a, 0) for a, _ in padding))
    high = (0, 0, *(max(b, 0) for _, b in padding))
    gaps = (0, 0, *(step - 1 for step in input_dilation))
    x = numpy_pad(x, low=low, high=high, interior=gaps, value=0)
    pairs = zip(x.shape[2:], padding, strict=True)
    inside: list[Any] = [slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in pairs]
    return x[(..., *inside)]


def _numpy_gathered(seen: np.ndarray, w: np.ndarray, groups: int) -> np.ndarray:
    """seen (N C P K), w (O C/G K) -> (N O P)."""
    count = w.ndim - 2
    n, p = seen.shape[0], seen.shape[2 : 2 + count]
    depth = math.prod(w.shape[1:])
    apart = seen.reshape(n, groups, w.shape[1], *seen.shape[2:])  # (N G C/G P K)
    order = (1, 2, *range(3 + count, 3 + 2 * count), 0, *range(3, 3 + count))
    columns = apart.transpose(order).reshape(groups, depth, n * math.prod(p))
    product = np.matmul(w.reshape(groups, w.shape[0] // groups, depth), columns)  # (G O/G N·P)
    outs = product.reshape(w.shape[0], n, *p)
    return np.ascontiguousarray(np.moveaxis(outs, 1, 0))


def _numpy_scattered(
    x: np.ndarray,
    w: np.ndarray,
    padding: Pairs,
    input_dilation: Ints,
    dilation: Ints,
    groups: int,
) -> np.ndarray:
    n, kernel, extents = x.shape[0], w.shape[2:], x.shape[2:]
    outs, size = w.shape[0] // groups, math.prod(extents)
    turned = np.flip(w, tuple(range(2, w.ndim))).reshape(groups, outs, w.shape[1], *kernel)
    rows = np.moveaxis(turned, 2, -1).reshape(groups, outs * math.prod(kernel), w.shape[1])
    images = x.reshape(n, groups, w.shape[1], size).transpose(1, 2, 0, 3)
    product = np.matmul(rows, images.reshape(groups, w.shape[1], n * size))  # (G O/G·K N·S)
    apart = product.reshape(w.shape[0], *kernel, n, *extents)
    count = len(kernel)
    order = (count + 1, 0, *range(count + 2, 2 * count + 2), *range(1, count + 1))
    whole = whole_extents(extents, kernel, input_dilation, dilation)
    every = numpy_unwindows(
        apart.transpose(order), shape=whole, strides=input_dilation, dilation=dilation
    )
    return _numpy_fitted(every, margins(kernel, padding, dilation), (1,) * count)


def whole_extents(extents: Shape, kernel: Shape, spread: Ints, dilation: Ints) -> Shape:
    """What all contributions of a spread input cover."""
    facts = zip(extents, kernel, spread, dilation, strict=True)
    return tuple(span(s, step) + span(k, gap) - 1 for s, k, step, gap in facts)


def margins(kernel: Shape, padding: Pairs, dilation: Ints) -> Pairs:
    """What the output has more (or less, where negative) than all contributions cover."""
    edges = [span(k, gap) - 1 for k, gap in zip(kernel, dilation, strict=True)]
    return tuple((a - edge, b - edge) for (a, b), edge in zip(padding, edges, strict=True))


# ----------------------------------------------------------------------------------- graphs


def expand_convolution(
    x: Node,
    w: Node,
    *,
    strides: Ints,
    padding: Pairs,
    input_dilation: Ints,
    dilation: Ints,
    groups: int,
) -> Node:
    """The form that suits the shapes."""
    if is_scattered(x.shape, w.shape, strides, padding, input_dilation, dilation):
        return _scattered(x, w, padding, input_dilation, dilation, groups)
    seen = _seen(fitted(x, padding, input_dilation), w.shape[2:], strides, dilation)
    return _folded(seen, w, groups) if w.shape[0] == groups else _gathered(seen, w, groups)


def fitted(x: Node, padding: Pairs, input_dilation: Ints) -> Node:
    """The input spread, padded and cropped along its spatial axes."""
    low = (0, 0, *(max(a, 0) for a, _ in padding))
    high = (0, 0, *(max(b, 0) for _, b in padding))
    gaps = (0, 0, *(step - 1 for step in input_dilation))
    if max((*low, *high, *gaps)) > 0:
        x = apply("pad", x, low=low, high=high, interior=gaps, value=0)
    starts = (0, 0, *(max(-a, 0) for a, _ in padding))
    ends = (0, 0, *(max(-b, 0) for _, b in padding))
    if max((*starts, *ends)) == 0:
        return x
    stops = tuple(n - end for n, end in zip(x.shape, ends, strict=True))
    return apply("slice", x, starts=starts, stops=stops, steps=(1,) * len(stops))


def _seen(x: Node, kernel: Shape, strides: Ints, dilation: Ints) -> Node:
    """The windows (N C P K); a kernel of one element sees the input itself."""
    if max((*kernel, *strides)) == 1:
        return apply("reshape", x, shape=(*x.shape, *kernel))
    return apply("windows", x, kernel=kernel, strides=strides, dilation=dilation)


def _gathered(seen: Node, w: Node, groups: int) -> Node:
    """seen (N C P K), w (O C/G K) -> (N O P)."""
    count = len(w.shape) - 2
    out, kernel = seen.shape[2 : 2 + count], seen.shape[2 + count :]
    if groups == 1 and math.prod(out) >= FEW and out[-1] >= kernel[-1]:
        return _for_each_image(seen, w, out)
    n, depth, size = seen.shape[0], math.prod(w.shape[1:]), math.prod(out)
    apart = apply("reshape", seen, shape=(n, groups, w.shape[1], *seen.shape[2:]))
    outer, inner = range(3, 3 + count), range(3 + count, 3 + 2 * count)
    turned = out[-1] < kernel[-1]  # what lies side by side in the input does so in the copy
    order = (1, 0, *outer, 2, *inner) if turned else (1, 2, *inner, 0, *outer)
    columns = apply("transpose", apart, axes=order)
    shape = (n * size, depth) if turned else (depth, n * size)
    columns = apply("reshape", columns, shape=(groups, *shape))
    matrix = apply("reshape", w, shape=(groups, w.shape[0] // groups, depth))
    product = _product(matrix, columns, turned)  # (G O/G N·P)
    product = apply("reshape", product, shape=(w.shape[0], n, *out))
    return apply("transpose", product, axes=(1, 0, *range(2, len(product.shape))))


def _for_each_image(seen: Node, w: Node, out: Shape) -> Node:
    """One product for each image, which gives its channels in the order in which they stay."""
    count, n, depth = len(out), seen.shape[0], math.prod(w.shape[1:])
    order = (0, 1, *range(2 + count, 2 + 2 * count), *range(2, 2 + count))
    columns = apply("transpose", seen, axes=order)
    columns = apply("reshape", columns, shape=(n, depth, math.prod(out)))
    matrix = apply("reshape", w, shape=(w.shape[0], depth))
    matrix = apply("broadcast", matrix, shape=(n, *matrix.shape))
    return apply("reshape", apply("matmul", matrix, columns), shape=(n, w.shape[0], *out))


def _product(a: Node, b: Node, turned: bool = False) -> Node:
    """A batched product, or a plain one where the batch is one; b comes transposed if `turned`."""
    batch = a.shape[:1] if a.shape[0] != 1 else ()
    a, b = (apply("reshape", each, shape=(*batch, *each.shape[1:])) for each in (a, b))
    if turned and not batch and a.shape[1] >= DEEP:
        return _deep_product(a, b)
    if turned:
        b = apply("transpose", b, axes=(*range(len(batch)), len(batch) + 1, len(batch)))
    found = apply("matmul", a, b)
    return found if batch else apply("reshape", found, shape=(1, *found.shape))


def _deep_product(a: Node, b: Node) -> Node:
    """a (M D), b (N D) -> (1 M N): D in pieces that threads can share, added up at the end."""
    depth = a.shape[1]
    pieces = max(n for n in range(1, PIECES + 1) if depth % n == 0)
    a, b = (
        apply("reshape", each, shape=(each.shape[0], pieces, depth // pieces)) for each in (a, b)
    )
    parts = apply(
        "matmul", apply("transpose", a, axes=(1, 0, 2)), apply("transpose", b, axes=(1, 2, 0))
    )
    return apply("reshape", apply("sum", parts, axes=(0,)), shape=(1, *parts.shape[1:]))


def _folded(seen: Node, w: Node, groups: int) -> Node:
    """seen (N C P K), w (G C/G K) -> (N G P): with one output a matrix would have one row."""
    count, n, channels = len(w.shape) - 2, seen.shape[0], w.shape[1]
    apart = apply("reshape", seen, shape=(n, groups, channels, *seen.shape[2:]))
    row = (1, groups, channels, *(1,) * count, *w.shape[2:])
    wide = apply("broadcast", apply("reshape", w, shape=row), shape=apart.shape)
    inner = range(3 + count, 3 + 2 * count)
    return apply("sum", apart * wide, axes=(2, *inner))


def _scattered(x: Node, w: Node, padding: Pairs, spread: Ints, dilation: Ints, groups: int) -> Node:
    kernel = w.shape[2:]
    terms = _terms(x, w, groups)  # (N O S K)
    whole = whole_extents(x.shape[2:], kernel, spread, dilation)
    every = apply("unwindows", terms, shape=whole, strides=spread, dilation=dilation)
    return fitted(every, margins(kernel, padding, dilation), (1,) * len(kernel))


def _terms(x: Node, w: Node, groups: int) -> Node:
    """What each element of the input gives to each place around it: (N O S K)."""
    count, n, extents, kernel = len(w.shape) - 2, x.shape[0], x.shape[2:], w.shape[2:]
    size, depth = math.prod(extents), w.shape[1]
    turned = apply("flip", w, axes=tuple(range(2, len(w.shape))))
    if depth == 1:
        return _outer(x, turned, groups)
    rows = apply("transpose", turned, axes=(0, *range(2, 2 + count), 1))
    rows = apply("reshape", rows, shape=(groups, rows.type.size // (groups * depth), depth))
    inner, outer = range(1, 1 + count), range(2 + count, 2 + 2 * count)
    if groups == 1 and size >= FEW:
        images = apply("reshape", x, shape=(n, depth, size))
        rows = apply("broadcast", rows, shape=(n, *rows.shape[1:]))
        terms = apply("matmul", rows, images)
        terms = apply("reshape", terms, shape=(n, w.shape[0], *kernel, *extents))
        return apply("transpose", terms, axes=(0, 1, *outer, *range(2, 2 + count)))
    images = apply("reshape", x, shape=(n, groups, depth, size))
    images = apply("transpose", images, axes=(1, 2, 0, 3))
    images = apply("reshape", images, shape=(groups, depth, n * size))
    terms = apply("reshape", _product(rows, images), shape=(w.shape[0], *kernel, n, *extents))
    return apply("transpose", terms, axes=(1 + count, 0, *outer, *inner))


def _outer(x: Node, w: Node, groups: int) -> Node:
    """With one channel in each group every term is one product, which needs no memory."""
    n, extents, kernel = x.shape[0], x.shape[2:], w.shape[2:]
    shape = (n, groups, w.shape[0] // groups, *extents, *kernel)
    column = apply("reshape", x, shape=(n, groups, 1, *extents, *(1,) * len(kernel)))
    row = apply("reshape", w, shape=(1, *shape[1:3], *(1,) * len(extents), *kernel))
    wide = [apply("broadcast", each, shape=shape) for each in (column, row)]
    terms = apply("multiply", *wide)
    return apply("reshape", terms, shape=(n, w.shape[0], *extents, *kernel))
