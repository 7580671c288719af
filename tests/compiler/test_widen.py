"""Half dtypes are computed in float32 and rounded once for each op: in the graph and in results.

Not here: the conversions themselves (`test_llvm_half.py`), every op in every dtype
(`tests/ops/test_executors.py`).
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import kedja as kj
from kedja.compiler.fingerprint import fingerprint
from kedja.compiler.pipeline import compile
from kedja.compiler.simplify import simplify
from kedja.compiler.split import split
from kedja.compiler.widen import widen
from kedja.ground.dtypes import ALL, HALVES, bfloat16, convert, float16, float32, is_half
from kedja.interpret.reference import run
from kedja.ir.graph import Node, apply, full, topological, variable
from kedja.ir.op import Type
from kedja.ir.verify import verify
from tests.fixtures import TIERS

in_each = pytest.mark.parametrize("dtype", HALVES, ids=lambda dtype: dtype.name)
over_tiers = pytest.mark.parametrize("tier", TIERS)


def inputs_of(dtype: np.dtype, *shapes: tuple[int, ...]) -> list[Node]:
    return [variable(f"x{i}", Type(shape, dtype)) for i, shape in enumerate(shapes)]


def names(outputs: list[Node]) -> list[str]:
    """The ops in order, with the dtype."""
    return [f"{node.op.name} {node.dtype.name}" for node in topological(outputs)]


def both(node: Node, inputs: list[Node], *arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The value by the interpreter and by a compiled program."""
    (expected,) = run([node], dict(zip(inputs, arrays, strict=True)))
    (found,) = compile([node], inputs)(*arrays)
    return expected, found


# -------------------------------------------------------------------------------- the graphs


def test_a_sum_becomes_casts_around_float32():
    a, b = inputs_of(bfloat16, (3,), (3,))
    assert names(widen([a + b])) == [
        *("input bfloat16", "cast float32", "input bfloat16", "cast float32"),
        *("add float32", "cast bfloat16"),
    ]


def test_a_value_is_widened_once_for_all_its_users():
    (a,) = inputs_of(float16, (3,))
    graph = widen([a * a + apply("exp", a), apply("less", a, apply("relu", a))])
    of_input = [node for node in topological(graph) if node.inputs == (a,)]
    assert [node.op.name for node in of_input] == ["cast"]


def test_the_rounding_between_two_ops_is_kept():
    a, b = inputs_of(bfloat16, (3,), (3,))
    (graph,) = widen(simplify([(a + b) - a]))
    rounded = [n for n in topological([graph]) if n.op.name == "cast" and is_half(n.dtype)]
    assert len(rounded) == 2


def test_a_constant_keeps_its_own_rounding():
    (a,) = inputs_of(bfloat16, (3,))
    (graph,) = widen([a * 0.1])
    (scalar,) = [n for n in topological([graph]) if n.op.name == "full"]
    assert scalar.dtype == float32
    assert scalar.attrs["value"] == float(bfloat16.type(0.1))


def test_what_only_moves_is_left_alone():
    a, b = inputs_of(float16, (3, 2), (3, 2))
    graph = [
        apply("transpose", apply("concatenate", a, b, axis=0), axes=(1, 0)),
        apply("where", full(True, (3, 2)), a, b),
        apply("cast", a, dtype=bfloat16),
        apply("pad", a, low=(1, 0), high=(0, 0), interior=(0, 0), value=2),
    ]
    assert widen(graph) == graph
    wide = inputs_of(float32, (3, 2))
    assert widen([wide[0] + wide[0]]) != [wide[0]]


@in_each
def test_a_composite_is_float32_as_a_whole(dtype):
    (a,) = inputs_of(dtype, (4, 5))
    (graph,) = widen(simplify([apply("softmax", a, axes=(1,))]))
    halves = [node for node in topological([graph]) if is_half(node.dtype)]
    assert [node.op.name for node in halves] == ["input", "cast"]


@in_each
def test_the_passes_leave_no_arithmetic_on_halves(dtype):
    x, w = inputs_of(dtype, (70_000, 3), (3, 4))
    hidden = apply("gelu", apply("matmul", x, w), approximate="none")
    place = variable("i", Type((7,), np.dtype(np.int32)))
    taken = apply("take", hidden, place, axis=0)
    outputs = [
        apply("sum", hidden, axes=(0,)),
        apply("argmax", hidden, axis=1),
        apply("scatter_add", hidden, place, taken, axis=0),
        apply("log_softmax", hidden, axes=(1,)),
    ]
    verify(split(widen(simplify(outputs))), stage="widened")


# -------------------------------------------------------------------------------- the numbers


@over_tiers
@in_each
def test_each_op_rounds_once(dtype, tier):
    """(1 + ε/2) + ε/2 is 1 where each sum is rounded; 1 + ε were it not."""
    small = float(np.ldexp(1.0, -11 if dtype == float16 else -8))

    @kj.jit
    def twice(x):
        return (x + small) + small

    with kj.scope(tier=tier):
        assert twice(kj.tensor([1.0], dtype=dtype)).tolist() == [1.0]


@over_tiers
@in_each
@pytest.mark.parametrize("count", [300, 5000, 100_000])
def test_sums_do_not_stall(dtype, tier, count):
    """In the half dtype itself a sum of ones would end at 256 or 2048, one in chunks elsewhere."""
    with kj.scope(tier=tier):
        found = kj.sum(kj.tensor(np.full(count, 0.5), dtype=dtype))
    assert found.item() == float(convert(np.float64([count / 2]), dtype)[0])


