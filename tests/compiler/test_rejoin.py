"""Slices put together again: where they are the whole value, and where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from kedja.compiler.simplify import simplify
from kedja.front import functions  # noqa: F401  fills the table of ops
from kedja.interpret.reference import run
from kedja.ir.graph import Node, apply, variable
from kedja.ir.op import Type

FLOAT = np.dtype(np.float64)


def piece(x: Node, start: int, stop: int, to: int | None = None) -> Node:
    """Rows of x in a matrix of zeros, where they were unless `to` says where else."""
    rows, columns = x.shape
    cut = apply("slice", x, starts=(start, 0), stops=(stop, columns), steps=(1, 1))
    low = start if to is None else to
    high = rows - low - (stop - start)
    return apply("pad", cut, low=(low, 0), high=(high, 0), interior=(0, 0), value=0)


def matrix() -> Node:
    return variable("x", Type((6, 5), FLOAT))


def test_all_rows_are_the_matrix():
    x = matrix()
    whole = piece(x, 2, 5) + (piece(x, 5, 6) + piece(x, 0, 2))
    assert simplify([whole]) == [x]


@pytest.mark.parametrize(
    "pieces",
    [
        ((0, 2), (2, 5)),  # the last row is missing
        ((0, 3), (3, 6, 2)),  # the second half is moved
        ((0, 3), (0, 3)),  # one half twice
        ((0, 4), (2, 6)),  # two rows in both
        ((0, 3, 3), (3, 6, 0)),  # halves exchanged
    ],
)
def test_other_sums_stay(pieces):
    x = matrix()
    total = piece(x, *pieces[0]) + piece(x, *pieces[1])
    (made,) = simplify([total])
    assert made is not x
    value = np.random.default_rng(1).standard_normal(x.shape)
    np.testing.assert_array_equal(run([made], {x: value}), run([total], {x: value}))
