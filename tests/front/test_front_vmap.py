"""`kj.vmap` as users call it: axes, trees, closures, errors, and every other transformation.

JAX is the oracle where both have the function; everything else is compared with a Python loop.
Not here: single ops (`tests/ops/test_ops_batch.py`), Jacobians (`test_front_matrices.py`).
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.ground.errors import KedjaError, ShapeError, TracingError, UsageError
from kedja.ir.graph import topological
from tests.fixtures import TIERS

RNG = np.random.default_rng(0)


def array(*shape: int) -> kj.Tensor:
    return kj.asarray(RNG.standard_normal(shape))


def same(found, expected):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-12, atol=1e-12)


def looped(f, *args, axes=0):
    """The oracle: one call after the other, stacked."""
    given = (axes,) * len(args) if isinstance(axes, int) else axes
    size = next(a.shape[axis] for a, axis in zip(args, given, strict=True) if axis is not None)
    rows = [
        f(
            *(
                a if axis is None else kj.take(a, i, axis)
                for a, axis in zip(args, given, strict=True)
            )
        )
        for i in range(size)
    ]
    return np.stack([np.asarray(row) for row in rows])


X, Y, W = array(5, 3), array(5, 3), array(3, 4)

# ------------------------------------------------------------------------------ axes and trees


@pytest.mark.parametrize("tier", TIERS)
def test_a_function_of_rows(tier):
    def f(x, y):
        assert x.shape == y.shape == (3,)
        return kj.softmax(x * y) @ W

    with kj.scope(tier=tier):
        same(kj.vmap(f)(X, Y), looped(f, X, Y))


@pytest.mark.parametrize("in_axes", [0, 1, 2, -1, -2, -3])
@pytest.mark.parametrize("out_axes", [0, 1, 2, -1, -2, -3])
def test_axes_are_those_of_jax(in_axes, out_axes):
    jax = pytest.importorskip("jax")
    x = RNG.standard_normal((4, 5, 6)).astype(np.float32)
    found = kj.vmap(lambda a: a * 2 + a[0], in_axes, out_axes)(x)
    expected = jax.vmap(lambda a: a * 2 + a[0], in_axes, out_axes)(x)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_arguments_that_all_examples_share():
    def f(x, w):
        assert w.shape == (3, 4)
        return x @ w

    same(kj.vmap(f, in_axes=(0, None))(X, W), X.numpy() @ W.numpy())
    same(kj.vmap(f, in_axes=[1, None])(X.T, W), X.numpy() @ W.numpy())
    same(kj.vmap(lambda x, n: x * n, in_axes=(0, None))(X, 3), X.numpy() * 3)


def test_what_is_shared_is_handed_on_as_it_is():
    def f(x, name, number, table):
        assert (name, type(number)) == ("mean", int)
        return getattr(kj, name)(x) * number + table["a"]

    found = kj.vmap(f, in_axes=(0, None, None, None))(X, "mean", 2, {"a": 1.0})
    same(found, X.numpy().mean(1) * 2 + 1)


def test_keyword_arguments_are_mapped_over_axis_0():
    same(kj.vmap(lambda x, *, y: x @ y)(X, y=Y), (X.numpy() * Y.numpy()).sum(1))
    same(kj.vmap(lambda *, y: kj.sum(y))(y=Y), Y.numpy().sum(1))


def test_trees_of_axes():
    given = {"a": X, "b": (W, Y.T)}

    def f(tree, z):
        a, (w, y) = tree["a"], tree["b"]
        return {"first": a @ w, "pair": [a + y, z]}

    axes = ({"a": 0, "b": (None, 1)}, None)
    found = kj.vmap(f, in_axes=axes, out_axes={"first": 1, "pair": [0, None]})(given, 7.0)
    same(found["first"], (X.numpy() @ W.numpy()).T)
    same(found["pair"][0], X.numpy() + Y.numpy())
    assert found["pair"][1].item() == 7
    found = kj.vmap(lambda tree: tree["a"].sum(), in_axes=({"a": 0, "b": None},))(given)
    same(found, X.numpy().sum(1))


class Pair(NamedTuple):
    left: kj.Tensor
    right: kj.Tensor


def test_named_tuples_and_none_are_containers():
    found = kj.vmap(lambda p, nothing: (Pair(p.right, p.left), nothing))(Pair(X, Y), None)
    same(found[0].left, Y)
    assert found[1] is None
    found = kj.vmap(lambda p: p.left * p.right, in_axes=(Pair(0, None),))(Pair(X, Y[0]))
    same(found, X.numpy() * Y.numpy()[0])


def test_results_that_are_the_same_for_all_are_repeated():
    found = kj.vmap(lambda x: (kj.sum(W), 2.0, np.arange(2), x), out_axes=(0, 0, 1, 0))(X)
    same(found[0], np.full(5, W.numpy().sum()))
    same(found[1], np.full(5, 2.0))
    same(found[2], np.tile([[0], [1]], (1, 5)))
    same(found[3], X)


def test_axis_size_tells_the_number_where_no_argument_does():
    same(kj.vmap(lambda: kj.sum(W), axis_size=3)(), np.full(3, W.numpy().sum()))
    same(kj.vmap(lambda w: w, in_axes=None, axis_size=2)(W[0]), np.tile(W.numpy()[0], (2, 1)))
    same(kj.vmap(kj.sum, axis_size=5)(X), X.numpy().sum(1))


def test_no_examples_at_all():
    found = kj.vmap(lambda x: kj.softmax(x @ W))(kj.zeros((0, 3), dtype=kj.float64))
    assert found.shape == (0, 4)
    assert found.numpy().shape == (0, 4)


def test_integers_and_truth():
    n = kj.arange(5)
    found = kj.vmap(lambda i, x: (kj.where(i > 2, x[0], x[1]), i % 2 == 0, kj.one_hot(i, 6)))(n, X)
    same(found[0], np.where(np.arange(5) > 2, X.numpy()[:, 0], X.numpy()[:, 1]))
    assert found[1].tolist() == [True, False, True, False, True]
    same(found[2], np.eye(6)[:5])


def test_indexing_with_each_examples_own_index():
    table, index = array(6, 4), kj.asarray(RNG.integers(0, 6, (5, 2)))
    same(kj.vmap(lambda i: table[i])(index), table.numpy()[index.numpy()])
    x, place = array(5, 7), kj.asarray(RNG.integers(-7, 7, 5))
    same(
        kj.vmap(lambda row, i: kj.take(row, i, 0))(x, place), x.numpy()[np.arange(5), place.numpy()]
    )


def test_nested_calls_batch_twice():
    def outer(f, a, b):
        return kj.vmap(kj.vmap(f, in_axes=(None, 0)), in_axes=(0, None))(a, b)

    same(
        outer(lambda x, y: kj.exp(-kj.sum((x - y) ** 2)), X, Y),
        np.exp(-((X.numpy()[:, None] - Y.numpy()[None]) ** 2).sum(-1)),
    )
    same(outer(lambda x, y: x @ y, X, Y), X.numpy() @ Y.numpy().T)


def test_names_and_wrappers_stay():
    def f(x):
        """Doubled."""
        return x * 2

    mapped = kj.vmap(f)
    assert (mapped.__name__, mapped.__doc__) == ("f", "Doubled.")
    assert kj.vmap(partial(f))(X).shape == X.shape
    assert kj.vmap(nn.Linear(3, 2).astype(kj.float64))(X).shape == (5, 2)


# --------------------------------------------------------------------------------- closures


def test_closures_over_outer_examples():
    """The inner function uses the outer one's example, which has no axis for the inner."""

    def f(x):
        return kj.sum(kj.vmap(lambda y: kj.sum(x * y))(Y))

    same(kj.vmap(f)(X), (X.numpy() @ Y.numpy().T).sum(1))


