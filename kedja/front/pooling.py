"""Pooling by name: max_pool, max_unpool, avg_pool, lp_pool, adaptive_avg_pool, adaptive_max_pool.

Arguments are those of `torch.nn.functional.max_pool2d` and its like, over any number of spatial
axes: x (N, C, *S). Not here: layers (`kedja/nn/pooling.py`). Next: `resampling.py`.
Dimensions: N examples, C channels, S and P places in and out, K places in the window.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from kedja.front import arithmetic, reductions
from kedja.front.arithmetic import call
from kedja.front.reductions import floating
from kedja.front.spatial import Ints, Pairs, bordered, numbers, several, spatial_count
from kedja.front.tensor import Tensor, as_tensor, from_node, from_value
from kedja.ground.dtypes import lowest
from kedja.ground.errors import ShapeError, UsageError
from kedja.ir.graph import full, locating
from kedja.ops.resample import Sampling, tables
from kedja.ops.windows import span


class Windows(NamedTuple):
    """Where windows stand: the op's attributes, the padding, the places along each axis."""

    kernel: Ints
    strides: Ints
    dilation: Ints
    pads: Pairs
    out: Ints

    @property
    def attrs(self) -> dict[str, Ints]:
        """What the op is told."""
        return {"kernel": self.kernel, "strides": self.strides, "dilation": self.dilation}


