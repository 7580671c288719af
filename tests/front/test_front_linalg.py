"""`kj.linalg` means what NumPy's linalg means, under the standard's names and with its signatures.

Derivatives and the ops themselves are tested in `tests/ops`; here stand dtypes, shapes, batches,
jit, vmap, and errors in the user's terms.
"""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kedja as kj
from kedja.ground.dtypes import bfloat16, float16
from kedja.ground.errors import DataError, DtypeError, KedjaError, ShapeError, UsageError
from kedja.ground.flags import scope
from tests.fixtures import TIERS

LA = kj.linalg
RNG = np.random.default_rng(9)
A = RNG.standard_normal((2, 4, 4))
S = A @ A.swapaxes(-1, -2) + np.eye(4)
TALL, WIDE = RNG.standard_normal((3, 5, 3)), RNG.standard_normal((3, 5))
V, W = RNG.standard_normal(4), RNG.standard_normal(3)


def close(found, expected, tolerance=1e-12):
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, rtol=tolerance, atol=tolerance)


# fmt: off
CALLS = [  # name, arguments, options: as in NumPy
    ("inv", (A,), {}), ("det", (A,), {}), ("pinv", (TALL,), {}), ("pinv", (WIDE,), {"rtol": 0.5}),
    ("eigvalsh", (S,), {}), ("svdvals", (TALL,), {}), ("solve", (A, A[:, :, :2]), {}),
    ("solve", (A, V), {}), ("solve", (A[0], A), {}), ("solve", (A, A[0]), {}),
    ("matrix_power", (A, 0), {}), ("matrix_power", (A, 1), {}), ("matrix_power", (A, 7), {}),
    ("matrix_power", (A, -3), {}), ("matrix_power", (np.array([[1, 1], [1, 0]]), 10), {}),
    ("matrix_rank", (S,), {}), ("matrix_rank", (np.outer(V, W),), {}),
    ("matrix_transpose", (TALL,), {}), ("matmul", (A, A), {}), ("outer", (V, W), {}),
    ("diagonal", (TALL,), {}), ("diagonal", (TALL,), {"offset": 1}),
    ("diagonal", (TALL,), {"offset": -2}), ("diagonal", (TALL,), {"offset": 7}),
    ("trace", (TALL,), {}), ("trace", (TALL,), {"offset": -1}),
    ("trace", (np.arange(9).reshape(3, 3).astype(np.int8),), {}),
    ("trace", (np.arange(9).reshape(3, 3),), {"dtype": np.float32}),
    ("cross", (A[..., :3], A[0, :, :3]), {}), ("cross", (TALL[:, :3], W[:, None]), {"axis": -2}),
    ("cross", (A[:, :3], A[:1, :3]), {"axis": 1}),
    ("vecdot", (A, V), {}), ("tensordot", (A, S), {"axes": ((1, 2), (2, 1))}),
    ("vector_norm", (TALL,), {}), ("vector_norm", (TALL,), {"axis": 1}),
    ("vector_norm", (TALL,), {"axis": (0, 2), "keepdims": True}),
    ("multi_dot", ([V, A[0], A[1], A[0], V],), {}), ("multi_dot", ([WIDE, WIDE.T, WIDE],), {}),
    ("cond", (A,), {}), ("cond", (A,), {"p": -2}), ("cond", (A,), {"p": "fro"}),
    ("cond", (A,), {"p": 1}), ("cond", (A,), {"p": np.inf}), ("cond", (TALL,), {"p": 2}),
    ("tensorinv", (RNG.standard_normal((4, 6, 8, 3)),), {"ind": 2}),
    ("tensorsolve", (RNG.standard_normal((2, 3, 6)), RNG.standard_normal((2, 3))), {}),
]
# fmt: on


def named(call):
    name, arguments, options = call
    shapes = (np.shape(each) if name != "multi_dot" else len(each) for each in arguments)
    return f"{name}-{'-'.join(map(str, shapes))}-{options}"


