"""Composites: names for subgraphs. Meaning, derivatives and loops come by expansion.

The compiler may match a composite's name and put a fused kernel in its place; printing may fold
it. A composite is entered here when its name says more than its parts. Next: `kedja/autodiff`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kedja.ground.dtypes import FLOATS, INTEGERS, NUMBERS, int64, uint32
from kedja.ground.errors import ShapeError
from kedja.ir.graph import Node, apply, full
from kedja.ir.op import Batching, ByExpansion, Case, Leading, Op, Partials, Rule, Type, register
from kedja.ops.batching import moved
from kedja.ops.elementwise import numpy_erf, numpy_sigmoid
from kedja.ops.indexing import checked
from kedja.ops.random import numpy_threefry
from kedja.ops.reduce import Axes, reduced_type, spread
from kedja.ops.samples import Sampler, integers, uniform
from kedja.ops.types import TypeRule, elementwise, require_dtype

# ------------------------------------------------------------------- over axes: softmax & co.


def kept_type(name: str) -> TypeRule:
    """Float in, the same type out; the axes must have elements."""
    reduced = reduced_type(name, FLOATS, empty=False)

    def rule(x: Type, *, axes: Axes) -> Type:
        reduced(x, axes=axes)
        return x

    return rule


def finite_peak(x: Node, axes: Axes) -> Node:
    """The largest element, which is subtracted so that exp cannot overflow; 0 where infinite."""
    peak = apply("stop_gradient", apply("max", x, axes=axes))
    return apply("where", apply("isfinite", peak), peak, full(0, peak.shape, peak.dtype))


def expand_logsumexp(x: Node, *, axes: Axes) -> Node:
    """m + log Σ exp(x − m), with m the largest element."""
    peak = finite_peak(x, axes)
    return apply("log", apply("sum", apply("exp", x - spread(peak, x, axes)), axes=axes)) + peak


def expand_softmax(x: Node, *, axes: Axes) -> Node:
    """exp(x − m) / Σ exp(x − m)."""
    powers = apply("exp", x - spread(finite_peak(x, axes), x, axes))
    return powers / spread(apply("sum", powers, axes=axes), x, axes)


def expand_log_softmax(x: Node, *, axes: Axes) -> Node:
    """x − logsumexp(x)."""
    return x - spread(apply("logsumexp", x, axes=axes), x, axes)


def shifted(x: np.ndarray, axes: Axes) -> tuple[np.ndarray, np.ndarray]:
    """x minus its largest element, and that element (0 where it is infinite)."""
    peak = np.max(x, axis=axes, keepdims=True)
    peak = np.where(np.isfinite(peak), peak, np.zeros_like(peak))
    return x - peak, peak


def numpy_logsumexp(x: np.ndarray, *, axes: Axes) -> np.ndarray:
    """The meaning of logsumexp."""
    with np.errstate(all="ignore"):
        below, peak = shifted(x, axes)
        total = np.log(np.sum(np.exp(below), axis=axes, keepdims=True)) + peak
    return np.asarray(np.squeeze(total, axis=axes))


def numpy_softmax(x: np.ndarray, *, axes: Axes) -> np.ndarray:
    """The meaning of softmax."""
    with np.errstate(all="ignore"):
        powers = np.exp(shifted(x, axes)[0])
        return np.asarray(powers / np.sum(powers, axis=axes, keepdims=True))


def numpy_log_softmax(x: np.ndarray, *, axes: Axes) -> np.ndarray:
    """The meaning of log-softmax."""
    with np.errstate(all="ignore"):
        below, _ = shifted(x, axes)
        return np.asarray(below - np.log(np.sum(np.exp(below), axis=axes, keepdims=True)))


# --------------------------------------------------------------------------- argmax, argmin


def arg_type(name: str) -> TypeRule:
    """One axis is replaced by the index of its extremum."""

    def rule(x: Type, *, axis: int) -> Type:
        reduced = reduced_type(name, NUMBERS, empty=False)(x, axes=(axis,))
        return Type(reduced.shape, int64)

    return rule


def expand_arg(extremum: str) -> Callable[..., Node]:
    """The smallest index at which the extremum (or a NaN) stands."""

    def expand(x: Node, *, axis: int) -> Node:
        hit = apply("equal", x, spread(apply(extremum, x, axes=(axis,)), x, (axis,)))
        if x.dtype in FLOATS:
            hit = apply("bitwise_or", hit, apply("isnan", x))
        place = apply("iota", shape=x.shape, axis=axis, dtype=int64)
        beyond = full(x.shape[axis], x.shape, int64)
        return apply("min", apply("where", hit, place, beyond), axes=(axis,))

    return expand


# ---------------------------------------------------------------------- classes and entropy


def one_hot_type(index: Type, *, count: int, dtype: np.dtype) -> Type:
    """A new last axis of `count` elements."""
    require_dtype("one_hot", index.dtype, INTEGERS)
    return Type((*index.shape, count), dtype)


def expand_one_hot(index: Node, *, count: int, dtype: np.dtype) -> Node:
    """1 where the index along the last axis equals the class, 0 elsewhere."""
    shape = (*index.shape, count)
    place = apply("iota", shape=shape, axis=len(shape) - 1, dtype=int64)
    column = apply("reshape", apply("cast", index, dtype=int64), shape=(*index.shape, 1))
    wide = apply("broadcast", column, shape=shape)
    return apply("cast", apply("equal", wide, place), dtype=dtype)


def numpy_one_hot(index: np.ndarray, *, count: int, dtype: np.dtype) -> np.ndarray:
    """The meaning of one_hot."""
    return np.asarray(index[..., None] == np.arange(count), dtype=dtype)


def cross_entropy_type(logits: Type, label: Type) -> Type:
    """(… C) float and (…) integer -> (…)."""
    require_dtype("cross_entropy", logits.dtype, FLOATS)
    require_dtype("cross_entropy's labels", label.dtype, INTEGERS)
    if logits.shape[:-1] != label.shape:
        raise ShapeError(
            f"cross_entropy of logits {list(logits.shape)} and labels {list(label.shape)}",
            fix="labels have the shape of the logits without the last axis (the classes)",
        )
    return Type(label.shape, logits.dtype)


def expand_cross_entropy(logits: Node, label: Node) -> Node:
    """logsumexp(logits) − logits[label]."""
    last = len(logits.shape) - 1
    column = apply("reshape", label, shape=(*label.shape, 1))
    chosen = apply("take_along_axis", logits, column, axis=last)
    total = apply("logsumexp", logits, axes=(last,))
    return total - apply("reshape", chosen, shape=label.shape)


def numpy_cross_entropy(logits: np.ndarray, label: np.ndarray) -> np.ndarray:
    """The meaning of cross_entropy."""
    total = numpy_logsumexp(logits, axes=(logits.ndim - 1,))
    place = checked(label, logits.shape[-1], "cross_entropy's labels")[..., None]
    return np.asarray(total - np.take_along_axis(logits, place, -1)[..., 0])


def sample_cross_entropy(rng: np.random.Generator) -> Sequence[Case]:
    """A batch, and one example."""
    batch = Case((rng.uniform(-2, 2, (4, 3)), rng.integers(0, 3, (4,))))
    return [batch, Case((rng.uniform(-2, 2, (5,)), rng.integers(0, 5, ())))]


# ------------------------------------------------------------------------ named activations


def expand_silu(x: Node) -> Node:
    """x·sigmoid(x)."""
    return x * apply("sigmoid", x)


def numpy_silu(x: np.ndarray) -> np.ndarray:
    """The meaning of silu."""
    return np.asarray(x * numpy_sigmoid(x))


def silu_slope(y: Node, x: Node) -> Node:
    """s + x·s·(1 − s) with s = sigmoid(x)."""
    share = apply("sigmoid", x)
    return share * (1 + x * (1 - share))


silu_type = elementwise("silu", FLOATS)


def gelu_type(x: Type, *, approximate: str) -> Type:
    """The type of x, whichever formula is chosen."""
    return elementwise("gelu", FLOATS)(x)


def expand_gelu(x: Node, *, approximate: str) -> Node:
    """x·Φ(x), by erf or by its tanh approximation."""
    return 0.5 * x * (1 + _twice_phi(x, approximate))


def _twice_phi(x: Node, approximate: str) -> Node:
    """2·Φ(x) − 1."""
    if approximate == "none":
        return apply("erf", x * math.sqrt(0.5))
    return apply("tanh", math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))


def gelu_slope(y: Node, x: Node) -> Node:
    """Φ(x) + x·φ(x), or the same of the tanh approximation.

    One factor for the cotangent: a step that keeps it for the way back needs neither x nor Φ(x).
    """
    odd = _twice_phi(x, y.attrs["approximate"])
    if y.attrs["approximate"] == "none":
        density = (2 / math.sqrt(2 * math.pi)) * apply("exp", -0.5 * x * x)
    else:
        inner = math.sqrt(2 / math.pi) * (1 + 3 * (0.044715 * x * x))
        density = inner * (1 - odd * odd)
    return 0.5 * (1 + odd) + 0.5 * x * density


def numpy_gelu(x: np.ndarray, *, approximate: str) -> np.ndarray:
    """The meaning of gelu."""
    if approximate == "none":
        return np.asarray(0.5 * x * (1 + numpy_erf(x * math.sqrt(0.5))), dtype=x.dtype)
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
    return np.asarray(0.5 * x * (1 + np.tanh(inner)), dtype=x.dtype)


# ------------------------------------------------------------------------------ random bits


def random_bits_type(key: Type, *, shape: tuple[int, ...], word: int) -> Type:
    """A key of two uint32 words -> uint32 of any shape."""
    require_dtype("random_bits", key.dtype, (uint32,))
    if key.shape != (2,):
        raise ShapeError(
            f"a key of shape {list(key.shape)}", fix="make keys with kj.random.key(seed)"
        )
    return Type(tuple(shape), uint32)


def expand_random_bits(key: Node, *, shape: tuple[int, ...], word: int) -> Node:
    """Threefry of the key and of each element's place in row-major order."""
    size = math.prod(shape)

    def key_word(place: int) -> Node:
        one = apply("slice", key, starts=(place,), stops=(place + 1,), steps=(1,))
        return apply("broadcast", one, shape=(size,))

    place = apply("iota", shape=(size,), axis=0, dtype=int64)
    low = apply("cast", place, dtype=uint32)
    high = apply("cast", apply("right_shift", place, full(32, (size,), int64)), dtype=uint32)
    bits = apply("threefry", key_word(0), key_word(1), high, low, word=word)
    return apply("reshape", bits, shape=shape)


