"""Batching as a walk over graphs: what is touched, what stays, what is remembered.

Not here: the facets of single ops (`tests/ops/test_ops_batch.py`), and `vmap` (`tests/front`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedja.autodiff.batch import batch, front, graph, values
from kedja.front import evaluate
from kedja.ground.errors import VerificationError
from kedja.interpret.reference import run
from kedja.ir.graph import Graph, Node, apply, constant, full, make, scope, topological, variable
from kedja.ir.op import TABLE, BatchRule, Bundle, Op, Type
from kedja.ir.verify import verify
from tests.compiler.graph_steps import KINDS
from tests.compiler.random_graphs import graph_of, recipes
from tests.fixtures import float32, float64, needs_compiler, total

SIZE = 4
DTYPES = (float64, np.dtype(np.int64), np.dtype(np.bool_), np.dtype(np.uint32))


def example_and_all(shape: tuple[int, ...], dtype: np.dtype = float64) -> tuple[Node, Node]:
    """A variable of one example, and that of all."""
    return variable("x", Type(shape, dtype)), variable("xs", Type((SIZE, *shape), dtype))


def names(outputs: list[Node]) -> list[str]:
    return [node.op.name for node in topological(outputs)]


def test_what_does_not_depend_on_the_leaves_stays_itself():
    x, xs = example_and_all((3,))
    w = variable("w", Type((3,), float64))
    fixed = apply("exp", w)
    alone, both = values([fixed, x * fixed], {x: xs}, SIZE)
    assert alone.node is fixed
    assert not alone.leading
    assert both.leading
    assert fixed in topological([both.node])
    assert names([both.node]).count("exp") == 1


def test_an_output_that_no_example_changes_is_repeated_on_demand():
    x, xs = example_and_all((3,))
    w = constant(np.arange(3.0))
    (found,) = batch([w], {x: xs}, SIZE)
    np.testing.assert_array_equal(run([found])[0], np.tile(np.arange(3.0), (SIZE, 1)))
    (found,) = batch([full(2, (3,), float64)], {x: xs}, SIZE)
    assert found.op.name == "full"
    assert found.shape == (SIZE, 3)


def test_a_leaf_may_itself_be_an_output():
    x, xs = example_and_all((3,))
    assert batch([x, x], {x: xs}, SIZE) == [xs, xs]


def test_deep_graphs_are_walked_without_recursion():
    x, xs = example_and_all(())
    y = x
    for _ in range(20_000):
        y = y + 1.0
    (found,) = batch([y], {x: xs}, SIZE)
    assert found.shape == (SIZE,)
    assert len(topological([found])) == 40_001


def test_shared_nodes_are_batched_once():
    x, xs = example_and_all(())
    y = x
    for _ in range(200):
        y = y + y  # 2²⁰⁰ paths
    (found,) = batch([y], {x: xs}, SIZE)
    assert len(topological([found])) == 201


def test_lines_and_layers_are_kept():
    x, xs = example_and_all((2, 3))
    w = variable("w", Type((3, 5), float64))
    with scope("encoder"):
        y = apply("matmul", x, w)
    (found,) = batch([y], {x: xs}, SIZE)
    new = [node for node in topological([found]) if node.op.name in ("matmul", "reshape")]
    assert len(new) == 3
    for node in new:
        assert node.scope == "encoder"
        assert node.source == y.source
        assert "test_batch.py" in str(node.source)


def test_batched_graphs_are_legal():
    x, xs = example_and_all((2, 3))
    w = variable("w", Type((3, 5), float64))
    y = apply("softmax", apply("matmul", x, w), axes=(1,))
    verify(batch([y], {x: xs}, SIZE))


def test_composites_keep_their_names():
    x, xs = example_and_all((2, 3))
    label = variable("label", Type((2,), np.dtype(np.int64)))
    y = apply("cross_entropy", apply("log_softmax", x, axes=(1,)), label)
    assert {"cross_entropy", "log_softmax"} <= set(names(batch([y], {x: xs}, SIZE)))


def test_a_shared_matrix_takes_the_rows_of_all_examples_in_one_product():
    x, xs = example_and_all((2, 3))
    w = variable("w", Type((3, 5), float64))
    (found,) = batch([apply("matmul", x, w)], {x: xs}, SIZE)
    (product,) = (node for node in topological([found]) if node.op.name == "matmul")
    assert [each.shape for each in product.inputs] == [(2 * SIZE, 3), (3, 5)]
    column, columns = example_and_all((3, 1))
    turned = apply("transpose", w, axes=(1, 0))
    (found,) = batch([apply("matmul", turned, column)], {column: columns}, SIZE)
    (product,) = (node for node in topological([found]) if node.op.name == "matmul")
    assert [each.shape for each in product.inputs] == [(SIZE, 3), (3, 5)]
    assert "broadcast" not in names([found])


def test_half_composites_round_once_when_batched():
    kind = np.dtype(np.float16)
    x, xs = example_and_all((7,), kind)
    y = apply("gelu", x, approximate="none")
    (found,) = batch([y], {x: xs}, SIZE)
    rows = np.linspace(-3, 3, 7 * SIZE, dtype=kind).reshape(SIZE, 7)
    expected = np.stack([run([y], {x: row})[0] for row in rows])
    np.testing.assert_array_equal(run([found], {xs: rows})[0], expected)


# ---------------------------------------------------------------------- several outputs, graphs


def both_signs() -> Op:
    """x -> (x, −x), with a rule that gives a list."""
    return replace(
        TABLE["copy"],
        name="both_signs",
        type=lambda x: Bundle((x, x)),
        numpy=lambda x: (x, -x),
        batch=BatchRule(lambda b, node, inputs, batched, size: [inputs[0], -inputs[0]]),
    )


def test_a_rule_may_give_the_parts_one_by_one():
    x, xs = example_and_all((3,))
    node = make(both_signs(), [x], {})
    outputs = [apply("part", node, place=place) for place in (0, 1)]
    plus, minus = batch(outputs, {x: xs}, SIZE)
    assert plus is xs
    assert minus.op.name == "negative"


def test_the_parts_that_a_rule_gives_are_checked():
    x, xs = example_and_all((3,))
    wrong = replace(both_signs(), batch=BatchRule(lambda b, node, inputs, batched, size: inputs))
    node = make(wrong, [x], {})
    with pytest.raises(VerificationError, match="both_signs batched by 4"):
        batch([apply("part", node, place=0)], {x: xs}, SIZE)


def test_closed_graphs_have_all_outputs_batched():
    x, w = (variable(name, Type((3,), float64)) for name in "xw")
    closed = Graph((x, w), (x * w, w + 1.0))
    wide = graph(closed, [True, False], SIZE)
    assert wide.input_types == (Type((SIZE, 3), float64), w.type)
    assert wide.output_types == (Type((SIZE, 3), float64),) * 2
    assert [node.attrs["name"] for node in wide.inputs] == ["x", "w"]
    xs, ws = np.arange(12.0).reshape(SIZE, 3), np.ones(3) * 2
    product, more = run(wide.outputs, dict(zip(wide.inputs, (xs, ws), strict=True)))
    np.testing.assert_array_equal(product, xs * 2)
    np.testing.assert_array_equal(more, np.full((SIZE, 3), 3.0))


def test_front_of_a_scalar_constant_stays_one():
    assert front(full(1, (2,), float32), 5).op.name == "full"
    x = variable("x", Type((2,), float32))
    assert front(x, 5).shape == (5, 2)
    assert front(x, 5, leading=True) is x


# ------------------------------------------------------------------------ sizes and executors


@pytest.mark.parametrize("size", [0, 1])
def test_no_example_and_one(size):
    x = variable("x", Type((2, 3), float64))
    xs = variable("xs", Type((size, 2, 3), float64))
    w = constant(np.ones((3, 2)))
    y = apply("softmax", apply("matmul", x, w), axes=(1,))
    (found,) = batch([y], {x: xs}, size)
    assert run([found], {xs: np.ones((size, 2, 3))})[0].shape == (size, 2, 2)


@needs_compiler
@pytest.mark.parametrize("which", [(True, True), (True, False), (False, True)])
def test_compiled_products_of_batches_of_batches(which):
    """Shared operands of batched products stand still along the axes that they lack."""
    a, b = variable("a", Type((2, 3, 4), float64)), variable("b", Type((2, 4, 5), float64))
    y = apply("matmul", a, b)
    rng = np.random.default_rng(0)
    leaves, arrays = {}, []
    for node, wide in zip((a, b), which, strict=True):
        shape = (SIZE, *node.shape) if wide else node.shape
        value = rng.standard_normal(shape)
        arrays.append(value)
        if wide:
            leaves[node] = constant(value)
    outputs = batch([total(y), y], leaves, SIZE)
    fixed = {n: v for n, v, wide in zip((a, b), arrays, which, strict=True) if not wide}
    expected = run(outputs, fixed)
    closed = [node for node in (a, b) if node in fixed]
    program = evaluate.compiler().compile(outputs, closed)
    found = program(*(fixed[node] for node in closed))
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-12)


# ----------------------------------------------------------------------------- random graphs


@settings(max_examples=80)
@given(recipes(list(KINDS), DTYPES, longest=8), st.integers(1, 15))
def test_random_graphs_give_what_their_examples_give(recipe, which):
    """Some of the inputs are batched (by the bits of `which`), the others are shared."""
    made = graph_of(recipe)
    moving = [node for i, node in enumerate(made.inputs) if which >> i & 1]
    bound, rng = made.bound(), np.random.default_rng(recipe.seed)
    rows = {node: np.stack([bound[node], _shuffled(rng, bound[node])]) for node in moving}
    wide = {node: variable("wide", Type(rows[node].shape, node.dtype)) for node in moving}
    outputs = batch(made.outputs, wide, 2)
    verify(outputs)
    found = run(outputs, {**bound, **{wide[node]: rows[node] for node in moving}})
    for number in range(2):
        expected = run(made.outputs, {**bound, **{node: rows[node][number] for node in moving}})
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(mine[number], theirs, rtol=1e-9, atol=1e-9)


def _shuffled(rng: np.random.Generator, value: np.ndarray) -> np.ndarray:
    return rng.permuted(value.reshape(-1)).reshape(value.shape)
