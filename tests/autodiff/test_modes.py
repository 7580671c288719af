"""Both modes of differentiation on whole graphs: they agree, compose, and stop at any depth.

Single ops are checked against finite differences in `tests/ops/test_table.py`; whole functions
against PyTorch in `test_torch.py`.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from kedja.autodiff.check import check, difference
from kedja.autodiff.forward import jvp
from kedja.autodiff.reverse import backward, gradient, vjp
from kedja.ground.dtypes import int64
from kedja.interpret.reference import run
from kedja.ir.graph import (
    apply,
    constant,
    consumers,
    full,
    is_full,
    scope,
    topological,
    variable,
    zeros_like,
)
from kedja.ir.op import Type
from tests.compiler.graph_steps import SMOOTH_KINDS
from tests.compiler.random_graphs import graph_of, loss_of, recipes
from tests.fixtures import float32, float64, total, variables

VECTOR = Type((5,), float64)
SMOOTH = recipes(SMOOTH_KINDS, (float64,), longest=10)


def zeros_where_none(found):
    """The same gradients with zeros where nothing depends on a node."""
    return {node: zeros_like(node) if g is None else g for node, g in found.items()}


def value(node, bound):
    return run([node], bound)[0]


def layer(x, w):
    return apply("tanh", apply("matmul", x, w))


def spread(x, shape):
    return apply("broadcast", x, shape=shape)


# -------------------------------------------------------------------- the modes agree


def test_the_products_of_both_modes_agree():
    """⟨g, J·t⟩ = ⟨Jᵀ·g, t⟩ for all inputs of a layer."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in ((7, 5), (5, 3))]
    xs = variables(arrays)
    bound = dict(zip(xs, arrays, strict=True))
    y = layer(*xs)
    tangents = [rng.standard_normal(x.shape) for x in xs]
    g = rng.standard_normal(y.shape)
    (forward,) = run(jvp([y], dict(zip(xs, map(constant, tangents), strict=True))), bound)
    back = run(vjp([y], [constant(g)], xs), bound)
    left = np.sum(g * forward)
    right = sum(np.sum(a * t) for a, t in zip(back, tangents, strict=True))
    np.testing.assert_allclose(left, right, rtol=1e-12)


@settings(max_examples=60)
@given(SMOOTH)
def test_the_products_of_both_modes_agree_on_random_graphs(recipe):
    graph = graph_of(recipe)
    loss, bound = loss_of(graph), graph.bound()
    moving = [node for node in graph.inputs if node.dtype == float64]
    rng = np.random.default_rng(1)
    tangents = {node: rng.standard_normal(node.shape) for node in moving}
    (forward,) = run(jvp([loss], {node: constant(t) for node, t in tangents.items()}), bound)
    grads = gradient(loss, moving)
    reverse = [
        (value(g, bound), tangents[node])
        for node, g in zip(moving, grads, strict=True)
        if g is not None
    ]
    expected = sum(np.sum(g * t) for g, t in reverse)
    size = sum(np.sum(np.abs(g * t)) for g, t in reverse)
    assert abs(forward - expected) <= 1e-9 * (1 + size)


def test_several_outputs_share_one_walk():
    x = variable("x", VECTOR)
    a, b = apply("sin", x), apply("exp", x)
    found = vjp([a, b], [full(2.0, (5,), float64), full(3.0, (5,), float64)], [x])
    at_x = np.linspace(-1, 1, 5)
    np.testing.assert_allclose(value(found[0], {x: at_x}), 2 * np.cos(at_x) + 3 * np.exp(at_x))


def test_the_gradient_with_respect_to_an_inner_node():
    x = variable("x", VECTOR)
    inner = apply("exp", x)
    found = gradient(total(inner * inner), [inner, x])
    at_x = np.linspace(-1, 1, 5)
    inner_grad, x_grad = run(found, {x: at_x})
    np.testing.assert_allclose(inner_grad, 2 * np.exp(at_x))
    np.testing.assert_allclose(x_grad, 2 * np.exp(2 * at_x))


def test_the_gradient_of_a_node_with_respect_to_itself_is_one():
    x = variable("x", Type((), float64))
    (found,) = gradient(x, [x])
    assert is_full(found, 1)
    (tangent,) = jvp([x], {x: full(3.0, (), float64)})
    assert is_full(tangent, 3)


# ---------------------------------------------------------------------- higher derivatives


def test_the_third_derivative_of_a_power():
    x = variable("x", Type((), float64))
    node = x * x * x * x
    for expected in (4 * 8.0, 12 * 4.0, 24 * 2.0, 24.0, 0.0):
        (node,) = zeros_where_none({x: gradient(node, [x])[0]}).values()
        assert value(node, {x: np.float64(2)}) == expected


