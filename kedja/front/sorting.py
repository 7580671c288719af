"""Order and counting by name: sort, top_k, median, unique_values, nonzero, bincount, histogram.

NaN counts as the largest value: the last of an ascending order, the first of a descending one.
Functions whose result's shape depends on data (`unique_*`, `nonzero`) evaluate at once; inside
`jit` they are errors that say so. Not here: argmax and its like (`reductions.py`).
Next: `cumulative.py`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kedja.front import arithmetic, index
from kedja.front import tensor as front
from kedja.front.arithmetic import binary, call, cast, where
from kedja.front.movement import concat, flatten
from kedja.front.reductions import floating
from kedja.front.selection import take_along_axis
from kedja.front.wide import narrow, wide
from kedja.ground.dtypes import bool_, float64, int64, is_half, is_integer, promote
from kedja.ground.errors import DataError, DtypeError, ShapeError, TracingError, UsageError
from kedja.ground.suggest import did_you_mean
from kedja.ir.graph import locating
from kedja.ops.reduce import kept_shape
from kedja.ops.types import extents, normal_axes, normal_axis

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor

# ------------------------------------------------------------------------------------- sort


def sort(x: Any, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The elements in order along an axis; equal ones keep theirs, whatever `stable` says.

    Gradients go back to the places from which the elements came.

    >>> sort([3, 1, 2]).tolist()
    [1, 2, 3]
    """
    return _ordered("sort", x, axis, descending)


