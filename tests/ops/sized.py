"""Calls of every op for the executors: odd sizes, empty axes, strange layouts, special values.

Elementwise ops get them from their samples; all others have an entry in `SIZED`, and the test
of this file fails where a new op has none. Next: `agreement.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from kedja.ground.dtypes import ALL, FLOATS, bool_, convert, float16, is_float, is_integer
from kedja.ground.limits import float_limits
from kedja.ir.op import TABLE, Case, Op, OwnProgram, Pointwise
from tests.fixtures import float32, float64
from tests.ops import bodies, walk
from tests.ops.attending import ATTENDING
from tests.ops.matrices import MATRICES, takes_specials
from tests.ops.spatial import SPATIAL

EXTENTS = (1, 2, 7, 17, 33, 100)
SHAPES = (*((n,) for n in EXTENTS), (), (0,), (3, 0), (1, 7), (7, 33), (17, 1), (2, 1, 17))
FEW = ((33,), (2, 1, 17))
POINTWISE_COMPOSITES = ("silu", "gelu")

Cases = Iterator[Case]
Rng = np.random.Generator


def calls(op: Op) -> Cases:
    """All calls of an op, in the first dtype that it claims fully and in the others briefly."""
    rng, samples = np.random.default_rng(11), walk.cases(op)
    if is_pointwise(op):
        yield from pointwise(op, rng)
        return
    if op.name in bodies.CALLS:
        yield from bodies.CALLS[op.name](rng)
        return
    if isinstance(op.lowering, OwnProgram):  # the graphs inside fix sizes and dtypes
        yield from samples
        return
    made = list(SIZED[op.name](rng))
    if not made[0].inputs:
        yield from made
        return
    dtypes = sorted(op.dtypes, key=lambda dtype: dtype != float32)
    for turn, dtype in enumerate(dtypes):
        for case in made if turn == 0 else made[turn :: len(dtypes)]:
            yield walk.recast(case, walk.alike(case, 0), dtype)
    yield from walk.variants(op)
    for dtype in (each for each in FLOATS if each in dtypes and takes_specials(op)):
        yield from walk.with_specials(walk.recast(samples[0], walk.alike(samples[0], 0), dtype))


def chosen(calls: Sequence[Case], most: int | None) -> list[Case]:
    """About `most` calls, in order: the last with unusual values of each dtype, others evenly."""
    if most is None or len(calls) <= most:
        return list(calls)
    unusual = {tuple(x.dtype for x in c.inputs): i for i, c in enumerate(calls) if is_unusual(c)}
    even = (round(i) for i in np.linspace(0, len(calls) - 1, most))
    return [calls[i] for i in sorted({*unusual.values(), *even})]


def is_unusual(case: Case) -> bool:
    """Whether an input is NaN, infinite or larger than samples are."""
    with np.errstate(all="ignore"):
        return any(bool((~(np.abs(x) < 100)).any()) for x in case.inputs if x.dtype.kind != "b")


def is_pointwise(op: Op) -> bool:
    """Whether each output element comes from the input elements at the same index."""
    return isinstance(op.lowering, Pointwise) or op.name in POINTWISE_COMPOSITES


# ---------------------------------------------------------------------------- elementwise


def pointwise(op: Op, rng: Rng) -> Cases:
    """The samples at every shape in one dtype and at few shapes in all, then special values."""
    samples = list(walk.variants(op))
    main = next((c for c in samples if c.inputs[-1].dtype == float32), samples[0])
    for shape in SHAPES:
        yield resized(main, shape, rng)
    for case in samples:
        for shape in FEW:
            yield resized(case, shape, rng)
        if op.name != "threefry" and not _unspecified(op, case):
            yield extremes(case)


def resized(case: Case, shape: tuple[int, ...], rng: Rng) -> Case:
    """The sample's elements, shuffled, as often as the shape needs them."""
    size = int(np.prod(shape))
    return Case(
        tuple(np.resize(rng.permutation(x.reshape(-1)), size).reshape(shape) for x in case.inputs),
        case.attrs,
    )


def _unspecified(op: Op, case: Case) -> bool:
    """A float beyond an integer's range has no specified value there."""
    return op.name == "cast" and is_float(case.inputs[0].dtype) and is_integer(case.attrs["dtype"])


def extremes(case: Case) -> Case:
    """Every pair of special values of the inputs' dtypes."""
    lists = [special_values(x.dtype) for x in case.inputs]
    grid = np.meshgrid(*lists, indexing="ij")
    return Case(tuple(each.reshape(-1) for each in grid), case.attrs)