def _windows(
    name: str,
    x: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Windows:
    count = spatial_count(name, x)
    kernel = numbers(name, "kernel_size", kernel_size, count)
    strides = kernel if _is_absent(stride) else numbers(name, "stride", stride, count)
    gaps = numbers(name, "dilation", dilation, count)
    pads = numbers(name, "padding", padding, count, low=0)
    spans = tuple(span(k, gap) for k, gap in zip(kernel, gaps, strict=True))
    if any(2 * pad > covered for pad, covered in zip(pads, spans, strict=True)):
        raise UsageError(
            f"{name} with kernel_size {list(kernel)} and padding {list(pads)}",
            fix="the padding is at most half of what the window covers",
        )
    facts = list(zip(x.shape[2:], spans, strides, pads, strict=True))
    out = tuple(_places(*each, ceil_mode) for each in facts)
    if min(out) < 1:
        raise ShapeError(
            f"{name} of shape {list(x.shape)} with windows that cover {list(spans)} and padding "
            f"{list(pads)}",
            fix="the windows must fit into the input: make them smaller, or pad",
        )
    ends = [(p - 1) * step + c - n - pad for p, (n, c, step, pad) in zip(out, facts, strict=True)]
    both = tuple((pad, max(end, 0)) for pad, end in zip(pads, ends, strict=True))
    return Windows(kernel, strides, gaps, both, out)


def _is_absent(stride: Any) -> bool:
    return stride is None or (isinstance(stride, (tuple, list)) and not stride)


def _places(extent: int, covered: int, stride: int, pad: int, ceil_mode: bool) -> int:
    """How many windows; with `ceil_mode` one more that begins inside and ends outside."""
    left = extent + 2 * pad - covered
    count = left // stride + 1
    if ceil_mode and left % stride and count * stride < extent + pad:
        return count + 1
    return count


# -------------------------------------------------------------------------------------- max


def max_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window; the gradient goes to the first of several.

    Shapes: x (N, C, *S) → (N, C, *P), P = ⌊(S + 2·padding − dilation·(K − 1) − 1)/stride⌋ + 1, or
    ⌈…⌉ with `ceil_mode`. The stride is the window unless given; what is padded never wins. With
    `return_indices` also the places of the maxima in the flattened spatial axes, int64.

    >>> max_pool([[[1.0, 3.0, 2.0, 5.0]]], 2).tolist()
    [[[3.0, 5.0]]]
    """
    x = as_tensor(x)
    with locating():
        how = _windows("max_pool", x, kernel_size, stride, padding, dilation, ceil_mode)
        wide = bordered(x, how.pads, lowest(x.dtype))
        peak = call("window_max", wide, **how.attrs)
        return (peak, _indices(x, wide, how)) if return_indices else peak


def _indices(x: Tensor, wide: Tensor, how: Windows) -> Tensor:
    """Where in the flattened spatial axes of x the maxima stand."""
    inside = _lined(call("windows", wide, **how.attrs), how)  # (N C P K)
    first = reductions.argmax(inside, axis=-1, keepdims=True)
    plane = arithmetic.broadcast(_plane(x.shape[2:]), x.shape)
    seen = _lined(call("windows", bordered(plane, how.pads), **how.attrs), how)
    found = call("take_along_axis", seen, first, axis=seen.ndim - 1)
    return arithmetic.reshape(found, found.shape[:-1])


def _lined(seen: Tensor, how: Windows) -> Tensor:
    """(N C P K…) -> (N C P K): the places inside the window as one axis."""
    count = len(how.kernel)
    return arithmetic.reshape(seen, (*seen.shape[: seen.ndim - count], math.prod(how.kernel)))


def _plane(extents: Ints) -> Tensor:
    """The place of each element in the flattened spatial axes."""
    return from_value(np.arange(math.prod(extents), dtype=np.int64).reshape(extents))


def max_unpool(
    x: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """The maxima put back where `max_pool` found them, 0 elsewhere; of several the last.

    Shapes: x and `indices` (N, C, *P) → (N, C, *S), S = (P − 1)·stride − 2·padding + K unless
    `output_size` names the spatial extents, of which pooling makes several the same.
    Raises ShapeError, UsageError.

    >>> values, indices = max_pool([[[1.0, 3.0, 5.0, 2.0]]], 2, return_indices=True)
    >>> max_unpool(values, indices, 2).tolist()
    [[[0.0, 3.0, 5.0, 0.0]]]
    """
    x, places = as_tensor(x), as_tensor(indices)
    with locating():
        size = _unpooled("max_unpool", x, kernel_size, stride, padding, output_size)
        if places.shape != x.shape:
            raise ShapeError(
                f"max_unpool of shape {list(x.shape)} by indices of shape {list(places.shape)}",
                fix="both are what max_pool gives with return_indices=True",
            )
        lines = (*x.shape[:2], math.prod(x.shape[2:]))
        base = full(0, (*x.shape[:2], math.prod(size)), x.dtype)
        flat = (arithmetic.reshape(each, lines) for each in (places, x))
        found = call("scatter_set_along_axis", from_node(base), *flat, axis=2)
        return arithmetic.reshape(found, (*x.shape[:2], *size))


def _unpooled(
    name: str, x: Tensor, kernel_size: Any, stride: Any, padding: Any, output_size: Any
) -> Ints:
    """The extents before pooling."""
    count = spatial_count(name, x)
    kernel = numbers(name, "kernel_size", kernel_size, count)
    strides = kernel if _is_absent(stride) else numbers(name, "stride", stride, count)
    pads = numbers(name, "padding", padding, count, low=0)
    facts = list(zip(x.shape[2:], kernel, strides, pads, strict=True))
    usual = tuple((n - 1) * step - 2 * pad + k for n, k, step, pad in facts)
    if output_size is None:
        return usual
    wanted = numbers(name, "output_size", tuple(several(output_size))[-count:], count)
    triples = zip(wanted, usual, strides, strict=True)
    if any(abs(size - n) >= step for size, n, step in triples):
        raise UsageError(
            f"{name} of shape {list(x.shape)} to {list(wanted)}",
            fix=f"less than a stride away from {list(usual)}",
        )
    return wanted


# ------------------------------------------------------------------------------------- mean


def avg_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window.

    Shapes: x (N, C, *S) → (N, C, *P), P as in `max_pool`. Padding counts as zeros, or not at all
    without `count_include_pad`; what `ceil_mode` adds beyond it never counts. `divisor_override`
    replaces the number of elements.

    >>> avg_pool([[[1.0, 3.0, 2.0, 6.0]]], 2).tolist()
    [[[2.0, 4.0]]]
    """
    x = floating(x)
    with locating():
        how = _windows("avg_pool", x, kernel_size, stride, padding, 1, ceil_mode)
        if divisor_override == 0:
            raise UsageError("avg_pool with divisor_override=0", fix="another number, or None")
        seen = call("windows", bordered(x, how.pads), **how.attrs)  # (N C P K)
        total = call("sum", seen, axes=tuple(range(seen.ndim - len(how.kernel), seen.ndim)))
        if divisor_override is not None:
            return arithmetic.binary("divide", total, divisor_override)
        pads = numbers("avg_pool", "padding", padding, len(how.kernel), low=0)
        counted = _counted(x, how, pads, count_include_pad)
        return arithmetic.binary("divide", total, counted)


def _counted(x: Tensor, how: Windows, pads: Ints, include: bool) -> Any:
    """How many elements each window has: one number, or one for each place."""
    lines = []
    for axis, (n, k, step, pad) in enumerate(
        zip(x.shape[2:], how.kernel, how.strides, pads, strict=True)
    ):
        start = np.arange(how.out[axis]) * step - pad
        stop = np.minimum(start + k, n + pad)
        inside = np.minimum(stop, n) - np.maximum(start, 0)
        shape = [-1 if a == axis else 1 for a in range(len(how.kernel))]
        lines.append((stop - start if include else inside).reshape(shape))
    counts = math.prod(lines[1:], start=lines[0])
    if counts.size and (counts == counts.flat[0]).all():
        return int(counts.flat[0])
    return from_value(counts.astype(x.dtype))


def lp_pool(
    x: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """(Σ x^p)^(1/p) over each window, p = `norm_type`; NaN where an odd power sums below 0.

    Shapes: x (N, C, *S) → (N, C, *P), P as in `max_pool`. With p = 1 the sum, with p = ±∞ the
    largest or smallest |x|. Where a window of `ceil_mode` ends outside, its mean is multiplied by
    the extent of a whole one, as in PyTorch.

    >>> lp_pool([[[3.0, 4.0]]], 2, 2).tolist()
    [[[5.0]]]
    """
    x = floating(x)
    with locating():
        count = spatial_count("lp_pool", x)
        size = math.prod(numbers("lp_pool", "kernel_size", kernel_size, count))
        if norm_type == 0:
            raise UsageError("lp_pool with norm_type=0", fix="a power other than 0")
    if math.isinf(norm_type):
        sign = math.copysign(1, norm_type)
        found: Tensor = sign * max_pool(sign * abs(x), kernel_size, stride, ceil_mode=ceil_mode)
        return found
    mean = avg_pool(x ** float(norm_type), kernel_size, stride, 0, ceil_mode)
    return arithmetic.power(mean * size, 1 / norm_type)


# --------------------------------------------------------------------------------- adaptive


def adaptive_avg_pool(x: Any, output_size: Any) -> Tensor:
    """The mean over P cells along each axis, as equal in extent as whole elements allow.

    Shapes: x (N, C, *S) → (N, C, *output_size); None keeps an extent. Cell p has the elements from
    ⌊p·S/P⌋ to ⌈(p + 1)·S/P⌉.

    >>> adaptive_avg_pool([[[1.0, 2.0, 3.0]]], 2).tolist()
    [[[1.5, 2.5]]]
    """
    y = floating(x)
    with locating():
        sizes = _adapted("adaptive_avg_pool", y, output_size)
        for axis, size in enumerate(sizes, start=2):
            if size != y.shape[axis]:
                how = Sampling("area", y.shape[axis], size)
                y = call("resample", y, axis=axis, how=how, back=False)
        return y


def _adapted(name: str, x: Tensor, output_size: Any) -> Ints:
    """The extents wanted; None keeps those of x."""
    count = spatial_count(name, x)
    given = several(output_size)
    given = tuple(given) * count if len(given) == 1 else tuple(given)
    if len(given) != count:
        raise UsageError(
            f"{name} over {count} spatial axes with output_size={output_size!r}",
            fix=f"one number, or {count} of them",
        )
    pairs = zip(given, x.shape[2:], strict=True)
    wanted = [n if size is None else size for size, n in pairs]
    if 0 in x.shape[2:]:
        raise ShapeError(f"{name} of shape {list(x.shape)}", fix="spatial axes have elements")
    return numbers(name, "output_size", wanted, count)


def adaptive_max_pool(x: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest element of P cells along each axis; the gradient goes to the first of several.

    Shapes: x (N, C, *S) → (N, C, *output_size), the cells as in `adaptive_avg_pool`; with
    `return_indices` also the places of the maxima in the flattened spatial axes, int64.

    >>> adaptive_max_pool([[[1.0, 4.0, 3.0]]], 2).tolist()
    [[[4.0, 4.0]]]
    """
    x = as_tensor(x)
    with locating():
        sizes = _adapted("adaptive_max_pool", x, output_size)
        if not return_indices and all(n % p == 0 for n, p in zip(x.shape[2:], sizes, strict=True)):
            kernel = tuple(n // p for n, p in zip(x.shape[2:], sizes, strict=True))
            pooled: Tensor = max_pool(x, kernel)
            return pooled
        flat = arithmetic.broadcast(_plane(x.shape[2:]), x.shape)
        for axis in reversed(range(2, x.ndim)):  # the last first, so that ties go to the first
            if sizes[axis - 2] != x.shape[axis]:
                x, flat = _cells(x, flat, axis, sizes[axis - 2])
        both: Any = (x, flat)
        return both if return_indices else x


def _cells(x: Tensor, flat: Tensor, axis: int, size: int) -> tuple[Tensor, Tensor]:
    """The largest along one axis of each cell, and what `flat` has at its place."""
    index, _ = tables(Sampling("area", x.shape[axis], size), False)
    place = from_value(index)
    seen, places = (call("take", each, place, axis=axis) for each in (x, flat))  # (… P K …)
    best = call("argmax", arithmetic.stop_gradient(seen), axis=axis + 1)
    column = arithmetic.reshape(best, (*best.shape[: axis + 1], 1, *best.shape[axis + 1 :]))
    chosen = (call("take_along_axis", each, column, axis=axis + 1) for each in (seen, places))
    first, second = (arithmetic.reshape(each, best.shape) for each in chosen)
    return first, second