def numpy_random_bits(key: np.ndarray, *, shape: tuple[int, ...], word: int) -> np.ndarray:
    """The meaning of random_bits."""
    place = np.arange(math.prod(shape), dtype=np.int64)
    high, low = (place >> 32).astype(np.uint32), place.astype(np.uint32)
    k0, k1 = (np.broadcast_to(each, place.shape) for each in key)
    return numpy_threefry(k0, k1, high, low, word=word).reshape(shape)


# --------------------------------------------------------------------------------- the table


PLAIN = Leading()  # what counts no axes from the front


def composite(
    name: str,
    expand: Callable[..., Node],
    numpy: Callable[..., Any],
    type: TypeRule,
    formula: str,
    sample: Sampler,
    dtypes: Sequence[np.dtype] = FLOATS,
    batch: Batching = PLAIN,
    slope: Rule | None = None,
) -> Op:
    """One entry of the table below; `slope(y, x)` is dy/dx where it is shorter than by parts."""
    return Op(
        name,
        type=type,
        numpy=numpy,
        derivative=Partials((slope,)) if slope else ByExpansion(),
        lowering=ByExpansion(),
        batch=batch,
        xla=ByExpansion(),
        formula=formula,
        sample=sample,
        dtypes=tuple(dtypes),
        expand=expand,
        gate="as the parts of its formula",
    )