def test_closures_over_a_gradient_outside():
    def loss(w):
        return kj.sum(kj.vmap(lambda x: kj.sum(kj.tanh(x @ w)))(X))

    same(kj.grad(loss)(W), kj.grad(lambda w: kj.sum(kj.tanh(X @ w)))(W))
    assert not kj.grad(loss)(W).tracks


def test_closures_over_a_compiled_function_outside():
    f = kj.jit(lambda w: kj.vmap(lambda x: x @ w)(X))
    same(f(W), X.numpy() @ W.numpy())
    same(f(W * 2), X.numpy() @ W.numpy() * 2)


def test_a_compiled_function_inside_may_close_over_the_example():
    same(kj.vmap(lambda x: kj.jit(lambda s: s * x)(2.0))(X), X.numpy() * 2)


def test_examples_that_leave_the_function_have_no_value():
    kept = []
    kj.vmap(lambda x: kept.append(x) or x)(X)
    with pytest.raises(TracingError):
        kept[0].numpy()


# ---------------------------------------------------------------------- other transformations


def network(w, x):
    hidden = kj.tanh(x @ w["in"] + w["bias"])
    return kj.sum(kj.log_softmax(hidden @ w["out"])[0])


WEIGHTS = {"in": W, "bias": array(4), "out": array(4, 3)}


