"""grad, value_and_grad, jvp and vjp as users call them: arguments, structures, eager looks inside.

Not here: the rules themselves (`tests/autodiff`), and their use under jit (`test_front_jit.py`).
"""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import kedja as kj
from kedja.ground.errors import DtypeError, UsageError
from kedja.ir.graph import topological


def same(found, expected):
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-6)


def square(x):
    return kj.sum(x * x)


X = kj.tensor([1.0, 2.0])


def test_argnums():
    def f(a, b, c):
        return kj.sum(a * b * b) + c

    args = (kj.tensor([2.0]), kj.tensor([3.0]), 1.0)
    same(kj.grad(f)(*args), [9])
    same(kj.grad(f, 1)(*args), [12])
    same(kj.grad(f, -1)(*args), 1)
    both = kj.grad(f, (1, 0))(*args)
    assert isinstance(both, tuple)
    same(both[0], [12])
    same(both[1], [9])
    with pytest.raises(UsageError, match="argnums 3"):
        kj.grad(f, 3)(*args)


def test_value_and_aux():
    def f(x, scale=1.0):
        return square(x) * scale, {"x": x, "text": "kept"}

    (value, aux), g = kj.value_and_grad(f, has_aux=True)(X, scale=2.0)
    same(value, 10)
    same(g, [4, 8])
    same(aux["x"], [1, 2])
    assert aux["text"] == "kept"
    g, aux = kj.grad(f, has_aux=True)(X)
    same(g, [2, 4])


def test_leaves_without_influence_have_zeros():
    g = kj.grad(lambda m: square(m["used"]))({"used": X, "unused": kj.ones((2, 3))})
    same(g["unused"], np.zeros((2, 3)))


def test_integers_are_refused_as_arguments_of_a_gradient():
    with pytest.raises(DtypeError, match="int64"):
        kj.grad(square)(kj.tensor([1, 2]))
    same(kj.grad(lambda x, n: square(x) * n)(X, 3), [6, 12])


@pytest.mark.parametrize(
    "look", [repr, lambda y: y.numpy(), lambda y: bool(kj.sum(y) > 0), lambda y: y.tolist()]
)
def test_looking_at_a_value_inside_does_not_cut_the_gradient(look):
    """`print(y)` in the middle of a function must not change its derivative."""

    def f(x):
        y = x * 3
        look(y)
        z = kj.sum(y * y)
        look(z)
        return z

    same(kj.grad(f)(X), [18, 36])
    same(kj.jvp(f, (X,), (kj.ones(2),))[1], 54)
    same(kj.vjp(f, X)[1](1.0)[0], [18, 36])


def test_branches_on_values_inside():
    def f(x):
        return kj.sum(x * 2) if x[0] > 0 else kj.sum(x * 5)

    same(kj.grad(f)(X), [2, 2])
    same(kj.grad(f)(-X), [5, 5])


def test_results_do_not_keep_the_history():
    """A loop of `total += loss` over value_and_grad does not grow a graph either."""
    total = 0.0
    for _ in range(5):
        value, g = kj.value_and_grad(square)(X)
        assert not value.tracks
        assert not g.tracks
        total += value
    assert total.item() == 25
    assert len(topological([total.node])) <= 3
    value.numpy()
    assert len(topological([value.node])) == 1


def test_results_keep_the_history_that_a_leaf_outside_needs():
    w = kj.tensor([3.0, 4.0], requires_grad=True)
    slope = kj.grad(lambda x: kj.sum(x * x * w))(X)
    slope.numpy()
    kj.sum(slope).backward()
    same(w.grad, [2, 4])


def test_a_leaf_may_be_an_argument():
    w = kj.tensor([3.0, 4.0], requires_grad=True)
    same(kj.grad(square)(w), [6, 8])
    value, _ = kj.value_and_grad(square)(w)
    value.backward()
    same(w.grad, [6, 8])
    assert w.tracks


def test_a_failing_function_leaves_nothing_behind():
    seen = []

    def f(x):
        seen.append(weakref.ref(x))
        raise KeyError("inside")

    for transform in (lambda: kj.grad(f)(X), lambda: kj.vjp(f, X), lambda: kj.jvp(f, (X,), (X,))):
        with pytest.raises(KeyError, match="inside"):
            transform()
    gc.collect()
    assert [ref() for ref in seen] == [None] * 3


def test_vjp_and_jvp_of_trees():
    def f(m):
        return {"sum": m["a"] + m["b"], "product": m["a"] * m["b"]}

    m, t = {"a": X, "b": 3 * X}, {"a": kj.ones(2), "b": kj.zeros(2)}
    value, tangent = kj.jvp(f, (m,), (t,))
    same(value["product"], [3, 12])
    same(tangent["product"], [3, 6])
    value, pull = kj.vjp(f, m)
    (g,) = pull({"sum": kj.ones(2), "product": kj.ones(2)})
    same(g["a"], [1 + 3, 1 + 6])
    same(g["b"], [1 + 1, 1 + 2])
    (again,) = pull({"sum": kj.zeros(2), "product": kj.ones(2)})
    same(again["a"], [3, 6])


def test_derivatives_nest():
    def f(x):
        return x**4

    same(kj.grad(kj.grad(kj.grad(f)))(2.0), 48)
    same(kj.jvp(kj.grad(f), (2.0,), (1.0,))[1], 48)
    same(kj.grad(lambda x: kj.jvp(f, (x,), (1.0,))[1])(2.0), 48)
    same(kj.vjp(kj.grad(f), 2.0)[1](1.0)[0], 48)


def test_an_inner_gradient_may_use_the_outer_variable():
    """d/dx [x · d/dy (x + y)²] at y = 1, once as x varies and once held fixed by detach."""

    def outer(x):
        return x * kj.grad(lambda y: (x + y) ** 2)(1.0)

    def held(x):
        return x * kj.grad(lambda y: (x + y) ** 2)(1.0).detach()

    same(kj.grad(outer)(3.0), 2 * (3 + 1) + 3 * 2)
    same(kj.grad(held)(3.0), 8)


def test_wrapped_functions_keep_their_names():
    assert kj.grad(square).__name__ == "square"