def test_hessian_vector_products_by_three_ways_agree():
    """Forward over reverse, reverse over forward, reverse over reverse; and the Hessian itself."""
    rng = np.random.default_rng(0)
    a, at_x, v = rng.standard_normal((5, 5)), rng.standard_normal(5), rng.standard_normal(5)
    x = variable("x", VECTOR)
    row = apply("reshape", x, shape=(1, 5))
    f = total(apply("sin", apply("matmul", row, constant(a)))) + total(x * x * x)
    t = constant(v)
    (g,) = gradient(f, [x])
    (forward_reverse,) = jvp([g], {x: t})
    (reverse_forward,) = gradient(jvp([f], {x: t})[0], [x])
    (reverse_reverse,) = gradient(total(g * t), [x])
    products = run([forward_reverse, reverse_forward, reverse_reverse], {x: at_x})
    hessian = a @ np.diag(-np.sin(at_x @ a)) @ a.T + np.diag(6 * at_x)
    for each in products:
        np.testing.assert_allclose(each, hessian @ v, rtol=1e-12)


def test_a_hessian_row_by_row_is_symmetric():
    x = variable("x", VECTOR)
    f = apply("logsumexp", x, axes=(0,))
    (g,) = gradient(f, [x])
    rows = [vjp([g], [constant(np.eye(5)[i])], [x])[0] for i in range(5)]
    at_x = np.linspace(-1, 2, 5)
    hessian = np.stack(run(rows, {x: at_x}))
    p = np.exp(at_x) / np.exp(at_x).sum()
    np.testing.assert_allclose(hessian, np.diag(p) - np.outer(p, p), atol=1e-14)


@settings(max_examples=30)
@given(recipes(SMOOTH_KINDS, (float64,), longest=5))
def test_second_derivatives_of_random_graphs_agree_between_the_modes(recipe):
    """⟨u, H·v⟩ = ⟨v, H·u⟩, forward over reverse on one side, reverse over reverse on the other."""
    graph = graph_of(recipe)
    loss, bound = loss_of(graph), graph.bound()
    pairs = zip(graph.inputs, gradient(loss, graph.inputs), strict=True)
    moving = {node: g for node, g in pairs if g is not None}
    rng = np.random.default_rng(1)
    u = {node: constant(rng.standard_normal(node.shape)) for node in moving}
    v = {node: constant(rng.standard_normal(node.shape)) for node in moving}
    forward = jvp(list(moving.values()), v)
    left = sum(
        np.sum(a * u[x].attrs["value"]) for x, a in zip(moving, run(forward, bound), strict=True)
    )
    product = full(0.0, (), float64)
    for node, g in moving.items():
        product = product + total(g * u[node])
    second = zeros_where_none(dict(zip(moving, gradient(product, list(moving)), strict=True)))
    values = run(list(second.values()), bound)
    terms = [a * v[x].attrs["value"] for x, a in zip(moving, values, strict=True)]
    right, size = sum(map(np.sum, terms)), sum(np.sum(np.abs(each)) for each in terms)
    assert abs(left - right) <= 1e-8 * (1 + size)


# ----------------------------------------------------------------------- gates and kinks


def test_shared_nodes_add_their_gradients():
    x = variable("x", VECTOR)
    shared = apply("exp", x)
    f = total(shared * shared + shared + apply("sin", shared))
    at_x = np.linspace(-1, 1, 5)
    e = np.exp(at_x)
    (found,) = run(gradient(f, [x]), {x: at_x})
    np.testing.assert_allclose(found, (2 * e + 1 + np.cos(e)) * e)


@pytest.mark.parametrize("name", ["max", "min"])
def test_tied_extrema_share_the_gradient(name):
    x = variable("x", Type((2, 4), float64))
    tied = np.array([[3.0, 1.0, 3.0, 3.0], [5.0, 5.0, 7.0, 2.0]]) * (1 if name == "max" else -1)
    f = total(apply(name, x, axes=(1,)))
    (found,) = run(gradient(f, [x]), {x: tied})
    np.testing.assert_allclose(found, [[1 / 3, 0, 1 / 3, 1 / 3], [0, 0, 1, 0]])


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_two_tied_inputs_get_half_each(name):
    a, b = variable("a", VECTOR), variable("b", VECTOR)
    at_a, at_b = np.array([1.0, 2, 3, 4, 5]), np.array([1.0, 3, 2, 4, 4])
    grads = run(gradient(total(apply(name, a, b)), [a, b]), {a: at_a, b: at_b})
    larger = np.array([0.5, 0, 1, 0.5, 1])
    first = larger if name == "maximum" else 1 - larger
    np.testing.assert_array_equal(grads, [first, 1 - first])