@pytest.mark.parametrize("wrap", [lambda f: f, kj.jit], ids=["eager", "jit"])
def test_gradients_of_each_example(wrap):
    each = wrap(kj.vmap(kj.grad(network), in_axes=(None, 0)))(WEIGHTS, X)
    for name in WEIGHTS:
        rows = np.stack([kj.grad(network)(WEIGHTS, x)[name].numpy() for x in X])
        same(each[name], rows)
    inside = kj.vmap(wrap(kj.grad(network, 1)), in_axes=(None, 0))(WEIGHTS, X)
    same(inside, looped(lambda x: kj.grad(network, 1)(WEIGHTS, x), X))


@pytest.mark.parametrize("tier", TIERS)
def test_the_gradient_of_a_batch_is_the_sum_of_the_gradients(tier):
    with kj.scope(tier=tier):
        mapped = kj.vmap(network, in_axes=(None, 0))
        whole = kj.grad(lambda w: kj.sum(mapped(w, X)))(WEIGHTS)
        each = kj.vmap(kj.grad(network), in_axes=(None, 0))(WEIGHTS, X)
        for name in WEIGHTS:
            same(whole[name], each[name].numpy().sum(0))


def test_value_and_gradient_with_more_beside_it():
    def f(x):
        return kj.sum(x * x), {"x": x, "count": 3.0}

    (value, aux), g = kj.vmap(kj.value_and_grad(f, has_aux=True))(X)
    same(value, (X.numpy() ** 2).sum(1))
    same(aux["x"], X)
    assert aux["count"].shape == (5,)
    same(g, 2 * X.numpy())


def test_forward_mode_inside_and_outside():
    def f(x):
        return kj.sin(x) * kj.sum(x)

    expected = looped(lambda x, t: kj.jvp(f, (x,), (t,))[1], X, Y)
    same(kj.vmap(lambda x, t: kj.jvp(f, (x,), (t,)))(X, Y)[1], expected)
    same(kj.jvp(kj.vmap(f), (X,), (Y,))[1], expected)


def test_reverse_mode_inside_and_outside():
    def f(x):
        return kj.sin(x) * kj.sum(x)

    expected = looped(lambda x, g: kj.vjp(f, x)[1](g)[0], X, Y)
    same(kj.vmap(lambda x, g: kj.vjp(f, x)[1](g)[0])(X, Y), expected)
    value, pull = kj.vjp(kj.vmap(f), X)
    same(value, looped(f, X))
    same(pull(Y)[0], expected)


def test_a_pullback_takes_many_cotangents():
    _, pull = kj.vjp(lambda x: x @ W, X[0])
    same(kj.vmap(pull)(kj.eye(4, dtype=kj.float64))[0], W.numpy().T)


def test_orders_of_jit_grad_and_vmap():
    def f(x):
        return kj.sum(kj.exp(x) * x)

    expected = np.exp(X.numpy()) * (1 + X.numpy())
    orders = (
        kj.jit(kj.vmap(kj.grad(f))),
        kj.vmap(kj.jit(kj.grad(f))),
        kj.vmap(kj.grad(kj.jit(f))),
        kj.grad(lambda x: kj.sum(kj.vmap(f)(x))),
        kj.jit(kj.grad(lambda x: kj.sum(kj.vmap(f)(x)))),
        kj.grad(lambda x: kj.sum(kj.jit(kj.vmap(f))(x))),
        kj.grad(lambda x: kj.sum(kj.vmap(kj.jit(f))(x))),
    )
    for each in orders:
        same(each(X), expected)