# Saturation: e^89 overflows float32, e^-104 is 0 there; 710 and -746 in float64; tanh(20) is 1.
# Denormal numbers are left out, for compiled programs take them for 0; but not those of float16,
# which float32 holds as normal ones.
NARROW = (
    *(np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.0),
    *(20.0, -20.0, 88.0, -88.0, 89.0, -104.0, 1e10, -1e10, 16777217.0),
)
WIDE = (*NARROW, 709.0, 710.0, -746.0, 1e300)


def special_values(dtype: np.dtype) -> np.ndarray:
    """NaN, infinities, zeros, limits and values that saturate."""
    if dtype == bool_:
        return np.array([False, True])
    if is_float(dtype):
        facts = float_limits(dtype)
        ends = (facts.max, -facts.max, facts.smallest_normal, facts.eps)
        least = (2.0**-24, -3 * 2.0**-24) if dtype == float16 else ()
        numbers = WIDE if dtype == float64 else NARROW
        return convert(np.array([*numbers, *ends, *least]), dtype)
    info = np.iinfo(dtype)
    near = [n for n in (-33, -8, -7, -2, -1, 0, 1, 2, 3, 7, 8, 31, 32, 63, 64) if n >= info.min]
    return np.array([info.min, info.min + 1, *near, info.max - 1, info.max], dtype)


# ------------------------------------------------------------------------- all other ops