def over_axes(rng: np.random.Generator) -> Sequence[Case]:
    """The last axis, the first, and both."""
    return [Case((rng.uniform(-3, 3, (3, 5)),), {"axes": axes}) for axes in ((1,), (0,), (0, 1))]


def along_axis(rng: np.random.Generator) -> Sequence[Case]:
    """The last axis and the first."""
    return [Case((rng.uniform(-3, 3, (3, 5)),), {"axis": axis}) for axis in (1, 0)]


def with_attrs(sampler: Sampler, **attrs: Any) -> Sampler:
    """The same inputs with these attributes."""
    return lambda rng: [Case(case.inputs, attrs) for case in sampler(rng)]


def sample_gelu(rng: np.random.Generator) -> Sequence[Case]:
    """Both formulas."""
    x = rng.uniform(-3, 3, (3, 5))
    return [Case((x,), {"approximate": kind}) for kind in ("none", "tanh")]


def sample_key(rng: np.random.Generator) -> Sequence[Case]:
    """A key, a shape, both words."""
    key = rng.integers(0, 2**32, (2,), dtype=np.uint32)
    return [Case((key,), {"shape": (3, 5), "word": word}) for word in (0, 1)]


def numpy_arg(function: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's argmax or argmin as int64."""
    return lambda x, *, axis: np.asarray(function(x, axis=axis), dtype=np.int64)


logsumexp_type = reduced_type("logsumexp", FLOATS, empty=False)
softmax_type, log_softmax_type = kept_type("softmax"), kept_type("log_softmax")
FOUR = with_attrs(integers(0, 4, shape=(6,)), count=4, dtype=np.dtype(np.float32))

# fmt: off
register(
    (
        #         name             expansion             NumPy                type and formula
        composite("logsumexp",     expand_logsumexp,     numpy_logsumexp,     logsumexp_type,
                  "logsumexp({0}, axes={axes})",    over_axes, batch=moved("axes")),
        composite("softmax",       expand_softmax,       numpy_softmax,       softmax_type,
                  "softmax({0}, axes={axes})",      over_axes, batch=moved("axes")),
        composite("log_softmax",   expand_log_softmax,   numpy_log_softmax,   log_softmax_type,
                  "log_softmax({0}, axes={axes})",  over_axes, batch=moved("axes")),
        composite("argmax",        expand_arg("max"),    numpy_arg(np.argmax), arg_type("argmax"),
                  "argmax({0}, axis={axis})",       along_axis, NUMBERS, batch=moved("axis")),
        composite("argmin",        expand_arg("min"),    numpy_arg(np.argmin), arg_type("argmin"),
                  "argmin({0}, axis={axis})",       along_axis, NUMBERS, batch=moved("axis")),
        composite("one_hot",       expand_one_hot,       numpy_one_hot,       one_hot_type,
                  "one_hot({0}, {count})",          FOUR, INTEGERS),
        composite("cross_entropy", expand_cross_entropy, numpy_cross_entropy, cross_entropy_type,
                  "cross_entropy({0}, {1})",        sample_cross_entropy),
        composite("silu",          expand_silu,          numpy_silu,          silu_type,
                  "silu({0})",                      uniform(-3, 3), slope=silu_slope),
        composite("gelu",          expand_gelu,          numpy_gelu,          gelu_type,
                  "gelu({0})",                      sample_gelu, slope=gelu_slope),
        composite("random_bits",   expand_random_bits,   numpy_random_bits,   random_bits_type,
                  "random_bits({0}, {shape})",      sample_key, (uint32,), batch=ByExpansion()),
    ),
    "composite",
)
# fmt: on
