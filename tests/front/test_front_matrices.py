"""Jacobians and Hessians as users call them, against JAX in float64 and against formulas.

Not here: `vmap` itself (`test_front_vmap.py`).
"""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.ground.errors import DtypeError, GradientError, UsageError
from tests.fixtures import TIERS

RNG = np.random.default_rng(0)
X, Y, M = RNG.standard_normal(4), RNG.standard_normal(3), RNG.standard_normal((4, 3))
MODES = ["forward", "reverse", "auto"]


def same(found, expected):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.fixture
def jax():
    """JAX in float64."""
    module = pytest.importorskip("jax")
    with module.enable_x64(True):
        yield module


def vector(xp, x):
    return xp.sin(x) * xp.sum(x * x)


def matrix(xp, x):
    return xp.exp(x)[:, None] * M


def scalar(xp, x):
    return xp.sum(x**3) * xp.max(x) + xp.prod(xp.stack([x[0], x[1]]))


def tree(xp, given):
    a, (b, c) = given["a"], given["b"]
    return {"product": (a @ M) * b, "rest": [xp.tanh(c), xp.sum(a) * c, xp.max(b)]}


def prod(x):
    return x[0] * x[1]


class Kedja:
    """kedja's functions by the names that JAX has for them."""

    prod = staticmethod(prod)

    def __getattr__(self, name):
        return getattr(kj, name)


KJ = Kedja()
GIVEN = {"a": X, "b": (Y, np.asarray(0.7))}


def leaves(jax, found):
    return jax.tree_util.tree_flatten(found)


# --------------------------------------------------------------------------- against JAX


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("f", [vector, matrix, scalar], ids=lambda f: f.__name__)
def test_jacobians_of_arrays(jax, f, mode):
    found = kj.jacobian(lambda x: f(KJ, x), mode=mode)(X)
    same(found, jax.jacobian(lambda x: f(jax.numpy, x))(X))


@pytest.mark.parametrize("mode", MODES)
def test_jacobians_of_trees(jax, mode):
    """The structure of the value outside, that of the argument inside, as JAX nests them."""
    found = kj.jacobian(lambda g: tree(KJ, g), mode=mode)(GIVEN)
    expected = jax.jacobian(lambda g: tree(jax.numpy, g))(GIVEN)
    plain = kj.tree.map(lambda leaf: leaf.numpy(), found)
    mine, theirs = leaves(jax, plain), leaves(jax, expected)
    assert mine[1] == theirs[1]
    for each, other in zip(mine[0], theirs[0], strict=True):
        same(each, other)


@pytest.mark.parametrize("mode", MODES)
def test_several_arguments(jax, mode):
    def f(xp, x, y):
        return xp.sin(x)[:, None] * y, xp.sum(y)

    for argnums in (0, 1, (0, 1), (1,)):
        found = kj.jacobian(lambda x, y: f(KJ, x, y), argnums, mode=mode)(X, Y)
        expected = jax.jacobian(lambda x, y: f(jax.numpy, x, y), argnums)(X, Y)
        mine = leaves(jax, kj.tree.map(lambda leaf: leaf.numpy(), found))
        theirs = leaves(jax, expected)
        assert mine[1] == theirs[1]
        for each, other in zip(mine[0], theirs[0], strict=True):
            same(each, other)


@pytest.mark.parametrize("tier", TIERS)
def test_hessians(jax, tier):
    with kj.scope(tier=tier):
        found = kj.hessian(lambda x: scalar(KJ, x))(X)
    same(found, jax.jit(jax.hessian(lambda x: scalar(jax.numpy, x)))(X))


def test_hessians_of_trees(jax):
    def f(xp, given):
        return xp.sum(tree(xp, given)["product"] ** 2) * given["b"][1]

    found = kj.hessian(lambda g: f(KJ, g))(GIVEN)
    expected = jax.jit(jax.hessian(lambda g: f(jax.numpy, g)))(GIVEN)
    mine = leaves(jax, kj.tree.map(lambda leaf: leaf.numpy(), found))
    theirs = leaves(jax, expected)
    assert mine[1] == theirs[1]
    for each, other in zip(mine[0], theirs[0], strict=True):
        same(each, other)


def test_hessians_of_several_arguments_and_results(jax):
    def f(xp, x, y):
        return xp.exp(y) * xp.sum(x * x), xp.sum(x) * xp.sum(y)

    found = kj.hessian(lambda x, y: f(KJ, x, y), (0, 1))(X, Y)
    expected = jax.jit(jax.hessian(lambda x, y: f(jax.numpy, x, y), (0, 1)))(X, Y)
    for each, other in zip(
        leaves(jax, kj.tree.map(lambda leaf: leaf.numpy(), found))[0],
        leaves(jax, expected)[0],
        strict=True,
    ):
        same(each, other)


@pytest.mark.parametrize("wrap", [lambda f: f, kj.jit], ids=["eager", "jit"])
def test_combinations_with_vmap(jax, wrap):
    rows = RNG.standard_normal((5, 4))
    inner = jax.numpy

    def pairs(f, g):
        yield kj.vmap(kj.jacobian(f)), jax.vmap(jax.jacobian(g))
        yield kj.vmap(kj.jacfwd(f), 0, 1), jax.vmap(jax.jacfwd(g), 0, 1)
        yield kj.jacrev(kj.vmap(f)), jax.jacrev(jax.vmap(g))
        yield kj.jacfwd(kj.vmap(f)), jax.jacfwd(jax.vmap(g))
        yield kj.vmap(kj.jacfwd(kj.jacrev(f))), jax.vmap(jax.jacfwd(jax.jacrev(g)))
        yield kj.vmap(kj.jacrev(kj.jacfwd(f))), jax.vmap(jax.jacrev(jax.jacfwd(g)))

    for mine, theirs in pairs(lambda x: vector(KJ, x), lambda x: vector(inner, x)):
        same(wrap(mine)(rows), jax.jit(theirs)(rows))
    both = (lambda x: scalar(KJ, x)), (lambda x: scalar(inner, x))
    same(wrap(kj.vmap(kj.hessian(both[0])))(rows), jax.jit(jax.vmap(jax.hessian(both[1])))(rows))
    same(
        wrap(kj.grad(lambda x: kj.sum(kj.vmap(kj.hessian(both[0]))(x) ** 2)))(rows),
        jax.jit(jax.grad(lambda x: inner.sum(jax.vmap(jax.hessian(both[1]))(x) ** 2)))(rows),
    )


