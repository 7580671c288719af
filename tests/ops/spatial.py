"""Calls of windows, convolutions and cumulative ops for the executors: odd sizes, every attribute.

Next: `sized.py`, which joins them with those of the other ops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kedja.ir.op import Case, Type
from kedja.ops.convolution import plain
from kedja.ops.resample import Sampling
from kedja.ops.strided_product import Depth, Row
from kedja.ops.window_max import window_max_type
from kedja.ops.windows import back_case

Cases = Iterator[Case]
Rng = np.random.Generator

# ---------------------------------------------------------------------------------- windows

Attrs = dict[str, Any]


def looks(kernel: tuple[int, ...], strides: Any = None, dilation: Any = None) -> Attrs:
    """The attributes of windows; ones unless given."""
    ones = (1,) * len(kernel)
    return {"kernel": kernel, "strides": strides or ones, "dilation": dilation or ones}


WINDOWS: tuple[tuple[tuple[int, ...], Attrs], ...] = (
    ((33,), looks((3,))),
    ((2, 100), looks((7,), (2,))),
    ((1, 17), looks((17,))),
    ((2, 3, 17), looks((2,), (2,))),
    ((3, 20), looks((3,), (5,))),
    ((2, 23), looks((4,), (3,), (2,))),
    ((2, 23), looks((4,), (2,), (4,))),
    ((0, 5), looks((2,))),
    ((2, 7, 33), looks((3, 3))),
    ((2, 8, 33), looks((2, 3), (2, 3), (1, 2))),
    ((1, 2, 5, 1), looks((5, 1))),
    ((1, 4, 5, 6), looks((2, 3, 2), (1, 2, 2))),
    ((3, 40), looks((30,))),
    ((2, 40), looks((12,), (3,), (2,))),
)


def seen(rng: Rng) -> Cases:
    """Windows that overlap, touch, leave gaps, cover all; one, two and three axes."""
    for shape, attrs in WINDOWS:
        yield Case((rng.standard_normal(shape),), attrs)


def unseen(rng: Rng) -> Cases:
    """What the same windows give."""
    for shape, attrs in WINDOWS:
        yield back_case(rng, shape, attrs)


def picked(rng: Rng) -> Cases:
    """Two values of one shape each."""
    for shape, attrs in WINDOWS:
        yield Case((rng.standard_normal(shape), rng.standard_normal(shape)), attrs)


def put(rng: Rng) -> Cases:
    """A value, and an element for each window."""
    for shape, attrs in WINDOWS:
        out = window_max_type(Type(shape, np.dtype(np.float64)), **attrs).shape
        yield Case((rng.standard_normal(shape), rng.standard_normal(out)), attrs)


# ------------------------------------------------------------------------------ convolution

CONVOLUTIONS: tuple[tuple[tuple[int, ...], tuple[int, ...], Attrs], ...] = (
    ((1, 1, 1), (1, 1, 1), plain(1)),
    ((2, 3, 33), (5, 3, 3), plain(1)),
    ((2, 5, 33), (3, 5, 3), plain(1, padding=((2, 0),))),
    ((3, 4, 20), (6, 2, 5), plain(1, strides=(3,), groups=2)),
    ((2, 3, 17), (6, 1, 3), plain(1, padding=((1, 1),), groups=3)),
    ((2, 4, 17), (4, 1, 3), plain(1, padding=((1, 1),), groups=4, dilation=(2,))),
    ((2, 3, 17), (4, 3, 17), plain(1)),
    ((3, 2, 40), (4, 2, 31), plain(1)),
    ((0, 3, 7), (2, 3, 2), plain(1)),
    ((2, 0, 7), (2, 0, 2), plain(1)),
    ((2, 3, 9), (4, 3, 1), plain(1, strides=(2,))),
    ((2, 3, 9), (4, 3, 1), plain(1)),
    ((2, 3, 9, 10), (4, 3, 3, 3), plain(2, padding=((1, 1), (1, 1)))),
    ((2, 4, 9, 10), (4, 2, 3, 2), plain(2, strides=(2, 2), padding=((1, 0), (0, 1)), groups=2)),
    ((1, 2, 13, 12), (3, 2, 3, 2), plain(2, dilation=(3, 2))),
    ((2, 3, 4, 5), (2, 3, 3, 3), plain(2, padding=((2, 1), (1, 2)), input_dilation=(2, 2))),
    (
        (2, 4, 4, 3),
        (4, 2, 2, 4),
        plain(2, padding=((1, 3), (3, 3)), input_dilation=(3, 1), groups=2),
    ),
    (
        (2, 3, 4, 5),
        (3, 1, 3, 3),
        plain(2, padding=((2, 2), (2, 2)), input_dilation=(2, 2), groups=3),
    ),
    ((1, 2, 5, 4), (2, 2, 2, 2), plain(2, strides=(2, 1), input_dilation=(2, 3), dilation=(2, 1))),
    ((1, 2, 9), (2, 2, 2), plain(1, padding=((-2, -1),))),
    ((1, 3, 9), (2, 3, 2), plain(1, padding=((3, -2),), input_dilation=(2,))),
    ((1, 2, 4, 5, 6), (3, 2, 2, 3, 2), plain(3, padding=((0, 1), (1, 1), (0, 0)))),
    ((1, 2, 3, 3, 3), (2, 1, 2, 2, 2), plain(3, input_dilation=(2, 1, 2), groups=2)),
)


def convolved(rng: Rng) -> Cases:
    """Every attribute, every form, no images, no channels."""
    for x, w, attrs in CONVOLUTIONS:
        yield Case((rng.standard_normal(x), rng.standard_normal(w)), attrs)


# images, height, width, channels in, out, kernel, stride
PLANES = (
    (1, 1, 1, 1, 1, 1, 1),
    (2, 5, 29, 1, 16, 3, 1),
    (3, 9, 9, 3, 17, 3, 2),
    (1, 4, 15, 16, 33, 2, 1),
    (2, 6, 6, 5, 70, 3, 1),
    (2, 3, 40, 2, 100, 1, 1),
    (5, 7, 7, 4, 8, 5, 1),
)


def read_by_steps(rng: Rng) -> Cases:
    """Convolutions of planes with the channels last, and the gradients of their weights."""
    for n, height, width, c, o, k, step in PLANES:
        p, q = (height - k) // step + 1, (width - k) // step + 1
        x, w, g = rng.standard_normal((n, height, width, c)), (k, k, c, o), (n, p, q, o)
        at = (height * width * c, width * c, c)
        pixels = (Row(n, at[0]), Row(p, step * at[1]), Row(q, step * at[2]))
        places = (Depth(k, at[1], k * c * o), Depth(k, at[2], c * o), Depth(c, 1, o))
        attrs = {"columns": o, "starts": (0, 0)}
        forward = attrs | {"rows": pixels, "depth": places, "pieces": 1}
        yield Case((x, rng.standard_normal(w)), forward)
        rows = (Row(k, at[1]), Row(k, at[2]), Row(c, 1))
        steps = zip((n, p, q), (p * q * o, q * o, o), strict=True)
        depth = tuple(
            Depth(extent, row.a, by) for (extent, by), row in zip(steps, pixels, strict=True)
        )
        backward = attrs | {"rows": rows, "depth": depth, "pieces": -(-n // 2)}
        yield Case((x, rng.standard_normal(g)), backward)


# ------------------------------------------------------------------------------- cumulative

ALONG = (
    *(((n,), 0) for n in (1, 2, 7, 17, 33)),
    *(((33, 17), axis) for axis in (0, 1)),
    *(((2, 3, 5), axis) for axis in (0, 1, 2)),
    *(((0, 3), 0), ((3, 0), 0), ((5, 1), 1)),
)


def accumulated(**attrs: Any) -> Callable[[Rng], Cases]:
    """Every axis of odd and empty shapes."""

    def make(rng: Rng) -> Cases:
        for turn, (shape, axis) in enumerate(ALONG):
            varied = {name: values[turn % len(values)] for name, values in attrs.items()}
            yield Case((rng.standard_normal(shape),), {"axis": axis, **varied})

    return make


# --------------------------------------------------------------------------------- resample

SAMPLINGS = (
    *(Sampling("nearest", old, new) for old, new in ((1, 1), (5, 10), (7, 17), (17, 7), (3, 1))),
    *(Sampling("nearest-exact", old, new) for old, new in ((5, 15), (7, 17), (17, 7))),
    *(Sampling("linear", old, new) for old, new in ((1, 5), (5, 10), (17, 7), (33, 1))),
    *(Sampling("linear", old, new, align=True) for old, new in ((1, 5), (5, 1), (7, 17))),
    *(Sampling("cubic", old, new) for old, new in ((1, 3), (7, 17), (17, 7))),
    *(Sampling("area", old, new) for old, new in ((17, 17), (17, 5), (12, 4), (3, 7))),
    *(Sampling(mode, 17, 7, antialias=True) for mode in ("linear", "cubic")),
    Sampling("linear", 7, 10, scale=1.5, dtype="float32"),
)


def resampled(rng: Rng) -> Cases:
    """Every mode, longer and shorter, along every axis, both ways."""
    for turn, how in enumerate(SAMPLINGS):
        for back in (False, True):
            axis, extent = turn % 3, how.new if back else how.old
            shape = tuple(extent if a == axis else n for a, n in enumerate((2, 3, 5)))
            attrs = {"axis": axis, "how": how, "back": back}
            yield Case((rng.standard_normal(shape),), attrs)
    yield Case((np.zeros((0, 5)),), {"axis": 1, "how": Sampling("linear", 5, 8), "back": False})


SPATIAL: dict[str, Callable[[Rng], Cases]] = {
    "windows": seen,
    "unwindows": unseen,
    "window_max": seen,
    "window_pick": picked,
    "window_put": put,
    "strided_product": read_by_steps,
    "convolution": convolved,
    "resample": resampled,
    "cumulative_sum": accumulated(reverse=(False, True)),
    "cumulative_prod": accumulated(),
    "cumulative_max": accumulated(),
    "cumulative_min": accumulated(),
    "cumulative_logsumexp": accumulated(),
}