@pytest.mark.parametrize("call", CALLS, ids=named)
def test_functions_of_numpy(call):
    name, arguments, options = call
    with np.errstate(all="ignore"):
        expected = np.asarray(getattr(np.linalg, name)(*arguments, **options))
    found = getattr(LA, name)(*arguments, **options)
    close(found, expected, 1e-10)
    assert found.dtype == expected.dtype


@pytest.mark.parametrize("ord", [0, 1, -1, 2, -2, 3, 0.5, -0.5, np.inf, -np.inf])
def test_orders_of_vector_norms(ord):
    close(LA.vector_norm(TALL, axis=1, ord=ord), np.linalg.vector_norm(TALL, axis=1, ord=ord))
    close(LA.norm(V, ord), np.linalg.norm(V, ord))
    zeros = np.array([[1.0, 0.0], [0.0, 0.0]])
    with np.errstate(all="ignore"):
        close(LA.vector_norm(zeros, axis=1, ord=ord), np.linalg.vector_norm(zeros, axis=1, ord=ord))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("ord", ["fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
def test_orders_of_matrix_norms(ord, keepdims):
    close(
        LA.matrix_norm(TALL, ord=ord, keepdims=keepdims),
        np.linalg.matrix_norm(TALL, ord=ord, keepdims=keepdims),
    )
    for axis in ((0, 2), (2, 0), (-1, 1)):
        mine, theirs = (
            module.norm(given, ord, axis=axis, keepdims=keepdims)
            for module, given in ((LA, TALL), (np.linalg, TALL))
        )
        close(mine, theirs)


def test_norm_without_order():
    close(LA.norm(TALL), np.linalg.norm(TALL))
    close(LA.norm(TALL, axis=1, keepdims=True), np.linalg.norm(TALL, axis=1, keepdims=True))
    close(LA.norm(TALL, axis=(0, 2)), np.linalg.norm(TALL, axis=(0, 2)))
    close(LA.norm(WIDE, 1), np.linalg.norm(WIDE, 1))


@pytest.mark.parametrize("ord", [0.5, 1, 1.5, 2, 3, np.inf])
def test_norms_have_finite_gradients_at_zero(ord):
    found = kj.grad(lambda x: LA.vector_norm(x, ord=ord))(np.zeros(3))
    assert np.isfinite(found.numpy()).all()
    some = kj.grad(lambda x: LA.vector_norm(x, ord=ord))(np.array([3.0, 0.0, 4.0]))
    assert np.isfinite(some.numpy()).all()


def test_gradients_of_norms_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    for ord in (0.5, 1.5, 2, 3, np.inf, -np.inf, 1):
        x = torch.tensor(V, requires_grad=True)
        (expected,) = torch.autograd.grad(torch.linalg.vector_norm(x, ord), x)
        close(kj.grad(lambda x, o=ord: LA.vector_norm(x, ord=o))(V), expected.numpy())
    for ord in ("fro", "nuc", 2, -2, 1, np.inf):
        x = torch.tensor(WIDE, requires_grad=True)
        (expected,) = torch.autograd.grad(torch.linalg.matrix_norm(x, ord), x)
        close(kj.grad(lambda x, o=ord: LA.matrix_norm(x, ord=o))(WIDE), expected.numpy(), 1e-10)


@pytest.mark.parametrize("name", ["kron", "vander"])
def test_products_that_stand_elsewhere_in_numpy(name):
    if name == "vander":
        close(LA.vander(V), np.vander(V, increasing=True))
        close(LA.vander(W, 5), np.vander(W, 5, increasing=True))
        close(LA.vander(W, 0), np.zeros((3, 0)))
        return
    for a, b in ((V, W), (WIDE, V), (A, WIDE), (np.array(2.0), V)):
        close(LA.kron(a, b), np.kron(a, b))


# ---------------------------------------------------------------------------- factorisations


@pytest.mark.parametrize("x", [A, TALL, WIDE, A[0]], ids=lambda x: str(x.shape))
@pytest.mark.parametrize("mode", ["reduced", "complete"])
def test_qr(x, mode):
    found, expected = LA.qr(x, mode=mode), np.linalg.qr(x, mode=mode)
    close(found.Q, expected.Q)
    close(found.R, expected.R)


@pytest.mark.parametrize("x", [A, TALL, WIDE, A[0]], ids=lambda x: str(x.shape))
@pytest.mark.parametrize("full", [False, True])
def test_svd(x, full):
    found, expected = LA.svd(x, full_matrices=full), np.linalg.svd(x, full_matrices=full)
    for mine, theirs in zip(found, expected, strict=True):
        close(mine, theirs)


def test_full_matrices_are_the_default():
    assert LA.svd(WIDE).Vh.shape == (5, 5)


@pytest.mark.parametrize("x", [A, TALL, WIDE], ids=lambda x: str(x.shape))
def test_lu(x):
    P, L, U = LA.lu(x)
    close(P @ L @ U, x)
    assert (np.sort(P.numpy(), -1)[..., -1] == 1).all()
    close(kj.tril(L), L.numpy())
    close(kj.triu(U), U.numpy())


def test_symmetric_matrices():
    values, vectors = LA.eigh(S)
    close(values, np.linalg.eigvalsh(S))
    close(vectors * values[:, None, :] @ vectors.mT, S)
    factor = LA.cholesky(S)
    close(factor, np.linalg.cholesky(S))
    close(LA.cholesky(S, upper=True), np.linalg.cholesky(S, upper=True))
    close(LA.cholesky_solve(A, factor), np.linalg.solve(S, A))
    close(
        LA.cholesky_solve(V, factor.mT, upper=True),
        np.linalg.solve(S, np.tile(V, (2, 1))[..., None])[..., 0],
    )


def test_one_triangle_describes_a_symmetric_matrix():
    for triangle in ("L", "U"):
        close(LA.eigvalsh(A, triangle), np.linalg.eigvalsh(A, triangle))
        close(LA.eigh(A, triangle).eigenvalues, np.linalg.eigh(A, triangle).eigenvalues)
    close(LA.eigvalsh(A), np.linalg.eigvalsh((A + A.swapaxes(-1, -2)) / 2))


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("upper", [False, True])
def test_triangular_solves_are_those_of_pytorch(upper, left, unit):
    torch = pytest.importorskip("torch")
    a = A + 3 * np.eye(4)
    b = A[0, :, :3] if left else A[0, :3]
    options = {"upper": upper, "left": left, "unitriangular": unit}
    triangle = np.triu(a) if upper else np.tril(a)
    expected = torch.linalg.solve_triangular(torch.tensor(triangle), torch.tensor(b), **options)
    close(LA.solve_triangular(a, b, **options), expected.numpy())


def test_solve_triangular_of_a_vector():
    a = np.tril(A[0]) + 3 * np.eye(4)
    close(LA.solve_triangular(a, V, upper=False), np.linalg.solve(a, V))
    close(LA.solve_triangular(a, V, upper=False, left=False), np.linalg.solve(a.T, V))


def test_slogdet():
    found, expected = LA.slogdet(A), np.linalg.slogdet(A)
    close(found.sign, expected.sign)
    close(found.logabsdet, expected.logabsdet)
    assert LA.slogdet(np.zeros((2, 2))).logabsdet.item() == -np.inf


@pytest.mark.parametrize("b", [RNG.standard_normal(5), RNG.standard_normal((5, 2))], ids=str)
def test_least_squares(b):
    for a in (TALL[0], WIDE.T, np.outer(RNG.standard_normal(5), W)):
        found, expected = LA.lstsq(a, b), np.linalg.lstsq(a, b)
        close(found.solution, expected[0], 1e-10)
        close(found.residuals, ((a @ expected[0] - b) ** 2).sum(0), 1e-10)
        assert found.rank.item() == expected[2]
        close(found.singular_values, expected[3], 1e-10)


def test_least_squares_of_batches():
    b = RNG.standard_normal((3, 5, 2))
    expected = np.stack([np.linalg.lstsq(x, y)[0] for x, y in zip(TALL, b, strict=True)])
    close(LA.lstsq(TALL, b).solution, expected, 1e-10)


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from([(1, 1), (3, 3), (2, 5), (5, 2), (0, 3), (3, 0)]),
)
def test_pseudo_inverses_keep_penroses_rules(seed, shape):
    rng = np.random.default_rng(seed)
    a = rng.integers(-2, 3, shape).astype(float)  # often of low rank
    b = LA.pinv(a).numpy()
    for found, expected in ((a @ b @ a, a), (b @ a @ b, b), ((a @ b).T, a @ b), ((b @ a).T, b @ a)):
        np.testing.assert_allclose(found, expected, atol=1e-9)


# ------------------------------------------------------------------- dtypes, empties, tiers


@pytest.mark.parametrize("dtype", [float16, bfloat16], ids=str)
def test_halves_are_computed_in_float32_and_rounded_once(dtype):
    x = kj.tensor(S).astype(dtype)
    wide = x.astype(np.float32)
    for name in ("inv", "cholesky", "det", "eigvalsh", "svdvals", "matrix_norm", "pinv", "cond"):
        found, expected = getattr(LA, name)(x), getattr(LA, name)(wide).astype(dtype)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found.numpy(), expected.numpy())
    assert {each.dtype for each in (*LA.qr(x), *LA.eigh(x), *LA.svd(x), *LA.lu(x))} == {dtype}
    assert LA.solve(x, x).dtype == dtype
    assert LA.matrix_rank(x).dtype == np.int64


