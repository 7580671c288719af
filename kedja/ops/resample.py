"""Resampling of one axis: every output element is a weighted sum of few input elements.

    y[o] = Σ_t weight[o, t] · x[index[o, t]]
Both tables follow from the `Sampling` alone, and so do those of the transpose, which adds back what
was spread. Pictures are resampled one axis after the other. Next: `cumulative.py`.
Sources: R. Keys: Cubic convolution interpolation for digital image processing (1981); the rounding
of places is PyTorch's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from kedja.ground.dtypes import FLOATS
from kedja.ground.errors import ShapeError, UsageError
from kedja.ir.graph import Node, apply, constant, zeros_like
from kedja.ir.op import ByExpansion, Case, Linear, Op, Type, register
from kedja.ops.batching import moved
from kedja.ops.types import require_dtype

Tables = tuple[np.ndarray, np.ndarray]  # index and weight, both (places, terms)


class Sampling(NamedTuple):
    """How an axis of `old` elements becomes one of `new`.

    `scale` is new/old as the user gave it, or None where the extents say it; `align` puts the
    centres of the outer elements of both axes upon each other instead of the outer edges;
    `antialias` widens the filter where the axis shrinks; `dtype` names the floats in which places
    are computed.
    """

    mode: str
    old: int
    new: int
    scale: float | None = None
    align: bool = False
    antialias: bool = False
    dtype: str = "float64"

    @property
    def kind(self) -> Any:
        """The floats in which places are computed."""
        return np.dtype(self.dtype).type

    @property
    def ratio(self) -> Any:
        """Elements of the old axis for one step along the new one."""
        if self.align:
            return self.kind(self.old - 1) / self.kind(max(1, self.new - 1)) * (self.new > 1)
        if self.scale is not None and self.scale > 0:
            return self.kind(1 / self.scale)
        return self.kind(self.old) / self.kind(self.new)

    @property
    def centres(self) -> np.ndarray:
        """Where on the old axis the new elements stand."""
        place = np.arange(self.new).astype(self.kind)
        if self.align:
            return np.asarray(place * self.ratio)
        return np.asarray((place + self.kind(0.5)) * self.ratio - self.kind(0.5))


# ----------------------------------------------------------------------------------- tables


def _nearest(how: Sampling) -> Tables:
    """The element in whose cell the beginning of the new cell lies."""
    return _single(how, np.floor((np.arange(how.new).astype(how.kind) * how.ratio).astype("f4")))


def _nearest_exact(how: Sampling) -> Tables:
    """The element whose centre is nearest."""
    return _single(how, np.floor((how.centres + how.kind(0.5)).astype("f4")))


def _single(how: Sampling, place: np.ndarray) -> Tables:
    index = np.clip(place.astype(np.int64), 0, how.old - 1)[:, None]
    return index, np.ones(index.shape)


def _linear(how: Sampling) -> Tables:
    """The elements on both sides, by nearness."""
    centre = np.maximum(how.centres, 0)
    low = np.minimum(np.floor(centre).astype(np.int64), how.old - 1)
    part = np.clip(centre - low.astype(how.kind), 0, 1)
    index = np.stack([low, np.minimum(low + 1, how.old - 1)], axis=1)
    return index, np.stack([1 - part, part], axis=1)


def _cubic(how: Sampling) -> Tables:
    """Two elements on either side, by Keys' cubic with a = −3/4."""
    low = np.floor(how.centres)
    offsets = np.arange(-1, 3)
    index = np.clip(low.astype(np.int64)[:, None] + offsets, 0, how.old - 1)
    apart = (how.centres - low)[:, None] - offsets.astype(how.kind)
    return index, keys_cubic(apart, -0.75)