def normal(rng: Rng, *shapes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Arrays of normal numbers."""
    return tuple(rng.standard_normal(shape) for shape in shapes)


def over(
    *shapes_and_axes: tuple[tuple[int, ...], Any], name: str = "axes", **attrs: Any
) -> Callable:
    """One float array of each shape, with the axes beside it."""

    def make(rng: Rng) -> Cases:
        for shape, axes in shapes_and_axes:
            yield Case(normal(rng, shape), {name: axes, **attrs})

    return make


FOLDED = (
    *(((n,), (0,)) for n in (*EXTENTS, 1000)),
    *(((33, 17), (axis,)) for axis in (0, 1)),
    *(((2, 33, 7), axes) for axes in ((0,), (1,), (2,), (0, 2), (0, 1, 2))),
    *(((5, 1), (1,)), ((1, 5), (1,)), ((17,), ()), ((2, 3, 4, 5), (1, 3)), ((0, 3), (1,))),
)
FOLDED_EMPTY = (((0,), (0,)), ((3, 0), (1,)), ((3, 0), (0,)), ((3, 0), (0, 1)))
ARGS = ((7,), 0), ((33, 17), 0), ((33, 17), 1), ((2, 5, 1), 2), ((2, 100, 3), 1), ((0, 3), 1)


def booleans(rng: Rng) -> Cases:
    """Rare, common and absent truth over many shapes."""
    for shape, axes in (*FOLDED, *FOLDED_EMPTY):
        for chance in (0.0, 0.02, 0.98, 1.0):
            yield Case((rng.random(shape) < chance,), {"axes": axes})


def reshapes(rng: Rng) -> Cases:
    """Split, joined, kept and empty axes."""
    pairs = [((33, 17), (17, 33)), ((7,), (7, 1)), ((1, 1, 1), ()), ((2, 3, 5), (5, 6))]
    for old, new in (*pairs, ((0, 3), (5, 0)), ((100,), (4, 25)), ((), (1, 1))):
        yield Case(normal(rng, old), {"shape": new})


def transposes(rng: Rng) -> Cases:
    """Every permutation of three axes, and matrices of odd sizes."""
    for axes in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        yield Case(normal(rng, (3, 7, 5)), {"axes": axes})
    for shape in ((33, 17), (1, 100), (7, 0)):
        yield Case(normal(rng, shape), {"axes": (1, 0)})
    yield Case(normal(rng, (2, 1, 3, 5)), {"axes": (3, 1, 0, 2)})
    yield Case(normal(rng, ()), {"axes": ()})


def broadcasts(rng: Rng) -> Cases:
    """New axes, repeated axes, both, and nothing repeated."""
    pairs = [((), (3,)), ((1,), (33,)), ((7, 1), (7, 17)), ((1, 7), (17, 7)), ((1, 1), (2, 3, 5))]
    for old, new in (*pairs, ((7,), (7,)), ((1,), (0,)), ((2, 1, 3), (4, 2, 5, 3)), ((), (0, 2))):
        yield Case(normal(rng, old), {"shape": new})


def slices(rng: Rng) -> Cases:
    """Steps, empty ranges, single elements."""
    for starts, stops, steps in (
        ((0, 0), (33, 17), (1, 1)),
        ((1, 2), (33, 16), (2, 3)),
        ((32, 16), (33, 17), (1, 1)),
        ((5, 3), (5, 17), (1, 1)),
        ((0, 1), (32, 17), (7, 5)),
        ((0, 0), (33, 17), (1, 2)),
        ((3, 1), (30, 16), (2, 2)),
    ):
        attrs = {"starts": starts, "stops": stops, "steps": steps}
        yield Case(normal(rng, (33, 17)), attrs)
    yield Case(normal(rng, (0,)), {"starts": (0,), "stops": (0,), "steps": (1,)})


def pads(rng: Rng) -> Cases:
    """Both ends, gaps, a fill value, nothing to pad with, nothing to pad."""
    for shape, low, high, interior in (
        ((7,), (1,), (0,), (0,)),
        ((3, 5), (0, 2), (1, 3), (0, 0)),
        ((3, 5), (1, 0), (0, 2), (2, 1)),
        ((3, 5), (0, 0), (0, 0), (0, 0)),
        ((0,), (2,), (3,), (1,)),
        ((1, 1), (3, 0), (0, 3), (5, 5)),
    ):
        for value in (0, 2):
            attrs = {"low": low, "high": high, "interior": interior, "value": value}
            yield Case(normal(rng, shape), attrs)


def joined(rng: Rng) -> Cases:
    """One, two and many parts, some of them empty."""
    for shapes, axis in (
        (((7,),), 0),
        (((7,), (1,), (33,)), 0),
        (((3, 2), (3, 0), (3, 5)), 1),
        (((2, 3), (1, 3)), 0),
        (((0,), (0,)), 0),
        (((2, 1, 3),) * 7, 1),
    ):
        yield Case(normal(rng, *shapes), {"axis": axis})


def products(rng: Rng) -> Cases:
    """Odd, long, thin, empty and batched matrices."""
    for m, k, n in (
        *((1, 1, 1), (2, 7, 1), (1, 17, 33), (33, 17, 7), (100, 33, 17), (13, 100, 2)),
        *((17, 1, 17), (7, 2, 100), (64, 64, 64), (65, 129, 33), (7, 0, 3), (0, 3, 2), (3, 2, 0)),
    ):
        yield Case(normal(rng, (m, k), (k, n)))
    for batch in ((2,), (3, 2), (1,), (0,)):
        yield Case(normal(rng, (*batch, 7, 5), (*batch, 5, 3)))


TAKEN = (
    ((7,), (33,), 0),
    ((5, 17), (3,), 1),
    ((17, 5), (), 0),
    ((3, 5), (2, 7), 1),
    ((3,), (0,), 0),
)
ALONG = (((7,), (33,), 0), ((5, 17), (5, 3), 1), ((17, 5), (1, 5), 0), ((3, 5), (3, 0), 1))


def ordered(rng: Rng) -> Cases:
    """A value that waits for another of any shape."""
    for shape, other in (((33,), (2,)), ((7, 1), ()), ((0, 3), (5, 5)), ((), (0,))):
        yield Case(normal(rng, shape, other))


def taken(rng: Rng) -> Cases:
    """Scalars, vectors and matrices of indices into odd axes."""
    for shape, index, axis in TAKEN:
        yield Case(
            (rng.standard_normal(shape), rng.integers(0, shape[axis], index)), {"axis": axis}
        )


def along(rng: Rng) -> Cases:
    """As many and fewer indices than the axis has elements."""
    for shape, index, axis in ALONG:
        yield Case(
            (rng.standard_normal(shape), rng.integers(0, shape[axis], index)), {"axis": axis}
        )


def updated(sampler: Callable[[Rng], Cases], rule: str) -> Callable[[Rng], Cases]:
    """The same indices with updates of the shape that `rule` would take."""

    def make(rng: Rng) -> Cases:
        for case in sampler(rng):
            shape = walk.typed(TABLE[rule], case).shape
            yield Case((*case.inputs, rng.standard_normal(shape)), case.attrs)

    return make


def classes(rng: Rng) -> Cases:
    """Vectors, matrices and a scalar of classes, one class, and more classes than occur."""
    for shape, count in (((33,), 7), ((2, 5), 3), ((), 4), ((7,), 1), ((0,), 3)):
        attrs = {"count": count, "dtype": float32}
        yield Case((rng.integers(0, count, shape),), attrs)


def labelled(rng: Rng) -> Cases:
    """Batches of examples with odd numbers of classes."""
    for shape in ((7, 10), (33, 3), (5,), (2, 3, 17), (1, 1), (0, 4)):
        yield Case((rng.standard_normal(shape), rng.integers(0, shape[-1], shape[:-1])))


def keys(rng: Rng) -> Cases:
    """Keys and shapes of random bits."""
    for shape in ((), (1,), (33,), (7, 17), (0,), (2, 3, 5)):
        key = rng.integers(0, 2**32, (2,), dtype=np.uint32)
        yield Case((key,), {"shape": shape, "word": len(shape) % 2})


def counted(rng: Rng) -> Cases:
    """Every axis of odd shapes in every number type."""
    for shape in ((7,), (33, 17), (2, 3, 5), (0, 3), (1,)):
        for axis in range(len(shape)):
            for dtype in ALL[1:]:
                yield Case((), {"shape": shape, "axis": axis, "dtype": dtype})


def filled(rng: Rng) -> Cases:
    """Scalars of every dtype, also those that print badly."""
    for dtype in ALL:
        for value in special_values(dtype).tolist():
            yield Case((), {"value": value, "shape": (3,), "dtype": dtype})


def given(rng: Rng) -> Cases:
    """Constants of every dtype and of strange layouts."""
    for dtype in ALL:
        for layout in LAYOUTS.values():
            yield Case((), {"value": layout(special_values(dtype)[:9].reshape(-1, 1))})


SIZED: dict[str, Callable[[Rng], Cases]] = {
    "iota": counted,
    "full": filled,
    "constant": given,
    "sum": over(*FOLDED, *FOLDED_EMPTY),
    "prod": over(*FOLDED, *FOLDED_EMPTY),
    "max": over(*FOLDED),
    "min": over(*FOLDED),
    "any": booleans,
    "all": booleans,
    "reshape": reshapes,
    "transpose": transposes,
    "broadcast": broadcasts,
    "slice": slices,
    "flip": over(((7,), (0,)), ((33, 17), (1,)), ((2, 3, 5), (0, 2)), ((0, 3), (0,)), ((5,), ())),
    "pad": pads,
    "concatenate": joined,
    "matmul": products,
    "take": taken,
    "take_along_axis": along,
    **{
        f"scatter_{mode}": updated(taken, "take")
        for mode in ("add", "set", "max", "min", "multiply")
    },
    **{
        f"scatter_{mode}_along_axis": updated(along, "take_along_axis")
        for mode in ("add", "set", "max", "min", "multiply")
    },
    "logsumexp": over(*FOLDED),
    "softmax": over(*FOLDED),
    "log_softmax": over(*FOLDED),
    "standardize": over(*FOLDED, *FOLDED_EMPTY, epsilon=1e-5),
    "argmax": over(*ARGS, name="axis"),
    "argmin": over(*ARGS, name="axis"),
    "one_hot": classes,
    "cross_entropy": labelled,
    "random_bits": keys,
    **SPATIAL,
    "after": ordered,
    **MATRICES,
    **ATTENDING,
}

# --------------------------------------------------------------------------------- layouts


def transposed(x: np.ndarray) -> np.ndarray:
    """Column-major."""
    return np.array(x, order="F")


def strided(x: np.ndarray) -> np.ndarray:
    """Every second element of a larger array along each axis."""
    wide = np.zeros(tuple(2 * n for n in x.shape), x.dtype)
    view = wide[(..., *(slice(None, None, 2),) * x.ndim)]
    view[...] = x
    return view


def backwards(x: np.ndarray) -> np.ndarray:
    """Negative strides."""
    turned = (..., *(slice(None, None, -1),) * x.ndim)
    return x[turned].copy()[turned]


def misaligned(x: np.ndarray) -> np.ndarray:
    """One byte off, as in a file that is mapped into memory."""
    bytes_with_head = b"\0" + x.tobytes()
    return np.frombuffer(bytes_with_head, x.dtype, x.size, offset=1).reshape(x.shape)


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "contiguous": np.array,
    "transposed": transposed,
    "strided": strided,
    "backwards": backwards,
    "misaligned": misaligned,
}


def arranged(arrays: Sequence[np.ndarray], turn: int) -> list[np.ndarray]:
    """The arrays in a layout that changes from call to call and from input to input."""
    makers = list(LAYOUTS.values())
    return [makers[(turn + i) % len(makers)](x) for i, x in enumerate(arrays)]