def test_second_derivatives_through_both_orders():
    def f(x):
        return kj.sum(x**3) * kj.sum(x)

    def hvp(x, t):
        return kj.grad(lambda y: kj.sum(kj.grad(f)(y) * t))(x)

    expected = looped(hvp, X, Y)
    same(kj.vmap(hvp)(X, Y), expected)
    same(kj.grad(lambda x: kj.sum(kj.vmap(kj.grad(f))(x) * Y))(X), expected)
    same(kj.jit(kj.vmap(lambda x, t: kj.jvp(kj.grad(f), (x,), (t,))[1]))(X, Y), expected)


def test_backward_through_a_batch():
    w = kj.tensor(W.numpy(), requires_grad=True)
    x = kj.tensor(X.numpy(), requires_grad=True)
    loss = kj.sum(kj.vmap(lambda row: kj.sum(kj.tanh(row @ w)))(x))
    loss.backward()
    same(w.grad, kj.grad(lambda w: kj.sum(kj.tanh(X @ w)))(W))
    same(x.grad, kj.grad(lambda x: kj.sum(kj.tanh(x @ W)))(X))


def test_an_inner_gradient_reaches_a_leaf_outside():
    """Inside vmap, the inner gradient cannot see that its example comes from a marked leaf."""
    x = kj.tensor(X.numpy(), requires_grad=True)
    slopes = kj.vmap(kj.grad(lambda row: kj.sum(row**3)))(x)
    slopes.numpy()
    kj.sum(slopes).backward()
    same(x.grad, 6 * X.numpy())
    twice = kj.grad(lambda x: kj.sum(kj.vmap(kj.grad(lambda row: kj.sum(row**3)))(x)))(X)
    same(twice, 6 * X.numpy())


def test_results_do_not_keep_the_history():
    result = kj.vmap(lambda x: x @ W)(X)
    assert not result.tracks
    result.numpy()
    assert len(topological([result.node])) == 1


def test_random_numbers_of_each_examples_own_key():
    keys = kj.stack(kj.random.split(kj.random.key(3), 4))
    draw = partial(kj.random.normal, shape=(2, 3))
    found = kj.vmap(draw)(keys)
    np.testing.assert_array_equal(found.numpy(), np.stack([draw(key).numpy() for key in keys]))
    shared = kj.vmap(lambda x: x + kj.random.uniform(kj.random.key(1), (3,), dtype=kj.float64))(X)
    same(shared, X.numpy() + kj.random.uniform(kj.random.key(1), (3,), dtype=kj.float64).numpy())


# ------------------------------------------------------------------------------------ modules


def loss(model, x, y):
    return kj.sum((model(x) - y) ** 2)


def small() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).astype(kj.float64)


def test_gradients_of_a_network_example_by_example():
    model, y = small(), array(5, 2)
    each = kj.vmap(kj.grad(loss), in_axes=(None, 0, 0))(model, X, y)
    assert isinstance(each, nn.Sequential)
    rows = [kj.grad(loss)(model, X[i], y[i]) for i in range(5)]
    for (path, found), *expected in zip(
        each.parameters(), *(row.parameters() for row in rows), strict=True
    ):
        assert found.shape == (5, *expected[0][1].shape), path
        same(found, np.stack([np.asarray(g) for _, g in expected]))


def test_an_ensemble_is_a_batch_of_models():
    models = [small() for _ in range(3)]
    stacked = kj.tree.map(lambda *leaves: kj.stack(leaves), *models)
    found = kj.vmap(lambda model, x: model(x), in_axes=(0, None))(stacked, X)
    same(found, np.stack([model(X).numpy() for model in models]))


def test_some_parameters_of_a_model_may_be_shared():
    models = [small() for _ in range(3)]
    first, last = models[0].layers[0], [model.layers[2] for model in models]
    heads = kj.tree.map(lambda *leaves: kj.stack(leaves), *last)
    mixed = nn.Sequential(first, nn.Tanh(), heads)
    whole = kj.tree.map(lambda _: 0, heads)
    axes = nn.Sequential(kj.tree.map(lambda _: None, first), nn.Tanh(), whole)
    found = kj.vmap(lambda model, x: model(x), in_axes=(axes, None))(mixed, X)
    same(found, np.stack([nn.Sequential(first, nn.Tanh(), each)(X).numpy() for each in last]))