def test_integers_become_float32():
    assert LA.inv([[2, 0], [0, 4]]).dtype == np.float32
    assert LA.solve(np.array([[2, 0], [0, 4]]), np.array([1.0, 2.0])).dtype == np.float64
    assert LA.vector_norm([3, 4]).item() == 5
    assert LA.matrix_power(np.eye(2, dtype=np.int32), 3).dtype == np.int32
    assert LA.matrix_power(2 * np.eye(2, dtype=np.int32), -1).dtype == np.float32


def test_empty_matrices():
    empty = np.zeros((2, 0, 0))
    assert LA.inv(empty).shape == (2, 0, 0)
    assert LA.det(empty).tolist() == [1, 1]
    assert LA.solve(empty, np.zeros((2, 0, 3))).shape == (2, 0, 3)
    assert LA.svd(np.zeros((0, 3))).Vh.shape == (3, 3)
    assert LA.qr(np.zeros((3, 0)), mode="complete").Q.shape == (3, 3)
    assert LA.matrix_rank(empty).tolist() == [0, 0]
    assert LA.pinv(np.zeros((0, 3))).shape == (3, 0)
    assert LA.cholesky(np.zeros((0, 2, 2))).shape == (0, 2, 2)


@pytest.mark.parametrize("tier", TIERS)
def test_everything_composes(tier):
    """jit, grad of grad, vmap, and values of several outputs."""

    def loss(x):
        q, r = LA.qr(x)
        values = LA.svd(x, full_matrices=False).S
        return kj.sum(LA.inv(x) * (q @ r)) + LA.slogdet(x).logabsdet + kj.sum(values * values)

    def curvature(x):
        return kj.sum(kj.grad(loss)(x) ** 2)

    with scope(tier=tier):
        plain = [kj.grad(curvature)(each).numpy() for each in A]
        for f in (kj.vmap(kj.grad(curvature)), kj.jit(kj.vmap(kj.grad(curvature)))):
            np.testing.assert_allclose(f(A).numpy(), plain, rtol=1e-9, atol=1e-9)