def test_kinks_have_the_documented_slopes():
    x = variable("x", Type((3,), float64))
    at_x = np.array([-1.0, 0.0, 1.0])
    for name, slopes in (("relu", [0, 0, 1]), ("abs", [-1, 0, 1]), ("sign", [0, 0, 0])):
        found = zeros_where_none({x: gradient(total(apply(name, x)), [x])[0]})[x]
        np.testing.assert_array_equal(value(found, {x: at_x}), slopes)


def test_where_keeps_the_gradient_of_the_branch_not_taken_out():
    """The untaken branch is NaN with an infinite slope, and does not matter."""
    x = variable("x", Type((3,), float64))
    positive = apply("greater", x, full(0.0, (3,), float64))
    one = full(1.0, (3,), float64)
    safe = apply("where", positive, x, one)
    f = total(apply("where", positive, apply("log", safe), apply("sin", x)))
    at_x = np.array([-1.0, 0.0, 2.0])
    (found,) = run(gradient(f, [x]), {x: at_x})
    np.testing.assert_allclose(found, [np.cos(-1), 1, 0.5])


def test_stop_gradient_stops_both_modes():
    x = variable("x", VECTOR)
    f = total(apply("stop_gradient", x) * x)
    at_x = np.linspace(1, 2, 5)
    (found,) = run(gradient(f, [x]), {x: at_x})
    np.testing.assert_array_equal(found, at_x)
    (tangent,) = run(jvp([f], {x: full(1.0, (5,), float64)}), {x: at_x})
    assert tangent == at_x.sum()


@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax"])
def test_masked_scores_get_no_gradient_and_no_nan(name):
    """−∞ among the scores is how attention leaves a position out."""
    at_x = np.array([[0.5, -np.inf, 1.5, -0.5], [2.0, 0.1, -np.inf, -np.inf]])
    weight = np.where(np.isfinite(at_x), np.arange(8.0).reshape(2, 4), 0)
    x = variable("x", Type(at_x.shape, float64))
    y = apply(name, x, axes=(1,))
    if name == "log_softmax":
        y = apply("where", constant(np.isfinite(at_x)), y, full(0.0, at_x.shape, float64))
    f = total(y if name == "logsumexp" else y * constant(weight))
    (found,) = run(gradient(f, [x]), {x: at_x})
    assert np.isfinite(found).all()
    assert (found[np.isneginf(at_x)] == 0).all()
    finite = at_x[0, [0, 2, 3]]
    p = np.exp(finite) / np.exp(finite).sum()
    w = weight[0, [0, 2, 3]]
    expected = {
        "logsumexp": p,
        "softmax": p * (w - p @ w),
        "log_softmax": w - p * w.sum(),
    }
    np.testing.assert_allclose(found[0, [0, 2, 3]], expected[name], atol=1e-14)


def test_large_scores_do_not_overflow():
    at_x = np.array([1000.0, 999.0, -1000.0])
    x = variable("x", Type((3,), float64))
    y = apply("logsumexp", x, axes=(0,))
    result, grad = run([y, *gradient(y, [x])], {x: at_x})
    np.testing.assert_allclose(result, 1000 + np.log1p(np.exp(-1)))
    np.testing.assert_allclose(grad, [1 / (1 + np.exp(-1)), 1 / (1 + np.e), 0])


def test_powers_at_zero():
    """x² at 0, x⁰ at 0, 0^y: the rules avoid 0·∞."""
    a, b = variable("a", Type((3,), float64)), variable("b", Type((3,), float64))
    bound = {a: np.array([0.0, 0.0, 2.0]), b: np.array([2.0, 0.0, 3.0])}
    grads = run(gradient(total(apply("pow", a, b)), [a, b]), bound)
    np.testing.assert_allclose(grads[0], [0, 0, 12])
    np.testing.assert_allclose(grads[1], [0, 0, 8 * np.log(2)])


def test_repeated_indices_add_their_gradients():
    x = variable("x", VECTOR)
    index = constant(np.array([0, 0, 3, 0]))
    f = total(apply("take", x, index, axis=0))
    (found,) = run(gradient(f, [x]), {x: np.zeros(5)})
    np.testing.assert_array_equal(found, [3, 0, 0, 1, 0])


# ------------------------------------------------------------------------ None is not zero


def test_none_stands_for_no_dependence_and_zero_for_a_slope_of_zero():
    x, y = variable("x", VECTOR), variable("y", VECTOR)
    f = total(x * 0.0)
    found = gradient(f, [x, y])
    assert found[1] is None
    np.testing.assert_array_equal(value(found[0], {x: np.ones(5)}), np.zeros(5))
    both = zeros_where_none(dict(zip([x, y], found, strict=True)))
    assert is_full(both[y], 0)
    assert both[y].type == y.type