# ------------------------------------------------------------------------ against formulas


@pytest.mark.parametrize("make", [kj.jacobian, kj.jacfwd, kj.jacrev])
def test_what_stands_beside_the_value(make):
    found, aux = make(lambda x: (x * x, {"x": x, "text": "kept"}), has_aux=True)(X)
    same(found, np.diag(2 * X))
    same(aux["x"], X)
    assert aux["text"] == "kept"


def test_keyword_arguments_and_decisions_on_values():
    """The function runs once on its values: only its derivative is batched."""

    def f(x, *, sign):
        return x * sign if kj.sum(x) > 0 else x / sign

    x = np.abs(X)
    same(kj.jacobian(f)(x, sign=2.0), np.eye(4) * 2)
    same(kj.jacobian(f)(-x, sign=2.0), np.eye(4) / 2)


@pytest.mark.parametrize("mode", MODES)
def test_independent_results_have_zeros(mode):
    found = kj.jacobian(lambda x, y: (y, 2.0 * kj.ones(2)), (0, 1), mode=mode)(X, Y)
    same(found[0][0], np.zeros((3, 4)))
    same(found[0][1], np.eye(3))
    assert found[1][0].shape == (2, 4)
    same(found[1][1], np.zeros((2, 3)))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shapes", [((), ()), ((1,), (1, 1)), ((2, 0), (3,)), ((3,), (0,))])
def test_shapes_of_one_element_and_of_none(mode, shapes):
    x = np.ones(shapes[0])

    def f(x):
        return kj.broadcast_to(kj.reshape(kj.sum(x * 3), ()), shapes[1])

    found = kj.jacobian(f, mode=mode)(x)
    same(found, np.full((*shapes[1], *shapes[0]), 3.0))


def test_a_model_as_argument():
    model = nn.Linear(3, 2).astype(kj.float64)
    found = kj.jacobian(lambda m: m(kj.asarray(Y)))(model)
    same(found.weight, np.einsum("ij,k->ijk", np.eye(2), Y))
    same(found.bias, np.eye(2))


def test_each_example_has_a_jacobian_of_a_model():
    model, rows = nn.Linear(3, 2).astype(kj.float64), RNG.standard_normal((5, 3))
    found = kj.vmap(kj.jacobian(lambda m, x: m(x)), in_axes=(None, 0))(model, rows)
    same(found.weight, np.einsum("ij,nk->nijk", np.eye(2), rows))


def test_results_do_not_keep_the_history_but_what_is_outside_needs():
    assert not kj.jacobian(kj.sin)(X).tracks
    w = kj.tensor(X, requires_grad=True)
    rows = kj.jacobian(lambda x: x * w * w)(X)
    rows.numpy()
    kj.sum(rows).backward()
    same(w.grad, 2 * X)


def test_products_with_the_hessian():
    t = RNG.standard_normal(4)
    full = kj.hessian(lambda x: scalar(KJ, x))(X).numpy()
    same(kj.hvp(lambda x: scalar(KJ, x), (X,), (t,)), full @ t)

    def two(x, m):
        return kj.sum((x @ m) ** 2)

    s = RNG.standard_normal((4, 3))
    by_x, by_m = kj.hvp(two, (X, M), (t, s))
    blocks = kj.hessian(two, (0, 1))(X, M)
    (xx, xm), (mx, mm) = ([each.numpy() for each in row] for row in blocks)
    same(by_x, xx @ t + np.tensordot(xm, s, 2))
    same(by_m, np.tensordot(mx, t, 1) + np.tensordot(mm, s, 2))


def test_the_cheaper_mode_is_taken():
    """Reverse mode does not go through a while loop; with one input, forward mode is taken."""

    def f(x):
        last = kj.while_loop(lambda y: y < 10.0, lambda y: y * y, x)
        return kj.stack([last, last * 2])

    same(kj.jacobian(f)(np.float64(2.0)), [32.0, 64.0])
    with pytest.raises(GradientError, match="reverse mode through while_loop"):
        kj.jacobian(f, mode="reverse")(np.float64(2.0))


# ------------------------------------------------------------------------------------- errors


def test_wrong_use():
    with pytest.raises(UsageError, match="mode 'fast'"):
        kj.jacobian(kj.sin, mode="fast")
    with pytest.raises(GradientError, match=r"returned int64\[4\]"):
        kj.jacobian(lambda x: kj.argmax(kj.reshape(x, (4, 1)), 1))(X)
    with pytest.raises(GradientError, match="returned str"):
        kj.jacobian(lambda x: (x, "text"))(X)
    with pytest.raises(DtypeError, match="int64"):
        kj.jacobian(kj.sin)(np.arange(3))
    with pytest.raises(UsageError, match="argnums 2"):
        kj.jacobian(kj.sin, 2)(X)
    with pytest.raises(UsageError, match="tangents"):
        kj.hvp(lambda x: kj.sum(x), (X,), (Y,))