@over_tiers
@in_each
def test_a_long_sum_of_many_signs_is_rounded_once(dtype, tier):
    x = np.random.default_rng(0).integers(-8, 9, 200_000).astype(np.float64)
    with kj.scope(tier=tier):
        found = kj.sum(kj.tensor(x, dtype=dtype))
    assert found.item() == float(convert(np.array([x.sum()]), dtype)[0])


@over_tiers
@in_each
def test_products_and_scatters_add_in_float32(dtype, tier):
    ones = kj.ones((300, 300), dtype=dtype)
    zeros = kj.zeros(2, dtype=dtype)
    with kj.scope(tier=tier):
        assert kj.max(ones @ ones).item() == 300
        places = np.ones(300, np.int64)
        assert kj.scatter_add(zeros, places, ones[0]).tolist() == [0, 300]


@over_tiers
def test_the_mean_of_large_halves_does_not_overflow(tier):
    with kj.scope(tier=tier):
        found = kj.mean(kj.full((5000,), 60_000, dtype="float16"))
    assert (found.item(), found.dtype) == (60_000, float16)


@over_tiers
def test_the_spread_of_large_halves_does_not_overflow(tier):
    with kj.scope(tier=tier):
        found = kj.std(kj.tensor([-300.0, 300.0] * 50, dtype="float16"))
        assert np.isinf(kj.var(kj.tensor([-300.0, 300.0] * 50, dtype="float16")).item())
    assert (found.item(), found.dtype) == (300, float16)


@in_each
def test_compiled_arithmetic_has_the_interpreters_bits(dtype):
    rng = np.random.default_rng(1)
    arrays = [(rng.standard_normal(1000) * 10.0).astype(dtype) for _ in "abc"]
    inputs = inputs_of(dtype, *((1000,),) * 3)
    a, b, c = inputs
    node = (a * b + c) / (apply("abs", c) + 0.3) - apply("maximum", a, b) * 1.1
    expected, found = both(node, inputs, *arrays)
    np.testing.assert_array_equal(found.view(np.uint16), expected.view(np.uint16))


@in_each
def test_two_products_and_what_follows_them(dtype):
    """A product whose rounded sums go on into another: the epilogue must not skip the rounding."""
    rng = np.random.default_rng(2)
    arrays = [rng.integers(-3, 4, shape).astype(dtype) for shape in ((33, 20), (20, 17), (17, 9))]
    x, v, w = inputs_of(dtype, (33, 20), (20, 17), (17, 9))
    node = apply("matmul", apply("relu", apply("matmul", x, v) * 1.3), w) + 0.7
    expected, found = both(node, [x, v, w], *arrays)
    np.testing.assert_array_equal(found.view(np.uint16), expected.view(np.uint16))


def test_whole_numbers_wrap_in_simplified_sums():
    for dtype in ("int8", "uint8", "int16", "uint64"):
        node = apply("sum", full(100, (300,), np.dtype(dtype)), axes=(0,))
        expected, found = both(node, [])
        assert found == expected == np.asarray(30_000).astype(dtype)


# ---------------------------------------------------------------------------- around programs


def test_programs_of_different_dtypes_are_different_programs():
    keys = set()
    for dtype in ALL:
        x = variable("x", Type((5,), dtype))
        keys.add(fingerprint([apply("flip", x, axes=(0,))], [x], [], {}, None, "t"))
    for source, target in itertools.product(HALVES, HALVES):
        x = variable("x", Type((5,), source))
        keys.add(fingerprint([apply("cast", x, dtype=target)], [x], [], {}, None, "t"))
    assert len(keys) == len(ALL) + 4


def test_kernels_of_both_half_dtypes_live_in_one_program():
    a, b = (variable("x", Type((40,), dtype)) for dtype in HALVES)
    arrays = [np.linspace(-3, 3, 40).astype(dtype) for dtype in HALVES]
    outputs = [x * x for x in (a, b)]
    expected = run(outputs, dict(zip((a, b), arrays, strict=True)))
    for found, right in zip(compile(outputs, [a, b])(*arrays), expected, strict=True):
        np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize("dtype", [float16, bfloat16, float32, np.dtype(np.float64)], ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_watched_number_of_any_float_dtype_ends_the_run(dtype, bad):
    x = variable("x", Type((), dtype))
    count = variable("n", Type((), np.dtype(np.int32)))
    loss = apply("where", apply("less", count, full(3, (), count.dtype)), x, full(bad, (), dtype))
    program = compile([loss, count + 1], [x, count], carry={0: 0, 1: 1}, watch=0)
    largest = np.finfo(dtype).max if dtype != bfloat16 else dtype.type(3.3e38)
    state = [np.array(largest, dtype), np.array(0, np.int32)]
    steps, status, _ = program.advance(state, [], 10)
    assert (steps, status, int(state[1])) == (3, "nonfinite", 3)


@in_each
def test_the_disk_cache_gives_the_same_program(dtype):
    x = np.linspace(-2, 2, 50).astype(dtype)

    def value() -> np.ndarray:
        node = variable("x", Type((50,), dtype))
        return compile([apply("tanh", node)], [node])(x)[0]

    first = value()
    np.testing.assert_array_equal(first, value())
