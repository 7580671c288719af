"""Smaller cases: products of matrices, passes over arrays, a descent on two variables.

Not here: whole networks (`training.py`). Next: `table.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from benchmarks.cases.case import Array, Arrays, Case

FORMS = {"AB": "A B", "AtB": "Aᵀ B", "ABt": "A Bᵀ"}
BFLOAT16_TOLERANCE = 2**-8  # a result is rounded to 8 bits, by some sides after other sums


def product(name: str, m: int, k: int, n: int, layout: str = "AB", dtype: str = "float32") -> Case:
    """C (m, n) = A B of inner length k; in layout "AtB" A is stored (k, m), in "ABt" B (n, k)."""
    a_shape = (k, m) if layout == "AtB" else (m, k)
    b_shape = (n, k) if layout == "ABt" else (k, n)

    def arrays() -> Arrays:
        random = np.random.default_rng(3)
        pair = (random.standard_normal(shape, np.float32) for shape in (a_shape, b_shape))
        return dict(zip("ab", pair, strict=True))

    what = f"{FORMS[layout]}, {m}×{k}×{n}, {dtype}"
    options = {"layout": layout, "dtype": dtype}
    tolerance = 1e-5 if dtype == "float32" else BFLOAT16_TOLERANCE
    flops = 2 * m * k * n
    return Case(name, "product", what, options, arrays, flops, tolerance, goal=0.95)


# ------------------------------------------------------------------------------------ passes


class Pass(NamedTuple):
    """A pass over arrays: rows of this width, and how many numbers it moves for each."""

    width: int
    moves: int  # numbers read and written for each element
    words: str


PASSES: Mapping[str, Pass] = {
    "chain": Pass(1, 3, "silu(x·w + 1/2) + x"),
    "softmax": Pass(1000, 2, "softmax over rows of 1000"),
    "layer_norm": Pass(768, 2, "layer norm over rows of 768"),
    "sum": Pass(1, 1, "the sum of all numbers"),
}


def one_pass(name: str, operation: str, size: int, **more: Any) -> Case:
    """An operation on about `size` numbers, in whole rows of the operation's width."""
    kind = PASSES[operation]
    shape = (round(size / kind.width), kind.width) if kind.width > 1 else (size,)
    elements = shape[0] * kind.width

    def arrays() -> Arrays:
        return pass_arrays(operation, shape)

    what = f"{kind.words}, {elements:,} numbers"
    moved = 4 * kind.moves * elements
    return Case(name, "pass", what, {"operation": operation}, arrays, moved=moved, **more)


def pass_arrays(operation: str, shape: tuple[int, ...]) -> Arrays:
    """What the operation works on."""
    random = np.random.default_rng(4)
    x = random.standard_normal(shape, np.float32)
    if operation == "chain":
        return {"x": x, "w": random.standard_normal(shape, np.float32)}
    if operation == "layer_norm":
        scale: Array = 1 + random.random(shape[-1], np.float32)
        return {"x": x, "weight": scale, "bias": random.random(shape[-1], np.float32)}
    return {"x": x}


# ----------------------------------------------------------------------------------- descent


def descent(name: str, **more: Any) -> Case:
    """Gradient descent on f(a, b) = sin(0.8 a) sin(0.6 b) e^(0.1 a) from (2, 2)."""
    what = "sin(0.8 a) sin(0.6 b) e^(0.1 a), gradient descent, two variables"
    return Case(name, "descent", what, {"start": [2.0, 2.0], "rate": 0.1}, dict, **more)