def keys_cubic(x: np.ndarray, a: float) -> np.ndarray:
    """Keys' cubic: 1 at 0, 0 at all other whole numbers, and from ±2 on."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.asarray(np.where(x <= 1, near, np.where(x < 2, far, 0)))


def triangle(x: np.ndarray) -> np.ndarray:
    """1 at 0, falling to 0 at ±1."""
    return np.asarray(np.maximum(0, 1 - np.abs(x)))


def _area(how: Sampling) -> Tables:
    """The mean over the new cell; cells meet at whole elements and may overlap by one."""
    place = np.arange(how.new)
    start, stop = place * how.old // how.new, -(-(place + 1) * how.old // how.new)
    return _runs(start, stop, lambda index: np.ones(index.shape))


def _filtered(how: Sampling, reach: float, weigh: Callable[[np.ndarray], np.ndarray]) -> Tables:
    """A filter as wide as the coarser of both axes wants it, normalised to a sum of 1."""
    ratio = how.ratio
    wide = max(ratio, how.kind(1))
    centre = (np.arange(how.new).astype(how.kind) + how.kind(0.5)) * ratio  # from the outer edge
    support = how.kind(reach) * wide
    start = np.maximum((centre - support + how.kind(0.5)).astype(np.int64), 0)
    stop = np.minimum((centre + support + how.kind(0.5)).astype(np.int64), how.old)
    half = how.kind(0.5)
    return _runs(start, stop, lambda i: weigh((i - centre[:, None] + half) / wide))


def _runs(start: np.ndarray, stop: np.ndarray, weigh: Callable[[np.ndarray], np.ndarray]) -> Tables:
    """Neighbouring elements from start to stop, with weights of sum 1.

    Where a run is shorter than the longest, its last element stands again, with weight 0.
    """
    index = start[:, None] + np.arange(int(np.max(stop - start, initial=1)))
    weight = np.where(index < stop[:, None], weigh(index), 0)
    index = np.minimum(index, stop[:, None] - 1)
    return index, weight / weight.sum(axis=1, keepdims=True)


MODES: dict[str, Callable[[Sampling], Tables]] = {
    "nearest": _nearest,
    "nearest-exact": _nearest_exact,
    "linear": lambda how: _filtered(how, 1, triangle) if how.antialias else _linear(how),
    "cubic": lambda how: (
        _filtered(how, 2, lambda x: keys_cubic(x, -0.5)) if how.antialias else _cubic(how)
    ),
    "area": _area,
}


@lru_cache(maxsize=256)
def tables(how: Sampling, back: bool) -> Tables:
    """Index and weight (places, terms); with `back` those of the transpose."""
    index, weight = MODES[how.mode](how)
    weight = weight.astype(np.float64)
    return _transposed(index, weight, how.old) if back else (index, weight)


def _transposed(index: np.ndarray, weight: np.ndarray, extent: int) -> Tables:
    """For each old element, the new ones that it goes into."""
    place, term = np.nonzero(weight)
    target = index[place, term]
    order = np.argsort(target, kind="stable")
    target, place, term = target[order], place[order], term[order]
    counts = np.bincount(target, minlength=extent)
    column = np.arange(len(target)) - np.repeat(np.cumsum(counts) - counts, counts)
    shape = (extent, max(1, int(counts.max(initial=0))))
    back_index, back_weight = np.zeros(shape, np.int64), np.zeros(shape)
    back_index[target, column] = place
    back_weight[target, column] = weight[place, term]
    return back_index, back_weight


# ------------------------------------------------------------------------------------ the op


def resample_type(x: Type, *, axis: int, how: Sampling, back: bool) -> Type:
    """(… old …) -> (… new …), the other way round with `back`."""
    require_dtype("resample", x.dtype, FLOATS)
    if how.mode not in MODES:
        raise UsageError(f"there is no resampling {how.mode!r}", fix=f"one of {', '.join(MODES)}")
    taken, given = (how.new, how.old) if back else (how.old, how.new)
    if not 0 <= axis < len(x.shape) or x.shape[axis] != taken or min(taken, given) < 1:
        raise ShapeError(
            f"resample of axis {axis} of {list(x.shape)} from {taken} to {given} elements",
            fix="the axis has as many elements, and both extents are 1 or more",
        )
    return Type((*x.shape[:axis], given, *x.shape[axis + 1 :]), x.dtype)


def numpy_resample(x: np.ndarray, *, axis: int, how: Sampling, back: bool) -> np.ndarray:
    """A take, weighted and summed."""
    return np.asarray(_resampled(np, x, axis, how, back))


def xla_resample(x: Any, value: Any, *, axis: int, how: Sampling, back: bool) -> Any:
    """The same with JAX's functions."""
    return _resampled(x.np, value, axis, how, back)