def test_a_cholesky_layer_learns():
    """Gradient descent through a solve: the matrix whose solution is wanted is found."""
    target, b = np.array([1.0, -2.0]), np.array([1.0, 1.0])

    def loss(a):
        x = LA.solve(a @ a.mT + kj.eye(2, dtype=kj.float64), b)
        return kj.sum((x - target) ** 2)

    step = kj.jit(lambda a: a - 0.05 * kj.grad(loss)(a))
    a = kj.tensor(np.array([[1.0, 0.5], [0.2, 1.0]]))
    before = loss(a).item()
    for _ in range(50):
        a = step(a)
    assert loss(a).item() < 0.8 * before


# ----------------------------------------------------------------------- the standard, errors


def test_the_whole_extension_is_there_with_its_signatures():
    strict = pytest.importorskip("array_api_strict")
    assert kj.linalg is LA
    for name in strict.linalg.__all__:
        theirs = getattr(strict.linalg, name)
        if not inspect.isfunction(theirs):
            continue
        mine = inspect.signature(getattr(LA, name)).parameters
        for parameter in inspect.signature(theirs).parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY:
                assert mine[parameter.name].default == parameter.default, (name, parameter)
        positional = [
            p for p in inspect.signature(theirs).parameters.values() if p.kind is p.POSITIONAL_ONLY
        ]
        assert len([p for p in mine.values() if p.default is p.empty]) == len(positional), name


