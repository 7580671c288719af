"""Every dtype cast to every other: compiled code gives what NumPy gives where that is specified.

Specified are: floats to integers within their range (the fraction is cut off), integers to others
(they wrap), anything to bool (whether it is not 0), anything to a float (rounded once, to the
nearest). Floats beyond an integer's range give an unspecified integer.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kedja.ground.dtypes import (
    ALL,
    FLOATS,
    INTEGERS,
    bool_,
    convert,
    float64,
    int64,
    is_float,
    is_half,
    is_integer,
    uint64,
)
from kedja.ground.limits import float_limits
from kedja.interpret.reference import run
from kedja.ir.graph import apply
from tests.fixtures import variables
from tests.ops import sized
from tests.ops.executors import executors

PAIRS = list(itertools.product(ALL, ALL))
over_executors = pytest.mark.parametrize("execute", executors())


def inside(source: np.dtype, target: np.dtype) -> np.ndarray:
    """Numbers of a float dtype that an integer dtype holds, up to both ends."""
    info, rng = np.iinfo(target), np.random.default_rng(0)
    low, high = float(info.min), float(info.max)
    spread = rng.uniform(-1, 1, 200) * 2.0 ** rng.uniform(-3, 64, 200)
    ends = [low, low + 0.75, -0.9, -0.0, 0.9, 1.5, 2.5, high / 2 + 1, high - 0.25, high / 1.01]
    found = convert(np.array([*ends, *spread]), source)
    wide = found.astype(np.float64)
    above = (wide >= low) | (wide > low - 1)
    return found[above & (wide < high + (0 if high > 2**53 else 1))]


def numbers(source: np.dtype, target: np.dtype) -> np.ndarray:
    """Numbers whose cast is specified."""
    if is_float(source) and is_integer(target):
        return inside(source, target)
    special = sized.special_values(source)
    if not is_integer(source):
        return special
    rng = np.random.default_rng(1)
    info = np.iinfo(source)
    return np.concatenate([special, rng.integers(info.min, info.max, 200, source, endpoint=True)])


@over_executors
def test_every_pair(execute):
    arrays = [numbers(*pair) for pair in PAIRS]
    inputs = variables(arrays)
    nodes = [apply("cast", x, dtype=to) for x, (_, to) in zip(inputs, PAIRS, strict=True)]
    expected = run(nodes, dict(zip(inputs, arrays, strict=True)))
    found = execute(nodes, inputs, arrays)
    for (source, to), right, mine in zip(PAIRS, expected, found, strict=True):
        assert (mine.dtype, mine.shape) == (to, right.shape)
        if is_half(to):  # NumPy does not know the NaN of bfloat16
            mine, right = (convert(each, float64) for each in (mine, right))
        np.testing.assert_array_equal(mine, right, err_msg=f"{source.name} to {to.name}")


def test_the_interpreter_rounds_to_the_nearest():
    """The oracle itself: no neighbour is nearer, seen from exact numbers."""
    for to in FLOATS:
        x = np.random.default_rng(2).integers(-(2**53), 2**53, 500) >> np.arange(500) % 45
        y = convert(x.astype(np.float64), to)
        finite = np.isfinite(y.astype(np.float64))
        apart = np.abs(y.astype(np.float64) - x)[finite]
        assert (apart <= float_limits(to).eps / 2 * np.abs(x)[finite]).all()


@over_executors
def test_whole_numbers_beyond_signed_ones_keep_their_value(execute):
    """The upper half of uint64 to and from floats."""
    x = np.array([2**63, 2**63 + 2**40, 2**64 - 2**40, 2**64 - 1, 2**63 - 1, 3], np.uint64)
    y = x[:3].astype(np.float64)
    first, second = variables([x, y])
    nodes = [apply("cast", first, dtype=float64), apply("cast", second, dtype=uint64)]
    back = execute(nodes, [first, second], [x, y])
    np.testing.assert_array_equal(back[0], x.astype(np.float64))
    np.testing.assert_array_equal(back[1], x[:3])


@over_executors
def test_out_of_range_is_unspecified_but_harmless(execute):
    """Beyond the range, at NaN and at infinity some integer comes out, and the rest is right."""
    arrays = [convert(np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 7.5]), d) for d in FLOATS]
    inputs = variables(arrays)
    nodes = [apply("cast", x, dtype=to) for x in inputs for to in INTEGERS]
    for found in execute(nodes, inputs, arrays):
        assert found[-1] == 7


def test_gradients_pass_between_floats_only():
    for source, to in PAIRS:
        x = variables([np.ones(3, source)])[0]
        node = apply("cast", x, dtype=to)
        (back,) = node.op.derivative.transposes
        g = back(node, node)
        assert (g is not None) == is_float(source)
        assert g is None or g.dtype == source


def test_the_cases_reach_the_ends():
    assert inside(float64, int64).astype(np.int64).min() == -(2**63)
    for source, to in itertools.product(FLOATS, INTEGERS):
        found = inside(source, to).astype(np.float64)
        assert found.size > 20
        largest = np.abs(found).max()
        assert largest > min(np.iinfo(to).max, float_limits(source).max) / 4, (source, to)
    assert any(is_half(source) and to == bool_ for source, to in PAIRS)