def _resampled(xp: Any, x: Any, axis: int, how: Sampling, back: bool) -> Any:
    index, weight = tables(how, back)
    shape = (*weight.shape, *(1,) * (x.ndim - axis - 1))
    taken = xp.take(x, index, axis=axis)  # (… places terms …)
    factor = weight.astype(x.dtype).reshape(shape)
    with np.errstate(all="ignore"):
        terms = xp.where(factor != 0, taken * factor, xp.zeros((), x.dtype))
    found: Any = xp.sum(terms, axis=axis + 1)
    return found


def expand_resample(x: Node, *, axis: int, how: Sampling, back: bool) -> Node:
    """Whole multiples by reshape alone; all else by a take, weighted and summed."""
    index, weight = tables(how, back)
    (count, terms), extent = index.shape, x.shape[axis]
    if count % extent == 0 and _repeats(index, weight, count // extent):
        return _repeat(x, axis, count // extent)
    whole = index.size == extent and np.array_equal(index.reshape(-1), np.arange(extent))
    shape = (*x.shape[:axis], count, terms, *x.shape[axis + 1 :])
    if whole:
        return _weighted(apply("reshape", x, shape=shape), weight, axis)
    return _weighted(apply("take", x, constant(index), axis=axis), weight, axis)


def _repeats(index: np.ndarray, weight: np.ndarray, times: int) -> bool:
    """Whether every element simply stands there several times in a row."""
    row = np.arange(len(index)) // times
    return index.shape[1] == 1 and bool(np.array_equal(index[:, 0], row) and np.all(weight == 1))


def _repeat(x: Node, axis: int, times: int) -> Node:
    """Every element several times in a row."""
    before, n, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    x = apply("reshape", x, shape=(*before, n, 1, *after))
    x = apply("broadcast", x, shape=(*before, n, times, *after))
    return apply("reshape", x, shape=(*before, n * times, *after))


def _weighted(seen: Node, weight: np.ndarray, axis: int) -> Node:
    """Σ over the terms (the axis behind `axis`), those of no weight left out."""
    if not np.all(weight == 1):
        behind = (1,) * (len(seen.shape) - axis - 2)
        column = constant(weight.astype(seen.dtype).reshape(*weight.shape, *behind))
        factor, zero = apply("broadcast", column, shape=seen.shape), zeros_like(seen)
        seen = seen * factor
        if not np.all(weight):
            seen = apply("where", apply("not_equal", factor, zero), seen, zero)
    return apply("sum", seen, axes=(axis + 1,))


def back_resample(g: Node, node: Node) -> Node:
    """Each old element gets the gradients of the new ones that it went into, by their weights."""
    attrs = node.attrs
    return apply("resample", g, axis=attrs["axis"], how=attrs["how"], back=not attrs["back"])


# --------------------------------------------------------------------------------- the table

CASES = (
    ((2, 5), 1, Sampling("linear", 5, 8)),
    ((2, 4), 1, Sampling("nearest", 4, 8)),
    ((7, 2), 0, Sampling("nearest-exact", 7, 4)),
    ((3, 2), 0, Sampling("linear", 3, 7, align=True)),
    ((2, 5), 1, Sampling("cubic", 5, 7, scale=1.5)),
    ((2, 8), 1, Sampling("area", 8, 3)),
    ((2, 6), 1, Sampling("area", 6, 3)),
    ((2, 9), 1, Sampling("cubic", 9, 4, antialias=True)),
    ((2, 7), 1, Sampling("linear", 7, 3, antialias=True)),
)


def sample_resample(rng: np.random.Generator) -> Sequence[Case]:
    """Every mode, longer and shorter, and the transposes."""
    cases = []
    for turn, (shape, axis, how) in enumerate(CASES):
        for back in (False, True) if turn % 2 else (False,):
            extent = how.new if back else how.old
            given = tuple(extent if a == axis else n for a, n in enumerate(shape))
            attrs = {"axis": axis, "how": how, "back": back}
            cases.append(Case((rng.uniform(-2, 2, given),), attrs))
    return cases


register(
    (
        Op(
            "resample",
            type=resample_type,
            numpy=numpy_resample,
            derivative=Linear((back_resample,)),
            lowering=ByExpansion(),
            batch=moved("axis"),
            xla=xla_resample,
            formula="resample({0}, axis={axis})",
            sample=sample_resample,
            dtypes=FLOATS,
            flops=4,
            gate="each element gets the gradients of those that it went into, by their weights",
            expand=expand_resample,
        ),
    ),
    "resample",
)