def test_results_have_the_standards_names():
    assert LA.eigh(S)._fields == ("eigenvalues", "eigenvectors")
    assert LA.qr(S)._fields == ("Q", "R")
    assert LA.slogdet(S)._fields == ("sign", "logabsdet")
    assert LA.svd(S)._fields == ("U", "S", "Vh")


ERRORS = [
    (lambda: LA.eig(A), DtypeError, "complex"),
    (lambda: LA.eigvals(A), DtypeError, "complex"),
    (lambda: LA.inv(TALL), ShapeError, "5 rows and 3 columns"),
    (lambda: LA.det(V), ShapeError, "det of shape"),
    (lambda: LA.solve(A, W), ShapeError, "same number of rows"),
    (lambda: LA.solve(TALL, V), ShapeError, "last two axes must be equal"),
    (lambda: LA.solve(A, np.zeros((3, 4, 1))), ShapeError, "do not broadcast"),
    (lambda: LA.qr(A, mode="raw"), UsageError, "'reduced' or 'complete'"),
    (lambda: LA.eigh(A, "X"), UsageError, "'L' or 'U'"),
    (lambda: LA.cross(V, V), ShapeError, "three elements"),
    (lambda: LA.outer(A, V), ShapeError, "two vectors"),
    (lambda: LA.diagonal(V), ShapeError, "two axes"),
    (lambda: LA.matrix_norm(V), ShapeError, "two axes"),
    (lambda: LA.matrix_norm(A, ord="frob"), UsageError, "order 'frob'"),
    (lambda: LA.vector_norm(V, ord="fro"), UsageError, "a number"),
    (lambda: LA.norm(TALL, 2), ShapeError, "name one axis"),
    (lambda: LA.matrix_power(WIDE, 2), ShapeError, "3 rows and 5 columns"),
    (lambda: LA.multi_dot([V]), UsageError, "at least two"),
    (lambda: LA.multi_dot([V, V, V]), ShapeError, "the ends may be vectors"),
    (lambda: LA.tensorinv(A, 1), ShapeError, "same number"),
    (lambda: LA.tensorsolve(A, V), ShapeError, "starts with that of b"),
    (lambda: LA.vander(1.0), ShapeError, "scalar"),
    (lambda: LA.inv(np.eye(2) * 1j), DtypeError, "complex"),
]


@pytest.mark.parametrize("wrong", ERRORS, ids=lambda each: each[2])
def test_wrong_use_is_an_error_that_names_the_line(wrong):
    call, kind, message = wrong
    with pytest.raises(kind, match=message) as caught:
        call()
    assert isinstance(caught.value, KedjaError)
    assert "test_front_linalg.py" in str(caught.value)


@pytest.mark.parametrize("tier", TIERS)
def test_matrices_without_an_answer_are_named(tier):
    with scope(tier=tier):
        for f in (LA.cholesky, LA.inv):
            with pytest.raises(DataError, match=r"matrix \[1\] of the batch"):
                kj.jit(f)(np.stack([np.eye(2), np.zeros((2, 2))]))
