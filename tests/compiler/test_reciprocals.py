"""Shared divisors are inverted once, where that is as good as dividing by them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kedja as kj
from kedja.compiler.reciprocals import most, reciprocals
from kedja.front import functions  # noqa: F401  fills the table of ops
from kedja.ir.graph import Node, apply, full, topological, variable
from kedja.ir.op import Type

FLOAT = np.dtype(np.float32)
ROWS = variable("x", Type((6, 40), FLOAT))


def row(node: Node) -> Node:
    return apply("broadcast", apply("reshape", node, shape=(6, 1)), shape=(6, 40))


def largest_quotient(node: Node) -> int:
    """The size of the largest division that is left."""
    order = topological(reciprocals([node]))
    return max(each.type.size for each in order if each.op.name == "divide")


def test_roots_and_sums_of_bounded_numbers_are_inverted():
    root = apply("sqrt", apply("sum", apply("multiply", ROWS, ROWS), axes=(1,)))
    assert largest_quotient(apply("divide", ROWS, row(root))) == 6
    powers = apply("exp", apply("subtract", ROWS, row(apply("max", ROWS, axes=(1,)))))
    assert largest_quotient(apply("divide", powers, row(apply("sum", powers, axes=(1,))))) == 6


def test_others_are_divided_by():
    plain = apply("sum", ROWS, axes=(1,))  # could be 1e38, whose inverse is no normal number
    assert largest_quotient(apply("divide", ROWS, row(plain))) == 240
    above = apply("exp", apply("subtract", ROWS, row(apply("min", ROWS, axes=(1,)))))
    assert largest_quotient(apply("divide", ROWS, row(apply("sum", above, axes=(1,))))) == 240
    own = apply("sqrt", apply("abs", ROWS))  # one division for each element in any case
    assert largest_quotient(apply("divide", ROWS, own)) == 240


def test_bounds_follow_the_values():
    root = apply("sqrt", ROWS)
    assert most(root) == pytest.approx(1.8446743e19)
    assert most(apply("sum", apply("tanh", ROWS), axes=(0, 1))) == 240
    assert most(apply("add", apply("sin", ROWS), full(-3, (6, 40), FLOAT))) == 4
    assert most(apply("exp", ROWS)) == math.inf


@given(st.lists(st.sampled_from([0.0, 1.0, -2.5, 3e38, -3e38, 1e-30, np.inf, -np.inf, np.nan])))
@settings(deadline=None, max_examples=40)
def test_infinities_and_nan_are_those_of_the_quotient(values):
    x = np.resize(np.asarray([1.5, *values], np.float32), (3, 40))

    def normed(x: kj.Tensor) -> kj.Tensor:
        return x / kj.sqrt(kj.max(kj.abs(x), axis=1, keepdims=True))

    found = kj.jit(normed)(kj.tensor(x)).numpy()
    with np.errstate(all="ignore"):
        wanted = x / np.sqrt(np.abs(x).max(axis=1, keepdims=True))
    np.testing.assert_allclose(found, wanted, rtol=3e-7)


def test_one_more_rounding_is_all():
    x = np.random.default_rng(0).standard_normal((50, 333)).astype(np.float32)
    found = kj.jit(lambda x: kj.softmax(x, axis=-1))(kj.tensor(x)).numpy()
    powers = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    np.testing.assert_allclose(found, powers / powers.sum(axis=1, keepdims=True), rtol=8e-7)
