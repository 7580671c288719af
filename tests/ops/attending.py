"""Calls of attention and of its gradient: odd lengths and widths, one place, none, long rows.

Next: `sized.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kedja.ir.op import Case
from kedja.ops.attention import NUMPY, PARTS, is_joint

Cases = Iterator[Case]
Rng = np.random.Generator

SHAPES = (  # leading axes, queries, keys, width of queries and keys, width of values
    ((2, 3), 17, 17, 8, 8),
    ((1,), 1, 1, 16, 16),
    ((), 33, 33, 32, 32),
    ((2, 1, 2), 5, 9, 3, 7),
    ((3,), 9, 5, 1, 1),
    ((1, 2), 64, 64, 16, 16),
    ((2,), 70, 70, 80, 80),
    ((), 7, 100, 17, 33),
    ((), 100, 7, 64, 24),
    ((0,), 4, 4, 2, 2),
    ((2,), 0, 3, 2, 2),
    ((), 300, 300, 4, 4),
)


def attended(rng: Rng) -> Cases:
    """Queries, keys and values, each causal and not."""
    for lead, rows, keys, width, out in SHAPES:
        shapes = ((rows, width), (keys, width), (keys, out))
        inputs = tuple(rng.standard_normal((*lead, *shape)) for shape in shapes)
        for causal in (True, False):
            yield Case(inputs, {"scale": float(width) ** -0.5, "causal": causal})


def by_rows(rng: Rng) -> Cases:
    """Those with heads."""
    return (case for case in attended(rng) if case.inputs[0].ndim > 2)


def summed(rng: Rng) -> Cases:
    """Queries and keys alone."""
    for case in attended(rng):
        yield Case(case.inputs[:2], case.attrs)


def returned(rng: Rng) -> Cases:
    """With the output, the sums and a cotangent, towards each of the three."""
    for case in attended(rng):
        y = NUMPY.attention(*case.inputs, **case.attrs)
        total = NUMPY.logsumexp(*case.inputs[:2], **case.attrs)
        given = (*case.inputs, y, total, rng.standard_normal(y.shape))
        for of in PARTS:
            yield Case(given, {**case.attrs, "of": of})


def joint(rng: Rng) -> Cases:
    """All three gradients of heads of one shape."""
    for case in returned(rng):
        if is_joint(case):
            yield Case(case.inputs, {key: case.attrs[key] for key in ("scale", "causal")})


ATTENDING = {
    "attention": attended,
    "attention_by_rows": by_rows,
    "attention_logsumexp": summed,
    "attention_gradient": returned,
    "attention_joint_gradient": joint,
}
