"""Index arithmetic: whatever a chain of movements is simplified to names the right elements.

Quotients and remainders are evaluated as machine code does, which cuts towards zero: an expression
that is below zero would name a wrong element. Not here: the loops around (`test_programs.py`).
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedja.compiler.indices import Affine, Quotient, Space, Variable, of
from kedja.front import functions  # noqa: F401  fills the table of ops
from kedja.interpret.reference import run
from kedja.ir.graph import Node, apply, variable
from kedja.ir.op import Reindex, Type

SHAPES = [(2, 9), (6, 3), (3, 6), (18,), (2, 3, 3), (9, 2), (1, 18), (3, 2, 3)]
SPACE = Space()
WHOLE = np.dtype(np.int64)


def at(e: Affine, point: dict[Variable, int]) -> int:
    """The value of an index expression at one point of the loops."""
    total = e.offset
    for atom, factor in e.terms:
        if isinstance(atom, Variable):
            total += factor * point[atom]
            continue
        inner = at(atom.of, point)
        cut = math.trunc(inner / atom.by)
        total += factor * (cut if isinstance(atom, Quotient) else inner - cut * atom.by)
    return total


def places(node: Node, base: Node) -> np.ndarray:
    """Which element of the base each element of a moved value is, by the index rules."""
    loops = tuple(Variable(f"i{n}", extent) for n, extent in enumerate(node.shape))
    index = tuple(map(of, loops))
    shape = node.shape
    while node is not base:
        assert isinstance(node.op.lowering, Reindex)
        ((_, index, _),) = node.op.lowering.index(SPACE, node, index)
        (node,) = node.inputs
    flat = SPACE.linearise(index, base.shape)
    points = itertools.product(*map(range, shape))
    found = [at(flat, dict(zip(loops, point, strict=True))) for point in points]
    return np.array(found, np.int64).reshape(shape)


def moved(x: Node, kind: str, choice: int) -> Node:
    """One movement; all of them keep some elements."""
    rank = len(x.shape)
    if kind == "reshape":
        fitting = [each for each in SHAPES if math.prod(each) == x.type.size]
        return apply("reshape", x, shape=fitting[choice % len(fitting)]) if fitting else x
    if kind == "flip":
        return apply("flip", x, axes=tuple(a for a in range(rank) if choice >> a & 1))
    if kind == "transpose":
        orders = list(itertools.permutations(range(rank)))
        return apply("transpose", x, axes=orders[choice % len(orders)])
    steps = tuple(1 + (choice >> axis) % 3 for axis in range(rank))
    starts = tuple(min(n - 1, choice % 2) for n in x.shape)
    return apply("slice", x, starts=starts, stops=x.shape, steps=steps)


KINDS = ("reshape", "flip", "transpose", "reshape", "flip", "slice")
CHAINS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 23)), max_size=7)


def check(shape: tuple[int, ...], chain: list[tuple[str, int]]) -> None:
    base = variable("x", Type(shape, WHOLE))
    node = base
    for kind, choice in chain:
        node = moved(node, kind, choice)
    numbers = np.arange(base.type.size).reshape(shape)
    (expected,) = run([node], {base: numbers})
    np.testing.assert_array_equal(places(node, base), expected)


@given(st.sampled_from(SHAPES), CHAINS)
def test_any_chain_of_movements_names_the_right_elements(shape, chain):
    check(shape, chain)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("other", range(len(SHAPES)))
@pytest.mark.parametrize("axes", range(1, 8))
def test_a_flip_of_every_reshape(shape, other, axes):
    check(shape, [("reshape", other), ("flip", axes), ("reshape", other + 1)])


def test_rows_that_are_split_and_stored_in_order_are_one_walk() -> None:
    flat = of(Variable("i", 4 * 6 * 5))
    row, column = SPACE.div(flat, 5), SPACE.mod(flat, 5)
    index = (SPACE.div(row, 6), SPACE.mod(row, 6), column)
    assert SPACE.linearise(index, (4, 6, 5)) == flat