def argsort(x: Any, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The places (int64) of the elements in order along an axis, as `sort` orders them.

    >>> argsort([3, 1, 2], descending=True).tolist()
    [0, 2, 1]
    """
    return _ordered("argsort", x, axis, descending)


def _ordered(name: str, x: Any, axis: int, descending: bool) -> Tensor:
    x = front.as_tensor(x)
    with locating():
        place = normal_axis(name, axis, x.ndim)
        return call(name, x, axis=place, descending=bool(descending))


class TopK(NamedTuple):
    """What `top_k` returns."""

    values: Tensor
    indices: Tensor


def top_k(x: Any, k: int, axis: int = -1, largest: bool = True) -> TopK:
    """The k largest (or smallest) elements along an axis in order, and their places (int64).

    >>> top_k([1.0, 5.0, 3.0], 2).indices.tolist()
    [1, 2]
    """
    x = front.as_tensor(x)
    with locating():
        place = normal_axis("top_k", axis, x.ndim)
        (count,) = extents(k)
        if count > x.shape[place]:
            raise UsageError(f"top_k of {count} from an axis of {x.shape[place]} elements")
        order = call("argsort", x, axis=place, descending=largest)
        chosen = order[(*(slice(None),) * place, slice(count))]
        return TopK(call("take_along_axis", x, chosen, axis=place), chosen)


def searchsorted(x1: Any, x2: Any, *, side: str = "left", sorter: Any = None) -> Tensor:
    """For each value of x2, the place in x1 (sorted, ascending) before which it keeps the order.

    "left" is the first such place, "right" the last; the result is int64 of the shape of x2. Both
    may have the same leading axes, for each of which a line of its own is searched. `sorter` is
    what `argsort` gives for an x1 that is not sorted.

    >>> searchsorted([1, 3, 5], [0, 3, 6]).tolist()
    [0, 1, 3]
    """
    line, values = front.as_tensor(x1), front.as_tensor(x2)
    with locating():
        if side not in ("left", "right"):
            raise UsageError(f"searchsorted to the side {side!r}", fix="'left' or 'right'")
        if sorter is not None:
            line = take_along_axis(line, sorter)
        dtype = promote(line.dtype, values.dtype)
        line, values = cast(line, dtype), cast(values, dtype)
        if line.ndim != 1:
            return call("searchsorted", line, values, side=side)
        return arithmetic.reshape(
            call("searchsorted", line, flatten(values), side=side), values.shape
        )


# --------------------------------------------------------------------------------- quantiles

METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def quantile(
    x: Any, q: Any, axis: Any = None, keepdims: bool = False, *, method: str = "linear"
) -> Tensor:
    """The value below which a part q (0 … 1) of the elements lies, over some axes or all.

    Between the elements at the places ⌊p⌋ and ⌈p⌉ of the sorted line, p = q·(n − 1), "linear"
    interpolates; "lower", "higher", "nearest" and "midpoint" take one of them or their mean. The
    result has the axes of q in front; it is NaN where there is a NaN.

    >>> quantile([1.0, 2.0, 4.0, 8.0], 0.5).item()
    3.0
    """
    with locating():
        if method not in METHODS:
            raise UsageError(f"quantile by {method!r}", fix=did_you_mean(method, METHODS))
        values, kind = wide(floating(x))
        axes = normal_axes("quantile", axis, values.ndim)
        line = _as_line(values, axes)
        if line.shape[-1] == 0:
            raise ShapeError(f"quantile over no elements, shape {list(values.shape)}")
        part = _parts(q)
        found = _between(line, flatten(part), method)
    rest = kept_shape(values.shape, axes) if keepdims else line.shape[:-1]
    return narrow(arithmetic.reshape(found, (*part.shape, *rest)), kind)


def median(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The middle element over some axes or all, or the mean of the two in the middle.

    >>> median([3.0, 1.0, 2.0]).item()
    2.0
    """
    return quantile(x, 0.5, axis, keepdims)


def _as_line(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The reduced axes as one, the last."""
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    count = math.prod(x.shape[axis] for axis in axes)
    shape = (*(x.shape[axis] for axis in kept), count)
    return arithmetic.reshape(arithmetic.transpose(x, (*kept, *axes)), shape)


def _parts(q: Any) -> Tensor:
    """q in float64, so that places in long lines are exact; UsageError outside of 0 … 1."""
    part = cast(q, float64) if isinstance(q, front.Tensor) else front.Tensor(q, float64)
    if part.is_known and not ((part.numpy() >= 0) & (part.numpy() <= 1)).all():
        raise UsageError(f"quantile of {part.tolist()}", fix="q lies between 0 and 1")
    return part


def _between(line: Tensor, part: Tensor, method: str) -> Tensor:
    """For each part, in front, the value between two elements of each line."""
    ordered = call("sort", line, axis=line.ndim - 1, descending=False)
    extent = line.shape[-1]
    place = binary("multiply", part, float(extent - 1))
    low, high = (cast(call(name, place), int64) for name in ("floor", "ceil"))
    if method == "nearest":
        low = high = cast(call("round", place), int64)
    first = _in_front(index.take(ordered, high if method == "higher" else low, -1))
    if method in ("lower", "higher", "nearest"):
        return _nan_where(first, ordered)
    second = _in_front(index.take(ordered, high, -1))
    shape = (part.size,) + (1,) * (line.ndim - 1)
    weight = cast(binary("subtract", place, call("floor", place)), line.dtype)
    if method == "midpoint":
        weight = where(weight == 0, 0.0, 0.5)
    step = binary("subtract", second, first)
    step = where(call("isnan", step), 0.0, step)  # two equal infinities
    weight = arithmetic.reshape(cast(weight, line.dtype), shape)
    return _nan_where(first + step * weight, ordered)


def _in_front(x: Tensor) -> Tensor:
    """The last axis in front."""
    return arithmetic.transpose(x, (x.ndim - 1, *range(x.ndim - 1)))


def _nan_where(x: Tensor, ordered: Tensor) -> Tensor:
    """NaN for lines whose last, and so largest, element is NaN."""
    last = index.take(ordered, np.asarray(ordered.shape[-1] - 1), -1)
    return where(call("isnan", last), math.nan, x)


# ------------------------------------------------------------------ shapes that depend on data


def _known(name: str, x: Any) -> tuple[Tensor, np.ndarray]:
    """A tensor and its value, halves widened; TracingError where there is none yet."""
    x = front.as_tensor(x)
    if not x.is_known:
        raise TracingError(
            f"{name}: the shape of its result depends on data, and {x.node.type} has no value "
            "while it is traced",
            fix="take it out of the jit; inside, use what keeps shapes: sort, top_k, where",
        )
    value = x.numpy()
    return x, value.astype(np.float32) if is_half(x.dtype) else value


class UniqueAll(NamedTuple):
    """What `unique_all` returns."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """What `unique_counts` returns."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """What `unique_inverse` returns."""

    values: Tensor
    inverse_indices: Tensor


def unique_all(x: Any) -> UniqueAll:
    """The different elements in ascending order, with the place of the first of each (in row-major
    order), the place of each element of x among them, and how often each occurs.

    Each NaN differs from all others; −0 equals 0. Raises TracingError inside `jit`.

    >>> unique_all([3, 1, 3]).counts.tolist()
    [1, 2]
    """
    return _unique("unique_all", x)


def unique_counts(x: Any) -> UniqueCounts:
    """The different elements and how often each occurs; see `unique_all`."""
    found = _unique("unique_counts", x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x: Any) -> UniqueInverse:
    """The different elements and the place of each element of x among them; see `unique_all`.

    >>> values, inverse = unique_inverse([3, 1, 3])
    >>> values[inverse].tolist()
    [3, 1, 3]
    """
    found = _unique("unique_inverse", x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_values(x: Any) -> Tensor:
    """The different elements in ascending order; see `unique_all`.

    >>> unique_values([3, 1, 3]).tolist()
    [1, 3]
    """
    return _unique("unique_values", x).values


def unique(
    x: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
) -> Any:
    """`unique_values`, and those parts of `unique_all` that are asked for, as NumPy names them.

    >>> values, counts = unique([3, 1, 3], return_counts=True)
    >>> values.tolist(), counts.tolist()
    ([1, 3], [1, 2])
    """
    found = _unique("unique", x)
    wanted = (return_index, return_inverse, return_counts)
    more = [each for each, asked in zip(found[1:], wanted, strict=True) if asked]
    return (found.values, *more) if more else found.values


def _unique(name: str, x: Any) -> UniqueAll:
    with locating():
        x, value = _known(name, x)
        found = np.unique(value.reshape(-1), True, True, True, equal_nan=False)
        places, counts = _places(found[1]), _places(found[3])
        values = call("take", flatten(x), places, axis=0)  # through which gradients go back
        return UniqueAll(values, places, _places(found[2].reshape(value.shape)), counts)


def _places(array: np.ndarray) -> Tensor:
    """Whole numbers as int64."""
    return front.from_value(array.astype(np.int64))


def nonzero(x: Any) -> tuple[Tensor, ...]:
    """The places of the elements that are not zero, in row-major order: int64 for each axis.

    Raises ShapeError for a scalar, TracingError inside `jit`.

    >>> [each.tolist() for each in nonzero([[0, 7], [8, 0]])]
    [[0, 1], [1, 0]]
    """
    with locating():
        x, value = _known("nonzero", x)
        if x.ndim == 0:
            raise ShapeError("nonzero of a scalar", fix="it needs at least one axis: x[None]")
        return tuple(_places(each) for each in np.nonzero(value))


def argwhere(x: Any) -> Tensor:
    """The places of the elements that are not zero, one in each row (n, axes).

    Raises TracingError inside `jit`.
    """
    with locating():
        _, value = _known("argwhere", x)
        return _places(np.argwhere(value))


def count_nonzero(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """How many elements are not zero over some axes or all, as int64.

    >>> count_nonzero([[0, 7], [8, 9]], axis=0).tolist()
    [1, 2]
    """
    return arithmetic.reduce("sum", cast(front.as_tensor(x), bool_), axis, keepdims)


# ---------------------------------------------------------------------------------- counting


def bincount(
    x: Any, weights: Any = None, minlength: int = 0, *, length: int | None = None
) -> Tensor:
    """How often each number 0, 1, 2 … occurs in a line of whole numbers, as int64.

    With `weights`, their sums instead, in the weights' dtype. The result has max(x) + 1 elements,
    at least `minlength`. Inside `jit` the shape must not depend on data: `length` gives it, and
    numbers from there on are not counted (as in JAX).

    >>> bincount([0, 2, 2]).tolist()
    [1, 0, 2]
    """
    x = front.as_tensor(x)
    with locating():
        if x.ndim != 1 or not (is_integer(x.dtype) or x.dtype == bool_ or x.size == 0):
            raise DtypeError(f"bincount of {x.node.type}", fix="one axis of whole numbers")
        x = cast(x, int64)
        extent = _bins(x, minlength) if length is None else extents(length)[0]
        return _counted(x, extent, _weights(weights, x))


def _bins(x: Tensor, minlength: int) -> int:
    """As many places as the largest number asks for."""
    _, value = _known("bincount without a `length`", x)
    if value.size and value.min() < 0:
        raise DataError(f"bincount of {value.min()}", fix="numbers from 0 on")
    return max(int(value.max(initial=-1)) + 1, extents(minlength)[0])


def _weights(weights: Any, x: Tensor) -> Tensor:
    """The weights, or ones."""
    if weights is None:
        return arithmetic.broadcast(front.Tensor(1), x.shape)
    given = front.as_tensor(weights)
    if given.shape != x.shape:
        raise ShapeError(f"weights of {list(given.shape)} for {list(x.shape)}", fix="one for each")
    return given


def _counted(place: Tensor, extent: int, weights: Tensor) -> Tensor:
    """The weights added up at their places; those outside 0 … extent − 1 are left out."""
    total = arithmetic.broadcast(cast(front.Tensor(0), weights.dtype), (extent,))
    if extent == 0 or place.size == 0:
        return total
    outside = (place < 0) | (place >= extent)
    inside = where(outside, 0, place)
    return call("scatter_add", total, inside, where(outside, 0, weights), axis=0)


class Histogram(NamedTuple):
    """What `histogram` returns."""

    counts: Tensor
    edges: Tensor


def histogram(
    x: Any,
    bins: Any = 10,
    range: tuple[float, float] | None = None,
    weights: Any = None,
    density: bool = False,
) -> Histogram:
    """How many elements lie in each of `bins` equal parts of a range, or between given edges.

    Each part holds its lower edge, the last its upper edge too. The range is that of the elements
    unless it is given; what lies outside is not counted. With `density`, counts are divided by
    their sum and by the width of the part. Counts are int64, or of the dtype of the weights.

    >>> histogram([1.0, 2.0, 2.5, 4.0], bins=3).counts.tolist()
    [1, 2, 1]
    """
    with locating():
        line = flatten(floating(x))
        weight = _weights(None if weights is None else flatten(weights), line)
        edges = _edges(line, bins, range)
        count = edges.shape[0] - 1
        right = call("searchsorted", edges, line, side="right")
        place = where(line == edges[count], count - 1, right - 1)
        counts = _counted(place, count, weight)
        if not density:
            return Histogram(counts, edges)
        counts = cast(counts, promote(counts.dtype, edges.dtype))
        total = arithmetic.reduce("sum", counts, None, False)
        return Histogram(counts / total / (edges[1:] - edges[:-1]), edges)


def _edges(line: Tensor, bins: Any, span: tuple[float, float] | None) -> Tensor:
    """Edges as they are given, or those of equal parts."""
    if not isinstance(bins, (int, np.integer)):
        edges = cast(front.as_tensor(bins), line.dtype)
        if edges.ndim != 1 or edges.size < 2:
            raise ShapeError(f"edges of shape {list(edges.shape)}", fix="at least two, in a line")
        return edges
    if bins < 1:
        raise UsageError(f"histogram with {bins} bins", fix="at least one")
    low, high = _span(line, span)
    step = (high - low) / int(bins)
    places = cast(front.from_value(np.arange(bins)), line.dtype)
    return concat([places * step + low, arithmetic.reshape(high, (1,))], 0)


def _span(line: Tensor, span: tuple[float, float] | None) -> tuple[Tensor, Tensor]:
    """The range, widened where it is a single number."""
    if span is not None or line.size == 0:
        low, high = (cast(front.Tensor(each), line.dtype) for each in span or (0.0, 1.0))
        if (high < low).item():
            raise UsageError(f"histogram over the range {span}", fix="the lower bound first")
    else:
        low, high = (arithmetic.reduce(name, line, None, False) for name in ("min", "max"))
    same = low == high
    return where(same, low - 0.5, low), where(same, high + 0.5, high)