# ------------------------------------------------------------------------------------- errors


def branching(x):
    return x if x[0] > 0 else -x


WRONG = {
    "sizes": (lambda: kj.vmap(lambda x, y: x)(X, W), ShapeError,
              r"5 along axis 0 of x, float64\[5, 3\], 3 along axis 0 of y, float64\[3, 4\]"),
    "sizes in a tree": (lambda: kj.vmap(lambda t: t)({"a": X, "b": W}), ShapeError, r"of t\.b"),
    "size of a keyword": (lambda: kj.vmap(lambda x, y: x)(X, y=W), ShapeError, "of y"),
    "size of a model": (lambda: kj.vmap(loss)(nn.Linear(3, 2), X, Y), ShapeError, "model.weight"),
    "axis_size": (lambda: kj.vmap(kj.sum, axis_size=4)(X), ShapeError, "axis_size is 4, 5 along"),
    "scalar": (lambda: kj.vmap(lambda a: a)(1.0), ShapeError, "axis 0 of a, float32.*a scalar"),
    "scalar by name": (lambda: kj.vmap(lambda x, s: x)(X, s=2.0), ShapeError, "by position"),
    "axis": (lambda: kj.vmap(lambda a: a, 2)(X), ShapeError, "axis 2 of a.*which has 2 axes"),
    "negative": (lambda: kj.vmap(lambda a: a, -2)(X[0]), ShapeError, "axis -2 of a.*one axis"),
    "text": (lambda: kj.vmap(lambda x, how: x)(X, "mean"), UsageError, "how, which is a str"),
    "nothing mapped": (lambda: kj.vmap(lambda x: x, None)(X), UsageError, "axis_size"),
    "no arguments": (lambda: kj.vmap(lambda: 1.0)(), UsageError, "axis_size"),
    "too few axes": (lambda: kj.vmap(lambda x, y: x, (0,))(X, Y), UsageError, "1 entries for 2"),
    "kind of axes": (lambda: kj.vmap(lambda x: x, {"x": 0})(X), UsageError, "in_axes is a dict"),
    "true is no axis": (lambda: kj.vmap(lambda x: x, True)(X), UsageError, "in_axes is a bool"),
    "kind of entry": (lambda: kj.vmap(lambda x: x, ("0",))(X), UsageError, "a str where .* a leaf"),
    "other keys": (lambda: kj.vmap(lambda t: t, ({"b": 0},))({"a": X}), UsageError, "with a"),
    "other length": (lambda: kj.vmap(lambda t: t, ((0, 0),))((X,)), UsageError, "other places"),
    "out_axes": (lambda: kj.vmap(lambda x: x, 0, 3)(X), ShapeError, "out_axes is 3 for the result"),
    "tree of axes": (lambda: kj.vmap(lambda x: {"a": x}, 0, ({},))(X), UsageError, "out_axes"),
    "out_axes None": (lambda: kj.vmap(lambda x: (x, x), 0, (0, None))(X), UsageError, "result 1"),
    "text returned": (lambda: kj.vmap(lambda x: "x")(X), TracingError, "returned str"),
    "a branch": (lambda: kj.vmap(branching)(X), TracingError, "kj.where instead of `if`"),
    "a look": (lambda: kj.vmap(lambda x: x.numpy())(X), TracingError, "needs a value"),
    "a number": (lambda: kj.vmap(lambda x: float(x[0]))(X), TracingError, "float needs a value"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use(name):
    call, kind, text = WRONG[name]
    with pytest.raises(kind, match=text) as caught:
        call()
    assert isinstance(caught.value, KedjaError)
    assert caught.value.fix
    assert "test_front_vmap.py" in str(caught.value)


def test_a_wrong_call_leaves_nothing_behind():
    with pytest.raises(TracingError):
        kj.vmap(branching)(X)
    same(branching(X[0]), X[0].numpy() if X.numpy()[0, 0] > 0 else -X.numpy()[0])
    same(kj.vmap(lambda x: x * 2)(X), X.numpy() * 2)