def test_integers_and_truth_take_no_gradient():
    x = variable("x", VECTOR)
    index = apply("cast", x, dtype=int64)
    through = apply("cast", index, dtype=float64)
    assert gradient(total(through), [x]) == [None]
    place = variable("i", Type((2,), int64))
    f = total(apply("take", x, place, axis=0))
    grads = gradient(f, [x, place])
    assert grads[0] is not None
    assert grads[1] is None


def test_a_tangent_of_nothing_is_zero():
    x, y = variable("x", VECTOR), variable("y", VECTOR)
    (found,) = jvp([apply("sin", y)], {x: full(1.0, (5,), float64)})
    assert is_full(found, 0)


def test_gradients_have_the_dtype_of_their_node():
    x = variable("x", Type((3,), float32))
    wide = apply("cast", x, dtype=float64)
    (found,) = gradient(total(wide * wide), [x])
    assert found.type == x.type
    np.testing.assert_array_equal(value(found, {x: np.float32([1, 2, 3])}), np.float32([2, 4, 6]))


def test_a_broadcast_scalar_gets_the_sum():
    x = variable("x", Type((), float64))
    for shape in ((3,), (2, 3), (1, 1), ()):
        (found,) = gradient(total(spread(x, shape)), [x])
        assert value(found, {x: np.float64(1)}) == np.prod(shape)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3)])
def test_empty_arrays_have_empty_gradients(shape):
    x = variable("x", Type(shape, float64))
    (found,) = gradient(total(apply("exp", x)), [x])
    assert value(found, {x: np.zeros(shape)}).shape == shape


# ---------------------------------------------------------------------------- graph facts


DEEP = 20_000


def chain(x, length):
    for _ in range(length // 2):
        x = apply("sin", x) * 1.5
    return x


def test_very_deep_graphs():
    """20,000 nodes one after the other: walks are loops, not recursions."""
    x = variable("x", Type((), float64))
    y = chain(x, DEEP)
    assert len(topological([y])) > DEEP
    (g,) = gradient(y, [x])
    (t,) = jvp([y], {x: full(1.0, (), float64)})
    found = run([y, g, t], {x: np.float64(0.5)})
    np.testing.assert_allclose(found[1], found[2], rtol=1e-9)


def test_deep_graphs_are_freed_without_recursion():
    y = chain(variable("x", Type((), float64)), 3 * DEEP)
    del y


def test_wide_sharing_does_not_grow_exponentially():
    """x + x + … of a shared node, 60 levels: 2⁶⁰ paths, 60 nodes."""
    x = variable("x", Type((), float64))
    y = x
    for _ in range(60):
        y = y + y
    (g,) = gradient(y, [x])
    assert value(g, {x: np.float64(1)}) == 2.0**60
    assert len(topological([g])) < 200
    (t,) = jvp([y], {x: full(1.0, (), float64)})
    assert value(t, {x: np.float64(1)}) == 2.0**60


def test_derived_nodes_carry_the_line_and_the_layer_of_their_node():
    x = variable("x", VECTOR)
    with scope("encoder"):
        y = apply("tanh", x)
    f = total(y)
    (g,) = gradient(f, [x])
    derived = set(topological([g])) - set(topological([f]))
    own = [node for node in derived if node.scope == "encoder"]
    assert own
    assert {node.source for node in own} == {y.source}


def test_only_nodes_between_are_walked():
    x, y = variable("x", VECTOR), variable("y", VECTOR)
    aside = apply("exp", y)
    f = total(apply("sin", x) * aside)
    known = backward([f], [full(1.0, (), float64)], [x])
    assert aside not in known
    assert x in known


def test_unneeded_gradients_make_no_nodes():
    """The gradient of the data is never built when only the weight's is asked for."""
    x, w = variable("x", Type((3, 5), float64)), variable("w", Type((5, 2), float64))
    (g,) = gradient(total(apply("matmul", x, w)), [w])
    products = [node for node in topological([g]) if node.op.name == "matmul"]
    assert len(products) == 1
    assert w not in consumers(topological([g]))


# ------------------------------------------------------------------- the checker is checked


def test_the_check_is_exact_on_a_cubic():
    finding = check(lambda x: x * x * x, [np.linspace(-2, 2, 7)])
    assert finding.worst() < 1e-10


def test_the_difference_has_fourth_order():
    x = variable("x", Type((1,), float64))
    at_x, one = {x: np.array([0.7])}, {x: np.ones(1)}
    errors = [abs(difference(apply("exp", x), at_x, one, h)[0] - np.exp(0.7)) for h in (0.2, 0.1)]
    assert 14 < errors[0] / errors[1] < 18


def test_a_wrong_gradient_is_found_in_each_mode():
    def wrong(x):
        return apply("stop_gradient", x) * x

    finding = check(wrong, [np.linspace(1, 2, 3)])
    assert finding.forward > 0.1
    assert finding.reverse > 0.1
